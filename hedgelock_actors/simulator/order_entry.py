"""Order requests from the wire, REST and trade socket alike, into engine commands and back."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from hedgelock_actors.simulator.api import (
    Ack,
    AckItem,
    AmendBatch,
    AmendOrder,
    CancelBatch,
    CancelOrder,
    Command,
    OrderType,
    PlaceBatch,
    PlaceOrder,
    Side,
    TimeInForce,
)
from hedgelock_actors.simulator.rest_core import PARAMETER_ERROR, Answer, Call, Refusal, from_ack

MAX_BATCH = 20
NOT_ALLOWED = 110066
_SIDES = frozenset(("Buy", "Sell"))
_TYPES = frozenset(("Market", "Limit"))
_FORCES = frozenset(("GTC", "IOC", "FOK", "PostOnly"))
_TOO_MANY = (10006, "Too many visits. Exceeded the API Rate Limit.")


def parse_place(call: Call) -> PlaceOrder:
    """One `order/create`."""
    side, kind = call.text("side"), call.text("orderType")
    force = call.text("timeInForce", "GTC")
    if side not in _SIDES:
        raise Refusal(PARAMETER_ERROR, "params error: Side invalid")
    if kind not in _TYPES:
        raise Refusal(PARAMETER_ERROR, "params error: OrderType invalid")
    if force not in _FORCES:
        raise Refusal(PARAMETER_ERROR, "params error: TimeInForce invalid")
    return PlaceOrder(
        symbol=call.known_symbol(),
        side=cast("Side", side),
        order_type=cast("OrderType", kind),
        qty=call.decimal("qty"),
        price=call.optional_decimal("price"),
        time_in_force=cast("TimeInForce", force),
        reduce_only=call.flag("reduceOnly"),
        close_on_trigger=call.flag("closeOnTrigger"),
        order_link_id=call.text("orderLinkId", ""),
        position_idx=call.integer("positionIdx", 0),
        trigger_price=call.optional_decimal("triggerPrice"),
        trigger_direction=call.integer("triggerDirection", 0),
        trigger_by=call.text("triggerBy", ""),
        slippage_tolerance_type=call.text("slippageToleranceType", ""),
        slippage_tolerance=call.optional_decimal("slippageTolerance"),
        smp_type=call.text("smpType", ""),
        take_profit=call.optional_decimal("takeProfit"),
        stop_loss=call.optional_decimal("stopLoss"),
    )


def parse_amend(call: Call) -> AmendOrder:
    """One `order/amend`."""
    order_id, link_id = _named(call)
    return AmendOrder(
        symbol=call.known_symbol(),
        order_id=order_id,
        order_link_id=link_id,
        qty=call.optional_decimal("qty"),
        price=call.optional_decimal("price"),
        trigger_price=call.optional_decimal("triggerPrice"),
    )


def parse_cancel(call: Call) -> CancelOrder:
    """One `order/cancel`."""
    order_id, link_id = _named(call)
    return CancelOrder(symbol=call.known_symbol(), order_id=order_id, order_link_id=link_id)


def _named(call: Call) -> tuple[str, str]:
    order_id, link_id = call.text("orderId", ""), call.text("orderLinkId", "")
    if not order_id and not link_id:
        raise Refusal(PARAMETER_ERROR, "params error: OrderId or OrderLinkId is required")
    return order_id, link_id


async def single(call: Call, parse: Callable[[Call], Command], op: str) -> Answer:
    """Carry out one create, amend or cancel."""
    call.category("linear")
    _check_open(call, op)
    if "amount" in call.args:
        raise Refusal(PARAMETER_ERROR, "params error: unexpected amount")
    command = parse(call)
    received_ns, received_ms = time.monotonic_ns(), call.gateway.driver.catch_up()
    ack = await call.gateway.command(call.uid, command)
    call.gateway.arrivals.record(received_ms, call.uid, call.via, op, command, ack, received_ns)
    return _told(call, op, from_ack(ack))


def _check_open(call: Call, op: str) -> None:
    """Whether order requests are taken at all now."""
    if (scripted := call.gateway.faults.refused(op)) is not None:
        raise Refusal(*scripted)
    if call.gateway.maintenance.ongoing(call.gateway.now_ms()):
        raise Refusal(NOT_ALLOWED, "Trading is currently not allowed")


def _told(call: Call, op: str, answer: Answer) -> Answer:
    """The answer, unless a rehearsal wants the caller to be told something else."""
    scripted = call.gateway.faults.answered(op)
    return answer if scripted is None else Answer(ret_code=scripted[0], ret_msg=scripted[1])


Parsed = PlaceOrder | AmendOrder | CancelOrder


def _batch_command(op: str, parsed: Sequence[Parsed]) -> Command:
    if op == "create-batch":
        return PlaceBatch(orders=tuple(item for item in parsed if isinstance(item, PlaceOrder)))
    if op == "amend-batch":
        return AmendBatch(orders=tuple(item for item in parsed if isinstance(item, AmendOrder)))
    return CancelBatch(orders=tuple(item for item in parsed if isinstance(item, CancelOrder)))


async def batch(call: Call, parse: Callable[[Call], Parsed], op: str, allowed: int) -> Answer:
    """Carry out a batch: each order stands alone, those after the first `allowed` are over the rate limit."""
    call.category("linear")
    _check_open(call, op)
    requests = call.args.get("request")
    if not isinstance(requests, list) or not requests or not all(isinstance(item, dict) for item in requests):
        raise Refusal(PARAMETER_ERROR, "params error: request is invalid")
    if len(requests) > MAX_BATCH:
        raise Refusal(PARAMETER_ERROR, f"params error: the number of orders exceeds {MAX_BATCH}")
    verdicts: list[AckItem | None] = []
    parsed: list[Parsed] = []
    for number, item in enumerate(requests):
        verdict, command = _check_item(call, item, parse, limited=number >= allowed)
        verdicts.append(verdict)
        if command is not None:
            parsed.append(command)
    received_ms = call.gateway.driver.catch_up()
    ack = await call.gateway.command(call.uid, _batch_command(op, parsed)) if parsed else None
    if ack is not None and ack.ret_code:
        return from_ack(ack)
    items = _merge(verdicts, ack)
    if ack is not None:
        for command, item in zip(parsed, ack.items, strict=True):
            call.gateway.arrivals.record(received_ms, call.uid, call.via, op, command, item)
    return _told(call, op, _batch_answer(op, items))


def _check_item(
    call: Call, item: Mapping[str, object], parse: Callable[[Call], Parsed], limited: bool
) -> tuple[AckItem | None, Parsed | None]:
    symbol, link_id = str(item.get("symbol", "")), str(item.get("orderLinkId", ""))
    if limited:
        return AckItem(ret_code=_TOO_MANY[0], ret_msg=_TOO_MANY[1], symbol=symbol, order_link_id=link_id), None
    try:
        return None, parse(Call(call.gateway, call.uid, item, call.via))
    except Refusal as refusal:
        return AckItem(ret_code=refusal.code, ret_msg=refusal.message, symbol=symbol, order_link_id=link_id), None


def _merge(verdicts: list[AckItem | None], ack: Ack | None) -> list[AckItem]:
    engine = iter(ack.items if ack is not None else ())
    return [verdict if verdict is not None else next(engine) for verdict in verdicts]


def _batch_answer(op: str, items: list[AckItem]) -> Answer:
    rows = []
    for item in items:
        row: dict[str, object] = {
            "category": "linear",
            "symbol": item.symbol,
            "orderId": item.order_id,
            "orderLinkId": item.order_link_id,
        }
        if op == "create-batch":
            row["createAt"] = str(item.created_ms) if item.created_ms else ""
        rows.append(row)
    codes = [{"code": item.ret_code, "msg": item.ret_msg or "OK"} for item in items]
    return Answer({"list": rows}, ext={"list": codes})
