"""The jobs that need no database: their results against what is known, and their pace."""

import gzip
import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, ClassVar

import pytest

from server import settings
from server.jobs import external_sort, log_compression, log_folder, pace, pi, primes, ring_spread
from server.jobs.balances import Tally
from server.jobs.hourly_volume import Volume, count_late
from server.jobs.pace import Pace, Passes, Timetable
from server.jobs.reconciliation import DIFFERENCES_MAX, Account, Findings

SHORT_SECONDS = 0.05


class CancelledError(Exception):
    """What this file's context raises where the real one raises JobCancelled."""


@dataclass
class LocalContext:
    """A job's context in this very process; cancelled from its n-th sleep on, if so asked."""

    var: Path
    scratch: Path
    run_id: int = 7
    task: str = "a-task"
    node: str = "node-1"
    sleeps_left: int | None = None
    slept_seconds: float = 0.0
    reports: list[tuple[float, float, str]] = field(default_factory=list)
    on_progress: Callable[[], None] = lambda: None

    connect: ClassVar[Any] = None

    @property
    def cancelled(self) -> bool:
        return self.sleeps_left == 0

    def progress(self, done: float, total: float, message: str = "") -> None:
        self.reports.append((done, total, message))
        self.on_progress()

    def sleep(self, seconds: float) -> None:
        if self.sleeps_left is not None:
            if self.sleeps_left == 0:
                raise CancelledError
            self.sleeps_left -= 1
        self.slept_seconds += seconds
        sleep(seconds)


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    (tmp_path / "var" / "log").mkdir(parents=True)
    (tmp_path / "scratch").mkdir()
    return LocalContext(tmp_path / "var", tmp_path / "scratch")


JOBS: dict[str, Callable[[LocalContext, float], Any]] = {
    "primes": lambda context, seconds: primes.sieve_primes(context, seconds, limit=100_000),
    "pi": lambda context, seconds: pi.estimate_pi(context, seconds, points=1_000, replicates=8),
    "sort": lambda context, seconds: external_sort.sort_large_file(context, seconds, 1 << 18, 1 << 16),
    "ring": lambda context, seconds: ring_spread.hash_ring_spread(context, seconds, memberships=3),
    "logs": log_compression.compress_logs,
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_lasts_its_minimum_and_reports_progress_up_to_its_total(name, context):
    began = monotonic()
    JOBS[name](context, 0.3)
    assert monotonic() - began >= 0.3
    done = [done / total for done, total, _ in context.reports]
    assert len(done) >= 3
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_each_shipped_task_is_another_job_and_takes_the_parameters_that_it_is_given(project):
    tasks = settings.load(str(project / "config.yaml"), {}).tasks
    assert len(tasks) == len({task.function for task in tasks.values()}) == 10
    kinds = set()
    for name, task in tasks.items():
        module, _, attribute = task.function.partition(":")
        function = getattr(importlib.import_module(module), attribute)
        inspect.signature(function).bind(None, **task.params)
        kinds.add(inspect.iscoroutinefunction(function))
        assert task.params["minimum_seconds"] >= 120, name
        assert (task.first, task.timeout_seconds) == ("now", 600), name
        assert task.cron or 180 <= task.every <= 900, name
    assert kinds == {True, False}, "coroutines and plain functions"


@pytest.mark.parametrize("name", JOBS)
def test_a_cancelled_job_ends_at_its_next_pause(name, context):
    context.sleeps_left = 2
    with pytest.raises(CancelledError):
        JOBS[name](context, 1.0)
    assert len(context.reports) <= 3, "each report is followed by a pause, also when the work is late"


def test_who_is_late_still_rests_as_long_as_it_worked(context, monkeypatch):
    now, slept = [1_000.0], []
    monkeypatch.setattr(pace, "monotonic", lambda: now[0])
    monkeypatch.setattr(context, "sleep", slept.append)
    steps = Pace(context, 60.0)
    now[0] += 100
    steps.reached(1, 2)
    now[0] += 0.25
    steps.reached(2, 2)
    assert slept == [1.0, 0.25], "a second at most"


def test_no_step_is_due_before_its_share_of_the_time():
    timetable = Timetable(120.0, now=1_000.0)
    assert timetable.seconds_early(0, 60, now=1_000.0) == 0.0
    assert timetable.seconds_early(15, 60, now=1_010.0) == 20.0
    assert timetable.seconds_early(60, 60, now=1_100.0) == 20.0
    assert timetable.seconds_early(90, 60, now=1_100.0) == 20.0, "more than all is all"
    assert timetable.seconds_early(15, 60, now=1_050.0) == -20.0, "late: go on at once"
    assert timetable.seconds_early(0, 0, now=1_000.0) == 120.0, "nothing to do is done"


def test_the_rest_is_as_long_as_the_work_but_a_stopped_process_has_not_worked():
    timetable = Timetable(120.0, now=1_000.0)
    assert timetable.rest_seconds(now=1_000.5) == 0.5
    assert timetable.rest_seconds(now=1_060.0) == 1.0
    timetable.resume(now=1_061.0)
    assert timetable.rest_seconds(now=1_061.25) == 0.25


def test_a_negative_minimum_is_no_minimum(context):
    Pace(context, -5.0).reached(1, 1)
    assert context.slept_seconds < 1


@pytest.mark.parametrize(
    ("items", "plan"),
    [
        (0, Passes(1, 60)),
        (1, Passes(1, 60)),
        (45, Passes(1, 2)),
        (60, Passes(1, 1)),
        (6_000, Passes(100, 1)),
        (10**6, Passes(500, 1)),
    ],
)
def test_few_items_are_gone_over_often_and_many_once(items, plan):
    assert Passes.over(items, page_items_max=500) == plan


def test_every_plan_has_steps_enough_to_show_progress():
    for items in (*range(500), 29_999, 30_000, 30_001, 10**7):
        plan = Passes.over(items, page_items_max=500)
        pages = max(1, math.ceil(items / plan.page_items))
        assert plan.count * pages >= 60, items


@pytest.mark.parametrize("limit", [10, 11, 97, 100, 101, 1_000, 9_999, 10_000, 100_003])
def test_the_sieve_counts_what_trial_division_counts(limit, context):
    expected = [n for n in range(2, limit + 1) if all(n % d for d in range(2, math.isqrt(n) + 1))]
    found = primes.sieve_primes(context, SHORT_SECONDS, limit=limit)
    assert (found["primes"], found["largest"]) == (len(expected), expected[-1])
    assert list(found["verified"]) == [str(n) for n in primes.PRIMES_UP_TO if n <= limit]


@pytest.mark.parametrize("odds_max", [1, 2, 3, 7, 64, 10_000])
def test_the_sieve_finds_the_same_primes_in_segments_of_any_length(odds_max):
    found = [
        low + 2 * index
        for low, odds in primes.segments(3_000, odds_max)
        for index, is_prime in enumerate(odds)
        if is_prime
    ]
    assert [2, *found] == primes.small_primes(3_000)


def test_the_sieve_refuses_a_count_that_is_not_the_published_one(context, monkeypatch):
    monkeypatch.setitem(primes.PRIMES_UP_TO, 1_000, 169)
    with pytest.raises(ArithmeticError, match="168 primes up to 1000, and not 169"):
        primes.sieve_primes(context, SHORT_SECONDS, limit=10_000)


def test_pi_lies_within_the_error_that_the_estimate_states(context):
    found = pi.estimate_pi(context, SHORT_SECONDS, points=20_000, replicates=16, seed=1)
    assert abs(found["estimate"] - math.pi) == pytest.approx(abs(found["deviation"]))
    assert abs(found["deviationInErrors"]) < 4
    assert found["standardError"] < found["plainStandardError"] / 5, "better than plain random points"
    assert found["samples"] == 320_000


def test_pi_from_one_seed_is_the_same_again_and_from_another_is_not(context):
    estimates = [
        pi.estimate_pi(context, 0.0, points=1_000, replicates=4, seed=seed)["estimate"] for seed in (1, 1, 2)
    ]
    assert estimates[0] == estimates[1] != estimates[2]


def test_a_file_of_many_times_the_memory_is_sorted(context):
    found = external_sort.sort_large_file(context, SHORT_SECONDS, file_bytes=640_000, memory_bytes=64_000)
    assert (found["records"], found["runs"]) == (10_000, 20)
    data = (context.scratch / "result").read_bytes()
    records = [data[start : start + 64] for start in range(0, len(data), 64)]
    source = Random(context.run_id).randbytes(640_000)
    assert records == sorted(source[start : start + 64] for start in range(0, len(source), 64))
    assert [path.name for path in context.scratch.iterdir()] == ["result"]


def test_a_sorted_file_with_a_changed_record_is_refused(context, monkeypatch):
    verify = external_sort.Sort.verify

    def spoil(sort: external_sort.Sort, result: Path) -> int:
        data = bytearray(result.read_bytes())
        data[-1] ^= 1
        result.write_bytes(data)
        return verify(sort, result)

    monkeypatch.setattr(external_sort.Sort, "verify", spoil)
    with pytest.raises(RuntimeError, match="other records than the source"):
        external_sort.sort_large_file(context, 0.0, 1 << 16, 1 << 14)


def test_a_file_out_of_order_is_refused(context, monkeypatch):
    monkeypatch.setattr(external_sort, "merge", lambda *runs: (record for run in runs for record in run))
    with pytest.raises(RuntimeError, match="out of order"):
        external_sort.sort_large_file(context, 0.0, 1 << 16, 1 << 14)


def test_a_sort_that_would_need_too_many_runs_is_refused(context):
    with pytest.raises(ValueError, match="1 to 256 runs"):
        external_sort.sort_large_file(context, 0.0, file_bytes=1 << 30, memory_bytes=1 << 16)


def test_the_ring_keeps_its_promises_in_generated_memberships(context):
    found = ring_spread.hash_ring_spread(context, SHORT_SECONDS, memberships=20, seed=3)
    assert found["memberships"] == 20
    assert found["spreadMost"] <= 1
    assert 1.0 <= found["leave"]["ratio"] < 4
    assert 1.0 <= found["join"]["ratio"] < 4


def test_a_ring_that_gives_everything_to_one_node_is_found_out(context, monkeypatch):
    monkeypatch.setattr(ring_spread.ring, "assign", lambda tasks, nodes: dict.fromkeys(tasks, min(nodes)))
    with pytest.raises(RuntimeError, match=r"membership \d+ of seed 3: .* differ by"):
        ring_spread.hash_ring_spread(context, SHORT_SECONDS, memberships=20, seed=3)


def test_a_ring_that_gives_tasks_to_nodes_which_do_not_know_them_is_found_out(context, monkeypatch):
    assign = ring_spread.ring.assign
    monkeypatch.setattr(ring_spread.ring, "assign", lambda tasks, nodes: assign(tasks, dict.fromkeys(nodes)))
    with pytest.raises(RuntimeError, match=r"does not know it|no owner"):
        ring_spread.hash_ring_spread(context, SHORT_SECONDS, memberships=20, seed=3)


def test_rotated_logs_become_archives_and_live_logs_stay(context):
    logs = context.var / "log"
    text = b"a line of a log\n" * 50_000
    (logs / "node-1.log").write_bytes(b"live\n")
    (logs / "node-1.log.1").write_bytes(text)
    (logs / "node-2.log.12").write_bytes(b"")
    (logs / "notes.txt").write_bytes(b"mine\n")
    (logs / "node-3.log.1").symlink_to(logs / "notes.txt")
    found = log_compression.compress_logs(context, SHORT_SECONDS)
    assert (found["compressed"], found["rawBytes"], found["damaged"]) == (2, len(text), [])
    assert found["archiveBytes"] < len(text) / 20
    assert found["verified"] > 0, "looks that found no log verified the archives"
    names = sorted(path.name for path in logs.iterdir())
    first, second = (name for name in names if name.endswith(".gz"))
    assert names == ["node-1.log", first, second, "node-3.log.1", "notes.txt"]
    assert (first.startswith("node-1.log."), second.startswith("node-2.log.")) == (True, True)
    assert gzip.decompress((logs / first).read_bytes()) == text


def test_a_rotated_log_that_still_grows_is_left_alone(context):
    log = context.var / "log" / "node-1.log.1"

    def grow() -> None:
        with log.open("ab") as file:
            file.write(b"one more line\n")

    grow()
    context.on_progress = grow
    found = log_compression.compress_logs(context, SHORT_SECONDS)
    assert found["compressed"] == 0
    assert log.read_bytes() == b"one more line\n" * 61


def test_a_log_that_was_rotated_meanwhile_is_compressed_too(context):
    logs = context.var / "log"

    def rotate() -> None:
        if len(context.reports) == 10:
            (logs / "node-1.log.1").write_bytes(b"late\n")

    context.on_progress = rotate
    assert log_compression.compress_logs(context, SHORT_SECONDS)["compressed"] == 1


def test_the_original_stays_when_its_archive_does_not_hold_the_same(context, monkeypatch):
    log = context.var / "log" / "node-1.log.20250101T000000-7.rotated"
    log.write_bytes(b"precious\n")
    monkeypatch.setattr(log_folder.LogFolder, "read_archive", lambda *_: log_folder.Digest(0, ""))
    with pytest.raises(RuntimeError, match="does not hold what the log holds"):
        log_compression.compress_logs(context, SHORT_SECONDS)
    assert [path.name for path in log.parent.iterdir()] == [log.name]
    assert log.read_bytes() == b"precious\n"


def test_a_log_that_a_killed_run_had_taken_is_finished_by_the_next(context):
    log = context.var / "log" / "node-1.log.20250101T000000-7.rotated"
    log.write_bytes(b"precious\n")
    log.with_suffix(".partial").write_bytes(b"half an archive")
    log.with_suffix(".gz").write_bytes(b"")
    assert log_compression.compress_logs(context, SHORT_SECONDS)["compressed"] == 1
    assert [path.name for path in log.parent.iterdir()] == ["node-1.log.20250101T000000-7.gz"]
    assert gzip.decompress(log.with_suffix(".gz").read_bytes()) == b"precious\n"


def test_a_damaged_archive_is_named_and_stays(context):
    logs = context.var / "log"
    whole = gzip.compress(b"a line\n" * 1_000)
    for number, data in enumerate((whole, whole[:-9], b"no archive", bytes([*whole[:12], *whole[14:]]))):
        (logs / f"node-1.log.20250101T00000{number}-7.gz").write_bytes(data)
    found = log_compression.compress_logs(context, SHORT_SECONDS)
    assert found["damaged"] == [f"node-1.log.20250101T00000{number}-7.gz" for number in (1, 2, 3)]
    assert found["archives"] == 4


def test_only_the_newest_archives_of_each_log_are_kept(context):
    logs = context.var / "log"
    for hour in range(5):
        (logs / f"node-1.log.20250101T0{hour}0000-7.gz").write_bytes(gzip.compress(b"old\n"))
    (logs / "node-2.log.20240101T000000-7.gz").write_bytes(gzip.compress(b"another's\n"))
    (logs / "node-1.log.1").write_bytes(b"new\n")
    found = log_compression.compress_logs(context, SHORT_SECONDS, archives_kept=2)
    assert (found["compressed"], found["removed"], found["archives"]) == (1, 4, 3)
    kept = sorted(path.name for path in logs.iterdir())
    assert kept[0] == "node-1.log.20250101T040000-7.gz"
    assert kept[2] == "node-2.log.20240101T000000-7.gz"


def test_a_folder_that_is_not_there_has_no_logs(context):
    found = log_compression.compress_logs(context, SHORT_SECONDS, folder="nowhere")
    assert (found["compressed"], found["archives"], found["liveBytes"]) == (0, 0, 0)


@pytest.mark.parametrize("cut", [1, 2, 5, 1_000])
def test_the_lines_of_a_snapshot_add_up_wherever_the_chunks_are_cut(cut):
    data = b"id,balance\n1,10000\n2,0\n3,25\n"
    tally = Tally()
    for start in range(0, len(data), cut):
        tally.add(data[start : start + cut])
    assert (tally.accounts, tally.total, dict(tally.digits)) == (3, 10_025, {5: 1, 1: 1, 2: 1})


def test_differences_are_all_counted_and_the_first_are_named(capsys):
    findings = Findings()
    findings.judge(Account(number, balance=5, newest_id=1, summed=5 + number % 2) for number in range(300))
    assert (findings.compared, findings.differing) == (300, 150)
    assert len(findings.differences) == DIFFERENCES_MAX
    assert findings.differences[1] == {"userId": 1, "balance": 5, "entriesSum": 6}
    assert capsys.readouterr().out.startswith("account 1: balance 5, entries 6\n")


def test_later_counts_may_find_late_entries_and_never_fewer():
    hour = datetime(2025, 1, 1, tzinfo=UTC)
    assert count_late({hour: Volume(3, 10, 2)}, {hour: Volume(5, 12, 2)}) == 2
    assert count_late({}, {hour: Volume(5, 12, 2)}) == 5
    with pytest.raises(RuntimeError, match=r"entries of 2025-01-01T00:00:00\+00:00 vanished"):
        count_late({hour: Volume(3, 10, 2)}, {})
