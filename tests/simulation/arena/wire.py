"""The wire between one process and the venue: requests that get lost, come late or twice, and pushes that do.

Requests that have left live on when the process dies. A request that reaches the venue with a time stamp older than its
receive window, or ahead of it, is refused (10002), as the venue does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.order import (
    AmendOutcome,
    AmendRequest,
    CancelOutcome,
    OrderRequest,
    OrderView,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.venue import (
    LoanView,
    Maintenance,
    PositionView,
    PrivateEvent,
    PrivateHandler,
    StreamLost,
    VenueError,
    WalletView,
)
from hedgelock_actors.simulator import api
from tests.simulation.in_process import (
    amend_command,
    instrument,
    loan_views,
    position_view,
    wallet_view,
)

if TYPE_CHECKING:
    from tests.simulation.arena.process import Process
    from tests.simulation.arena.world import SwarmWorld

R = TypeVar("R")
VENUE = "venue"
RECEIVE_WINDOW_MS = 5_000
AHEAD_MS = 1_000
TIMEOUT_MS = 5_000
STALE_STAMP = "10002"


class Wire:
    """Round trips of one process."""

    def __init__(self, world: SwarmWorld, process: Process) -> None:
        self.world, self.process = world, process
        self.exchange, self.uid, self.loop = world.exchange, world.uid, world.loop

    async def query(self, name: str, read: Callable[[], R]) -> R:
        """Ask the venue; raises VenueError when no answer comes."""
        answer = await self._round_trip(name, read, None)
        if isinstance(answer, VenueError):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def submit(self, name: str, effect: Callable[[], tuple[Any, int]]) -> Any:
        """Send a command that is signed with the time; `effect` returns the outcome and when it leaves the venue."""
        answer = await self._round_trip(name, effect, self.process.clock.raw_ms())
        if isinstance(answer, VenueError):
            return Unknown(str(answer))
        if isinstance(answer, Rejected) and answer.code == STALE_STAMP:
            self.process.clock.synchronise()
        return answer

    async def _round_trip(self, name: str, effect: Callable[[], Any], signed_ms: int | None) -> Any:
        world, loop = self.world, self.loop
        answered: asyncio.Future[Any] = loop.create_future()
        go_ms = world.wire_rng.randint(1, 4)
        if signed_ms is not None and world.strikes("late_request", name):
            go_ms += world.wire_rng.choice((200, 2_000, 4_900, 6_000, 20_000))
        loop.at(loop.now_ms + go_ms, self._arrive, name, effect, signed_ms, answered, context=world.context)
        loop.at(loop.now_ms + TIMEOUT_MS, _settle, answered, VenueError(f"{name}: no answer"), context=world.context)
        return await answered

    def _arrive(
        self, name: str, effect: Callable[[], Any], signed_ms: int | None, answered: asyncio.Future[Any]
    ) -> None:
        world, now_ms = self.world, self.loop.now_ms
        if world.parted(self.process.name, VENUE) or world.down:
            world.witness.happened["unreachable"] += 1
            self._answer(answered, VenueError(f"{name}: connection refused"), 1)
        elif signed_ms is None:
            failed = world.strikes("fail_query", name)
            result = VenueError(f"{name}: 502") if failed else effect()
            self._answer(answered, result, world.wire_rng.randint(1, 4))
        elif world.strikes("lose_request", name):
            pass
        elif not now_ms - RECEIVE_WINDOW_MS <= signed_ms < now_ms + AHEAD_MS:
            world.witness.happened["stale_stamp"] += 1
            self._answer(answered, Rejected(STALE_STAMP, "timestamp outside the receive window", retry=True), 2)
        else:
            result, leaves_ms = effect()
            self._answer_command(name, answered, result, leaves_ms)

    def _answer_command(self, name: str, answered: asyncio.Future[Any], result: Any, leaves_ms: int) -> None:
        world = self.world
        back_ms = max(0, leaves_ms - self.loop.now_ms) + world.wire_rng.randint(1, 3)
        if world.strikes("lose_answer", name):
            return
        if world.strikes("late_answer", name):
            back_ms += world.wire_rng.choice((100, 1_000, 4_000, 6_000))
        self._answer(answered, result, back_ms)

    def _answer(self, answered: asyncio.Future[Any], result: Any, back_ms: int) -> None:
        self.loop.at(self.loop.now_ms + back_ms, _settle, answered, result, context=self.world.context)


def _settle(answered: asyncio.Future[Any], result: Any) -> None:
    if not answered.done():
        answered.set_result(result)


class WireVenue:
    """Implements Venue for one process."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._topics: frozenset[str] = frozenset()
        self._handler: PrivateHandler | None = None
        self._queue: deque[PrivateEvent] = deque()
        self._pumping = False
        self._last_ms = 0

    # ------------------------------------------------------------ pushes

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        world = self._wire.world
        if world.down or world.parted(self._wire.process.name, VENUE):
            raise VenueError("subscribe: connection refused")
        self._topics, self._handler = frozenset((*topics, "stream")), handler
        if self not in world.venues:
            world.venues.append(self)

    async def stop(self) -> None:
        self._handler = None
        if self in self._wire.world.venues:
            self._wire.world.venues.remove(self)

    @property
    def process(self) -> Process:
        return self._wire.process

    def push(self, topic: str, event: PrivateEvent) -> None:
        """The venue pushes; what happens to it on the way is drawn."""
        world, loop = self._wire.world, self._wire.loop
        if topic not in self._topics or not self.process.fate.alive:
            return
        stream = topic == "stream"
        if not stream and (world.cut or world.parted(self.process.name, VENUE)):
            world.witness.happened["missed_push"] += 1
            return
        if not stream and world.strikes("drop_push", topic):
            return
        rng = world.wire_rng
        if not stream and world.strikes("reorder_push", topic):
            self._deliver(loop.now_ms + rng.choice((3, 30, 500, 3_000)), event)
            return
        delay_ms = rng.randint(0, 2)
        if not stream and world.strikes("delay_push", topic):
            delay_ms += rng.choice((50, 500, 5_000))
        self._last_ms = max(self._last_ms, loop.now_ms + delay_ms)
        self._deliver(self._last_ms, event)
        if not stream and world.strikes("repeat_push", topic):
            self._deliver(loop.now_ms + delay_ms + rng.choice((0, 10, 4_000)), event)

    def _deliver(self, at_ms: int, event: PrivateEvent) -> None:
        self._wire.loop.at(at_ms, self._arrived, event, context=self.process.context)

    def _arrived(self, event: PrivateEvent) -> None:
        self._queue.append(event)
        if not self._pumping:
            self.process.begin(self._pump())

    async def _pump(self) -> None:
        self._pumping = True
        try:
            while self._queue:
                event = self._queue.popleft()
                if isinstance(event, StreamLost):
                    self._wire.world.compared(self.process.pid, None)
                if self._handler is not None:
                    await self._handler(event)
        finally:
            self._pumping = False

    # ------------------------------------------------------------ commands

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        world, request = self._wire.world, order.request
        world.handed(self.process, request, order.epoch)
        answer: SubmitOutcome = await self._wire.submit("create", lambda: world.gateway.create(request))
        world.witness.note("answer", request.order_link_id[:8], type(answer).__name__, getattr(answer, "code", ""))
        return answer

    async def amend(self, order: Approved[AmendRequest]) -> AmendOutcome:
        world, request = self._wire.world, order.request
        world.witness.happened["amend"] += 1
        world.witness.effect("amend", request.order_link_id, request.price)
        answer: AmendOutcome = await self._wire.submit("amend", lambda: world.gateway.plain(amend_command(request)))
        return answer

    async def cancel(self, symbol: str, order_link_id: str) -> CancelOutcome:
        world = self._wire.world
        world.witness.happened["cancel"] += 1
        world.witness.effect("cancel", order_link_id)
        answer: CancelOutcome = await self._wire.submit("cancel", lambda: world.gateway.cancel(symbol, order_link_id))
        return answer

    async def cancel_many(self, symbol: str, order_link_ids: Sequence[str]) -> Sequence[CancelOutcome]:
        return [await self.cancel(symbol, one) for one in order_link_ids]

    # ------------------------------------------------------------ queries

    async def maintenance(self) -> Sequence[Maintenance]:
        return await self._wire.query("maintenance", self._wire.world.windows)

    async def account_faults(self, symbol: str) -> Sequence[str]:
        return await self._wire.query("account_faults", tuple[str, ...])

    async def instrument(self, symbol: str) -> Instrument:
        return await self._wire.query("instrument", lambda: instrument(self._wire.exchange, symbol))

    async def open_orders(self, symbol: str) -> Sequence[OrderView]:
        return await self._wire.query("open_orders", lambda: self._wire.world.gateway.open_orders(symbol))

    async def find_order(self, symbol: str, order_link_id: str) -> OrderView | None:
        return await self._wire.query("find_order", lambda: self._wire.world.gateway.find_order(symbol, order_link_id))

    async def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        found = await self._wire.query("executions", lambda: self._wire.world.gateway.executions(symbol, since_ms))
        self._wire.world.compared(self.process.pid, "executions")
        return found

    async def position(self, symbol: str) -> PositionView:
        wire = self._wire
        found = await wire.query(
            "position", lambda: position_view(wire.exchange.position(wire.uid, symbol), wire.loop.now_ms)
        )
        wire.world.compared(self.process.pid, "position")
        return found

    async def wallet(self) -> WalletView:
        wire = self._wire
        return await wire.query("wallet", lambda: wallet_view(wire.exchange.wallet(wire.uid), wire.loop.now_ms))


class WireLoans:
    """Implements Loans for one process."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def loans(self) -> Sequence[LoanView]:
        wire = self._wire
        return await wire.query("loans", lambda: loan_views(wire.exchange, wire.uid, wire.loop.now_ms))

    async def funding_wallet_usdt(self) -> Decimal:
        wire = self._wire
        return await wire.query("fund", lambda: wire.exchange.transferable(wire.uid, "FUND", "USDT").wallet_balance)

    async def transferable_usdt(self) -> Decimal:
        wire = self._wire
        return await wire.query(
            "transferable", lambda: wire.exchange.transferable(wire.uid, "UNIFIED", "USDT").transfer_balance
        )

    async def transfer_to_funding(self, transfer_id: str, amount: Decimal) -> SubmitOutcome:
        world = self._wire.world
        world.witness.effect("transfer", transfer_id, amount)
        answer: SubmitOutcome = await self._wire.submit("transfer", lambda: world.gateway.transfer(transfer_id, amount))
        return answer

    async def find_transfer(self, transfer_id: str) -> str | None:
        wire = self._wire

        def read() -> str | None:
            found = [one for one in wire.exchange.transfers(wire.uid) if one.transfer_id == transfer_id]
            return found[0].status if found else None

        return await wire.query("find_transfer", read)

    async def repay(self, amount: Decimal) -> SubmitOutcome:
        world = self._wire.world
        command = api.Repay(loan_currency="USDT", amount=amount)
        world.witness.effect("repay", amount)
        answer: SubmitOutcome = await self._wire.submit("repay", lambda: world.gateway.plain(command, "repayId"))
        return answer
