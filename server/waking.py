"""Resting until there is a reason to look again; a crowd of reasons at one moment is one."""

import asyncio

GATHER_SECONDS = 0.02


class Waker:
    """Wakes one who rests."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """There is a reason; also for a rest that has not begun yet."""
        self._event.set()

    async def rest(self, seconds: float) -> None:
        """Returns GATHER_SECONDS after the first reason, or else when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
            await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            pass  # nothing happened; time itself is the reason to look again
        self._event.clear()
