"""Market endpoints: unsigned, answered from the exchange's state now."""

from collections.abc import Mapping
from types import MappingProxyType

from hedgelock_actors.simulator import render, render_market
from hedgelock_actors.simulator.api import KlineView
from hedgelock_actors.simulator.rest_core import PARAMETER_ERROR, Answer, Call, Refusal, Route

_INTERVALS = frozenset(("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D"))
_MAX_BARS = 1000


async def _time(call: Call) -> Answer:
    now = call.gateway.now_ms()
    return Answer({"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)})


async def _instruments(call: Call) -> Answer:
    category, wanted = call.text("category"), call.text("symbol", "")
    base = call.text("baseCoin", "")
    found = [
        item
        for item in call.gateway.exchange.instruments()
        if wanted in ("", item.symbol) and base in ("", item.base_coin)
    ]
    if category == "spot":
        return Answer({"category": category, "list": [render_market.spot_instrument(item) for item in found]})
    if category not in ("linear", "inverse", "option"):
        raise Refusal(PARAMETER_ERROR, "params error: Category is invalid")
    if category == "linear" and wanted and not found:
        raise Refusal(PARAMETER_ERROR, "params error: symbol invalid")
    rows = [render_market.instrument(item) for item in found] if category == "linear" else []
    return Answer({"category": category, "list": rows, "nextPageCursor": ""})


async def _tickers(call: Call) -> Answer:
    category = call.text("category")
    symbol = call.symbol(required=False)
    exchange = call.gateway.exchange
    views = [exchange.ticker(name) for name in ([symbol] if symbol else call.gateway.symbols)]
    if category == "spot":
        return Answer({"category": category, "list": [render_market.spot_ticker(view, stream=False) for view in views]})
    if category == "linear":
        return Answer({"category": category, "list": [render_market.ticker(view) for view in views]})
    return Answer({"category": category, "list": []})


async def _orderbook(call: Call) -> Answer:
    category = call.category("linear", "spot")
    depth = min(call.integer("limit", 25 if category == "linear" else 1), 1000)
    book = call.gateway.exchange.book(call.known_symbol())
    return Answer(
        {
            "s": book.symbol,
            "b": [list(level) for level in book.bids[:depth]],
            "a": [list(level) for level in book.asks[:depth]],
            "ts": call.gateway.now_ms(),
            "u": book.u,
            "seq": book.seq,
            "cts": book.ts_ms,
        }
    )


def _bars(call: Call) -> list[KlineView]:
    interval = call.text("interval")
    if interval not in _INTERVALS:
        raise Refusal(PARAMETER_ERROR, "params error: interval invalid")
    start, end = call.integer("start", 0), call.integer("end", 0)
    limit = min(max(call.integer("limit", 200), 1), _MAX_BARS)
    return call.gateway.exchange.klines(call.known_symbol(), interval, start or None, end or None, limit)


async def _kline(call: Call) -> Answer:
    rows = [render_market.kline_row(bar) for bar in _bars(call)]
    return Answer({"symbol": call.known_symbol(), "category": call.text("category", "linear"), "list": rows})


async def _price_kline(call: Call) -> Answer:
    rows = [render_market.kline_row(bar)[:5] for bar in _bars(call)]
    return Answer({"symbol": call.known_symbol(), "category": call.text("category", "linear"), "list": rows})


async def _funding_history(call: Call) -> Answer:
    call.category("linear")
    start, end = call.integer("startTime", 0), call.integer("endTime", 0)
    rows = [
        {"symbol": row.symbol, "fundingRate": render.rate(row.rate), "fundingRateTimestamp": str(row.ts_ms)}
        for row in call.gateway.exchange.funding_history(call.known_symbol())
        if (not start or row.ts_ms >= start) and (not end or row.ts_ms <= end)
    ]
    return Answer({"category": "linear", "list": rows[: min(max(call.integer("limit", 200), 1), 200)]})


async def _risk_limit(call: Call) -> Answer:
    call.category("linear")
    symbol = call.symbol(required=False)
    rows = [
        {
            "id": tier.id,
            "symbol": name,
            "riskLimitValue": render.text(tier.limit_usdt),
            "maintenanceMargin": render.text(tier.mm_rate),
            "initialMargin": render.text(tier.im_rate),
            "isLowestRisk": 1 if index == 0 else 0,
            "maxLeverage": render.text(tier.max_leverage),
            "mmDeduction": render.text(tier.mm_deduction),
        }
        for name in ([symbol] if symbol else call.gateway.symbols)
        for index, tier in enumerate(call.gateway.exchange.risk_tiers(name))
    ]
    return Answer({"category": "linear", "list": rows, "nextPageCursor": ""})


async def _recent_trade(call: Call) -> Answer:
    category = call.category("linear", "spot")
    limit = min(max(call.integer("limit", 500), 1), 1000)
    rows = [render_market.trade_row(trade) for trade in call.gateway.exchange.trades(call.known_symbol(), limit)]
    return Answer({"category": category, "list": rows})


async def _price_limit(call: Call) -> Answer:
    limit = call.gateway.exchange.price_limit(call.known_symbol())
    return Answer(
        {
            "symbol": limit.symbol,
            "buyLmt": render.text(limit.buy_limit),
            "sellLmt": render.text(limit.sell_limit),
            "ts": str(call.gateway.now_ms()),
        },
        ret_msg="",
    )


async def _open_interest(call: Call) -> Answer:
    call.category("linear")
    view = call.gateway.exchange.ticker(call.known_symbol())
    row = {
        "openInterest": render.text(view.open_interest),
        "singleOpenInterest": render.text(view.open_interest / 2),
        "timestamp": str(view.ts_ms),
    }
    return Answer({"symbol": view.symbol, "category": "linear", "list": [row], "nextPageCursor": ""})


async def _system_status(call: Call) -> Answer:
    return Answer({"list": call.gateway.maintenance.rows(call.gateway.now_ms())}, ret_msg="")


ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        ("GET", "/v5/market/time"): Route(_time, signed=False),
        ("GET", "/v5/market/instruments-info"): Route(_instruments, signed=False),
        ("GET", "/v5/market/tickers"): Route(_tickers, signed=False),
        ("GET", "/v5/market/orderbook"): Route(_orderbook, signed=False),
        ("GET", "/v5/market/kline"): Route(_kline, signed=False),
        ("GET", "/v5/market/mark-price-kline"): Route(_price_kline, signed=False),
        ("GET", "/v5/market/index-price-kline"): Route(_price_kline, signed=False),
        ("GET", "/v5/market/funding/history"): Route(_funding_history, signed=False),
        ("GET", "/v5/market/risk-limit"): Route(_risk_limit, signed=False),
        ("GET", "/v5/market/recent-trade"): Route(_recent_trade, signed=False),
        ("GET", "/v5/market/price-limit"): Route(_price_limit, signed=False),
        ("GET", "/v5/market/open-interest"): Route(_open_interest, signed=False),
        ("GET", "/v5/system/status"): Route(_system_status, signed=False),
    }
)
