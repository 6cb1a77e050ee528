"""A sweep that judges no further than its caller has watched the clock.

Why
    A step of the database's clock between a heartbeat and a sweep gave away the runs
    of living nodes; so did one while the watcher was frozen (the model in spec/ found both).

Previous release
    Works on: it calls sweep() without the new parameter, and judges as it did.

Revision: 0006, follows 0005
"""

from server.postgres.migrations import execute_files

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_files("0006_sweep.sql")


def downgrade() -> None:
    execute_files("0006_down.sql", "0002_sweep.sql")
