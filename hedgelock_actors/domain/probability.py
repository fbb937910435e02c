"""How likely it is to touch a price in a given time."""

from __future__ import annotations

import math

from hedgelock_actors.domain.errors import fraction, not_negative, positive

DAYS_PER_YEAR = 365.0


def first_passage(price: float, barrier: float, sigma: float, years: float) -> float:
    """Probability of touching `barrier` < `price` within `years`, monitored continuously.

    Risk-neutral geometric Brownian motion without drift of the forward: a = ln(B/P), μ = −σ²/2,
    p = Φ((a − μτ)/(σ√τ)) + e^{2μa/σ²} Φ((a + μτ)/(σ√τ)). `sigma` per √year. 1 when the price is there already.
    """
    positive("price", price)
    not_negative("barrier", barrier)
    positive("sigma", sigma)
    not_negative("years", years)
    if barrier >= price:
        return 1.0
    if barrier == 0.0 or years == 0.0:
        return 0.0
    distance = math.log(barrier / price)
    drift = -sigma * sigma / 2.0
    spread = sigma * math.sqrt(years)
    direct = _phi((distance - drift * years) / spread)
    reflected = math.exp(2.0 * drift * distance / (sigma * sigma)) * _phi((distance + drift * years) / spread)
    return min(1.0, direct + reflected)


def first_passage_up(price: float, barrier: float, sigma: float, years: float) -> float:
    """The same for `barrier` > `price`: with b = ln(B/P), Φ((μτ − b)/(σ√τ)) + (P/B) Φ(−(b + μτ)/(σ√τ))."""
    positive("price", price)
    positive("barrier", barrier)
    positive("sigma", sigma)
    not_negative("years", years)
    if barrier <= price:
        return 1.0
    if years == 0.0:
        return 0.0
    distance = math.log(barrier / price)
    drift = -sigma * sigma / 2.0
    spread = sigma * math.sqrt(years)
    reflected = price / barrier * _phi(-(distance + drift * years) / spread)
    return min(1.0, _phi((drift * years - distance) / spread) + reflected)


def worst_fall(sigma: float, years: float, chance: float) -> float:
    """The fall that is touched within `years` with this probability: `first_passage` solved for the barrier."""
    fraction("chance", chance)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if first_passage(1.0, 1.0 - middle, sigma, years) > chance:
            low = middle
        else:
            high = middle
    return high


def _phi(z: float) -> float:
    return math.erfc(-z / math.sqrt(2.0)) / 2.0
