"""The short's own liquidation: what margin a rally needs, and how far the short may grow.

m is the maintenance-margin rate and f the taker fee to close, both as ratios; g is a fractional rally.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from hedgelock_actors.domain.errors import InvalidInput, finite, not_negative, positive
from hedgelock_actors.domain.hedge import Rung, required_for_rung


def rho(rally: float, maintenance: float, taker_fee: float) -> float:
    """ρ(g) = (1+g)(1+m+f) − 1: margin per unit of the short's value that survives a rally g."""
    not_negative("rally", rally)
    return (1.0 + rally) * (1.0 + not_negative("maintenance", maintenance) + not_negative("taker_fee", taker_fee)) - 1.0


def margin_for_rally(short: float, price: float, rally: float, maintenance: float, taker_fee: float) -> float:
    """M = h F ρ(g), USDT. At the entry price it is dedicated margin; at the mark it is equity, profit included."""
    return not_negative("short", short) * positive("price", price) * rho(rally, maintenance, taker_fee)


def short_liquidation_price(
    margin: float, short: float, entry: float, maintenance: float, taker_fee: float
) -> float | None:
    """F_liq = (M + hF₀) / (h(1+m+f)) with dedicated margin; None without a short."""
    if not_negative("short", short) == 0.0:
        return None
    value = finite("margin", margin) + short * positive("entry", entry)
    return value / (short * (1.0 + maintenance + taker_fee))


class Exposure(StrEnum):
    """In which direction a unified account that holds both collateral and short can be liquidated."""

    DOWNSIDE = "downside"
    UPSIDE = "upside"
    ALWAYS_SAFE = "always_safe"
    NEVER_SAFE = "never_safe"


@dataclass(frozen=True, slots=True)
class UtaLiquidation:
    """Where the unified account is liquidated; `price` is None when there is no such price."""

    kind: Exposure
    price: float | None
    a: float
    b: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UtaAccount:
    """One cross-margin account with collateral, borrowed USDT and the short."""

    collateral: float
    haircut: float
    debt: float
    short: float
    entry: float
    maintenance: float
    borrow_maintenance: float


def uta_liquidation(account: UtaAccount) -> UtaLiquidation:
    """A = κC − h(1+m+m_b), B = (1+m_b)(D − hF₀); the account is liquidated where A·P = B is crossed."""
    rate = 1.0 + account.maintenance + account.borrow_maintenance
    a = account.haircut * account.collateral - account.short * rate
    b = (1.0 + account.borrow_maintenance) * (account.debt - account.short * account.entry)
    if a >= 0.0 and b <= 0.0:
        return UtaLiquidation(Exposure.ALWAYS_SAFE, None, a, b)
    if (a < 0.0 and b >= 0.0) or a == 0.0:
        return UtaLiquidation(Exposure.NEVER_SAFE, None, a, b)
    return UtaLiquidation(Exposure.DOWNSIDE if a > 0.0 else Exposure.UPSIDE, b / a, a, b)


def uta_band(account: UtaAccount) -> tuple[float, float] | None:
    """The shorts that are safe in both directions, D/F₀ ≤ h ≤ κC/(1+m+m_b), in coin; None when there are none."""
    low = account.debt / positive("entry", account.entry)
    high = account.haircut * account.collateral / (1.0 + account.maintenance + account.borrow_maintenance)
    return (low, high) if low <= high else None


@dataclass(frozen=True, slots=True)
class CarveOut:
    """A hedge whose margin is coin withdrawn from the loan's own collateral."""

    short: float
    withdrawn: float
    """Coin taken out of the collateral and posted as margin."""
    ltv_after: float


def carve_out(
    debt: float, collateral: float, price: float, haircut: float, rung: Rung, rate: float, margin_ratio: float
) -> CarveOut | None:
    """The short for one rung when its margin comes out of the collateral; None when that has no solution.

    w = hρ/κ_b coin leave the collateral (κ_b: how much of posted coin counts as margin, `rate` = ρ(g)), which raises
    the required short in turn: h = h₀ / (1 − Tκ(1−x)ρ / (κ_b x)).
    """
    positive("margin_ratio", margin_ratio)
    alone = required_for_rung(debt, collateral, price, haircut, rung)
    drain = rung.target_ltv * haircut * (1.0 - rung.drop) * not_negative("rate", rate) / (margin_ratio * rung.drop)
    if drain >= 1.0:
        return None
    short = alone / (1.0 - drain)
    withdrawn = short * rate / margin_ratio
    left = haircut * (collateral - withdrawn) * price
    return CarveOut(short, withdrawn, debt / left) if left > 0.0 else None


def rally_release(
    debt: float, collateral: float, price: float, haircut: float, withdrawal_ltv: float, rally: float
) -> float:
    """w = C − D/(κ T_w P(1+g)): coin that a rally frees from the collateral at the target LTV T_w (≥ 0)."""
    needed = debt / (haircut * positive("withdrawal_ltv", withdrawal_ltv) * positive("price", price) * (1.0 + rally))
    return max(0.0, collateral - needed)


def cap_short(
    *,
    neutral: float,
    free_margin: float,
    price: float,
    rate: float,
    max_qty: float = math.inf,
    band_high: float = math.inf,
) -> float:
    """The most the short may be: min(D/P, free margin / (ρ(g)F), the unified band's upper end, limits), in coin.

    `free_margin` is all equity that may back the short, what backs it already included. Pass an infinite `neutral` to
    opt out of the D/P cap.
    """
    for name, value in (("neutral", neutral), ("max_qty", max_qty), ("band_high", band_high)):
        if math.isnan(value) or value < 0.0:
            raise InvalidInput(name, f"must be 0 or more, not {value}")
    by_margin = max(0.0, finite("free_margin", free_margin)) / (positive("rate", rate) * positive("price", price))
    return min(neutral, by_margin, max_qty, band_high)
