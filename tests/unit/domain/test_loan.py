"""Loan-to-value, liquidation and levels, on vectors worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan import (
    Levels,
    LevelState,
    RiskLevel,
    drop_to_liquidation,
    liquidation_price,
    ltv,
    net_liquidation_price,
    next_level,
    tiered_liquidation_value,
    tiered_value,
    worst,
)
from hedgelock_actors.domain.loan_book import LoanBook, Product

SAFE, CAUTION, DANGER, CRITICAL = RiskLevel


def test_ltv_by_hand() -> None:
    assert ltv(10_000, 4, 5_000) == 0.5
    assert ltv(10_000, 4, 5_000, 0.8) == 0.625


@pytest.mark.parametrize(("collateral", "price"), [(0.0, 5_000.0), (4.0, 0.0), (4.0, -1.0)])
def test_debt_against_nothing_is_infinite_and_no_debt_is_nothing(collateral: float, price: float) -> None:
    assert ltv(1.0, collateral, price) == math.inf
    assert ltv(0.0, collateral, price) == 0.0


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((math.nan, 1.0, 1.0, 1.0), "debt"),
        ((-1.0, 1.0, 1.0, 1.0), "debt"),
        ((1.0, -1.0, 1.0, 1.0), "collateral"),
        ((1.0, 1.0, math.nan, 1.0), "price"),
        ((1.0, 1.0, 1.0, 0.0), "haircut"),
        ((1.0, 1.0, 1.0, 1.1), "haircut"),
    ],
)
def test_nonsense_is_refused_by_name(values: tuple[float, float, float, float], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ltv(*values)
    assert caught.value.field == field


def test_liquidation_by_hand() -> None:
    assert liquidation_price(8_000, 4, 0.8) == 2_500.0
    assert liquidation_price(0, 4, 0.8) == 0.0
    assert liquidation_price(8_000, 0, 0.8) == math.inf
    assert drop_to_liquidation(0.4, 0.8) == 0.5
    assert drop_to_liquidation(0.8, 0.8) == 0.0
    assert drop_to_liquidation(math.inf, 0.8) == -math.inf


def test_a_neutral_hedge_is_never_liquidated_by_a_fall() -> None:
    assert net_liquidation_price(10_000, 4, 5_000, 2.0, 0.8) is None
    assert net_liquidation_price(10_000, 4, 5_000, 2.5, 0.8) is None
    assert net_liquidation_price(10_000, 4, 5_000, 0.0, 0.8) == 3_125.0
    # Half a hedge: (10000 − 5000) / (3.2 − 1)
    assert net_liquidation_price(10_000, 4, 5_000, 1.0, 0.8) == pytest.approx(5_000 / 2.2)
    assert net_liquidation_price(10_000, 0, 5_000, 0.0, 0.8) == math.inf


def test_tiers() -> None:
    tiers = [(0.0, 100.0, 1.0), (100.0, 300.0, 0.5)]
    assert tiered_value(50.0, tiers) == 50.0
    assert tiered_value(200.0, tiers) == 150.0
    assert tiered_value(1_000.0, tiers) == 200.0
    assert tiered_liquidation_value(75.0, 0.5, tiers) == 200.0
    assert tiered_liquidation_value(100.0, 0.5, tiers) == 300.0
    assert tiered_liquidation_value(101.0, 0.5, tiers) == math.inf
    three = [*tiers, (300.0, 700.0, 0.25)]
    # 225 are missing: 100 from the first bracket, 100 from the second, 25 from a hundred of the third.
    assert tiered_liquidation_value(112.5, 0.5, three) == 400.0
    assert net_liquidation_price(10_000, 4, 5_000, 1.0, 0.8, 0.5) == pytest.approx(5_000 / 0.6)


@pytest.mark.parametrize("tiers", [[(1.0, 2.0, 1.0)], [(0.0, 0.0, 1.0)], [(0.0, 1.0, 1.5)], [(0, 1, 1), (2, 3, 1)]])
def test_tiers_with_a_gap_or_a_bad_ratio_are_refused(tiers: list[tuple[float, float, float]]) -> None:
    with pytest.raises(InvalidInput):
        tiered_value(1.0, tiers)


LEVELS = Levels(dwell_ms=1_000)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (0.0, SAFE),
        (0.3999, SAFE),
        (0.40, CAUTION),
        (0.45, DANGER),
        (0.48, CRITICAL),
        (5.0, CRITICAL),
        (math.inf, CRITICAL),
    ],
)
def test_levels_begin_at_their_boundary(value: float, level: RiskLevel) -> None:
    assert LEVELS.level_of(value) is level
    assert next_level(LevelState(), value, 0, LEVELS).level is level


@pytest.mark.parametrize("value", [math.nan, -0.1])
def test_a_level_of_nonsense_is_refused(value: float) -> None:
    with pytest.raises(InvalidInput):
        next_level(LevelState(), value, 0, LEVELS)


def test_a_level_goes_down_only_after_the_dwell_below_the_hysteresis() -> None:
    state = LevelState(DANGER)
    state = next_level(state, LEVELS.danger - LEVELS.hysteresis, 0, LEVELS)
    assert state == LevelState(DANGER), "within the hysteresis nothing is counted"
    state = next_level(state, 0.4449, 10, LEVELS)
    assert state == LevelState(DANGER, 10)
    assert next_level(state, 0.4449, 1_009, LEVELS).level is DANGER
    assert next_level(state, 0.4449, 1_010, LEVELS) == LevelState(CAUTION)
    assert next_level(state, 0.4460, 500, LEVELS) == LevelState(DANGER), "a break starts the dwell again"


def test_going_down_passes_no_boundary_within_its_hysteresis() -> None:
    state = LevelState(CRITICAL, 0)
    assert next_level(state, 0.398, 1_000, LEVELS) == LevelState(CAUTION)
    assert next_level(state, 0.394, 1_000, LEVELS) == LevelState(SAFE)


def test_up_at_once_and_over_several_levels() -> None:
    assert next_level(LevelState(SAFE), 0.60, 5, LEVELS) == LevelState(CRITICAL)


@pytest.mark.parametrize(
    "bad", [{"caution": 0.5}, {"hysteresis": -0.1}, {"dwell_ms": -1}, {"ceiling": 0.3}, {"critical": 45.0}]
)
def test_levels_that_do_not_rise_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Levels(**bad)  # type: ignore[arg-type]


def test_the_worst_of_levels() -> None:
    assert worst([]) is SAFE
    assert worst([CAUTION, CRITICAL, SAFE]) is CRITICAL


def test_a_book_of_loans_says_what_it_weighs() -> None:
    book = LoanBook(Product(asset="BTC"))
    empty = book.nbytes
    book.put(np.arange(20_000), ["main"] * 20_000, np.full(20_000, 1.0), np.full(20_000, 9_000.0))
    assert book.nbytes >= empty + 20_000 * 8 * 3
