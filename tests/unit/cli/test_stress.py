"""`hedgelock stress`: a loan as stated, a loan and an account of the book, the book; and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hedgelock_actors.cli import app
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.runtime.stress_tables import plot

BASE = ["--collateral", "2", "--debt", "54000", "--price", "60000"]
ROWS = (
    "asset,account,loan_id,collateral,debt\n"
    "BTC,A1,X1,2,54000\nBTC,A1,X2,1,20000\nBTC,A2,X3,1,33000\nETH,A2,X4,10,9000\n"
)


def stress(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["stress", *arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9)


def shock(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in answer["scenarios"] if one["name"] == name)


@pytest.fixture
def state(tmp_path: Path) -> list[str]:
    path = tmp_path / "a.csv"
    path.write_text(ROWS, encoding="utf-8")
    CliRunner().invoke(app, ["loans", "import", str(path), "--state-dir", str(tmp_path)])
    return ["--state-dir", str(tmp_path)]


def test_a_stated_loan_with_the_hedge_that_its_ladder_requires() -> None:
    answer = stress(*BASE, "--rung", "0.3:0.5")
    assert (answer["ltv"], answer["level"], answer["required_hedge"]) == (0.45, "DANGER", near(2 / 3))
    assert answer["hedge"]["assumed"] is True
    assert answer["hedge"]["margin"] == near(40_000 * (1.3 * 1.00555 - 1))
    assert answer["first_breach"]["what"] == "short: liquidated"
    assert shock(answer, "-30%")["loan"]["ltv"] == near(0.5)
    assert shock(answer, "gap of -30%, no sweep")["loan"]["ltv"] == near(54_000 / 84_000)
    assert shock(answer, "+40%")["hedge"]["liquidated"] is True
    assert len(answer["scenarios"]) == 25


def test_a_stated_hedge_and_a_curve_of_as_many_prices_as_asked() -> None:
    answer = stress(*BASE, "--short", "0.9@60000", "--margin", "50000", "--points", "1000", "--haircut", "0.9")
    assert answer["hedge"] == {"short": 0.9, "entry": 60_000.0, "margin": 50_000.0, "assumed": False}
    assert {len(values) for values in answer["curve"].values()} == {1000}
    assert answer["curve"]["prices"][0] == near(6_000)
    assert answer["curve"]["ltv_unswept"][0] == near(54_000 / (0.9 * 12_000))
    # The short is neutral for a debt of 54,000: the net ratio stays what it is at every price, to the last USDT.
    assert answer["curve"]["net_ltv"][:400] == pytest.approx([0.5] * 400)


def test_a_loan_of_the_book_is_the_loan_as_stated(state: list[str]) -> None:
    known = stress("--loan", "X1", "--price", "BTC=60000", *state)
    assert (known["loan_id"], known["account"], known["asset"]) == ("X1", "A1", "BTC")
    assert known["scenarios"] == stress(*BASE)["scenarios"]
    assert stress("--loan", "X1", "--price", "60000", *state)["scenarios"] == known["scenarios"]


def test_the_book_by_coin_on_both_sides(state: list[str]) -> None:
    answer = stress("--price", "BTC=60000", "--price", "ETH=3000", "--rung", "0.3:0.5", *state)
    bitcoin, ether = answer["groups"]
    assert (bitcoin["asset"], bitcoin["loans"], ether["asset"], ether["loans"]) == ("BTC", 3, "ETH", 1)
    # 0.45, 0.333 and 0.55: (54,000 - 42,000) / 18,000, nothing, and 33,000 - 21,000 over 18,000 capped at 0.55.
    assert bitcoin["required_hedge"] == near(2 / 3 + 0.55)
    assert bitcoin["first_breach"]["price"] == near(33_000 / 0.95)
    half = shock(bitcoin, "-50%")
    assert half["loan"]["levels"] == {"SAFE": 0, "CAUTION": 0, "DANGER": 0, "CRITICAL": 3}
    assert (half["loan"]["liquidated"], half["loan"]["liquidated_debt"]) == (1, near(33_000))
    assert half["loan"]["shortfall_usdt"] == near(24_000 + 5_000 + 18_000)
    assert half["loan"]["uncovered"] == near(3_000)
    assert half["hedge"]["equity"] == near(bitcoin["hedge"]["margin"] + (2 / 3 + 0.55) * 30_000)
    cut = shock(bitcoin, "haircut -10%")
    assert cut["loan"]["shortfall_usdt"] == near(33_000 - 0.5 * 0.9 * 60_000)
    assert len(bitcoin["curve"]["prices"]) == len(bitcoin["curve"]["required_hedge"]) == 96


def test_an_account_is_its_own_loans(state: list[str]) -> None:
    answer = stress("--account", "A1", "--price", "60000", *state)
    assert (answer["subject"], answer["account"]) == ("account", "A1")
    assert [(one["asset"], one["loans"]) for one in answer["groups"]] == [("BTC", 2)]


@pytest.mark.parametrize(
    ("arguments", "field", "said"),
    [
        (["--price", "60000"], "--price", "BTC=USDT"),
        (["--price", "BTC=60000"], "--price", "price of ETH is missing"),
        (["--loan", "X9", "--price", "60000"], "--loan", "no such loan"),
        (["--account", "A9", "--price", "60000"], "--account", "no such loan"),
        (["--collateral", "2", "--price", "60000"], "--collateral/--debt/--price", "all three"),
        ([*BASE, "--loan", "X1"], "--collateral/--debt/--price", "no --loan"),
        (["--short", "1@60000", "--price", "BTC=60000", "--price", "ETH=3000"], "--short", "of one loan"),
        ([*BASE, "--sigma", "0"], "sigma", "greater than 0"),
        ([*BASE, "--gap", "1"], "loan_move", "more than -1"),
    ],
)
def test_nonsense_is_refused_with_the_field(state: list[str], arguments: list[str], field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        stress(*arguments, *state)
    assert caught.value.field == field
    assert said in caught.value.remedy


def test_an_empty_book_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="import some"):
        stress("--state-dir", str(tmp_path))


def test_the_tables_and_the_plot_are_for_people(state: list[str]) -> None:
    wide = {"COLUMNS": "200"}
    shown = CliRunner().invoke(app, ["stress", *BASE], env=wide).stdout
    assert "What breaks, the nearest first" in shown
    assert "LIQUIDATED" in shown
    assert "profit swept" in shown
    shown = CliRunner().invoke(app, ["stress", "--price", "BTC=60000", "--price", "ETH=3000", *state], env=wide).stdout
    assert "3 loans of default against BTC" in shown
    assert "required hedge, ETH" in shown


def test_a_plot_by_hand() -> None:
    rows = plot([0.0, 1.0, 2.0], [("*", "rising", [0.0, 1.0, 9.0])], top=2.0).splitlines()
    assert len(rows) == 12 + 3
    assert rows[0].strip().startswith("2.00 │")
    assert rows[0].endswith("*")
    assert rows[11].startswith("        0.00 │*")
    assert rows[13].split() == ["0.00", "2.00"]
    assert rows[14].strip() == "* rising"
    flat = plot([1.0, 2.0], [("*", "nothing", [0.0, 0.0])])
    assert flat.splitlines()[0].strip() == "1.00 │"
