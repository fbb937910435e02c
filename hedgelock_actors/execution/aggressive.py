"""Fill now: IOC limits that reach a little through the mid, each further than the one before, then the market.

One order at a time. The next attempt is decided only when the one before has had its final word, so no interleaving
of answers, fills and time-outs can buy or sell more than the goal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hedgelock_actors.domain.gap import price_through_mid
from hedgelock_actors.domain.market import Quote
from hedgelock_actors.domain.money import ZERO, round_to_step
from hedgelock_actors.domain.order import OrderRequest, OrderState, OrderType, TimeInForce, order_link_id
from hedgelock_actors.execution.market import market_order
from hedgelock_actors.execution.strategy import (
    Cancel,
    Done,
    Ending,
    Goal,
    Happening,
    OrderRefused,
    OrderSeen,
    Place,
    QuoteSeen,
    SetTimer,
    Settings,
    Start,
    Timer,
    TimerFired,
    Wish,
)

Step = tuple["Aggressive", tuple[Wish, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggressive:
    """Where the carrying out of one goal stands. Immutable; `step` gives the next one."""

    goal: Goal
    started: bool = False
    ended: bool = False
    quote: Quote | None = None
    orders: tuple[OrderState, ...] = ()
    """One per attempt, oldest first."""
    waiting: bool = False
    """A pause is running."""

    @property
    def filled_qty(self) -> Decimal:
        """What is certainly filled."""
        return sum((order.cum_qty for order in self.orders), ZERO)

    @property
    def open_qty(self) -> Decimal:
        """What may still fill."""
        return sum((order.worst_case_qty for order in self.orders), ZERO)

    @property
    def left_qty(self) -> Decimal:
        """What is neither filled nor may fill."""
        return max(ZERO, self.goal.qty - self.filled_qty - self.open_qty)

    @property
    def live(self) -> OrderState | None:
        """The order without a final word, if any."""
        return self.orders[-1] if self.orders and not self.orders[-1].terminal else None


def step(state: Aggressive, happening: Happening, settings: Settings) -> Step:
    """The next state and what is to be done now. After the end nothing is asked for any more."""
    if state.ended:
        return _seen(state, happening.order) if isinstance(happening, OrderSeen) else state, ()
    match happening:
        case Start(now_ms=now_ms):
            if state.started:
                return state, ()
            window = SetTimer(Timer.WINDOW, now_ms + settings.policy.window_ms)
            return _also((window,), _next(replace(state, started=True), now_ms, settings))
        case QuoteSeen(now_ms=now_ms, quote=quote):
            newer = state.quote is None or quote.ts_ms >= state.quote.ts_ms
            return _next(replace(state, quote=quote if newer else state.quote), now_ms, settings)
        case OrderSeen(now_ms=now_ms, order=order):
            return _after_word(state, _seen(state, order), now_ms, settings)
        case OrderRefused(now_ms=now_ms, order_link_id=link, detail=detail):
            refused = tuple(
                order.prove_absent(f"refused: {detail}") if order.request.order_link_id == link else order
                for order in state.orders
            )
            return _after_word(state, replace(state, orders=refused), now_ms, settings)
        case TimerFired(now_ms=now_ms, timer=timer):
            return _timer(state, timer, now_ms, settings)


def _seen(state: Aggressive, heard: OrderState) -> Aggressive:
    link = heard.request.order_link_id
    orders = tuple(heard if order.request.order_link_id == link else order for order in state.orders)
    return replace(state, orders=orders)


def _after_word(before: Aggressive, state: Aggressive, now_ms: int, settings: Settings) -> Step:
    if before.live is None or state.live is not None:
        return state, ()
    if state.left_qty < settings.instrument.min_qty or len(state.orders) >= _attempts(settings):
        return _next(state, now_ms, settings)
    # The book needs a moment to fill up again, and the market a chance to show another price.
    pause = SetTimer(Timer.PAUSE, now_ms + settings.policy.pause_ms)
    return replace(state, waiting=True), (pause,)


def _timer(state: Aggressive, timer: Timer, now_ms: int, settings: Settings) -> Step:
    match timer:
        case Timer.PAUSE:
            return _next(replace(state, waiting=False), now_ms, settings)
        case Timer.ANSWER if state.live is not None:
            again = SetTimer(Timer.ANSWER, now_ms + settings.policy.answer_timeout_ms)
            return state, (Cancel(state.live.request.order_link_id), again)
        case Timer.WINDOW:
            cancel = () if state.live is None else (Cancel(state.live.request.order_link_id),)
            return _also(cancel, _end(state, Ending.WINDOW))
        case _:
            return state, ()


def _next(state: Aggressive, now_ms: int, settings: Settings) -> Step:
    """Send the next attempt when one is due and possible; end when nothing is left to do."""
    if not state.started or state.waiting or state.live is not None:
        return state, ()
    qty = _order_qty(state, settings)
    if state.left_qty <= ZERO:
        return _end(state, Ending.FILLED)
    if qty < settings.instrument.min_qty:
        return _end(state, Ending.BELOW_MINIMUM)
    if len(state.orders) >= _attempts(settings):
        return _end(state, Ending.ATTEMPTS)
    if state.quote is None or now_ms - state.quote.ts_ms > settings.max_quote_age_ms:
        return state, ()  # the next quote brings us back here
    request = _request(state, state.quote, qty, settings)
    placed = replace(state, orders=(*state.orders, OrderState(request=request)))
    return placed, (Place(request), SetTimer(Timer.ANSWER, now_ms + settings.policy.answer_timeout_ms))


def _request(state: Aggressive, quote: Quote, qty: Decimal, settings: Settings) -> OrderRequest:
    goal, made = state.goal, len(state.orders)
    attempt = goal.first_attempt + made
    if made >= settings.policy.limit_attempts:
        return market_order(goal, min(qty, settings.instrument.max_market_qty), attempt)
    reach = min(settings.policy.through_bps + made * settings.policy.step_bps, settings.max_slippage_bps)
    return OrderRequest(
        account=goal.account,
        symbol=goal.symbol,
        side=goal.side,
        qty=qty,
        order_type=OrderType.LIMIT,
        price=price_through_mid(goal.side, quote, reach, settings.instrument),
        time_in_force=TimeInForce.IOC,
        reduce_only=goal.reduce_only,
        order_link_id=order_link_id(goal.intent_id, attempt),
        intent_id=goal.intent_id,
        attempt=attempt,
    )


def _order_qty(state: Aggressive, settings: Settings) -> Decimal:
    # Down: the goal is on the grid, so only a goal that is not leaves a remainder, and the next target carries it.
    most = min(state.left_qty, settings.max_order_qty, settings.instrument.max_qty)
    return round_to_step(most, settings.instrument.qty_step, "down")


def _attempts(settings: Settings) -> int:
    return settings.policy.limit_attempts + settings.policy.market_attempts


def _end(state: Aggressive, ending: Ending) -> Step:
    ended = replace(state, ended=True, waiting=False)
    return ended, (Done(ending, state.filled_qty, state.open_qty, state.left_qty),)


def _also(first: tuple[Wish, ...], then: Step) -> Step:
    return then[0], (*first, *then[1])
