"""Runs jobs in processes of their own, which the guardian starts and ends.

The node holds the other end of each job's channel and of its output; so what a
job says and prints comes here without the guardian in between. A run is over
when the guardian has reaped the job and all that it started, and not before.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog

from server.cluster.guardianship import GuardianGoneError
from server.cluster.lease import boot_time
from server.cluster.tenure import Tenure
from server.cron.context import PACKET_BYTES_MAX, RunSpec

OUTPUT_BYTES_MAX = 65_536
GRACE_SECONDS = 1.0  # between asking a job to stop and killing it

Reason = Literal["cancelled", "timed_out", "interrupted", "lost"]
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a run ended. status: one of the runs table, or "lost": then nothing is recorded."""

    status: str
    result: Any = None
    output: str | None = None
    error: str | None = None


@dataclass
class Job:
    """One run while its processes live."""

    spec: RunSpec
    channel: socket.socket
    output_fd: int
    done: "asyncio.Future[Outcome]"
    output: bytearray = field(default_factory=bytearray)
    progress: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    reason: Reason | None = None
    pid: int | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    started_at: float = field(default_factory=boot_time)


class Executor:
    """All jobs of one tenure."""

    def __init__(self, tenure: Tenure, progressed: Callable[[int, dict[str, Any]], None]) -> None:
        self._tenure = tenure
        self._progressed = progressed
        self._loop = asyncio.get_running_loop()
        self.jobs: dict[int, Job] = {}

    def start(self, spec: RunSpec, timeout_seconds: float) -> Job:
        """Starts a job; its `done` gets the outcome when nothing of it is left.

        The guardian must be armed for it (Tenure.hold()).
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output_read, output_write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(output_read, False)
        ours.setblocking(False)
        Path(spec.scratch).mkdir(parents=True, mode=0o700)
        job = Job(spec, ours, output_read, self._loop.create_future())
        self.jobs[spec.run_id] = job
        self._loop.add_reader(ours, self._read_channel, job)
        self._loop.add_reader(output_read, self._read_output, job)
        try:
            ours.send(msgspec.json.encode(asdict(spec)))
            argv = [sys.executable, "-m", "server.cron.child"]
            self._tenure.guardian.start(spec.run_id, argv, (theirs.fileno(), output_write))
        except GuardianGoneError:
            self._close(job, Outcome("interrupted", error="the guardian was gone before the job began"))
        finally:
            theirs.close()
            os.close(output_write)
        job.timers.append(self._loop.call_later(timeout_seconds, self.stop, spec.run_id, "timed_out"))
        return job

    def stop(self, run_id: int, reason: Reason) -> None:
        """Asks a job to end, and kills it and all that it started if it doesn't.

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
        job.timers.append(self._loop.call_later(GRACE_SECONDS, self._kill, run_id))

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
                self._read_output(job)
                self._read_channel(job)
                self._close(job, self._judge(job, message["code"], message["peak_kib"]))

    def abandon_all(self, why: str) -> None:
        """Every job is known to be gone, and nobody told how it ended."""
        for job in list(self.jobs.values()):
            status = "lost" if job.reason == "lost" else "interrupted"
            self._close(job, Outcome(status, output=_text(job.output), error=why))

    def _kill(self, run_id: int) -> None:
        try:
            self._tenure.guardian.kill(run_id)
        except GuardianGoneError as error:
            # Its end is the end of all its jobs; the node is told by another way.
            log.warning("the guardian could not be told to kill", run=run_id, error=str(error))

    def _read_output(self, job: Job) -> None:
        while True:
            try:
                data = os.read(job.output_fd, 65_536)
            except BlockingIOError:
                return
            if not data:
                self._loop.remove_reader(job.output_fd)
                return
            job.output += data
            # Twice the limit, so that a talkative job does not cost a copy for each line.
            if len(job.output) > 2 * OUTPUT_BYTES_MAX:
                del job.output[:-OUTPUT_BYTES_MAX]

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
            message = msgspec.json.decode(data)
            if "progress" in message:
                job.progress = message["progress"]
                self._progressed(job.spec.run_id, message["progress"])
            else:
                job.outcome = message

    def _judge(self, job: Job, code: int, peak_kib: int) -> Outcome:
        output = _text(job.output)
        if job.reason == "lost":
            return Outcome("lost", error="the run was taken away")
        told = job.outcome or {}
        if told.get("outcome") == "returned":
            return Outcome("succeeded", told["result"], output)
        reason = job.reason
        if reason is None and job.started_at <= self._tenure.soft_stopped_at:
            # The soft stop kills from its own thread: the death may be heard of before the reason.
            reason = "interrupted"
        if reason is not None:
            return Outcome(reason, None, output, told.get("error") or _why(reason))
        if told.get("outcome") == "raised":
            return Outcome("failed", None, output, told["error"])
        if told.get("outcome") == "cancelled":
            return Outcome("failed", None, output, "the job cancelled itself")
        return Outcome("failed", None, output, _describe_death(code, peak_kib))

    def _close(self, job: Job, outcome: Outcome) -> None:
        self.jobs.pop(job.spec.run_id, None)
        for timer in job.timers:
            timer.cancel()
        self._loop.remove_reader(job.output_fd)
        self._loop.remove_reader(job.channel)
        os.close(job.output_fd)
        job.channel.close()
        # A job may have left much behind; removing it must not hold up the loop.
        self._loop.run_in_executor(None, lambda: shutil.rmtree(job.spec.scratch, ignore_errors=True))
        if not job.done.done():
            job.done.set_result(outcome)


def _why(reason: Reason) -> str:
    return {
        "cancelled": "cancelled by an operator",
        "timed_out": "ran longer than its timeout",
        "interrupted": "its node stopped; it is due again elsewhere",
        "lost": "the run was taken away",
    }[reason]


def _describe_death(code: int, peak_kib: int) -> str:
    peak = f"its memory had reached {peak_kib // 1024} MiB"
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return f"the job's process was ended by {name} before it told an outcome; {peak}"
    return f"the job's process ended with exit code {code} before it told an outcome; {peak}"


def _text(output: bytearray) -> str | None:
    # PostgreSQL's text takes every character but NUL.
    text = (
        bytes(output[-OUTPUT_BYTES_MAX:])
        .decode("utf-8", "replace")
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
    return text or None
