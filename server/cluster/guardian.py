"""The guardian: a small process beside each node, the parent of all its jobs.

Run as a script, by its path and with the standard library alone, so that it
starts in some 20 ms, takes 10 MB, and shares no thread, lock or event loop with
the node that it watches.

Authority
    The node says what to start and, as an absolute CLOCK_BOOTTIME, until when it
    may hold runs ("arm"). The guardian needs nobody else to enforce that: at the
    deadline it kills every job, and the node too if a job was still there.
    Each run has a deadline besides ("limit"): its timeout, or a moment after it was
    asked to end. Past it its process is killed; for a run in the node's own loop the
    node is, since the loop that would end that run may be what it blocks.

States
    disarmed        starts nothing
    armed(until)    starts jobs while the clock is before `until`
    node gone       kills and reaps all descendants, then ends

Promises
    "ended" is sent after the job and all that it started are reaped: a job is
    the subreaper of its descendants, and when it dies the kernel gives them to
    the guardian, which kills whatever child it did not start itself.
    The guardian and its jobs hold the node's lock file open, so the lock is free
    only when the last of them is gone.

Failures
    node killed          pidfd readable -> all descendants killed, reaped; exit
    node frozen          no new "arm" -> everything killed at the deadline
    guardian killed      PR_SET_PDEATHSIG kills the jobs; the node reaps the rest
    guardian frozen      the node gets no "armed" answer and kills the guardian
    loop blocked         deadlines of leases and runs count as ever

Messages are JSON, one a packet of a SOCK_SEQPACKET pair.
    from the node   {"do": "arm", "until": s, "serial": n, "loop_jobs": n}, {"do": "disarm"},
                    {"do": "start", "run": id, "argv": [...]} with two descriptors (channel, output),
                    {"do": "kill", "run": id}, {"do": "kill_all"},
                    {"do": "limit", "run": id, "until": s, "why": word, "in_loop": bool},
                    {"do": "unlimit", "run": id}
    to the node     {"is": "armed", "serial": n}, {"is": "started", "run", "pid"},
                    {"is": "refused", "run", "reason"},
                    {"is": "ended", "run", "code": exit code or minus the signal, "peak_kib": n,
                     "why": null, or the word of the limit that it had passed}
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PACKET_BYTES_MAX = 65536
SLICE_SECONDS = 0.25  # poll() does not count suspended time, so it is never trusted for longer
TRACE_SECONDS = 1.0  # the node is asked for its stacks this long before it is killed
LIMIT_TRACE_SECONDS = 0.5  # the same for a run in its loop, which may have a second in all
JOB_NICENESS = 5  # jobs give way to requests and heartbeats
JOB_OOM_SCORE = 500  # and die first where memory ends: half of all memory would weigh as much
CHANNEL_FD = 3

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """prctl(2); raises OSError."""
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def boot_time() -> float:
    """Seconds since boot, suspended time included; the one clock of all deadlines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def children_of(pid: int) -> list[int]:
    """The direct children of a process of one thread, zombies included."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent_of(name) == pid]  # noqa: PTH208


def _parent_of(name: str) -> int:
    try:
        with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def kill(pid: int) -> None:
    """SIGKILL; a process that is gone already is what was wanted."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Limit:
    """Until when a run may go on, and what its end is called if it doesn't keep to it."""

    def __init__(self, message: dict[str, object]) -> None:
        self.until = float(message["until"])  # type: ignore[arg-type]
        self.why = str(message["why"])
        self.in_loop = bool(message["in_loop"])


class Guardian:
    """The loop: packets from the node, endings of children, and one deadline."""

    def __init__(self, control: socket.socket, lock_fd: int, node_pid: int, record: str | None) -> None:
        self.control = control
        self.lock_fd = lock_fd
        self.node_pid = node_pid
        self.node_pidfd = os.pidfd_open(node_pid)
        self.jobs: dict[int, int] = {}  # pid -> run
        self.reaped: dict[int, dict[str, object]] = {}  # run -> its "ended", until no descendant is left
        self.until: float | None = None
        self.loop_jobs = 0
        self.traced = False
        self.limits: dict[int, Limit] = {}  # by run
        self.overdue: dict[int, str] = {}  # run -> why its job was killed
        self.traced_run: int | None = None
        self.outgoing: list[bytes] = []
        self.record = record
        self.hard_stop: str | None = None  # why the node was killed, if it was

    def run(self) -> None:
        """Serves until the node is gone and no descendant is left."""
        wakeup_read, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(wakeup_read, select.POLLIN)
        poll.register(self.node_pidfd, select.POLLIN)
        while True:
            poll.register(self.control, select.POLLIN | (select.POLLOUT if self.outgoing else 0))
            ready = dict(poll.poll(self.pause_ms()))
            if wakeup_read in ready:
                os.read(wakeup_read, 4096)
            self.reap()
            if self.node_pidfd in ready:
                break
            if self.control.fileno() in ready and not self.receive():
                break
            self.enforce_deadline()
            self.enforce_limits()
            self.flush()
        self.end_everything()
        self.note_hard_stop()

    def pause_ms(self) -> float | None:
        """How long to wait for news: until there may be something to enforce."""
        if self.until is None and not self.limits:
            return None
        now = boot_time()
        left = min([SLICE_SECONDS, *(limit.until - now for limit in self.limits.values())])
        return max(0.01, left) * 1000

    def receive(self) -> bool:
        """Serves every waiting packet; False when the node has closed its end."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.control, PACKET_BYTES_MAX, 2)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            if not data:
                return False
            message = json.loads(data)
            try:
                self.obey(message, fds)
            finally:
                for fd in fds:
                    os.close(fd)

    def obey(self, message: dict[str, object], fds: list[int]) -> None:
        what = message["do"]
        if what == "arm":
            self.until = float(message["until"])  # type: ignore[arg-type]
            self.loop_jobs = int(message["loop_jobs"])  # type: ignore[call-overload]
            self.traced = False
            self.tell({"is": "armed", "serial": message["serial"]})
        elif what == "disarm":
            self.until = None
            self.loop_jobs = 0
        elif what == "start":
            self.start(int(message["run"]), list(message["argv"]), fds)  # type: ignore[call-overload]
        elif what == "kill":
            self.kill_job(int(message["run"]))  # type: ignore[call-overload]
        elif what == "kill_all":
            for pid in self.jobs:
                kill(pid)
        elif what == "limit":
            self.limits[int(message["run"])] = Limit(message)  # type: ignore[call-overload]
        elif what == "unlimit":
            self.limits.pop(int(message["run"]), None)  # type: ignore[call-overload]

    def start(self, run: int, argv: list[str], fds: list[int]) -> None:
        # A node that was frozen may wake with a start in its hands: too late is no.
        if self.until is None or boot_time() >= self.until:
            self.tell({"is": "refused", "run": run, "reason": "no lease to run under"})
            return
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self.tell({"is": "refused", "run": run, "reason": f"cannot fork: {error.strerror}"})
            return
        if pid == 0:
            self.become_job(parent, argv, fds)
        self.jobs[pid] = run
        self.tell({"is": "started", "run": run, "pid": pid})

    def become_job(self, parent: int, argv: list[str], fds: list[int]) -> None:
        """In the child: never returns."""
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(127)  # the guardian died before the line above
            prctl(PR_SET_CHILD_SUBREAPER, 1)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.nice(JOB_NICENESS)
            self.die_first_for_memory()
            # Above the standard places first, so that no dup2 closes what the next one needs.
            channel, output = (os.dup(fd) for fd in fds)
            lock = os.dup(self.lock_fd)
            high = [os.dup2(fd, 200 + place) for place, fd in enumerate((channel, output, lock))]
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(high[1], 1)
            os.dup2(high[1], 2)
            os.dup2(high[0], CHANNEL_FD)
            os.dup2(high[2], CHANNEL_FD + 1)
            os.closerange(CHANNEL_FD + 2, 4096)
            os.execv(argv[0], argv)  # noqa: S606 no shell is wanted
        except BaseException as error:
            os.write(2, f"the job could not be started: {error}\n".encode())
        finally:
            os._exit(127)

    def die_first_for_memory(self) -> None:
        """Whom the kernel ends for want of memory shall be a job, and no node and no database."""
        with contextlib.suppress(OSError):  # without /proc everybody is alike
            score = os.open("/proc/self/oom_score_adj", os.O_RDWR)
            own = int(os.read(score, 16))
            os.pwrite(score, str(min(1000, own + JOB_OOM_SCORE)).encode(), 0)
            os.close(score)

    def reap(self) -> None:
        """Collects the dead, ends what they left behind, and tells the node when a job is all gone."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            run = self.jobs.pop(pid, None)
            if run is not None:
                self.reaped[run] = {
                    "is": "ended",
                    "run": run,
                    "code": os.waitstatus_to_exitcode(status),
                    "peak_kib": usage.ru_maxrss,
                    "why": self.overdue.pop(run, None),
                }
        if not self.reaped:
            return
        # Whatever child is not a job was left to us by a job that died.
        orphans = [pid for pid in children_of(os.getpid()) if pid not in self.jobs]
        for pid in orphans:
            kill(pid)
        if not orphans:
            for ended in self.reaped.values():
                self.tell(ended)
            self.reaped.clear()

    def enforce_deadline(self) -> None:
        if self.until is None:
            return
        left = self.until - boot_time()
        holding = bool(self.jobs) or self.loop_jobs > 0
        if left <= TRACE_SECONDS and holding and not self.traced:
            self.traced = True
            self.signal_node(signal.SIGUSR2)
        if left <= 0 and holding:
            self.until = None
            self.end_node("lease")

    def enforce_limits(self) -> None:
        """Ends each run that has not ended in time, whatever the node believes, or the node with it."""
        now = boot_time()
        for run, limit in list(self.limits.items()):
            left = limit.until - now
            if limit.in_loop and left <= LIMIT_TRACE_SECONDS and self.traced_run != run:
                self.traced_run = run
                self.signal_node(signal.SIGUSR2)
            if left > 0:
                continue
            del self.limits[run]
            if limit.in_loop:
                self.end_node("loop")
            elif run in self.jobs.values():
                self.overdue[run] = limit.why
                self.kill_job(run)

    def kill_job(self, run: int) -> None:
        for pid, of in self.jobs.items():
            if of == run:
                kill(pid)

    def end_node(self, why: str) -> None:
        # The jobs first: they do harm, and a node without jobs is only a web server.
        for pid in self.jobs:
            kill(pid)
        self.signal_node(signal.SIGKILL)
        self.hard_stop = why

    def signal_node(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.node_pidfd, number)

    def tell(self, message: dict[str, object]) -> None:
        self.outgoing.append(json.dumps(message).encode())

    def flush(self) -> None:
        """Sends what fits; a frozen node's full buffer must not block the guardian."""
        while self.outgoing:
            try:
                self.control.send(self.outgoing[0])
            except BlockingIOError:
                return
            except ConnectionError:
                self.outgoing.clear()  # the node is gone; the pidfd tells the same
                return
            self.outgoing.pop(0)

    def note_hard_stop(self) -> None:
        """Leaves word for the node's next start, which counts it: who was killed counts nothing.

        At the very end, when nothing is left that a full or stuck disk could keep alive.
        """
        if self.record is None or self.hard_stop is None:
            return
        with contextlib.suppress(OSError):
            record = os.open(self.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.write(record, f"{self.hard_stop}\n".encode())
            os.close(record)

    def end_everything(self) -> None:
        while True:
            for pid in children_of(os.getpid()):
                kill(pid)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def main() -> None:
    control_fd, lock_fd, node_pid = (int(word) for word in sys.argv[1:4])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    control = socket.socket(fileno=control_fd)
    control.setblocking(False)
    os.set_inheritable(control_fd, False)
    os.set_inheritable(lock_fd, False)
    Guardian(control, lock_fd, node_pid, sys.argv[4] if len(sys.argv) > 4 else None).run()


if __name__ == "__main__":
    main()
