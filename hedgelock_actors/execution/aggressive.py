"""Fill now: IOC limits that reach a little through the mid, each further than the one before, then the market.

Pure functions of values. Whoever asks decides when the next attempt is due, for how much, and how many there may be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hedgelock_actors.domain.gap import order_qty, price_through_mid
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.order import OrderRequest, OrderType, Side, TimeInForce, order_link_id
from hedgelock_actors.domain.policy import ExecutionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Whom and what an attempt is for. A buy is reduce-only: it only ever shrinks the hedge."""

    account: str
    symbol: str
    intent_id: str
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What bounds every attempt."""

    instrument: Instrument
    limits: Limits
    policy: ExecutionPolicy


def attempt_order(
    goal: Goal, attempt: int, misses: int, qty: Decimal, quote: Quote, settings: Settings
) -> OrderRequest | None:
    """The order of an attempt at `qty` or as much of it as one order may carry; None when that is below the least.

    `attempt` counts the orders of the goal and makes the id. `misses` counts those of them that ended without filling
    wholly: as long as they are fewer than `limit_attempts` the order is a limit, and from then on a market order, which
    the venue bounds by its own protection price. So a spread wider than the slippage cap delays a fill and cannot
    prevent it.
    """
    market = misses >= settings.policy.limit_attempts
    price = None if market else _limit_price(goal.side, misses, quote, settings)
    least_favourable = max(quote.mark, quote.touch(goal.side is Side.SELL) if price is None else price)
    most = min(qty, settings.instrument.max_market_qty) if market else qty
    carried = order_qty(most, least_favourable, settings.instrument, settings.limits)
    if carried < settings.instrument.min_qty:
        return None
    return OrderRequest(
        account=goal.account,
        symbol=goal.symbol,
        side=goal.side,
        qty=carried,
        order_type=OrderType.MARKET if market else OrderType.LIMIT,
        price=price,
        time_in_force=TimeInForce.IOC,
        reduce_only=goal.side is Side.BUY,
        order_link_id=order_link_id(goal.intent_id, attempt),
        intent_id=goal.intent_id,
        attempt=attempt,
    )


def same_order(request: OrderRequest, misses: int, qty: Decimal, quote: Quote, settings: Settings) -> OrderRequest:
    """The same attempt to be sent again: its own id and type, at today's price, for not more than before.

    `misses` as in `attempt_order`, without this attempt.
    """
    price = None if request.price is None else _limit_price(request.side, misses, quote, settings)
    return replace(request, price=price, qty=min(request.qty, qty))


def attempts_in_all(policy: ExecutionPolicy) -> int:
    """So many misses end an intent; what is left is the next one's, which begins with limits again."""
    return policy.limit_attempts + policy.market_attempts


def _limit_price(side: Side, misses: int, quote: Quote, settings: Settings) -> Decimal:
    policy = settings.policy
    reach_bps = min(policy.through_bps + misses * policy.step_bps, settings.limits.max_slippage_bps)
    return price_through_mid(side, quote, reach_bps, settings.instrument)
