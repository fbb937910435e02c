"""The sizing curve and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from hedgelock_actors.domain.curve import (
    FULL_DEPTH_USD,
    SizingCurve,
    curve_version,
    liquidity_quality,
    liquidity_weight,
    parse_knots,
    size,
)
from hedgelock_actors.domain.errors import InvalidInput

KNOTS = ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0))
LINE = SizingCurve.from_knots(KNOTS)
SHIPPED = Path(__file__).resolve().parents[3] / "configs" / "curve_knots.yaml"


def test_a_straight_line_stays_straight() -> None:
    assert LINE.slopes == (1.0, 1.0, 1.0)
    for score in (0.0, 0.1, 0.25, 0.5, 0.77, 1.0):
        assert LINE.hedge_pct(score) == pytest.approx(score, abs=1e-15)


def test_two_knots_are_a_line_and_a_flat_piece_is_flat() -> None:
    assert SizingCurve.from_knots([(0, 0.2), (1, 0.4)]).hedge_pct(0.5) == pytest.approx(0.3)
    stepped = SizingCurve.from_knots([(0, 0.0), (0.4, 0.5), (0.6, 0.5), (1, 1.0)])
    assert stepped.hedge_pct(0.5) == 0.5
    assert stepped.slopes[1:3] == (0.0, 0.0)


def test_a_curve_worked_by_hand() -> None:
    # Secants 2 and 0.5 over halves: inner slope 2/(1/2 + 2) = 0.8; ends (3·2 − 0.5)/2 = 2.75, and (1.5 − 2)/2 < 0 → 0.
    curve = SizingCurve.from_knots([(0, 0.0), (0.5, 0.75), (1, 1.0)])
    inner = 2.0 / (1.0 / 1.5 + 1.0 / 0.5)
    assert curve.slopes == pytest.approx(((3 * 1.5 - 0.5) / 2, inner, 0.0))
    middle = 0.375 + 0.5 / 8 * (curve.slopes[0] - inner)
    assert curve.hedge_pct(0.25) == pytest.approx(middle)


@pytest.mark.parametrize("score", [-0.01, 1.01, math.nan, math.inf])
def test_a_score_out_of_range_is_an_error_and_never_a_number(score: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        LINE.hedge_pct(score)
    assert caught.value.field == "score"


@pytest.mark.parametrize(
    "knots",
    [
        [],
        [(0, 0)],
        [(0.1, 0), (1, 1)],
        [(0, 0), (0.9, 1)],
        [(0, 0), (0.5, 0.6), (0.5, 0.7), (1, 1)],
        [(0, 0.5), (1, 0.4)],
        [(0, 0), (1, 1.2)],
        [(0, math.nan), (1, 1)],
    ],
)
def test_knots_that_make_no_monotone_curve_are_refused(knots: list[tuple[float, float]]) -> None:
    with pytest.raises(InvalidInput):
        SizingCurve.from_knots(knots)


def test_depth_weighs_the_score() -> None:
    assert liquidity_weight(0.0) == 0.0
    assert liquidity_weight(FULL_DEPTH_USD) == liquidity_weight(1e12) == 1.0
    assert liquidity_weight(1e7**0.5 - 1) == pytest.approx(0.5, abs=1e-7)
    found = size("BTC", 1_000.0, 0.8, 1e7**0.5 - 1, 0.9, LINE)
    assert found.effective_score == pytest.approx(0.4, abs=1e-7)
    assert found.notional_usd == pytest.approx(400.0, abs=1e-3)
    assert found.confidence == liquidity_quality(1e7**0.5 - 1)


def test_the_cap_and_the_models_confidence() -> None:
    found = size("ETH", 1_000.0, 1.0, 1e9, 0.7, LINE, max_pct=0.6)
    assert (found.hedge_pct, found.notional_usd, found.confidence) == (0.6, 600.0, 0.7)
    assert size("XRP", 0.0, 1.0, 1e9, 0.7, LINE).notional_usd == 0.0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"asset": "DOGE"}, "asset"),
        ({"amount_usd": -1.0}, "amount_usd"),
        ({"amount_usd": math.nan}, "amount_usd"),
        ({"amount_usd": math.inf}, "amount_usd"),
        ({"score": 1.5}, "score"),
        ({"score": math.nan}, "score"),
        ({"depth_usd": -1.0}, "depth_usd"),
        ({"depth_usd": math.nan}, "depth_usd"),
        ({"confidence": math.nan}, "confidence"),
        ({"confidence": 2.0}, "confidence"),
    ],
)
def test_every_bad_input_is_named(changes: dict[str, object], field: str) -> None:
    good: dict[str, object] = {
        "asset": "BTC", "amount_usd": 1.0, "score": 0.5, "depth_usd": 1e6, "confidence": 0.5, "curve": LINE,
    }  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        size(**{**good, **changes})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.remedy


def test_the_version_changes_with_the_knots_and_the_code() -> None:
    assert curve_version(KNOTS, "1") == curve_version([(0, 0), (0.5, 0.5), (1, 1)], "1")
    assert curve_version(KNOTS, "1").startswith("1+")
    assert len({curve_version(KNOTS, "1"), curve_version(KNOTS, "2"), curve_version(KNOTS[:2], "1")}) == 3


def test_the_shipped_knots_make_a_curve() -> None:
    knots, max_pct = parse_knots(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))
    assert SizingCurve.from_knots(knots).hedge_pct(0.5) == pytest.approx(0.4933288, abs=1e-7)
    assert max_pct == 1.0


def test_knots_may_be_pairs_or_named() -> None:
    named = [{"score": 0, "hedge": 0.1}, {"score": 1, "hedge": 1}]
    assert parse_knots(named) == parse_knots({"knots": [[0, 0.1], [1, 1]]}) == (((0.0, 0.1), (1.0, 1.0)), 1.0)
    assert parse_knots({"knots": named, "max_pct": 0.5})[1] == 0.5


@pytest.mark.parametrize(
    "raw",
    [None, "x", {}, {"knots": 3}, {"knots": [], "other": 1}, [[0]], [["0", 1]], [[True, 1]], [{"score": 1}],
     {"knots": [[0, 0], [1, 1]], "max_pct": 2}],
)  # fmt: skip
def test_a_file_of_another_shape_is_refused(raw: object) -> None:
    with pytest.raises(InvalidInput):
        parse_knots(raw)


def test_a_curve_knows_what_it_was_built_from() -> None:
    assert LINE.knots == tuple((float(score), float(share)) for score, share in KNOTS)
