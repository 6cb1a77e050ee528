"""What a node's metrics tell of its money path."""

from collections import Counter
from dataclasses import dataclass, field

from server.distribution import Distribution
from server.postgres.faults import Fault

BATCH_MOVEMENTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)


@dataclass
class MoneyFigures:
    """Kept by the batcher. repeats: how often a batch was sent again, by the fault that made it so."""

    batch_movements: Distribution = field(default_factory=lambda: Distribution(BATCH_MOVEMENTS))
    call_seconds: Distribution = field(default_factory=Distribution)
    repeats: Counter[Fault] = field(default_factory=Counter)
