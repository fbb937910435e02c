"""Requests: signed with venue time, sent once, and every failure of the line told apart from a refusal."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from socket import SO_LINGER, SOL_SOCKET

import pytest
from aiohttp import web

from hedgelock_actors.adapters.bybit import rest
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.outcome import Answer, HttpFailure, NoAnswer, Reply, submit_outcome
from hedgelock_actors.adapters.bybit.rest import RestClient
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.order import Rejected, Unknown
from hedgelock_actors.ports.venue import VenueError
from tests.unit.bybit.fake_venue import KEYS, NOW_MS, FakeVenue, envelope, fake_venue

CREATE = "/v5/order/create"
LISTING = "/v5/order/realtime"


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with fake_venue() as running:
        yield running


@pytest.fixture
async def client(venue: FakeVenue, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RestClient]:
    monkeypatch.setattr(rest, "_TIMEOUT_S", 0.4)
    opened = RestClient(venue.endpoints, KEYS, ManualClock(NOW_MS))
    yield opened
    opened.close()


async def create(client: RestClient) -> Reply:
    """An order; what is left of the limit is not looked at here."""
    return await client.call("place_order", category="linear", symbol="BTCUSDT", qty="0.001", orderLinkId="hl-1")


async def test_signed_with_venue_time(venue: FakeVenue, client: RestClient) -> None:
    venue.answer(CREATE, envelope({"orderId": "o-1"}))
    reply = await create(client)
    assert reply == Answer(code=0, text="OK", time_ms=NOW_MS, result={"orderId": "o-1"})
    sent = venue.requests[0]
    assert sent.headers["X-BAPI-TIMESTAMP"] == str(NOW_MS)
    text = f"{NOW_MS}{KEYS.api_key}5000{sent.body}".encode()
    expected = hmac.new(KEYS.api_secret.reveal().encode(), text, hashlib.sha256).hexdigest()
    assert sent.headers["X-BAPI-SIGN"] == expected


async def test_the_receive_window_grows_with_the_speed_of_a_replay(venue: FakeVenue) -> None:
    class Fast(ManualClock):
        speed = 60.0

    venue.answer(CREATE, envelope())
    opened = RestClient(venue.endpoints, KEYS, Fast(NOW_MS))
    await create(opened)
    opened.close()
    assert venue.requests[0].headers["X-BAPI-RECV-WINDOW"] == "300000"


async def test_a_proxy_of_the_environment_is_not_used_on_loopback(
    venue: FakeVenue, client: RestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    venue.answer(CREATE, envelope({"orderId": "o-1"}))
    assert isinstance(await create(client), Answer)


async def reset(request: web.Request) -> web.StreamResponse:
    """Cut the line after the request has been read."""
    assert request.transport is not None
    socket = request.transport.get_extra_info("socket")
    socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


async def half_a_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "500", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"retCode":0,"retMsg":"OK","resu')
    assert request.transport is not None
    request.transport.close()
    return response


async def too_late(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.8)
    return web.json_response(envelope({"orderId": "o-1"}))


def answer(text: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html")


@pytest.mark.parametrize(
    "failure",
    [
        reset,
        half_a_body,
        too_late,
        answer("<html><body>Bad gateway</body></html>"),
        answer(""),
        answer("[]"),
        answer('"OK"'),
        answer("{}"),
        answer('{"retMsg":"OK","result":{},"time":1}'),
        answer('{"retCode":"0","retMsg":"OK","result":{},"time":1}'),
        answer('{"retCode":0,"retMsg":"OK","result":null,"time":1}'),
        answer('{"retCode":"10001"}'),
    ],
    ids=lambda failure: failure.__name__ if callable(failure) else repr(failure.text)[:40],
)
async def test_f14_f19_a_broken_answer_is_unknown_and_nothing_is_sent_twice(
    venue: FakeVenue, client: RestClient, failure: Callable[[web.Request], Awaitable[web.StreamResponse]] | web.Response
) -> None:
    venue.answer(CREATE, failure)
    reply = await create(client)
    assert isinstance(reply, NoAnswer), reply
    assert isinstance(submit_outcome(reply), Unknown)
    assert len(venue.requests) == 1


async def test_f12_a_venue_that_is_not_there_is_unknown() -> None:
    nowhere = RestClient(Endpoints.local("http://127.0.0.1:9"), KEYS, ManualClock(NOW_MS))
    reply = await create(nowhere)
    nowhere.close()
    assert isinstance(reply, NoAnswer)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_http_statuses_are_told(venue: FakeVenue, client: RestClient, status: int) -> None:
    venue.answer(CREATE, answer("<html>no</html>", status))
    assert await create(client) == HttpFailure(status=status)
    assert len(venue.requests) == 1


@pytest.mark.parametrize("code", [10002, 10006, 10016, 10000, 30034, 130150])
async def test_the_library_never_retries_by_itself(venue: FakeVenue, client: RestClient, code: int) -> None:
    venue.answer(CREATE, envelope(code=code, text="Too many visits!"))
    reply = await create(client)
    assert isinstance(reply, Answer)
    assert (reply.code, reply.text) == (code, "Too many visits!")
    assert len([request for request in venue.requests if request.path == CREATE]) == 1


async def test_10006_with_a_reset_time_in_the_past(venue: FakeVenue, client: RestClient) -> None:
    async def limited(request: web.Request) -> web.StreamResponse:
        return web.json_response(
            envelope(code=10006, text="Too many visits!"), headers={"X-Bapi-Limit-Reset-Timestamp": "1"}
        )

    venue.answer(CREATE, limited)
    assert submit_outcome(await create(client)) == Rejected("10006", "Too many visits!", retry=True)


async def test_a_question_is_asked_once_more_after_a_lost_line(venue: FakeVenue, client: RestClient) -> None:
    venue.answer(LISTING, reset, envelope({"list": []}))
    answered = await client.query("get_open_orders", category="linear", symbol="BTCUSDT")
    assert answered.result == {"list": []}
    assert len(venue.requests) == 2


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (envelope(code=10016, text="Server error"), "10016 Server error"),
        (answer("", 503), "HTTP 503"),
        (answer("<html>"), "not JSON"),
    ],
)
async def test_a_question_without_an_answer_says_what_was_asked(
    venue: FakeVenue, client: RestClient, failure: object, said: str
) -> None:
    venue.answer(LISTING, failure)
    with pytest.raises(VenueError, match=f"get_open_orders: .*{said}"):
        await client.query("get_open_orders", category="linear", symbol="BTCUSDT")


async def test_many_requests_at_once_each_get_their_own_answer(venue: FakeVenue, client: RestClient) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response(envelope({"list": [{"id": request.query["orderLinkId"]}]}))

    venue.answer(LISTING, echo)
    names = [f"hl-{number}" for number in range(24)]
    answers = await asyncio.gather(
        *(client.query("get_open_orders", category="linear", orderLinkId=name) for name in names)
    )
    assert [answered.result["list"] for answered in answers] == [[{"id": name}] for name in names]
