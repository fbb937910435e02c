"""The gate: each limit is reached by a test, and only the gate approves."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput, InvariantBroken
from hedgelock_actors.domain.gate_checks import AMEND_CHECKS, CHECKS
from hedgelock_actors.domain.gate_facts import quote_of
from hedgelock_actors.domain.limits import (
    Approved,
    GateContext,
    Intent,
    Limits,
    OpenOrder,
    RecentOrder,
    Refused,
    TradeBudget,
    Working,
    approve,
    working_of,
)
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import OrderRequest, OrderState, OrderStatus, Side, TimeInForce
from hedgelock_actors.domain.refusal import RefusalCode
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from tests.unit.domain.make import BTC, NOW, gate, quote, request, view

D = Decimal
C = RefusalCode
# Spelled out where a test names the number, so that other defaults do not change what is tested.
LIMITS = Limits(max_quote_age_ms=5_000, max_position_age_ms=120_000)
BUYING = ("intent-1", Intent(side=Side.BUY, qty=D(100)))
SHORT = D(-5)


def buy(qty: str = "1", price: str | None = "60060") -> OrderRequest:
    return request(qty, Side.BUY, price)


def intents(**changes: object) -> GateContext:
    plain = Intent(side=Side.SELL, qty=D(100))
    return gate(("intent-1", replace(plain, **changes)))  # type: ignore[arg-type]


def sent(intent_id: str, price: str | None = "59940", age_ms: int = 999, side: Side = Side.SELL) -> RecentOrder:
    at = None if price is None else D(price)
    return RecentOrder(intent_id=intent_id, side=side, price=at, qty=D(1), sent_ms=NOW - age_ms)


def resting(side: Side, price: str | None, link: str = "hl-resting") -> OpenOrder:
    return OpenOrder(order_link_id=link, side=side, price=None if price is None else D(price), qty=D(1))


def mode(which: TradingMode, epoch: int = 0) -> TradingState:
    return TradingState(which, epoch, "drill")


# One case per limit; "the other side" of most limits is the plain order of `test_a_plain_order_is_approved`.
CASES: dict[RefusalCode, tuple[OrderRequest, GateContext, Limits]] = {
    C.WRONG_ENVIRONMENT: (request(), gate(environment="mainnet"), LIMITS),
    C.SYMBOL_NOT_ALLOWED: (request(symbol="DOGEUSDT"), gate(), LIMITS),
    C.WRONG_ACCOUNT: (request(account="other"), gate(), LIMITS),
    C.NOT_THE_WRITER: (request(), gate(writer=False), LIMITS),
    C.HALTED: (buy(), gate(BUYING, position_qty=SHORT, trading=mode(TradingMode.HALTED)), LIMITS),
    C.REDUCE_ONLY: (request(), gate(trading=mode(TradingMode.REDUCE_ONLY)), LIMITS),
    C.OLD_EPOCH: (request(), gate(trading=mode(TradingMode.ACTIVE, 3), epoch=2), LIMITS),
    C.NOT_RECONCILED: (request(), gate(reconciled=False), LIMITS),
    C.QUOTE_MISSING: (request(), gate(quote=None), LIMITS),
    C.QUOTE_STALE: (request(), gate(quote=quote(ts_ms=NOW - 5_001)), LIMITS),
    C.POSITION_STALE: (request(), gate(position_ms=NOW - 120_001), LIMITS),
    C.UNKNOWN_INTENT: (request(intent_id="nobody"), gate(), LIMITS),
    C.DUPLICATE: (request(), intents(attempts=frozenset({0})), LIMITS),
    C.OVER_INTENT: (request("1"), intents(qty=D("1.5"), committed_qty=D("0.501")), LIMITS),
    C.WRONG_DIRECTION: (request("1", Side.BUY, "60060", reduce_only=False), gate(BUYING, position_qty=SHORT), LIMITS),
    C.NET_LONG: (buy("1"), gate(BUYING, position_qty=SHORT, working=Working(buy_qty=D("4.001"))), LIMITS),
    C.LOT_SIZE: (request("1.0005"), gate(), LIMITS),
    C.TICK_SIZE: (request(price="59940.05"), gate(), LIMITS),
    C.BELOW_VENUE_MIN_QTY: (request("0.001"), gate(instrument=replace(BTC, min_qty=D("0.002"))), LIMITS),
    C.ABOVE_VENUE_MAX_QTY: (request("3"), gate(instrument=replace(BTC, max_qty=D(2))), LIMITS),
    C.BELOW_VENUE_MIN_NOTIONAL: (request("0.001"), gate(instrument=replace(BTC, min_notional=D(100))), LIMITS),
    C.ORDER_QTY: (request("10.001"), gate(), LIMITS),
    C.ORDER_NOTIONAL: (request("10"), gate(), replace(LIMITS, max_order_notional_usdt=D(599_999))),
    C.SLIPPAGE: (request(price="59699.9"), gate(), LIMITS),
    C.PRICE_BAND_MARK: (request(price="63000.1"), gate(), LIMITS),
    C.PRICE_BAND_LAST_GOOD: (request(), gate(last_good_price=D(63_100)), LIMITS),
    C.POSITION_QTY: (
        request("1"), gate(position_qty=D(-45), working=Working(sell_qty=D("4.001"), count=1)), LIMITS
    ),
    C.POSITION_NOTIONAL: (
        request("1"), gate(position_qty=SHORT), replace(LIMITS, max_position_notional_usdt=D(359_999))
    ),
    C.OPEN_ORDERS: (request(), gate(working=Working(count=20)), LIMITS),
    C.ORDERS_PER_SECOND: (request(), gate(recent_order_ms=(NOW - 999,) * 10), LIMITS),
    C.ORDERS_PER_MINUTE: (request(), gate(recent_order_ms=(NOW - 59_999,) * 20), LIMITS),
    C.NOTIONAL_PER_MINUTE: (request(), gate(notional_last_minute_usdt=D(9_940_001)), LIMITS),
    C.QUOTE_AHEAD: (request(), gate(quote=quote(ts_ms=NOW + 5_001)), LIMITS),
    C.AWAY_FROM_TARGET: (request("1"), gate(position_qty=SHORT, target_short_qty=D("5.5")), LIMITS),
    C.REPEATED_ORDER: (request(), gate(recent_orders=(sent("intent-2"),)), LIMITS),
    C.BELOW_MIN_ORDER_QTY: (request("0.001"), gate(), replace(LIMITS, min_order_qty=D("0.002"))),
    C.SELF_TRADE: (request(price="59940"), gate(open_orders=(resting(Side.BUY, "59940"),)), LIMITS),
    C.LIQUIDATION_DISTANCE: (
        request("1"), gate(position_qty=SHORT, liquidation_price=D(63_500), money_ms=NOW), LIMITS
    ),
    C.TRADE_ORDER_QTY: (request("1.001"), gate(trade=TradeBudget()), LIMITS),
    C.TRADE_DAILY_QTY: (request("1"), gate(trade=TradeBudget(traded_today_qty=D("9.001"))), LIMITS),
    C.MONEY_STALE: (request(), gate(available_usdt=D(10**6), money_ms=NOW - 120_001), LIMITS),
    C.MARGIN: (
        request("1"), gate(available_usdt=D(11_999), money_ms=NOW, working=Working(sell_qty=D(1), count=1)),
        replace(LIMITS, min_liquidation_distance=D("0.0001")),
    ),
    C.FUNDING_COST: (request(), gate(funding_rate=-0.0031), LIMITS),
    C.DAILY_LOSS: (request(), gate(realised_today_usdt=D(-500_000)), LIMITS),
    C.DAILY_FEES: (request(), gate(fees_today_usdt=D(10_000)), LIMITS),
}  # fmt: skip


def code_of(made: OrderRequest, ctx: GateContext, limits: Limits = LIMITS) -> RefusalCode | None:
    found = approve(made, ctx, limits)
    return found.code if isinstance(found, Refused) else None


def test_a_plain_order_is_approved() -> None:
    found = approve(request(), gate(epoch=4), LIMITS)
    assert isinstance(found, Approved)
    assert (found.request, found.approved_ms, found.epoch) == (request(), NOW, 4)


@pytest.mark.parametrize("code", list(CASES))
def test_every_limit_refuses_with_its_code_and_numbers(code: RefusalCode) -> None:
    found = approve(*CASES[code])
    assert isinstance(found, Refused)
    assert found.code is code
    assert found.detail


def test_every_code_is_checked_once_and_explained() -> None:
    codes = [code for code, _ in CHECKS]
    assert len(set(codes)) == len(codes)
    assert {*codes, *(code for code, _ in AMEND_CHECKS), C.UNKNOWN_ORDER} == set(RefusalCode)
    assert set(CASES) == set(codes)
    assert all(code.doc.endswith(".") for code in RefusalCode)


# ---------------------------------------------------------------- the approval itself


def test_nothing_else_makes_an_approval() -> None:
    with pytest.raises(InvariantBroken):
        Approved(request(), NOW, 0, object())


def test_an_approval_cannot_be_changed_copied_or_carried_away() -> None:
    found = approve(request(), gate(), LIMITS)
    assert isinstance(found, Approved)
    with pytest.raises(InvariantBroken):
        pickle.dumps(found)
    with pytest.raises(InvariantBroken):
        copy.copy(found)
    with pytest.raises((ValueError, TypeError)):
        replace(found, request=request("2"))
    with pytest.raises(AttributeError):
        found.request = request("2")  # type: ignore[misc]


# ---------------------------------------------------------------- limits reached exactly


@pytest.mark.parametrize(
    ("made", "ctx"),
    [
        (request("10"), gate()),
        (request(price="59700"), gate()),
        (request(price="63000"), gate()),
        (request("1"), gate(position_qty=D(-45), working=Working(sell_qty=D(4), count=1))),
        (request(), gate(working=Working(count=19))),
        (request(), gate(recent_order_ms=(NOW - 1_000,) * 19)),
        (request(), gate(recent_order_ms=(NOW - 60_000,) * 100)),
        (request(), gate(quote=quote(ts_ms=NOW - 5_000))),
        (request(), gate(position_ms=NOW - 120_000)),
        (request("1"), intents(qty=D("1.5"), committed_qty=D("0.5"))),
        (buy("1"), gate(BUYING, position_qty=SHORT, working=Working(buy_qty=D(4)))),
        (request(price=None), gate()),
        (buy(price=None), gate(BUYING, position_qty=SHORT)),
        (request(), gate(notional_last_minute_usdt=D(9_940_000))),
        (request(), gate(quote=quote(ts_ms=NOW + 5_000))),
        (request("1"), gate(trade=TradeBudget(traded_today_qty=D(9)))),
        (request(), gate(funding_rate=-0.003)),
        (request(), gate(realised_today_usdt=D("-499999.99"), fees_today_usdt=D("9999.99"))),
        (request(), gate(available_usdt=D(6_000), money_ms=NOW - 120_000)),
        (request("0.001"), gate()),
    ],
)
def test_a_limit_may_be_reached_and_not_passed(made: OrderRequest, ctx: GateContext) -> None:
    assert code_of(made, ctx) is None


def test_a_buy_is_held_to_the_same_slippage_from_above() -> None:
    held = gate(BUYING, position_qty=SHORT)
    assert code_of(buy(price="60300"), held) is None
    assert code_of(buy(price="60300.1"), held) is C.SLIPPAGE


def test_a_market_order_has_its_own_venue_maximum() -> None:
    ctx = gate(instrument=replace(BTC, max_market_qty=D(1)))
    assert code_of(request("2"), ctx) is None
    assert code_of(request("2", price=None), ctx) is C.ABOVE_VENUE_MAX_QTY


def test_a_market_order_is_held_to_the_bands_by_the_first_price_that_it_meets() -> None:
    wide = quote(bid=D(57_000), ask=D(63_000))
    assert code_of(request(price=None), gate(quote=wide)) is None
    assert code_of(request(price=None), gate(quote=replace(wide, bid=D("56999.9")))) is C.PRICE_BAND_MARK
    held = gate(BUYING, position_qty=SHORT, quote=replace(wide, ask=D("63000.1")))
    assert code_of(buy(price=None), held) is C.PRICE_BAND_MARK
    assert code_of(request(price=None), gate(last_good_price=D(63_200))) is C.PRICE_BAND_LAST_GOOD


def test_a_market_order_counts_at_the_dearer_of_its_first_price_and_the_mark() -> None:
    limits = replace(LIMITS, max_order_notional_usdt=D(60_300))
    held = gate(BUYING, position_qty=SHORT, quote=quote(ask=D(60_400)))
    assert code_of(buy(price=None), held, limits) is C.ORDER_NOTIONAL
    assert code_of(request(price=None), gate(quote=quote(bid=D(59_600))), limits) is None


def test_an_order_for_a_symbol_whose_filters_are_not_the_ones_known_is_refused() -> None:
    found = approve(request(symbol="ETHUSDT"), gate(), LIMITS)
    assert isinstance(found, Refused)
    assert (found.code, "BTCUSDT" in found.detail) == (C.SYMBOL_NOT_ALLOWED, True)


def test_a_check_of_a_price_never_runs_without_one() -> None:
    with pytest.raises(InvariantBroken):
        quote_of(gate(quote=None))


# ---------------------------------------------------------------- modes


def test_reduce_only_lets_the_hedge_shrink() -> None:
    ctx = gate(BUYING, position_qty=SHORT, trading=mode(TradingMode.REDUCE_ONLY))
    assert code_of(buy(), ctx) is None


def test_halted_stops_everything_and_says_why() -> None:
    found = approve(*CASES[C.HALTED])
    assert isinstance(found, Refused)
    assert "drill" in found.detail


def test_without_reconciliation_nothing_opens_but_the_hedge_may_shrink() -> None:
    assert code_of(buy(), gate(BUYING, position_qty=SHORT, reconciled=False)) is None


def test_the_limits_are_the_same_for_a_long_left_by_somebody() -> None:
    selling = request("1", reduce_only=True)
    assert code_of(selling, gate(position_qty=D(2))) is None
    assert code_of(selling, gate(position_qty=D(0))) is C.WRONG_DIRECTION


def test_critical_has_a_budget_of_its_own() -> None:
    twenty = (NOW - 2_000,) * 20
    assert code_of(request(), gate(recent_order_ms=twenty)) is C.ORDERS_PER_MINUTE
    assert code_of(request(), gate(recent_order_ms=twenty, level=RiskLevel.CRITICAL)) is None
    assert code_of(request(), gate(recent_order_ms=twenty * 2, level=RiskLevel.CRITICAL)) is C.ORDERS_PER_MINUTE
    spent = gate(notional_last_minute_usdt=D(10_000_000))
    assert code_of(request(), spent) is C.NOTIONAL_PER_MINUTE
    assert code_of(request(), replace(spent, level=RiskLevel.CRITICAL)) is None
    spent = replace(spent, level=RiskLevel.CRITICAL, notional_last_minute_usdt=D(20_000_000))
    assert code_of(request(), spent) is C.NOTIONAL_PER_MINUTE


# ---------------------------------------------------------------- towards the target


def test_an_order_may_bring_the_short_to_its_target_and_less_than_a_lot_beyond() -> None:
    ctx = gate(position_qty=D("-4.0004"), target_short_qty=D(5))
    assert code_of(request("1"), ctx) is None
    assert code_of(request("1.001"), ctx) is C.AWAY_FROM_TARGET
    assert code_of(request("1"), replace(ctx, working=Working(sell_qty=D(1)))) is C.AWAY_FROM_TARGET


def test_a_short_at_or_above_its_target_is_not_raised_at_all() -> None:
    for target in ("5", "4.9999"):
        assert code_of(request("0.001"), gate(position_qty=SHORT, target_short_qty=D(target))) is C.AWAY_FROM_TARGET


def test_a_buy_brings_the_short_down_to_its_target_and_no_further() -> None:
    ctx = gate(BUYING, position_qty=SHORT, target_short_qty=D(4))
    assert code_of(buy("1"), ctx) is None
    assert code_of(buy("1.001"), ctx) is C.AWAY_FROM_TARGET
    assert code_of(buy("1"), replace(ctx, working=Working(buy_qty=D("0.001"), count=1))) is C.AWAY_FROM_TARGET


def test_a_resend_towards_the_target_is_counted_once() -> None:
    known = ("intent-1", Intent(side=Side.SELL, qty=D(1), committed_qty=D(1), attempts=frozenset({0})))
    ctx = gate(known, target_short_qty=D(1), working=Working(sell_qty=D(1), count=1), resend=True)
    assert code_of(request("1"), ctx) is None
    assert code_of(request("1"), replace(ctx, target_short_qty=D("0.5"))) is C.AWAY_FROM_TARGET


def test_what_went_out_once_is_not_held_to_the_day_s_budgets_again() -> None:
    known = ("intent-1", Intent(side=Side.SELL, qty=D(1), committed_qty=D(1), attempts=frozenset({0})))
    ctx = gate(known, working=Working(sell_qty=D(1), count=1), fees_today_usdt=D(10_000), resend=True)
    assert code_of(request("1"), ctx) is None
    assert code_of(request("1"), replace(ctx, resend=False)) is C.DUPLICATE
    assert code_of(request("1"), gate(fees_today_usdt=D(10_000))) is C.DAILY_FEES


def test_trades_and_realised_profit_are_beside_the_target() -> None:
    ctx = gate(position_qty=SHORT, target_short_qty=D(5))
    assert code_of(request("1"), replace(ctx, trade=TradeBudget())) is None
    assert code_of(request("1"), replace(ctx, target_short_qty=None)) is None


# ---------------------------------------------------------------- the same order from elsewhere, and our own orders


@pytest.mark.parametrize(
    ("recent", "code"),
    [
        (sent("intent-2"), C.REPEATED_ORDER),
        (sent("intent-2", age_ms=1_000), None),
        (sent("intent-1"), None),
        (sent("intent-2", price="59940.1"), None),
        (sent("intent-2", side=Side.BUY), None),
    ],
)
def test_the_very_same_order_of_another_intent_is_refused_for_a_moment(
    recent: RecentOrder, code: RefusalCode | None
) -> None:
    assert code_of(request(), gate(recent_orders=(recent,))) is code


def test_sending_an_order_again_is_not_repeating_it() -> None:
    known = ("intent-1", Intent(side=Side.SELL, qty=D(1), committed_qty=D(1), attempts=frozenset({0})))
    assert code_of(request(), gate(known, recent_orders=(sent("intent-2"),), resend=True)) is None


@pytest.mark.parametrize(
    ("made", "other", "crosses"),
    [
        (request(price="59940"), resting(Side.BUY, "59940"), True),
        (request(price="59940.1"), resting(Side.BUY, "59940"), False),
        (request(price=None), resting(Side.BUY, "1"), True),
        (request(), resting(Side.BUY, None), True),
        (request(), resting(Side.SELL, "59940"), False),
        (request(), resting(Side.BUY, "60000", request().order_link_id), False),
        (buy(price="60060"), resting(Side.SELL, "60060"), True),
        (buy(price="60060"), resting(Side.SELL, "60060.1"), False),
    ],
)
def test_no_order_trades_with_our_own(made: OrderRequest, other: OpenOrder, crosses: bool) -> None:
    ctx = gate(BUYING if made.side is Side.BUY else ("intent-1", Intent(side=Side.SELL, qty=D(100))),
               position_qty=SHORT, open_orders=(other,))  # fmt: skip
    assert code_of(made, ctx) is (C.SELF_TRADE if crosses else None)


def test_two_orders_that_never_wait_cannot_meet() -> None:
    """An unresolved buy that is long dead must not keep the hedge from being raised."""
    gone = replace(resting(Side.BUY, "60060"), rests=False)
    assert code_of(request(price="59940"), gate(open_orders=(gone,))) is None
    waiting = replace(request(price="60010"), time_in_force=TimeInForce.POST_ONLY)
    assert code_of(waiting, gate(open_orders=(gone,))) is C.SELF_TRADE
    assert code_of(request(price="59940"), gate(open_orders=(replace(gone, rests=True),))) is C.SELF_TRADE


# ---------------------------------------------------------------- what nothing may be opened for


def test_a_restriction_lets_the_hedge_shrink_and_says_itself() -> None:
    why = ("foreign activity", "maintenance at 12:00")
    found = approve(request(), gate(restrictions=why), LIMITS)
    assert isinstance(found, Refused)
    assert (found.code, found.detail) == (C.REDUCE_ONLY, "reduce-only: foreign activity; maintenance at 12:00")
    assert code_of(buy(), gate(BUYING, position_qty=SHORT, restrictions=why)) is None


# ---------------------------------------------------------------- the short's own liquidation


def test_an_order_may_not_bring_the_short_s_liquidation_near() -> None:
    """By the formula: h P k = E + h F at liquidation, with k = 1 + 0.005 + 0.00055 and F = 60000."""
    k = D("1.00555")
    ctx = gate(position_qty=SHORT, money_ms=NOW, liquidation_price=D(66_000))
    equity = D(5) * (D(66_000) * k - D(60_000))
    for qty, near in ((D("4.5"), False), (D("4.51"), True)):
        after = D(5) + qty
        price = (equity + after * D(60_000)) / (after * k)
        assert (price / D(60_000) - 1 < D("0.05")) is near, "the case is on the side it claims"
        assert code_of(request(str(qty)), ctx) is (C.LIQUIDATION_DISTANCE if near else None)
    assert code_of(buy(), replace(ctx, intents=gate(BUYING).intents, liquidation_price=D(60_500))) is None


def test_without_a_short_the_free_margin_is_the_equity_behind_it() -> None:
    ctx = gate(available_usdt=D(3_349), money_ms=NOW, target_short_qty=D(1))
    assert code_of(request("1"), ctx) is C.LIQUIDATION_DISTANCE
    assert code_of(request("1"), replace(ctx, available_usdt=D(3_350))) is None


def test_a_venue_that_names_no_liquidation_price_sees_none_and_old_word_is_no_word() -> None:
    assert code_of(request(), gate(position_qty=SHORT, available_usdt=D(9_000), money_ms=NOW)) is None
    old = gate(position_qty=SHORT, liquidation_price=D(60_500), money_ms=NOW - 120_001, target_short_qty=D(9))
    assert code_of(request(), old) is None
    assert code_of(request(), replace(old, money_ms=NOW)) is C.LIQUIDATION_DISTANCE


def test_selling_a_long_has_no_liquidation_to_fear() -> None:
    ctx = gate(position_qty=D(2), money_ms=NOW, available_usdt=D(0))
    assert code_of(request("1", reduce_only=True), ctx) is None


# ---------------------------------------------------------------- the same order again


def test_a_resend_is_counted_once() -> None:
    known = ("intent-1", Intent(side=Side.SELL, qty=D(1), committed_qty=D(1), attempts=frozenset({0})))
    ctx = gate(known, position_qty=D(-49), working=Working(sell_qty=D(1), count=20), resend=True)
    assert code_of(request("1"), ctx) is None
    assert code_of(request("1"), replace(ctx, resend=False)) is C.DUPLICATE


def test_a_resend_of_what_was_never_sent_is_refused() -> None:
    assert code_of(request(), gate(resend=True)) is C.DUPLICATE


def test_f30_an_order_against_its_intent_is_refused() -> None:
    assert code_of(buy(), gate(position_qty=SHORT)) is C.UNKNOWN_INTENT


# ---------------------------------------------------------------- worst case of the working orders


def test_working_orders_are_summed_by_side_with_fills_that_are_not_in_the_position() -> None:
    sell, other = request("2"), request("3", attempt=1)
    buying = request("1", Side.BUY, "60060", attempt=2)
    orders = [
        OrderState(request=sell)
        .apply_view(view(sell, OrderStatus.PARTIALLY_FILLED, "0.5"))
        .apply_execution("e", D("0.5")),
        OrderState(request=other).apply_view(view(other, OrderStatus.FILLED, "3")),
        OrderState(request=buying),
    ]
    assert working_of(orders) == Working(sell_qty=D("4.5"), buy_qty=D(1), count=2)
    assert working_of([]) == Working()


@pytest.mark.parametrize(
    "bad",
    [
        {"max_order_qty": D(0)},
        {"orders_per_minute": 0},
        {"price_band_bps": D(-1)},
        {"critical_orders_per_minute": 19},
        {"critical_notional_per_minute_usdt": D(1)},
        {"max_funding_cost": 0.0},
    ],
)
def test_limits_that_limit_nothing_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Limits(**bad)  # type: ignore[arg-type]
