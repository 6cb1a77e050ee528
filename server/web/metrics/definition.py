"""What one metric is: its name, its meaning, its labels, and how values become samples.

docs/metrics.md is made of these definitions, so that it can't say anything else than
what /metrics says.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from server.distribution import Distribution

LABELLED_MAX = 1000
"""How many values of one label have series of their own; the rest shares one, OTHERS."""
OTHERS = "(others)"

Labels = tuple[str, ...]
Key = TypeVar("Key", bound=Labels)


@dataclass(frozen=True)
class Definition:
    """One metric. name: as it is scraped, a counter's `_total` included."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    meaning: str
    labels: Labels = ()

    def of(self, value: float) -> Metric:
        """The one series of a metric without labels."""
        return self.each({(): value})

    def each(self, values: Mapping[Labels, float]) -> Metric:
        """A counter or gauge, by the values of its labels."""
        if self.kind == "counter":
            counter = CounterMetricFamily(self.name, self.meaning, labels=self.labels)
            for labels, value in values.items():
                counter.add_metric(labels, value)
            return counter
        gauge = GaugeMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, value in values.items():
            gauge.add_metric(labels, value)
        return gauge

    def spread(self, values: Mapping[Labels, Distribution]) -> Metric:
        """A histogram, by the values of its labels."""
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, distribution in values.items():
            bounds = [*map(floatToGoString, distribution.bounds), "+Inf"]
            family.add_metric(
                labels,
                list(zip(bounds, map(float, distribution.cumulative), strict=True)),
                sum_value=distribution.total,
            )
        return family


def bounded(
    values: Mapping[Key, float], merge: Callable[[Iterable[float]], float], most: int = LABELLED_MAX
) -> dict[Labels, float]:
    """The same values, of at most so many values of the first label; those beyond, by name, are merged."""
    kept = frozenset(sorted({labels[0] for labels in values})[:most])
    found: dict[Labels, float] = {}
    rest: dict[Labels, list[float]] = {}
    for labels, value in values.items():
        if labels[0] in kept:
            found[labels] = value
        else:
            rest.setdefault((OTHERS, *labels[1:]), []).append(value)
    return found | {labels: merge(several) for labels, several in rest.items()}
