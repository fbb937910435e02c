"""Launch options into an exchange, and what is refused by name."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hedgelock_actors.simulator.launch import BadOption, ExchangeOptions, build, loan_facts, parse_time

PLAIN = ExchangeOptions(hold=True, uid_base=8001)


def test_times_are_iso_or_milliseconds() -> None:
    assert parse_time("--from", "2020-03-12T00:00Z") == 1_583_971_200_000
    assert parse_time("--from", "2020-03-12") == 1_583_971_200_000
    assert parse_time("--from", "2020-03-12T01:00+01:00") == 1_583_971_200_000
    assert parse_time("--from", "1583971200000") == 1_583_971_200_000
    assert parse_time("--from", None) is None
    with pytest.raises(BadOption, match="--from yesterday"):
        parse_time("--from", "yesterday")


def test_every_account_starts_with_the_loan_and_the_reserve_that_were_asked_for() -> None:
    options = replace(PLAIN, accounts=2, collateral=Decimal(2), ltv=Decimal("0.5"), reserve=Decimal("0.2"))
    gateway = build(replace(options, haircut=Decimal("0.9"))).gateway
    price = gateway.exchange.ticker("BTCUSDT").index_price
    for uid in ("8001", "8002"):
        loan = gateway.exchange.loan(uid)
        assert loan.ltv == pytest.approx(Decimal("0.5"), abs=Decimal("1e-6"))
        assert loan.total_collateral == pytest.approx(Decimal("0.9") * 2 * price, abs=Decimal("0.01"))
        wallet = gateway.exchange.wallet(uid)
        assert wallet.total_equity == pytest.approx(Decimal("0.2") * loan.total_debt, abs=Decimal("0.02"))
        facts = loan_facts(gateway, uid)
        assert Decimal(str(facts["debt"])) == loan.total_debt
        assert facts["collateral"] == {"BTC": "2"}


def test_a_walk_has_both_symbols_and_recorded_prices_only_their_own(tmp_path: Path) -> None:
    assert build(PLAIN).gateway.symbols == ("BTCUSDT", "ETHUSDT")
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "start_ms: 0\nstart_price: 100\nnoise: 0.001\nvolume: 1\nwaypoints:\n  - {minute: 5, price: 90}\n"
    )
    assert build(replace(PLAIN, scenario=scenario)).gateway.symbols == ("BTCUSDT",)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"speed": "fast"}, "--speed"),
        ({"speed": "-1"}, "--speed"),
        ({"speed": "nan"}, "--speed"),
        ({"ltv": Decimal("NaN")}, "--ltv"),
        ({"ltv": Decimal(0)}, "--ltv"),
        ({"haircut": Decimal(2)}, "--haircut"),
        ({"collateral": Decimal(0)}, "--collateral"),
        ({"reserve": Decimal(-1)}, "--reserve"),
        ({"accounts": 0}, "--accounts"),
        ({"to": "2020-01-01"}, "--to"),
        ({"prices": ("a.parquet", "b.parquet")}, "--prices"),
        ({"prices": ("ETHUSDT=/nowhere",)}, "--prices"),
        ({"funding": Path("/nowhere")}, "--funding"),
    ],
)
def test_nonsense_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(BadOption, match=named):
        build(replace(PLAIN, **change))  # type: ignore[arg-type]
