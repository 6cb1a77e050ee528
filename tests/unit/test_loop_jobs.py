"""Jobs in the node's loop: what they tell and print, how they end, and what they leave behind."""

import asyncio
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.cron.catalogue import Catalogue
from server.cron.context import RunSpec
from server.cron.loop_jobs import LoopJobs, refuse_plain_functions
from server.errors import ConfigurationError
from server.settings import Settings, TaskSettings


class Guard:
    """Stands for the tenure, its guardian and the runs' deadlines."""

    def __init__(self) -> None:
        self.guardian = self.deadlines = self
        self.can_be_told = True
        self.said: list[tuple[str, int]] = []

    def begin(self, run_id: int, timeout_seconds: float, *, in_loop: bool) -> bool:
        assert in_loop
        self.said.append(("begin", run_id))
        return self.can_be_told

    def hurry(self, run_id: int, why: str) -> None:
        self.said.append(("hurry", run_id))

    def end(self, run_id: int) -> None:
        self.said.append(("end", run_id))

    def end_strays(self) -> None:
        pass


class Bench:
    """Runs jobs as a node does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.guard = Guard()
        self.reports: list[tuple[int, dict]] = []
        self.jobs = LoopJobs(self.guard, lambda run_id, report: self.reports.append((run_id, report)))

    def start(self, function: str, *, run_id: int = 1, timeout: float = 60, **params):
        spec = RunSpec(
            run_id=run_id,
            task=function,
            node="node-1",
            function=function if ":" in function else f"loop_work:{function}",
            params=params,
            var=str(self.folder),
            scratch=str(self.folder / f"scratch-{run_id}"),
            database_url="",
        )
        return self.jobs.start(spec, timeout)

    async def outcome(self, function: str, **params):
        return await self.start(function, **params).done


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a coroutine that is given a bench; nothing that it printed or started is left."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)

    def execute(work):
        async def on_a_bench():
            bench = Bench(tmp_path)
            try:
                return await asyncio.wait_for(work(bench), 20)
            finally:
                bench.jobs.end()

        return asyncio.run(on_a_bench())

    return execute


def test_the_context_offers_in_the_loop_what_it_offers_in_a_process(run, tmp_path):
    async def work(bench):
        job = bench.start("greets", name="world", run_id=7)
        return await job.done, bench.reports

    outcome, reports = run(work)
    assert outcome.status == "succeeded"
    assert outcome.result == {"run": 7, "task": "greets", "node": "node-1", "cancelled": False}
    assert outcome.output == "hello, world\n"
    assert reports == [(7, {"done": 1, "total": 2, "message": "greeting world"})]


def test_what_a_job_prints_is_its_own_whichever_of_its_tasks_printed_it(run, capsys):
    async def work(bench):
        jobs = [bench.start("prints_everywhere", run_id=1), bench.start("greets", run_id=2, name="x")]
        print("the node's own words")
        return [await job.done for job in jobs]

    everywhere, greeting = run(work)
    assert everywhere.output.startswith("from a task of its own\n" * 2 + "from stderr\nTraceback")
    assert "KeyError: 'missing'" in everywhere.output
    assert greeting.output == "hello, x\n"
    assert capsys.readouterr().out == "the node's own words\n"


def test_the_last_64_kib_of_a_loop_jobs_output_are_kept(run):
    output = run(lambda bench: bench.outcome("prints_much")).output
    assert output.endswith("line 19999\n")
    assert 60_000 < len(output.encode()) <= 65_536


def test_a_failed_loop_job_has_its_traceback(run):
    outcome = run(lambda bench: bench.outcome("fails"))
    assert outcome.status == "failed"
    assert outcome.error.startswith("Traceback")
    assert outcome.error.endswith("RuntimeError: this job always fails\n")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("exits", "SystemExit: enough"),
        ("returns_nonsense", "not JSON serializable"),
        ("cancels_itself", "the job cancelled itself"),
        ("plain", "plain function: write `async def`, or say isolation: process"),
        ("nowhere:job", "No module named 'nowhere'"),
        ("loop_work:missing", "has no attribute 'missing'"),
    ],
)
def test_whatever_a_loop_job_does_wrong_fails_its_run_and_never_the_node(run, function, reason):
    outcome = run(lambda bench: bench.outcome(function))
    assert outcome.status == "failed"
    assert reason in outcome.error


def test_a_loop_job_is_asked_to_stop_by_a_cancel_and_the_first_reason_counts(run):
    async def work(bench):
        job = bench.start("cleans_up")
        await asyncio.sleep(0.01)
        bench.jobs.stop(1, "cancelled")
        bench.jobs.stop(1, "interrupted")
        return await job.done, bench.guard.said

    outcome, said = run(work)
    assert (outcome.status, outcome.error) == ("cancelled", "cancelled by an operator")
    assert outcome.output == "cleaned up, cancelled: True\n"
    assert said == [("begin", 1), ("hurry", 1), ("end", 1)]


def test_a_cancel_before_the_first_step_counts(run):
    async def work(bench):
        job = bench.start("greets", name="nobody")
        bench.jobs.stop_all("interrupted")
        return await job.done

    assert run(work).status == "interrupted"


def test_a_lost_loop_job_tells_nothing_whatever_was_asked_before(run):
    async def work(bench):
        job = bench.start("sleeps")
        await asyncio.sleep(0.01)
        bench.jobs.stop(1, "cancelled")
        bench.jobs.stop(1, "lost")
        return await job.done

    assert run(work).status == "lost"


def test_a_loop_job_that_outlasts_its_timeout_is_asked_to_stop(run):
    assert run(lambda bench: bench.outcome("sleeps", timeout=0.05)).status == "timed_out"


def test_what_a_job_returns_although_it_was_asked_to_stop_is_its_result(run):
    outcome = run(lambda bench: bench.outcome("finishes_first", timeout=0.05))
    assert (outcome.status, outcome.result) == ("succeeded", "as good as done")


def test_tasks_that_a_loop_job_leaves_behind_end_with_it(run):
    async def work(bench):
        import loop_work

        outcome = await bench.outcome("leaves_tasks")
        return outcome, [task.cancelled() for task in loop_work.leaves_tasks.started], bench.guard.said

    outcome, cancelled, said = run(work)
    assert (outcome.status, outcome.result) == ("succeeded", "done")
    assert cancelled == [True, True]
    assert said == [("begin", 1), ("hurry", 1), ("end", 1)], "and the guardian would have seen to it"


def test_a_run_is_not_over_while_a_task_of_it_goes_on(run):
    async def work(bench):
        import loop_work

        job = bench.start("leaves_tasks", stubborn=True)
        await asyncio.wait({job.done}, timeout=0.3)
        was_over = job.done.done()
        loop_work.leaves_tasks.may_end.set()
        for task in loop_work.leaves_tasks.started:
            task.cancel()
        return was_over, await job.done

    was_over, outcome = run(work)
    assert not was_over
    assert outcome.status == "succeeded"


def test_without_a_guardian_no_job_begins_in_the_loop(run):
    async def work(bench):
        bench.guard.can_be_told = False
        return await bench.outcome("greets", name="nobody"), bench.reports

    outcome, reports = run(work)
    assert (outcome.status, reports) == ("interrupted", [])


def test_the_scratch_folder_of_a_loop_job_goes_with_it(run, tmp_path):
    async def work(bench):
        await bench.outcome("greets", name="world")
        await asyncio.get_running_loop().shutdown_default_executor()

    run(work)
    assert list(tmp_path.iterdir()) == []


# Blocks


def told_of_a_block(run, function: str, seconds: float) -> list[dict]:
    """What was logged until the loop was free again."""

    async def work(bench):
        await bench.outcome(function, seconds=seconds)
        while lines[-1]["event"] != "the event loop goes on":
            await asyncio.sleep(0.01)

    with capture_logs() as lines:
        run(work)
    return lines


def test_a_job_that_blocks_the_loop_is_named_with_its_stack_once_and_so_is_the_end_of_it(run):
    told, goes_on = told_of_a_block(run, "blocks", 2.2)
    assert told["event"] == "a job blocks the event loop"
    assert (told["task"], told["run"]) == ("blocks", 1)
    assert "time.sleep(seconds)" in told["stack"]
    assert "in inner" in told["stack"].splitlines()[0], "from the loop on, and no further out"
    assert 1 <= goes_on["blocked_seconds"] < 10


def test_a_block_by_a_callback_names_the_jobs_that_may_be_the_reason(run):
    told, _ = told_of_a_block(run, "calls_back", 1.6)
    assert told["event"] == "the event loop is blocked"
    assert told["suspects"] == ["run 1 of calls_back"]


def test_two_blocks_are_told_twice(run):
    lines = told_of_a_block(run, "blocks_twice", 1.6)
    assert [line["event"] for line in lines] == [
        "a job blocks the event loop",
        "the event loop goes on",
    ] * 2


# At the start of a node


def catalogue(**functions: str) -> Catalogue:
    tasks = {
        name: TaskSettings(function=function, every=60.0, isolation="loop")
        for name, function in functions.items()
    }
    return Catalogue.from_settings(Settings(home=Path("/"), source="config.yaml", tasks=tasks))


def test_a_plain_function_in_the_loop_is_refused_at_the_start_with_its_task():
    with pytest.raises(ConfigurationError) as caught:
        refuse_plain_functions(catalogue(one="loop_work:plain", two="loop_work:greets"), "config.yaml")
    assert str(caught.value) == (
        "config.yaml: tasks.one: isolation: loop needs a coroutine, and loop_work:plain is a plain "
        "function: write `async def`, or say isolation: process"
    )


def test_a_function_that_cannot_be_found_yet_is_left_to_its_run():
    with capture_logs() as lines:
        refuse_plain_functions(catalogue(one="nowhere:job", two="loop_work:missing"), "config.yaml")
    assert [line["task"] for line in lines] == ["one", "two"]
