"""Every entry of the order table, spoken by a venue from a script to a real router.

Seeds cannot reach all of them: our orders are never conditional, so an honest engine never calls one of them
Untriggered, and it never fills what it has rejected. A real venue's messages may still come in such an order (late,
corrected, or from another of its machines), and the table says what holds then. Here an order is captured at the
gateway, trading is halted so that no word can lead to another order, and the venue says two words about it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from decimal import Decimal

from hedgelock_actors.domain.order import (
    Accepted,
    OrderRequest,
    OrderStatus,
    OrderView,
    Rejected,
    Unknown,
)
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from tests.simulation.arena.gateway import Gateway
from tests.simulation.arena.knobs import Knobs
from tests.simulation.arena.loop import SimLoop
from tests.simulation.arena.path import START_MS
from tests.simulation.arena.transitions import ALL, Pair, watched
from tests.simulation.arena.world import ROUTER, SwarmWorld

S = OrderStatus
ANSWERS = {
    S.PENDING_SUBMIT: Rejected("10006", "too many visits", retry=True),
    S.UNRESOLVED: Unknown("no answer"),
    S.SUBMITTED: Accepted("order-1"),
}


class Scripted(Gateway):
    """Takes the first order and keeps it from the engine; nothing is sent after it."""

    def __init__(self, world: SwarmWorld, first: OrderStatus) -> None:
        super().__init__(world)
        self._of, self._first = world, first
        self.taken: OrderRequest | None = None

    def create(self, request: OrderRequest) -> tuple[Accepted | Rejected, int]:
        self.taken = self.taken or request
        router = self._of.processes[ROUTER]
        router.latch.set(TradingState(TradingMode.HALTED, 1, "nothing else"))
        answer = ANSWERS.get(self._first, ANSWERS[S.SUBMITTED])
        return answer, self._of.loop.now_ms  # type: ignore[return-value]  # an unknown outcome is an answer, too


def speak() -> tuple[Counter[Pair], list[str]]:
    """Drive every entry that ends in a word of the venue; returns what was taken, and what should have been."""
    taken: Counter[Pair] = Counter()
    broken = []
    for pair in ALL:
        if pair[1].of_outcome:
            continue
        heard = say(*pair)
        taken.update(heard)
        if not heard[pair]:
            broken.append(f"script: {pair[0].value} was not followed by {pair[1].value}")
    return taken, broken


def say(first: OrderStatus, then: OrderStatus) -> Counter[Pair]:
    """One order, two words; returns the transitions that the router's fold has made."""
    taken: Counter[Pair] = Counter()
    knobs = Knobs(seed=1, minutes=1)
    loop = SimLoop(START_MS)
    logging.disable(logging.CRITICAL)
    try:
        asyncio.set_event_loop(loop)
        world = SwarmWorld(knobs, loop)
        gateway = Scripted(world, first)
        world.gateway = gateway
        with watched(taken):
            loop.run_until_complete(_talk(world, gateway, first, then))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        logging.disable(logging.NOTSET)
    return taken


async def _talk(world: SwarmWorld, gateway: Scripted, first: OrderStatus, then: OrderStatus) -> None:
    world.start()
    for _ in range(600):
        await world.sleep_until(world.loop.now_ms + 100)
        if gateway.taken is not None:
            break
    for word in (first, then):
        if gateway.taken is not None and not word.of_outcome:
            world.push("order", _view(gateway.taken, word, world.loop.now_ms))
        await world.sleep_until(world.loop.now_ms + 100)


def _view(request: OrderRequest, status: OrderStatus, now_ms: int) -> OrderView:
    share = {S.PARTIALLY_FILLED: Decimal("0.5"), S.FILLED: Decimal(1)}.get(status, Decimal(0))
    filled = request.qty * share
    return OrderView(
        symbol=request.symbol,
        order_id="order-1",
        order_link_id=request.order_link_id,
        status=status,
        side=request.side,
        qty=request.qty,
        price=request.price or Decimal(0),
        cum_qty=filled,
        cum_value=filled * (request.price or Decimal(0)),
        cum_fee=Decimal(0),
        leaves_qty=Decimal(0) if status.terminal else request.qty - filled,
        reduce_only=request.reduce_only,
        reject_reason="EC_NoError",
        cancel_type="UNKNOWN",
        create_type="CreateByUser",
        ts_ms=now_ms,
    )
