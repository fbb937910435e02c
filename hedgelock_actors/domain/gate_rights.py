"""May we act at all, and is what we know fresh? Each limit is a function: None when it holds, else what breaks it."""

from __future__ import annotations

from hedgelock_actors.domain.gate_context import GateContext, Limits
from hedgelock_actors.domain.gate_facts import quote_of
from hedgelock_actors.domain.order import OrderRequest
from hedgelock_actors.domain.trading_state import TradingMode


def environment(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if ctx.environment == limits.environment:
        return None
    return f"the venue is {ctx.environment}, the limits are written for {limits.environment}"


def symbol(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if request.symbol not in limits.symbols:
        return f"{request.symbol} is not on the list {sorted(limits.symbols)}"
    if request.symbol != ctx.instrument.symbol:
        return f"the instrument known is {ctx.instrument.symbol}, the order is for {request.symbol}"
    return None


def account(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    return None if request.account == ctx.account else f"an order of {request.account} in the hands of {ctx.account}"


def writer(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    return None if ctx.writer else "another process holds the right to trade this account"


def epoch(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    if ctx.epoch >= ctx.trading.epoch:
        return None
    return f"decided in epoch {ctx.epoch}, the trading state is of epoch {ctx.trading.epoch}"


def halted(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    return f"halted: {ctx.trading.reason}" if ctx.trading.mode is TradingMode.HALTED else None


def reduce_only(request: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    if ctx.trading.mode is TradingMode.REDUCE_ONLY and not request.reduce_only:
        return f"reduce-only: {ctx.trading.reason}"
    if ctx.restrictions and not request.reduce_only:
        return f"reduce-only: {'; '.join(ctx.restrictions)}"
    return None


def reconciled(request: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    if ctx.reconciled or request.reduce_only:
        return None
    return "orders, executions and position are not reconciled with the venue"


def quote_missing(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    return "no price is known" if ctx.quote is None else None


def quote_stale(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    age = ctx.now_ms - quote_of(ctx).ts_ms
    return f"the price is {age} ms old (at most {limits.max_quote_age_ms})" if age > limits.max_quote_age_ms else None


def position_stale(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    age = ctx.now_ms - ctx.position_ms
    if age <= limits.max_position_age_ms:
        return None
    return f"the position was confirmed {age} ms ago (at most {limits.max_position_age_ms})"


def quote_ahead(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    ahead = quote_of(ctx).ts_ms - ctx.now_ms
    if ahead <= limits.max_quote_age_ms:
        return None
    return f"the price is of {ahead} ms ahead of our clock, so its age is unknown"


def money_stale(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    age = ctx.now_ms - ctx.money_ms
    if (ctx.available_usdt is None and ctx.liquidation_price is None) or age <= limits.max_money_age_ms:
        return None
    return f"margin was confirmed {age} ms ago (at most {limits.max_money_age_ms})"
