"""Venue time as its participants see it: held, started, in lock-step, ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.exchange_process import Running, Signed, eventually, exchange

pytestmark = pytest.mark.integration
SCENARIO = """
name: short
description: a quarter of an hour
start_ms: 1767225600000
start_price: 60000
noise: 0.001
volume: 40
waypoints:
  - {minute: %d, price: 55000}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(SCENARIO % 15)
    return path


@pytest.fixture
def paced(scenario: Path) -> Iterator[Running]:
    with exchange("--speed", "max", "--hold", "--scenario", str(scenario)) as running:
        yield running


class Participant:
    """One client of the clock socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.ticks: list[tuple[int, int]] = []
        self.ended = False

    async def next(self, timeout_s: float = 5) -> Any:
        message = await self.socket.receive_json(timeout=timeout_s)
        if message["op"] == "tick":
            self.ticks.append((message["n"], message["venue_ms"]))
        self.ended = self.ended or message["op"] == "end"
        return message

    async def ack(self) -> None:
        await self.socket.send_json({"op": "ack", "n": self.ticks[-1][0]})

    async def run(self, steps: int = 1_000_000) -> None:
        """Acknowledge `steps` ticks, or until the end."""
        while steps and not self.ended:
            if (await self.next(15))["op"] == "tick":
                await self.ack()
                steps -= 1

    async def silent(self) -> bool:
        """True when nothing arrives for a while."""
        try:
            await self.next(0.3)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def joined(venue: Running, name: str) -> AsyncIterator[Participant]:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.ws}/sim/clock?name={name}") as socket:
        yield Participant(socket)


async def start(venue: Running, *names: str) -> None:
    assert (await asyncio.to_thread(venue.start, *names)).status_code == 200


async def test_held_prices_stand_still_and_orders_are_served(paced: Running) -> None:
    client = Signed(paced)
    first = paced.sim("clock")
    assert (first["state"], first["speed"], first["paced"]) == ("held", 0.0, True)
    price = client.get("/v5/market/tickers", category="linear")["result"]["list"][0]["indexPrice"]
    placed = client.post(
        "/v5/order/create", category="linear", symbol="BTCUSDT", side="Sell", orderType="Market", qty="0.1"
    )
    assert placed["retCode"] == 0
    size = eventually(
        lambda: float(client.get("/v5/position/list", category="linear", symbol="BTCUSDT")["result"]["list"][0]["size"])
    )
    assert size == 0.1
    time.sleep(0.2)
    assert client.get("/v5/market/tickers", category="linear")["result"]["list"][0]["indexPrice"] == price
    assert 0 < paced.sim("clock")["venue_ms"] - first["venue_ms"] < 100
    assert client.get("/v5/market/time")["time"] < 1_767_225_600_000 + 1_000
    client.close()


async def test_lock_step_waits_for_two_participants_and_for_one_that_was_killed(paced: Running) -> None:
    async with joined(paced, "a") as first:
        async with joined(paced, "b") as second:
            assert (await first.next())["state"] == "held"
            assert (await second.next())["state"] == "held"
            await start(paced, "a", "b")
            assert (await asyncio.to_thread(paced.start)).status_code == 409
            await asyncio.gather(first.run(3), second.run(3))
            while len(first.ticks) < 4:
                await first.next()
            await first.ack()
            assert await first.silent(), "b has not acknowledged the fourth tick"
            second.socket._response.connection.transport.abort()  # type: ignore[union-attr]
        assert await first.silent(), "b is gone, and it did not say bye"
        assert paced.sim("report")["server"]["pace_late"] == ["b"]
        async with joined(paced, "b") as back:
            assert (await back.next())["op"] == "clock"
            assert (await back.next())["n"] == 4, "what it still owes is told again"
            await back.ack()
            await asyncio.gather(first.run(), back.run())
    assert [number for number, _ in first.ticks] == list(range(1, len(first.ticks) + 1))
    times = [moment for _, moment in first.ticks]
    assert times == sorted(times)
    report = paced.sim("report")["server"]
    assert (report["state"], report["pace_overruns"], report["steps"]) == ("ended", 0, len(times))


async def test_bye_is_for_good(paced: Running) -> None:
    async with joined(paced, "a") as first, joined(paced, "b") as second:
        await start(paced, "a", "b")
        await asyncio.gather(first.run(2), second.run(2))
        await second.socket.send_json({"op": "bye"})
        await first.run()
        assert first.ended


async def test_a_paced_stream_holds_the_venue_until_it_has_taken_in_every_frame(paced: Running) -> None:
    async with (
        joined(paced, "a") as clock,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{paced.ws}/v5/public/linear?pace=a") as stream,
    ):
        await stream.send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
        await stream.receive_json(timeout=5)
        await stream.receive_json(timeout=5)
        await start(paced, "a")
        await clock.next()
        await clock.next()
        assert await clock.silent(), "two frames are not acknowledged"
        await stream.send_json({"op": "sim.ack", "args": [1]})
        assert await clock.silent()
        await stream.send_json({"op": "sim.ack", "args": [2]})
        assert (await clock.next())["op"] == "tick"
        await clock.ack()
        assert (await stream.receive_json(timeout=5))["type"] == "delta"
        assert await clock.silent(), "the delta of the step is not acknowledged"
        await stream.send_json({"op": "sim.ack", "args": [3]})
        assert (await clock.next())["op"] == "tick"


async def test_the_same_run_twice_is_the_same_run(scenario: Path) -> None:
    async def run() -> tuple[list[tuple[int, int]], Any]:
        arguments = ("--speed", "max", "--hold", "--scenario", str(scenario), "--uid-base", "7", "--seed", "3")
        with exchange(*arguments) as venue:
            client = Signed(venue)
            async with joined(venue, "a") as clock:
                await start(venue, "a")
                while not clock.ended:
                    message = await clock.next(15)
                    if message["op"] != "tick":
                        continue
                    if message["n"] % 20 == 0:
                        order = {
                            "category": "linear",
                            "symbol": "BTCUSDT",
                            "side": "Sell",
                            "orderType": "Market",
                            "qty": "0.1",
                        }
                        answer = await asyncio.to_thread(client.post, "/v5/order/create", **order)
                        assert answer["retCode"] == 0, answer
                    await clock.ack()
            report = venue.sim("report", uid=venue.uid)
            client.close()
        del report["server"]
        return clock.ticks, report

    first, second = await run(), await run()
    assert first == second
    assert first[1]["fills"] >= len(first[0]) // 20


async def test_a_lost_participant_is_waited_for_only_so_long(scenario: Path) -> None:
    with exchange("--speed", "max", "--hold", "--pace-timeout-s", "0.3", "--scenario", str(scenario)) as venue:
        await start(venue, "never")
        await asyncio.to_thread(eventually, lambda: venue.sim("clock")["state"] == "ended", 20)
        assert venue.sim("report")["server"]["pace_overruns"] == 1


async def test_timed_replay_maps_wall_to_venue_time_ends_and_stands_still(scenario: Path) -> None:
    with exchange("--speed", "300", "--hold", "--scenario", str(scenario)) as venue:
        async with joined(venue, "watcher") as clock:
            held = await clock.next()
            assert (held["state"], held["speed"]) == ("held", 0.0)
            before = time.monotonic()
            await start(venue)
            running = await clock.next()
            assert (running["state"], running["speed"], running["paced"]) == ("running", 300.0, False)
            await asyncio.sleep(1)
            predicted = running["venue_ms"] + (time.monotonic_ns() - running["monotonic_ns"]) * 300 / 1e6
            actual = int((await asyncio.to_thread(venue.sim, "report"))["server"]["venue_ms"])
            assert actual == pytest.approx(predicted, abs=60_000), "within 0.2 s of wall time"
            while not clock.ended:
                last = await clock.next(15)
            assert time.monotonic() - before >= 15 * 60 / 300 * 0.95
        assert last["op"] == "end"
        assert venue.sim("clock")["venue_ms"] == venue.sim("clock")["venue_ms"] == last["venue_ms"]
        client = Signed(venue)
        stamp = client.get("/v5/market/time")["time"]
        assert client.get_raw("/v5/crypto-loan-common/position", stamp=stamp).json()["retCode"] == 0, (
            "venue time signs too"
        )
        client.close()
