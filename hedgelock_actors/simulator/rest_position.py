"""Position endpoints."""

from collections.abc import Mapping
from types import MappingProxyType

from hedgelock_actors.simulator import render
from hedgelock_actors.simulator.api import SetLeverage, SwitchMode
from hedgelock_actors.simulator.rest_core import PARAMETER_ERROR, Answer, Call, Refusal, Route, from_ack, page


async def _list(call: Call) -> Answer:
    category = call.category("linear", "inverse", "option", "spot")
    if category != "linear":
        return Answer({"list": [], "nextPageCursor": "", "category": category})
    symbol, exchange = call.symbol(required=False), call.gateway.exchange
    if symbol is None and not call.text("settleCoin", "") and not call.text("baseCoin", ""):
        raise Refusal(PARAMETER_ERROR, "params error: symbol or settleCoin is required")
    if symbol is not None:
        views = [exchange.position(call.uid, symbol)]
    else:
        views = [view for name in call.gateway.symbols if (view := exchange.position(call.uid, name)).size]
    rows = [row for view in views for row in _sides(render.position(view), exchange.settings(call.uid).position_mode)]
    return Answer({"list": rows, "nextPageCursor": "", "category": "linear"})


def _sides(row: render.Json, position_mode: int) -> list[render.Json]:
    """In hedge mode a position of each side; only the one that is held has a size."""
    if position_mode == 0:
        return [row]
    held = 2 if row["side"] == "Sell" else 1
    empty = {**row, "positionIdx": 3 - held, "side": "", "size": "0", "avgPrice": "0", "positionValue": "0"}
    return sorted(({**row, "positionIdx": held}, empty), key=lambda one: str(one["positionIdx"]))


async def _set_leverage(call: Call) -> Answer:
    call.category("linear")
    command = SetLeverage(
        symbol=call.known_symbol(), buy_leverage=call.decimal("buyLeverage"), sell_leverage=call.decimal("sellLeverage")
    )
    answer = from_ack(await call.gateway.command(call.uid, command))
    return Answer(ret_code=answer.ret_code, ret_msg=answer.ret_msg)


async def _switch_mode(call: Call) -> Answer:
    call.category("linear")
    command = SwitchMode(mode=call.integer("mode"), symbol=call.text("symbol", ""), coin=call.text("coin", ""))
    answer = from_ack(await call.gateway.command(call.uid, command))
    return Answer(ret_code=answer.ret_code, ret_msg=answer.ret_msg)


async def _closed_pnl(call: Call) -> Answer:
    call.category("linear")
    rows = call.gateway.exchange.closed_pnl(call.uid, call.symbol(required=False))
    kept, cursor = page(call, rows, lambda row: row.updated_ms, default=50)
    return Answer({"nextPageCursor": cursor, "category": "linear", "list": [render.closed_pnl(row) for row in kept]})


ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        ("GET", "/v5/position/list"): Route(_list),
        ("POST", "/v5/position/set-leverage"): Route(_set_leverage),
        ("POST", "/v5/position/switch-mode"): Route(_switch_mode),
        ("GET", "/v5/position/closed-pnl"): Route(_closed_pnl),
    }
)
