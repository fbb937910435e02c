"""The small parts of the order router: its ledger's memory, its alarm, its notes, its view of a resend."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.position import Execution, PositionFold
from hedgelock_actors.execution_ledger import FOLD_AT, KEPT_MS, ExecutionLedger
from hedgelock_actors.ports.journal import JournalUnavailable
from hedgelock_actors.ports.venue import PositionView
from hedgelock_actors.routing.alerts import ALERT_AGAIN_MS, ALERTS_KEPT, RouterAlerts
from hedgelock_actors.routing.notes import RouterNotes
from hedgelock_actors.routing.timer import Alarm

SYMBOL, DAY_MS = "BTCUSDT", 86_400_000
MIDNIGHT_MS = 19_675 * DAY_MS


def fill(number: int, ts_ms: int, side: Side = Side.SELL, qty: str = "0.001", price: int = 60_000) -> Execution:
    return Execution(
        symbol=SYMBOL, exec_id=f"x{number}", order_id="o", order_link_id="l", side=side, qty=Decimal(qty),
        price=Decimal(price), fee=Decimal("0.01"), exec_type="Trade", is_maker=False, ts_ms=ts_ms,
        closed_size=Decimal(0), create_type="",
    )  # fmt: skip


def flat(ts_ms: int) -> PositionView:
    zero = Decimal(0)
    return PositionView(
        symbol=SYMBOL, ts_ms=ts_ms, signed_qty=zero, entry_price=zero, mark=Decimal(60_000), unrealised_pnl=zero,
        liquidation_price=None,
    )  # fmt: skip


async def ledger_of(journal: MemoryJournal) -> tuple[ExecutionLedger, JournalStream]:
    stream = JournalStream(journal, "router")
    await stream.open()
    return ExecutionLedger(stream, "main", SYMBOL, "execution"), stream


async def test_the_ledger_forgets_single_fills_and_never_their_sum() -> None:
    journal = MemoryJournal()
    ledger, stream = await ledger_of(journal)
    await ledger.open_with(flat(MIDNIGHT_MS))
    every_ms, count = 5_000, 3 * FOLD_AT
    fills = [fill(number, MIDNIGHT_MS + number * every_ms) for number in range(count)]
    for start in range(0, count, 500):
        await ledger.book(fills[start : start + 500])
    assert len(ledger.fold.executions) < FOLD_AT + KEPT_MS // every_ms + 2
    assert len(ledger.fold.keys) == len(ledger.fold.executions)
    assert ledger.fold.signed_qty == Decimal("-0.001") * count
    assert ledger.fold.fees == Decimal("0.01") * count
    assert await ledger.book(fills) == [], "what is forgotten is too old to be counted again"
    assert ledger.fold.signed_qty == Decimal("-0.001") * count
    again, _ = await ledger_of(journal)
    async for record in stream.read():
        again.replay(record)
    assert again.fold == ledger.fold


def test_a_settled_fold_goes_on_like_one_that_remembers_all() -> None:
    fills = [fill(number, number, Side.SELL if number % 3 else Side.BUY, price=60_000 + number) for number in range(30)]
    whole = PositionFold(SYMBOL).apply_all(fills)
    part = PositionFold(SYMBOL).apply_all(fills[:20]).settle(12)
    assert len(part.executions) == 8
    assert part.settle(12) is part
    assert part.apply_all(reversed(fills[20:])).state == whole.state


async def test_what_the_opening_has_is_decided_by_the_venue_s_time_alone() -> None:
    journal = MemoryJournal()
    ledger, stream = await ledger_of(journal)
    await ledger.open_with(flat(MIDNIGHT_MS))
    assert await ledger.book([fill(1, MIDNIGHT_MS - 1)]) == [], "it is in the position that was taken over"
    assert len(await ledger.book([fill(2, MIDNIGHT_MS), fill(3, MIDNIGHT_MS + 1)])) == 2
    again, _ = await ledger_of(journal)
    async for record in stream.read():
        again.replay(record)
    assert again.opened_ms == ledger.opened_ms == MIDNIGHT_MS
    assert again.fold.signed_qty == Decimal("-0.002")


async def test_the_day_of_the_ledger_begins_at_midnight() -> None:
    ledger, _ = await ledger_of(MemoryJournal())
    await ledger.open_with(flat(MIDNIGHT_MS))
    assert ledger.today(MIDNIGHT_MS) == (0, 0)
    await ledger.book([fill(1, MIDNIGHT_MS + 1, qty="1"), fill(2, MIDNIGHT_MS + 2, Side.BUY, "1", 59_000)])
    assert ledger.today(MIDNIGHT_MS + 3) == (Decimal("999.98"), Decimal("0.02"))
    assert ledger.today(MIDNIGHT_MS + DAY_MS) == (0, 0)
    await ledger.book([fill(3, MIDNIGHT_MS + DAY_MS + 1, qty="1")])
    assert ledger.today(MIDNIGHT_MS + DAY_MS + 2) == (Decimal("-0.01"), Decimal("0.01"))


async def test_an_alarm_rings_once_at_the_time_last_set() -> None:
    clock, rung = ManualClock(), []

    async def ring() -> None:
        rung.append(clock.now_ms())

    alarm, start_ms = Alarm(clock, ring), clock.now_ms()
    alarm.set(start_ms + 500)
    alarm.set(start_ms + 200)
    alarm.set(start_ms + 200)
    await clock.advance(1_000)
    assert rung == [start_ms + 200]
    alarm.set(clock.now_ms() + 100)
    alarm.set(None)
    await clock.advance(1_000)
    assert len(rung) == 1
    alarm.set(0)
    await clock.advance(1)
    assert len(rung) == 2, "a time that has passed is due at once"
    await clock.stop()


async def test_what_is_owed_is_written_before_anything_else() -> None:
    journal, clock = MemoryJournal(), ManualClock()
    stream = JournalStream(journal, "router")
    await stream.open()
    notes = RouterNotes(stream, "main", clock)
    journal.available = False
    with pytest.raises(JournalUnavailable):
        await notes.note_later("fact", "a", {})
    with pytest.raises(JournalUnavailable):
        await notes.note("intent", "b", {})
    journal.available = True
    await notes.note("intent", "b", {})
    assert [row.key for row in journal.rows("router")] == ["a", "b"]


def test_the_same_alert_is_told_again_after_ten_minutes_and_memory_is_bounded() -> None:
    clock = ManualClock()
    alerts = RouterAlerts("main", SYMBOL, clock)
    for _ in range(3):
        alerts.once("refused", "HALTED", "halted", "link")
    assert len(alerts.take()) == 1
    clock._now_ms += ALERT_AGAIN_MS
    alerts.once("refused", "HALTED", "halted", "link")
    assert len(alerts.take()) == 1
    alerts.forget("refused", "HALTED")
    alerts.once("refused", "HALTED", "halted", "link")
    assert len(alerts.take()) == 1
    for number in range(ALERTS_KEPT + 50):
        alerts.once("rejected", str(number), "no")
    assert len(alerts._told_ms) == ALERTS_KEPT
