"""Budgets. Those of `hedge_trades` bind always; those that protect profit are not asked of an order that protects."""

from __future__ import annotations

from hedgelock_actors.domain.gate_context import GateContext, Limits
from hedgelock_actors.domain.gate_facts import added, value_of
from hedgelock_actors.domain.order import OrderRequest

# ---------------------------------------------------------------- hedge_trades


def trade_order(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    most = limits.max_trade_order_qty
    if ctx.trade is None or request.qty <= most:
        return None
    return f"{request.qty} is above the {most} of one order of a trade"


def trade_daily(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if ctx.trade is None:
        return None
    total, most = ctx.trade.traded_today_qty + added(request, ctx), limits.max_trade_daily_qty
    return f"trades of {total} today (at most {most})" if total > most else None


# ---------------------------------------------------------------- not asked of an order that protects


def margin(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    """Free margin covers this order and the sells that work. (The venue itself refuses what has no margin.)"""
    if ctx.available_usdt is None:
        return None
    price = value_of(request, ctx) / request.qty
    needed = (ctx.working.sell_qty + added(request, ctx)) * price * limits.initial_margin
    if needed <= ctx.available_usdt:
        return None
    return f"it needs {needed:.2f} USDT of margin, {ctx.available_usdt:.2f} are free"


def funding_cost(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    cost = ctx.funding_rate * request.side.sign
    if cost <= limits.max_funding_cost:
        return None
    return f"holding it costs {cost:.4%} per funding interval (at most {limits.max_funding_cost:.4%})"


def daily_loss(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    loss, most = -ctx.realised_today_usdt, limits.max_daily_loss_usdt
    return f"a loss of {loss:.2f} USDT today (at most {most})" if loss >= most else None


def daily_fees(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    paid, most = ctx.fees_today_usdt, limits.max_daily_fees_usdt
    return f"fees of {paid:.2f} USDT today (at most {most})" if paid >= most else None
