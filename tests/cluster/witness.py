"""Jobs for the cluster tests. Each writes what it does to a file that the product knows nothing of."""

import asyncio
import fcntl
import json
import os
import re
import time
from pathlib import Path

from server.cron.context import JobCancelled


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
        try:
            context.sleep(min(left, 0.1))
        except JobCancelled:
            testify(path, context, "asked to stop")
            raise
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


def speaks_markup(context) -> None:
    """Says everywhere what a careless page would take for its own."""
    markup = "<img src=x onerror=document.title='owned'><b>bold</b>"
    context.progress(1, 2, markup)
    print(markup)
    context.sleep(3)
    raise RuntimeError(markup)


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


def leaks(context) -> None:
    """Takes memory until there is none."""
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


def is_killed_with_memory(context) -> None:
    """As a job ends that the kernel chooses when memory is short."""
    kept = bytearray(64 << 20)
    os.kill(os.getpid(), 9)
    print(len(kept))


def reports_nonsense(context) -> None:
    context.progress(1, 2, "half\0way")
    context.progress(float("nan"), 2)


def deaf_with_a_child(context, path: str) -> None:
    """Hears no request to stop, and neither does what it started in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        testify(path, context, "child")
        time.sleep(600)
        os._exit(0)
    deaf(context, path, 600)


# Coroutines for the node's own loop.


def is_first(path: str) -> bool:
    """Whether nobody else has called this with the same path."""
    try:
        Path(f"{path}.first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def blocks_when_told(context, path: str, seconds: float) -> str:
    """Waits for a word, then holds up the loop."""
    while not Path(f"{path}.go").exists():
        await context.sleep(0.02)
    return await blocks(context, path, seconds)


async def blocks(context, path: str, seconds: float) -> str:
    """Holds up the loop, and ticks meanwhile."""
    testify(path, context, "start")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05)
        testify(path, context, "tick")
    testify(path, context, "end")
    print("blocked", seconds)
    return "at last"


async def blocks_once(context, path: str) -> str:
    """The first run blocks the loop for ever, each further one is well."""
    if is_first(path):
        return await blocks(context, path, 600)
    return await blocks(context, path, 0.1)


async def holds_the_gil_once(context, path: str) -> str:
    """The first run never gives Python's lock back, as a careless expression may; each further one is well."""
    first = is_first(path)
    testify(path, context, "start")
    if first:
        re.match(r"(a+)+$", "a" * 64 + "b")
    testify(path, context, "end")
    return "at last"


async def deaf_once(context, path: str) -> str:
    """The first run ignores that it is asked to stop, each further one is well."""
    first = is_first(path)
    testify(path, context, "start")
    while first:
        try:
            await context.sleep(0.05)
        except asyncio.CancelledError:
            print("not now")
        testify(path, context, "tick")
    testify(path, context, "end")
    return "at last"


async def starts_a_process(context, path: str) -> None:
    """What no job in the loop should do."""
    process = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    testify(path, context, f"process {process.pid}")


async def spoils_its_params(context, list_of: list) -> list:
    list_of.append(context.run_id)
    return list_of


async def works_in_the_loop(context, path: str, seconds: float) -> dict:
    """Works as a light job should, with a child task, and ticks ten times a second."""
    testify(path, context, "start")

    async def tick() -> None:
        while True:
            await context.sleep(0.1)
            testify(path, context, "tick")

    ticking = asyncio.create_task(tick())
    print("working in the loop of", os.getpid())
    context.progress(1, 2, "in the loop")
    await context.sleep(seconds)
    ticking.cancel()
    testify(path, context, "end")
    return {"pid": os.getpid()}


def tell_trace(context, path: str) -> dict:
    """In which trace it runs, by its context and by its environment."""
    return {"context": context.traceparent, "environment": os.environ.get("TRACEPARENT")}


async def tell_trace_in_the_loop(context, path: str) -> dict:
    """The same, and what the library itself takes for the present span."""
    from opentelemetry import trace

    present = trace.get_current_span().get_span_context()
    return {"context": context.traceparent, "library": f"{present.trace_id:032x}-{present.span_id:016x}"}
