"""Order endpoints."""

from collections.abc import Mapping
from types import MappingProxyType

from hedgelock_actors.simulator import order_entry, render
from hedgelock_actors.simulator.api import CancelAll, OrderView
from hedgelock_actors.simulator.rest_core import PARAMETER_ERROR, Answer, Call, Refusal, Route, from_ack, page

_OPEN_LIMIT = 50
_RECENT_CLOSED = 500
_CLOSED = frozenset({"Rejected", "Filled", "Cancelled", "Deactivated", "PartiallyFilledCanceled"})


async def _create(call: Call) -> Answer:
    return await order_entry.single(call, order_entry.parse_place, "create")


async def _amend(call: Call) -> Answer:
    return await order_entry.single(call, order_entry.parse_amend, "amend")


async def _cancel(call: Call) -> Answer:
    return await order_entry.single(call, order_entry.parse_cancel, "cancel")


async def _cancel_all(call: Call) -> Answer:
    call.category("linear")
    symbol = call.symbol(required=False)
    if symbol is None and not call.text("settleCoin", "") and not call.text("baseCoin", ""):
        raise Refusal(PARAMETER_ERROR, "params error: symbol, baseCoin or settleCoin is required")
    base = call.text("baseCoin", "")
    if symbol is None and base:
        symbol = next((item.symbol for item in call.gateway.exchange.instruments() if item.base_coin == base), None)
        if symbol is None:
            return Answer({"list": [], "success": "1"})
    received_ms = call.gateway.driver.catch_up()
    command = CancelAll(symbol=symbol)
    ack = await call.gateway.command(call.uid, command)
    call.gateway.arrivals.record(received_ms, call.uid, call.via, "cancel-all", command, ack)
    if ack.ret_code:
        return from_ack(ack)
    rows = [{"orderId": item.order_id, "orderLinkId": item.order_link_id} for item in ack.items]
    return Answer({"list": rows, "success": "1"})


async def _create_batch(call: Call) -> Answer:
    return await order_entry.batch(call, order_entry.parse_place, "create-batch", call.allowed)


async def _amend_batch(call: Call) -> Answer:
    return await order_entry.batch(call, order_entry.parse_amend, "amend-batch", call.allowed)


async def _cancel_batch(call: Call) -> Answer:
    return await order_entry.batch(call, order_entry.parse_cancel, "cancel-batch", call.allowed)


def _base_filter(call: Call, rows: list[OrderView]) -> list[OrderView]:
    base = call.text("baseCoin", "")
    if not base:
        return rows
    symbols = {item.symbol for item in call.gateway.exchange.instruments() if item.base_coin == base}
    return [row for row in rows if row.symbol in symbols]


def _listing(rows: list[OrderView], cursor: str) -> Answer:
    return Answer({"list": [render.order(row) for row in rows], "nextPageCursor": cursor, "category": "linear"})


def _empty_unless_linear(call: Call) -> bool:
    return call.category("linear", "spot", "inverse", "option") != "linear"


def _forgotten(call: Call, order: OrderView) -> bool:
    """Closed before the last restart of the service, which remembers nothing of it."""
    return order.order_status in _CLOSED and order.updated_ms <= call.gateway.faults.forgotten_ms


async def _realtime(call: Call) -> Answer:
    if _empty_unless_linear(call):
        return Answer({"list": [], "nextPageCursor": "", "category": call.text("category")})
    exchange, symbol = call.gateway.exchange, call.symbol(required=False)
    order_id, link_id = call.text("orderId", ""), call.text("orderLinkId", "")
    if order_id or link_id:
        found = exchange.find_order(call.uid, symbol, order_id, link_id)
        if found is not None and _forgotten(call, found):
            found = None
        return _listing([found] if found is not None else [], "")
    if symbol is None and not call.text("baseCoin", "") and not call.text("settleCoin", ""):
        raise Refusal(PARAMETER_ERROR, "params error: symbol, baseCoin or settleCoin is required")
    if call.integer("openOnly", 0) == 1:
        rows = [row for row in exchange.order_history(call.uid, symbol) if not _forgotten(call, row)][:_RECENT_CLOSED]
    else:
        rows = exchange.open_orders(call.uid, symbol)
    kept, cursor = page(call, _base_filter(call, rows))
    return _listing(kept[:_OPEN_LIMIT], cursor)


async def _history(call: Call) -> Answer:
    if _empty_unless_linear(call):
        return Answer({"list": [], "nextPageCursor": "", "category": call.text("category")})
    symbol = call.symbol(required=False)
    order_id, link_id = call.text("orderId", ""), call.text("orderLinkId", "")
    rows = _base_filter(call, call.gateway.exchange.order_history(call.uid, symbol))
    if order_id:
        rows = [row for row in rows if row.order_id == order_id]
    elif link_id:
        rows = [row for row in rows if row.order_link_id == link_id]
    status = call.text("orderStatus", "")
    if status:
        rows = [row for row in rows if row.order_status == status]
    kept, cursor = page(call, rows, lambda row: row.created_ms)
    return Answer({"list": [render.past_order(row) for row in kept], "nextPageCursor": cursor, "category": "linear"})


async def _executions(call: Call) -> Answer:
    if _empty_unless_linear(call):
        return Answer({"nextPageCursor": "", "category": call.text("category"), "list": []})
    rows = call.gateway.exchange.executions(
        call.uid, call.symbol(required=False), call.text("orderId", ""), call.text("orderLinkId", "")
    )
    kind = call.text("execType", "")
    if kind:
        rows = [row for row in rows if row.exec_type == kind]
    kept, cursor = page(call, rows, lambda row: row.exec_ms, default=50)
    return Answer({"nextPageCursor": cursor, "category": "linear", "list": [render.execution(row) for row in kept]})


async def _set_dcp(call: Call) -> Answer:
    window = call.integer("timeWindow")
    if not call.gateway.dcp.set_window(call.uid, call.text("product", "OPTIONS"), window):
        raise Refusal(PARAMETER_ERROR, "params error: timeWindow must be in [3, 300]")
    return Answer(ret_msg="success")


async def _pre_check(call: Call) -> Answer:
    call.category("linear")
    order = order_entry.parse_place(call)
    wallet = call.gateway.exchange.wallet(call.uid)
    position = call.gateway.exchange.position(call.uid, order.symbol)
    value = order.qty * (order.price or position.mark_price)
    base = wallet.total_margin_balance
    extra_im = value / position.leverage / base if base > 0 else wallet.account_im_rate
    extra_mm = (
        value * call.gateway.exchange.risk_tiers(order.symbol)[0].mm_rate / base if base > 0 else wallet.account_mm_rate
    )
    return Answer(
        {
            "orderId": call.gateway.new_id(),
            "orderLinkId": order.order_link_id,
            "preImrE4": int(wallet.account_im_rate * 10_000),
            "preMmrE4": int(wallet.account_mm_rate * 10_000),
            "postImrE4": int((wallet.account_im_rate + extra_im) * 10_000),
            "postMmrE4": int((wallet.account_mm_rate + extra_mm) * 10_000),
        }
    )


ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        ("POST", "/v5/order/create"): Route(_create),
        ("POST", "/v5/order/amend"): Route(_amend),
        ("POST", "/v5/order/cancel"): Route(_cancel),
        ("POST", "/v5/order/cancel-all"): Route(_cancel_all),
        ("POST", "/v5/order/create-batch"): Route(_create_batch, batch=True),
        ("POST", "/v5/order/amend-batch"): Route(_amend_batch, batch=True),
        ("POST", "/v5/order/cancel-batch"): Route(_cancel_batch, batch=True),
        ("GET", "/v5/order/realtime"): Route(_realtime),
        ("GET", "/v5/order/history"): Route(_history),
        ("GET", "/v5/execution/list"): Route(_executions),
        ("POST", "/v5/order/disconnected-cancel-all"): Route(_set_dcp),
        ("POST", "/v5/order/pre-check"): Route(_pre_check),
    }
)
