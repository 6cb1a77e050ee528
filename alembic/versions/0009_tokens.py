"""Tokens with scopes, and a record of what operators do.

Why
    A service that listens beyond its own host must know who asks, and who did what.

Previous release
    Works on: it calls run_task() and the like without saying who asks, and the record then
    names its role. It asks for no token, so let it listen on loopback only.

Revision: 0009, follows 0008
"""

from server.postgres.migrations import execute_files

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Nothing is taken away.
compatible_from = "0001"


def upgrade() -> None:
    execute_files("0009_audit.sql", "0009_operate.sql", "0009_tokens.sql", "0009_create_token.sql")


def downgrade() -> None:
    execute_files("0009_down.sql", "0002_operate.sql", "0004_run_task.sql")
