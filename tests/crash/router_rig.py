"""A router that can be made to die at any call to the outside, and be started again on what the journal has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from decimal import Decimal
from typing import TypeVar

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.lease import AlwaysHeld
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import AnyMessage, RealiseProfit, SetTarget
from hedgelock_actors.domain.order import CancelOutcome, OrderRequest, OrderView, SubmitOutcome
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.journal import Entry, Record
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.venue import PositionView, PrivateHandler
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, FakeVenue, tick
from tests.unit.actors.order_rig import AT_ONCE

ROUTER = f"order-router-{ACCOUNT}"
R = TypeVar("R")


class Died(BaseException):
    """The process is gone; no code of it runs any more."""


class Fuse:
    """Counts the points before and after each call; at one of them the process dies, and stays dead."""

    def __init__(self, at: int = -1) -> None:
        self.at, self.points, self.dead = at, 0, False
        self.where = ""

    def point(self, what: str) -> None:
        if not self.dead and self.points == self.at:
            self.dead, self.where = True, what
        if self.dead:
            raise Died(self.where)
        self.points += 1

    async def around(self, what: str, call: Awaitable[R]) -> R:
        try:
            self.point(f"before {what}")
        except Died:
            if asyncio.iscoroutine(call):
                call.close()
            raise
        result = await call
        self.point(f"after {what}")
        return result


class FusedJournal:
    """MemoryJournal behind a fuse."""

    def __init__(self, journal: MemoryJournal, fuse: Fuse) -> None:
        self._journal, self._fuse = journal, fuse

    async def open(self, stream: str) -> int:
        return await self._fuse.around("open", self._journal.open(stream))

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        what = f"append {entries[0].kind}" if entries else "append"
        return await self._fuse.around(what, self._journal.append(stream, epoch, entries))

    def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        self._fuse.point("read")
        return self._journal.read(stream, kinds=kinds, account=account, after_n=after_n)

    async def streams(self) -> Sequence[str]:
        return await self._journal.streams()

    async def verify(self, stream: str) -> int:
        return await self._journal.verify(stream)

    async def close(self) -> None:
        await self._journal.close()


class FusedVenue(FakeVenue):
    """The calls of one process to a shared venue, behind a fuse."""

    def __init__(self, venue: FakeVenue, fuse: Fuse) -> None:
        super().__init__(venue.clock)
        self._venue, self._fuse = venue, fuse

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        await self._fuse.around("subscribe", self._venue.start(topics, handler))

    async def stop(self) -> None:
        """The venue hears nothing of a process that dies."""

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        return await self._fuse.around("place", self._venue.place(order))

    async def cancel(self, symbol: str, order_link_id: str) -> CancelOutcome:
        return await self._fuse.around("cancel", self._venue.cancel(symbol, order_link_id))

    async def find_order(self, symbol: str, order_link_id: str) -> OrderView | None:
        return await self._fuse.around("find_order", self._venue.find_order(symbol, order_link_id))

    async def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        return await self._fuse.around("executions", self._venue.executions(symbol, since_ms))

    async def position(self, symbol: str) -> PositionView:
        return await self._fuse.around("position", self._venue.position(symbol))


def target(version: int, qty: str, ts_ms: int, level: RiskLevel = RiskLevel.CAUTION) -> SetTarget:
    return SetTarget(
        account=ACCOUNT,
        symbol=SYMBOL,
        version=version,
        ts_ms=ts_ms,
        target_short_qty=Decimal(qty),
        level=level,
        reason="rehearsal",
        causation_id=f"test-{version}",
    )


def realise(request_id: str, qty: str, ts_ms: int) -> RealiseProfit:
    return RealiseProfit(account=ACCOUNT, symbol=SYMBOL, request_id=request_id, ts_ms=ts_ms, qty=Decimal(qty))


class Rig:
    """One account, one venue, one journal, and a router that comes and goes."""

    def __init__(self, lag_ms: int = 0, fuses: Sequence[int] = (), policy: Policy | None = None) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal()
        self.transport = MemoryTransport()
        self.venue = FakeVenue(self.clock, lag_ms)
        self.latch = Latch()
        self.policy = policy or AT_ONCE
        self.fuses = list(fuses)
        self.fuse = Fuse()
        self.deaths: list[str] = []
        self.router: OrderRouter | None = None
        self.told: list[AnyMessage] = []
        """Full states that the keeper would repeat."""

    async def boot(self) -> None:
        """Start a router, and again if it dies while starting."""
        while True:
            self.fuse = Fuse(self.fuses.pop(0) if self.fuses else -1)
            self.router = OrderRouter(
                ROUTER,
                ACCOUNT,
                SYMBOL,
                venue=FusedVenue(self.venue, self.fuse),
                journal=FusedJournal(self.journal, self.fuse),
                clock=self.clock,
                transport=self.transport,
                policy=self.policy,
                latch=self.latch,
                lease=AlwaysHeld(),
                notifier="notifier",
            )
            await self._alive(self.router.start())
            if not self.fuse.dead:
                return
            await self._bury()

    async def give(self, message: AnyMessage) -> None:
        """Tell the router; a message that it died of is told again to its successor, as the sender does."""
        while self.router is not None:
            await self._alive(self.router.receive(message))
            if not self.fuse.dead:
                return
            await self._reboot()

    async def seconds(self, count: int, price: int = 60_000) -> None:
        """Time passes: a price and a beat a second, pushes as they come."""
        for _ in range(count):
            await self._alive(self.clock.advance(1_000))
            await self._alive(self.venue.push())
            if self.fuse.dead:
                await self._reboot()
            await self.give(tick(self.clock.now_ms(), price))
            await self._alive(self.venue.push())
            if self.fuse.dead:
                await self._reboot()

    async def close(self) -> None:
        if self.router is not None:
            await self.router.stop()
        await self.clock.stop()

    async def _alive(self, call: Awaitable[None]) -> None:
        try:
            await call
        except Died:
            pass
        await asyncio.sleep(0)

    async def _reboot(self) -> None:
        await self._bury()
        await self.boot()
        for message in self.told:
            await self.give(message)

    async def _bury(self) -> None:
        self.deaths.append(self.fuse.where)
        self.venue._handler = None
        if self.router is not None:
            worker = self.router._worker
            await self.router.stop()
            if worker is not None:
                await asyncio.gather(worker, return_exceptions=True)
        self.router = None
        await self.clock.stop()
