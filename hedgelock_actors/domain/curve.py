"""The sizing curve: sentiment and depth in, a share of the exposure to hedge out.

The curve is a monotone piecewise cubic (PCHIP, Fritsch–Carlson) through configured knots: it passes through every
knot and never overshoots between two of them. Bad input is a typed error, never 0 % and never 100 %.
"""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hedgelock_actors.domain.errors import InvalidInput, not_negative
from hedgelock_actors.domain.market import ASSETS

FULL_DEPTH_USD = 10_000_000.0
"""Depth within 1 % of the mid at which liquidity no longer limits."""

Knot = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SizingCurve:
    """Knots (score, hedge share) with the slope at each. Build with `from_knots`."""

    scores: tuple[float, ...]
    shares: tuple[float, ...]
    slopes: tuple[float, ...]

    @classmethod
    def from_knots(cls, knots: Sequence[Knot]) -> SizingCurve:
        """The curve through the knots.

        Raises:
            InvalidInput: fewer than two knots, scores that do not rise from 0 to 1, shares outside 0…1 or falling.
        """
        _check_knots(knots)
        scores, shares = tuple(float(s) for s, _ in knots), tuple(float(h) for _, h in knots)
        return cls(scores, shares, _slopes(scores, shares))

    @property
    def knots(self) -> tuple[Knot, ...]:
        """What it was built from."""
        return tuple(zip(self.scores, self.shares, strict=True))

    def hedge_pct(self, score: float) -> float:
        """The share (a ratio, 0…1) at an effective score in 0…1.

        Raises:
            InvalidInput: the score is NaN or out of range.
        """
        _check_unit("score", score)
        i = min(max(bisect.bisect_right(self.scores, score) - 1, 0), len(self.scores) - 2)
        width = self.scores[i + 1] - self.scores[i]
        low, high = self.shares[i], self.shares[i + 1]
        t = (score - self.scores[i]) / width
        value = low + t * t * (3.0 - 2.0 * t) * (high - low)
        value += width * t * (1.0 - t) * ((1.0 - t) * self.slopes[i] - t * self.slopes[i + 1])
        return min(max(value, low), high)  # exact arithmetic stays inside; floating point may leave it by an ulp


def parse_knots(raw: object) -> tuple[tuple[Knot, ...], float]:
    """Knots and the largest share allowed, from parsed configuration.

    Takes a list of knots, or `{knots: [...], max_pct: 1.0}`; a knot is `[score, share]` or `{score: …, hedge: …}`.

    Raises:
        InvalidInput: anything else. (Whether the knots make a curve, `SizingCurve.from_knots` says.)
    """
    max_pct: object = 1.0
    if isinstance(raw, dict):
        unknown = set(raw) - {"knots", "max_pct"}
        if unknown or "knots" not in raw:
            raise InvalidInput("knots_file", f"has `knots` and may have `max_pct`, not {sorted(map(str, raw))}")
        max_pct = raw.get("max_pct", 1.0)
        raw = raw["knots"]
    if not isinstance(raw, list | tuple):
        raise InvalidInput("knots", "must be a list of [score, share] pairs")
    largest = _number("max_pct", max_pct)
    _check_unit("max_pct", largest)
    return tuple(_knot(entry) for entry in raw), largest


def _knot(entry: object) -> Knot:
    if isinstance(entry, dict) and set(entry) == {"score", "hedge"}:
        return _number("knots.score", entry["score"]), _number("knots.hedge", entry["hedge"])
    if isinstance(entry, list | tuple) and len(entry) == 2:
        return _number("knots.score", entry[0]), _number("knots.hedge", entry[1])
    raise InvalidInput("knots", f"a knot is [score, share] or {{score: …, hedge: …}}, not {entry!r}")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(name, f"must be a number, not {value!r}")
    return float(value)


@dataclass(frozen=True, slots=True)
class Sizing:
    """How much to hedge. `hedge_pct` and `confidence` are ratios."""

    hedge_pct: float
    notional_usd: float
    confidence: float
    effective_score: float


def liquidity_weight(depth_usd: float) -> float:
    """log₁₀(1+d) / log₁₀(1+10⁷), at most 1: how far a score is trusted at a depth d (USDT within 1 % of the mid)."""
    return min(1.0, math.log1p(not_negative("depth_usd", depth_usd)) / math.log1p(FULL_DEPTH_USD))


def liquidity_quality(depth_usd: float) -> float:
    """How far liquidity supports a decision, 0…1. The same measure as the weight: there is one view of depth."""
    return liquidity_weight(depth_usd)


def size(
    asset: str,
    amount_usd: float,
    score: float,
    depth_usd: float,
    confidence: float,
    curve: SizingCurve,
    max_pct: float = 1.0,
) -> Sizing:
    """hedge_pct = min(curve(score × weight(depth)), max_pct); notional = amount × hedge_pct.

    Raises:
        InvalidInput: an unknown asset, a negative amount or depth, a score or confidence outside 0…1, or NaN.
    """
    if asset not in ASSETS:
        raise InvalidInput("asset", f"must be one of {', '.join(ASSETS)}, not {asset!r}")
    not_negative("amount_usd", amount_usd)
    _check_unit("score", score)
    _check_unit("confidence", confidence)
    _check_unit("max_pct", max_pct)
    effective = score * liquidity_weight(depth_usd)
    hedge_pct = min(curve.hedge_pct(effective), max_pct)
    return Sizing(hedge_pct, amount_usd * hedge_pct, min(confidence, liquidity_quality(depth_usd)), effective)


def curve_version(knots: Sequence[Knot], code_version: str) -> str:
    """Names what a sizing was made with: the code's version and a digest of the knots."""
    text = ";".join(f"{float(score)!r},{float(share)!r}" for score, share in knots)
    return f"{code_version}+{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _check_unit(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:  # false for NaN
        raise InvalidInput(name, f"must be in 0…1, not {value}")


def _check_knots(knots: Sequence[Knot]) -> None:
    if len(knots) < 2:
        raise InvalidInput("knots", "at least two are needed, from score 0 to score 1")
    for score, share in knots:
        _check_unit("knots.score", score)
        _check_unit("knots.hedge", share)
    if knots[0][0] != 0.0 or knots[-1][0] != 1.0:
        raise InvalidInput("knots.score", "the first must be 0 and the last 1, so that every score has an answer")
    for (score, share), (next_score, next_share) in pairwise(knots):
        if next_score <= score:
            raise InvalidInput("knots.score", f"must rise: {next_score} follows {score}")
        if next_share < share:
            raise InvalidInput("knots.hedge", f"must not fall: {next_share} follows {share}")


def _slopes(x: Sequence[float], y: Sequence[float]) -> tuple[float, ...]:
    widths = [b - a for a, b in pairwise(x)]
    secants = [(b - a) / w for (a, b), w in zip(pairwise(y), widths, strict=True)]
    if len(secants) == 1:
        return (secants[0], secants[0])
    inner = [_inner_slope(widths[i], widths[i + 1], secants[i], secants[i + 1]) for i in range(len(secants) - 1)]
    first = _end_slope(widths[0], widths[1], secants[0], secants[1])
    last = _end_slope(widths[-1], widths[-2], secants[-1], secants[-2])
    return (first, *inner, last)


def _inner_slope(w0: float, w1: float, d0: float, d1: float) -> float:
    # Weighted harmonic mean of the neighbouring secants (Fritsch and Butland 1984); flat beside a flat piece.
    if d0 == 0.0 or d1 == 0.0:
        return 0.0
    a, b = 2.0 * w1 + w0, w1 + 2.0 * w0
    return (a + b) / (a / d0 + b / d1)


def _end_slope(w0: float, w1: float, d0: float, d1: float) -> float:
    # One-sided three-point formula, limited so that the end piece stays monotone. The secants are never negative.
    slope = ((2.0 * w0 + w1) * d0 - w0 * d1) / (w0 + w1)
    return min(max(slope, 0.0), 3.0 * d0)
