"""The product, with faults that a test sets off by signals: `python -m faulty serve …`.

SIGHUP    the event loop is blocked, for longer than the leases of the tests
SIGUSR1   C code takes the GIL and keeps it
SIGWINCH  the scheduler fails at its next decision, in a way that nobody foresaw
"""

import asyncio
import ctypes
import signal
import time

from server.cli import main
from server.cron.scheduler import Scheduler
from server.node import Node

BLOCKED_SECONDS = 10


def block_the_loop() -> None:
    time.sleep(BLOCKED_SECONDS)


def seize_the_gil() -> None:
    lock = ctypes.PyDLL(None).pthread_mutex_lock
    mutex = ctypes.create_string_buffer(64)  # zeros are a mutex that is free
    lock(mutex)
    lock(mutex)  # for ever; sleep() would end at the next signal


def fail_at_the_next_decision() -> None:
    async def decide(self: Scheduler) -> float:
        raise RuntimeError("nobody foresaw this")

    Scheduler._decide = decide


run = Node.run


async def run_with_faults(self: Node) -> int:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, block_the_loop)
    loop.add_signal_handler(signal.SIGUSR1, seize_the_gil)
    loop.add_signal_handler(signal.SIGWINCH, fail_at_the_next_decision)
    return await run(self)


if __name__ == "__main__":
    Node.run = run_with_faults
    main()
