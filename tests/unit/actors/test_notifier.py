"""Alerts: told once, kept, louder ones at once, and never lost for want of a journal."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.messages import AlertRaised, OrderEvent, TreasuryActed
from hedgelock_actors.notifier import Notifier
from hedgelock_actors.ports.channel import DeliveryFailed
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, tick


class Channel:
    """Keeps what it was given, or fails."""

    def __init__(self, name: str = "console") -> None:
        self.name = name
        self.got: list[AlertRaised] = []
        self.failing = False

    async def deliver(self, alert: AlertRaised) -> None:
        if self.failing:
            raise DeliveryFailed("down")
        self.got.append(alert)


def refused(ts_ms: int, detail: str = "ORDER_QTY") -> OrderEvent:
    return OrderEvent(account=ACCOUNT, symbol=SYMBOL, ts_ms=ts_ms, event="refused", order_link_id="hl-1", detail=detail)


async def started(*channels: Channel, journal: MemoryJournal | None = None) -> Notifier:
    notifier = Notifier("notifier", channels, journal=journal or MemoryJournal(), clock=ManualClock())
    await notifier.start()
    return notifier


async def test_the_same_thing_is_told_once_in_the_window() -> None:
    channel = Channel()
    notifier = await started(channel)
    for second in range(0, 600, 30):
        await notifier.receive(refused(second * 1000))
    assert [alert.ts_ms for alert in channel.got] == [0, 300_000]
    assert notifier.health().counters["repeated"] == 18


async def test_what_no_person_needs_to_know_is_not_told() -> None:
    channel = Channel()
    notifier = await started(channel)
    await notifier.receive(tick(1))
    assert channel.got == []


async def test_a_shortfall_is_critical_and_names_the_sum() -> None:
    channel = Channel()
    notifier = await started(channel)
    await notifier.receive(
        TreasuryActed(
            account=ACCOUNT,
            ts_ms=1,
            action_id="a",
            action="sweep_short_of_cash",
            amount_usdt=Decimal(0),
            shortfall_usdt=Decimal("123.45"),
            lender_ltv_before=0.46,
            lender_ltv_after=0.46,
            detail="",
        )
    )
    assert channel.got[0].severity.value == "CRITICAL"
    assert "123.45" in channel.got[0].body


async def test_f70_one_channel_down_the_other_tells_and_both_down_is_a_state() -> None:
    good, bad = Channel("good"), Channel("bad")
    bad.failing = True
    notifier = await started(bad, good)
    await notifier.receive(refused(1))
    assert len(good.got) == 1
    assert notifier.health().counters["failed_bad"] == 1
    assert notifier.health().status == "ready"
    good.failing = True
    await notifier.receive(refused(400_000))
    assert notifier.health().status == "degraded"
    assert notifier.snapshot()["undelivered"] == 1


async def test_f70_what_nobody_heard_is_told_again_until_somebody_does_and_is_a_state_meanwhile() -> None:
    clock, channel = ManualClock(), Channel()
    notifier = Notifier("notifier", [channel], journal=MemoryJournal(), clock=clock)
    await notifier.start()
    channel.failing = True
    await notifier.receive(refused(1))
    await notifier.receive(refused(400_000))
    await clock.advance(20_000)
    assert (notifier.health().status, notifier.snapshot()["undelivered"]) == ("degraded", 2)
    channel.failing = False
    await clock.advance(6_000)
    assert [alert.ts_ms for alert in channel.got] == [1, 400_000]
    assert (notifier.health().status, notifier.snapshot()["undelivered"]) == ("ready", 0)
    await clock.advance(20_000)
    assert len(channel.got) == 2
    await notifier.stop()


async def test_without_the_journal_people_are_told_all_the_same() -> None:
    channel, journal = Channel(), MemoryJournal()
    notifier = await started(channel, journal=journal)
    journal.available = False
    await notifier.receive(refused(1))
    assert len(channel.got) == 1
    assert notifier.health().status == "degraded"


async def test_alerts_of_a_journal_outage_are_written_once_it_is_back() -> None:
    clock, journal = ManualClock(), MemoryJournal()
    notifier = Notifier("notifier", [], journal=journal, clock=clock)
    await notifier.start()
    journal.available = False
    await notifier.receive(refused(1))
    await clock.advance(6_000)
    assert notifier.health().status == "degraded"
    journal.available = True
    await clock.advance(6_000)
    assert notifier.health().status == "ready"
    assert [row.kind for row in journal.rows("notifier")] == ["alert"]
    await notifier.stop()


async def test_a_notifier_that_started_without_the_journal_takes_up_what_was_told_before() -> None:
    clock, journal, channel = ManualClock(), MemoryJournal(), Channel()
    first = await started(channel, journal=journal)
    await first.receive(refused(1_000))
    journal.available = False
    second = Notifier("notifier", [channel], journal=journal, clock=clock)
    await second.start()
    assert second.health().status == "degraded"
    journal.available = True
    await clock.advance(6_000)
    assert second.health().status == "ready"
    await second.receive(refused(2_000))
    assert len(channel.got) == 1
    await second.stop()


async def test_a_restart_repeats_nothing_and_shows_the_same() -> None:
    channel, journal = Channel(), MemoryJournal()
    first = await started(channel, journal=journal)
    await first.receive(refused(1_000))
    second = await started(channel, journal=journal)
    await second.receive(refused(2_000))
    assert len(channel.got) == 1
    assert second.snapshot()["alerts"] == first.snapshot()["alerts"]


async def test_only_the_last_two_hundred_are_shown() -> None:
    notifier = await started()
    for n in range(250):
        await notifier.receive(refused(n * 400_000))
    alerts = notifier.snapshot()["alerts"]
    assert isinstance(alerts, list)
    assert len(alerts) == 200
    assert alerts[0]["ts_ms"] == 249 * 400_000
