"""The distance between the target and the position, as the next order would close it.

    order = target − position − open − unresolved

Everything that may still fill counts as filled in the worst case, so a repeated or late message changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.limits import Limits, Working
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.money import ZERO, round_price, round_to_step
from hedgelock_actors.domain.order import Side

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing (SELL) or too much (BUY), on the venue's grid and large enough to be ordered."""

    side: Side
    qty: Decimal


def gap_to(
    target_short: Decimal, signed_qty: Decimal, working: Working, instrument: Instrument, price: Decimal
) -> Gap | None:
    """The gap between a short to be held (≥ 0) and a signed position; None when nothing can or need be ordered.

    Sells are rounded up to the lot (protection grows), buys down. What is below the venue's minimum is carried: it is
    part of the next gap. While sells may still fill nothing is bought back, and the reverse.
    """
    if target_short < ZERO or price <= ZERO:
        raise InvalidInput("target_short/price", f"a target of {target_short} at a price of {price} is no target")
    missing = target_short + signed_qty - working.sell_qty
    if missing > ZERO:
        qty = round_to_step(missing, instrument.qty_step, "up")
        return Gap(Side.SELL, qty) if _large_enough(qty, instrument, price) else None
    too_much = -signed_qty - target_short - working.buy_qty
    qty = round_to_step(max(ZERO, too_much), instrument.qty_step, "down")
    if working.sell_qty > ZERO or qty < instrument.min_qty:
        return None
    return Gap(Side.BUY, qty)


def _large_enough(qty: Decimal, instrument: Instrument, price: Decimal) -> bool:
    return qty >= instrument.min_qty and qty * price >= instrument.min_notional


def order_qty(qty: Decimal, price: Decimal, instrument: Instrument, limits: Limits) -> Decimal:
    """As much of `qty` as one order may carry by the venue's and our limits, on the grid; may be 0."""
    by_notional = limits.max_order_notional_usdt / price
    most = min(qty, limits.max_order_qty, instrument.max_qty, by_notional)
    return round_to_step(most, instrument.qty_step, "down")


def price_through_mid(side: Side, quote: Quote, reach_bps: Decimal, instrument: Instrument) -> Decimal:
    """A limit price that lies `reach_bps` through the mid, rounded towards the mid so that the bound holds.

    It stays within the venue's own band around the mark, with a tenth of it to spare: the mark moves while we send.
    """
    raw = quote.mid * (1 + side.sign * reach_bps / _BPS)
    band = instrument.price_limit_ratio * Decimal("0.9")
    if band > ZERO:
        edge = quote.mark * (1 + side.sign * band)
        raw = max(raw, edge) if side is Side.SELL else min(raw, edge)
    return round_price(raw, instrument.tick_size, "up" if side is Side.SELL else "down")
