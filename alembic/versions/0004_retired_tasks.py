"""Tasks that no configuration names any more, and ticks that were skipped.

Why
    A task that was taken out of every configuration stayed due for ever, a tick that was
    skipped left no number, and two configurations of one revision took turns in silence.

Previous release
    Works on: it calls skip_tick() without a number, which counts as one tick, and takes
    the answer of define_tasks() for the names that changed. It lists a retired task as one
    that is due and that nobody owns, and start_run() refuses it.

Revision: 0004, follows 0003
"""

from server.postgres.migrations import execute_files

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute_files(
        "0004_retired_tasks.sql",
        "0004_redefine_task.sql",
        "0004_define_tasks.sql",
        "0004_retire_task.sql",
        "0004_start_run.sql",
        "0004_skip_tick.sql",
        "0004_run_task.sql",
    )


def downgrade() -> None:
    execute_files(
        "0004_down.sql",
        "0002_define_tasks.sql",
        "0002_start_run.sql",
        "0002_operate.sql",
    )
