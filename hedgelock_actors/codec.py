"""Orders and executions as journal payloads, and back. Amounts are decimal strings: nothing is rounded on the way."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from hedgelock_actors.domain.order import (
    Accepted,
    AmendRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    OrderView,
    Rejected,
    Side,
    SubmitOutcome,
    TimeInForce,
    Unknown,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.journal import Json

Payload = Mapping[str, Json]


def text(payload: Payload, key: str) -> str:
    """A text field; "" when it is absent."""
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def integer(payload: Payload, key: str) -> int:
    """An integer field; 0 when it is absent."""
    value = payload.get(key)
    return value if isinstance(value, int) else 0


def flag(payload: Payload, key: str) -> bool:
    """A truth value; False when it is absent."""
    return payload.get(key) is True


def amount(payload: Payload, key: str) -> Decimal:
    """A decimal string; 0 when it is absent."""
    return Decimal(text(payload, key) or "0")


def execution_payload(execution: Execution) -> dict[str, Json]:
    """See `execution_from`."""
    return {
        "symbol": execution.symbol,
        "exec_id": execution.exec_id,
        "order_id": execution.order_id,
        "order_link_id": execution.order_link_id,
        "side": execution.side.value,
        "qty": str(execution.qty),
        "price": str(execution.price),
        "fee": str(execution.fee),
        "exec_type": execution.exec_type,
        "is_maker": execution.is_maker,
        "ts_ms": execution.ts_ms,
        "closed_size": str(execution.closed_size),
        "create_type": execution.create_type,
    }


def execution_from(payload: Payload) -> Execution:
    """The execution that `execution_payload` wrote."""
    return Execution(
        symbol=text(payload, "symbol"),
        exec_id=text(payload, "exec_id"),
        order_id=text(payload, "order_id"),
        order_link_id=text(payload, "order_link_id"),
        side=Side(text(payload, "side")),
        qty=amount(payload, "qty"),
        price=amount(payload, "price"),
        fee=amount(payload, "fee"),
        exec_type=text(payload, "exec_type"),
        is_maker=flag(payload, "is_maker"),
        ts_ms=integer(payload, "ts_ms"),
        closed_size=amount(payload, "closed_size"),
        create_type=text(payload, "create_type"),
    )


def request_payload(request: OrderRequest) -> dict[str, Json]:
    """See `request_from`."""
    return {
        "account": request.account,
        "symbol": request.symbol,
        "side": request.side.value,
        "qty": str(request.qty),
        "order_type": request.order_type.value,
        "price": None if request.price is None else str(request.price),
        "time_in_force": request.time_in_force.value,
        "reduce_only": request.reduce_only,
        "order_link_id": request.order_link_id,
        "intent_id": request.intent_id,
        "attempt": request.attempt,
    }


def request_from(payload: Payload) -> OrderRequest:
    """The request that `request_payload` wrote."""
    price = text(payload, "price")
    return OrderRequest(
        account=text(payload, "account"),
        symbol=text(payload, "symbol"),
        side=Side(text(payload, "side")),
        qty=amount(payload, "qty"),
        order_type=OrderType(text(payload, "order_type")),
        price=Decimal(price) if price else None,
        time_in_force=TimeInForce(text(payload, "time_in_force")),
        reduce_only=flag(payload, "reduce_only"),
        order_link_id=text(payload, "order_link_id"),
        intent_id=text(payload, "intent_id"),
        attempt=integer(payload, "attempt"),
    )


def amend_payload(request: AmendRequest) -> dict[str, Json]:
    """An amendment as the journal keeps it."""
    return {
        "account": request.account,
        "symbol": request.symbol,
        "side": request.side.value,
        "order_link_id": request.order_link_id,
        "intent_id": request.intent_id,
        "price": str(request.price),
        "number": request.number,
    }


def outcome_payload(outcome: SubmitOutcome) -> dict[str, Json]:
    """See `outcome_from`."""
    match outcome:
        case Accepted():
            return {"outcome": "accepted", "order_id": outcome.order_id}
        case Rejected():
            return {"outcome": "rejected", "code": outcome.code, "text": outcome.text, "retry": outcome.retry}
        case Unknown():
            return {"outcome": "unknown", "cause": outcome.cause}


def outcome_from(payload: Payload) -> SubmitOutcome:
    """The outcome that `outcome_payload` wrote; anything else is Unknown."""
    match text(payload, "outcome"):
        case "accepted":
            return Accepted(text(payload, "order_id"))
        case "rejected":
            return Rejected(text(payload, "code"), text(payload, "text"), flag(payload, "retry"))
        case _:
            return Unknown(text(payload, "cause"))


def view_payload(view: OrderView) -> dict[str, Json]:
    """See `view_from`."""
    return {
        "symbol": view.symbol,
        "order_id": view.order_id,
        "order_link_id": view.order_link_id,
        "status": view.status.value,
        "side": view.side.value,
        "qty": str(view.qty),
        "price": str(view.price),
        "cum_qty": str(view.cum_qty),
        "cum_value": str(view.cum_value),
        "cum_fee": str(view.cum_fee),
        "leaves_qty": str(view.leaves_qty),
        "reduce_only": view.reduce_only,
        "reject_reason": view.reject_reason,
        "cancel_type": view.cancel_type,
        "create_type": view.create_type,
        "ts_ms": view.ts_ms,
    }


def view_from(payload: Payload) -> OrderView:
    """The view that `view_payload` wrote."""
    return OrderView(
        symbol=text(payload, "symbol"),
        order_id=text(payload, "order_id"),
        order_link_id=text(payload, "order_link_id"),
        status=OrderStatus(text(payload, "status")),
        side=Side(text(payload, "side")),
        qty=amount(payload, "qty"),
        price=amount(payload, "price"),
        cum_qty=amount(payload, "cum_qty"),
        cum_value=amount(payload, "cum_value"),
        cum_fee=amount(payload, "cum_fee"),
        leaves_qty=amount(payload, "leaves_qty"),
        reduce_only=flag(payload, "reduce_only"),
        reject_reason=text(payload, "reject_reason"),
        cancel_type=text(payload, "cancel_type"),
        create_type=text(payload, "create_type"),
        ts_ms=integer(payload, "ts_ms"),
    )
