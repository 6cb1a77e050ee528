"""What is read from a long history: by indexes, wherever in it the answer lies."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import combinations
from uuid import UUID

from long_history import ENTRIES, RUNS, cost_of, fill, opened

from server.cluster import roster
from server.cron import history, history_queries
from server.cron.history import STATUSES, RunFilter
from server.money.bank import Bank
from server.postgres.statements import load
from server.web.feed import PAGE_EVENTS, Feed

GROWING = {"entries", "events", "runs", "users"}
LIMIT = 10
FILTERS = ("task", "node", "status", "since", "until", "before_id")
# Of these an index holds the condition, the order and the bounds: nothing is read and thrown away.
EXACT = {
    f"runs by {filters}"
    for filters in (
        "",
        *FILTERS,
        "task, status",
        "node, status",
        "task, before_id",
        "task, status, before_id",
    )
}
# What reads no table itself but calls a function, whose plans have tests of their own,
# or writes; and what reads the whole ledger, as its only purpose.
NOT_EXPLAINED = {
    "server.money": {"open_account", "open_account_once", "balance_at", "check"},
    "server.web": set(),
    "server.cluster": {"register", "heartbeat", "sweep", "declare_dead", "drain", "leave", "clock"},
    "server.cron": {
        "start_run", "skip_tick", "finish_run", "report_progress", "assert_run", "define_tasks", "retire_task",
        "clock",
    },
}  # fmt: skip


def values() -> dict[str, object]:
    """A value for every place in any of the statements: in the middle of what there is."""
    middle = datetime.now(UTC) - timedelta(hours=7)
    return {
        "name": "task-3",
        "task": "task-3",
        "node": "node-1",
        "names": ["node-1", "node-2"],
        "status": "failed",
        "since": middle - timedelta(hours=2),
        "until": middle + timedelta(hours=2),
        "before_at": middle,
        "before_id": 25_000,
        "id": 25_000,
        "limit": LIMIT,
        "user_id": 100,
        "before": 25_000,
        "request_id": UUID(int=7),
        "position": 25_000,
    }


def named_statements() -> dict[str, str]:
    """Every statement that reads for an answer over HTTP, or for the scheduler; by its name."""
    found = {
        "tasks": history_queries.tasks_query(),
        "task": history_queries.task_query(),
        "run": history_queries.run_query(),
        "nodes": roster._nodes_query(),
    }
    for package, file in (
        ("server.money", "ledger.sql"),
        ("server.web", "events.sql"),
        ("server.cluster", "nodes.sql"),
        ("server.cron", "runs.sql"),
    ):
        for name, statement in load(package, file).items():
            if name not in NOT_EXPLAINED[package]:
                found[f"{package} {name}"] = statement
    for count in range(len(FILTERS) + 1):
        for filters in combinations(FILTERS, count):
            found[f"runs by {', '.join(filters)}"] = history_queries.runs_query(frozenset(filters))
    return found


def scans(plan: dict) -> list[dict]:
    """Every place of a plan that reads a table."""
    below = [scan for part in plan.get("Plans", ()) for scan in scans(part)]
    return below + ([plan] if "Relation Name" in plan else [])


def test_every_query_finds_what_it_wants_in_a_long_history_by_an_index(database):
    fill(database)
    statements = named_statements()
    assert len(statements) > 70
    with database.connect() as connection:
        for name, statement in statements.items():
            ((plans,),) = connection.execute(f"explain (format json) {statement}", values()).fetchall()
            for scan in scans(plans[0]["Plan"]):
                if scan["Relation Name"] in GROWING:
                    assert scan["Node Type"] != "Seq Scan", (name, plans)
                    if name in EXACT and scan["Alias"] == "runs":
                        assert "Filter" not in scan, (name, plans)


def test_the_one_that_reads_the_whole_ledger_on_purpose_would_be_found(database):
    statement = load("server.money", "ledger.sql")["check"]
    with database.connect() as connection:
        query = f"explain (format json) {statement}"
        ((plans,),) = connection.execute(query, {"differences_max": 1}).fetchall()
    assert "Seq Scan" in {scan["Node Type"] for scan in scans(plans[0]["Plan"])}


def questions(reader, account: int) -> dict[str, object]:
    """What is asked over HTTP, as the handlers ask it; by its route."""
    now = datetime.now(UTC)
    ages = {
        "newest": now,
        "an hour old": now - timedelta(hours=1),
        "oldest": now - timedelta(seconds=RUNS - 20),
    }
    wanted = {
        "/runs": RunFilter(),
        "task": RunFilter(task="task-3"),
        "gone task": RunFilter(task="gone-task"),
        "node": RunFilter(node="node-2"),
        "gone node": RunFilter(node="gone-node"),
        "no node": RunFilter(node="nobody"),
        **{status: RunFilter(status=status) for status in STATUSES},
        **{f"since {age}": RunFilter(since=at) for age, at in ages.items()},
        **{f"until {age}": RunFilter(until=at) for age, at in ages.items()},
        **{f"page {age}": RunFilter(before_at=at, before_id=0) for age, at in ages.items()},
        "page of a task": RunFilter(task="task-3", before_at=ages["oldest"], before_id=0),
        "failed of a task": RunFilter(task="task-0", status="failed"),
        "failed of a task that never failed": RunFilter(task="task-3", status="failed"),
        "lost on a node": RunFilter(node="node-2", status="lost"),
        "lost on no node": RunFilter(node="nobody", status="lost"),
        "lost within an hour": RunFilter(status="lost", since=ages["an hour old"]),
        "task until long ago": RunFilter(task="task-3", until=ages["oldest"]),
    }
    bank, feed = Bank(reader, None, 5.0), Feed(reader)
    return {
        "/tasks": lambda: history.read_tasks(reader),
        "/tasks/{name}": lambda: history.read_task(reader, "task-3"),
        "/nodes": lambda: roster.read_members(reader),
        **{
            f"runs: {name}": lambda one=one: history.read_runs(reader, one, LIMIT)
            for name, one in wanted.items()
        },
        "/runs/{id}": lambda: history.read_run(reader, RUNS // 2),
        "/users/{id}": lambda: bank.account(account),
        "/users/{id}?at": lambda: bank.balance_at(account, now - timedelta(hours=1)),
        "/users/{id}/entries": lambda: bank.entries(account, None, LIMIT),
        "a page of entries": lambda: bank.entries(account, ENTRIES // 2, LIMIT),
        "/events?since": lambda: feed.after(RUNS // 2),
        "the place of an observer": lambda: feed.place(None),
        "what an observer is told": feed._read_progress,
    }


def test_no_question_over_http_reads_more_of_a_long_history_than_its_answer(database):
    account = fill(database)

    async def ask_all() -> dict[str, dict[str, tuple[int, int]]]:
        async with opened(database) as reader:
            return {name: await cost_of(reader, ask) for name, ask in questions(reader, account).items()}

    for name, cost in asyncio.run(ask_all()).items():
        assert {table: passes for table, (passes, _) in cost.items() if passes} == {}, (name, cost)
        # Of a run also its successor, of a moment some forty looks, of events a whole page.
        most = PAGE_EVENTS if name == "/events?since" else 10 * LIMIT
        assert sum(fetched for _, fetched in cost.values()) <= most, (name, cost)
