"""docs/metrics.md, made of the definitions: `python -m server.web.metrics.document` writes it.

Pure but for that command. A test compares the file with what is made here, and what is
defined here with what a living node says.
"""

import sys
from pathlib import Path

from server.web.metrics import cluster, cron, database, facts, money, node, requests
from server.web.metrics.definition import Definition

SECTIONS: tuple[tuple[str, str, tuple[Definition, ...]], ...] = (
    ("The node", "Of the process that answers.", node.DEFINITIONS),
    ("Requests", "Of the process that answers.", requests.DEFINITIONS),
    ("Money", "Of the process that answers.", money.DEFINITIONS),
    ("Connections", "Of the process that answers.", database.DEFINITIONS),
    (
        "The cluster",
        "As this node has it. Two nodes may differ for a heartbeat.",
        cluster.DEFINITIONS,
    ),
    (
        "Tasks and runs",
        "Counters are this node's part: their sum over all nodes is the cluster's. Overdue, interval and "
        "paused every node says of every task: take the maximum.",
        cron.DEFINITIONS,
    ),
    (
        "What the database knows",
        f"Read at a scrape, at most every {facts.FACTS_SECONDS_KEPT:g} s, with at most "
        f"{facts.FACTS_SECONDS_MAX:g} s to answer. Every node says the same: take the maximum.",
        facts.DEFINITIONS,
    ),
)

HEAD = """\
# Metrics

`GET /metrics` answers in the text form of Prometheus. This list is made of the texts that it serves, by \
`python -m server.web.metrics.document`, and a test holds the two together. \
[operations.md](operations.md) says what to watch and what to do; \
[deploy/prometheus](../deploy/prometheus) has the scrape configuration of six instances and the alarms, \
[deploy/grafana](../deploy/grafana) a dashboard.

Scrape each instance on the port of its own. The public port is answered by any of them, another one each \
time, so its counters seem to jump; `ringfence_instance_info` says which one it was:

```
curl -s http://127.0.0.1:8000/metrics | grep ringfence_instance_info
```

Where requests need a token, Prometheus needs one with the scope `read` ([security.md](security.md)); \
deploy/prometheus/prometheus.yml says how it is named there.

The values of labels are few: routes are paths with places, and tasks are those of the configuration; of \
tasks beyond the first 1,000 by name the sum stands under `(others)`. Besides these, the client library \
tells of the process: `process_resident_memory_bytes`, `process_virtual_memory_bytes`, \
`process_cpu_seconds_total`, `process_open_fds`, `process_max_fds` and `process_start_time_seconds`.
"""


def make_document() -> str:
    """The text of docs/metrics.md."""
    return "\n".join([HEAD, *(_section(*section) for section in SECTIONS)])


def _section(title: str, remark: str, definitions: tuple[Definition, ...]) -> str:
    rows = "\n".join(_row(one) for one in definitions)
    table = f"| name | kind | labels | meaning |\n| --- | --- | --- | --- |\n{rows}"
    return f"## {title}\n\n{remark}\n\n{table}\n"


def _row(one: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels)
    return f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} |"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/metrics.md").write_text(make_document())
