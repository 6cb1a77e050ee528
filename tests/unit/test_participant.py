"""How a node ends its part in the cluster, where something else fails at the same moment."""

import asyncio

import pytest
from psycopg import OperationalError

from server import participant
from server.errors import DatabaseUnavailableError
from server.participant import Participant, StopRequest
from server.postgres.connections import Database
from server.settings import Settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/participant"


class Standin:
    """As much of a tenure and of its runner as is asked here: one run, whose ending nobody hears of."""

    held = frozenset({7})

    def __init__(self) -> None:
        self.said: list[str] = []
        self.is_replacing = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def replace_guardian(self) -> None:
        self.is_replacing.set()
        await self.may_go_on.wait()

    async def all_ended(self) -> None:
        await asyncio.Event().wait()

    def stop_all(self, reason: str) -> None:
        self.said.append(f"stop {reason}")

    def abandon_all(self, why: str) -> None:
        self.said.append(f"abandon: {why}")


@pytest.fixture
def taking_part(tmp_path):
    """Runs a coroutine that is given a participant whose database is away."""

    def execute(work):
        async def main():
            settings = Settings(home=tmp_path, source="test", tasks={}, cluster={"drain_seconds": 400})
            database = Database(NOWHERE, connections=1, name="node-1")
            database.pulse.failed("reads", OperationalError("away"))
            stop = StopRequest()
            stop.make_urgent()
            return await work(Participant(settings, 1, NOWHERE, database, stop))

        return asyncio.run(main())

    return execute


def test_endings_that_no_database_hears_of_are_not_waited_for(taking_part, monkeypatch):
    monkeypatch.setattr(participant, "FAST_STOP_SECONDS", 0.05)

    async def unheard(_: object) -> None:
        raise DatabaseUnavailableError("away")

    async def drain(one: Participant) -> list[str]:
        monkeypatch.setattr(one.membership, "drain", unheard)
        standin = Standin()
        await asyncio.wait_for(one._drain(standin, standin), 30)
        return standin.said

    assert taking_part(drain) == ["stop interrupted"]


def test_a_guardian_that_is_replaced_while_its_tenure_ends_takes_along_the_runs_of_that_tenure(taking_part):
    async def replace(one: Participant) -> tuple[list[str], list[str]]:
        old, new = Standin(), Standin()
        one.tenure = one._runner = old
        one._guardian_gone()
        await old.is_replacing.wait()
        one.tenure = one._runner = new
        old.may_go_on.set()
        await one._guardian_task
        return old.said, new.said

    of_old, of_new = taking_part(replace)
    assert [words.partition(":")[0] for words in of_old] == ["abandon"]
    assert of_new == []
