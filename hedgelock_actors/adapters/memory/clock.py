"""A clock that stands still until it is told to move: virtual time for tests and replays in one process."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from hedgelock_actors.ports.clock import Job

# Turns of the event loop given to code that was woken, before time moves on.
_TURNS = 32
# Wall seconds that a job may wait for real I/O before time moves on without it.
_IO_GRACE_S = 5.0


@dataclass(slots=True)
class _Repeating:
    period_ms: int
    job: Job
    task: asyncio.Task[None] | None = None
    cancelled: bool = False


@dataclass(order=True, slots=True)
class _Due:
    at_ms: int
    order: int
    what: _Repeating | asyncio.Future[None] = field(compare=False)


class ManualClock:
    """Implements ports.clock.Clock. `await advance(ms)` runs what falls due, in time order, one after the other.

    A job has ended before time goes on, unless it sleeps on this clock itself. What a job raises comes out of
    `advance`, so that a test sees it.
    """

    def __init__(self, start_ms: int = 1_700_000_000_000, *, paced: bool = True) -> None:
        self._now_ms = start_ms
        self._paced = paced
        self._heap: list[_Due] = []
        self._order = 0
        self._repeating: list[_Repeating] = []
        self._sleeping: set[asyncio.Task[object]] = set()

    @property
    def paced(self) -> bool:
        return self._paced

    def now_ms(self) -> int:
        return self._now_ms

    def observe(self, venue_ms: int) -> None:
        """Nothing: only the test moves this clock."""

    async def sleep(self, seconds: float) -> None:
        """Returns when `advance` has passed the time; at once for 0 or less, after one turn of the loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._push(self._now_ms + max(1, round(seconds * 1000)), wake)
        task = asyncio.current_task()
        if task is not None:
            self._sleeping.add(task)
        try:
            await wake
        finally:
            if task is not None:
                self._sleeping.discard(task)

    def every(self, seconds: float, job: Job) -> Callable[[], None]:
        """The first run is one period from now. A run that is still going when the next falls due is not doubled."""
        if seconds <= 0:
            raise ValueError(f"a period must be positive, got {seconds}")
        repeating = _Repeating(period_ms=max(1, round(seconds * 1000)), job=job)
        self._repeating.append(repeating)
        self._push(self._now_ms + repeating.period_ms, repeating)
        return lambda: self._cancel(repeating)

    async def start(self) -> None:
        """Nothing to join."""

    async def stop(self) -> None:
        """Cancel all jobs, the running ones too. Sleepers stay until time passes them."""
        running = [one.task for one in self._repeating if one.task is not None and not one.task.done()]
        for repeating in self._repeating:
            repeating.cancelled = True
        self._repeating.clear()
        here = asyncio.current_task()
        for task in running:
            if task is not here:
                task.cancel()
        await asyncio.gather(*(task for task in running if task is not here), return_exceptions=True)

    async def advance(self, ms: int) -> None:
        """Move time `ms` on, running what falls due on the way."""
        if ms < 0:
            raise ValueError("time never runs backwards")
        await self.advance_to(self._now_ms + ms)

    async def advance_to(self, to_ms: int) -> None:
        """Move time to `to_ms`; a time in the past only lets ready code run."""
        await _turns()
        while self._heap and self._heap[0].at_ms <= to_ms:
            due = heapq.heappop(self._heap)
            self._now_ms = max(self._now_ms, due.at_ms)
            if isinstance(due.what, _Repeating):
                await self._run(due.what)
            elif not due.what.done():
                due.what.set_result(None)
                await _turns()
            self._raise_failures()
        self._now_ms = max(self._now_ms, to_ms)

    async def _run(self, repeating: _Repeating) -> None:
        if repeating.cancelled:
            return
        self._push(self._now_ms + repeating.period_ms, repeating)
        if repeating.task is not None and not repeating.task.done():
            return
        repeating.task = asyncio.ensure_future(_as_task(repeating.job))
        await _turns()
        waited = 0.0
        while not repeating.task.done() and repeating.task not in self._sleeping and waited < _IO_GRACE_S:
            await asyncio.wait({repeating.task}, timeout=0.005)
            waited += 0.005

    def _raise_failures(self) -> None:
        for repeating in self._repeating:
            task = repeating.task
            if task is not None and task.done():
                repeating.task = None
                if not task.cancelled():
                    task.result()

    def _cancel(self, repeating: _Repeating) -> None:
        repeating.cancelled = True
        if repeating in self._repeating:
            self._repeating.remove(repeating)

    def _push(self, at_ms: int, what: _Repeating | asyncio.Future[None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, _Due(at_ms, self._order, what))


async def _as_task(job: Job) -> None:
    await job()


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
