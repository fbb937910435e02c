"""What several checks of the gate reckon with: prices reached, worst cases, and whether an order protects."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hedgelock_actors.domain.errors import InvariantBroken
from hedgelock_actors.domain.gate_context import GateContext, Limits
from hedgelock_actors.domain.market import Quote
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import OrderRequest, Side

BPS = Decimal(10_000)
SECOND_MS = 1_000
MINUTE_MS = 60_000

Check = Callable[[OrderRequest, GateContext, Limits], str | None]
"""None when the limit holds, else the numbers that break it."""


def protects(request: OrderRequest, ctx: GateContext) -> bool:
    """Whether the order protects: it shrinks the position, or raises the short towards its target.

    The target is what the stress ladder requires, or a person's override, so an order towards it is protection at
    every level. A `hedge_trades` command that opens is not: it is nobody's requirement. A resend was weighed when it
    went out first and adds nothing since: only a hard limit may stop it.
    """
    if request.reduce_only or ctx.resend:
        return True
    if ctx.trade is not None or ctx.target_short_qty is None or request.side is Side.BUY:
        return False
    return worst_short(request, ctx) - request.qty < ctx.target_short_qty


def quote_of(ctx: GateContext) -> Quote:
    """The quote; the check for a missing one comes first."""
    if ctx.quote is None:
        raise InvariantBroken("a price check ran without a price")
    return ctx.quote


def reached(request: OrderRequest, ctx: GateContext) -> Decimal:
    """The price asked for; of a market order the first that it meets."""
    return quote_of(ctx).touch(request.side is Side.SELL) if request.price is None else request.price


def value_of(request: OrderRequest, ctx: GateContext) -> Decimal:
    """USDT at the dearer of price and mark: a cheap sell limit fills at the market."""
    return request.qty * max(reached(request, ctx), quote_of(ctx).mark)


def added(request: OrderRequest, ctx: GateContext) -> Decimal:
    """What the order adds to what works: a resend is counted there already."""
    return ZERO if ctx.resend else request.qty


def worst_short(request: OrderRequest, ctx: GateContext) -> Decimal:
    """The short when every working sell and this order fill, and no buy does."""
    return -ctx.position_qty + ctx.working.sell_qty + added(request, ctx)


def within(times_ms: tuple[int, ...], now_ms: int, window_ms: int) -> int:
    """How many of the times lie within the window that ends now."""
    return sum(1 for sent_ms in times_ms if now_ms - sent_ms < window_ms)
