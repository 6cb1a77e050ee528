"""Taking a name while the database is not as it should be."""

import asyncio

from structlog.testing import capture_logs

from server.cluster.heartbeat import Pace
from server.cluster.registration import Registrar

REGISTRATION = {
    "name": "node-1",
    "host": "alpha",
    "pid": 1,
    "url": "http://alpha",
    "version": "1",
    "tasks": [],
    "ttl_seconds": 15.0,
    "boot_id": "boot",
    "lock_path": "/l",
    "lock_device": 1,
    "lock_inode": 1,
}


def test_a_server_that_takes_no_writes_is_waited_for(database):
    async def register(owner) -> int:
        registrar = Registrar(database.application_url, "node-1", Pace(1.0, 15.0, 2.0, proof_of_death=False))
        registering = asyncio.create_task(registrar.register(REGISTRATION))
        async with asyncio.timeout(20):
            while not any("waiting for the database" in line["event"] for line in log):
                assert not registering.done(), registering.exception()
                await asyncio.sleep(0.01)
            owner.execute(f"alter database {database.name} set default_transaction_read_only = off")
            incarnation, _ = await registering
        return incarnation

    with database.connect_as_owner() as owner, capture_logs() as log:
        owner.execute(f"alter database {database.name} set default_transaction_read_only = on")
        assert asyncio.run(register(owner)) > 0
