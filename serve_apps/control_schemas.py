"""What the control API takes and gives: strict types, unknown fields refused, amounts as decimal strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from hedgelock_actors.ports.journal import Json
from serve_apps.schemas import HttpError, unprocessable

Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,12})?$")]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=30 * 86_400)]
AMOUNT = "a decimal number as a string, like 3.2"


class ReasonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/halt, /v1/reduce-only and /v1/resume: why, for the record."""

    reason: Why = "by an operator"
    unheard: bool | None = None
    """True resumes although alerts reach nobody."""
    approval_id: Name | None = None


class FlattenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/flatten: hold no short for so long; of one account, or of all."""

    reason: Why
    account: Name | None = None
    for_s: Seconds = 3_600
    approval_id: Name | None = None


class OverrideBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/override: hold exactly this short (in coin) for so long."""

    reason: Why
    short: Amount
    for_s: Seconds
    account: Name | None = None
    """May be left out where there is one account only."""
    approval_id: Name | None = None


class LiftBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/override/lift: let the policy decide again; of one account, or of all."""

    reason: Why = "by an operator"
    account: Name | None = None
    approval_id: Name | None = None


class AcknowledgeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/acknowledge: a person has seen the fills that were not ours; or, with an order, has found out that an
    order of which the venue says nothing never came to be.
    """

    reason: Why
    order_link_id: Name | None = None
    account: Name | None = None
    approval_id: Name | None = None


class TradeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/trades: trade this much (in coin) beside the target."""

    side: Literal["sell", "buy"]
    qty: Amount
    reason: Why
    account: Name | None = None
    strategy: Name | None = None
    limit_price: Amount | None = None
    expires_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60
    """Not begun any more after this."""
    approval_id: Name | None = None


class SpreadLegBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One leg: it rests at its price; `multiplier` is coins in one contract."""

    account: Name
    side: Literal["sell", "buy"]
    qty: Amount
    limit_price: Amount
    multiplier: Amount = "1"


class SpreadBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/spreads: let the legs rest; the first to fill triggers, and the others follow it."""

    reason: Why
    legs: Annotated[list[SpreadLegBody], msgspec.Meta(min_length=2, max_length=10)]
    window_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 60
    """How long they may rest."""
    rollback_on_partial: bool = False
    """Take everything back when a leg cannot follow; false keeps what protects."""
    approval_id: Name | None = None


class StopSpreadBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/spreads/stop: let its legs rest no longer; what filled is still followed."""

    spread_id: Name
    reason: Why = "by an operator"
    approval_id: Name | None = None


class LimitsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/limits: allow the next start to have these limits (section `limits` of the configuration)."""

    reason: Why
    limits: dict[str, str | int | float]
    approval_id: Name | None = None


class ApproveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/approvals/ID/approve."""


Body = (
    ReasonBody
    | FlattenBody
    | OverrideBody
    | LiftBody
    | AcknowledgeBody
    | TradeBody
    | SpreadBody
    | StopSpreadBody
    | LimitsBody
)
Action = Literal[
    "halt",
    "reduce_only",
    "resume",
    "flatten",
    "override",
    "lift",
    "acknowledge",
    "trade",
    "spread",
    "stop_spread",
    "raise_limit",
]
BODIES: Mapping[Action, type[Body]] = {
    "halt": ReasonBody,
    "reduce_only": ReasonBody,
    "resume": ReasonBody,
    "flatten": FlattenBody,
    "override": OverrideBody,
    "lift": LiftBody,
    "acknowledge": AcknowledgeBody,
    "trade": TradeBody,
    "spread": SpreadBody,
    "stop_spread": StopSpreadBody,
    "raise_limit": LimitsBody,
}
PATHS: Mapping[str, Action] = {
    "/halt": "halt",
    "/reduce-only": "reduce_only",
    "/resume": "resume",
    "/flatten": "flatten",
    "/override": "override",
    "/override/lift": "lift",
    "/acknowledge": "acknowledge",
    "/trades": "trade",
    "/spreads": "spread",
    "/spreads/stop": "stop_spread",
    "/limits": "raise_limit",
}


class ModeResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Which state was recorded, in whose process it is latched, and whose orders are still in flight.

    Who is not confirmed hears of it as soon as it answers. `in_flight_unknown` names routers that did not say.
    """

    mode: str
    epoch: int
    reason: str
    recorded: bool
    confirmed: bool
    routers_confirmed: Sequence[str]
    routers_not_confirmed: Sequence[str]
    orders_in_flight: Sequence[Mapping[str, object]]
    in_flight_unknown: Sequence[str]
    took_ms: int
    """Wall ms from the request to the last router's word."""
    ts_ms: int


class TakenResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded, and which actors have taken it in. The others read it from the record."""

    action: str
    who: str
    reason: str
    recorded: bool
    taken: bool
    taken_by: Sequence[str]
    not_taken_by: Sequence[str]
    note: str
    """What else keeps it from having its effect now; "" for nothing."""
    detail: Mapping[str, Any]
    ts_ms: int


class WaitingResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A command that waits for a second person."""

    approval_id: str
    action: str
    state: str
    requested_by: str
    approved_by: str
    body: Mapping[str, Json]
    expires_ms: int
    detail: str
    ts_ms: int


B = TypeVar("B")


def read_body(raw: bytes, kind: type[B]) -> B:
    """An empty body is an empty object. Raises HttpError 422 naming the field."""
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unprocessable(error) from None


def body_of(action: Action, recorded: Mapping[str, Json]) -> Body:
    """The body as it went on record."""
    return msgspec.convert(recorded, BODIES[action])


def canonical(body: Body) -> dict[str, Json]:
    """The body as it goes on record: without what only approves it."""
    found: dict[str, Json] = msgspec.to_builtins(body)
    return {name: value for name, value in found.items() if name != "approval_id" and value is not None}


def amount(value: str, field: str, *, zero: bool = False) -> Decimal:
    """A quantity or price. Raises HttpError 422."""
    number = Decimal(value)
    if number < 0 or (not zero and number == 0):
        raise HttpError(422, "invalid_input", f"must be greater than 0: {AMOUNT}", field)
    return number
