"""The pulse of the money path: what it did in each of the last seconds, on all nodes together.

Why
    Batches and refusals leave no entry, so no other table tells how many there were; and
    an instance that was asked knew its own alone.

Previous release
    Works on: it neither writes nor reads the table, so its movements are not in the pulse.

Revision: 0008, follows 0007
"""

from server.postgres.migrations import execute_files

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# It only adds. The oldest code that goes on working on this schema, by its newest migration.
compatible_from = "0001"


def upgrade() -> None:
    execute_files("0008_money_pulse.sql", "0008_tell_pulse.sql")


def downgrade() -> None:
    execute_files("0008_down.sql")
