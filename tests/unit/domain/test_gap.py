"""The distance between target and position, in the steps in which it can be ordered."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.gap import Gap, gap_to, order_qty, price_through_mid
from hedgelock_actors.domain.limits import Limits, Working
from hedgelock_actors.domain.order import Side
from tests.unit.domain.make import BTC, quote

D = Decimal


@pytest.mark.parametrize(
    ("target", "signed", "working", "gap"),
    [
        ("5", "-3", Working(), Gap(Side.SELL, D(2))),
        ("5", "-3", Working(sell_qty=D("1.5")), Gap(Side.SELL, D("0.5"))),
        ("5", "-3", Working(sell_qty=D(2)), None),
        ("5.0004", "-5", Working(), Gap(Side.SELL, D("0.001"))),
        ("5", "1", Working(), Gap(Side.SELL, D(6))),
        ("3", "-5", Working(), Gap(Side.BUY, D(2))),
        ("3", "-5", Working(buy_qty=D("1.5")), Gap(Side.BUY, D("0.5"))),
        ("3", "-5", Working(sell_qty=D("0.001")), None),
        ("4.9996", "-5", Working(), None),
        ("5", "-5", Working(), None),
        ("0", "0", Working(), None),
    ],
)
def test_the_gap_counts_what_may_still_fill_and_rounds_towards_protection(
    target: str, signed: str, working: Working, gap: Gap | None
) -> None:
    assert gap_to(D(target), D(signed), working, BTC, D(60_000)) == gap


def test_what_is_below_the_venue_s_least_value_waits() -> None:
    dear = replace(BTC, min_notional=D(100))
    assert gap_to(D("5.001"), D(-5), Working(), dear, D(60_000)) is None
    assert gap_to(D("5.002"), D(-5), Working(), dear, D(60_000)) == Gap(Side.SELL, D("0.002"))


@pytest.mark.parametrize(("target", "price"), [("-1", "60000"), ("1", "0")])
def test_no_target_and_no_price_make_no_gap(target: str, price: str) -> None:
    with pytest.raises(InvalidInput):
        gap_to(D(target), D(0), Working(), BTC, D(price))


def test_an_order_carries_as_much_as_every_limit_lets_it() -> None:
    assert order_qty(D(20), D(60_000), BTC, Limits()) == D(10)
    assert order_qty(D(20), D(200_000), BTC, Limits()) == D(5)
    assert order_qty(D(20), D(60_000), replace(BTC, max_qty=D(2)), Limits()) == D(2)
    assert order_qty(D("0.0004"), D(60_000), BTC, Limits()) == 0


def test_a_price_through_the_mid_stays_within_the_venue_s_band_where_there_is_one() -> None:
    assert price_through_mid(Side.SELL, quote(), D(10), BTC) == D(59_940)
    assert price_through_mid(Side.BUY, quote(), D(10), BTC) == D(60_060)
    assert price_through_mid(Side.SELL, quote(), D(200), BTC) == D(59_460), "0.9 of 1 % under the mark"
    assert price_through_mid(Side.SELL, quote(), D(200), replace(BTC, price_limit_ratio=D(0))) == D(58_800)
