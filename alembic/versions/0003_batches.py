"""Batches of movements in one call, and the outcomes of requests with a key.

Why
    Money at the speed of the web server: one lock, one plan and one flush for a
    whole crowd; and a repeated Idempotency-Key gets its first answer.

Previous release
    Works on: nothing of 0001 and 0002 is touched, and a movement that it makes by
    withdraw() or deposit() is a repeat to post_batch() as well.

Revision: 0003, follows 0002
"""

from server.postgres.migrations import execute_files

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_files(
        "0003_idempotency_keys.sql",
        "0003_check_batch.sql",
        "0003_lock_accounts.sql",
        "0003_post_batch.sql",
        "0003_post_list.sql",
        "0003_open_account_once.sql",
        "0003_balance_at.sql",
        "0003_prune_idempotency_keys.sql",
    )


def downgrade() -> None:
    execute_files("0003_down.sql")
