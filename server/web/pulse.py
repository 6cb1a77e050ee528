"""What the money path does now, for those who watch."""

from server.money.pulse import read_pulse
from server.web.handlers import JsonHandler
from server.web.routes import Route

SECONDS = 60
SECONDS_MAX = 300


class PulseHandler(JsonHandler):
    """GET /money/pulse: withdrawals, batches and refusals of the last seconds, of all nodes together.

    Query   seconds from 1 to 300 (60).
    Answer  200 {"at", "seconds": [...]}, oldest first; the second that has not ended is left out.
    """

    parameters = ("seconds",)

    async def get(self) -> None:
        seconds = self.query.whole_number("seconds", SECONDS, SECONDS_MAX)
        self.query.done()
        self.answer(await read_pulse(self.services.database, seconds))


def routes() -> tuple[Route, ...]:
    """The routes of this module."""
    return (Route("/money/pulse", PulseHandler),)
