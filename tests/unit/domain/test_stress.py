"""Shocks worked out by hand, on both sides, and the reference vectors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.hedge import Rung
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.loan_book import LoanBook, Product
from hedgelock_actors.domain.probability import first_passage, first_passage_up, worst_fall
from hedgelock_actors.domain.stress import (
    Shock,
    ShockSizes,
    Standing,
    StressRules,
    apply,
    breaches,
    standard_shocks,
    stress,
)
from hedgelock_actors.domain.stress_book import book_curve

RULES = StressRules(rungs=(Rung(0.3, 0.6),), maintenance=0.005, taker_fee=0.00055, rally=0.3)
HEDGED = Standing(debt=60_000.0, collateral=2.0, price=60_000.0, short=0.5, margin=12_000.0)


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9)


def test_a_fall_sweeps_the_profit_into_the_debt() -> None:
    found = apply(HEDGED, Shock(name="x", loan_move=-0.3, perp_move=-0.3), RULES)
    # 0.5 coins earn 18,000 a coin: 9,000. Debt 51,000 over 2 x 42,000.
    assert found.hedge.swept == near(9_000)
    assert found.loan.ltv == near(51_000 / 84_000) == near(found.loan.net_ltv)
    assert found.loan.level is RiskLevel.CRITICAL
    assert (found.loan.liquidated, found.loan.margin_called) == (False, False)
    # 51,000 less 0.6 x 84,000 x 0.7 = 35,280, over 42,000 x 0.3, is more than neutral.
    assert found.loan.required_hedge == near(51_000 / 42_000)
    assert found.loan.shortfall.usdt == near(51_000 - 42_000)
    assert found.loan.shortfall.coin == near(9_000 / 21_000)
    assert found.hedge.equity == near(12_000)
    assert found.hedge.maintenance == near(0.5 * 42_000 * 0.00555)
    needed = found.loan.required_hedge * 42_000 * (1.3 * 1.00555 - 1.0)
    assert found.hedge.margin_needed == near(needed)
    assert found.hedge.margin_shortfall == near(needed - 12_000)


def test_shocks_are_answered_in_their_order() -> None:
    shocks = [Shock(name=str(fall), loan_move=fall, perp_move=fall) for fall in (-0.5, -0.1)]
    assert stress(HEDGED, shocks, RULES) == tuple(apply(HEDGED, shock, RULES) for shock in shocks)


def test_a_gap_without_sweep_leaves_the_lender_with_the_whole_debt() -> None:
    found = apply(HEDGED, Shock(name="x", loan_move=-0.5, perp_move=-0.5, swept=False), RULES)
    assert found.loan.ltv == near(1.0)
    assert found.loan.liquidated
    assert found.loan.net_ltv == near(0.75)
    assert (found.hedge.swept, found.hedge.equity) == (0.0, near(27_000))
    # The target counts the profit that waits: 45,000 - 0.6 x 60,000 x 0.7, over 30,000 x 0.3, capped at 1.5.
    assert found.loan.required_hedge == near(1.5)


def test_a_rally_liquidates_a_short_without_enough_margin_and_the_loan_is_safe() -> None:
    found = apply(HEDGED, Shock(name="x", loan_move=0.5, perp_move=0.5), RULES)
    assert found.hedge.liquidated
    assert (found.hedge.equity, found.hedge.maintenance, found.hedge.swept) == (0.0, 0.0, 0.0)
    assert found.loan.ltv == near(1 / 3) == near(found.loan.net_ltv)
    assert found.hedge.margin_shortfall == found.hedge.margin_needed
    held = apply(HEDGED, Shock(name="x", loan_move=0.2, perp_move=0.2), RULES)
    assert not held.hedge.liquidated
    assert held.hedge.equity == near(6_000)
    assert held.loan.net_ltv == near(66_000 / 144_000)


def test_each_special_shock_is_felt_where_it_hurts() -> None:
    shocks = {shock.name: apply(HEDGED, shock, RULES) for shock in standard_shocks(ShockSizes(), RULES)}
    assert len(shocks) == 9 + 10 + 6
    # 0.5 % three times a day for three days on 30,000 USDT.
    assert shocks["funding at the cap for 3 days"].hedge.equity == near(12_000 - 30_000 * 0.045)
    assert shocks["funding at the cap for 3 days"].loan.ltv == near(0.5)
    apart = shocks["index 5% below the last price"]
    assert (apart.loan.ltv, apart.hedge.equity) == (near(60_000 / 114_000), near(12_000))
    assert shocks["haircut -10%"].loan.ltv == near(60_000 / 108_000)
    depeg = shocks["USDT at 0.95 USD"]
    assert depeg.loan.ltv == near(0.5)
    assert depeg.hedge.equity == near(12_000 - 30_000 * (1 / 0.95 - 1))
    assert shocks["venue away 60 min, -10.0%"].loan.ltv == near(60_000 / 108_000)
    assert shocks["gap of -30%, no sweep"].loan.ltv == near(60_000 / 84_000)
    assert shocks["-90%"].loan.liquidated
    assert shocks["+100%"].loan.ltv == near(0.25)


def test_a_long_outage_of_a_wild_coin_falls_further_than_the_least() -> None:
    wild = StressRules(sigma=3.0)
    found = [one for one in standard_shocks(ShockSizes(outage_minutes=1440.0), wild) if one.name.startswith("venue")]
    assert -found[0].loan_move == near(worst_fall(3.0, 1 / 365, 0.001))
    assert -found[0].loan_move > 0.3


def test_what_breaks_first_is_told_first() -> None:
    found = breaches(HEDGED, RULES)
    assert [one.what for one in found] == [
        "short: liquidated",
        "loan: margin call, nothing swept",
        "loan: liquidated, nothing swept",
        "loan: liquidated, profit swept",
    ]
    assert found[0].price == near(42_000 / (0.5 * 1.00555))
    assert found[2].price == near(31_578.947368421053)
    assert found[3].price == near(21_428.57142857143)
    assert found[2].probability == first_passage(60_000.0, found[2].price, 0.8, 30 / 365)
    assert found[0].probability == first_passage_up(60_000.0, found[0].price, 0.8, 30 / 365)


def test_what_is_broken_already_comes_first_with_certainty() -> None:
    sick = Standing(debt=118_000.0, collateral=2.0, price=60_000.0, short=1.0, margin=-70_000.0)
    found = breaches(sick, RULES)
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    assert found[0].probability == 1.0
    assert found[-1].what == "loan: liquidated, profit swept" or found[-1].probability == 1.0
    debtless = Standing(debt=0.0, collateral=2.0, price=60_000.0)
    assert breaches(debtless, RULES) == ()


def test_the_upward_probability() -> None:
    assert first_passage_up(60_000.0, 60_000.0, 0.8, 1.0) == 1.0
    assert first_passage_up(60_000.0, 70_000.0, 0.8, 0.0) == 0.0
    # A price without drift reaches twice itself some day with probability 1/2.
    assert first_passage_up(1.0, 2.0, 0.8, 1e4) == pytest.approx(0.5, abs=1e-6)
    # And by simulation, with the maximum between two steps from the Brownian bridge.
    rng = np.random.default_rng(2)
    step = 0.8 * math.sqrt(30 / 365 / 20)
    path = np.cumsum(rng.normal(-step * step / 2, step, (40_000, 20)), axis=1)
    begins = np.concatenate((np.zeros((40_000, 1)), path[:, :-1]), axis=1)
    jump = np.sqrt((path - begins) ** 2 - 2 * step * step * np.log(rng.random(path.shape)))
    touched = np.mean(np.max((begins + path + jump) / 2, axis=1) >= math.log(1.25))
    assert first_passage_up(60_000.0, 75_000.0, 0.8, 30 / 365) == pytest.approx(float(touched), abs=0.01)


def test_the_worst_fall_is_touched_with_its_chance() -> None:
    assert first_passage(1.0, 1.0 - worst_fall(0.8, 1 / 365, 0.001), 0.8, 1 / 365) == pytest.approx(0.001, rel=1e-6)
    assert worst_fall(0.8, 1 / 365, 0.012504482282205066) == pytest.approx(0.10, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Standing(debt=-1.0, collateral=1.0, price=1.0), "debt"),
        (lambda: Standing(debt=1.0, collateral=0.0, price=1.0), "collateral"),
        (lambda: Standing(debt=1.0, collateral=1.0, price=1.0, haircut=0.0), "haircut"),
        (lambda: Standing(debt=1.0, collateral=1.0, price=1.0, entry=0.0), "entry"),
        (lambda: Shock(name="", loan_move=-1.0), "loan_move"),
        (lambda: Shock(name="", perp_move=math.nan), "perp_move"),
        (lambda: Shock(name="", haircut_cut=1.0), "haircut_cut"),
        (lambda: StressRules(sigma=0.0), "sigma"),
        (lambda: standard_shocks(ShockSizes(usdt=0.0), RULES), "usdt"),
        (lambda: book_curve(LoanBook(Product(asset="BTC")), np.array([0.0]), 0.85, 0.95), "prices"),
    ],
)
def test_nonsense_is_refused_with_the_field(make: Callable[[], object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()
    assert caught.value.field == field


def test_a_book_of_three_loans_by_hand() -> None:
    book = LoanBook(Product(asset="BTC", rungs=(Rung(0.3, 0.6),)))
    debts = np.array([20_000.0, 28_000.0, 58_000.0])
    book.put(np.arange(3), ["a", "a", "b"], np.array([1.0, 1.0, 2.0]), debts)
    curve = book_curve(book, np.array([60_000.0, 30_000.0, 1e6]), 0.85, 0.95)
    # At 60,000: 0.333, 0.467, 0.483. At 30,000: 0.667, 0.933, 0.967.
    assert curve.counts(0) == {RiskLevel.CAUTION: 0, RiskLevel.DANGER: 1, RiskLevel.CRITICAL: 1}
    assert curve.counts(1) == {RiskLevel.CAUTION: 0, RiskLevel.DANGER: 0, RiskLevel.CRITICAL: 3}
    assert (curve.margin_called.tolist(), curve.liquidated.tolist()) == ([0, 2, 0], [0, 1, 0])
    assert curve.liquidated_debt.tolist() == pytest.approx([0.0, 58_000.0, 0.0])
    assert curve.shortfall_usdt.tolist() == pytest.approx([0.0, 5_000 + 13_000 + 28_000, 0.0])
    assert curve.shortfall_coin[1] == near(46_000 / 15_000)
    assert curve.required_hedge[2] == 0.0
    cut = book_curve(book, np.array([60_000.0]), 0.85, 0.95, haircut=0.5)
    assert (cut.liquidated[0], cut.uncovered[0]) == (1, 0.0)
    assert book_curve(book, np.array([20_000.0]), 0.85, 0.95).uncovered[0] == near(8_000 + 18_000)
    assert book.riskiest == near(29_000)
    assert LoanBook(Product(asset="BTC")).riskiest == 0.0


class TestReference:
    """The reference vectors, where they are at hand."""

    @pytest.fixture
    def oracle(self, shared_file: Callable[[str], Path]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(shared_file("oracle.json").read_text(encoding="utf-8"))
        return found

    def test_probability_of_touching_liquidation(self, oracle: dict[str, Any]) -> None:
        for case in oracle["first_passage"]:
            price = 60_000.0 / 0.95 / (1.0 - case["drop"]) / 2.0
            one = Standing(debt=60_000.0, collateral=2.0, price=price)
            rules = StressRules(sigma=case["sigma"], horizon_days=case["days"])
            by_name = {breach.what: breach for breach in breaches(one, rules)}
            assert by_name["loan: liquidated, nothing swept"].probability == near(case["p"])
            assert by_name["loan: liquidated, nothing swept"].move == near(-case["drop"])

    def test_net_liquidation_price(self, oracle: dict[str, Any]) -> None:
        for short, price in oracle["net_liq_price_vs_h"].items():
            one = Standing(debt=60_000.0, collateral=2.0, price=60_000.0, short=float(short))
            found = {breach.what: breach.price for breach in breaches(one, RULES)}
            name = "profit swept" if float(short) else "nothing swept"
            assert found[f"loan: liquidated, {name}"] == near(price)

    def test_a_neutral_hedge_keeps_the_net_ltv(self, oracle: dict[str, Any]) -> None:
        one = Standing(debt=60_000.0, collateral=2.0, price=60_000.0, short=oracle["neutral"]["h"], margin=1e5)
        for price, net in oracle["neutral"]["net_ltv"].items():
            move = float(price) / 60_000.0 - 1.0
            assert stress(one, [Shock(name="", loan_move=move, perp_move=move)], RULES)[0].loan.net_ltv == near(net)

    def test_short_liquidation(self, oracle: dict[str, Any]) -> None:
        for case in oracle["short_liq"]:
            one = Standing(
                debt=1.0, collateral=2.0, price=60_000.0, short=case["h"], entry=case["F0"], margin=case["M"]
            )
            rules = StressRules(maintenance=case["m"], taker_fee=case["f"])
            assert {breach.what: breach.price for breach in breaches(one, rules)}["short: liquidated"] == near(
                case["F_liq"]
            )
