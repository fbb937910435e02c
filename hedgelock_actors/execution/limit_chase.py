"""Go after the price with limit orders for a short while: break even, then inside the spread, then the touch.

What is then left goes to the market, within a cap on its slippage. What that does not fill either goes beyond the cap
when it protects, and ends with an error when it does not.
"""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.domain.money import round_price
from hedgelock_actors.domain.order import TimeInForce
from hedgelock_actors.execution.aggressive import Aggressive
from hedgelock_actors.execution.machine import Enough, GiveUp, TakeOver, Verdict
from hedgelock_actors.execution.market import Market
from hedgelock_actors.execution.strategy import Mode
from hedgelock_actors.execution.work import Own, Work, turned_critical

_BPS = Decimal(10_000)


class LimitChase:
    """One limit order at a time; each try ends by a cancel, and the next begins when the venue has confirmed it."""

    mode = Mode.LIMIT_CHASE

    def __init__(self, policy: ExecutionPolicy, *, reduce: bool) -> None:
        chase = policy.limit_chase
        self._policy, self._chase = policy, chase
        self._tries = chase.reduce_tries if reduce else chase.tries
        self._window_ms = chase.reduce_window_ms if reduce else chase.window_ms
        self._back_off_ms = chase.reduce_back_off_ms if reduce else chase.back_off_ms
        self._try_ms = max(1, self._window_ms // self._tries)
        self._until_ms: int | None = None
        self._own: Own | None = None
        self._closed_ms: int | None = None
        self._missed = 0

    def step(self, work: Work) -> Verdict | None:
        """See to the order that is out, or send the next."""
        if turned_critical(work):
            return TakeOver(Aggressive(self._policy.aggressive))
        if self._until_ms is None:
            self._until_ms = work.now_ms + self._window_ms
        own = self._own
        if own is not None and not own.closed:
            self._wait(work, own, self._until_ms)
            return None
        if own is not None and self._closed_ms is None:
            self._closed_ms = work.now_ms
            self._missed += 1 if own.missed else 0
        return self._next(work, self._until_ms)

    def _wait(self, work: Work, own: Own, until_ms: int) -> None:
        end_ms = min(own.sent_ms + self._try_ms, until_ms)
        if work.now_ms >= end_ms:
            work.cancel(own)
        else:
            work.timer("try", end_ms)

    def _next(self, work: Work, until_ms: int) -> Verdict | None:
        if work.filled_qty >= self._chase.enough * work.goal.qty:
            return Enough()
        if self._missed >= self._tries or work.now_ms >= until_ms:
            return TakeOver(self._market(work))
        if self._closed_ms is not None and work.now_ms < self._closed_ms + self._back_off_ms:
            work.timer("back_off", self._closed_ms + self._back_off_ms)
            return None
        self._own, self._closed_ms = work.place(work.todo, self._price(work), TimeInForce.GTC), None
        if self._own is None:
            return GiveUp(f"no order of {work.todo} is taken by the venue and our limits")
        self._wait(work, self._own, until_ms)
        return None

    def _market(self, work: Work) -> Market:
        """For protection the cap is not the end: a wide spread delays it and does not prevent it."""
        if not (work.selling and work.goal.must_fill):
            return Market(self._policy.market)
        aggressive = self._policy.aggressive
        return Market(self._policy.market, last_resort=Aggressive(aggressive, aggressive.limit_attempts))

    def _price(self, work: Work) -> Decimal:
        inside_until, break_even = self._chase.inside_tries, self._break_even(work)
        if break_even is not None:
            if self._missed < self._chase.break_even_tries:
                return break_even
            inside_until += self._chase.break_even_tries
        price = self._inside(work) if self._missed < inside_until else work.book.quote.touch(work.selling)
        furthest = work.through_mid(work.settings.limits.max_slippage_bps)
        return furthest if work.worse(price, furthest) else price

    def _break_even(self, work: Work) -> Decimal | None:
        """The price that pays for both fills, or the touch where that is better; None when it is out of reach."""
        reference, quote = work.goal.reference_price, work.book.quote
        if reference is None:
            return None
        sign = work.goal.side.sign
        price = reference * (1 - sign * self._chase.break_even_bps / _BPS)
        if sign * (quote.mid - price) / quote.mid * _BPS > self._chase.break_even_reach_bps:
            return None
        price = round_price(price, work.settings.instrument.tick_size, "up" if work.selling else "down")
        touch = quote.touch(work.selling)
        return touch if work.worse(price, touch) else price

    @staticmethod
    def _inside(work: Work) -> Decimal:
        """One tick better for others than the best of our side; in a spread of one tick, with the best."""
        quote, tick = work.book.quote, work.settings.instrument.tick_size
        if quote.ask - quote.bid <= tick:
            return quote.touch(not work.selling)
        return quote.ask - tick if work.selling else quote.bid + tick
