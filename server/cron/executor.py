"""Runs jobs in processes of their own, which the guardian starts and ends.

The node holds the other end of each job's channel and of its output; so what a
job says and prints comes here without the guardian in between. A run is over
when the guardian has reaped the job and all that it started, and not before.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import structlog

from server.cluster.guardianship import GuardianGoneError
from server.cluster.tenure import Tenure
from server.cron.context import PACKET_BYTES_MAX, RunSpec
from server.cron.outcome import Outcome, Output, Reason, describe_death, judge, progress_report

READ_BYTES_MAX = 65_536  # at once; a job that prints without end must not hold up the loop

log = structlog.get_logger(__name__)


@dataclass
class Job:
    """One run while its processes live."""

    spec: RunSpec
    channel: socket.socket
    output_fd: int
    done: "asyncio.Future[Outcome]"
    output: Output = field(default_factory=Output)
    outcome: dict[str, Any] | None = None
    reason: Reason | None = None
    pid: int | None = None
    timer: asyncio.TimerHandle | None = None


class Executor:
    """All jobs of one tenure."""

    def __init__(self, tenure: Tenure, progressed: Callable[[int, dict[str, Any]], None]) -> None:
        self._tenure = tenure
        self._progressed = progressed
        self._loop = asyncio.get_running_loop()
        self.jobs: dict[int, Job] = {}

    def start(self, spec: RunSpec, timeout_seconds: float) -> Job:
        """Starts a job; its `done` gets the outcome when nothing of it is left.

        The guardian must be armed for it (Tenure.hold()). Raises OSError if this
        node has no room for it.
        """
        Path(spec.scratch).mkdir(parents=True, mode=0o700)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output_read, output_write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(output_read, False)
        ours.setblocking(False)
        job = Job(spec, ours, output_read, self._loop.create_future())
        self.jobs[spec.run_id] = job
        self._loop.add_reader(ours, self._read_channel, job)
        self._loop.add_reader(output_read, self._read_output, job)
        try:
            ours.send(msgspec.json.encode(asdict(spec)))
            # -P: a module beside config.yaml is found last (functions.py), not first.
            argv = [sys.executable, "-P", "-m", "server.cron.child"]
            self._tenure.guardian.start(spec.run_id, argv, (theirs.fileno(), output_write))
            self._tenure.deadlines.begin(spec.run_id, timeout_seconds)
        except GuardianGoneError:
            self._close(job, Outcome("interrupted", error="the guardian was gone before the job began"))
        except OSError as error:
            self._close(job, Outcome("failed", error=f"the job could not be told what to do: {error}"))
        finally:
            theirs.close()
            os.close(output_write)
        job.timer = self._loop.call_later(timeout_seconds, self.stop, spec.run_id, "timed_out")
        return job

    def stop(self, run_id: int, reason: Reason) -> None:
        """Asks a job to end; the guardian kills it and all that it started if it doesn't.

        The first reason counts, except that a lost run stays lost.
        """
        job = self.jobs.get(run_id)
        if job is None:
            return
        if reason == "lost":
            job.reason = "lost"
            self._kill(run_id)
            return
        if job.reason is not None:
            return
        job.reason = reason
        try:
            job.channel.send(msgspec.json.encode({"cancel": reason}))
        except OSError as error:
            log.debug("a job could not be asked to stop", run=run_id, error=str(error))
        self._tenure.deadlines.hurry(run_id, reason)

    def stop_all(self, reason: Reason) -> None:
        """Asks every job to end; see stop()."""
        for run_id in list(self.jobs):
            self.stop(run_id, reason)

    def told(self, message: dict[str, Any]) -> None:
        """The guardian's word about one run."""
        job = self.jobs.get(message["run"])
        if job is None:
            return
        match message["is"]:
            case "started":
                job.pid = message["pid"]
            case "refused":
                self._close(
                    job, Outcome("interrupted", error=f"the guardian refused it: {message['reason']}")
                )
            case "ended":
                while self._read_output(job):  # all that could write is gone
                    pass
                self._read_channel(job)
                # The guardian has a reason of its own if this loop was too late to have one.
                job.reason = job.reason or message["why"]
                death = describe_death(message["code"], message["peak_kib"])
                self._close(job, judge(job.reason, job.outcome, job.output.text, death))

    def abandon_all(self, why: str) -> None:
        """Every job is known to be gone, and nobody told how it ended."""
        for job in list(self.jobs.values()):
            status = "lost" if job.reason == "lost" else "interrupted"
            self._close(job, Outcome(status, output=job.output.text, error=why))

    def _kill(self, run_id: int) -> None:
        try:
            self._tenure.guardian.kill(run_id)
        except GuardianGoneError as error:
            # Its end is the end of all its jobs; the node is told by another way.
            log.warning("the guardian could not be told to kill", run=run_id, error=str(error))

    def _read_output(self, job: Job) -> bool:
        """Takes some of what the job printed; False if nothing is left for now."""
        try:
            data = os.read(job.output_fd, READ_BYTES_MAX)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(job.output_fd)
            return False
        job.output.add(data)
        return True

    def _read_channel(self, job: Job) -> None:
        while True:
            try:
                data = job.channel.recv(PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                data = b""  # reset by a job that died in the middle of a packet
            if not data:
                self._loop.remove_reader(job.channel)
                return
            try:
                self._hear(job, msgspec.json.decode(data))
            except (msgspec.DecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
                # Not by the context: the job wrote to its channel itself.
                log.warning("a job's message makes no sense", run=job.spec.run_id, error=str(error))

    def _hear(self, job: Job, message: Any) -> None:
        if "progress" in message:
            report = message["progress"]
            report = progress_report(report["done"], report["total"], report["message"])
            self._progressed(job.spec.run_id, report)
        else:
            job.outcome = dict(message)

    def _close(self, job: Job, outcome: Outcome) -> None:
        self.jobs.pop(job.spec.run_id, None)
        self._tenure.deadlines.end(job.spec.run_id)
        if job.timer is not None:
            job.timer.cancel()
        self._loop.remove_reader(job.output_fd)
        self._loop.remove_reader(job.channel)
        os.close(job.output_fd)
        job.channel.close()
        # A job may have left much behind; removing it must not hold up the loop.
        self._loop.run_in_executor(None, lambda: shutil.rmtree(job.spec.scratch, ignore_errors=True))
        if not job.done.done():
            job.done.set_result(outcome)
