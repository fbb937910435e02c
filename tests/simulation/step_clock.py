"""Venue time in lock-step, as an actor's clock has it: it moves when the world moves it, and runs what is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hedgelock_actors.ports.clock import Job


@dataclass(slots=True, eq=False)
class Repeating:
    """One job."""

    period_ms: int
    due_ms: int
    job: Job


class StepClock:
    """Implements Clock. What falls due several times between two steps runs once."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._jobs: list[Repeating] = []

    @property
    def paced(self) -> bool:
        return True

    def now_ms(self) -> int:
        return self._now_ms

    def observe(self, venue_ms: int) -> None:
        self.set(venue_ms)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def every(self, seconds: float, job: Job) -> Callable[[], None]:
        repeating = Repeating(round(seconds * 1000), self._now_ms + round(seconds * 1000), job)
        self._jobs.append(repeating)
        return lambda: self._jobs.remove(repeating) if repeating in self._jobs else None

    async def start(self) -> None:
        """Nothing to join."""

    async def stop(self) -> None:
        self._jobs.clear()

    async def move(self, to_ms: int) -> None:
        """Move on and run what is due."""
        self._now_ms = max(self._now_ms, to_ms)
        for repeating in list(self._jobs):
            if repeating.due_ms <= self._now_ms and repeating in self._jobs:
                repeating.due_ms = self._now_ms + repeating.period_ms
                await repeating.job()

    def set(self, to_ms: int) -> None:
        """Time moves within a market step: nothing falls due."""
        self._now_ms = max(self._now_ms, to_ms)
