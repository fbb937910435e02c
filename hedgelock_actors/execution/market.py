"""Take what is there, within a cap on the slippage, which is estimated before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.domain.execution_policy import MarketPolicy
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.money import dec
from hedgelock_actors.domain.order import Side, TimeInForce
from hedgelock_actors.execution.machine import GiveUp, Tactic, TakeOver, Verdict
from hedgelock_actors.execution.strategy import Book, Mode
from hedgelock_actors.execution.work import Own, Work

_BPS = Decimal(10_000)
_DEPTH_REACH_BPS = Decimal(100)
"""Depth is what rests within 1 % of the mid."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a quantity taken from the book at once would cost."""

    price: Decimal
    """Average, USDT."""
    slippage_bps: Decimal
    """Worse than the mid by so much."""


def estimate(side: Side, qty: Decimal, book: Book) -> Estimate:
    """Average price of `qty`, with the depth spread evenly over the percent from the mid.

    The first price is the touch; of a book with depth L within 1 %, a value V reaches V / L of that percent, half of
    it on average. An unknown depth (0) is estimated at the touch.
    """
    selling = side is Side.SELL
    quote = book.quote
    depth = dec(book.bid_depth_usdt if selling else book.ask_depth_usdt)
    touch_bps = abs(quote.touch(selling) - quote.mid) / quote.mid * _BPS
    reach_bps = qty * quote.mid / depth * _DEPTH_REACH_BPS if depth > 0 else Decimal(0)
    slippage_bps = touch_bps + reach_bps / 2
    return Estimate(quote.mid * (1 + side.sign * slippage_bps / _BPS), slippage_bps)


class Market:
    """IOC limits at the cap (at CRITICAL true market orders); it ends with an error when the cap is not enough."""

    mode = Mode.MARKET

    def __init__(self, policy: MarketPolicy, last_resort: Tactic | None = None) -> None:
        """`last_resort` works what cannot be had within the cap; None: it ends with an error."""
        self._policy = policy
        self._last_resort = last_resort
        self._sent: list[Own] = []

    def step(self, work: Work) -> Verdict | None:
        """Send the next order when the one before has ended and it is time."""
        if self._sent and not self._sent[-1].closed:
            return None
        if sum(1 for own in self._sent if own.missed and not own.refused) >= self._policy.attempts:
            return self._fail(f"{self._policy.attempts} orders within {self._cap(work)} bps did not fill it")
        last = self._sent[-1] if self._sent else None
        if last is not None and last.missed and work.now_ms < last.sent_ms + self._policy.pause_ms:
            work.timer("attempt", last.sent_ms + self._policy.pause_ms)
            return None
        return self._send(work)

    def _send(self, work: Work) -> Verdict | None:
        critical, cap = work.level is RiskLevel.CRITICAL, self._cap(work)
        expected = estimate(work.goal.side, work.todo, work.book)
        if expected.slippage_bps > cap and not critical:
            return self._fail(f"slippage of {expected.slippage_bps:.1f} bps is expected (at most {cap})")
        price = None if critical else work.through_mid(cap)
        own = work.place(work.todo, price, TimeInForce.IOC)
        if own is None:
            return GiveUp(f"no order of {work.todo} is taken by the venue and our limits")
        self._sent.append(own)
        return None

    def _fail(self, error: str) -> Verdict:
        return GiveUp(error) if self._last_resort is None else TakeOver(self._last_resort)

    def _cap(self, work: Work) -> Decimal:
        return min(self._policy.max_slippage_bps, work.settings.limits.max_slippage_bps)
