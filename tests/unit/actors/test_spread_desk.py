"""A spread on record: begun once, told again after a restart, ended once, and its end told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.alert_rules import alerts_for
from hedgelock_actors.domain.messages import (
    AnyMessage,
    CancelTrade,
    HedgeTrade,
    SpreadLeg,
    SpreadReported,
    SpreadRequested,
    SpreadStopped,
    TradeReported,
)
from hedgelock_actors.domain.order import Side
from hedgelock_actors.keeping.spreads import SpreadDesk
from hedgelock_actors.ports.journal import JournalUnavailable
from hedgelock_actors.ports.venue import VenueError
from tests.unit.actors.fake_venue import FakeVenue

KEEPER = "position-keeper-main"
START_MS = ManualClock().now_ms()


class Routers:
    """Remember every trade, and how far it is."""

    def __init__(self) -> None:
        self.trades: dict[str, HedgeTrade] = {}
        self.reports: dict[str, TradeReported] = {}
        self.heard: list[tuple[str, AnyMessage]] = []

    async def tell(self, to: str, message: AnyMessage) -> bool:
        self.heard.append((to, message))
        match message:
            case HedgeTrade():
                self.trades.setdefault(message.trade_id, message)
                self.reports.setdefault(message.trade_id, self.report(message, "0"))
            case CancelTrade():
                known = self.reports[message.trade_id]
                self.reports[message.trade_id] = known.model_copy(update={"final": True})
        return True

    def report(self, trade: HedgeTrade, filled: str, *, final: bool = False) -> TradeReported:
        qty = Decimal(filled)
        return TradeReported(
            account=trade.account,
            symbol=trade.symbol,
            trade_id=trade.trade_id,
            ts_ms=0,
            final=final,
            success=final and qty == trade.qty,
            side=trade.side,
            qty=trade.qty,
            filled_qty=qty,
            average_price=Decimal(60_000) if qty else None,
            mode="resting",
            maker_qty=qty,
            taker_qty=Decimal(0),
            retries=0,
            error="",
        )

    def fill(self, trade_id: str, filled: str, *, final: bool = True) -> None:
        self.reports[trade_id] = self.report(self.trades[trade_id], filled, final=final)

    def told(self) -> SpreadReported:
        (end,) = [message for to, message in self.heard if to == "notifier"]
        assert isinstance(end, SpreadReported)
        return end


class Rig:
    def __init__(self) -> None:
        self.journal, self.clock, self.routers = MemoryJournal(), ManualClock(), Routers()
        self.venue = FakeVenue(self.clock)
        self.desk: SpreadDesk

    async def boot(self) -> None:
        stream = JournalStream(self.journal, KEEPER)
        await stream.open()
        self.desk = SpreadDesk(
            KEEPER, "notifier", venue=self.venue, stream=stream, clock=self.clock, tell=self.routers.tell
        )
        async for record in stream.read():
            assert self.desk.replay(record)

    async def pass_on(self) -> None:
        """Every router tells how far its trades are, until nothing changes any more."""
        for _ in range(6):
            for report in list(self.routers.reports.values()):
                await self.desk.reported(report)

    def kinds(self) -> list[str]:
        return [row.kind for row in self.journal.rows(KEEPER)]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.boot()
    yield rig
    await rig.clock.stop()


def request(**more: object) -> SpreadRequested:
    legs = tuple(
        SpreadLeg(account=name, symbol="BTCUSDT", side=Side.SELL, qty=Decimal(1), limit_price=Decimal(60_000))
        for name in ("main", "other")
    )
    given: dict[str, object] = {"spread_id": "s1", "legs": legs, "window_ms": 60_000, "rollback_on_partial": False}
    return SpreadRequested(account="main", reason="test", **({"ts_ms": START_MS} | given | more))


REST_MAIN, REST_OTHER, HEDGE_OTHER = "s1:main:BTCUSDT:rest", "s1:other:BTCUSDT:rest", "s1:other:BTCUSDT:hedge"


async def test_a_spread_from_its_request_to_its_end(rig: Rig) -> None:
    await rig.desk.requested(request())
    assert {to for to, _ in rig.routers.heard} == {"order-router-main", "order-router-other"}
    await rig.pass_on()
    rig.routers.fill(REST_MAIN, "1")
    await rig.pass_on()
    assert rig.routers.trades[HEDGE_OTHER].qty == Decimal(1)
    assert rig.desk.snapshot()[0]["phase"] == "hedging"
    rig.routers.fill(HEDGE_OTHER, "1")
    await rig.pass_on()
    end = rig.routers.told()
    assert end.success
    assert end.detail == "main:BTCUSDT: 1 of 1 at 60000.00; other:BTCUSDT: 1 of 1.000 at 60000.00"
    assert rig.kinds() == ["spread", "spread_trigger", "spread_done"]
    assert [one.severity for one in alerts_for(end)] == [Severity.LOW]
    await rig.desk.requested(request())
    await rig.pass_on()
    assert rig.kinds() == ["spread", "spread_trigger", "spread_done"]


@pytest.mark.parametrize("died_at", range(4))
async def test_a_keeper_that_dies_goes_on_where_it_was(rig: Rig, died_at: int) -> None:
    async def die(at: int) -> None:
        if at == died_at:
            await rig.boot()
            await rig.desk.beat()

    await rig.desk.requested(request())
    await die(0)
    await rig.pass_on()
    rig.routers.fill(REST_MAIN, "1")
    await die(1)
    await rig.pass_on()
    await die(2)
    rig.routers.fill(HEDGE_OTHER, "0.4")
    await rig.pass_on()
    await die(3)
    end = rig.routers.told()
    assert not end.success
    assert set(rig.routers.trades) == {REST_MAIN, REST_OTHER, HEDGE_OTHER}
    assert "could not be filled: other:BTCUSDT" in end.error
    assert end.detail.endswith("other:BTCUSDT: 0.4 of 1.000 at 60000.00, 0.600 missing")
    assert [one.severity for one in alerts_for(end)] == [Severity.HIGH]
    assert sorted(rig.kinds()) == ["spread", "spread_done", "spread_trigger"]
    assert [(one["spread_id"], one["phase"]) for one in rig.desk.snapshot()] == [("s1", "done")]


async def test_time_ends_the_window_and_what_was_not_heard_is_told_again(rig: Rig) -> None:
    await rig.desk.requested(request())
    before = len(rig.routers.heard)
    await rig.desk.beat()
    assert len(rig.routers.heard) == before + 2
    await rig.clock.advance(60_000)
    await rig.desk.beat()
    await rig.pass_on()
    assert not rig.routers.told().success


async def test_it_can_be_stopped_and_stays_stopped(rig: Rig) -> None:
    await rig.desk.requested(request())
    await rig.pass_on()
    await rig.desk.stopped(SpreadStopped(account="main", spread_id="s1", ts_ms=0))
    await rig.desk.stopped(SpreadStopped(account="main", spread_id="s7", ts_ms=0))
    await rig.boot()
    await rig.desk.beat()
    await rig.pass_on()
    assert rig.routers.told().error.startswith("nothing filled")
    assert rig.kinds() == ["spread", "spread_stop", "spread_done"]


async def test_a_leg_that_filled_while_it_was_taken_back_is_rolled_back_too(rig: Rig) -> None:
    await rig.desk.requested(request(rollback_on_partial=True))
    await rig.pass_on()
    rig.routers.fill(REST_MAIN, "1")
    rig.routers.fill(REST_OTHER, "0.2")
    await rig.pass_on()
    assert rig.routers.trades[HEDGE_OTHER].qty == Decimal("0.8")
    rig.routers.fill(HEDGE_OTHER, "0.1")
    await rig.pass_on()
    backs = {key: one.qty for key, one in rig.routers.trades.items() if key.endswith(":rollback")}
    assert list(backs.values()) == [Decimal(1), Decimal("0.3")]
    for key, qty in backs.items():
        rig.routers.fill(key, str(qty))
    await rig.pass_on()
    assert rig.routers.told().rolled_back


async def test_a_request_that_makes_no_sense_begins_nothing_and_says_so(rig: Rig) -> None:
    await rig.desk.requested(request(legs=request().legs[:1]))
    assert "legs" in rig.routers.told().error
    assert list(rig.routers.trades) == []


async def test_a_request_that_cannot_be_recorded_is_begun_when_it_can(rig: Rig) -> None:
    rig.journal.available = False
    with pytest.raises(JournalUnavailable):
        await rig.desk.requested(request())
    assert rig.routers.heard == []
    rig.journal.available = True
    await rig.desk.beat()
    assert set(rig.routers.trades) == {REST_MAIN, REST_OTHER}


async def test_a_request_is_not_begun_after_its_window(rig: Rig) -> None:
    rig.venue.failing = 1
    with pytest.raises(VenueError):
        await rig.desk.requested(request())
    await rig.clock.advance(60_000)
    await rig.desk.beat()
    assert "within its window" in rig.routers.told().error
    await rig.desk.requested(request(spread_id="s2"))
    assert list(rig.routers.trades) == []


async def test_reports_that_are_old_or_of_others_change_nothing(rig: Rig) -> None:
    await rig.desk.requested(request())
    await rig.pass_on()
    trade = rig.routers.trades[REST_MAIN]
    rig.routers.fill(REST_MAIN, "0.5", final=False)
    await rig.pass_on()
    await rig.desk.reported(rig.routers.report(trade, "0.2"))
    await rig.desk.reported(rig.routers.report(trade.model_copy(update={"trade_id": "manual-7"}), "0.2"))
    assert f"{REST_MAIN}: 0.5 of 1;" in str(rig.desk.snapshot()[0]["detail"])


async def test_only_the_newest_ended_are_kept(rig: Rig) -> None:
    for number in range(103):
        await rig.desk.requested(request(spread_id=f"s{number}", window_ms=1, ts_ms=rig.clock.now_ms()))
        await rig.clock.advance(1)
        await rig.desk.beat()
        for report in list(rig.routers.reports.values()):
            await rig.desk.reported(report)
    assert len(rig.desk.snapshot()) == 100
