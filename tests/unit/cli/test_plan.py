"""`hedgelock plan` against vectors worked out by hand and against the reference vectors, and its refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hedgelock_actors.cli import app
from hedgelock_actors.domain.errors import InvalidInput

KEYS = {
    "ltv",
    "liquidation_price",
    "drop_to_liquidation",
    "required_hedge",
    "neutral_hedge",
    "order",
    "net_liquidation_price",
    "short_liquidation_price",
    "rally_margin",
    "sweep_ltv",
    "sweep_cash",
    "joint",
}
BASE = ["--collateral", "2", "--debt", "60000", "--price", "60000"]


def plan(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["plan", *BASE, *arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def size(score: str, depth: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["size", "BTC", "1000", "--score", score, "--depth-usd", depth, "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9)


def test_the_keys_are_exactly_the_documented_ones() -> None:
    answer = plan()
    assert set(answer) == KEYS
    assert set(answer["joint"]) == {"feasible", "repay", "hedge", "shortfall"}


def test_the_worked_loan() -> None:
    answer = plan("--rung", "0.3:0.6", "--margin", "12000")
    assert answer["ltv"] == near(0.5)
    assert answer["liquidation_price"] == near(60_000 / (0.95 * 2))
    assert answer["drop_to_liquidation"] == near(1 - 0.5 / 0.95)
    assert answer["required_hedge"] == answer["order"] == near((60_000 - 0.6 * 2 * 42_000) / 18_000)
    assert answer["neutral_hedge"] == near(1.0)
    assert answer["sweep_ltv"] == near(0.45)
    assert answer["sweep_cash"] == near(60_000 - 0.42 * 120_000)
    h = 9_600 / 18_000
    assert answer["rally_margin"] == near(h * 60_000 * (1.5 * 1.00555 - 1))
    assert answer["short_liquidation_price"] == near((12_000 + h * 60_000) / (h * 1.00555))
    assert answer["net_liquidation_price"] == near((60_000 - h * 60_000) / (0.95 * 2 - h))


def test_the_largest_rung_decides_and_the_debt_caps() -> None:
    assert plan("--rung", "0.3:0.6", "--rung", "0.5:0.6")["required_hedge"] == near(0.8)
    capped = plan("--rung", "0.1:0.5", "--rung", "0.05:0.4")
    assert capped["required_hedge"] == capped["neutral_hedge"] == near(1.0)
    assert capped["net_liquidation_price"] is None


def test_an_order_is_what_is_missing() -> None:
    answer = plan("--rung", "0.3:0.6", "--short", "0.5@62000")
    assert answer["required_hedge"] == near(8_600 / 18_000)
    assert answer["order"] == near(8_600 / 18_000 - 0.5)


def test_the_short_that_is_held_has_its_own_price_and_margin() -> None:
    answer = plan("--short", "1@60000", "--margin", "12000", "--rally", "0.2")
    assert answer["short_liquidation_price"] == near(72_000 / 1.00555)
    assert answer["rally_margin"] == near(60_000 * (1.2 * 1.00555 - 1))


def test_profit_that_is_not_swept_yet_counts_as_repaid() -> None:
    with_profit = plan("--rung", "0.3:0.6", "--swept", "1800")
    assert with_profit["required_hedge"] == near((58_200 - 0.6 * 2 * 42_000) / 18_000)
    assert with_profit["ltv"] == near(0.5)


def test_the_haircut_scales_the_collateral() -> None:
    assert plan("--haircut", "0.8")["ltv"] == near(60_000 / (0.8 * 120_000))


def test_the_joint_choice_follows_costs_and_reserve() -> None:
    repay = plan("--rung", "0.3:0.6", "--reserve", "20000", "--reserve-costs", "1:100000")["joint"]
    hedge = plan("--rung", "0.3:0.6", "--reserve", "20000", "--reserve-costs", "100:1")["joint"]
    short = plan("--rung", "0.3:0.6", "--reserve", "2000")["joint"]
    assert (repay["feasible"], repay["repay"], repay["hedge"]) == (True, near(9_600), pytest.approx(0, abs=1e-9))
    assert (hedge["feasible"], hedge["hedge"]) == (True, near(9_600 / 18_000))
    assert hedge["repay"] == pytest.approx(0, abs=1e-6)
    assert (short["feasible"], short["shortfall"]) == (False, near(7_600))


@pytest.mark.parametrize(
    ("arguments", "field", "remedy"),
    [
        (["--collateral", "-2"], "collateral", "greater than 0"),
        (["--collateral", "0"], "collateral", "greater than 0"),
        (["--debt", "-1"], "debt", "0 or more"),
        (["--price", "nan"], "price", "finite"),
        (["--price", "inf"], "price", "finite"),
        (["--haircut", "30"], "haircut", "as a ratio"),
        (["--liquidation-ltv", "95"], "liquidation-ltv", "as a ratio"),
        (["--rung", "30:60"], "rung.drop", "as a ratio"),
        (["--rung", "0.3"], "rung", "DROP:TARGET"),
        (["--rung", "a:b"], "rung", "DROP:TARGET"),
        (["--short", "0.5"], "short", "QTY@ENTRY"),
        (["--short", "-1@60000"], "short", "0 or more"),
        (["--margin", "-1"], "margin", "0 or more"),
        (["--reserve", "nan"], "reserve", "finite"),
        (["--reserve-costs", "1"], "reserve-costs", "REPAY:HEDGE"),
        (["--maintenance", "5"], "maintenance/taker-fee", "ratios"),
        (["--swept", "nan"], "swept", "finite"),
    ],
)
def test_nonsense_is_refused_with_the_field_and_the_remedy(arguments: list[str], field: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan(*arguments)
    assert caught.value.field == field
    assert remedy in caught.value.remedy


def test_the_table_shows_both_ltvs_and_says_when_a_hedge_cannot_help() -> None:
    shown = CliRunner().invoke(app, ["plan", *BASE, "--rung", "0.3:0.4"], env={"COLUMNS": "200"}).stdout
    assert "lender LTV" in shown
    assert "net LTV" in shown
    assert "A hedge cannot cure this" in shown
    assert "12,000.00 USDT" in shown
    assert "0.500000 coins" in shown
    fine = CliRunner().invoke(app, ["plan", *BASE, "--rung", "0.3:0.6"], env={"COLUMNS": "200"}).stdout
    assert "cannot cure" not in fine


class TestReference:
    """The reference vectors, where they are at hand."""

    @pytest.fixture
    def oracle(self, shared_file: Callable[[str], Path]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(shared_file("oracle.json").read_text(encoding="utf-8"))
        return found

    def test_liquidation_price(self, oracle: dict[str, Any]) -> None:
        for case in oracle["liq_price"]:
            answer = plan("--liquidation-ltv", str(case["L"]))
            assert answer["liquidation_price"] == near(case["P_liq"])
            assert answer["drop_to_liquidation"] == near(case["drop_from_60k"])

    def test_hedge_size(self, oracle: dict[str, Any]) -> None:
        for case in oracle["hedge_size"]:
            assert plan("--rung", f"{case['x']}:{case['T']}")["required_hedge"] == near(case["h"])

    def test_hedge_size_with_a_short(self, oracle: dict[str, Any]) -> None:
        case = oracle["hedge_size_existing"]
        answer = plan("--rung", f"{case['x']}:{case['T']}", "--short", f"{case['h0']}@{case['E0']}")
        assert answer["required_hedge"] == near(case["h_target"])
        assert answer["order"] == near(case["order_btc"])

    def test_short_liquidation(self, oracle: dict[str, Any]) -> None:
        for case in oracle["short_liq"]:
            answer = plan("--short", f"{case['h']}@{case['F0']}", "--margin", str(case["M"]))
            assert answer["short_liquidation_price"] == near(case["F_liq"])

    def test_rally_margin(self, oracle: dict[str, Any]) -> None:
        for rally, rho in oracle["rho"].items():
            assert plan("--short", "1@60000", "--rally", rally)["rally_margin"] == near(60_000 * rho)

    def test_sizing_curve(self, oracle: dict[str, Any]) -> None:
        for score, pct in oracle["pchip"]["values"].items():
            assert size(score, "1e7")["hedge_pct"] == near(pct)

    def test_liquidity_weight(self, oracle: dict[str, Any]) -> None:
        for depth, weight in oracle["liquidity_weight_seed"].items():
            assert size("1", depth)["confidence"] == near(weight)
