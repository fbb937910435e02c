"""One loan: its loan-to-value, where the lender liquidates it, and its risk level.

Ratios are ratios (0.45). κ (`haircut`) is the collateral value ratio, 0 < κ ≤ 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hedgelock_actors.domain.errors import InvalidInput, finite, fraction, not_negative


class RiskLevel(StrEnum):
    """How near the lender's loan-to-value is to trouble: SAFE < CAUTION < DANGER < CRITICAL."""

    SAFE = "SAFE"
    CAUTION = "CAUTION"
    DANGER = "DANGER"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for SAFE … 3 for CRITICAL."""
        return _ORDER.index(self)


_ORDER = tuple(RiskLevel)


def worst(levels: Sequence[RiskLevel]) -> RiskLevel:
    """The highest level of some loans; SAFE when there is none."""
    return max(levels, key=lambda level: level.rank, default=RiskLevel.SAFE)


def ltv(debt: float, collateral: float, price: float, haircut: float = 1.0) -> float:
    """λ = D / (κ C P). No debt is 0; debt against nothing (C = 0 or P ≤ 0) is infinite, never 0.

    Raises:
        InvalidInput: NaN, a negative debt or collateral, or a haircut outside (0, 1].
    """
    _check_haircut(haircut)
    if not_negative("debt", debt) == 0.0:
        return 0.0
    value = haircut * not_negative("collateral", collateral) * finite("price", price)
    return debt / value if value > 0.0 else math.inf


def liquidation_price(debt: float, collateral: float, liquidation_ltv: float, haircut: float = 1.0) -> float:
    """P_liq = D / (κ L C); infinite when there is debt but no collateral, 0 when there is no debt."""
    _check_haircut(haircut)
    fraction("liquidation_ltv", liquidation_ltv)
    if not_negative("debt", debt) == 0.0:
        return 0.0
    base = haircut * liquidation_ltv * not_negative("collateral", collateral)
    return debt / base if base > 0.0 else math.inf


def drop_to_liquidation(ltv_now: float, liquidation_ltv: float) -> float:
    """The fractional fall that takes λ to L: 1 − λ/L. Negative when it is already past L; −∞ for an infinite λ."""
    return 1.0 - ltv_now / fraction("liquidation_ltv", liquidation_ltv)


def net_liquidation_price(
    debt: float, collateral: float, price: float, short: float, liquidation_ltv: float, haircut: float = 1.0
) -> float | None:
    """Where λ_net reaches L with hedge profit swept into the debt: (D − hP) / (LκC − h). None: nowhere below.

    `debt` is the debt less what the hedge has earned so far (see `hedge.effective_debt`), `short` is h ≥ 0. With
    h ≥ D/P a fall never gets there. None too when the result is not below `price` because h > LκC: then λ_net falls
    or stays as the price falls.
    """
    _check_haircut(haircut)
    numerator = finite("debt", debt) - not_negative("short", short) * finite("price", price)
    denominator = liquidation_ltv * haircut * not_negative("collateral", collateral) - short
    if numerator <= 0.0:
        return None
    return numerator / denominator if denominator > 0.0 else math.inf


def tiered_value(value_usdt: float, tiers: Sequence[tuple[float, float, float]]) -> float:
    """What the lender counts of a collateral value, by brackets `(from_usdt, to_usdt, ratio)`.

    Value above the last bracket counts nothing.

    Raises:
        InvalidInput: brackets that overlap, leave a gap, or have a ratio outside [0, 1].
    """
    not_negative("value_usdt", value_usdt)
    counted = 0.0
    edge = 0.0
    for low, high, ratio in tiers:
        if low != edge or high <= low or not 0.0 <= ratio <= 1.0:
            raise InvalidInput("tiers", f"brackets must follow each other with ratios in 0…1; see {(low, high, ratio)}")
        counted += ratio * max(0.0, min(value_usdt, high) - low)
        edge = high
    return counted


def tiered_liquidation_value(debt: float, liquidation_ltv: float, tiers: Sequence[tuple[float, float, float]]) -> float:
    """The raw collateral value (USDT) at which λ reaches L under tiered ratios; infinite when no value suffices."""
    missing = not_negative("debt", debt) / fraction("liquidation_ltv", liquidation_ltv)
    tiered_value(0.0, tiers)
    for low, high, ratio in tiers:
        if ratio > 0.0 and missing <= ratio * (high - low):
            return low + missing / ratio
        missing -= ratio * (high - low)
    return math.inf


def _check_haircut(haircut: float) -> None:
    if not 0.0 < finite("haircut", haircut) <= 1.0:
        raise InvalidInput("haircut", f"must be above 0 and at most 1 as a ratio, not {haircut:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Where the levels begin, and how long λ must be clearly below a boundary before the level goes down."""

    caution: float = 0.40
    danger: float = 0.45
    critical: float = 0.48
    ceiling: float = 0.50
    hysteresis: float = 0.005
    dwell_ms: int = 60_000

    def __post_init__(self) -> None:
        if not 0.0 < self.caution < self.danger < self.critical <= self.ceiling < 1.0:
            raise InvalidInput("levels", "must rise: 0 < caution < danger < critical ≤ ceiling < 1")
        if not 0.0 <= self.hysteresis < self.caution:
            raise InvalidInput("levels.hysteresis", "must be 0 or more and below the caution level")
        if self.dwell_ms < 0:
            raise InvalidInput("levels.dwell_ms", "must be 0 or more")

    def boundary(self, level: RiskLevel) -> float:
        """The λ at which `level` begins (0 for SAFE)."""
        return (0.0, self.caution, self.danger, self.critical)[level.rank]

    def level_of(self, ltv_now: float) -> RiskLevel:
        """The level of a λ, without memory. A λ on a boundary belongs to the higher level.

        Raises:
            InvalidInput: λ is NaN or negative (an infinite λ is CRITICAL).
        """
        if math.isnan(ltv_now) or ltv_now < 0.0:
            raise InvalidInput("ltv", f"must be 0 or more, not {ltv_now}")
        return next(level for level in reversed(_ORDER) if ltv_now >= self.boundary(level))


@dataclass(frozen=True, slots=True)
class LevelState:
    """A level with memory. `below_since_ms`: since when λ has been clearly below the level's boundary."""

    level: RiskLevel = RiskLevel.SAFE
    below_since_ms: int | None = None


def next_level(state: LevelState, ltv_now: float, now_ms: int, levels: Levels) -> LevelState:
    """Up at once; down only after λ < boundary − hysteresis, without a break, for the dwell time.

    Going down it lands on the level of λ + hysteresis, so that no boundary is passed more cheaply than another.
    """
    raw = levels.level_of(ltv_now)
    if raw.rank > state.level.rank:
        return LevelState(raw)
    if state.level is RiskLevel.SAFE or ltv_now >= levels.boundary(state.level) - levels.hysteresis:
        return LevelState(state.level)
    since = now_ms if state.below_since_ms is None else min(state.below_since_ms, now_ms)
    if now_ms - since < levels.dwell_ms:
        return LevelState(state.level, since)
    return LevelState(levels.level_of(ltv_now + levels.hysteresis))
