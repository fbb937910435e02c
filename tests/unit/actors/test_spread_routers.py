"""A spread over two accounts by two real routers: what rests, what fills, who follows, and who dies meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.messages import (
    AnyMessage,
    CancelTrade,
    HedgeTrade,
    SpreadLeg,
    SpreadReported,
    SpreadRequested,
    TradeReported,
)
from hedgelock_actors.domain.order import Side
from hedgelock_actors.keeping.spreads import SpreadDesk
from tests.unit.actors.order_rig import Rig

KEEPER = "position-keeper-main"
ABOVE = Decimal(60_050)
"""A price at which a sale rests."""


class Pair:
    """Two accounts, and the keeper's desk of one of them."""

    def __init__(self) -> None:
        self.rigs = {name: Rig(account=name) for name in ("main", "other")}
        self.journal = MemoryJournal()
        self.ends: list[SpreadReported] = []
        self.desk: SpreadDesk

    async def boot(self) -> None:
        for rig in self.rigs.values():
            await rig.boot()
        await self.boot_desk()
        await self.seconds(2)

    async def boot_desk(self) -> None:
        stream = JournalStream(self.journal, KEEPER)
        await stream.open()
        clock, venue = self.rigs["main"].clock, self.rigs["main"].venue
        self.desk = SpreadDesk(KEEPER, "notifier", venue=venue, stream=stream, clock=clock, tell=self.tell)
        async for record in stream.read():
            self.desk.replay(record)

    async def tell(self, to: str, message: AnyMessage) -> bool:
        if isinstance(message, SpreadReported):
            self.ends.append(message)
        elif isinstance(message, HedgeTrade | CancelTrade):
            await self.rigs[to.removeprefix("order-router-")].give(message)
        return True

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            for rig in self.rigs.values():
                await rig.seconds(1)
                for report in rig.transport.messages(TradeReported):
                    await self.desk.reported(report)
            await self.desk.beat()

    async def begin(self, *, rollback: bool = False, window_ms: int = 30_000) -> None:
        legs = tuple(
            SpreadLeg(account=name, symbol="BTCUSDT", side=Side.SELL, qty=Decimal(qty), limit_price=ABOVE)
            for name, qty in (("main", "0.5"), ("other", "0.5"))
        )
        request = SpreadRequested(
            account="main",
            spread_id="s1",
            ts_ms=self.rigs["main"].now_ms,
            legs=legs,
            window_ms=window_ms,
            rollback_on_partial=rollback,
            reason="test",
        )
        await self.desk.requested(request)

    def shorts(self) -> tuple[Decimal, Decimal]:
        return self.rigs["main"].short, self.rigs["other"].short


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    await pair.boot()
    yield pair
    for rig in pair.rigs.values():
        await rig.close()


async def test_the_first_fill_cancels_the_others_and_they_follow(pair: Pair) -> None:
    await pair.begin()
    await pair.seconds(2)
    assert [len(rig.venue.resting()) for rig in pair.rigs.values()] == [1, 1]
    pair.rigs["main"].venue.hit("0.5")
    await pair.seconds(12)
    assert pair.shorts() == (Decimal("0.5"), Decimal("0.5"))
    [end] = pair.ends
    assert (end.success, end.trigger) == (True, "main:BTCUSDT")
    assert [len(rig.venue.resting()) for rig in pair.rigs.values()] == [0, 0]


async def test_what_filled_while_it_was_cancelled_is_counted(pair: Pair) -> None:
    await pair.begin()
    await pair.seconds(2)
    pair.rigs["other"].venue.hit("0.2")
    pair.rigs["main"].venue.hit("0.5")
    await pair.seconds(12)
    assert pair.shorts() == (Decimal("0.5"), Decimal("0.5"))


async def test_when_nothing_fills_nothing_is_held(pair: Pair) -> None:
    await pair.begin(window_ms=5_000)
    await pair.seconds(15)
    assert pair.shorts() == (0, 0)
    [end] = pair.ends
    assert not end.success
    assert [len(rig.venue.resting()) for rig in pair.rigs.values()] == [0, 0]


@pytest.mark.parametrize("rollback", [False, True])
async def test_a_leg_that_cannot_follow_is_carried_or_all_is_taken_back(pair: Pair, rollback: bool) -> None:
    await pair.begin(rollback=rollback)
    await pair.seconds(2)
    pair.rigs["other"].venue.answers = ["110007"] * 60
    pair.rigs["main"].venue.hit("0.5")
    await pair.seconds(60)
    [end] = pair.ends
    assert not end.success
    assert end.rolled_back is rollback
    assert pair.shorts() == ((0, 0) if rollback else (Decimal("0.5"), 0))


@pytest.mark.parametrize("after", [0, 1, 3, 6])
async def test_the_keeper_and_both_routers_may_die_meanwhile(pair: Pair, after: int) -> None:
    await pair.begin()
    await pair.seconds(2)
    pair.rigs["main"].venue.hit("0.5")
    await pair.seconds(after)
    for rig in pair.rigs.values():
        await rig.crash()
        await rig.boot()
    await pair.boot_desk()
    await pair.seconds(25)
    assert pair.shorts() == (Decimal("0.5"), Decimal("0.5"))
    assert len({one.detail for one in pair.ends}) == 1
    for rig in pair.rigs.values():
        assert rig.venue.duplicates == 0
