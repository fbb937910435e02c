"""Venue time under the driver: held, timed, in lock-step."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from hedgelock_actors.simulator.api import Ack, CancelAll, Command, Event, ExchangeApi
from hedgelock_actors.simulator.clock import Driver, Watchers
from hedgelock_actors.simulator.pacing import Pacing


class FakeExchange:
    """Market steps at given times; every request is answered 4 ms later and pushes 6 ms later."""

    def __init__(self, start_ms: int, steps: list[int]) -> None:
        self.now_ms = start_ms
        self.steps = steps
        self.due: list[int] = []
        self.advanced: list[int] = []

    def request(self, uid: str, command: Command, at_ms: int) -> Ack:
        self.now_ms = max(self.now_ms, at_ms)
        self.due.append(self.now_ms + 6)
        return Ack(ret_code=0, ret_msg="OK", reply_ms=self.now_ms + 4)

    def next_internal_ms(self) -> int | None:
        return min(self.due, default=None)

    def next_market_ms(self) -> int | None:
        return self.steps[0] if self.steps else None

    def advance(self, to_ms: int) -> list[Event]:
        self.now_ms = to_ms
        self.due = [due for due in self.due if due > to_ms]
        taken = [step for step in self.steps if step <= to_ms]
        self.steps = self.steps[len(taken) :]
        self.advanced += taken
        return []


class Stream:
    """A paced stream in the hands of the test."""

    def __init__(self) -> None:
        self.pace, self.sent, self.acked, self.excused = "feed", 0, 0, False


class Log:
    def __init__(self) -> None:
        self.ticks: list[tuple[int, int]] = []
        self.mappings = 0
        self.idled_ms = 0
        self.ends: list[int] = []

    def idle(self, now_ms: int) -> None:
        self.idled_ms = now_ms

    def mapping(self) -> None:
        self.mappings += 1


@asynccontextmanager
async def driving(
    exchange: FakeExchange, speed: float | None, timeout_s: float = 5.0
) -> AsyncIterator[tuple[Driver, Log]]:
    log = Log()
    watchers = Watchers(
        lambda events: None, lambda n, t: log.ticks.append((n, t)), log.mapping, log.ends.append, log.idle
    )
    driver = Driver(cast("ExchangeApi", exchange), speed, Pacing(timeout_s), watchers)
    task = asyncio.create_task(driver.run())
    try:
        yield driver, log
    finally:
        task.cancel()


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def until(condition: object, timeout_s: float = 3.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


async def test_held_requests_are_served_and_prices_stand_still() -> None:
    exchange = FakeExchange(1_000, [2_000])
    async with driving(exchange, 1.0) as (driver, _):
        before = time.monotonic()
        ack = await driver.call("1", CancelAll())
        assert ack.reply_ms == 1_004
        assert time.monotonic() - before < 1.0
        await settle()
        assert exchange.now_ms == 1_006
        assert exchange.advanced == []
        assert driver.clock_fields()["state"] == "held"
        assert driver.clock_fields()["speed"] == 0.0


async def test_held_requests_never_reach_the_next_market_step() -> None:
    exchange = FakeExchange(1_000, [1_005])
    async with driving(exchange, 1.0) as (driver, _):
        for _ in range(5):
            await asyncio.wait_for(driver.call("1", CancelAll()), 2)
        assert exchange.advanced == []
        assert exchange.now_ms < 1_005


async def test_timed_steps_come_at_k_times_wall_speed_and_then_it_ends() -> None:
    exchange = FakeExchange(0, [100, 200, 300])
    async with driving(exchange, 10.0) as (driver, log):
        started = time.monotonic()
        assert driver.start(())
        assert not driver.start(())
        await until(lambda: log.ends)
        assert exchange.advanced == [100, 200, 300]
        assert time.monotonic() - started >= 0.028
        assert driver.clock_fields()["state"] == "ended"
        stood = driver.now_ms()
        await asyncio.sleep(0.02)
        assert driver.now_ms() == stood
        await asyncio.wait_for(driver.call("1", CancelAll()), 2)


async def test_lock_step_waits_for_every_participant() -> None:
    exchange = FakeExchange(0, [5_000, 10_000])
    async with driving(exchange, None) as (driver, log):
        driver.start(("a", "b"))
        await settle()
        assert log.ticks == [], "nobody is connected yet"
        driver.pacing.connect("a")
        driver.pacing.connect("b")
        await settle()
        assert log.ticks == [(1, 5_000)]
        driver.pacing.acknowledge("a", 1)
        await settle()
        assert len(log.ticks) == 1, "b has not acknowledged"
        driver.pacing.disconnect("b")
        driver.pacing.acknowledge("b", 1)
        await settle()
        assert len(log.ticks) == 1, "b is gone without bye"
        driver.pacing.connect("b")
        await settle()
        assert log.ticks == [(1, 5_000), (2, 10_000)]
        driver.pacing.acknowledge("a", 2)
        assert not log.ends
        driver.pacing.leave("b")
        await settle()
        assert log.ends == [10_000]


async def test_lock_step_waits_for_streams_and_requests_but_not_for_who_waits_for_venue_time() -> None:
    exchange = FakeExchange(0, [3, 10_000])
    async with driving(exchange, None) as (driver, log):
        stream = Stream()
        stream.sent = 2
        driver.pacing.streams.add(stream)
        driver.start(())
        await settle()
        assert log.ticks == []
        stream.acked = 2
        driver.pacing.poke()
        with driver.pacing.serving():
            await settle()
            assert log.ticks == [], "a request is being served"
            ack = await asyncio.wait_for(driver.call("1", CancelAll()), 2)
            assert log.ticks == [(1, 3)], "the answer lies beyond the next step, which goes first"
            assert exchange.now_ms >= ack.reply_ms
            await settle()
            assert log.ticks == [(1, 3)], "the answer has not left yet"
        await settle()
        assert log.ticks == [(1, 3), (2, 10_000)]


async def test_a_lost_participant_is_waited_for_only_so_long() -> None:
    exchange = FakeExchange(0, [1_000, 2_000, 3_000])
    async with driving(exchange, None, timeout_s=0.05) as (driver, log):
        driver.start(("lost",))
        await until(lambda: log.ends)
        assert [t for _, t in log.ticks] == [1_000, 2_000, 3_000]
        assert driver.pacing.overruns == 1, "the one who is excused is not waited for again"
