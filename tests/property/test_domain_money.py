"""Rounding lands on the grid, on the stated side, and no further than one step away."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.money import Direction, dec, is_multiple, round_to_step

D = Decimal
values = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=8)
steps = st.sampled_from(["0.00000001", "0.001", "0.1", "0.5", "1", "3", "0.7", "25", "1000"]).map(D)
directions: st.SearchStrategy[Direction] = st.sampled_from(["up", "down"])


@given(values, steps, directions)
def test_rounding_lands_on_the_grid_on_the_stated_side(value: Decimal, step: Decimal, direction: Direction) -> None:
    rounded = round_to_step(value, step, direction)
    assert rounded % step == 0
    assert abs(rounded - value) < step
    assert rounded >= value if direction == "up" else rounded <= value
    assert round_to_step(rounded, step, direction) == rounded
    assert is_multiple(rounded, step)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_goes_through_unchanged(value: float) -> None:
    assert float(dec(value)) == value
