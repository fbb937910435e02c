"""When requests are not sent: a ban, a clock that is not believed, a failing dependency, too many from one address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from hedgelock_actors.adapters.bybit import rest
from hedgelock_actors.adapters.bybit.outcome import Answer, HttpFailure, NotSent, submit_outcome
from hedgelock_actors.adapters.bybit.pace import Allowance
from hedgelock_actors.adapters.bybit.rest import BAN_MS, RestClient, allowance
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.order import Rejected
from hedgelock_actors.ports.venue import VenueError
from tests.unit.bybit.fake_venue import KEYS, NOW_MS, FakeVenue, envelope, fake_venue

CREATE, LISTING, TIME = "/v5/order/create", "/v5/order/realtime", "/v5/market/time"


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with fake_venue() as running:
        running.answer(CREATE, envelope({"orderId": "o-1"}))
        running.answer(LISTING, envelope({"list": []}))
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
async def client(venue: FakeVenue, clock: ManualClock) -> AsyncIterator[RestClient]:
    opened = RestClient(venue.endpoints, KEYS, clock)
    yield opened
    opened.close()


async def create(client: RestClient) -> object:
    return await client.call("place_order", category="linear", symbol="BTCUSDT", qty="0.001", orderLinkId="hl-1")


async def ask(client: RestClient) -> Answer:
    return await client.query("get_open_orders", category="linear", symbol="BTCUSDT")


def at(ms: int) -> dict[str, object]:
    return {**envelope({"timeSecond": "1"}), "time": ms}


async def test_f20_a_403_silences_everything_for_ten_minutes_of_venue_time(
    venue: FakeVenue, client: RestClient, clock: ManualClock
) -> None:
    venue.answer(CREATE, web.Response(status=403, text="no"), envelope({"orderId": "o-1"}))
    assert await create(client) == HttpFailure(status=403)
    seen = len(venue.requests)
    refused = await create(client)
    assert isinstance(refused, NotSent)
    assert submit_outcome(refused) == Rejected("BANNED", refused.text, retry=True)
    with pytest.raises(VenueError, match=r"not asked.*403"):
        await ask(client)
    await clock.advance(BAN_MS - 1)
    assert isinstance(await create(client), NotSent)
    assert len(venue.requests) == seen, "silent means silent"
    await clock.advance(1)
    assert isinstance(await create(client), Answer)
    assert client.bans == 1


async def test_f21_10002_measures_the_offset_and_a_query_is_asked_once_more(
    venue: FakeVenue, client: RestClient
) -> None:
    venue.answer(TIME, at(NOW_MS - 1_800))
    venue.answer(LISTING, envelope(code=10002, text="invalid request"), envelope({"list": []}))
    assert (await ask(client)).result == {"list": []}
    assert client.time.offset_ms == -1_800
    last = venue.requests[-1]
    assert last.headers["X-BAPI-TIMESTAMP"] == str(NOW_MS - 1_800)


async def test_f21_f65_beyond_the_bound_nothing_is_signed_until_the_clock_is_right_again(
    venue: FakeVenue, client: RestClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "_RECHECK_S", 0.2)
    venue.answer(TIME, at(NOW_MS - 3_600_000))
    venue.answer(CREATE, envelope(code=10002, text="invalid request"), envelope({"orderId": "o-1"}))
    assert isinstance(await create(client), Answer)
    refused = await create(client)
    assert isinstance(refused, NotSent)
    assert (refused.code, "3600000 ms ahead" in refused.text) == ("CLOCK", True)
    with pytest.raises(VenueError, match="clock"):
        await ask(client)
    assert client.clock_refusals == 2
    assert [request.path for request in venue.requests] == [CREATE, TIME], "the venue is not asked all the time"
    venue.answer(TIME, at(NOW_MS))
    await asyncio.sleep(0.25)
    assert isinstance(await create(client), Answer)
    assert client.time.offset_ms == 0


async def test_a_time_that_cannot_be_had_changes_nothing(venue: FakeVenue, client: RestClient) -> None:
    venue.answer(TIME, web.Response(status=500, text="no"))
    await client.resync()
    assert (client.time.measurements, client.time.trusted) == (0, True)


async def test_queries_that_fail_again_and_again_are_left_alone_and_one_probe_brings_them_back(
    venue: FakeVenue, client: RestClient
) -> None:
    venue.answer(LISTING, web.Response(status=503, text="no"))
    for _ in range(5):
        with pytest.raises(VenueError, match="HTTP 503"):
            await ask(client)
    assert client.queries.state == "open"
    seen = len(venue.requests)
    with pytest.raises(VenueError, match="circuit breaker"):
        await ask(client)
    assert len(venue.requests) == seen, "answered at once, without a request"
    assert isinstance(await create(client), Answer), "orders do not hang on queries"
    venue.answer(LISTING, envelope({"list": []}))
    await asyncio.sleep(1.05)
    await ask(client)
    assert client.queries.state == "closed"


async def test_a_venue_that_says_no_is_well(venue: FakeVenue, client: RestClient) -> None:
    venue.answer(LISTING, envelope(code=10001, text="params error"))
    for _ in range(8):
        with pytest.raises(VenueError, match="10001"):
            await ask(client)
    assert client.queries.state == "closed"


async def test_f20_queries_leave_room_for_orders_before_the_address_is_banned(
    venue: FakeVenue, client: RestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "_QUERY_WAIT_MS", 0)
    monkeypatch.setattr(rest, "_RESERVED", 595)
    for _ in range(5):
        await ask(client)
    with pytest.raises(VenueError, match="too many requests from our address"):
        await ask(client)
    assert isinstance(await create(client), Answer)


async def test_f20_questions_keep_to_the_pace_that_the_venue_tells(
    venue: FakeVenue, client: RestClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def strict(request: web.Request) -> web.StreamResponse:
        left = 2 - len([one for one in venue.requests if one.path == LISTING])
        headers = {"X-Bapi-Limit": "2", "X-Bapi-Limit-Status": str(left), "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS)}
        return web.json_response(envelope({"list": []}), headers=headers)

    monkeypatch.setattr(rest, "_QUERY_WAIT_MS", 0)
    venue.answer(LISTING, strict)
    await ask(client)
    await ask(client)
    with pytest.raises(VenueError, match="too many of these questions"):
        await ask(client)
    await clock.advance(1_005)
    venue.answer(LISTING, envelope(code=10006, text="Too many visits!"))
    with pytest.raises(VenueError, match="10006"):
        await ask(client)
    with pytest.raises(VenueError, match="too many of these questions"):
        await ask(client)


async def test_after_closing_nothing_is_sent_and_nothing_raises(venue: FakeVenue, client: RestClient) -> None:
    client.close()
    refused = await create(client)
    assert isinstance(refused, NotSent)
    assert refused.code == "CLOSED"


async def test_the_limit_headers_come_with_answers_and_refusals(venue: FakeVenue, client: RestClient) -> None:
    headers = {
        "X-Bapi-Limit": "10",
        "X-Bapi-Limit-Status": "3",
        "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS),
    }

    async def well(request: web.Request) -> web.StreamResponse:
        return web.json_response(envelope({"orderId": "o-1"}), headers=headers)

    async def refused(request: web.Request) -> web.StreamResponse:
        return web.json_response(envelope(code=10006, text="Too many visits!"), headers=headers)

    venue.answer(CREATE, well, refused)
    for _ in range(2):
        reply = await create(client)
        assert isinstance(reply, Answer)
        assert reply.allowance == Allowance(10, 3, NOW_MS)
    assert allowance({"X-Bapi-Limit": "ten"}) is None
