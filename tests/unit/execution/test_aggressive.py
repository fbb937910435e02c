"""The aggressive strategy, step by step."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.order import (
    Accepted,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    OrderView,
    Rejected,
    Side,
    TimeInForce,
    Unknown,
    order_link_id,
)
from hedgelock_actors.domain.policy import ExecutionPolicy
from hedgelock_actors.execution.aggressive import Aggressive, step
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

D = Decimal
T0 = 1_000_000
SETTINGS = Settings(
    instrument=Instrument(
        symbol="BTCUSDT", base_coin="BTC", tick_size=D("0.1"), qty_step=D("0.001"), min_qty=D("0.001"),
        max_qty=D(1190), max_market_qty=D(500), min_notional=D(5), funding_interval_min=480, max_leverage=D(100),
        price_limit_ratio=D("0.01"),
    ),
    policy=ExecutionPolicy(limit_attempts=3, market_attempts=1),
    max_slippage_bps=D(25),
    max_order_qty=D(10),
    max_quote_age_ms=1_000,
)  # fmt: skip


def goal(side: Side = Side.SELL, qty: str = "2", first_attempt: int = 0) -> Goal:
    return Goal(account="main", symbol="BTCUSDT", intent_id="i1", side=side, qty=D(qty), first_attempt=first_attempt)


def quote(ts_ms: int = T0, price: str = "60000") -> Quote:
    at = D(price)
    return Quote(ts_ms=ts_ms, last=at, mark=at, index=at, bid=at - 1, ask=at + 1)


class Run:
    """Carries the state along and keeps the wishes of the last step."""

    def __init__(self, aim: Goal | None = None, settings: Settings = SETTINGS) -> None:
        self.state = Aggressive(goal=aim or goal())
        self.settings = settings
        self.wishes: tuple[Wish, ...] = ()

    def tell(self, *happenings: Happening) -> tuple[Wish, ...]:
        for happening in happenings:
            self.state, self.wishes = step(self.state, happening, self.settings)
        return self.wishes

    def begin(self) -> OrderRequest:
        self.tell(Start(T0), QuoteSeen(T0, quote()))
        return self.placed()

    def placed(self) -> OrderRequest:
        (found,) = [wish.request for wish in self.wishes if isinstance(wish, Place)]
        return found

    def closed(self, cum: str, status: OrderStatus = OrderStatus.CANCELLED, now_ms: int = T0 + 10) -> tuple[Wish, ...]:
        order = self.state.orders[-1]
        return self.tell(OrderSeen(now_ms, order.apply_view(view(order, status, cum))))

    def ended(self) -> Done:
        (found,) = [wish for wish in self.wishes if isinstance(wish, Done)]
        assert self.state.ended
        return found


def view(order: OrderState, status: OrderStatus, cum: str) -> OrderView:
    asked = order.request
    return OrderView(
        symbol=asked.symbol, order_id="v", order_link_id=asked.order_link_id, status=status, side=asked.side,
        qty=asked.qty, price=asked.price or D(0), cum_qty=D(cum), cum_value=D(0), cum_fee=D(0), leaves_qty=D(0),
        reduce_only=asked.reduce_only, reject_reason="", cancel_type="", create_type="", ts_ms=T0,
    )  # fmt: skip


def test_it_waits_for_a_price_and_then_reaches_through_the_mid() -> None:
    run = Run()
    assert run.tell(Start(T0)) == (SetTimer(Timer.WINDOW, T0 + 60_000),)
    assert run.tell(Start(T0)) == ()
    run.tell(QuoteSeen(T0, quote()))
    sent = run.placed()
    assert (sent.side, sent.qty, sent.price) == (Side.SELL, D(2), D("59940.0"))
    assert (sent.order_type, sent.time_in_force, sent.reduce_only) == (OrderType.LIMIT, TimeInForce.IOC, False)
    assert sent.order_link_id == order_link_id("i1", 0)
    assert SetTimer(Timer.ANSWER, T0 + 5_000) in run.wishes


def test_a_buy_is_reduce_only_and_reaches_up() -> None:
    sent = Run(goal(Side.BUY)).begin()
    assert (sent.price, sent.reduce_only) == (D("60060.0"), True)


def test_a_stale_price_sends_nothing() -> None:
    run = Run()
    assert run.tell(Start(T0), QuoteSeen(T0 + 1_001, quote(T0))) == ()
    run.tell(QuoteSeen(T0 + 1_001, quote(T0 + 1_001)))
    assert run.placed()


def test_an_older_price_does_not_replace_a_newer_one() -> None:
    run = Run()
    run.tell(QuoteSeen(T0, quote(T0, "61000")), QuoteSeen(T0, quote(T0 - 5, "60000")), Start(T0))
    assert run.placed().price == D("60939.0")


def test_filled_is_done() -> None:
    run = Run()
    run.begin()
    run.closed("2", OrderStatus.FILLED)
    assert run.ended() == Done(Ending.FILLED, D(2), D(0), D(0))
    assert run.tell(QuoteSeen(T0, quote()), TimerFired(T0, Timer.WINDOW)) == ()


def test_the_remainder_goes_out_after_a_pause_further_through_the_mid() -> None:
    run = Run()
    run.begin()
    assert run.closed("0.5") == (SetTimer(Timer.PAUSE, T0 + 260),)
    assert run.tell(QuoteSeen(T0 + 20, quote(T0 + 20))) == (), "a price does not end the pause"
    run.tell(TimerFired(T0 + 260, Timer.PAUSE))
    sent = run.placed()
    assert (sent.qty, sent.price, sent.attempt) == (D("1.5"), D("59880.0"), 1)
    assert sent.order_link_id == order_link_id("i1", 1)


def test_the_reach_is_bounded_and_the_last_resort_is_the_market() -> None:
    run = Run()
    run.begin()
    sent = [run.placed()]
    for _ in range(3):
        run.closed("0")
        run.tell(TimerFired(T0 + 300, Timer.PAUSE))
        sent.append(run.placed())
    # 10, 20, then 25 bps: the cap of 25 rules over 30.
    assert [one.price for one in sent] == [D("59940.0"), D("59880.0"), D("59850.0"), None]
    assert sent[-1].order_type is OrderType.MARKET
    assert [one.attempt for one in sent] == [0, 1, 2, 3]
    run.closed("0.5")
    assert run.ended() == Done(Ending.ATTEMPTS, D("0.5"), D(0), D("1.5"))


def test_while_nobody_knows_nothing_more_is_sent() -> None:
    run = Run()
    run.begin()
    unknown = run.state.orders[-1].apply_outcome(Unknown("timeout"))
    assert run.tell(OrderSeen(T0 + 1, unknown), QuoteSeen(T0 + 2, quote(T0 + 2))) == ()
    link = unknown.request.order_link_id
    assert run.tell(TimerFired(T0 + 5_000, Timer.ANSWER)) == (Cancel(link), SetTimer(Timer.ANSWER, T0 + 10_000))
    run.tell(TimerFired(T0 + 60_000, Timer.WINDOW))
    assert run.wishes[0] == Cancel(link)
    assert run.ended() == Done(Ending.WINDOW, D(0), D(2), D(0)), "what may still fill is neither filled nor left"


def test_an_acknowledgement_is_not_a_final_word() -> None:
    run = Run()
    run.begin()
    assert run.tell(OrderSeen(T0 + 1, run.state.orders[-1].apply_outcome(Accepted("v")))) == ()


def test_a_rejection_is_followed_by_the_next_attempt() -> None:
    run = Run()
    run.begin()
    refused = run.state.orders[-1].apply_outcome(Rejected("110003", "price"))
    assert run.tell(OrderSeen(T0 + 1, refused)) == (SetTimer(Timer.PAUSE, T0 + 251),)


def test_a_refusal_of_our_own_limits_sent_nothing() -> None:
    run = Run()
    sent = run.begin()
    run.tell(OrderRefused(T0 + 1, sent.order_link_id, "rate"), TimerFired(T0 + 300, Timer.PAUSE))
    assert run.placed().attempt == 1
    assert run.state.filled_qty == D(0)


def test_the_window_ends_it_between_attempts() -> None:
    run = Run()
    run.begin()
    run.closed("0.5")
    run.tell(TimerFired(T0 + 60_000, Timer.WINDOW))
    assert run.ended() == Done(Ending.WINDOW, D("0.5"), D(0), D("1.5"))
    assert run.tell(TimerFired(T0 + 60_001, Timer.PAUSE)) == ()


def test_a_late_fill_after_the_end_is_still_counted() -> None:
    run = Run()
    run.begin()
    run.tell(TimerFired(T0 + 60_000, Timer.WINDOW))
    assert run.closed("2", OrderStatus.FILLED) == ()
    assert run.state.filled_qty == D(2)


def test_large_goals_are_sent_in_pieces_and_a_crumb_is_carried() -> None:
    run = Run(goal(qty="10.0005"))
    assert run.begin().qty == D(10)
    run.closed("10", OrderStatus.FILLED)
    assert run.ended() == Done(Ending.BELOW_MINIMUM, D(10), D(0), D("0.0005"))


def test_after_a_restart_old_ids_are_not_used_again() -> None:
    assert Run(goal(first_attempt=3)).begin().order_link_id == order_link_id("i1", 3)


def test_timers_of_the_past_ask_for_nothing() -> None:
    run = Run()
    run.begin()
    run.closed("0.5")
    assert run.tell(TimerFired(T0 + 5_000, Timer.ANSWER)) == ()


def test_a_market_order_keeps_to_its_own_maximum() -> None:
    settings = replace(
        SETTINGS,
        policy=ExecutionPolicy(limit_attempts=0, market_attempts=1),
        instrument=replace(SETTINGS.instrument, max_market_qty=D(1)),
    )
    run = Run(settings=settings)
    assert run.begin().qty == D(1)


def test_a_goal_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput):
        goal(qty="0")
