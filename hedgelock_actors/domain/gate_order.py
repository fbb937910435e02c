"""Is it the order that was meant, of a size and at a price that make sense? None when a limit holds, else why not."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.gate_context import GateContext, Limits
from hedgelock_actors.domain.gate_facts import BPS, added, quote_of, reached, value_of, worst_short
from hedgelock_actors.domain.money import ZERO, is_multiple
from hedgelock_actors.domain.order import OrderRequest, OrderType, Side


def unknown_intent(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    intent = ctx.intents.get(request.intent_id)
    if intent is None:
        return f"intent {request.intent_id} was never decided"
    return None if intent.side is request.side else f"the intent is to {intent.side}, the order is to {request.side}"


def duplicate(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    sent = request.attempt in ctx.intents[request.intent_id].attempts
    if sent and not ctx.resend:
        return f"attempt {request.attempt} of intent {request.intent_id} was sent already"
    if ctx.resend and not sent:
        return f"attempt {request.attempt} of intent {request.intent_id} was never sent, so it cannot be sent again"
    return None


def over_intent(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    intent = ctx.intents[request.intent_id]
    total = intent.committed_qty + (ZERO if ctx.resend else request.qty)
    return f"orders of {total} for an intent of {intent.qty}" if total > intent.qty else None


def direction(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    if request.side is Side.BUY and not request.reduce_only:
        return "a buy only ever shrinks the hedge: it must be reduce-only"
    if request.side is Side.SELL and request.reduce_only and ctx.position_qty <= ZERO:
        return "a reduce-only sell without a long position"
    return None


def net_long(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    if request.side is Side.SELL:
        return None
    worst = ctx.position_qty + ctx.working.buy_qty + added(request, ctx)
    return f"the hedge could become a long of {worst}" if worst > ZERO else None


def repeated(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if ctx.resend:
        return None
    for recent in ctx.recent_orders:
        same = (recent.side, recent.price, recent.qty) == (request.side, request.price, request.qty)
        age = ctx.now_ms - recent.sent_ms
        if same and recent.intent_id != request.intent_id and age < limits.duplicate_window_ms:
            return f"intent {recent.intent_id} sent the very same order {age} ms ago"
    return None


def away_from_target(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    """With what works on its side filled, the order brings the short nearer to its target: at most a lot beyond it."""
    target = ctx.target_short_qty
    if target is None or ctx.trade is not None:
        return None
    if request.side is Side.SELL:
        short = worst_short(request, ctx)
        if short - request.qty < target and short - target < ctx.instrument.qty_step:
            return None
    else:
        short = -ctx.position_qty - ctx.working.buy_qty - added(request, ctx)
        if short >= target:
            return None
    return f"the short could become {short}, its target is {target}"


def lot(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    step = ctx.instrument.qty_step
    return None if is_multiple(request.qty, step) else f"{request.qty} is not a multiple of {step}"


def tick(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    tick = ctx.instrument.tick_size
    if request.price is None or is_multiple(request.price, tick):
        return None
    return f"{request.price} is not a multiple of {tick}"


def below_min(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    least = ctx.instrument.min_qty
    return f"{request.qty} is below the venue's {least}" if request.qty < least else None


def below_our_min(request: OrderRequest, _: GateContext, limits: Limits) -> str | None:
    return f"{request.qty} is below our {limits.min_order_qty}" if request.qty < limits.min_order_qty else None


def above_max(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    market = request.order_type is OrderType.MARKET
    most = ctx.instrument.max_market_qty if market else ctx.instrument.max_qty
    return f"{request.qty} is above the venue's {most}" if request.qty > most else None


def min_notional(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    # The venue takes a closing order of any value.
    notional = request.qty * (quote_of(ctx).mark if request.price is None else request.price)
    if request.reduce_only or notional >= ctx.instrument.min_notional:
        return None
    return f"{notional:.2f} USDT is below the venue's {ctx.instrument.min_notional}"


def order_qty(request: OrderRequest, _: GateContext, limits: Limits) -> str | None:
    most = limits.max_order_qty
    return f"{request.qty} is above our {most} per order" if request.qty > most else None


def order_notional(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    notional = value_of(request, ctx)
    most = limits.max_order_notional_usdt
    return f"{notional:.2f} USDT is above our {most} per order" if notional > most else None


def slippage(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if request.price is None:
        # A market order is what is left when no limit within the cap fills. The bands bound the price that it meets,
        # and the venue's protection price how far it goes from there.
        return None
    mid = quote_of(ctx).mid
    through = -request.side.sign * (mid - request.price) / mid * BPS
    if through <= limits.max_slippage_bps:
        return None
    return f"{through:.1f} bps through the mid of {mid} (at most {limits.max_slippage_bps})"


def mark_band(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    return _band(reached(request, ctx), quote_of(ctx).mark, "the mark", limits)


def last_good_band(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    last_good = ctx.last_good_price
    return None if last_good is None else _band(reached(request, ctx), last_good, "the last good", limits)


def _band(price: Decimal, around: Decimal, name: str, limits: Limits) -> str | None:
    away = abs(price - around) / around * BPS
    if away <= limits.price_band_bps:
        return None
    return f"{price} lies {away:.0f} bps from {name} price {around} (at most {limits.price_band_bps})"
