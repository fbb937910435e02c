"""The trade socket against a venue that answers late, twice, wrongly or not at all, and the road an order takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.adapters.bybit.connection import LostInWrite
from hedgelock_actors.adapters.bybit.order_entry import OrderEntry
from hedgelock_actors.adapters.bybit.outcome import (
    CANCEL,
    Answer,
    HttpFailure,
    NoAnswer,
    NotSent,
    amend_outcome,
    batch_outcomes,
    cancel_outcome,
    submit_outcome,
)
from hedgelock_actors.adapters.bybit.pace import Allowance, Kind, Pace
from hedgelock_actors.adapters.bybit.rest import RestClient
from hedgelock_actors.adapters.bybit.trade_socket import TradeSocket, reply_of
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.order import Accepted, Rejected, Unknown
from tests.contract.venue_kit import QUICK
from tests.unit.bybit.fake_venue import (
    KEYS,
    NOW_MS,
    FakeVenue,
    Line,
    answer_trade,
    envelope,
    fake_venue,
    trade_answer,
    until,
)

CREATE, CANCEL_PATH, BATCH = "/v5/order/create", "/v5/order/cancel", "/v5/order/cancel-batch"
BODY = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "hl-1", "qty": "0.001"}


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with fake_venue() as running:
        running.answer(CREATE, envelope({"orderId": "by-rest"}))
        running.answer(CANCEL_PATH, envelope({"orderId": "by-rest"}))
        yield running


@asynccontextmanager
async def connected(venue: FakeVenue, answer_s: float = 0.5) -> AsyncIterator[TradeSocket]:
    socket = TradeSocket(venue.endpoints, KEYS, lambda: NOW_MS, lambda: 5_000, patience=QUICK, answer_s=answer_s)
    await socket.start()
    try:
        yield socket
    finally:
        await socket.stop()


@pytest.fixture
async def socket(venue: FakeVenue) -> AsyncIterator[TradeSocket]:
    async with connected(venue) as opened:
        assert opened.ready
        yield opened


def link(number: int) -> dict[str, str]:
    return {**BODY, "orderLinkId": f"hl-{number}"}


def requests(line: Line) -> list[dict[str, Any]]:
    return [frame for frame in line.frames if frame["op"].startswith("order.")]


async def test_it_authenticates_and_a_request_carries_time_window_and_a_short_id(
    venue: FakeVenue, socket: TradeSocket
) -> None:
    reply = await socket.request("order.create", BODY)
    assert reply == Answer(
        code=0,
        text="OK",
        time_ms=NOW_MS,
        result={"orderId": "o-1", "orderLinkId": "hl-1"},
        allowance=Allowance(10, 9, NOW_MS),
    )
    auth, *_ = venue.trades[0].frames
    assert auth["args"][:2] == [KEYS.api_key, NOW_MS + 5_000]
    (sent,) = requests(venue.trades[0])
    assert sent["args"] == [BODY]
    assert sent["header"] == {"X-BAPI-TIMESTAMP": str(NOW_MS), "X-BAPI-RECV-WINDOW": "5000"}
    assert 0 < len(sent["reqId"]) <= 36


async def test_many_requests_at_once_get_their_own_answers_in_any_order(venue: FakeVenue, socket: TradeSocket) -> None:
    held: list[tuple[Line, dict[str, Any]]] = []

    async def answer(line: Line, frame: dict[str, Any]) -> None:
        held.append((line, frame))
        if len(held) == 40:
            for one, asked in reversed(held):
                await one.send(trade_answer(asked, data={"orderId": asked["args"][0]["orderLinkId"]}))

    venue.on_trade = answer
    replies = await asyncio.gather(*(socket.request("order.create", link(n)) for n in range(40)))
    assert [submit_outcome(reply) for reply in replies] == [Accepted(f"hl-{n}") for n in range(40)]
    ids = [frame["reqId"] for frame in requests(venue.trades[0])]
    assert len(set(ids)) == 40
    assert socket.counters()["socket_in_flight"] == 0


async def test_f13_no_answer_is_unknown_and_the_line_is_made_anew(venue: FakeVenue, socket: TradeSocket) -> None:
    async def deaf(line: Line, frame: dict[str, Any]) -> None:
        if frame["op"] == "auth":
            await answer_trade(line, frame)

    venue.on_trade = deaf
    reply = await socket.request("order.create", BODY)
    assert isinstance(reply, NoAnswer)
    assert isinstance(submit_outcome(reply), Unknown)
    assert isinstance(await socket.request("order.create", BODY), NotSent), "nothing goes down with the old line"
    await until(lambda: len(venue.trades) == 2 and socket.ready)
    venue.on_trade = answer_trade
    assert isinstance(await socket.request("order.create", BODY), Answer)


async def test_an_answer_that_comes_too_late_or_twice_or_unasked_is_counted_and_hurts_nobody(venue: FakeVenue) -> None:
    async def late(line: Line, frame: dict[str, Any]) -> None:
        if frame["op"] == "auth":
            await answer_trade(line, frame)
            return
        await line.send({"reqId": "of-somebody-else", "retCode": 0, "op": frame["op"]})
        await asyncio.sleep(0.4)
        await line.send(trade_answer(frame))
        await line.send(trade_answer(frame))

    venue.on_trade = late
    async with connected(venue, answer_s=0.2) as socket:
        assert isinstance(await socket.request("order.create", BODY), NoAnswer)
        await until(lambda: socket.counters()["socket_late_answers"] == 3)
        assert socket.ready, "it is slow, but it lives: it said something meanwhile"


async def test_f12_f13_a_line_that_breaks_leaves_what_was_written_unknown(
    venue: FakeVenue, socket: TradeSocket
) -> None:
    async def cut(line: Line, frame: dict[str, Any]) -> None:
        if frame["op"] == "auth":
            await answer_trade(line, frame)
        elif len(requests(line)) == 3:
            await line.socket.close()

    venue.on_trade = cut
    replies = await asyncio.gather(*(socket.request("order.create", link(n)) for n in range(3)))
    assert all(isinstance(reply, NoAnswer) for reply in replies)
    await until(lambda: len(venue.trades) == 2 and socket.ready)


async def test_a_write_that_fails_half_way_is_unknown_and_one_that_finds_no_line_was_not_sent(
    venue: FakeVenue, socket: TradeSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(frame: bytes) -> bool:
        raise LostInWrite("BrokenPipeError")

    monkeypatch.setattr(socket._line.stream, "write", broken)
    assert isinstance(await socket.request("order.create", BODY), NoAnswer)
    monkeypatch.setattr(socket._line.stream, "write", lambda frame: False)
    assert isinstance(await socket.request("order.create", BODY), NotSent)


async def test_a_broken_pipe_in_the_kernel_is_lost_in_the_write(venue: FakeVenue, socket: TradeSocket) -> None:
    connection = socket._line.stream._connection
    assert connection is not None
    assert connection._socket is not None
    core = connection._socket._core
    assert core is not None

    def broken(data: bytes, opcode: int) -> int:
        raise BrokenPipeError

    core.send = broken
    reply = await socket.request("order.create", BODY)
    assert isinstance(reply, NoAnswer)
    assert "BrokenPipe" in reply.cause
    await until(lambda: len(venue.trades) == 2 and socket.ready)


async def test_too_many_without_an_answer_are_not_sent(venue: FakeVenue, socket: TradeSocket) -> None:
    async def deaf(line: Line, frame: dict[str, Any]) -> None:
        pass

    venue.on_trade = deaf
    asked = [asyncio.create_task(socket.request("order.create", link(n))) for n in range(257)]
    replies = await asyncio.gather(*asked)
    assert sum(isinstance(reply, NotSent) for reply in replies) == 1
    await until(lambda: len(requests(venue.trades[0])) == 256)


async def test_f31_10019_makes_a_new_socket_and_the_old_one_still_answers(
    venue: FakeVenue, socket: TradeSocket
) -> None:
    async def restarting(line: Line, frame: dict[str, Any]) -> None:
        name = frame["args"][0]["orderLinkId"] if frame["op"] == "order.create" else ""
        if name == "hl-2" and line is venue.trades[0]:
            await line.send(trade_answer(frame, 10019, "restarting"))
        elif name == "hl-1":
            await asyncio.sleep(0.3)
            await line.send(trade_answer(frame, data={"orderId": "old-line"}))
        else:
            await answer_trade(line, frame)

    async def concurrently(line: Line, frame: dict[str, Any]) -> None:
        background.append(asyncio.create_task(restarting(line, frame)))

    background: list[asyncio.Task[None]] = []
    venue.on_trade = concurrently
    first = asyncio.create_task(socket.request("order.create", link(1)))
    await until(lambda: len(requests(venue.trades[0])) == 1)
    assert submit_outcome(await socket.request("order.create", link(2))) == Rejected("10019", "restarting", retry=True)
    await until(lambda: len(venue.trades) == 2 and socket.ready)
    assert submit_outcome(await socket.request("order.create", link(3))) == Accepted("o-1")
    assert submit_outcome(await first) == Accepted("old-line")
    assert [frame["args"][0]["orderLinkId"] for frame in requests(venue.trades[1])] == ["hl-3"]
    assert socket.counters()["socket_renewals"] == 1
    await until(lambda: venue.trades[0].socket.closed)


async def test_a_refused_authentication_asks_for_the_time_and_goes_on_trying(venue: FakeVenue) -> None:
    refusals = deque([10004, 10004])

    async def refusing(line: Line, frame: dict[str, Any]) -> None:
        if frame["op"] == "auth" and refusals:
            await line.send({"retCode": refusals.popleft(), "retMsg": "Params Error", "op": "auth", "connId": "c"})
        else:
            await answer_trade(line, frame)

    venue.on_trade = refusing
    asked: list[int] = []
    socket = TradeSocket(
        venue.endpoints, KEYS, lambda: NOW_MS, lambda: 5_000, patience=QUICK, on_refused=lambda: asked.append(1)
    )
    await socket.start()
    assert isinstance(await socket.request("order.create", BODY), NotSent)
    await until(lambda: socket.ready)
    assert len(asked) == 2
    await socket.stop()
    assert isinstance(await socket.request("order.create", BODY), NotSent)


async def test_stopping_answers_everybody_who_waits(venue: FakeVenue) -> None:
    async def deaf(line: Line, frame: dict[str, Any]) -> None:
        if frame["op"] == "auth":
            await answer_trade(line, frame)

    venue.on_trade = deaf
    async with connected(venue, answer_s=30) as socket:
        waiting = asyncio.create_task(socket.request("order.create", BODY))
        await until(lambda: bool(requests(venue.trades[0])))
    assert isinstance(await waiting, NoAnswer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
frames = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("retCode", "retMsg", "data", "retExtInfo", "header", "op", "reqId", "connId"), json_values),
)


@given(frames, st.integers(0, 4))
def test_whatever_the_venue_says_is_one_of_three_outcomes(frame: dict[str, object], count: int) -> None:
    reply = reply_of(frame)
    for outcome in (submit_outcome(reply), amend_outcome(reply), cancel_outcome(reply)):
        assert isinstance(outcome, Accepted | Rejected | Unknown)
    outcomes = batch_outcomes(reply, count, CANCEL)
    assert len(outcomes) == count
    assert all(isinstance(outcome, Accepted | Rejected | Unknown) for outcome in outcomes)


async def test_a_place_never_raises_whatever_comes_over_the_line(venue: FakeVenue) -> None:
    """Frames of every kind, valid and not, in place of the answer."""
    garbage: list[object] = ["null", "[]", '"text"', "{", "", '{"reqId": 1}', {"retCode": "0"}, {"op": "order.create"}]
    garbage += [{"retCode": True}, {"retCode": 0, "data": [], "header": {"Timenow": "x"}}, {"retCode": 0, "data": "no"}]

    async def hostile(line: Line, frame: dict[str, Any]) -> None:
        if frame["op"] == "auth" or not left:
            await answer_trade(line, frame)
            return
        said = left.pop(0)
        await line.send({**said, "reqId": frame["reqId"]} if isinstance(said, dict) else said)

    left = list(garbage)
    venue.on_trade = hostile
    async with connected(venue, answer_s=0.25) as socket:
        while left:
            await until(lambda: socket.ready)
            outcome = submit_outcome(await socket.request("order.create", BODY))
            assert isinstance(outcome, Accepted | Unknown | Rejected)
        await until(lambda: socket.ready)
        assert isinstance(await socket.request("order.create", BODY), Answer)


# ---------------------------------------------------------------------- which road


@asynccontextmanager
async def entry_on(
    venue: FakeVenue, *, by_socket: bool = True, pace: Pace | None = None, clock: ManualClock | None = None
) -> AsyncIterator[OrderEntry]:
    rest = RestClient(venue.endpoints, KEYS, clock or ManualClock(NOW_MS))
    async with connected(venue) as socket:
        yield OrderEntry(rest, socket if by_socket else None, pace or Pace(), wait_ms=0)
    rest.close()


async def test_the_socket_comes_first_and_rest_when_nothing_left_us(venue: FakeVenue) -> None:
    async with entry_on(venue) as entry:
        assert submit_outcome(await entry.create(BODY)) == Accepted("o-1")
        assert venue.requests == []

        async def restarting(line: Line, frame: dict[str, Any]) -> None:
            await line.send(trade_answer(frame, 10019, "restarting"))

        venue.on_trade = restarting
        assert submit_outcome(await entry.create(BODY)) == Accepted("by-rest")
        assert submit_outcome(await entry.create(BODY)) == Accepted("by-rest"), "the new line is not there yet"
        counters = entry.counters()
        assert (counters["orders_by_socket"], counters["orders_by_rest"]) == (2, 2)


async def test_an_unanswered_request_is_not_sent_by_the_other_road(venue: FakeVenue) -> None:
    async def deaf(line: Line, frame: dict[str, Any]) -> None:
        pass

    async with entry_on(venue) as entry:
        venue.on_trade = deaf
        assert isinstance(await entry.create(BODY), NoAnswer)
        assert venue.requests == []


async def test_f20_too_often_waits_for_the_reset_and_the_own_pace_refuses_what_would_wait_too_long(
    venue: FakeVenue,
) -> None:
    async def limited(line: Line, frame: dict[str, Any]) -> None:
        said = trade_answer(frame, 10006, "Too many visits!")
        said["header"] = {
            "X-Bapi-Limit": "10",
            "X-Bapi-Limit-Status": "0",
            "X-Bapi-Limit-Reset-Timestamp": str(NOW_MS + 700),
        }
        await line.send(said)

    clock = ManualClock(NOW_MS)
    async with entry_on(venue, clock=clock) as entry:
        venue.on_trade = limited
        assert submit_outcome(await entry.create(BODY)) == Rejected("10006", "Too many visits!", retry=True)
        venue.on_trade = answer_trade
        refused = submit_outcome(await entry.create(BODY))
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.retry) == ("PACE", True)
        assert submit_outcome(await entry.cancel(BODY)) == Accepted("o-1")
        await clock.advance(1_005)
        assert submit_outcome(await entry.create(BODY)) == Accepted("o-1")
        counters = entry.counters()
        assert (counters["orders_limited"], counters["orders_paced_out"], counters["foreign_requests"]) == (1, 1, 9)


async def test_f20_http_429_stops_everything_for_a_second(venue: FakeVenue) -> None:
    clock = ManualClock(NOW_MS)
    async with entry_on(venue, by_socket=False, clock=clock) as entry:
        venue.answer(CREATE, web.Response(status=429, text="slow down"), envelope({"orderId": "by-rest"}))
        assert await entry.create(BODY) == HttpFailure(status=429)
        assert isinstance(await entry.cancel(BODY), NotSent)
        await clock.advance(1_000)
        assert submit_outcome(await entry.create(BODY)) == Accepted("by-rest")


async def test_a_batch_of_cancels_takes_its_units_and_each_gets_its_outcome(venue: FakeVenue) -> None:
    async def batch(line: Line, frame: dict[str, Any]) -> None:
        named = frame["args"][0]["request"]
        said = trade_answer(frame, data={"list": [{"orderId": one["orderLinkId"]} for one in named]})
        codes = [0, 110001, 10006][: len(named)]
        said["retExtInfo"] = {"list": [{"code": code, "msg": "m"} for code in codes]}
        await line.send(said)

    pace = Pace()
    async with entry_on(venue, pace=pace) as entry:
        venue.on_trade = batch
        reply = await entry.cancel_batch([{"symbol": "BTCUSDT", "orderLinkId": f"hl-{n}"} for n in range(3)])
        outcomes = batch_outcomes(reply, 3, CANCEL)
        assert outcomes == [Accepted("hl-0"), Unknown("110001 m"), Rejected("10006", "m", retry=True)]
        assert entry.counters()["orders_limited"] == 1
        assert pace.lanes[Kind.CANCEL].take(1, NOW_MS) is None, "one of them was too often"
        assert entry.batch_size() == 1, "nothing goes out now: the next one waits alone"


async def test_a_batch_of_cancels_names_what_may_go_out_now(venue: FakeVenue) -> None:
    pace = Pace()
    async with entry_on(venue, pace=pace) as entry:
        assert entry.batch_size() == 10
        for _ in range(4):
            assert submit_outcome(await entry.cancel(BODY)) == Accepted("o-1")
        assert entry.batch_size() == 6


@pytest.mark.parametrize(
    ("result", "ext"),
    [({}, {}), ({"list": [{}]}, {"list": []}), ({"list": [1, 2]}, {"list": [{"code": 0}, {}]}), ({"list": 5}, {})],
)
def test_f19_a_batch_whose_answer_does_not_fit_is_unknown(result: dict[str, Any], ext: dict[str, Any]) -> None:
    said = Answer(code=0, text="OK", time_ms=NOW_MS, result=result, ext=ext)
    assert all(isinstance(outcome, Unknown) for outcome in batch_outcomes(said, 2, CANCEL))


async def test_a_socket_that_fails_again_and_again_is_left_for_rest_and_cancels_are_never_stopped(
    venue: FakeVenue,
) -> None:
    async def troubled(line: Line, frame: dict[str, Any]) -> None:
        if frame["op"] == "auth":
            await answer_trade(line, frame)
        else:
            await line.send(trade_answer(frame, 10016, "Server error"))

    async with entry_on(venue, pace=Pace(1_000)) as entry:
        venue.on_trade = troubled
        assert [type(submit_outcome(await entry.create(BODY))) for _ in range(5)] == [Unknown] * 5
        assert entry.counters()["breaker_trade_socket"] == 2
        venue.answer(CREATE, envelope(code=10016, text="Server error"))
        assert [type(submit_outcome(await entry.create(BODY))) for _ in range(5)] == [Unknown] * 5
        assert entry.counters()["breaker_rest_orders"] == 2
        refused = submit_outcome(await entry.create(BODY))
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.retry) == ("BREAKER", True)
        seen = len(requests(venue.trades[-1]))
        venue.on_trade = answer_trade
        assert submit_outcome(await entry.cancel(BODY)) == Accepted("o-1")
        assert len(requests(venue.trades[-1])) == seen + 1
        await asyncio.sleep(1.05)
        assert submit_outcome(await entry.create(BODY)) == Accepted("o-1"), "half-open: one probe, and it is well again"
        assert entry.counters()["breaker_trade_socket"] == 0


async def test_a_request_given_up_half_way_still_counts(venue: FakeVenue) -> None:
    async def deaf(line: Line, frame: dict[str, Any]) -> None:
        pass

    pace = Pace()
    async with entry_on(venue, pace=pace) as entry:
        venue.on_trade = deaf
        asking = asyncio.create_task(entry.create(BODY))
        await until(lambda: bool(venue.trades) and bool(requests(venue.trades[0])))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert pace.lanes[Kind.CREATE].take(10, NOW_MS) is None
        assert pace.lanes[Kind.CREATE].take(9, NOW_MS) is not None
