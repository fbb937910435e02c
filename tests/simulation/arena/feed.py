"""Public market data as the feed's process gets it: late, twice, out of order, frozen, or with a wrong price."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from hedgelock_actors.ports.market_data import BookView, FeedBroken, MarketEvent, MarketHandler, TickerView
from hedgelock_actors.ports.venue import VenueError

if TYPE_CHECKING:
    from tests.simulation.arena.process import Process
    from tests.simulation.arena.world import SwarmWorld


class WireMarket:
    """Implements MarketData."""

    def __init__(self, world: SwarmWorld, process: Process) -> None:
        self.process = process
        self._world = world
        self._handler: MarketHandler | None = None
        self._queue: deque[MarketEvent] = deque()
        self._pumping = False
        self._last_ms = 0

    async def start(self, symbols: Sequence[str], handler: MarketHandler) -> None:
        if self._world.down:
            raise VenueError("connect: connection refused")
        self._handler = handler

    async def stop(self) -> None:
        self._handler = None

    def push(self, event: MarketEvent) -> None:
        """The venue publishes."""
        world, loop = self._world, self._world.loop
        if isinstance(event, FeedBroken):
            self._deliver(loop.now_ms, event)
            return
        if world.cut or world.down or loop.now_ms < world.feed_frozen_ms:
            world.witness.happened["missed_price"] += 1
            return
        if world.strikes("bad_print"):
            event = _wrong(event, world.rng.choice((Decimal("0.7"), Decimal("1.4"), Decimal("0.01"))))
        self._last_ms = max(self._last_ms, loop.now_ms + world.wire_rng.randint(0, 2))
        if world.strikes("delay_push", "market"):
            self._last_ms += world.wire_rng.choice((50, 400, 2_000))
        if world.strikes("reorder_push", "market"):
            self._deliver(loop.now_ms + world.wire_rng.choice((3, 300, 4_000)), event)
            return
        self._deliver(self._last_ms, event)
        if world.strikes("repeat_push", "market"):
            self._deliver(self._last_ms + 5, event)

    def _deliver(self, at_ms: int, event: MarketEvent) -> None:
        self._world.loop.at(at_ms, self._arrived, event, context=self.process.context)

    def _arrived(self, event: MarketEvent) -> None:
        self._world.feed(event)
        self._queue.append(event)
        if not self._pumping:
            self.process.begin(self._pump())

    async def _pump(self) -> None:
        self._pumping = True
        try:
            while self._queue:
                event = self._queue.popleft()
                if self._handler is not None:
                    await self._handler(event)
        finally:
            self._pumping = False


def _wrong(event: BookView | TickerView, factor: Decimal) -> MarketEvent:
    if isinstance(event, TickerView):
        return replace(event, last=event.last * factor, mark=event.mark * factor, index=event.index * factor)
    return replace(
        event,
        bids=[(price * factor, qty) for price, qty in event.bids],
        asks=[(price * factor, qty) for price, qty in event.asks],
    )
