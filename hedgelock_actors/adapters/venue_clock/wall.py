"""The wall clock, for a venue that runs in real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from hedgelock_actors.adapters.venue_clock.jobs import next_due, period_of, run_guarded
from hedgelock_actors.ports.clock import Job


class WallClock:
    """Implements Clock. `offset_ms` is what the venue's clock is ahead of ours.

    When the host's clock is set back, `now_ms` stands still until it has been caught up with.
    """

    def __init__(self, offset_ms: int = 0) -> None:
        self.job_failures = 0
        self._offset_ms = offset_ms
        self._latest_ms = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def paced(self) -> bool:
        """Never: the world does not wait."""
        return False

    @property
    def speed(self) -> float:
        """Venue ms per wall ms."""
        return 1.0

    def now_ms(self) -> int:
        """Venue time in ms."""
        self._latest_ms = max(self._latest_ms, time.time_ns() // 1_000_000 + self._offset_ms)
        return self._latest_ms

    def observe(self, venue_ms: int) -> None:
        """Nothing: the wall clock is not moved by what others say."""

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        await asyncio.sleep(max(0.0, seconds))

    def every(self, seconds: float, job: Job) -> Callable[[], None]:
        """Run `job` every `seconds`, first after one period; a run that takes longer makes the missed ones fall out."""
        cancelled = asyncio.Event()
        task = asyncio.create_task(self._repeat(period_of(seconds), job, cancelled), name=f"every-{seconds}s")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def cancel() -> None:
            cancelled.set()
            if task is not asyncio.current_task():  # a job that cancels itself ends this run first
                task.cancel()

        return cancel

    async def start(self) -> None:
        """Nothing to join."""

    async def stop(self) -> None:
        """Cancel all jobs."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, period_ms: int, job: Job, cancelled: asyncio.Event) -> None:
        # Periods are measured on the monotonic clock: a step of the wall clock neither bunches nor stops the runs.
        due_ms = _monotonic_ms() + period_ms
        while not cancelled.is_set():
            await asyncio.sleep(max(0, due_ms - _monotonic_ms()) / 1000)
            self.job_failures += not await run_guarded(job)
            due_ms = next_due(due_ms, period_ms, _monotonic_ms())


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
