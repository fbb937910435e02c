"""The replay clock: against a scripted clock socket, and on the simulated exchange at speed and in lock-step."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.market_data import BybitMarketData
from hedgelock_actors.adapters.bybit.venue import BybitVenue
from hedgelock_actors.adapters.venue_clock.replay import ClockUnavailable, ReplayClock
from hedgelock_actors.ports.market_data import BookView, MarketEvent, TickerView
from hedgelock_actors.ports.venue import PrivateEvent
from tests.contract.venue_kit import QUICK, keys, until
from tests.integration.exchange_process import exchange

START_MS = 1_584_000_000_000


class ClockServer:
    """`/sim/clock` of a venue whose time a test moves by hand."""

    def __init__(self) -> None:
        self.venue_ms = START_MS
        self.speed = 0.0
        self.paced = False
        self.state = "held"
        self.sockets: list[web.WebSocketResponse] = []
        self.heard: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.url = ""

    def fields(self) -> dict[str, Any]:
        return {
            "venue_ms": self.venue_ms,
            "speed": self.speed,
            "paced": self.paced,
            "monotonic_ns": time.monotonic_ns(),
            "state": self.state,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.json_response(self.fields())
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.names.append(request.query["name"])
        self.sockets.append(socket)
        await socket.send_json({"op": "clock", **self.fields()})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.heard.append(message.json())
        return socket

    async def say(self, frame: dict[str, Any]) -> None:
        await self.sockets[-1].send_json(frame)

    async def remap(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        await self.say({"op": "clock", **self.fields()})

    async def tick(self, number: int, venue_ms: int) -> None:
        await self.say({"op": "tick", "n": number, "venue_ms": venue_ms})

    def acked(self, number: int) -> bool:
        return {"op": "ack", "n": number} in self.heard


@asynccontextmanager
async def clock_server() -> AsyncIterator[ClockServer]:
    server = ClockServer()
    app = web.Application()
    app.router.add_get("/sim/clock", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        for socket in server.sockets:
            await socket.close()
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[ClockServer]:
    async with clock_server() as running:
        yield running


@pytest.fixture
async def paced(server: ClockServer) -> AsyncIterator[ReplayClock]:
    """A clock that has joined a running lock-step replay."""
    server.paced, server.state = True, "running"
    clock = ReplayClock(server.url, "one")
    await clock.start()
    yield clock
    await clock.stop()


# ------------------------------------------------------------------ the mapping


async def test_time_is_known_without_joining(server: ClockServer) -> None:
    clock = ReplayClock(server.url, "one")
    with pytest.raises(ClockUnavailable, match="prepare"):
        clock.now_ms()
    await clock.prepare()
    assert clock.now_ms() == START_MS
    assert server.names == []
    nowhere = ReplayClock("http://127.0.0.1:9", "one")
    with pytest.raises(ClockUnavailable, match="127"):
        await nowhere.prepare()


async def test_speed_sleep_and_jobs(server: ClockServer) -> None:
    clock = ReplayClock(server.url, "one")
    await clock.start()
    runs: list[int] = []

    async def job() -> None:
        runs.append(clock.now_ms())

    clock.every(10, job)
    await asyncio.sleep(0.05)
    assert (clock.now_ms(), runs) == (START_MS, [])  # held: time stands still
    await server.remap(speed=200.0, state="running")
    await until(lambda: clock.speed == 200.0)
    began_ms, began_s = clock.now_ms(), time.monotonic()
    await clock.sleep(40)
    assert clock.now_ms() - began_ms >= 40_000
    assert 0.15 < time.monotonic() - began_s < 1.0
    assert len(runs) >= 3
    assert all(later > earlier for earlier, later in itertools.pairwise(runs))
    await clock.stop()
    assert {"op": "bye"} in server.heard
    seen = len(runs)
    await asyncio.sleep(0.1)
    assert len(runs) == seen


async def test_a_change_of_speed_reaches_those_who_sleep(server: ClockServer) -> None:
    clock = ReplayClock(server.url, "one")
    server.speed, server.state = 1.0, "running"
    await clock.start()
    sleeper = asyncio.create_task(clock.sleep(100))
    await asyncio.sleep(0.05)
    assert not sleeper.done()
    await server.remap(speed=1000.0, venue_ms=clock.now_ms())
    await asyncio.wait_for(sleeper, 2)
    await clock.stop()


async def test_while_time_stands_sleep_passes_on_the_wall(server: ClockServer) -> None:
    clock = ReplayClock(server.url, "one")
    await clock.prepare()
    began = time.monotonic()
    await clock.sleep(0.1)
    assert 0.09 < time.monotonic() - began < 2
    assert clock.now_ms() == START_MS


async def test_time_never_runs_backwards(server: ClockServer) -> None:
    clock = ReplayClock(server.url, "one")
    server.speed, server.state = 1000.0, "running"
    await clock.start()
    await asyncio.sleep(0.05)
    reached = clock.now_ms()
    assert reached > START_MS
    await server.remap(speed=0.0, venue_ms=START_MS, state="ended")
    await asyncio.wait_for(clock.wait_ended(), 2)
    assert clock.now_ms() >= reached
    await clock.stop()


# ------------------------------------------------------------------ lock-step


async def test_a_tick_is_acknowledged_after_all_that_it_causes(server: ClockServer, paced: ReplayClock) -> None:
    story: list[str] = []

    async def job() -> None:
        story.append("job begins")
        await asyncio.sleep(0.05)
        story.append("job ends")

    async def timer() -> None:
        await paced.sleep(5)
        story.append("timer wakes")
        await asyncio.sleep(0.02)
        story.append("timer ends")

    paced.every(10, job)
    waiting = asyncio.create_task(timer())
    await asyncio.sleep(0)
    await server.tick(1, START_MS + 4_000)
    await until(lambda: server.acked(1))
    assert (paced.now_ms(), story) == (START_MS + 4_000, [])
    await server.tick(2, START_MS + 10_000)
    await until(lambda: server.acked(2))
    assert story == ["timer wakes", "timer ends", "job begins", "job ends"]
    assert waiting.done()


async def test_missed_periods_run_once(server: ClockServer, paced: ReplayClock) -> None:
    runs: list[int] = []

    async def job() -> None:
        runs.append(paced.now_ms() - START_MS)

    paced.every(1, job)
    for number, at in ((1, 10_500), (2, 10_900), (3, 11_000), (4, 13_000)):
        await server.tick(number, START_MS + at)
    await until(lambda: server.acked(4))
    assert runs == [10_500, 11_000, 13_000]


async def test_a_job_that_sleeps_on_the_clock_lets_the_venue_go_on(server: ClockServer, paced: ReplayClock) -> None:
    story: list[str] = []

    async def nested() -> None:
        await paced.sleep(3)
        story.append("woke")

    async def job() -> None:
        story.append("began")
        await asyncio.gather(nested(), nested())
        story.append("ended")

    paced.every(1, job)
    await server.tick(1, START_MS + 1_000)
    await until(lambda: server.acked(1))
    assert story == ["began"]
    await server.tick(2, START_MS + 2_000)  # due again, but never twice at once
    await until(lambda: server.acked(2))
    assert story == ["began"]
    await server.tick(3, START_MS + 4_000)
    await until(lambda: server.acked(3))
    assert story[:4] == ["began", "woke", "woke", "ended"]


async def test_one_who_waits_for_something_else_does_not_stop_the_venue(
    server: ClockServer, paced: ReplayClock
) -> None:
    never = asyncio.Event()

    async def sleeper() -> None:
        await paced.sleep(1)
        await never.wait()

    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0)
    await server.tick(1, START_MS + 1_000)
    await until(lambda: server.acked(1))
    assert paced.late_sleepers == 1
    task.cancel()


async def test_a_failing_job_is_counted_and_comes_again(server: ClockServer, paced: ReplayClock) -> None:
    async def job() -> None:
        raise RuntimeError("clumsy")

    cancel = paced.every(1, job)
    await server.tick(1, START_MS + 1_000)
    await server.tick(2, START_MS + 2_000)
    await until(lambda: server.acked(2))
    assert paced.job_failures == 2
    cancel()
    await server.tick(3, START_MS + 3_000)
    await until(lambda: server.acked(3))
    assert paced.job_failures == 2


async def test_a_lost_clock_socket_is_opened_again(server: ClockServer, paced: ReplayClock) -> None:
    await server.tick(1, START_MS + 1_000)
    await until(lambda: server.acked(1))
    await server.sockets[-1].close()
    await until(lambda: len(server.sockets) == 2)
    await asyncio.sleep(0.05)
    await server.tick(2, START_MS + 2_000)
    await until(lambda: server.acked(2))
    assert server.names == ["one", "one"]
    assert paced.now_ms() == START_MS + 2_000


async def test_after_the_end_sleepers_go_on(server: ClockServer, paced: ReplayClock) -> None:
    sleeper = asyncio.create_task(paced.sleep(0.2))
    await asyncio.sleep(0.01)
    await server.remap(state="ended")
    await server.say({"op": "end", "venue_ms": START_MS})
    await asyncio.wait_for(paced.wait_ended(), 2)
    await asyncio.wait_for(sleeper, 2)


# ------------------------------------------------------------------ on the exchange


@pytest.mark.integration
async def test_at_speed_all_clocks_of_the_host_agree() -> None:
    with exchange("--speed", "100", "--hold") as running:
        one, two = ReplayClock(running.rest, "one"), ReplayClock(running.rest, "two")
        await one.prepare()
        held = one.now_ms()
        await two.start()
        await asyncio.sleep(0.05)
        assert one.now_ms() == held
        assert running.start("one", "two").status_code == 200
        await one.start()
        await until(lambda: one.speed == two.speed == 100.0)
        assert abs(one.now_ms() - two.now_ms()) <= 1
        await one.sleep(20)
        assert one.now_ms() >= held + 20_000
        await one.stop()
        await two.stop()


@pytest.mark.integration
async def test_in_lock_step_nothing_is_missed_and_nobody_is_late() -> None:
    with exchange("--speed", "max", "--hold") as running:
        clock = ReplayClock(running.rest, "feed")
        await clock.prepare()
        assert clock.paced
        endpoints = Endpoints.local(running.rest, running.ws)
        events: list[MarketEvent] = []
        private: list[PrivateEvent] = []
        wallets: list[int] = []
        data = BybitMarketData(endpoints, clock, "feed", QUICK)
        venue = BybitVenue(endpoints, keys(running), "main", clock, "feed", patience=QUICK)

        async def hear(event: MarketEvent) -> None:
            if isinstance(event, (BookView, TickerView)):
                # What is pushed at a step carries its time, and a few ms for what the venue did meanwhile.
                assert event.ts_ms - clock.now_ms() < 5_000
            events.append(event)

        async def hear_private(event: PrivateEvent) -> None:
            private.append(event)

        async def poll() -> None:
            wallets.append((await venue.wallet()).ts_ms)

        await data.start(["BTCUSDT"], hear)
        await venue.start(["order", "execution", "position", "wallet"], hear_private)
        clock.every(10, poll)
        await clock.start()
        began = clock.now_ms()
        assert running.start("feed").status_code == 200
        await clock.sleep(600)
        report = running.sim("report")["server"]
        await clock.stop()
        await venue.stop()
        await data.stop()
        assert clock.now_ms() - began >= 600_000
        assert report["pace_overruns"] == 0
        assert data.counters()["handler_failures"] == 0
        assert data.counters()["conflated"] == 0
        assert 55 <= len(wallets) <= 62
        assert all(later - earlier >= 600 for earlier, later in itertools.pairwise(wallets))
        tickers = [event for event in events if isinstance(event, TickerView)]
        assert len(tickers) >= 100  # twelve steps a minute


@pytest.mark.integration
async def test_a_participant_that_comes_back_is_waited_for_and_knows_the_time() -> None:
    with exchange("--speed", "max", "--hold", "--pace-timeout-s", "20") as running:
        first = ReplayClock(running.rest, "feed")
        await first.start()
        running.start("feed")
        await first.sleep(60)
        reached = first.now_ms()
        # Gone without a word, as by kill -9.
        assert first._reader is not None
        first._reader.cancel()
        await asyncio.sleep(0.3)
        second = ReplayClock(running.rest, "feed")
        await second.prepare()
        assert reached <= second.now_ms() <= reached + 10_000
        await second.sleep(0.05)  # a pause before joining passes on the wall: the venue waits for us meanwhile
        await second.start()
        await second.sleep(60)
        assert second.now_ms() >= reached + 60_000
        assert running.sim("report")["server"]["pace_overruns"] == 0
        await second.stop()


async def test_data_that_overtakes_its_tick_moves_the_time_in_lock_step() -> None:
    async with clock_server() as server:
        server.paced, server.state = True, "running"
        clock = ReplayClock(server.url, "feed")
        await clock.prepare()
        clock.observe(START_MS + 5_000)
        assert clock.now_ms() == START_MS + 5_000
        clock.observe(START_MS + 1_000)
        assert clock.now_ms() == START_MS + 5_000


async def test_data_moves_no_time_that_flows_by_itself() -> None:
    async with clock_server() as server:
        clock = ReplayClock(server.url, "feed")
        await clock.prepare()
        clock.observe(START_MS + 5_000)
        assert clock.now_ms() == START_MS


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancel_that_comes_together_with_a_wake_up_is_not_lost(turns: int) -> None:
    async with clock_server() as server:
        clock = ReplayClock(server.url, "feed")
        await clock.prepare()

        async def work() -> None:
            while True:
                await clock.sleep(0.05)

        task = asyncio.create_task(work())
        await asyncio.sleep(0.02)
        clock.observe(START_MS)
        clock._wake(clock._sleepers)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=2)
        assert task.cancelled()
