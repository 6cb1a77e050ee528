"""Accounts, their ledger, and the first account.

Why
    Money: a balance that the table itself keeps from passing below zero.

Previous release
    There is none.

Revision: 0001
"""

from alembic import op

from server.postgres.migrations import execute_files

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPENING_BALANCE = 10_000


def upgrade() -> None:
    execute_files(
        "0001_users.sql",
        "0001_entries.sql",
        "0001_open_account.sql",
        "0001_move_money.sql",
        "0001_withdraw.sql",
        "0001_deposit.sql",
        "0001_grant_application_rights.sql",
    )
    op.execute(f"select open_account({OPENING_BALANCE})")


def downgrade() -> None:
    execute_files("0001_down.sql")
