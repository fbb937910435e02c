"""The last resort: a market order, which the venue itself bounds by its protection price."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.order import OrderRequest, OrderType, TimeInForce, order_link_id
from hedgelock_actors.execution.strategy import Goal


def market_order(goal: Goal, qty: Decimal, attempt: int) -> OrderRequest:
    """A market order for `qty` of the goal under the id of this attempt."""
    return OrderRequest(
        account=goal.account,
        symbol=goal.symbol,
        side=goal.side,
        qty=qty,
        order_type=OrderType.MARKET,
        price=None,
        time_in_force=TimeInForce.IOC,
        reduce_only=goal.reduce_only,
        order_link_id=order_link_id(goal.intent_id, attempt),
        intent_id=goal.intent_id,
        attempt=attempt,
    )
