"""The exchange as a server: REST and WebSockets on one loopback port, in front of the pure engine."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from hedgelock_actors.simulator.api import Event, TickerChanged
from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.rest_dispatch import RestServer
from hedgelock_actors.simulator.sim_endpoints import SimEndpoints
from hedgelock_actors.simulator.ws_clock import ClockSession, clock_frame, end_frame, tick_frame
from hedgelock_actors.simulator.ws_connection import Connection, encode
from hedgelock_actors.simulator.ws_control import Session
from hedgelock_actors.simulator.ws_feed import PrivateFeed, PublicFeed
from hedgelock_actors.simulator.ws_private import PrivateSession
from hedgelock_actors.simulator.ws_public import PublicSession
from hedgelock_actors.simulator.ws_trade import TradeSession

_MAX_MESSAGE = 1_000_000


class ExchangeServer:
    """Routes, sockets and feeds around one gateway. The driver's watchers are the methods `on_*`."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        self._public: PublicFeed | None = None
        self._private: PrivateFeed | None = None

    def attach(self, gateway: Gateway) -> None:
        """Serve `gateway` (the driver needs the watchers before the gateway can exist)."""
        self._gateway = gateway
        self._public = PublicFeed(gateway.exchange, gateway.hub)
        self._private = PrivateFeed(gateway.hub, gateway.faults, gateway.new_id)

    @property
    def gateway(self) -> Gateway:
        """The attached gateway."""
        if self._gateway is None:
            raise RuntimeError("attach a gateway first")
        return self._gateway

    # ------------------------------------------------------------------ what the driver tells

    def on_events(self, events: list[Event]) -> None:
        """Push what the exchange did."""
        if self._public is None or self._private is None:
            return
        began_ns = time.monotonic_ns()
        for event in events:
            if event.uid is None:
                self._public.publish(event)
                if isinstance(event.payload, TickerChanged):
                    self.gateway.published.append((event.ts_ms, began_ns))
            else:
                self._private.publish(event)
        self.gateway.dcp.check(self.gateway.exchange.now_ms)

    def on_idle(self, venue_ms: int) -> None:
        """Time flows although nothing happens."""
        if self._public is not None:
            self._public.repeat_touch(venue_ms)
        self.gateway.dcp.check(venue_ms)

    def on_tick(self, number: int, venue_ms: int) -> None:
        """A lock-step market step."""
        self._to_clocks(tick_frame(number, venue_ms))

    def on_mapping(self) -> None:
        """The clock's mapping changed."""
        self._to_clocks(clock_frame(self.gateway))

    def on_end(self, venue_ms: int) -> None:
        """The data has ended."""
        self.gateway.limits.clear()
        self.gateway.addresses.clear()
        self._to_clocks(end_frame(venue_ms))

    def _to_clocks(self, frame: bytes) -> None:
        for connection in self.gateway.hub.of_kind(("clock",)):
            connection.send(frame)

    # ------------------------------------------------------------------ the application

    def application(self) -> web.Application:
        """The aiohttp application."""
        gateway, public = self.gateway, self._public
        if public is None:
            raise RuntimeError("attach a gateway first")
        app = web.Application(client_max_size=_MAX_MESSAGE)
        for kind in ("linear", "spot"):
            app.router.add_get(f"/v5/public/{kind}", self._socket(kind, lambda c, _: PublicSession(gateway, c, public)))
        app.router.add_get(
            "/v5/public/misc/status", self._socket("status", lambda c, _: PublicSession(gateway, c, public))
        )
        app.router.add_get("/v5/private", self._socket("private", lambda c, _: PrivateSession(gateway, c)))
        app.router.add_get("/v5/trade", self._socket("trade", lambda c, _: TradeSession(gateway, c)))
        app.router.add_get("/sim/clock", self._clock)
        SimEndpoints(gateway, public).add_routes(app)
        app.router.add_route("*", "/v5/{tail:.*}", RestServer(gateway).handle)
        return app

    async def _clock(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            self.gateway.driver.catch_up()
            return web.Response(body=encode(self.gateway.driver.clock_fields()), content_type="application/json")
        name = request.query.get("name", "")
        pacing = self.gateway.driver.pacing
        socket = await self._open(request, "clock")
        connection = Connection(socket, request.transport, "clock", name)
        session = ClockSession(self.gateway, connection, name)
        pacing.connect(name)
        session.greet()
        try:
            await self._serve(connection, session)
        finally:
            pacing.disconnect(name)
        return socket

    def _socket(
        self, kind: str, build: Callable[[Connection, web.Request], Session]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            if self.gateway.faults.refusing(time.monotonic()):
                raise web.HTTPServiceUnavailable
            socket = await self._open(request, kind)
            connection = Connection(socket, request.transport, kind, request.query.get("pace", ""))
            session = build(connection, request)
            try:
                await self._serve(connection, session)
            finally:
                if isinstance(session, PrivateSession):
                    session.closed()
            return socket

        return handler

    async def _open(self, request: web.Request, kind: str) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=_MAX_MESSAGE, decode_text=False)
        if not socket.can_prepare(request).ok:
            raise web.HTTPBadRequest(text=f"{kind} is a WebSocket")
        await socket.prepare(request)
        return socket

    async def _serve(self, connection: Connection, session: Session) -> None:
        hub = self.gateway.hub
        hub.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            await session.serve()
        finally:
            writer.cancel()
            hub.remove(connection)
