"""Lists of movements that can wait for accounts.

Why
    Lists that never waited starved each other: six of 10,000 withdrawals over the same
    100,000 accounts found one of theirs held again and again, until their deadline.

Previous release
    Works on: it calls post_list() without the new parameter, whose default is what it had.

Revision: 0005, follows 0004
"""

from server.postgres.migrations import execute_files

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_files("0005_post_list.sql")


def downgrade() -> None:
    execute_files("0005_down.sql", "0003_post_list.sql")
