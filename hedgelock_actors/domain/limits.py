"""The last gate before the venue. Only `approve` makes an `Approved`, and the venue takes nothing else.

It is a pure function of the request and of what is known, run again at the last line before the write. It reserves
nothing: whoever sends must count what was sent before asking again.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Generic, NoReturn, TypeVar

from hedgelock_actors.domain.errors import InvariantBroken
from hedgelock_actors.domain.gate_checks import CHECKS
from hedgelock_actors.domain.gate_context import GateContext, Intent, Limits, Working, working_of
from hedgelock_actors.domain.order import OrderRequest
from hedgelock_actors.domain.refusal import RefusalCode

__all__ = [
    "Approved",
    "GateContext",
    "Intent",
    "Limits",
    "RefusalCode",
    "Refused",
    "Working",
    "approve",
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
    """Pass the request through every check, in order; the first that fails gives the refusal."""
    for code, check in CHECKS:
        detail = check(request, ctx, limits)
        if detail is not None:
            return Refused(request, code, detail)
    return Approved(request, ctx.now_ms, ctx.epoch, _SEAL)
