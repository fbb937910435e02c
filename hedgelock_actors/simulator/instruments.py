"""Instruments and risk-limit tiers: samples of the venue's own, which a client reads and never hard-codes."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.simulator.spec import Instrument, RiskTier
from hedgelock_actors.simulator.words import ZERO

BTCUSDT = Instrument(symbol="BTCUSDT", base_coin="BTC")

ETHUSDT = Instrument(
    symbol="ETHUSDT",
    base_coin="ETH",
    tick_size=Decimal("0.01"),
    min_price=Decimal("0.01"),
    max_price=Decimal("199999.98"),
    qty_step=Decimal("0.01"),
    min_order_qty=Decimal("0.01"),
    max_order_qty=Decimal(7240),
    max_market_qty=Decimal(1450),
)

INSTRUMENTS = (BTCUSDT, ETHUSDT)

# (position value up to, USDT; maintenance rate; initial rate; highest leverage)
_STEPS = (
    (2_000_000, "0.005", "0.01", "100"),
    (10_000_000, "0.01", "0.02", "50"),
    (20_000_000, "0.015", "0.03", "33.33"),
    (40_000_000, "0.02", "0.04", "25"),
    (80_000_000, "0.025", "0.05", "20"),
    (160_000_000, "0.05", "0.1", "10"),
)


def risk_tiers() -> tuple[RiskTier, ...]:
    """Tiers, lowest first. The deduction makes the maintenance margin continuous in the position value:
    d_k = d_{k-1} + limit_{k-1} × (mmr_k - mmr_{k-1}).
    """
    tiers: list[RiskTier] = []
    for number, (limit, mm_rate, im_rate, leverage) in enumerate(_STEPS, 1):
        rate, deduction = Decimal(mm_rate), ZERO
        if tiers:
            below = tiers[-1]
            deduction = below.mm_deduction + below.limit_usdt * (rate - below.mm_rate)
        tiers.append(
            RiskTier(
                id=number,
                limit_usdt=Decimal(limit),
                mm_rate=rate,
                im_rate=Decimal(im_rate),
                max_leverage=Decimal(leverage),
                mm_deduction=deduction,
            )
        )
    return tuple(tiers)


TIERS = risk_tiers()


def tier_of(value_usdt: Decimal) -> RiskTier:
    """The tier of a position value; the last one has no end."""
    return next((tier for tier in TIERS if value_usdt <= tier.limit_usdt), TIERS[-1])
