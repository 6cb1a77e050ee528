"""A run that a request made due goes on with the request's trace.

Why
    Whoever starts a task and traces that saw the request end, and nothing of what it started.

Previous release
    Works on: it calls run_task() without a trace, and does not read the new column.

Revision: 0013, follows 0012
"""

from server.postgres.migrations import execute_files

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Nothing is taken away.
compatible_from = "0001"


def upgrade() -> None:
    execute_files("0013_run_task.sql")


def downgrade() -> None:
    execute_files("0013_down.sql")
