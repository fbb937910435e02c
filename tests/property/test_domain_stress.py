"""What must hold under any shock, of any loan and any book."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.hedge import Rung, required_short
from hedgelock_actors.domain.loan import RiskLevel, ltv
from hedgelock_actors.domain.loan_book import LoanBook, Product
from hedgelock_actors.domain.stress import Shock, Standing, StressRules, apply, breaches
from hedgelock_actors.domain.stress_book import book_curve

RULES = StressRules(rungs=(Rung(0.3, 0.6), Rung(0.5, 0.7)))
STANDINGS = st.builds(
    lambda value, share, hedged, kappa, cover: Standing(
        debt=share * value * kappa,
        collateral=value / 60_000.0,
        price=60_000.0,
        haircut=kappa,
        short=hedged * share * value * kappa / 60_000.0,
        margin=cover * hedged * share * value * kappa,
    ),
    st.floats(1e2, 1e9),
    st.floats(0.01, 0.94),
    st.floats(0.0, 1.0),
    st.floats(0.5, 1.0),
    st.floats(0.0, 2.0),
)
MOVES = st.floats(-0.95, 1.0)


def moved(one: Standing, move: float, *, swept: bool = True, **more: float) -> tuple[float, float, float, float]:
    found = apply(one, Shock(name="", loan_move=move, perp_move=move, swept=swept, **more), RULES)
    return found.loan.ltv, found.loan.net_ltv, found.loan.shortfall.usdt, found.hedge.equity


@given(one=STANDINGS, first=st.floats(0.0, 0.95), more=st.floats(0.0, 0.95))
def test_a_deeper_fall_is_never_better_for_a_loan_whose_hedge_is_at_most_neutral(
    one: Standing, first: float, more: float
) -> None:
    deep = max(first, more)
    for swept in (True, False):
        here, there = moved(one, -min(first, more), swept=swept), moved(one, -deep, swept=swept)
        assert all(a <= b * (1 + 1e-9) + 1e-9 for a, b in zip(here[:2], there[:2], strict=True))


@given(one=STANDINGS, move=MOVES)
def test_sweeping_never_harms_the_lenders_view_and_leaves_the_net_as_it_is(one: Standing, move: float) -> None:
    swept, unswept = moved(one, move), moved(one, move, swept=False)
    assert swept[0] <= unswept[0] * (1 + 1e-12)
    assert swept[1] == pytest.approx(unswept[1], rel=1e-9, abs=1e-12)
    assert swept[2] <= unswept[2] + 1e-6


@given(one=STANDINGS, move=MOVES, small=st.floats(0.0, 0.5), more=st.floats(0.0, 0.5))
def test_funding_and_haircut_only_harm(one: Standing, move: float, small: float, more: float) -> None:
    low, high = sorted((small, more))
    assert moved(one, move, haircut_cut=low)[0] <= moved(one, move, haircut_cut=high)[0] * (1 + 1e-12)
    for swept in (True, False):
        cheap, dear = (moved(one, move, swept=swept, funding=paid) for paid in (low, high))
        assert cheap[0] <= dear[0] * (1 + 1e-12)
        assert cheap[3] >= dear[3] - 1e-6 * one.debt


@given(one=STANDINGS, move=MOVES)
def test_no_money_is_made_by_a_shock(one: Standing, move: float) -> None:
    found = apply(one, Shock(name="", loan_move=move, perp_move=move), RULES)
    profit = -one.short * one.price * move
    made = found.hedge.equity + found.hedge.swept - one.margin
    if found.hedge.liquidated:
        assert made == -one.margin
    else:
        assert made == pytest.approx(profit, rel=1e-9, abs=1e-6)


@given(one=STANDINGS)
def test_a_loan_breaks_at_the_prices_that_are_told(one: Standing) -> None:
    for breach in breaches(one, RULES):
        if breach.what == "short: liquidated" or breach.move <= -0.999:
            continue
        swept = breach.what.endswith("profit swept")
        bound = RULES.margin_call_ltv if "margin call" in breach.what else RULES.liquidation_ltv
        assert moved(one, breach.move, swept=swept)[0] == pytest.approx(bound, rel=1e-6) or breach.move > 0


@given(seed=st.integers(0, 2**32), haircut=st.floats(0.3, 1.0))
def test_a_books_curve_is_that_of_its_loans(seed: int, haircut: float) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 60))
    collateral = rng.lognormal(0.0, 1.0, count)
    debt = rng.uniform(0.0, 0.9, count) * collateral * 60_000.0
    product = Product(asset="BTC", haircut=0.9, rungs=RULES.rungs)
    book = LoanBook(product)
    half = count // 2
    for part in (slice(0, half), slice(half, count)):
        book.put(np.arange(count)[part], ["a"] * len(range(count)[part]), collateral[part], debt[part])
    prices = 60_000.0 * rng.uniform(0.1, 2.0, 5)
    curve = book_curve(book, prices, RULES.margin_call_ltv, RULES.liquidation_ltv, haircut)
    for at, price in enumerate(prices.tolist()):
        loans = list(zip(debt.tolist(), collateral.tolist(), strict=True))
        ratios = [ltv(owed, coins, price, haircut) for owed, coins in loans]
        assert curve.liquidated[at] == sum(one >= RULES.liquidation_ltv for one in ratios)
        assert curve.at_least[RiskLevel.CAUTION][at] == sum(one >= product.levels.caution for one in ratios)
        missing = sum(max(0.0, owed - product.levels.ceiling * haircut * price * coins) for owed, coins in loans)
        assert curve.shortfall_usdt[at] == pytest.approx(missing, rel=1e-9, abs=1e-4)
        bare = sum(max(0.0, owed - haircut * price * coins) for owed, coins in loans)
        assert curve.uncovered[at] == pytest.approx(bare, rel=1e-9, abs=1e-4)
        wanted = sum(required_short(owed, coins, price, haircut, RULES.rungs) for owed, coins in loans)
        assert curve.required_hedge[at] == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    falling = book_curve(book, np.sort(prices), 0.85, 0.95)
    assert np.all(np.diff(falling.liquidated) <= 0)
    assert np.all(np.diff(falling.shortfall_usdt) <= 1e-4)
