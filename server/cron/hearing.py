"""Which notifications of tasks must make this node read the tasks again at once.

Every node hears of every start and every ending. If each of them read the tasks for
each, the reads would grow with the nodes times the runs, and that would be the first
limit of a large cluster. Of what is another node's, the ordinary start and the
ordinary end change nothing that this node would act on now; it remembers that its
view lags, and reads anew before it acts on a task that is not its own.

Pure: no clock, no I/O.
"""

import json
from collections.abc import Collection

ORDINARY = frozenset({"started", "succeeded"})


def is_urgent(payload: str, own: Collection[str] | None) -> bool:
    """Whether the tasks must be read now.

    own: the tasks that the hash gives to this node; None while that is not known. Doubt is urgent:
    a payload that is not understood, and whatever else happens to a task, since then others than
    the owner may be the ones to act.
    """
    if own is None:
        return True
    try:
        told = json.loads(payload)
    except ValueError:
        return True
    return not isinstance(told, dict) or told.get("event") not in ORDINARY or told.get("task") in own
