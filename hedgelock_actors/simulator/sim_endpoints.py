"""The simulator's own endpoints under `/sim/`: clock, start, report, arrivals, faults. Unsigned; no real venue has
them.
"""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import msgspec
from aiohttp import web

from hedgelock_actors.simulator.api import PlaceOrder
from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.sim_orders import OrderSwitches
from hedgelock_actors.simulator.ws_connection import decode, encode
from hedgelock_actors.simulator.ws_feed import PublicFeed

_CHANNELS = ("linear", "spot", "private", "trade", "clock", "status")
_REST_FAULTS = (
    *("10000", "10002", "10006", "10016", "html", "truncated", "timeout", "reset"),
    *("403", "429", "500", "502", "503"),
)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json", status=status)


async def _body(request: web.Request) -> dict[str, object]:
    raw = await request.read()
    try:
        parsed = decode(raw) if raw else {}
    except msgspec.DecodeError:
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(parsed, dict):
        raise web.HTTPBadRequest(text="the body is not an object")
    return parsed


def _by_hand(spec: dict[str, object]) -> PlaceOrder:
    side, price = str(spec.get("side", "Sell")), spec.get("price")
    if side not in ("Buy", "Sell"):
        raise ValueError("side must be Buy or Sell")
    return PlaceOrder(
        symbol=str(spec.get("symbol", "BTCUSDT")),
        side="Buy" if side == "Buy" else "Sell",
        order_type="Market" if price is None else "Limit",
        qty=Decimal(str(spec["qty"])),
        price=None if price is None else Decimal(str(price)),
        reduce_only=bool(spec.get("reduce_only", False)),
    )


class SimEndpoints:
    """Handlers of `/sim/...`."""

    def __init__(self, gateway: Gateway, feed: PublicFeed) -> None:
        self._gateway = gateway
        self._feed = feed
        self._closing: set[asyncio.Task[None]] = set()
        self._faults: dict[str, Callable[[dict[str, object]], None]] = {
            "silence": lambda spec: self._silence(spec, silent=True),
            "unsilence": lambda spec: self._silence(spec, silent=False),
            "close": self._close,
            "reset": self._reset,
            "refuse": self._refuse,
            "rest": self._rest,
            "drop_acks": self._drop_acks,
            "delay_acks": self._delay_acks,
            "restart_book": lambda spec: self._feed.restart_books(),
            "duplicate_private": self._duplicate,
            "adjust_fails": self._adjust_fails,
            "transfer_pending": self._transfer_pending,
            "col_res": self._col_res,
            "refuse_auth": self._refuse_auth,
            "trade_restart": self._trade_restart,
            "delta_first": self._delta_first,
            "reorder_private": self._reorder,
            **OrderSwitches(gateway).switches,
        }

    def add_routes(self, app: web.Application) -> None:
        """Enter the endpoints into `app` (the clock socket is entered by the server)."""
        app.router.add_post("/sim/start", self.start)
        app.router.add_get("/sim/report", self.report)
        app.router.add_get("/sim/orders", self.orders)
        app.router.add_get("/sim/published", self.published)
        app.router.add_post("/sim/fault", self.fault)
        app.router.add_post("/sim/trade", self.trade)

    async def start(self, request: web.Request) -> web.Response:
        """`{"participants": [names]}`: leave the held state. 409 when it was left before."""
        names = (await _body(request)).get("participants", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise web.HTTPBadRequest(text="participants must be a list of names")
        if not self._gateway.driver.start(tuple(names)):
            return _json({"started": False, "error": "not held"}, status=409)
        self._gateway.limits.clear()
        self._gateway.addresses.clear()
        return _json({"started": True, **self._gateway.driver.clock_fields()})

    async def report(self, request: web.Request) -> web.Response:
        """The venue's own truth: of one account (`?uid=`), else of all, with what the server counted."""
        gateway, driver = self._gateway, self._gateway.driver
        driver.catch_up()
        uid = request.query.get("uid")
        if uid is not None and uid not in gateway.uids():
            raise web.HTTPNotFound(text=f"no account {uid}")
        server = {
            "state": driver.clock.state,
            "venue_ms": gateway.now_ms(),
            "ticks": gateway.exchange.ticks,
            "steps": driver.pacing.steps,
            "pace_overruns": driver.pacing.overruns,
            "pace_late": driver.pacing.late(driver.last_tick[0]),
            "wall_s": round(driver.wall_s, 3),
            "listeners": gateway.hub.listeners(),
            "counters": dict(gateway.counters),
        }
        if uid is not None:
            return _json({**gateway.exchange.report(uid), "server": server})
        return _json({"accounts": {name: gateway.exchange.report(name) for name in gateway.uids()}, "server": server})

    async def orders(self, request: web.Request) -> web.Response:
        """Order requests in order of arrival, of one account or all."""
        return _json({"list": self._gateway.arrivals.of(request.query.get("uid"))})

    async def published(self, request: web.Request) -> web.Response:
        """Price steps, oldest first: [venue ms, CLOCK_MONOTONIC ns just before their frames were queued]."""
        return _json({"list": list(self._gateway.published)})

    async def trade(self, request: web.Request) -> web.Response:
        """`{"uid", "symbol", "side", "qty", "price"?, "reduce_only"?}`: an order as the account's owner would place it
        by hand, without a client id and outside all limits; at market without a price. Answers as the venue does.
        """
        spec, gateway = await _body(request), self._gateway
        try:
            uid, command = str(spec["uid"]), _by_hand(spec)
        except (ValueError, KeyError, InvalidOperation) as error:
            raise web.HTTPBadRequest(text=f"bad trade: {error}") from None
        if uid not in gateway.uids():
            raise web.HTTPNotFound(text=f"no account {uid}")
        ack = await gateway.command(uid, command)
        return _json({"retCode": ack.ret_code, "retMsg": ack.ret_msg, "result": dict(ack.result)})

    # ------------------------------------------------------------------ faults

    async def fault(self, request: web.Request) -> web.Response:
        """`{"kind": ..., ...}`: see docs of each switch; 400 for an unknown one."""
        spec = await _body(request)
        switch = self._faults.get(str(spec.get("kind", "")))
        if switch is None:
            raise web.HTTPBadRequest(text=f"kind must be one of {', '.join(self._faults)}")
        try:
            switch(spec)
        except (TypeError, ValueError, KeyError) as error:
            raise web.HTTPBadRequest(text=f"bad fault: {error}") from None
        self._gateway.count(f"fault_{spec['kind']}")
        self._gateway.driver.pacing.poke()
        return _json({"set": spec})

    def _channels(self, spec: dict[str, object]) -> list[str]:
        channel = str(spec.get("channel", "all"))
        if channel == "all":
            return [name for name in _CHANNELS if name != "clock"]
        if channel not in _CHANNELS:
            raise ValueError(f"channel must be one of {', '.join(_CHANNELS)} or all")
        return [channel]

    def _silence(self, spec: dict[str, object], *, silent: bool) -> None:
        for connection in self._gateway.hub.of_kind(self._channels(spec)):
            connection.silent = silent

    def _close(self, spec: dict[str, object]) -> None:
        for connection in self._gateway.hub.of_kind(self._channels(spec)):
            closing = asyncio.create_task(connection.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _reset(self, spec: dict[str, object]) -> None:
        for connection in self._gateway.hub.of_kind(self._channels(spec)):
            connection.abort()

    def _refuse(self, spec: dict[str, object]) -> None:
        self._gateway.faults.refuse_until_s = time.monotonic() + float(str(spec.get("seconds", 3)))

    def _rest(self, spec: dict[str, object]) -> None:
        fault, path = str(spec["fault"]), str(spec.get("path", "/v5/"))
        if fault not in _REST_FAULTS:
            raise ValueError(f"fault must be one of {', '.join(_REST_FAULTS)}")
        self._gateway.faults.reset_past = bool(spec.get("reset_past", False))
        self._gateway.faults.next_rest.setdefault(path, []).extend([fault] * int(str(spec.get("count", 1))))

    def _drop_acks(self, spec: dict[str, object]) -> None:
        self._gateway.faults.drop_trade_acks = int(str(spec.get("count", 1)))

    def _delay_acks(self, spec: dict[str, object]) -> None:
        seconds = float(str(spec.get("seconds", 0)))
        if str(spec.get("channel", "trade")) == "rest":
            self._gateway.faults.delay_rest_s = seconds
        else:
            self._gateway.faults.delay_acks_s = seconds

    def _refuse_auth(self, spec: dict[str, object]) -> None:
        self._gateway.faults.refuse_auths = int(str(spec.get("count", 1)))

    def _trade_restart(self, spec: dict[str, object]) -> None:
        self._gateway.faults.trade_restarts = int(str(spec.get("count", 1)))

    def _delta_first(self, spec: dict[str, object]) -> None:
        self._gateway.faults.delta_first = bool(spec.get("on", True))

    def _reorder(self, spec: dict[str, object]) -> None:
        self._gateway.faults.reorder_private = bool(spec.get("on", True))

    def _duplicate(self, spec: dict[str, object]) -> None:
        self._gateway.faults.duplicate_private = bool(spec.get("on", True))

    def _adjust_fails(self, spec: dict[str, object]) -> None:
        self._gateway.exchange.faults.adjust_fails = bool(spec.get("on", True))

    def _transfer_pending(self, spec: dict[str, object]) -> None:
        self._gateway.exchange.faults.transfer_pending_ms = int(str(spec.get("ms", 0)))

    def _col_res(self, spec: dict[str, object]) -> None:
        value = spec.get("value")
        self._gateway.exchange.faults.col_res = None if value is None else str(value)
