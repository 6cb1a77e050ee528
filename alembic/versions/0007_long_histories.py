"""Histories of millions of runs: lists that stay quick, and retention by status, age and count.

Why
    GET /runs with a node, a status or a time walked over all runs that did not fit, and
    pruning by age alone kept everything of a task that runs each second. The look for old
    events read all of them when none was old.

Previous release
    Works on: it lists and prunes as it did, by prune_history(), which stays until nobody
    calls it.

Revision: 0007, follows 0006
"""

from server.postgres.migrations import execute_files

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# It only adds. The oldest code that goes on working on this schema, by its newest migration.
compatible_from = "0001"


def upgrade() -> None:
    execute_files(
        "0007_runs_in_order.sql",
        "0007_prune_runs_by_age.sql",
        "0007_prune_runs_by_count.sql",
        "0007_prune_events.sql",
        "0007_prune_nodes.sql",
    )


def downgrade() -> None:
    execute_files("0007_down.sql")
