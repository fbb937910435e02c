"""Levels, hedge, margin and sweep as laws that hold for every loan."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hedgelock_actors.domain.hedge import (
    Rung,
    breach_shortfall,
    effective_debt,
    net_ltv,
    net_ltv_after_drop,
    neutral_short,
    required_for_rung,
    required_short,
)
from hedgelock_actors.domain.loan import (
    Levels,
    LevelState,
    RiskLevel,
    liquidation_price,
    ltv,
    net_liquidation_price,
    next_level,
    tiered_value,
)
from hedgelock_actors.domain.margin import margin_for_rally, short_liquidation_price
from hedgelock_actors.domain.plan import JointProblem, joint_choice
from hedgelock_actors.domain.probability import first_passage
from hedgelock_actors.domain.sweep import add_ltv, cash_to_reach, repay_ltv

LEVELS = Levels(dwell_ms=500)
ratios = st.floats(0.01, 0.99)
ltvs = st.floats(0.0, 1.5)
steps_of = st.lists(st.tuples(ltvs, st.integers(0, 400)), min_size=1, max_size=40)
rungs = st.builds(Rung, st.floats(0.05, 0.9), st.floats(0.05, 0.95))
ladders = st.lists(rungs, min_size=1, max_size=4)


@st.composite
def loans(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """(debt, collateral, price, haircut) with an LTV of 0.05 … 1.2."""
    collateral = draw(st.floats(0.01, 1e4))
    price = draw(st.floats(0.1, 1e6))
    haircut = draw(st.floats(0.5, 1.0))
    return draw(st.floats(0.05, 1.2)) * haircut * collateral * price, collateral, price, haircut


# ---------------------------------------------------------------- levels


@given(steps_of)
def test_a_level_is_never_below_what_the_ltv_says_now(steps: list[tuple[float, int]]) -> None:
    state, now = LevelState(), 0
    for value, later in steps:
        now += later
        state = next_level(state, value, now, LEVELS)
        assert state.level.rank >= LEVELS.level_of(value).rank


@given(steps_of)
def test_a_level_goes_down_only_after_a_whole_dwell_clearly_below(steps: list[tuple[float, int]]) -> None:
    state, now, clear_since = LevelState(), 0, -1
    for value, later in steps:
        now += later
        before = state
        clear = value < LEVELS.boundary(before.level) - LEVELS.hysteresis
        clear_since = (now if clear_since < 0 else clear_since) if clear else -1
        state = next_level(before, value, now, LEVELS)
        if state.level.rank < before.level.rank:
            assert clear_since >= 0
            assert now - clear_since >= LEVELS.dwell_ms
        if state.level is not before.level:
            clear_since = -1


@given(st.floats(0.0, 0.005), st.sampled_from(list(RiskLevel)[1:]), st.lists(st.booleans(), max_size=30))
def test_flapping_at_a_boundary_changes_the_level_once(width: float, level: RiskLevel, above: list[bool]) -> None:
    boundary = LEVELS.boundary(level)
    state, changes = LevelState(), 0
    for n, up in enumerate([True, *above]):
        value = boundary if up else boundary - width * 0.999
        after = next_level(state, value, n * 10_000, LEVELS)
        changes += after.level is not state.level
        state = after
    assert changes == 1


@given(steps_of)
def test_the_same_reading_again_changes_no_level(steps: list[tuple[float, int]]) -> None:
    state, now = LevelState(), 0
    for value, later in steps:
        now += later
        state = next_level(state, value, now, LEVELS)
        assert next_level(state, value, now, LEVELS).level is state.level


# ---------------------------------------------------------------- the required short


@given(loans(), ladders)
def test_the_required_short_satisfies_every_rung_that_can_be_and_is_minimal(
    loan: tuple[float, float, float, float], ladder: list[Rung]
) -> None:
    debt, _, price, _ = loan
    now = ltv(*loan)
    short = required_short(*loan, ladder)
    assert 0.0 <= short <= neutral_short(debt, price) * (1 + 1e-12)
    for rung in ladder:
        if rung.target_ltv >= now:
            assert net_ltv_after_drop(*loan, short, rung.drop) <= rung.target_ltv * (1 + 1e-9) + 1e-12
    if 0.0 < short < neutral_short(debt, price):
        less = short * (1 - 1e-6)
        assert any(net_ltv_after_drop(*loan, less, rung.drop) > rung.target_ltv for rung in ladder)


@given(loans(), rungs)
def test_the_two_forms_of_the_formula_agree(loan: tuple[float, float, float, float], rung: Rung) -> None:
    _, collateral, _, haircut = loan
    other = haircut * collateral * max(0.0, rung.target_ltv - (rung.target_ltv - ltv(*loan)) / rung.drop)
    assert required_for_rung(*loan, rung) == pytest.approx(other, rel=1e-9, abs=1e-9 * collateral)


@given(loans(), st.floats(-3.0, 0.95))
def test_the_neutral_short_keeps_the_net_ltv_at_every_price(
    loan: tuple[float, float, float, float], drop: float
) -> None:
    debt, _, price, _ = loan
    assert net_ltv_after_drop(*loan, neutral_short(debt, price), drop) == pytest.approx(ltv(*loan), rel=1e-9)


@given(loans(), ladders, st.floats(0.3, 2.0))
def test_repeating_the_targeting_changes_nothing(
    loan: tuple[float, float, float, float], ladder: list[Rung], moved: float
) -> None:
    """Having reached the target at one price, the target there is the same: the hedge earns what it should."""
    debt, collateral, price, haircut = loan
    short = required_short(*loan, ladder)
    owed = effective_debt(debt, short, price, price)
    assert required_short(owed, collateral, price, haircut, ladder) == pytest.approx(short, rel=1e-12)
    # And at a moved price the books agree: λ_net from the effective debt is λ_net from the credit.
    after = price * moved
    credit = debt - effective_debt(debt, short, price, after)
    expected = max(0.0, effective_debt(debt, short, price, after)) / (haircut * collateral * after)
    assert net_ltv(debt, credit, collateral, after, haircut) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(loans(), ratios)
def test_repaying_the_shortfall_or_adding_it_cures_the_breach(
    loan: tuple[float, float, float, float], target: float
) -> None:
    debt, collateral, price, haircut = loan
    missing = breach_shortfall(*loan, target)
    assert ltv(max(0.0, debt - missing.usdt), collateral, price, haircut) <= target * (1 + 1e-9)
    assert ltv(debt, collateral + missing.coin, price, haircut) <= target * (1 + 1e-9)


# ---------------------------------------------------------------- liquidation


@given(loans(), ratios)
def test_at_the_liquidation_price_the_ltv_is_the_limit(loan: tuple[float, float, float, float], limit: float) -> None:
    debt, collateral, _, haircut = loan
    assert ltv(debt, collateral, liquidation_price(debt, collateral, limit, haircut), haircut) == pytest.approx(limit)


@given(loans(), st.floats(0.0, 0.999), st.floats(0.3, 0.99))
def test_at_the_net_liquidation_price_the_net_ltv_is_the_limit(
    loan: tuple[float, float, float, float], part: float, limit: float
) -> None:
    debt, collateral, price, haircut = loan
    assume(ltv(*loan) < limit)
    short = part * neutral_short(debt, price)
    at = net_liquidation_price(debt, collateral, price, short, limit, haircut)
    assert at is not None
    assert at <= price * (1 + 1e-9)
    assert net_ltv_after_drop(*loan, short, 1 - at / price) == pytest.approx(limit, rel=1e-6)


@given(st.floats(0.001, 100), st.floats(1, 1e6), st.floats(0, 2), st.floats(0, 0.1), st.floats(0, 0.01))
def test_margin_for_a_rally_puts_the_liquidation_at_its_end(
    short: float, entry: float, rally: float, maintenance: float, fee: float
) -> None:
    margin = margin_for_rally(short, entry, rally, maintenance, fee)
    found = short_liquidation_price(margin, short, entry, maintenance, fee)
    assert found == pytest.approx(entry * (1 + rally), rel=1e-9)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_larger_collateral_never_counts_less(a: float, b: float) -> None:
    tiers = [(0.0, 50_000.0, 1.0), (50_000.0, 100_000.0, 0.975), (100_000.0, 1e9, 0.9)]
    low, high = sorted((a, b))
    assert tiered_value(low, tiers) <= tiered_value(high, tiers) <= high


# ---------------------------------------------------------------- sweeps, joint choice, probability


@given(loans(), ratios)
def test_the_sweep_cash_reaches_its_target_and_no_further(
    loan: tuple[float, float, float, float], target: float
) -> None:
    debt, collateral, price, haircut = loan
    cash = cash_to_reach(debt, target, haircut, collateral, price)
    after = repay_ltv(debt, collateral, price, haircut, cash)
    assert after == pytest.approx(min(target, ltv(*loan)), rel=1e-9)


@given(loans(), ratios)
def test_repaying_beats_adding_bought_collateral(loan: tuple[float, float, float, float], part: float) -> None:
    assume(ltv(*loan) * loan[3] < 0.999)
    cash = part * loan[0]
    assert repay_ltv(*loan, cash) <= add_ltv(*loan, cash) * (1 + 1e-12)


@given(loans(), ladders, st.floats(0.0, 1.2), st.floats(0.05, 1.0), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_the_joint_choice_is_the_best_corner(
    loan: tuple[float, float, float, float], ladder: list[Rung], reserve: float, rate: float, cr: float, ch: float
) -> None:
    debt, collateral, price, haircut = loan
    problem = JointProblem(
        debt=debt, collateral=collateral, price=price, haircut=haircut, rungs=ladder, reserve=reserve * debt,
        margin_rate=rate,
    )  # fmt: skip
    found = joint_choice(problem, cr, ch * price)
    value = haircut * collateral * price / debt
    # In units of the debt, r = repay/D and n = hP/D: lines a·r + b·n ≥ c, and corners where two of them meet.
    lines = [(1.0, rung.drop, 1.0 - rung.target_ltv * value * (1.0 - rung.drop)) for rung in ladder]
    lines += [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 0.0, -1.0)]
    budget = (-1.0, -rate, -reserve)

    def best(cost: tuple[float, float], among: list[tuple[float, float, float]]) -> float:
        corners = [
            ((c * e - b * f) / det, (a * f - c * d) / det)
            for i, (a, b, c) in enumerate(among)
            for (d, e, f) in among[i + 1 :]
            if abs(det := a * e - b * d) > 1e-12
        ]
        held = [(r, n) for r, n in corners if all(a * r + b * n >= c - 1e-9 * max(1.0, abs(c)) for a, b, c in among)]
        return min((cost[0] * r + cost[1] * n for r, n in held), default=math.inf)

    cheapest = best((cr, ch), [*lines, budget])
    least_cash = best((1.0, rate), lines)
    assume(abs(least_cash - reserve) > 1e-6)  # at the very edge of feasibility both answers are right
    r, n = found.repay / debt, found.hedge * price / debt
    assert found.feasible == (cheapest < math.inf) == (least_cash < reserve)
    assert all(a * r + b * n >= c - 1e-6 * max(1.0, abs(c)) for a, b, c in lines)
    if found.feasible:
        assert cr * r + ch * n == pytest.approx(cheapest, rel=1e-6, abs=1e-6)
    else:
        assert found.shortfall / debt == pytest.approx(least_cash - reserve, rel=1e-6, abs=1e-6)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.1, 2.0), st.floats(0.001, 2.0), st.floats(1.0, 3.0))
def test_touching_is_likelier_for_nearer_barriers_and_longer_times(
    a: float, b: float, sigma: float, years: float, longer: float
) -> None:
    low, high = sorted((a, b))
    assert 0.0 <= first_passage(1.0, low, sigma, years) <= first_passage(1.0, high, sigma, years) + 1e-12
    assert first_passage(1.0, low, sigma, years) <= first_passage(1.0, low, sigma, years * longer) + 1e-12
