"""Protection is never stopped by a limit that protects profit, whatever the day has cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from hedgelock_actors.domain.gate_checks import CHECKS, HARD, YIELDING
from hedgelock_actors.domain.gate_facts import protects
from hedgelock_actors.domain.limits import Approved, GateContext, Intent, Limits, Refused, TradeBudget, Working, approve
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import OrderRequest, Side
from tests.unit.domain.make import NOW, gate, request

D = Decimal
LIMITS = Limits(max_position_qty=D(8), max_open_orders=3)
qtys = st.integers(1, 6_000).map(lambda n: D(n) / 1000)
none_or_one = st.sampled_from([D(0), D(1)])
money = st.one_of(st.none(), st.integers(-10_000_000, 10_000_000).map(D))


@st.composite
def asked(draw: st.DrawFn) -> tuple[OrderRequest, GateContext]:
    """Any order at any moment, with the day's money anywhere."""
    side = draw(st.sampled_from(list(Side)))
    made = request(str(draw(qtys)), side, draw(st.sampled_from(["59940", "60060", None])))
    ctx = gate(
        ("intent-1", Intent(side=side, qty=D(6))),
        position_qty=-draw(qtys),
        working=Working(draw(none_or_one), draw(none_or_one), draw(st.integers(0, 3))),
        target_short_qty=draw(st.one_of(st.none(), qtys)),
        level=draw(st.sampled_from(list(RiskLevel))),
        available_usdt=draw(money),
        liquidation_price=draw(st.one_of(st.none(), st.integers(60_000, 90_000).map(D))),
        money_ms=NOW - draw(st.sampled_from([0, 120_000, 120_001])),
        realised_today_usdt=draw(money) or D(0),
        fees_today_usdt=draw(st.integers(0, 10_000_000).map(D)),
        funding_rate=draw(st.floats(-0.5, 0.5)),
        trade=draw(st.sampled_from([None, TradeBudget()])),
    )  # fmt: skip
    return made, ctx


def harmless(ctx: GateContext) -> GateContext:
    """The same moment on a day that cost nothing, with money enough."""
    return replace(
        ctx, available_usdt=None if ctx.available_usdt is None else max(ctx.available_usdt, D(10**9)),
        realised_today_usdt=D(0), fees_today_usdt=D(0), funding_rate=0.0,
    )  # fmt: skip


@given(asked())
def test_an_order_that_protects_is_refused_by_hard_limits_alone(case: tuple[OrderRequest, GateContext]) -> None:
    made, ctx = case
    assume(protects(made, ctx))
    broken = [code for code, check in HARD if check(made, ctx, LIMITS) is not None] if ctx.quote else []
    found = approve(made, ctx, LIMITS)
    if isinstance(found, Refused):
        assert found.code == broken[0]
    else:
        assert not broken


@given(asked())
def test_what_raises_the_short_to_its_target_or_shrinks_it_protects(case: tuple[OrderRequest, GateContext]) -> None:
    """Said again in other words than the gate's: where the short would be, and where it shall be."""
    made, ctx = case
    if made.side is Side.BUY:
        assert protects(made, ctx)
        return
    short = -ctx.position_qty + ctx.working.sell_qty
    towards = ctx.target_short_qty is not None and short < ctx.target_short_qty
    assert protects(made, ctx) is (towards and ctx.trade is None)


@given(asked())
def test_the_others_are_held_to_every_limit(case: tuple[OrderRequest, GateContext]) -> None:
    made, ctx = case
    assume(not protects(made, ctx))
    found = approve(made, ctx, LIMITS)
    broken = [code for code, check in CHECKS if check(made, ctx, LIMITS) is not None]
    assert isinstance(found, Approved) is (not broken)


@given(asked())
def test_a_dear_day_changes_nothing_for_an_order_that_protects_but_its_own_liquidation(
    case: tuple[OrderRequest, GateContext],
) -> None:
    made, ctx = case
    assume(protects(made, ctx))
    today, other = approve(made, ctx, LIMITS), approve(made, harmless(ctx), LIMITS)
    if isinstance(today, Refused) and isinstance(other, Approved):
        assert today.code == "LIQUIDATION_DISTANCE"


def test_which_limits_yield_is_a_decision_and_not_an_accident() -> None:
    assert {code.value for code, _ in YIELDING} == {"MONEY_STALE", "MARGIN", "FUNDING_COST", "DAILY_LOSS", "DAILY_FEES"}
