"""One of each message on the way from a price to an order."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import HedgeDemand, SetTarget, Tick

D = Decimal
TICK = Tick(
    symbol="BTCUSDT", ts_ms=100, last=D(60_000), mark=D(60_000), index=D(60_000), bid=D(59_999), ask=D(60_001),
    bid_depth_usdt=1e6, ask_depth_usdt=1e6, funding_rate=0.0001, next_funding_ms=1_000,
)  # fmt: skip
DEMAND = HedgeDemand(
    account="main", symbol="BTCUSDT", ts_ms=100, price=D(60_000), floor_qty=D(1), neutral_qty=D(4),
    collateral_qty=D(10), debt=D(240_000), level=RiskLevel.SAFE, lender_ltv=0.4, net_ltv=0.4,
)  # fmt: skip
TARGET = SetTarget(
    account="main", symbol="BTCUSDT", version=1, ts_ms=101, target_short_qty=D(1), level=RiskLevel.SAFE,
    reason="floor", causation_id="demand:main:100",
)  # fmt: skip
