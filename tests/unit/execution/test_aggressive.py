"""Each attempt as the order that it becomes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.limits import Approved, Intent, Limits, approve
from hedgelock_actors.domain.order import OrderRequest, OrderType, Side, TimeInForce, order_link_id
from hedgelock_actors.domain.policy import ExecutionPolicy
from hedgelock_actors.execution.aggressive import Goal, Settings, attempt_order, attempts_in_all, same_order
from tests.unit.domain.make import BTC, gate, quote

D = Decimal
SETTINGS = Settings(
    instrument=BTC,
    limits=Limits(max_slippage_bps=D(25), max_order_qty=D(10), max_order_notional_usdt=D(1_000_000)),
    policy=ExecutionPolicy(through_bps=D(10), step_bps=D(10), limit_attempts=3, market_attempts=1),
)
SELL = Goal(account="main", symbol="BTCUSDT", intent_id="intent-1", side=Side.SELL)
BUY = replace(SELL, side=Side.BUY)


def order(
    goal: Goal = SELL, attempt: int = 0, misses: int = 0, qty: str = "2", settings: Settings = SETTINGS
) -> OrderRequest:
    made = attempt_order(goal, attempt, misses, D(qty), quote(), settings)
    assert made is not None
    return made


def test_the_first_reaches_a_little_through_the_mid() -> None:
    sent = order()
    assert (sent.side, sent.qty, sent.price) == (Side.SELL, D(2), D("59940.0"))
    assert (sent.order_type, sent.time_in_force, sent.reduce_only) == (OrderType.LIMIT, TimeInForce.IOC, False)
    assert (sent.order_link_id, sent.attempt) == (order_link_id("intent-1", 0), 0)


def test_a_buy_is_reduce_only_and_reaches_up() -> None:
    assert (order(BUY).price, order(BUY).reduce_only) == (D("60060.0"), True)
    market = order(BUY, 3, 3)
    assert (market.price, market.reduce_only) == (None, True)


def test_each_miss_reaches_further_up_to_the_cap_and_then_it_is_the_market() -> None:
    sent = [order(attempt=n, misses=n) for n in range(6)]
    # 10, 20, then 25 bps: the cap of 25 rules over 30.
    assert [one.price for one in sent] == [D("59940.0"), D("59880.0"), D("59850.0"), None, None, None]
    assert [one.order_type is OrderType.MARKET for one in sent] == [False] * 3 + [True] * 3
    assert {one.time_in_force for one in sent} == {TimeInForce.IOC}
    assert len({one.order_link_id for one in sent}) == 6


def test_attempts_that_filled_are_no_reason_to_reach_further() -> None:
    sent = order(attempt=7, misses=0)
    assert (sent.price, sent.attempt) == (D("59940.0"), 7)


def test_a_large_quantity_goes_in_pieces_and_a_crumb_is_no_order() -> None:
    assert order(qty="10.0005").qty == D(10)
    assert order(qty="1.0005").qty == D(1)
    assert attempt_order(SELL, 0, 0, D("0.0005"), quote(), SETTINGS) is None


def test_a_market_order_keeps_to_the_venues_own_maximum_for_it() -> None:
    settings = replace(SETTINGS, instrument=replace(BTC, max_market_qty=D(1)))
    assert order(misses=2, settings=settings).qty == D(2)
    assert order(misses=3, settings=settings).qty == D(1)


def test_with_no_limit_attempts_the_first_is_a_market_order() -> None:
    policy = ExecutionPolicy(limit_attempts=0, market_attempts=2)
    assert order(settings=replace(SETTINGS, policy=policy)).order_type is OrderType.MARKET
    assert attempts_in_all(policy) == 2


@pytest.mark.parametrize(("misses", "kind"), [(0, OrderType.LIMIT), (3, OrderType.MARKET)])
def test_the_same_order_again_keeps_its_type_and_id_and_never_grows(misses: int, kind: OrderType) -> None:
    sent = order(misses=misses)
    later = quote("58000")
    again = same_order(sent, misses, D(5), later, SETTINGS)
    assert (again.order_type, again.order_link_id, again.qty) == (kind, sent.order_link_id, sent.qty)
    assert again.price == (D("57942.0") if kind is OrderType.LIMIT else None)
    assert same_order(sent, misses, D(1), later, SETTINGS).qty == D(1)
    unknown_market = same_order(order(misses=3), 0, D(2), later, SETTINGS)
    assert unknown_market.order_type is OrderType.MARKET, "whatever is thought of the misses by then"


@pytest.mark.parametrize("goal", [SELL, BUY])
@pytest.mark.parametrize("misses", range(5))
def test_the_gate_lets_every_attempt_pass_in_a_wide_market(goal: Goal, misses: int) -> None:
    wide = quote(bid=D(59_700), ask=D(60_300))
    sent = attempt_order(goal, misses, misses, D(100), wide, SETTINGS)
    assert sent is not None
    intent = ("intent-1", Intent(side=goal.side, qty=D(100)))
    context = gate(intent, quote=wide, position_qty=D(-20))
    assert isinstance(approve(sent, context, SETTINGS.limits), Approved)
