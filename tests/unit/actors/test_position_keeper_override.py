"""A person's word on a target: held exactly, while the policy goes on deciding; ended by time or by a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.alert_rules import alerts_for
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import AlertRaised, SetTarget, TargetOverridden
from hedgelock_actors.ports.journal import Entry
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL
from tests.unit.actors.test_position_keeper import KEEPER, Desk

HOUR_MS = 3_600_000


def word(desk: Desk, short: str | None, version: int = 1, for_ms: int = HOUR_MS, who: str = "ada") -> TargetOverridden:
    now_ms = desk.clock.now_ms()
    return TargetOverridden(
        account=ACCOUNT,
        symbol=SYMBOL,
        override_id=f"o{version}",
        version=version,
        ts_ms=now_ms,
        target_short_qty=None if short is None else Decimal(short),
        expires_ms=now_ms + for_ms,
        who=who,
        reason="exchange drill",
    )


async def on_record(journal: MemoryJournal, *overrides: TargetOverridden) -> None:
    epoch = await journal.open("control")
    payload = {"overrides": [one.model_dump(mode="json") for one in overrides]}
    key = "-".join(f"{one.account}{one.version}" for one in overrides)
    await journal.append("control", epoch, [Entry(kind="override", key=key, ts_ms=1, account="", payload=payload)])


async def begun(desk: Desk) -> Desk:
    await desk.keeper.start()
    await desk.seconds(1)
    return desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = await begun(Desk())
    yield desk
    await desk.keeper.stop()
    await desk.clock.stop()


def stated(desk: Desk) -> SetTarget:
    return desk.transport.messages(SetTarget, "router")[-1]


def told(desk: Desk) -> list[TargetOverridden]:
    return desk.transport.messages(TargetOverridden, "notifier")


async def test_the_target_is_exactly_what_the_person_says_and_says_who(desk: Desk) -> None:
    await desk.demand("1.5")
    await desk.keeper.receive(word(desk, "3.2"))
    assert (stated(desk).target_short_qty, stated(desk).version) == (Decimal("3.2"), 2)
    assert stated(desk).reason == "held by ada: exchange drill"
    assert stated(desk).exact
    assert desk.keeper.snapshot()["override"]["override_id"] == "o1"  # type: ignore[index]
    assert [one.version for one in told(desk)] == [1]


async def test_a_repeated_or_older_word_changes_nothing(desk: Desk) -> None:
    await desk.keeper.receive(word(desk, "3.2", version=2))
    before = desk.kinds().count("target")
    await desk.keeper.receive(word(desk, "3.2", version=2))
    await desk.keeper.receive(word(desk, "0.1", version=1))
    await desk.seconds(3)
    assert stated(desk).target_short_qty == Decimal("3.2")
    assert desk.kinds().count("target") == before
    assert len(told(desk)) == 1


async def test_the_policy_goes_on_deciding_and_its_own_target_stands_the_moment_the_override_is_over(
    desk: Desk,
) -> None:
    await desk.demand("1.5")
    await desk.keeper.receive(word(desk, "3.2", for_ms=10_000))
    await desk.demand("2.5")
    assert stated(desk).target_short_qty == Decimal("3.2")
    assert desk.kinds().count("target_withheld") == 1
    assert desk.keeper.snapshot()["policy_short_qty"] == "2.500"
    await desk.seconds(9)
    assert stated(desk).target_short_qty == Decimal("3.2")
    await desk.seconds(2)
    assert (stated(desk).target_short_qty, stated(desk).version) == (Decimal("2.500"), 4)
    assert desk.keeper.snapshot()["override"] is None
    assert [one.target_short_qty for one in told(desk)] == [Decimal("3.2"), None]
    assert told(desk)[-1].reason == "its time is over"


async def test_a_lifted_override_ends_at_once(desk: Desk) -> None:
    await desk.demand("1.5")
    await desk.keeper.receive(word(desk, "3.2"))
    await desk.keeper.receive(word(desk, None, version=2, who="bob"))
    assert stated(desk).target_short_qty == Decimal("1.5")
    assert "bob" in stated(desk).reason
    assert not stated(desk).exact
    await desk.seconds(3)
    assert len(told(desk)) == 2


async def test_flat_is_held_until_it_expires_and_a_critical_alert_says_what_is_missing(desk: Desk) -> None:
    await desk.demand("1.5")
    await desk.keeper.receive(word(desk, "0"))
    assert stated(desk).target_short_qty == 0
    await desk.demand("1.8")
    await desk.demand("2.4")
    assert stated(desk).target_short_qty == 0
    alerts = desk.transport.messages(AlertRaised, "notifier")
    assert [one.severity for one in alerts] == [Severity.CRITICAL], "once in a while, not with every tick"
    assert "ada" in alerts[0].body
    assert "1.5" in alerts[0].body


async def test_an_override_above_the_floor_is_no_alarm(desk: Desk) -> None:
    await desk.demand("1.5")
    await desk.keeper.receive(word(desk, "3"))
    assert desk.transport.messages(AlertRaised, "notifier") == []
    [begin] = [alert for one in told(desk) for alert in alerts_for(one)]
    assert (begin.severity, begin.account) == (Severity.HIGH, ACCOUNT)


async def test_a_restarted_keeper_reads_the_override_from_the_record_and_holds_it(desk: Desk) -> None:
    await desk.demand("1.5")
    override = word(desk, "3.2", for_ms=60_000)
    await on_record(desk.journal, override, word(desk, "9", version=1).model_copy(update={"account": "other"}))
    await desk.keeper.stop()
    desk.transport.forget()
    desk.keeper = desk.build()
    await begun(desk)
    assert stated(desk).target_short_qty == Decimal("3.2")
    version = stated(desk).version
    await desk.keeper.stop()
    desk.keeper = desk.build()
    await begun(desk)
    assert (stated(desk).target_short_qty, stated(desk).version) == (Decimal("3.2"), version)
    await desk.seconds(60)
    assert stated(desk).target_short_qty == Decimal("1.5"), "the policy's target was remembered across both deaths"


async def test_an_override_that_ran_out_while_the_keeper_was_away_ends_at_its_start(desk: Desk) -> None:
    await desk.demand("1.5")
    override = word(desk, "3.2", for_ms=5_000)
    await on_record(desk.journal, override)
    await desk.keeper.receive(override)
    await desk.keeper.stop()
    await desk.clock.advance(10_000)
    desk.keeper = desk.build()
    await begun(desk)
    assert stated(desk).target_short_qty == Decimal("1.5")


async def test_an_override_before_the_first_decision_stands_until_the_policy_decides(desk: Desk) -> None:
    await desk.keeper.receive(word(desk, "1.2345", for_ms=5_000))
    assert stated(desk).target_short_qty == Decimal("1.234"), "on the lot grid, never more than was asked"
    await desk.seconds(6)
    assert stated(desk).target_short_qty == Decimal("1.234")
    said = await desk.demand("2")
    assert said is not None
    assert said.target_short_qty == 2


async def test_without_its_journal_no_override_is_stated_and_with_it_again_it_is(desk: Desk) -> None:
    await desk.demand("1.5")
    desk.journal.available = False
    await desk.keeper.receive(word(desk, "3.2"))
    assert stated(desk).target_short_qty == Decimal("1.5")
    desk.journal.available = True
    await desk.seconds(1)
    assert stated(desk).target_short_qty == Decimal("3.2")
    assert [row.kind for row in desk.journal.rows(KEEPER)].count("target") == 2


async def test_a_new_override_replaces_the_old_one_and_is_told(desk: Desk) -> None:
    await desk.keeper.receive(word(desk, "3.2"))
    await desk.keeper.receive(word(desk, "1.1", version=2))
    assert stated(desk).target_short_qty == Decimal("1.1")
    assert [one.version for one in told(desk)] == [1, 2]


async def test_the_level_of_the_loans_still_reaches_the_router(desk: Desk) -> None:
    await desk.demand("1.5")
    await desk.keeper.receive(word(desk, "3.2"))
    await desk.demand("1.5", level=RiskLevel.CRITICAL)
    assert (stated(desk).level, stated(desk).target_short_qty) == (RiskLevel.CRITICAL, Decimal("3.2"))
