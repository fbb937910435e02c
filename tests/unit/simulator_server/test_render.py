"""How amounts are written."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.simulator.render import rate, text

PLAIN = re.compile(r"-?\d+(\.\d+)?")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_amounts_are_plain_and_exact_to_eight_decimals(value: Decimal) -> None:
    written = text(value)
    assert PLAIN.fullmatch(written)
    assert abs(Decimal(written) - value) <= Decimal("0.000000005")
    assert len(written.partition(".")[2]) <= 8


@pytest.mark.parametrize(
    ("value", "written"),
    [("1E+3", "1000"), ("0E-12", "0"), ("-0", "0"), ("60000.10", "60000.10"), ("0.1234567891", "0.12345679")],
)
def test_amounts(value: str, written: str) -> None:
    assert text(Decimal(value)) == written


def test_nothing_is_written_as_told() -> None:
    assert text(None) == ""
    assert text(None, "0") == "0"


@given(st.decimals(min_value=0, max_value=2, places=12))
def test_ratios_keep_twelve_decimals(value: Decimal) -> None:
    assert PLAIN.fullmatch(rate(value))
    assert Decimal(rate(value)) == value
