"""What operators may do with tasks and runs: run now, pause, resume, cancel.

Each is one call of a function of the database, which holds the rules and writes down who
asked; all may be repeated without harm. One that is sent again after a lost answer is
recorded again.
"""

from datetime import datetime

from server.access.audit import Origin
from server.cron.catalogue import Catalogue
from server.errors import RunNotFoundError, TaskNotFoundError, TaskRefusedError
from server.postgres.connections import Database
from server.postgres.statements import load

_STATEMENTS = load("server.cron", "operations.sql")


async def run_now(database: Database, name: str, origin: Origin) -> None:
    """Makes a task due at once; its owner starts it.

    Raises TaskNotFoundError, TaskRefusedError (it runs, is paused or retired),
    DatabaseUnavailableError.
    """
    outcome = (await database.row(_STATEMENTS["run_task"], {"name": name, "caller": origin.text})).outcome
    if outcome == "unknown":
        raise TaskNotFoundError(f"There is no task {name}.")
    if outcome == "running":
        raise TaskRefusedError(f"Task {name} is running already.")
    if outcome == "paused":
        raise TaskRefusedError(f"Task {name} is paused; resume it first.")
    if outcome == "retired":
        raise TaskRefusedError(f"Task {name} is retired: no configuration names it.")


async def pause(database: Database, name: str, origin: Origin) -> None:
    """Starts no new runs of a task; a running one goes on.

    Raises TaskNotFoundError, DatabaseUnavailableError.
    """
    if not (await database.row(_STATEMENTS["pause_task"], {"name": name, "caller": origin.text})).found:
        raise TaskNotFoundError(f"There is no task {name}.")


async def resume(database: Database, catalogue: Catalogue, name: str, origin: Origin) -> None:
    """Takes up a task's schedule again, with the first time that is still to come.

    Raises TaskNotFoundError, DatabaseUnavailableError.
    """
    new_next = await _first_time_to_come(database, catalogue, name)
    params = {"name": name, "new_next": new_next, "caller": origin.text}
    if not (await database.row(_STATEMENTS["resume_task"], params)).found:
        raise TaskNotFoundError(f"There is no task {name}.")


async def cancel(database: Database, run_id: int, origin: Origin) -> None:
    """Asks the holder of a run to stop it.

    Raises RunNotFoundError, TaskRefusedError (it has ended), DatabaseUnavailableError.
    """
    params = {"run_id": run_id, "caller": origin.text}
    outcome = (await database.row(_STATEMENTS["cancel_run"], params)).outcome
    if outcome == "unknown":
        raise RunNotFoundError(f"There is no run {run_id}.")
    if outcome == "ended":
        raise TaskRefusedError(f"Run {run_id} has ended.")


async def _first_time_to_come(database: Database, catalogue: Catalogue, name: str) -> datetime | None:
    """The next time after now; None leaves the stored one, which is to come, or not for us to compute."""
    rows = await database.rows(_STATEMENTS["paused_task"], {"name": name})
    if not rows or rows[0].next_run_at > rows[0].now:
        return None
    # A node that doesn't know the task leaves the time, and whoever owns it treats it as missed.
    task = catalogue.counting(name, rows[0].definition, rows[0].definition_hash)
    return None if task is None else task.following(rows[0].next_run_at, rows[0].now)
