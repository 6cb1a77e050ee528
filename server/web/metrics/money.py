"""The money path: batches, the queue before them, and what made batches go again."""

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from server.money.batcher import Batcher
from server.web.metrics.definition import Definition

BATCHES = Definition("counter", "ringfence_money_batches_total", "Batches committed.")
MOVEMENTS = Definition(
    "counter", "ringfence_money_movements_total", "Movements decided by the database, refusals included."
)
BATCH_SIZE = Definition(
    "histogram", "ringfence_money_batch_movements", "Movements of a batch; a list is a batch of its own."
)
QUEUE = Definition(
    "gauge", "ringfence_money_queue_movements", "Movements that wait to be sent; 100,000 at most."
)
QUEUE_AGE = Definition(
    "gauge", "ringfence_money_queue_age_seconds", "How long the oldest of them has waited; 0 without any."
)
UNDER_WAY = Definition("gauge", "ringfence_money_sent_movements", "Movements that are with the database now.")
REPEATS = Definition(
    "counter",
    "ringfence_money_repeats_total",
    "Batches sent again with the same ids, by what went wrong before; row_locked: without the rows that "
    "somebody else holds.",
    ("fault",),
)
REACHABLE = Definition(
    "gauge",
    "ringfence_money_reachable",
    "1 while the money path's last word about the database is that it can be reached, else 0.",
)
DEFINITIONS = (BATCHES, MOVEMENTS, BATCH_SIZE, QUEUE, QUEUE_AGE, UNDER_WAY, REPEATS, REACHABLE)


class MoneyCollector(Collector):
    """The figures of the batcher, read when they are asked for."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    def collect(self) -> Iterator[Metric]:
        batcher, figures = self._batcher, self._batcher.figures
        yield BATCHES.of(batcher.batches)
        yield MOVEMENTS.of(batcher.movements)
        yield BATCH_SIZE.spread({(): figures.batch_movements})
        yield QUEUE.of(batcher.waiting.movements)
        yield QUEUE_AGE.of(batcher.waiting.oldest_seconds)
        yield UNDER_WAY.of(sum(request.size for request in batcher.under_way))
        yield REPEATS.each(
            {(fault.name.lower(),): count for fault, count in figures.repeats.items()},
        )
        yield REACHABLE.of(batcher.waiting.is_reachable)
