"""One writer per account: whatever is slow, stopped, cut off, killed or started, two never both hold the lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.lease import MemoryLeases
from hedgelock_actors.ports.lease import Grant, LeaseUnavailable
from hedgelock_actors.trading_lease import TradingLease

T = TypeVar("T")
TTL, RENEW, STEP, HOLDERS = 200, 40, 4, 3


class Link:
    """The store as one process reaches it: late, cut off, or answering to nobody."""

    def __init__(self, world: World, number: int) -> None:
        self._world, self._number = world, number
        self.delay_ms = self.answer_ms = 0
        self.answers = True

    async def take(self, account: str, holder: str, ttl_ms: int) -> Grant:
        return await self._call(lambda: self._world.store.take(account, holder, ttl_ms))

    async def renew(self, account: str, epoch: int, ttl_ms: int) -> None:
        await self._call(lambda: self._world.store.renew(account, epoch, ttl_ms))

    async def release(self, account: str, epoch: int) -> None:
        await self._call(lambda: self._world.store.release(account, epoch))

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        await self._world.runs(self._number, self.delay_ms)
        done = await work()
        await self._world.runs(self._number, self.answer_ms)
        if not self.answers:
            raise LeaseUnavailable("the answer was lost")
        return done


class World:
    """True time, a store whose clock is off, and processes whose clocks are off, each by something else."""

    def __init__(self, store_off_ms: int, offs_ms: list[int]) -> None:
        self.clock = ManualClock(10_000_000)
        self.store = MemoryLeases(lambda: self.clock.now_ms() + store_off_ms)
        self.paused = [False] * HOLDERS
        self.links = [Link(self, number) for number in range(HOLDERS)]
        self.offs_ms = offs_ms
        self.alive: list[TradingLease | None] = [None] * HOLDERS
        self.all: list[TradingLease] = []

    async def runs(self, number: int, ms: int) -> None:
        """Time passes for a process; while it is stopped nothing of it goes on."""
        if ms:
            await self.clock.sleep(ms / 1_000)
        while self.paused[number]:
            await self.clock.sleep(0.001)

    def start(self, number: int) -> None:
        """A new instance; the one before it lives on, as after a partition."""

        async def sleep(seconds: float) -> None:
            await self.runs(number, round(seconds * 1_000))

        made = TradingLease(
            self.links[number], "main", f"{number}", monotonic_ms=lambda: self.clock.now_ms() + self.offs_ms[number],
            sleep=sleep, ttl_ms=TTL, renew_ms=RENEW,
        )  # fmt: skip
        self.alive[number] = made
        self.all.append(made)

    async def passes(self, ms: int) -> None:
        for _ in range(0, ms, STEP):
            await self.clock.advance(STEP)
            assert sum(one.held() for one in self.all) <= 1, "two at once"


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["start", "start", "start", "stop", "pause", "resume", "slow", "late", "deaf", "well", "down", "up", "wait"]
        ),
        st.integers(0, HOLDERS - 1),
        st.integers(0, 30).map(lambda n: n * STEP),
    ),
    max_size=30,
)


async def run(world: World, script: list[tuple[str, int, int]]) -> None:
    for what, number, ms in script:
        link, one = world.links[number], world.alive[number]
        match what:
            case "start":
                world.start(number)
                await world.all[-1].start()
            case "stop" if one is not None:
                await one_way(one)
            case "pause" | "resume":
                world.paused[number] = what == "pause"
            case "slow":
                link.delay_ms = ms
            case "late":
                link.answer_ms = ms
            case "deaf" | "well":
                link.answers = what == "well"
            case "down" | "up":
                world.store.available = what == "up"
        await world.passes(ms)


_stopping: set[asyncio.Task[None]] = set()


async def one_way(one: TradingLease) -> None:
    """Stop it beside everything else: giving back takes its time too."""
    task = asyncio.create_task(one.stop())
    _stopping.add(task)
    task.add_done_callback(_stopping.discard)
    await asyncio.sleep(0)


async def end(world: World) -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


@settings(max_examples=40, deadline=None)
@given(st.integers(-10_000, 10_000), st.lists(st.integers(0, 10**9), min_size=HOLDERS, max_size=HOLDERS), steps)
def test_two_never_hold_it_at_once(store_off_ms: int, offs_ms: list[int], script: list[tuple[str, int, int]]) -> None:
    async def go() -> None:
        world = World(store_off_ms, offs_ms)
        await run(world, script)
        await world.passes(3 * TTL)
        await end(world)

    asyncio.run(go())


@settings(max_examples=25, deadline=None)
@given(steps)
def test_when_the_faults_are_over_a_new_instance_holds_it_within_its_time(script: list[tuple[str, int, int]]) -> None:
    async def go() -> None:
        world = World(0, [0] * HOLDERS)
        await run(world, script)
        world.store.available, world.paused = True, [False] * HOLDERS
        for link in world.links:
            link.delay_ms, link.answer_ms, link.answers = 1, 1, True
        # What the slow and the stopped had begun comes to its end first.
        await world.passes(3 * TTL)
        world.start(0)
        newest = world.all[-1]
        await newest.start()
        await world.passes(TTL + 3 * STEP)
        assert newest.held(), "a takeover waits for one lease at most"
        await world.passes(5 * TTL)
        assert newest.held()
        await end(world)

    asyncio.run(go())


async def test_a_process_that_was_stopped_finds_at_its_first_look_that_it_may_not_trade() -> None:
    """SIGSTOP for 30 s: nothing of its loop ran, no timer, no renewal. The clock alone says no."""
    now = [0]
    loop_runs = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await loop_runs.wait()
        loop_runs.clear()

    store = MemoryLeases(lambda: now[0])
    one = TradingLease(store, "main", "one", monotonic_ms=lambda: now[0], sleep=sleep, ttl_ms=2_000, renew_ms=500)
    await one.start()
    await asyncio.sleep(0)
    assert one.held()
    now[0] = 30_000
    assert not one.held()
    two = TradingLease(store, "main", "two", monotonic_ms=lambda: now[0], sleep=sleep, ttl_ms=2_000, renew_ms=500)
    await two.start()
    await asyncio.sleep(0)
    assert two.held(), "the right of the one before it had ended: nothing to wait for"
    loop_runs.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert one.lost
    assert not one.held()
    assert two.held()
    await one.stop()
    await two.stop()


async def test_an_answer_that_comes_after_the_time_is_up_gives_no_right() -> None:
    world = World(0, [0] * HOLDERS)
    world.links[0].answer_ms = TTL
    world.start(0)
    await world.all[0].start()
    await world.passes(TTL + STEP)
    assert world.all[0].epoch == 1
    assert not world.all[0].held()
    await end(world)


async def test_without_its_store_it_ends_by_itself_and_goes_on_when_the_store_is_back() -> None:
    world = World(0, [0] * HOLDERS)
    world.start(0)
    one = world.all[0]
    await one.start()
    await world.passes(TTL)
    assert one.held()
    world.store.available = False
    await world.passes(TTL)
    assert not one.held()
    assert one.failures > 0
    world.store.available = True
    await world.passes(2 * RENEW)
    assert one.held()
    await one.start()
    assert one.epoch == 1, "a second start takes nothing"
    world.store.available = False
    await one.stop()
    await one.stop()
    assert not one.held()
    await end(world)


async def test_start_waits_for_the_lease_as_long_as_it_is_told_to() -> None:
    world = World(0, [0] * HOLDERS)
    await world.store.take("main", "somebody", TTL)
    clock = world.clock
    for patience_ms, held in ((TTL // 2, False), (4 * TTL, True)):
        one = TradingLease(
            world.store, "main", "one", monotonic_ms=clock.now_ms, sleep=clock.sleep, ttl_ms=TTL, renew_ms=RENEW,
            patience_ms=patience_ms,
        )  # fmt: skip
        started = asyncio.create_task(one.start())
        while not started.done():
            await clock.advance(STEP)
        assert one.held() is held
        await one_way(one)
    await clock.advance(STEP)
    await end(world)
