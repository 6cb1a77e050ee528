"""Why a task is where it is, for those who ask."""

from server.cluster.placement import read_placement
from server.cron.history import read_task
from server.web.cluster import task_name
from server.web.handlers import JsonHandler
from server.web.routes import Route


class PlacementHandler(JsonHandler):
    """GET /tasks/{name}/placement: the owner, and why it is that one; or 404 task_not_found."""

    async def get(self, name: str) -> None:
        task = await read_task(self.services.database, task_name(name))
        self.answer(await read_placement(self.services.database, task.name))


def routes() -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/tasks/{name}/placement", PlacementHandler),)
