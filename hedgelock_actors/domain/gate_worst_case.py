"""What could it all come to, with everything that works filled; and how much is too much in a short time?"""

from __future__ import annotations

from hedgelock_actors.domain.gate_context import GateContext, Limits, OpenOrder
from hedgelock_actors.domain.gate_facts import MINUTE_MS, SECOND_MS, quote_of, value_of, within, worst_short
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import OrderRequest, Side, TimeInForce

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def position_qty(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    worst = worst_short(request, ctx)
    if request.side is Side.BUY or worst <= limits.max_position_qty:
        return None
    return f"the short could become {worst} (at most {limits.max_position_qty})"


def position_notional(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    worst = worst_short(request, ctx) * quote_of(ctx).mark
    if request.side is Side.BUY or worst <= limits.max_position_notional_usdt:
        return None
    return f"the short could become {worst:.2f} USDT (at most {limits.max_position_notional_usdt})"


def self_trade(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    """No order meets one of ours. Of two that both fill at once or not at all, neither waits for the other."""
    other = request.side.opposite
    for ours in ctx.open_orders:
        if ours.side is other and ours.order_link_id != request.order_link_id and _meet(request, ours):
            return f"it would meet our own {other} order {ours.order_link_id}"
    return None


def _meet(request: OrderRequest, ours: OpenOrder) -> bool:
    if not ours.rests and request.time_in_force in _AT_ONCE:
        return False
    if request.price is None or ours.price is None:
        return True
    return (request.price - ours.price) * request.side.sign >= ZERO


def liquidation_distance(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    """After the order, with every working sell filled at the mark, the short survives a rally.

    With k = 1 + maintenance + fee the short h is liquidated at P = (E + h F) / (h k), where E is the equity behind it
    and F the mark. The venue's own liquidation price L of the present short gives E = L h k − h F; without a short it
    is the free margin. What was said too long ago, or never, refuses nothing.
    """
    if request.side is Side.BUY or ctx.now_ms - ctx.money_ms > limits.max_money_age_ms:
        return None
    mark, rate = quote_of(ctx).mark, 1 + limits.maintenance + limits.taker_fee
    present, after = max(ZERO, -ctx.position_qty), worst_short(request, ctx)
    if present == ZERO:
        equity = ctx.available_usdt
    else:
        equity = None if ctx.liquidation_price is None else present * (ctx.liquidation_price * rate - mark)
    if equity is None or after <= ZERO:
        return None
    distance = (equity + after * mark) / (after * rate * mark) - 1
    if distance >= limits.min_liquidation_distance:
        return None
    return (
        f"the short could be liquidated by a rally of {distance:.1%} (at least {limits.min_liquidation_distance:.1%})"
    )


def open_orders(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    count = ctx.working.count + (0 if ctx.resend else 1)
    return (
        f"{count} orders would be open (at most {limits.max_open_orders})" if count > limits.max_open_orders else None
    )


def per_second(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    sent = within(ctx.recent_order_ms, ctx.now_ms, SECOND_MS)
    return (
        f"{sent} sent within a second (at most {limits.orders_per_second})"
        if sent >= limits.orders_per_second
        else None
    )


def per_minute(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    critical = ctx.level is RiskLevel.CRITICAL
    budget = limits.critical_orders_per_minute if critical else limits.orders_per_minute
    sent = within(ctx.recent_order_ms, ctx.now_ms, MINUTE_MS)
    return f"{sent} sent within a minute (at most {budget})" if sent >= budget else None


def notional_per_minute(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    critical = ctx.level is RiskLevel.CRITICAL
    budget = limits.critical_notional_per_minute_usdt if critical else limits.notional_per_minute_usdt
    total = ctx.notional_last_minute_usdt + value_of(request, ctx)
    return f"{total:.2f} USDT within a minute (at most {budget})" if total > budget else None


def amends_per_second(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    sent = within(ctx.recent_amend_ms, ctx.now_ms, SECOND_MS)
    most = limits.amends_per_second
    return f"{sent} amendments within a second (at most {most})" if sent >= most else None


def amends_per_minute(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    sent = within(ctx.recent_amend_ms, ctx.now_ms, MINUTE_MS)
    most = limits.amends_per_minute
    return f"{sent} amendments within a minute (at most {most})" if sent >= most else None
