"""The last gate before the venue. Only `approve` makes an `Approved`, and the venue takes nothing else.

It is a pure function of the request and of what is known, run again at the last line before the write. It reserves
nothing: whoever sends must count what was sent before asking again.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from typing import Generic, NoReturn, TypeVar

from hedgelock_actors.domain.errors import InvariantBroken
from hedgelock_actors.domain.gate_checks import AMEND_CHECKS, HARD, YIELDING, Checks
from hedgelock_actors.domain.gate_context import (
    GateContext,
    Intent,
    Limits,
    OpenOrder,
    RecentOrder,
    TradeBudget,
    Working,
    working_of,
)
from hedgelock_actors.domain.gate_facts import protects
from hedgelock_actors.domain.order import AmendRequest, OrderRequest, OrderType, Side, TimeInForce
from hedgelock_actors.domain.refusal import RefusalCode

__all__ = [
    "Approved",
    "GateContext",
    "Intent",
    "Limits",
    "OpenOrder",
    "RecentOrder",
    "RefusalCode",
    "Refused",
    "TradeBudget",
    "Working",
    "approve",
    "approve_amend",
    "working_of",
]

T_co = TypeVar("T_co", covariant=True)
_SEAL = object()


@dataclass(frozen=True, slots=True)
class Approved(Generic[T_co]):
    """A request that passed every limit at `approved_ms`. Made by `approve` alone; it cannot be copied or pickled."""

    request: T_co
    approved_ms: int
    epoch: int
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise InvariantBroken("only the limits approve: ask domain.limits.approve")

    def __reduce__(self) -> NoReturn:
        raise InvariantBroken("an approval is not carried elsewhere: ask again where the order is sent")


@dataclass(frozen=True, slots=True)
class Refused(Generic[T_co]):
    """A request that our own limits stopped, with the code and the numbers."""

    request: T_co
    code: RefusalCode
    detail: str


def approve(request: OrderRequest, ctx: GateContext, limits: Limits) -> Approved[OrderRequest] | Refused[OrderRequest]:
    """Pass the request through every check, in order; the first that fails gives the refusal.

    An order that protects (it shrinks the position, or raises the short towards its target) is held to the hard limits
    and never to those that protect profit: see `gate_checks.YIELDING`.
    """
    found = _first_broken(HARD, request, ctx, limits)
    if found is None and not protects(request, ctx):
        found = _first_broken(YIELDING, request, ctx, limits)
    if found is not None:
        return Refused(request, *found)
    return Approved(request, ctx.now_ms, ctx.epoch, _SEAL)


def approve_amend(
    request: AmendRequest, ctx: GateContext, limits: Limits
) -> Approved[AmendRequest] | Refused[AmendRequest]:
    """Pass another price for an order of ours that rests through every check that a price or a right can break.

    The quantity does not change, so neither does the worst case. An amendment of a sell opens: a price that comes
    closer fills sooner. It is refused when the order is not among `ctx.open_orders`.
    """
    resting = next((one for one in ctx.open_orders if one.order_link_id == request.order_link_id), None)
    if resting is None or resting.side is not request.side or resting.price is None:
        detail = f"no {request.side} order {request.order_link_id} is known to rest"
        return Refused(request, RefusalCode.UNKNOWN_ORDER, detail)
    found = _first_broken(AMEND_CHECKS, _as_order(request, resting), replace(ctx, resend=True), limits)
    if found is not None:
        return Refused(request, *found)
    return Approved(request, ctx.now_ms, ctx.epoch, _SEAL)


def _first_broken(
    checks: Checks, request: OrderRequest, ctx: GateContext, limits: Limits
) -> tuple[RefusalCode, str] | None:
    for code, check in checks:
        detail = check(request, ctx, limits)
        if detail is not None:
            return code, detail
    return None


def _as_order(request: AmendRequest, resting: OpenOrder) -> OrderRequest:
    return OrderRequest(
        account=request.account,
        symbol=request.symbol,
        side=request.side,
        qty=resting.qty,
        order_type=OrderType.LIMIT,
        price=request.price,
        time_in_force=TimeInForce.GTC,
        reduce_only=request.side is Side.BUY,
        order_link_id=request.order_link_id,
        intent_id=request.intent_id,
        attempt=0,
    )
