"""The aggressive strategy: whatever happens in whatever order, it never asks for more than its goal."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.order import Accepted, OrderState, OrderStatus, Rejected, Side, Unknown
from hedgelock_actors.domain.policy import ExecutionPolicy
from hedgelock_actors.execution.aggressive import Aggressive, step
from hedgelock_actors.execution.strategy import (
    Done,
    Goal,
    Happening,
    OrderRefused,
    OrderSeen,
    Place,
    QuoteSeen,
    Settings,
    Start,
    Timer,
    TimerFired,
)
from tests.unit.domain.make import BTC, quote, view

D = Decimal
SETTINGS = Settings(
    instrument=BTC, policy=ExecutionPolicy(), max_slippage_bps=D(50), max_order_qty=D(1), max_quote_age_ms=1_000
)
actions = st.lists(
    st.tuples(
        st.sampled_from(
            ["quote", "ack", "unknown", "reject", "refuse", "part", "fill", "cancel", "pause", "answer", "window"]
        ),
        st.integers(0, 3),
        st.integers(0, 2_000),
    ),
    max_size=40,
)


def happening(state: Aggressive, what: str, which: int, now: int) -> Happening | None:
    if what == "quote":
        return QuoteSeen(now, quote(ts_ms=now))
    if what in ("pause", "answer", "window"):
        return TimerFired(now, Timer(what))
    if not state.orders:
        return None
    order = state.orders[which % len(state.orders)]
    if what == "refuse":
        return None if order.from_view or order.order_id else OrderRefused(now, order.request.order_link_id, "rate")
    return OrderSeen(now, heard(order, what))


def heard(order: OrderState, what: str) -> OrderState:
    left = order.request.qty - order.cum_qty
    match what:
        case "ack":
            return order.apply_outcome(Accepted("v"))
        case "unknown":
            return order.apply_outcome(Unknown("timeout"))
        case "reject":
            return order.apply_outcome(Rejected("1", "no"))
        case "part" if not order.terminal:
            return order.apply_view(view(order.request, OrderStatus.PARTIALLY_FILLED, str(order.cum_qty + left / 3)))
        case "fill":
            return order.apply_view(view(order.request, OrderStatus.FILLED, str(order.request.qty)))
        case _:
            return order.apply_view(view(order.request, OrderStatus.CANCELLED, str(order.cum_qty)))


@given(st.sampled_from(list(Side)), st.integers(1, 4_000), actions)
def test_it_never_asks_for_more_than_its_goal(side: Side, milli: int, story: list[tuple[str, int, int]]) -> None:
    goal = Goal(account="main", symbol="BTCUSDT", intent_id="i", side=side, qty=D(milli) / 1000)
    now, asked, ends = 0, [], 0
    state, _ = step(Aggressive(goal=goal), Start(now), SETTINGS)
    for what, which, later in story:
        now += later
        told = happening(state, what, which, now)
        if told is None:
            continue
        before = state
        state, wishes = step(state, told, SETTINGS)
        for wish in wishes:
            if isinstance(wish, Place):
                assert before.live is None or state.orders[-2].terminal, "one order at a time"
                committed = sum((order.cum_qty + order.worst_case_qty for order in state.orders), D(0))
                # A closed order may turn out to be filled after all; only what was known then can bound the order.
                assert committed <= max(goal.qty, sum((order.cum_qty for order in state.orders[:-1]), D(0)))
                asked.append(wish.request.order_link_id)
            ends += isinstance(wish, Done)
        assert not before.ended or not wishes
    assert len(set(asked)) == len(asked) <= SETTINGS.policy.limit_attempts + SETTINGS.policy.market_attempts
    assert ends <= 1
    assert state.ended == (ends == 1)
