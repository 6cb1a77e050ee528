"""Indexes for the runs of one task, or on one node, that ended in a way of their own.

Why
    GET /runs?task=…&status=failed took seconds in a history of millions when there were few.

Previous release
    Works on: nothing but two indexes is new.

Revision: 0010, follows 0009
"""

from server.postgres.migrations import execute_files

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# It only adds. The oldest code that goes on working on this schema, by its newest migration.
compatible_from = "0001"


def upgrade() -> None:
    execute_files("0010_runs_that_did_not_succeed.sql")


def downgrade() -> None:
    execute_files("0010_down.sql")
