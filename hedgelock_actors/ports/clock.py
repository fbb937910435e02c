"""Venue time. Every age, time-out, rate and dwell in HedgeLock is measured on this clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

Job = Callable[[], Awaitable[None]]


class Clock(Protocol):
    """Time as the venue has it: the wall clock in production, the replayed time in a replay."""

    @property
    def paced(self) -> bool:
        """True in lock-step: the venue waits until what it sent has been taken in."""
        ...

    def now_ms(self) -> int:
        """Venue time in ms. Never runs backwards."""
        ...

    def observe(self, venue_ms: int) -> None:
        """Something stamped with venue time has arrived. In lock-step the time is then at least that: what the venue
        says on one connection may overtake its tick on another.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of venue time."""
        ...

    def every(self, seconds: float, job: Job) -> Callable[[], None]:
        """Run `job` every `seconds` of venue time, never twice at once; returns a function that cancels it.

        In lock-step the job has ended before the venue moves on.
        """
        ...

    async def start(self) -> None:
        """Join the venue's time. In lock-step, call it only when ready to act: from then on the venue waits for us."""
        ...

    async def stop(self) -> None:
        """Leave for good and cancel all jobs."""
        ...
