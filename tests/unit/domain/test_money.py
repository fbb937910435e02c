"""Exact decimals, rounded the stated way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hedgelock_actors.domain.money import dec, is_multiple, round_price, round_to_step

D = Decimal


@pytest.mark.parametrize(
    ("given", "exact"), [(0.1, "0.1"), ("0.10", "0.10"), (3, "3"), (1e-7, "1E-7"), (D("2.5"), "2.5")]
)
def test_a_number_is_taken_as_it_is_written(given: str | int | float | Decimal, exact: str) -> None:
    assert str(dec(given)) == exact


@pytest.mark.parametrize("given", [float("nan"), float("inf"), "-Infinity", "NaN", "1,5", "", "abc", D("sNaN")])
def test_what_is_no_finite_number_is_refused(given: str | float | Decimal) -> None:
    with pytest.raises(ValueError, match="number"):
        dec(given)


@pytest.mark.parametrize(
    ("value", "step", "up", "down"),
    [
        ("1.2341", "0.001", "1.235", "1.234"),
        ("1.234", "0.001", "1.234", "1.234"),
        ("-1.2341", "0.001", "-1.234", "-1.235"),
        ("0", "0.5", "0.0", "0.0"),
        ("7", "3", "9", "6"),
        ("0.0000001", "10", "10", "0"),
    ],
)
def test_rounding_says_which_way(value: str, step: str, up: str, down: str) -> None:
    assert str(round_to_step(D(value), D(step), "up")) == up
    assert str(round_price(D(value), D(step), "down")) == down


@pytest.mark.parametrize("step", ["0", "-1", "NaN"])
def test_a_step_must_be_positive(step: str) -> None:
    with pytest.raises(ValueError, match="step"):
        round_to_step(D(1), D(step), "up")


def test_multiples() -> None:
    assert is_multiple(D("1.230"), D("0.01"))
    assert not is_multiple(D("1.235"), D("0.01"))
