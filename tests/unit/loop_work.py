"""Jobs for the tests of the node's loop, each as somebody might write it."""

import asyncio
import sys
import time
import traceback


async def greets(context, name: str) -> dict:
    """Uses all that a context offers without a database."""
    context.progress(1, 2, f"greeting {name}")
    await context.sleep(0)
    (context.scratch / "note").write_text(name)
    print("hello,", name)
    return {"run": context.run_id, "task": context.task, "node": context.node, "cancelled": context.cancelled}


async def prints_everywhere(context) -> None:
    async def inner() -> None:
        print("from a task of its own")

    await asyncio.gather(inner(), inner())
    sys.stderr.write("from stderr\n")
    try:
        {}["missing"]
    except KeyError:
        traceback.print_exc()


async def prints_much(context) -> None:
    for number in range(20_000):
        print("line", number)


async def sleeps(context) -> None:
    await context.sleep(600)


async def cleans_up(context) -> None:
    try:
        await context.sleep(600)
    finally:
        print("cleaned up, cancelled:", context.cancelled)


async def finishes_first(context) -> str:
    try:
        await context.sleep(600)
    except asyncio.CancelledError:
        return "as good as done"
    return "not reached"


async def fails(context) -> None:
    raise RuntimeError("this job always fails")


async def exits(context) -> None:
    sys.exit("enough")


async def returns_nonsense(context) -> object:
    return object()


async def cancels_itself(context) -> None:
    raise asyncio.CancelledError


async def leaves_tasks(context, stubborn: bool = False) -> str:
    """Starts tasks that nobody waits for, one of them starts another."""

    async def one(of: int) -> None:
        if of:
            leaves_tasks.started.append(asyncio.create_task(one(of - 1)))
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                if not stubborn or leaves_tasks.may_end.is_set():
                    raise

    leaves_tasks.started = [asyncio.create_task(one(1))]
    leaves_tasks.may_end = asyncio.Event()
    await asyncio.sleep(0.01)
    return "done"


async def blocks(context, seconds: float) -> str:
    async def inner() -> None:
        time.sleep(seconds)  # what no job in the loop should do

    await asyncio.create_task(inner())
    return "at last"


async def blocks_twice(context, seconds: float) -> None:
    time.sleep(seconds)
    await context.sleep(1)
    time.sleep(seconds)


async def calls_back(context, seconds: float) -> None:
    asyncio.get_running_loop().call_soon(time.sleep, seconds)
    await context.sleep(seconds / 10)


def plain(context) -> None:
    """No coroutine."""
