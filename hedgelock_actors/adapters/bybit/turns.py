"""Waiting for a turn in a lane of the pace: first come, first served, and never longer than told."""

from __future__ import annotations

import asyncio

from hedgelock_actors.adapters.bybit.pace import Lane, Ticket
from hedgelock_actors.ports.clock import Clock


class Turns:
    """Turns by venue time. While that stands still the venue counts by the wall, and so does this after a wait."""

    def __init__(self, clock: Clock) -> None:
        self.waited = 0
        """How often somebody had to wait."""
        self._clock = clock
        self._standing_ms = 0
        self._locks: dict[Lane, asyncio.Lock] = {}

    def now_ms(self) -> int:
        """The time that lanes are measured by, ms."""
        return self._clock.now_ms() + self._standing_ms

    async def take(self, lane: Lane, units: int, wait_ms: int, spare: int = 0) -> Ticket | None:
        """Take `units`, leaving `spare`; None when it would not be our turn within `wait_ms`.

        In lock-step it is now or never: the venue's time may be waiting for whoever would wait here.
        """
        lock = self._locks.setdefault(lane, asyncio.Lock())
        now_ms = self.now_ms()
        if not lock.locked() and (ticket := lane.take(units, now_ms, spare)) is not None:
            return ticket
        if self._clock.paced and getattr(self._clock, "state", "") == "running":
            return None
        deadline_ms = now_ms + wait_ms
        self.waited += 1
        async with lock:
            while True:
                now_ms = self.now_ms()
                if (ticket := lane.take(units, now_ms, spare)) is not None:
                    return ticket
                ready_ms = max(lane.ready_ms(units, now_ms, spare), now_ms + 1)
                if ready_ms > deadline_ms:
                    return None
                await self._sleep_until(ready_ms)

    async def _sleep_until(self, ready_ms: int) -> None:
        before_ms, wanted_ms = self._clock.now_ms(), ready_ms - self.now_ms()
        await self._clock.sleep(wanted_ms / 1000)
        moved_ms = self._clock.now_ms() - before_ms
        if moved_ms < wanted_ms // 2:  # the clock stands still, and the sleep passed on the wall
            self._standing_ms += wanted_ms - moved_ms
