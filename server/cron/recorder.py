"""Tells the database how runs go and how they ended.

An ending is told until it is recorded or the run turns out to be lost: the
database answers a repeat with "already", so telling twice is safe.
"""

import asyncio
from typing import Any, cast

import psycopg
import structlog
from psycopg.types.json import Jsonb

from server.cluster.tenure import Tenure
from server.cron.outcome import Outcome
from server.errors import DatabaseUnavailableError
from server.postgres.connections import Database
from server.postgres.statements import load

PROGRESS_SECONDS = 1.0
RETRY_SECONDS = 1.0
STATEMENTS = load("server.cron", "runs.sql")

log = structlog.get_logger(__name__)


class Recorder:
    """The scheduler's pen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._progress: dict[int, dict[str, Any]] = {}

    def progressed(self, run_id: int, progress: dict[str, Any]) -> None:
        """Notes the newest progress of a run, for the next write."""
        self._progress[run_id] = progress

    async def write_progress(self, tenure: Tenure) -> frozenset[int]:
        """Writes what was noted, in one statement; returns the runs that are not ours any more."""
        reports, self._progress = self._progress, {}
        return await self._report(tenure, reports)

    async def _report(self, tenure: Tenure, reports: dict[int, dict[str, Any]]) -> frozenset[int]:
        if not reports:
            return frozenset()
        try:
            row = await self._database.row(
                STATEMENTS["report_progress"],
                {
                    "incarnation": tenure.incarnation,
                    "run_ids": list(reports),
                    "progress": [Jsonb(report) for report in reports.values()],
                },
                deadline_seconds=2,
            )
        except DatabaseUnavailableError:
            return frozenset()  # a newer report follows in a second; this one is worth no trouble
        except psycopg.Error as error:
            # One of them does not fit into the table; that costs this second's reports, and no run.
            log.error("progress could not be written", runs=list(reports), error=str(error))
            return frozenset()
        return frozenset(reports) - frozenset(row.accepted)

    async def finish(
        self, tenure: Tenure, run_id: int, outcome: Outcome, retry_after_seconds: float | None = None
    ) -> str:
        """Records an ending; returns recorded, already or lost."""
        last = self._progress.pop(run_id, None)
        if last is not None:
            # Or a run that reached its end would be kept with the report of a second before.
            await self._report(tenure, {run_id: last})
        params = {
            "run_id": run_id,
            "incarnation": tenure.incarnation,
            "status": outcome.status,
            "result": None if outcome.result is None else Jsonb(outcome.result),
            "output": outcome.output,
            "error": outcome.error,
            "retry_after_seconds": retry_after_seconds,
        }
        while not tenure.is_over:
            try:
                row = await self._database.row(STATEMENTS["finish_run"], params)
                return cast(str, row.answer)
            except DatabaseUnavailableError as error:
                log.debug("an ending waits for the database", run=run_id, error=str(error))
            except psycopg.Error as error:
                # The job's own text or result does not fit into the table. The ending must.
                log.error("an ending could not be recorded as it is", run=run_id, error=str(error))
                params |= {
                    "status": "failed",
                    "result": None,
                    "output": None,
                    "error": f"the database refused this run's result: {error.diag.message_primary}",
                }
            await asyncio.sleep(RETRY_SECONDS)
        return "lost"
