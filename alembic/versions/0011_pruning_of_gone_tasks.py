"""Pruning that finds the runs of a task that has gone without a walk over all others'.

Why
    The planner took the index of all runs for the newest of one task: quick for what runs
    now, seconds in a history of millions for a task that ended long ago.

Previous release
    Works on: the functions are called as before and answer the same.

Revision: 0011, follows 0010
"""

from server.postgres.migrations import execute_files

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# It changes no promise. The oldest code that goes on working on this schema, by its newest migration.
compatible_from = "0001"


def upgrade() -> None:
    execute_files("0011_prune_runs_by_age.sql", "0011_prune_runs_by_count.sql")


def downgrade() -> None:
    execute_files("0011_down.sql", "0007_prune_runs_by_age.sql", "0007_prune_runs_by_count.sql")
