"""Jobs for the cluster tests. Each writes what it does to a file that the product knows nothing of."""

import fcntl
import json
import os
import time
from pathlib import Path


def testify(path: str, context, event: str) -> None:
    line = {
        "task": context.task,
        "run": context.run_id,
        "node": context.node,
        "pid": os.getpid(),
        "event": event,
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
    }
    with Path(path).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(line) + "\n")
        file.flush()


def work(context, path: str, seconds: float = 1.0) -> dict:
    """Works for some seconds and ticks ten times a second."""
    testify(path, context, "start")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        context.progress(seconds - left, seconds, "working")
        context.sleep(min(left, 0.1))
        testify(path, context, "tick")
    testify(path, context, "end")
    print("worked", seconds)
    return {"seconds": seconds}


async def work_async(context, path: str, seconds: float = 1.0) -> dict:
    testify(path, context, "start")
    await context.sleep(seconds)
    testify(path, context, "end")
    return {"seconds": seconds}


def deaf(context, path: str, seconds: float = 60.0) -> None:
    """Hears no request to stop."""
    testify(path, context, "start")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05)
        testify(path, context, "tick")


def fails(context) -> None:
    print("about to fail")
    raise RuntimeError("this job always fails")


def dies(context) -> None:
    os.kill(os.getpid(), 9)


def leaves_children(context, path: str) -> None:
    """Starts a process in a session of its own and abandons it."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            testify(path, context, "grandchild")
            time.sleep(600)
        os._exit(0)
    os.wait()


def returns_nul(context) -> str:
    return "a\0b"


def prints_much(context) -> None:
    for number in range(20_000):
        print("line", number)


def reports_badly(context) -> str:
    """Reports what neither JSON nor PostgreSQL can hold."""
    context.progress(1, 2, "a\0b\ud800")
    context.sleep(1.2)
    context.progress(float("nan"), 2)
    return "done"
