"""One REST request from headers to envelope: address limit, signature, account limit, handler, limit headers,
faults.
"""

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from aiohttp import web

from hedgelock_actors.simulator import rest_account, rest_asset, rest_loan, rest_market, rest_order, rest_position
from hedgelock_actors.simulator.auth import AuthError
from hedgelock_actors.simulator.gateway import Gateway
from hedgelock_actors.simulator.rate_limit import Verdict
from hedgelock_actors.simulator.rest_core import PARAMETER_ERROR, Answer, Call, Refusal, Route
from hedgelock_actors.simulator.ws_connection import decode, encode

ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        **rest_market.ROUTES,
        **rest_order.ROUTES,
        **rest_position.ROUTES,
        **rest_account.ROUTES,
        **rest_asset.ROUTES,
        **rest_loan.ROUTES,
    }
)
_log = logging.getLogger(__name__)
_REFUSED = Route(rest_loan.refused_product)
_TIMEOUT_FAULT_S = 60.0
# HTTP statuses met before the request was carried out, and after.
_STATUSES_BEFORE = ("403", "429")
_STATUSES_AFTER = ("500", "502", "503")
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def find_route(method: str, path: str) -> Route | None:
    """The endpoint behind a method and path."""
    route = ROUTES.get((method, path))
    if route is None and path.startswith(rest_loan.REFUSED_PRODUCTS):
        return _REFUSED
    return route


class RestServer:
    """Serves `/v5/...`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        gateway = self._gateway
        with gateway.driver.pacing.serving():
            banned = self._address_refusal(request)
            if banned is not None:
                return banned
            body = await request.read() if request.can_read_body else b""
            if request.method == "GET" and body:
                return web.Response(status=403, text="403 Forbidden")
            fault = gateway.faults.take(request.path)
            if fault in ("10006", "10002"):
                return self._limited(fault)
            if fault in _STATUSES_BEFORE:
                return web.Response(status=int(fault), text=f"{fault}: refused")
            gateway.driver.catch_up()
            answer, verdict = await self._answer(request, body)
            if gateway.faults.delay_rest_s and request.path.startswith("/v5/order/") and request.method == "POST":
                await asyncio.sleep(gateway.faults.delay_rest_s)
            if fault:
                return await self._broken(request, fault)
            return self._response(answer, verdict)

    def _address_refusal(self, request: web.Request) -> web.Response | None:
        gateway = self._gateway
        if gateway.addresses.take(request.remote or "", gateway.limit_ms()).allowed:
            return None
        gateway.count("ip_limited")
        return web.Response(status=403, text="403 Forbidden: access too frequent, try again in 10 minutes")

    async def _answer(self, request: web.Request, body: bytes) -> tuple[Answer, Verdict]:
        gateway = self._gateway
        verdict = Verdict(True, 600, 600, gateway.now_ms())
        route = find_route(request.method, request.path)
        if route is None:
            return Answer(ret_code=10404, ret_msg=f"path not found: {request.method} {request.path}"), verdict
        try:
            uid = self._caller(request, body) if route.signed else ""
            args = _arguments(request, body)
            call = Call(gateway, uid, args)
            if route.signed:
                granted, verdict = gateway.spend(uid, request.path, str(args.get("category", "")), _units(route, args))
                if not granted:
                    gateway.count("rate_limited")
                    return Answer(ret_code=10006, ret_msg="Too many visits. Exceeded the API Rate Limit."), verdict
                call = Call(gateway, uid, args, allowed=granted)
            return await route.handler(call), verdict
        except AuthError as error:
            gateway.count(f"auth_{error.code}")
            return Answer(ret_code=error.code, ret_msg=error.message), verdict
        except Refusal as refusal:
            return Answer(ret_code=refusal.code, ret_msg=refusal.message), verdict
        except Exception:  # the edge: the client is told what the venue would tell, the operator all of it
            _log.exception("%s %s failed", request.method, request.path)
            gateway.count("errors")
            return Answer(ret_code=10016, ret_msg="Server error"), verdict

    def _caller(self, request: web.Request, body: bytes) -> str:
        payload = request.rel_url.raw_query_string if request.method == "GET" else body.decode("utf-8", "replace")
        return self._gateway.ring.verify_request(request.headers, payload, self._gateway.clocks()).uid

    def _response(self, answer: Answer, verdict: Verdict) -> web.Response:
        now = self._gateway.now_ms()
        trace = self._gateway.new_id().replace("-", "")
        headers = {**verdict.headers(), "Traceid": trace, "Timenow": str(now)}
        return web.Response(body=encode(answer.envelope(now)), content_type="application/json", headers=headers)

    # ------------------------------------------------------------------ faults

    def _limited(self, fault: str) -> web.Response:
        gateway = self._gateway
        now = gateway.now_ms()
        if fault == "10002":
            return self._response(
                Answer(
                    ret_code=10002, ret_msg="invalid request, please check your server timestamp or recv_window param."
                ),
                Verdict(True, 10, 9, now),
            )
        reset = now - 1_000 if gateway.faults.reset_past else now + 1_000
        return self._response(Answer(ret_code=10006, ret_msg="Too many visits!"), Verdict(False, 10, 0, reset))

    async def _broken(self, request: web.Request, fault: str) -> web.StreamResponse:
        """The request was carried out, but the caller shall not learn it."""
        verdict = Verdict(True, 10, 9, self._gateway.now_ms())
        if fault in ("10016", "10000"):
            text = "Server error." if fault == "10016" else "Server Timeout"
            return self._response(Answer(ret_code=int(fault), ret_msg=text), verdict)
        if fault in _STATUSES_AFTER:
            return web.Response(status=int(fault), body=_HTML, content_type="text/html")
        if fault == "truncated":
            return await self._truncated(request)
        if fault == "html":
            return web.Response(body=_HTML, content_type="text/html")
        if fault == "timeout":
            self._gateway.driver.pacing.in_flight -= 1
            try:
                await asyncio.sleep(_TIMEOUT_FAULT_S)
            finally:
                self._gateway.driver.pacing.in_flight += 1
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)

    async def _truncated(self, request: web.Request) -> web.StreamResponse:
        """A body that ends before it says anything."""
        response = web.StreamResponse(headers={"Content-Length": "400", "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"retCode":0,"retMsg":"OK","resu')
        if request.transport is not None:
            request.transport.close()
        return response


def _arguments(request: web.Request, body: bytes) -> Mapping[str, object]:
    if request.method == "GET":
        return dict(request.query)
    if not body:
        return {}
    try:
        parsed = decode(body)
    except msgspec.DecodeError:
        raise Refusal(PARAMETER_ERROR, "params error: body is not JSON") from None
    if not isinstance(parsed, dict):
        raise Refusal(PARAMETER_ERROR, "params error: body is not an object")
    return parsed


def _units(route: Route, args: Mapping[str, object]) -> int:
    requests = args.get("request")
    return len(requests) if route.batch and isinstance(requests, list) and requests else 1
