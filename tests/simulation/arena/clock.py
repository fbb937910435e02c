"""The clock of one process: virtual time with an error of its own, and jobs that die and freeze with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from hedgelock_actors.ports.clock import Job
from tests.simulation.arena.loop import SimLoop, begin


class SimClock:
    """Implements Clock. `skew_ms` is what it is ahead of the venue, `drift_ppm` what it gains."""

    def __init__(self, loop: SimLoop, context: Context, skew_ms: int = 0, drift_ppm: int = 0) -> None:
        self.skew_ms, self.drift_ppm = skew_ms, drift_ppm
        self.job_failures = 0
        self._loop, self._context = loop, context
        self._since_ms = loop.now_ms
        self._latest_ms = 0

    @property
    def paced(self) -> bool:
        return False

    def raw_ms(self) -> int:
        """What the machine's clock says: it may run backwards."""
        now_ms = self._loop.now_ms
        return now_ms + self.skew_ms + (now_ms - self._since_ms) * self.drift_ppm // 1_000_000

    def now_ms(self) -> int:
        raw_ms = self.raw_ms()
        self._latest_ms = max(self._latest_ms, raw_ms)
        return self._latest_ms

    def synchronise(self) -> None:
        """Ask the venue for the time."""
        self.skew_ms, self._since_ms = 0, self._loop.now_ms

    def observe(self, venue_ms: int) -> None:
        """Nothing: no clock is moved by what others say."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def every(self, seconds: float, job: Job) -> Callable[[], None]:
        repeating = _Repeating(self, self._loop, self._context, round(seconds * 1000), job)
        repeating.again()
        return repeating.cancel

    async def start(self) -> None:
        """Nothing to join."""

    async def stop(self) -> None:
        """Nothing that would outlive its process."""


class _Repeating:
    def __init__(self, clock: SimClock, loop: SimLoop, context: Context, period_ms: int, job: Job) -> None:
        self._clock, self._loop, self._context = clock, loop, context
        self._period_ms, self._job = period_ms, job
        self._due_ms = loop.now_ms
        self._cancelled = self._busy = False

    def again(self) -> None:
        now_ms = self._loop.now_ms
        self._due_ms += self._period_ms * (max(0, now_ms - self._due_ms) // self._period_ms + 1)
        self._loop.at(self._due_ms, self._fire, context=self._context)

    def cancel(self) -> None:
        self._cancelled = True

    def _fire(self) -> None:
        if self._cancelled:
            return
        self.again()
        if not self._busy:
            begin(self._loop, self._run(), self._context)

    async def _run(self) -> None:
        self._busy = True
        try:
            await self._job()
        except Exception:  # as the real clock does: the next period comes all the same
            self._clock.job_failures += 1
            raise
        finally:
            self._busy = False
