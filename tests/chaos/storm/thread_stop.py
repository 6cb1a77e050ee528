"""Stops the main thread of a process, and nothing else of it, for some seconds.

What a blocked event loop looks like from outside: the loop does not turn, while the
heartbeat's thread and all others go on. There is no signal for that, so this program
holds the thread as a debugger does (ptrace). It takes it while it waits in epoll, so
that it holds no lock and not the GIL: with the GIL all threads would stop, which is
another fault and ends by the guardian.

Run as a program of its own, since a parent that also traces would take the stops of its
child for endings:  thread_stop.py PID SECONDS. It prints a line when the thread stands
still. If it is killed, the kernel lets the thread go on.
"""

import ctypes
import os
import sys
import time
from pathlib import Path

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
EPOLL_WAITS = {"232", "281", "441", "22"}  # epoll_wait, epoll_pwait, epoll_pwait2; epoll_pwait on arm64
ATTEMPTS = 200

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, pid: int) -> None:
    if libc.ptrace(request, pid, None, None) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}): {os.strerror(ctypes.get_errno())}")


def main(pid: int, seconds: float) -> None:
    ptrace(PTRACE_SEIZE, pid)
    for _ in range(ATTEMPTS):
        ptrace(PTRACE_INTERRUPT, pid)
        os.waitpid(pid, WALL)
        if Path(f"/proc/{pid}/syscall").read_text().split()[0] in EPOLL_WAITS:
            break
        ptrace(PTRACE_DETACH, pid)
        time.sleep(0.005)
        ptrace(PTRACE_SEIZE, pid)
    else:
        raise SystemExit("the thread never waited")
    print("stopped", flush=True)
    time.sleep(seconds)
    ptrace(PTRACE_DETACH, pid)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
