"""Where the market went after each fill: the mids at fixed times after it, collected from prices as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

HORIZONS_MS = (1_000, 10_000, 60_000)
"""Times after a fill at which the mid is taken: 1 s, 10 s, 60 s."""
MID_MAX_AGE_MS = 15_000
"""A mid older than this at the time asked for says nothing about it."""
WAITING_MAX = 5_000
"""Fills that wait at the same time; the oldest are given up beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Markout:
    """One fill's mids by horizon in ms; a horizon at which no fresh mid was known is missing."""

    exec_id: str
    ts_ms: int
    mids: Mapping[int, Decimal]


@dataclass(slots=True)
class _Waiting:
    exec_id: str
    ts_ms: int
    mids: dict[int, Decimal] = field(default_factory=dict)
    next: int = 0
    """Index of the first horizon that is not decided yet."""


class MarkoutMeter:
    """Told of fills and mids on one clock (the venue's), says each fill's markout after the last horizon.

    The mid at t + τ is the last one seen at or before it (FINANCE: markout(τ) = p − mid(t + τ)). Deterministic, and
    bounded in memory. What still waits when the process ends is lost: a report then rests on fewer fills, and says so.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._before: tuple[int, Decimal] | None = None

    def fill(self, exec_id: str, ts_ms: int) -> None:
        """A fill to be followed. Fills come in time order but for a moment; each waits on its own."""
        self._waiting.append(_Waiting(exec_id, ts_ms))
        if len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()

    def mid(self, now_ms: int, mid: Decimal) -> Sequence[Markout]:
        """A new mid; returns what is complete now. One that is older than the last is ignored."""
        if self._before is not None and now_ms < self._before[0]:
            return ()
        for one in self._waiting:
            self._decide(one, now_ms)
        self._before = (now_ms, mid)
        done = [one for one in self._waiting if one.next == len(HORIZONS_MS)]
        if done:
            self._waiting = deque(one for one in self._waiting if one.next < len(HORIZONS_MS))
        return [Markout(exec_id=one.exec_id, ts_ms=one.ts_ms, mids=one.mids) for one in done]

    def _decide(self, one: _Waiting, now_ms: int) -> None:
        """Every horizon that lies before the new mid is decided by the one before it."""
        while one.next < len(HORIZONS_MS) and one.ts_ms + HORIZONS_MS[one.next] < now_ms:
            horizon = HORIZONS_MS[one.next]
            at_ms = one.ts_ms + horizon
            before = self._before
            if before is not None and before[0] <= at_ms <= before[0] + MID_MAX_AGE_MS:
                one.mids[horizon] = before[1]
            one.next += 1
