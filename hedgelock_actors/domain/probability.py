"""How likely it is to touch a lower price in a given time."""

from __future__ import annotations

import math

from hedgelock_actors.domain.errors import not_negative, positive

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


def _phi(z: float) -> float:
    return math.erfc(-z / math.sqrt(2.0)) / 2.0
