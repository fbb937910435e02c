"""How large a keeper's target may be, as pure functions: the cap, the share by sentiment, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from hedgelock_actors.domain.curve import SizingCurve, size
from hedgelock_actors.domain.margin import cap_short, rho
from hedgelock_actors.domain.messages import HedgeDemand, Tick, TreasuryActed
from hedgelock_actors.domain.money import ZERO, dec
from hedgelock_actors.domain.policy import Policy, SizingPolicy
from hedgelock_actors.domain.treasury import SweepPolicy


def cap_qty(demand: HedgeDemand, equity: Decimal, mark: Decimal, policy: Policy) -> Decimal:
    """min(D/P, what the equity (USDT) carries through a rally, our limits), in coin."""
    sweep, limits, price = policy.sweep, policy.limits, float(mark)
    most = min(float(limits.max_position_qty), float(limits.max_position_notional_usdt) / price)
    cap = cap_short(
        neutral=float(demand.neutral_qty),
        free_margin=float(equity),
        price=price,
        rate=rho(sweep.rally, sweep.maintenance, sweep.taker_fee),
        max_qty=most,
    )
    return dec(cap)


def hedge_share(
    score: Mapping[str, object],
    asset: str,
    demand: HedgeDemand,
    tick: Tick,
    curve: SizingCurve,
    policy: SizingPolicy,
    now_ms: int,
) -> float | None:
    """The share (0…1) between floor and cap by sentiment, None when the score is incomplete or old.

    Raises:
        InvalidInput: the score is no score.
    """
    value, confidence, ts_ms = score.get("score"), score.get("confidence", 1.0), score.get("ts_ms")
    if not isinstance(value, int | float) or not isinstance(confidence, int | float) or not isinstance(ts_ms, int):
        return None
    if now_ms - ts_ms > policy.max_score_age_ms:
        return None
    depth_usdt = min(tick.bid_depth_usdt, tick.ask_depth_usdt)
    exposure_usdt = float(demand.collateral_qty * demand.price)
    return size(asset, exposure_usdt, value, depth_usdt, confidence, curve, policy.max_hedge_pct).hedge_pct


def shortfall_told(
    demand: HedgeDemand, cap: Decimal, mark: Decimal, asset: str, sweep: SweepPolicy, now_ms: int
) -> TreasuryActed:
    """That the ladder asks for more than the cap, and the margin (USDT) that would carry the rest."""
    missing = demand.floor_qty - cap
    usdt = missing * mark * dec(rho(sweep.rally, sweep.maintenance, sweep.taker_fee))
    return TreasuryActed(
        account=demand.account,
        ts_ms=now_ms,
        action_id=f"cap:{demand.account}:{now_ms}",
        action="sweep_short_of_cash",
        amount_usdt=ZERO,
        shortfall_usdt=usdt.quantize(Decimal("0.01")),
        lender_ltv_before=demand.lender_ltv,
        lender_ltv_after=demand.lender_ltv,
        detail=f"The stress ladder asks for a short of {demand.floor_qty} {asset}, margin and limits carry "
        f"{cap:f}: {missing:f} {asset} of protection are missing.",
    )
