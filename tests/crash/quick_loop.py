"""An event loop and a clock without any waiting: thousands of short lives in one process, in seconds."""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hedgelock_actors.ports.clock import Job

T = TypeVar("T")
START_MS = 1_700_000_000_000


class Stuck(Exception):
    """Everything waits for something that nobody will do."""


class _NeverWaits(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            raise Stuck("nothing is left to run")
        return []


class QuickLoop(asyncio.SelectorEventLoop):
    """No sockets and no timers: only tasks and futures. What a task died of without anybody asking is kept."""

    def __init__(self) -> None:
        super().__init__(_NeverWaits())
        self.unasked: list[BaseException] = []
        self.set_exception_handler(self._keep)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run it to its end."""
        return self.run_until_complete(main)

    def _keep(self, _: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self.unasked.append(error)


async def settle() -> None:
    """Let everything run that can run, until nothing is ready but us."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 (there is no event for "nothing is ready")
        await asyncio.sleep(0)


async def kill_tasks() -> None:
    """End all tasks but this one, as the end of their process would."""
    here = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not here]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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


class QuickClock:
    """Implements ports.clock.Clock. Time moves by `advance` alone; what falls due has run dry before it moves on."""

    paced = False

    def __init__(self) -> None:
        self._now_ms = START_MS
        self._heap: list[_Due] = []
        self._order = 0

    def now_ms(self) -> int:
        return self._now_ms

    def observe(self, venue_ms: int) -> None:
        """Nothing: only the story moves this clock."""

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._push(self._now_ms + max(0, round(seconds * 1000)), wake)
        await wake

    def every(self, seconds: float, job: Job) -> Callable[[], None]:
        repeating = _Repeating(max(1, round(seconds * 1000)), job)
        self._push(self._now_ms + repeating.period_ms, repeating)

        def cancel() -> None:
            repeating.cancelled = True

        return cancel

    async def start(self) -> None:
        """Nothing to join."""

    async def stop(self) -> None:
        """Nothing to leave."""

    def forget(self) -> None:
        """The process whose jobs these were is gone."""
        self._heap.clear()

    async def advance(self, ms: int) -> None:
        """Move time on, running what falls due on the way, one after the other."""
        to_ms = self._now_ms + ms
        await settle()
        while self._heap and self._heap[0].at_ms <= to_ms:
            due = heapq.heappop(self._heap)
            self._now_ms = max(self._now_ms, due.at_ms)
            if isinstance(due.what, _Repeating):
                self._begin(due.what)
            elif not due.what.done():
                due.what.set_result(None)
            await settle()
        self._now_ms = max(self._now_ms, to_ms)

    def _begin(self, repeating: _Repeating) -> None:
        if repeating.cancelled:
            return
        self._push(self._now_ms + repeating.period_ms, repeating)
        if repeating.task is None or repeating.task.done():
            repeating.task = asyncio.ensure_future(_as_task(repeating.job))

    def _push(self, at_ms: int, what: _Repeating | asyncio.Future[None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, _Due(at_ms, self._order, what))


async def _as_task(job: Job) -> None:
    await job()
