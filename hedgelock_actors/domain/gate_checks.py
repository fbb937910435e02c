"""Every limit as one small function: None when it holds, else the numbers that break it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hedgelock_actors.domain.errors import InvariantBroken
from hedgelock_actors.domain.gate_context import GateContext, Limits
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.market import Quote
from hedgelock_actors.domain.money import ZERO, is_multiple
from hedgelock_actors.domain.order import OrderRequest, OrderType, Side
from hedgelock_actors.domain.refusal import RefusalCode
from hedgelock_actors.domain.trading_state import TradingMode

_BPS = Decimal(10_000)

Check = Callable[[OrderRequest, GateContext, Limits], str | None]


# ---------------------------------------------------------------- may we act at all


def _environment(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if ctx.environment == limits.environment:
        return None
    return f"the venue is {ctx.environment}, the limits are written for {limits.environment}"


def _symbol(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if request.symbol not in limits.symbols:
        return f"{request.symbol} is not on the list {sorted(limits.symbols)}"
    if request.symbol != ctx.instrument.symbol:
        return f"the instrument known is {ctx.instrument.symbol}, the order is for {request.symbol}"
    return None


def _account(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    return None if request.account == ctx.account else f"an order of {request.account} in the hands of {ctx.account}"


def _writer(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    return None if ctx.writer else "another process holds the right to trade this account"


def _epoch(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    if ctx.epoch >= ctx.trading.epoch:
        return None
    return f"decided in epoch {ctx.epoch}, the trading state is of epoch {ctx.trading.epoch}"


def _halted(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    return f"halted: {ctx.trading.reason}" if ctx.trading.mode is TradingMode.HALTED else None


def _reduce_only(request: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    if ctx.trading.mode is TradingMode.REDUCE_ONLY and not request.reduce_only:
        return f"reduce-only: {ctx.trading.reason}"
    if ctx.restrictions and not request.reduce_only:
        return f"reduce-only: {'; '.join(ctx.restrictions)}"
    return None


def _reconciled(request: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    if ctx.reconciled or request.reduce_only:
        return None
    return "orders, executions and position are not reconciled with the venue"


# ---------------------------------------------------------------- is what we know fresh


def _quote_missing(_: OrderRequest, ctx: GateContext, __: Limits) -> str | None:
    return "no price is known" if ctx.quote is None else None


def _quote_stale(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    age = ctx.now_ms - _quote(ctx).ts_ms
    return f"the price is {age} ms old (at most {limits.max_quote_age_ms})" if age > limits.max_quote_age_ms else None


def _position_stale(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    age = ctx.now_ms - ctx.position_ms
    if age <= limits.max_position_age_ms:
        return None
    return f"the position was confirmed {age} ms ago (at most {limits.max_position_age_ms})"


# ---------------------------------------------------------------- is it the order that was meant


def _unknown_intent(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    intent = ctx.intents.get(request.intent_id)
    if intent is None:
        return f"intent {request.intent_id} was never decided"
    return None if intent.side is request.side else f"the intent is to {intent.side}, the order is to {request.side}"


def _duplicate(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    sent = request.attempt in ctx.intents[request.intent_id].attempts
    if sent and not ctx.resend:
        return f"attempt {request.attempt} of intent {request.intent_id} was sent already"
    if ctx.resend and not sent:
        return f"attempt {request.attempt} of intent {request.intent_id} was never sent, so it cannot be sent again"
    return None


def _over_intent(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    intent = ctx.intents[request.intent_id]
    total = intent.committed_qty + (ZERO if ctx.resend else request.qty)
    return f"orders of {total} for an intent of {intent.qty}" if total > intent.qty else None


def _direction(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    if request.side is Side.BUY and not request.reduce_only:
        return "a buy only ever shrinks the hedge: it must be reduce-only"
    if request.side is Side.SELL and request.reduce_only and ctx.position_qty <= ZERO:
        return "a reduce-only sell without a long position"
    return None


def _net_long(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    if request.side is Side.SELL:
        return None
    worst = ctx.position_qty + ctx.working.buy_qty + _added(request, ctx)
    return f"the hedge could become a long of {worst}" if worst > ZERO else None


# ---------------------------------------------------------------- size and price


def _lot(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    step = ctx.instrument.qty_step
    return None if is_multiple(request.qty, step) else f"{request.qty} is not a multiple of {step}"


def _tick(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    tick = ctx.instrument.tick_size
    if request.price is None or is_multiple(request.price, tick):
        return None
    return f"{request.price} is not a multiple of {tick}"


def _below_min(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    least = ctx.instrument.min_qty
    return f"{request.qty} is below the venue's {least}" if request.qty < least else None


def _above_max(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    market = request.order_type is OrderType.MARKET
    most = ctx.instrument.max_market_qty if market else ctx.instrument.max_qty
    return f"{request.qty} is above the venue's {most}" if request.qty > most else None


def _min_notional(request: OrderRequest, ctx: GateContext, _: Limits) -> str | None:
    # The venue takes a closing order of any value.
    notional = request.qty * _price(request, ctx)
    if request.reduce_only or notional >= ctx.instrument.min_notional:
        return None
    return f"{notional:.2f} USDT is below the venue's {ctx.instrument.min_notional}"


def _order_qty(request: OrderRequest, _: GateContext, limits: Limits) -> str | None:
    most = limits.max_order_qty
    return f"{request.qty} is above our {most} per order" if request.qty > most else None


def _order_notional(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    # The dearer of price and mark: a cheap sell limit fills at the market.
    notional = request.qty * max(_reached(request, ctx), _quote(ctx).mark)
    most = limits.max_order_notional_usdt
    return f"{notional:.2f} USDT is above our {most} per order" if notional > most else None


def _slippage(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    if request.price is None:
        # A market order is what is left when no limit within the cap fills. The bands bound the price that it meets,
        # and the venue's protection price how far it goes from there.
        return None
    mid = _quote(ctx).mid
    through = -request.side.sign * (mid - request.price) / mid * _BPS
    if through <= limits.max_slippage_bps:
        return None
    return f"{through:.1f} bps through the mid of {mid} (at most {limits.max_slippage_bps})"


def _mark_band(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    return _band(_reached(request, ctx), _quote(ctx).mark, "the mark", limits)


def _last_good_band(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    last_good = ctx.last_good_price
    return None if last_good is None else _band(_reached(request, ctx), last_good, "the last good", limits)


# ---------------------------------------------------------------- what it could come to


def _position_qty(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    worst = _worst_short(request, ctx)
    if request.side is Side.BUY or worst <= limits.max_position_qty:
        return None
    return f"the short could become {worst} (at most {limits.max_position_qty})"


def _position_notional(request: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    worst = _worst_short(request, ctx) * _quote(ctx).mark
    if request.side is Side.BUY or worst <= limits.max_position_notional_usdt:
        return None
    return f"the short could become {worst:.2f} USDT (at most {limits.max_position_notional_usdt})"


def _open_orders(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    count = ctx.working.count + (0 if ctx.resend else 1)
    return (
        f"{count} orders would be open (at most {limits.max_open_orders})" if count > limits.max_open_orders else None
    )


def _per_second(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    sent = _sent_within(ctx, 1_000)
    return (
        f"{sent} sent within a second (at most {limits.orders_per_second})"
        if sent >= limits.orders_per_second
        else None
    )


def _per_minute(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    critical = ctx.level is RiskLevel.CRITICAL
    budget = limits.critical_orders_per_minute if critical else limits.orders_per_minute
    sent = _sent_within(ctx, 60_000)
    return f"{sent} sent within a minute (at most {budget})" if sent >= budget else None


def _amends_per_second(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    sent = _within(ctx.recent_amend_ms, ctx.now_ms, 1_000)
    most = limits.amends_per_second
    return f"{sent} amendments within a second (at most {most})" if sent >= most else None


def _amends_per_minute(_: OrderRequest, ctx: GateContext, limits: Limits) -> str | None:
    sent = _within(ctx.recent_amend_ms, ctx.now_ms, 60_000)
    most = limits.amends_per_minute
    return f"{sent} amendments within a minute (at most {most})" if sent >= most else None


CHECKS: tuple[tuple[RefusalCode, Check], ...] = (
    (RefusalCode.WRONG_ENVIRONMENT, _environment),
    (RefusalCode.SYMBOL_NOT_ALLOWED, _symbol),
    (RefusalCode.WRONG_ACCOUNT, _account),
    (RefusalCode.NOT_THE_WRITER, _writer),
    (RefusalCode.HALTED, _halted),
    (RefusalCode.REDUCE_ONLY, _reduce_only),
    (RefusalCode.OLD_EPOCH, _epoch),
    (RefusalCode.NOT_RECONCILED, _reconciled),
    (RefusalCode.QUOTE_MISSING, _quote_missing),
    (RefusalCode.QUOTE_STALE, _quote_stale),
    (RefusalCode.POSITION_STALE, _position_stale),
    (RefusalCode.UNKNOWN_INTENT, _unknown_intent),
    (RefusalCode.DUPLICATE, _duplicate),
    (RefusalCode.OVER_INTENT, _over_intent),
    (RefusalCode.WRONG_DIRECTION, _direction),
    (RefusalCode.NET_LONG, _net_long),
    (RefusalCode.LOT_SIZE, _lot),
    (RefusalCode.TICK_SIZE, _tick),
    (RefusalCode.BELOW_VENUE_MIN_QTY, _below_min),
    (RefusalCode.ABOVE_VENUE_MAX_QTY, _above_max),
    (RefusalCode.BELOW_VENUE_MIN_NOTIONAL, _min_notional),
    (RefusalCode.ORDER_QTY, _order_qty),
    (RefusalCode.ORDER_NOTIONAL, _order_notional),
    (RefusalCode.SLIPPAGE, _slippage),
    (RefusalCode.PRICE_BAND_MARK, _mark_band),
    (RefusalCode.PRICE_BAND_LAST_GOOD, _last_good_band),
    (RefusalCode.POSITION_QTY, _position_qty),
    (RefusalCode.POSITION_NOTIONAL, _position_notional),
    (RefusalCode.OPEN_ORDERS, _open_orders),
    (RefusalCode.ORDERS_PER_SECOND, _per_second),
    (RefusalCode.ORDERS_PER_MINUTE, _per_minute),
)
"""Every limit, in the order in which it is asked."""


_C = RefusalCode
_OF_AN_AMENDMENT = frozenset({
    _C.WRONG_ENVIRONMENT, _C.SYMBOL_NOT_ALLOWED, _C.WRONG_ACCOUNT, _C.NOT_THE_WRITER, _C.HALTED, _C.REDUCE_ONLY,
    _C.OLD_EPOCH, _C.NOT_RECONCILED, _C.QUOTE_MISSING, _C.QUOTE_STALE, _C.POSITION_STALE, _C.UNKNOWN_INTENT,
    _C.TICK_SIZE, _C.ORDER_NOTIONAL, _C.SLIPPAGE, _C.PRICE_BAND_MARK, _C.PRICE_BAND_LAST_GOOD,
})  # fmt: skip
AMEND_CHECKS: tuple[tuple[RefusalCode, Check], ...] = (
    *((code, check) for code, check in CHECKS if code in _OF_AN_AMENDMENT),
    (RefusalCode.AMENDS_PER_SECOND, _amends_per_second),
    (RefusalCode.AMENDS_PER_MINUTE, _amends_per_minute),
)
"""What another price for a resting order can break, in the same order."""


def _quote(ctx: GateContext) -> Quote:
    if ctx.quote is None:  # the check for a missing quote comes first
        raise InvariantBroken("a price check ran without a price")
    return ctx.quote


def _price(request: OrderRequest, ctx: GateContext) -> Decimal:
    return _quote(ctx).mark if request.price is None else request.price


def _reached(request: OrderRequest, ctx: GateContext) -> Decimal:
    """The price asked for; of a market order the first that it meets."""
    return _quote(ctx).touch(request.side is Side.SELL) if request.price is None else request.price


def _added(request: OrderRequest, ctx: GateContext) -> Decimal:
    return ZERO if ctx.resend else request.qty


def _worst_short(request: OrderRequest, ctx: GateContext) -> Decimal:
    return -ctx.position_qty + ctx.working.sell_qty + _added(request, ctx)


def _band(price: Decimal, around: Decimal, name: str, limits: Limits) -> str | None:
    away = abs(price - around) / around * _BPS
    if away <= limits.price_band_bps:
        return None
    return f"{price} lies {away:.0f} bps from {name} price {around} (at most {limits.price_band_bps})"


def _sent_within(ctx: GateContext, window_ms: int) -> int:
    return _within(ctx.recent_order_ms, ctx.now_ms, window_ms)


def _within(times_ms: tuple[int, ...], now_ms: int, window_ms: int) -> int:
    return sum(1 for sent_ms in times_ms if now_ms - sent_ms < window_ms)
