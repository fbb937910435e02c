"""One account, one venue, one journal, and a router that comes and goes. It fills at once unless told otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.codec import Payload
from hedgelock_actors.domain.execution_policy import ByLevel, ExecutionPolicy, Mode
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import AnyMessage, HedgeTrade, OrderEvent, RealiseProfit, SetTarget, TradeReported
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.latch import Latch
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, FakeVenue, tick

ROUTER = f"order-router-{ACCOUNT}"
M = TypeVar("M", bound=AnyMessage)


class LeaseInHand:
    """Implements Lease; the test gives and takes it."""

    def __init__(self) -> None:
        self.mine = True
        self.started = self.stopped = 0

    def held(self) -> bool:
        return self.mine

    async def start(self) -> None:
        self.started += 1

    async def stop(self) -> None:
        self.stopped += 1


def always(mode: Mode, policy: Policy | None = None, **sections: object) -> Policy:
    """A policy that works every goal in one way (CRITICAL ones aggressively where that way is too slow)."""
    slow = mode in (Mode.PASSIVE, Mode.TWAP, Mode.ICEBERG)
    by_level = ByLevel(safe=mode, caution=mode, danger=mode, critical=Mode.AGGRESSIVE if slow else mode)
    execution = ExecutionPolicy(by_level=by_level, reduce_by_level=by_level, large_of_depth=1e9)
    return replace(policy or Policy(), execution=replace(execution, **sections))  # type: ignore[arg-type]


AT_ONCE = always(Mode.AGGRESSIVE)


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


def trade(trade_id: str, side: Side, qty: str, ts_ms: int, **more: object) -> HedgeTrade:
    return HedgeTrade(
        account=ACCOUNT,
        symbol=SYMBOL,
        trade_id=trade_id,
        ts_ms=ts_ms,
        side=side,
        qty=Decimal(qty),
        reason="rehearsal",
        reply_to="sender",
        **more,  # type: ignore[arg-type]
    )


class Rig:
    """`seconds` lets time pass with a price, a beat and the venue's pushes each second."""

    def __init__(
        self, lag_ms: int = 0, policy: Policy | None = None, *, paced: bool = True, account: str = ACCOUNT
    ) -> None:
        self.account = account
        self.clock = ManualClock(paced=paced)
        self.journal = MemoryJournal()
        self.transport = MemoryTransport()
        self.venue = FakeVenue(self.clock, lag_ms)
        self.latch = Latch()
        self.lease = LeaseInHand()
        self.policy = policy or AT_ONCE
        self.router: OrderRouter | None = None

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    @property
    def short(self) -> Decimal:
        """As the venue has it."""
        return -self.venue.signed_qty

    async def boot(self) -> OrderRouter:
        self.router = OrderRouter(
            f"order-router-{self.account}",
            self.account,
            SYMBOL,
            venue=self.venue,
            journal=self.journal,
            clock=self.clock,
            transport=self.transport,
            policy=self.policy,
            latch=self.latch,
            lease=self.lease,
            notifier="notifier",
        )
        await self.router.start()
        await asyncio.sleep(0)
        return self.router

    async def crash(self) -> None:
        """As by kill -9: nothing is said, nothing is finished."""
        assert self.router is not None
        assert self.router._worker is not None
        self.router._worker.cancel()
        await asyncio.gather(self.router._worker, return_exceptions=True)
        await self.router.stop()
        self.router = None

    async def give(self, message: AnyMessage) -> None:
        assert self.router is not None
        await self.router.receive(message)
        await asyncio.sleep(0)

    async def price(self, mid: int | str = 60_000) -> None:
        """A price now; the venue's touch with it."""
        self.venue.touch = (Decimal(mid) - Decimal("0.1"), Decimal(mid) + Decimal("0.1"))
        await self.give(tick(self.now_ms, mid))

    async def seconds(self, count: int, price: int = 60_000) -> None:
        for _ in range(count):
            await self.clock.advance(1_000)
            await self.venue.push()
            await self.price(price)
            await self.venue.push()

    async def close(self) -> None:
        if self.router is not None:
            await self.router.stop()
        await self.clock.stop()

    # ------------------------------------------------------------ what came of it

    def events(self, kind: str) -> list[OrderEvent]:
        return [one for one in self.transport.messages(OrderEvent) if one.event == kind]

    def reports(self) -> Sequence[TradeReported]:
        return self.transport.messages(TradeReported)

    def kinds(self) -> list[str]:
        return [row.kind for row in self.journal.rows(ROUTER)]

    async def records(self, kind: str) -> list[Payload]:
        return [record.entry.payload async for record in self.journal.read(ROUTER, kinds=[kind])]
