"""The kinds of events, as docs/events.md describes them."""

TASK_KINDS = (
    "started",
    "succeeded",
    "failed",
    "cancelled",
    "timed_out",
    "interrupted",
    "lost",
    "skipped",
    "paused",
    "resumed",
)
NODE_KINDS = ("joined", "draining", "left", "dead")
KINDS = (*TASK_KINDS, *NODE_KINDS, "progress")
