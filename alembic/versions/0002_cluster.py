"""Nodes, tasks, runs and events, with the functions that hold their rules.

Why
    The cron service: leases, fencing tokens, history, and a stream of events.

Previous release
    Works on: nothing of 0001 is touched.

Revision: 0002, follows 0001
"""

from server.postgres.migrations import execute_files

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_files(
        "0002_events.sql",
        "0002_nodes.sql",
        "0002_tasks.sql",
        "0002_runs.sql",
        "0002_cluster_clock.sql",
        "0002_bury_nodes.sql",
        "0002_register_node.sql",
        "0002_heartbeat.sql",
        "0002_sweep.sql",
        "0002_leave_cluster.sql",
        "0002_define_tasks.sql",
        "0002_start_run.sql",
        "0002_finish_run.sql",
        "0002_assert_run.sql",
        "0002_operate.sql",
        "0002_prune_history.sql",
    )


def downgrade() -> None:
    execute_files("0002_down.sql")
