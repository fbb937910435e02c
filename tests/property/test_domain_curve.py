"""The sizing curve is monotone, meets its knots and never overshoots; it is the reference PCHIP."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from hedgelock_actors.domain.curve import Knot, SizingCurve, liquidity_weight, size

units = st.floats(0.0, 1.0)


@st.composite
def knot_lists(draw: st.DrawFn) -> list[Knot]:
    inner = draw(st.lists(st.integers(1, 999), unique=True, max_size=8))
    scores = [0.0, *(n / 1000 for n in sorted(inner)), 1.0]
    shares = sorted(draw(st.lists(units, min_size=len(scores), max_size=len(scores))))
    return list(zip(scores, shares, strict=True))


@given(knot_lists(), units, units)
def test_more_fear_never_hedges_less(knots: list[Knot], a: float, b: float) -> None:
    curve = SizingCurve.from_knots(knots)
    low, high = sorted((a, b))
    assert curve.hedge_pct(low) <= curve.hedge_pct(high) + 1e-15


@given(knot_lists(), units)
def test_it_meets_its_knots_and_stays_between_them(knots: list[Knot], score: float) -> None:
    curve = SizingCurve.from_knots(knots)
    for at, share in knots:
        assert curve.hedge_pct(at) == pytest.approx(share, abs=1e-12)
    below = max(share for at, share in knots if at <= score)
    above = min(share for at, share in knots if at >= score)
    assert below <= curve.hedge_pct(score) <= above


@given(knot_lists(), units)
def test_it_is_the_reference_pchip(knots: list[Knot], score: float) -> None:
    with np.errstate(all="ignore"):
        reference = float(PchipInterpolator(*zip(*knots, strict=True))(score))
    assert SizingCurve.from_knots(knots).hedge_pct(score) == pytest.approx(reference, rel=1e-9, abs=1e-12)


@given(units, units, st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e12), units)
def test_a_sizing_is_within_its_bounds(
    score: float, confidence: float, depth: float, deeper: float, amount: float, cap: float
) -> None:
    curve = SizingCurve.from_knots([(0, 0.05), (0.3, 0.25), (0.7, 0.75), (1, 1)])
    found = size("BTC", amount, score, depth, confidence, curve, cap)
    assert 0.0 <= found.hedge_pct <= cap
    assert found.notional_usd == amount * found.hedge_pct
    assert 0.0 <= found.confidence <= confidence
    assert 0.0 <= found.effective_score <= score
    low, high = sorted((depth, deeper))
    assert 0.0 <= liquidity_weight(low) <= liquidity_weight(high) <= 1.0
