"""How passive orders fare and how the market moves: what the choice of a strategy learns from.

Deterministic and of bounded memory: it knows what it is told, and forgets what is older than the window.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

from hedgelock_actors.domain.execution_policy import FeedbackPolicy
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.domain.quality import markout
from hedgelock_actors.execution.strategy import Feedback

T = TypeVar("T")
_FILLS_MAX = 256
_ORDERS_MAX = 64
_ORDERS_MIN = 3
"""Fewer passive orders than this tell no fill rate."""
_MIDS_MAX = 600
_SAMPLE_MS = 500
"""Mids are taken not more often than this, so that the window fits."""
_MINUTE_MS = 60_000
_MIN_SPAN_MS = 10_000
"""A shorter stretch of prices says nothing about a minute."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    due_ms: int
    side: Side
    price: Decimal


class FeedbackMeter:
    """Markouts and fill rate of passive orders, and the volatility of the mid, of one symbol."""

    def __init__(self, policy: FeedbackPolicy | None = None) -> None:
        self._policy = policy or FeedbackPolicy()
        self._waiting: deque[_Waiting] = deque(maxlen=_FILLS_MAX)
        self._markouts: deque[tuple[int, float]] = deque(maxlen=_FILLS_MAX)
        self._orders: deque[tuple[int, tuple[Decimal, Decimal]]] = deque(maxlen=_ORDERS_MAX)
        self._mids: deque[tuple[int, float]] = deque(maxlen=_MIDS_MAX)
        self._now_ms = 0

    def fill(self, now_ms: int, execution: Execution, passive: bool) -> None:
        """A fill of ours; of a passive order it is compared with the mid some seconds later."""
        if passive and not execution.is_funding and execution.price > ZERO:
            self._waiting.append(_Waiting(now_ms + self._policy.markout_ms, execution.side, execution.price))

    def given_up(self, qty_posted: Decimal, qty_filled: Decimal) -> None:
        """A passive order ended."""
        if qty_posted > ZERO:
            self._orders.append((self._now_ms, (qty_posted, min(qty_filled, qty_posted))))

    def mid(self, now_ms: int, mid: Decimal) -> None:
        """A mid that passed the feed's checks."""
        self._now_ms = max(self._now_ms, now_ms)
        while self._waiting and self._waiting[0].due_ms <= self._now_ms:
            due = self._waiting.popleft()
            self._markouts.append((self._now_ms, float(markout(due.side, due.price, mid) / due.price) * 10_000.0))
        if not self._mids or self._now_ms - self._mids[-1][0] >= _SAMPLE_MS:
            self._mids.append((self._now_ms, math.log(mid)))
        self._forget(self._markouts)
        self._forget(self._mids)
        self._forget(self._orders)

    def feedback(self) -> Feedback:
        """What is known now."""
        markouts = [bps for _, bps in self._markouts]
        posted = sum((qty for _, (qty, _) in self._orders), ZERO)
        filled = sum((qty for _, (_, qty) in self._orders), ZERO)
        return Feedback(
            markout_bps=sum(markouts) / len(markouts) if markouts else 0.0,
            fills=len(markouts),
            fill_rate=float(filled / posted) if len(self._orders) >= _ORDERS_MIN else 1.0,
            volatility_bps=self._volatility_bps(),
        )

    def _volatility_bps(self) -> float:
        """√(Σ squared log returns ÷ time, times a minute): right also for prices that come irregularly."""
        mids = list(self._mids)
        span_ms = mids[-1][0] - mids[0][0] if mids else 0
        if span_ms < _MIN_SPAN_MS:
            return 0.0
        squares = sum((later - earlier) ** 2 for (_, earlier), (_, later) in pairwise(mids))
        return math.sqrt(squares / span_ms * _MINUTE_MS) * 10_000.0

    def _forget(self, seen: deque[tuple[int, T]]) -> None:
        oldest_ms = self._now_ms - self._policy.window_ms
        while seen and seen[0][0] < oldest_ms:
            seen.popleft()
