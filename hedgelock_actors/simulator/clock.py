"""Venue time against wall time, and the driver that moves the exchange along: held, at speed K, or in lock-step.

Un-paced, venue time is a straight line over CLOCK_MONOTONIC, which all processes of a host share. Held, ended and in
lock-step the venue stands still except for its own internal events (arrivals after latency, replies, pushes), which are
then processed at once in time order, without sleeping.
"""

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hedgelock_actors.simulator.api import Ack, Command, Event, ExchangeApi
from hedgelock_actors.simulator.pacing import Pacing

HELD, RUNNING, ENDED = "held", "running", "ended"
_MAX_SLEEP_S = 0.25
_SETTLE_ROUNDS = 5


@dataclass(slots=True)
class VenueClock:
    """The mapping. `speed` is venue ms per wall ms; 0 while held, ended or in lock-step."""

    venue_ms: int
    paced: bool
    speed: float = 0.0
    state: str = HELD
    monotonic_ns: int = field(default_factory=time.monotonic_ns)

    def now(self) -> int:
        """Venue time by the mapping alone, ms."""
        return self.venue_ms + int((time.monotonic_ns() - self.monotonic_ns) * self.speed / 1e6)

    def remap(self, venue_ms: int, state: str, speed: float) -> None:
        """Go on from `venue_ms` at `speed`."""
        self.venue_ms, self.monotonic_ns, self.state, self.speed = venue_ms, time.monotonic_ns(), state, speed

    def fields(self) -> dict[str, object]:
        """What `/sim/clock` tells."""
        return {
            "venue_ms": self.venue_ms,
            "speed": self.speed,
            "paced": self.paced,
            "monotonic_ns": self.monotonic_ns,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who hears of time: `events` for everything the exchange did, `tick` for each lock-step market step, `mapping` for
    every change of the clock's mapping, `end` once when the data has ended, `idle` now and then while time flows."""

    events: Callable[[list[Event]], None]
    tick: Callable[[int, int], None]
    mapping: Callable[[], None]
    end: Callable[[int], None]
    idle: Callable[[int], None]


@dataclass(order=True, slots=True)
class _Reply:
    due_ms: int
    number: int
    future: "asyncio.Future[None]" = field(compare=False)


class Driver:
    """Moves one exchange. `speed` None is lock-step (`--speed max`)."""

    def __init__(self, exchange: ExchangeApi, speed: float | None, pacing: Pacing, watchers: Watchers) -> None:
        self.exchange = exchange
        self.pacing = pacing
        self.clock = VenueClock(exchange.now_ms, paced=speed is None)
        self._speed = speed
        self._watchers = watchers
        self._replies: list[_Reply] = []
        self._reply_count = 0
        self._tick = 0
        self.step_ms = 0
        """How far the last lock-step market step moved venue time."""
        self._started_wall_s = 0.0
        self._ended_wall_s = 0.0

    # ------------------------------------------------------------------ what callers use

    def now_ms(self) -> int:
        """Venue time: by the mapping while it runs, else the exchange's own; never behind the exchange."""
        if self.clock.speed:
            return max(self.clock.now(), self.exchange.now_ms)
        return self.exchange.now_ms

    def clock_fields(self) -> dict[str, object]:
        """The mapping as `/sim/clock` tells it; standing still, it is pinned to the exchange's own time."""
        if not self.clock.speed:
            self.clock.venue_ms, self.clock.monotonic_ns = self.exchange.now_ms, time.monotonic_ns()
        return self.clock.fields()

    @property
    def last_tick(self) -> tuple[int, int]:
        """Number and venue time of the last lock-step tick; number 0 before the first."""
        return self._tick, self.exchange.now_ms

    @property
    def wall_s(self) -> float:
        """Wall seconds from the start to the end of data (or to now)."""
        if not self._started_wall_s:
            return 0.0
        return (self._ended_wall_s or time.monotonic()) - self._started_wall_s

    def catch_up(self) -> int:
        """Bring the exchange to venue time now and tell what happened; returns the time."""
        now = self.now_ms()
        if self.clock.speed:
            self._advance(now)
        return now

    async def call(self, uid: str, command: Command) -> Ack:
        """Hand `command` to the exchange now and return its answer at the venue time at which it leaves."""
        now = self.catch_up()
        ack = self.exchange.request(uid, command, now)
        await self.sleep_until(ack.reply_ms)
        return ack

    async def sleep_until(self, venue_ms: int) -> None:
        """Wait for a venue time a few ms ahead; lock-step does not count the waiter as busy meanwhile."""
        if venue_ms <= self.exchange.now_ms:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reply_count += 1
        heapq.heappush(self._replies, _Reply(venue_ms, self._reply_count, future))
        self.pacing.waiting += 1
        self.pacing.poke()
        try:
            await future
        finally:
            if not future.done() or future.cancelled():
                self.pacing.waiting -= 1

    def start(self, participants: tuple[str, ...]) -> bool:
        """Leave the held state; False when it was left before."""
        if self.clock.state != HELD:
            return False
        self.pacing.participants = participants
        self._started_wall_s = time.monotonic()
        self.clock.remap(self.exchange.now_ms, RUNNING, self._speed or 0.0)
        self._watchers.mapping()
        self.pacing.poke()
        return True

    # ------------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Drive until cancelled."""
        while True:
            if self.clock.speed:
                await self._run_timed()
                continue
            self._settle()
            if self.clock.state == RUNNING:
                await self._step_when_allowed()
            else:
                await self.pacing.changed(None)

    async def _run_timed(self) -> None:
        self._advance(self.now_ms())
        self._watchers.idle(self.exchange.now_ms)
        market = self.exchange.next_market_ms()
        if market is None:
            self._settle()
            self._end()
            return
        due = min(t for t in (market, self.exchange.next_internal_ms(), self._next_reply()) if t is not None)
        wall_s = (due - self.clock.now()) / (self.clock.speed * 1000)
        if wall_s > 0:
            await self.pacing.changed(min(wall_s, _MAX_SLEEP_S))
        else:
            await asyncio.sleep(0)

    async def _step_when_allowed(self) -> None:
        for _ in range(_SETTLE_ROUNDS):
            # A request that was written before the last acknowledgement may still be on its way through the loop.
            await asyncio.sleep(0)
        self._settle()
        if not self.pacing.ready(self._tick):
            await self.pacing.wait_ready(self._tick, self._settle)
        market = self.exchange.next_market_ms()
        if market is None:
            self._end()
            return
        self._tick += 1
        self.pacing.steps += 1
        self.step_ms = max(0, market - self.exchange.now_ms)
        events = self.exchange.advance(max(market, self.exchange.now_ms))
        self._watchers.tick(self._tick, self.exchange.now_ms)
        self._watchers.events(events)
        self._release(self.exchange.now_ms)

    def _settle(self) -> None:
        """Process internal events and replies in time order, as long as they come before the next market step."""
        while True:
            limit = self.exchange.next_market_ms() if self.clock.state != ENDED else None
            internal, reply = self.exchange.next_internal_ms(), self._next_reply()
            due = min((t for t in (internal, reply) if t is not None), default=None)
            if due is None:
                return
            if limit is not None and due >= limit:
                if self.clock.state == HELD and reply is not None:
                    self._release(reply)  # nobody shall wait for a step that the start alone can make
                    continue
                return
            self._advance(due)

    def _advance(self, to_ms: int) -> None:
        events = self.exchange.advance(max(to_ms, self.exchange.now_ms))
        if events:
            self._watchers.events(events)
        self._release(self.exchange.now_ms)

    def _next_reply(self) -> int | None:
        return self._replies[0].due_ms if self._replies else None

    def _release(self, now_ms: int) -> None:
        while self._replies and self._replies[0].due_ms <= now_ms:
            reply = heapq.heappop(self._replies)
            if not reply.future.done():
                self.pacing.waiting -= 1
                reply.future.set_result(None)

    def _end(self) -> None:
        self._ended_wall_s = time.monotonic()
        self.clock.remap(self.exchange.now_ms, ENDED, 0.0)
        self._watchers.mapping()
        self._watchers.end(self.exchange.now_ms)
