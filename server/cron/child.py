"""The process of one job: hears what to do, does it, and tells what came of it.

Started by the guardian, with the channel to the node as descriptor 3 and its
output going to the node. Ends with 0 once the outcome is told; any other ending
is itself the outcome.
"""

import asyncio
import inspect
import os
import resource
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from server.cluster.guardian import CHANNEL_FD
from server.cron.context import AsyncContext, Channel, Context, JobCancelled, RunSpec
from server.cron.functions import find_modules, resolve
from server.cron.outcome import CANCELLED, raised, returned

MIB = 1 << 20


def perform(spec: RunSpec, channel: Channel) -> Mapping[str, Any]:
    """Runs the job; returns its outcome in the form that the node reads."""
    try:
        function = resolve(spec.function)
        if inspect.iscoroutinefunction(function):
            result = asyncio.run(_perform_async(function, spec, channel))
        else:
            channel.listen()
            result = function(Context(spec, channel), **spec.params)
        return returned(result)
    except (JobCancelled, asyncio.CancelledError):
        return CANCELLED
    except MemoryError as error:
        # What the job held is needed to tell of it.
        traceback.clear_frames(error.__traceback__)
        if spec.memory_bytes_max is None:
            return raised()
        return raised(f"the job's process reached its memory_max of {spec.memory_bytes_max // MIB} MiB\n")
    except BaseException:
        # Also SystemExit and KeyboardInterrupt: whatever a job raises is told, not lost.
        return raised()


async def _perform_async(function: Callable[..., Any], spec: RunSpec, channel: Channel) -> Any:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(function(AsyncContext(spec, channel), **spec.params))

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)

    channel.on_cancel = cancel
    channel.listen()
    return await task


def _limit_memory(bytes_max: int | None) -> None:
    """Lets allocations fail beyond the limit, in this process and in each that it starts."""
    if bytes_max is not None:
        # Not the address space: what a library reserves and never touches costs nothing.
        resource.setrlimit(resource.RLIMIT_DATA, (bytes_max, bytes_max))


def main() -> None:
    os.set_inheritable(CHANNEL_FD, False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    channel = Channel(socket.socket(fileno=CHANNEL_FD))
    spec = channel.receive_spec()
    find_modules(spec.home)
    if spec.traceparent is not None:
        os.environ["TRACEPARENT"] = spec.traceparent  # where libraries and programs look for it
    _limit_memory(spec.memory_bytes_max)
    outcome = perform(spec, channel)
    sys.stdout.flush()
    sys.stderr.flush()
    channel.finish(outcome)
    # Threads that a job left running must not keep the process; nothing is buffered any more.
    os._exit(0)


if __name__ == "__main__":
    main()
