"""Tasks, runs and nodes: what there is, and what an operator may do about it."""

from msgspec import Struct

from server.cluster.roster import Member, read_members
from server.cron import operations
from server.cron.catalogue import Catalogue
from server.cron.history import (
    STATUSES,
    Run,
    RunFilter,
    TaskState,
    read_run,
    read_runs,
    read_task,
    read_tasks,
)
from server.errors import TaskNotFoundError
from server.money.amounts import parse_nothing
from server.web.handlers import JsonHandler
from server.web.parameters import cursor_in_time, id_in_path, is_name
from server.web.routes import Route
from server.web.services import Services

PAGE_RUNS = 100
PAGE_RUNS_MAX = 1000
DURATIONS_MAX = 100


class TaskList(Struct, frozen=True):
    """All tasks, by name."""

    tasks: list[TaskState]


class RunsPage(Struct, frozen=True):
    """Runs newest first; next: the cursor of the page that follows, null at the end."""

    runs: list[Run]
    next: str | None


class NodeList(Struct, frozen=True):
    """All nodes, by name."""

    nodes: list[Member]


class TasksHandler(JsonHandler):
    """GET /tasks: 200 {"tasks": [...]}, with owner, running and last run; the retired ones, too.

    Query   durations from 1 to 100: each task also tells how long so many of its last runs took.
    """

    parameters = ("durations",)

    async def get(self) -> None:
        durations = self.query.whole_number_or_none("durations", DURATIONS_MAX)
        self.query.done()
        self.answer(TaskList(await read_tasks(self.services.database, durations)))


class TaskHandler(JsonHandler):
    """GET /tasks/{name}: one of them, or 404 task_not_found."""

    async def get(self, name: str) -> None:
        self.answer(await read_task(self.services.database, task_name(name)))


class RunTaskHandler(JsonHandler):
    """POST /tasks/{name}/run: makes it due at once.

    Answer  202 the task; it starts within a moment, on the node that owns it.
    Errors  404 task_not_found   409 task_refused: it is running, paused or retired
    """

    async def post(self, name: str) -> None:
        parse_nothing(self.body())
        await operations.run_now(self.services.database, task_name(name), self.origin)
        self.answer(await read_task(self.services.database, name), 202)


class PauseTaskHandler(JsonHandler):
    """POST /tasks/{name}/pause: 200 the task, which starts no more runs; 404 task_not_found."""

    async def post(self, name: str) -> None:
        parse_nothing(self.body())
        await operations.pause(self.services.database, task_name(name), self.origin)
        self.answer(await read_task(self.services.database, name))


class ResumeTaskHandler(JsonHandler):
    """POST /tasks/{name}/resume: 200 the task, whose schedule counts again; 404 task_not_found."""

    def initialize(self, services: Services, route: str, catalogue: Catalogue) -> None:
        self.begin(services, route)
        self.catalogue = catalogue

    async def post(self, name: str) -> None:
        parse_nothing(self.body())
        await operations.resume(self.services.database, self.catalogue, task_name(name), self.origin)
        self.answer(await read_task(self.services.database, name))


class RunsHandler(JsonHandler):
    """GET /runs: the history, newest first by the start.

    Query   task, node, status; since and until (of the start, since <= t < until);
            limit from 1 to 1000 (100), cursor from `next` of the page before.
    Answer  200 {"runs": [...], "next": null | cursor}
    """

    parameters = ("task", "node", "status", "since", "until", "limit", "cursor")

    async def get(self) -> None:
        before_at, before_id = self.query.place_in_time("cursor", "run")
        wanted = RunFilter(
            task=self.query.name("task"),
            node=self.query.name("node"),
            status=self.query.choice("status", STATUSES),
            since=self.query.moment("since"),
            until=self.query.moment("until"),
            before_at=before_at,
            before_id=before_id,
        )
        limit = self.query.whole_number("limit", PAGE_RUNS, PAGE_RUNS_MAX)
        self.query.done()
        runs, more = await read_runs(self.services.database, wanted, limit)
        self.answer(RunsPage(runs, cursor_in_time("run", runs[-1].started_at, runs[-1].id) if more else None))


class RunHandler(JsonHandler):
    """GET /runs/{runId}: a run with its output, or 404 run_not_found."""

    async def get(self, run_id: str) -> None:
        self.answer(await read_run(self.services.database, id_in_path("runId", run_id)))


class CancelRunHandler(JsonHandler):
    """POST /runs/{runId}/cancel: asks its node to stop it.

    Answer  202 the run, which ends as cancelled within a moment.
    Errors  404 run_not_found   409 task_refused: it has ended
    """

    async def post(self, run_id: str) -> None:
        parse_nothing(self.body())
        number = id_in_path("runId", run_id)
        await operations.cancel(self.services.database, number, self.origin)
        self.answer(await read_run(self.services.database, number), 202)


class NodesHandler(JsonHandler):
    """GET /nodes: 200 {"nodes": [...]}, with their lease, what they own and what they run."""

    async def get(self) -> None:
        self.answer(NodeList(await read_members(self.services.database)))


def task_name(text: str) -> str:
    """A task's name out of a path. Raises TaskNotFoundError for what no task can be called."""
    if not is_name(text):
        raise TaskNotFoundError("There is no task of this name.")
    return text


def routes(services: Services) -> tuple[Route, ...]:
    """The routes of this module."""
    catalogue = Catalogue.from_settings(services.settings)
    return (
        Route("/tasks", TasksHandler),
        Route("/tasks/{name}", TaskHandler),
        Route("/tasks/{name}/run", RunTaskHandler),
        Route("/tasks/{name}/pause", PauseTaskHandler),
        Route("/tasks/{name}/resume", ResumeTaskHandler, {"catalogue": catalogue}),
        Route("/runs", RunsHandler),
        Route("/runs/{runId}", RunHandler),
        Route("/runs/{runId}/cancel", CancelRunHandler),
        Route("/nodes", NodesHandler),
    )
