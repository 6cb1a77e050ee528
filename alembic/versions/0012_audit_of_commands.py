"""The audit record tells of commands and of refused requests, and has a retention.

Why
    Whoever restarts the service or makes a token does it by a command, and the record named
    the database's role alone, or nothing.

Previous release
    Works on: it calls create_token() and revoke_token() without saying who asks, and the
    record then names its role. It shows the new kind of actor as it is.

Revision: 0012, follows 0011
"""

from server.postgres.migrations import execute_files

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Nothing is taken away.
compatible_from = "0001"


def upgrade() -> None:
    execute_files("0012_audit.sql", "0012_record_operation.sql", "0012_prune_audit.sql", "0012_tokens.sql")


def downgrade() -> None:
    execute_files("0012_down.sql", "0009_create_token.sql")
