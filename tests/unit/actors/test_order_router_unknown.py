"""Orders of which nobody knows: counted, looked for, sent again, and in the end either found or held absent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.domain.execution_policy import ChasePolicy, Mode, PassivePolicy
from hedgelock_actors.domain.messages import ForeignActivityAcknowledged, TradingStateChanged
from hedgelock_actors.domain.order import CancelOutcome, Side, TimeInForce, Unknown
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.ports.venue import StreamLost
from tests.unit.actors.fake_venue import ACCOUNT
from tests.unit.actors.order_rig import AT_ONCE, Rig, always, target

RESTING = always(Mode.PASSIVE, passive=PassivePolicy(share=Decimal(1), patience_ms=600_000))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.boot()
    await rig.seconds(2)
    yield rig
    await rig.close()


async def lose_one(rig: Rig) -> None:
    """A sell of 1 gets lost, and is not needed any more."""
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.give(target(2, "0", rig.now_ms))


def counted(rig: Rig) -> str:
    assert rig.router is not None
    return str(rig.router.snapshot()["working_sell_qty"])


async def test_what_is_not_needed_counts_until_it_is_too_late_to_arrive_and_everything_agrees(rig: Rig) -> None:
    await lose_one(rig)
    await rig.seconds(60)
    assert counted(rig) == "1.000"
    await rig.seconds(120)
    assert counted(rig) == "0"
    [absent] = await rig.records("absent")
    assert absent["why"] == "looked for, not found, and too late to arrive"
    assert len(rig.venue.sent) == 1
    await rig.give(target(3, "0.4", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == Decimal("0.4")
    assert len({one.order_link_id for one in rig.venue.sent}) == 2


async def test_while_the_venue_does_not_answer_nothing_is_held_absent(rig: Rig) -> None:
    await lose_one(rig)
    rig.venue.failing_names = {"find_order"}
    await rig.seconds(300)
    assert counted(rig) == "1.000"


async def test_while_the_position_does_not_agree_nothing_is_held_absent(rig: Rig) -> None:
    await lose_one(rig)
    rig.venue.failing_names = {"position"}
    await rig.seconds(300)
    assert counted(rig) == "1.000"


async def test_what_was_held_absent_and_fills_after_all_counts_at_once(rig: Rig) -> None:
    await lose_one(rig)
    await rig.seconds(180)
    [request] = rig.venue.sent
    done = rig.venue.happen(Side.SELL, "1")
    rig.venue.executed[-1] = done.__class__(
        **{name: getattr(done, name) for name in done.__dataclass_fields__} | {"order_link_id": request.order_link_id}
    )
    await rig.venue.give(rig.venue.executed[-1])
    await rig.seconds(2)
    assert rig.short == 0, "it is bought back like any other short that is too much"
    assert rig.events("external_fill") == []


async def test_f42_after_a_day_only_a_person_can_tell(rig: Rig) -> None:
    await lose_one(rig)
    await rig.crash()
    await rig.clock.advance(90_000_000)
    await rig.boot()
    await rig.seconds(300)
    assert counted(rig) == "1.000"
    assert len(rig.events("unresolved")) >= 1


def found_out(rig: Rig, link: str) -> ForeignActivityAcknowledged:
    return ForeignActivityAcknowledged(
        account=ACCOUNT, ts_ms=rig.now_ms, who="ada", reason="support says it never arrived", order_link_id=link
    )


async def test_f42_a_person_who_found_out_clears_it_for_good(rig: Rig) -> None:
    await lose_one(rig)
    await rig.crash()
    await rig.clock.advance(90_000_000)
    await rig.boot()
    await rig.seconds(10)
    [request] = rig.venue.sent
    await rig.give(found_out(rig, "hl-another"))
    assert counted(rig) == "1.000"
    await rig.give(found_out(rig, request.order_link_id))
    assert counted(rig) == "0"
    [absent] = await rig.records("absent")
    assert absent["why"] == "ada has looked for it: support says it never arrived"
    await rig.crash()
    await rig.boot()
    await rig.seconds(5)
    assert counted(rig) == "0"
    await rig.give(target(3, "0.4", rig.now_ms))
    await rig.seconds(5)
    assert rig.short == Decimal("0.4")


async def test_f42_nobody_clears_what_may_still_arrive_or_what_the_venue_knows(rig: Rig) -> None:
    await lose_one(rig)
    [lost] = rig.venue.sent
    await rig.seconds(30)
    await rig.give(found_out(rig, lost.order_link_id))
    assert counted(rig) == "1.000"
    await rig.seconds(150)
    await rig.give(target(3, "0.4", rig.now_ms))
    await rig.seconds(200)
    known = rig.venue.sent[-1]
    await rig.give(found_out(rig, known.order_link_id))
    await rig.seconds(2)
    assert rig.short == Decimal("0.4")
    assert [one["order_link_id"] for one in await rig.records("absent")] == [lost.order_link_id]


async def test_a_buy_that_nobody_knows_of_does_not_stop_protection() -> None:
    chase = always(Mode.LIMIT_CHASE, limit_chase=ChasePolicy())
    rig = Rig(policy=chase)
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(10)
    assert rig.short == 1
    rig.venue.answers = ["lost"]
    await rig.give(target(2, "0.5", rig.now_ms))
    assert rig.venue.sent[-1].side is Side.BUY
    await rig.give(target(3, "1", rig.now_ms))
    await rig.seconds(12)
    await rig.give(target(4, "1.5", rig.now_ms))
    await rig.seconds(8)
    assert rig.short == Decimal("1.5")
    await rig.close()


async def test_after_a_crash_a_resting_order_that_got_lost_is_sent_again_only_to_fill_at_once() -> None:
    rig = Rig(policy=RESTING)
    await rig.boot()
    await rig.seconds(2)
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.crash()
    await rig.boot()
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(15)
    first, again = rig.venue.sent
    assert first.order_link_id == again.order_link_id
    assert (first.time_in_force, again.time_in_force) == (TimeInForce.POST_ONLY, TimeInForce.IOC)
    assert rig.short == 1
    await rig.close()


async def test_a_resting_order_of_the_strategy_at_work_that_got_lost_is_sent_again_to_rest() -> None:
    rig = Rig(policy=RESTING)
    await rig.boot()
    await rig.seconds(2)
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(15)
    first, again = rig.venue.sent
    assert first.order_link_id == again.order_link_id
    assert again.time_in_force is TimeInForce.POST_ONLY
    assert len(rig.venue.resting()) == 1
    await rig.close()


async def test_a_resend_never_pays_more_than_we_may_and_follows_the_market() -> None:
    rig = Rig(policy=AT_ONCE)
    await rig.boot()
    await rig.seconds(2)
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(15, price=60_600)
    first, again = rig.venue.sent
    assert first.price == Decimal("59940.00")
    assert again.price == Decimal(60_600) * (1 - rig.policy.limits.max_slippage_bps / 10_000)
    await rig.close()


async def test_in_real_time_a_cancel_without_an_answer_holds_up_no_order() -> None:
    rig = Rig(policy=RESTING, paced=False)
    await rig.boot()
    await asyncio.sleep(0.01)
    await rig.price()
    await rig.give(target(1, "1", rig.now_ms))
    await asyncio.sleep(0.01)
    await rig.venue.push()
    assert len(rig.venue.resting()) == 1
    asked = asyncio.Event()

    async def never(symbol: str, order_link_id: str) -> CancelOutcome:
        asked.set()
        await asyncio.Event().wait()
        return Unknown("never")

    rig.venue.cancel = never  # type: ignore[method-assign]
    await rig.give(TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=0, reason="test"))
    await asyncio.sleep(0.01)
    assert asked.is_set()
    await rig.give(TradingStateChanged(mode=TradingMode.ACTIVE, epoch=2, ts_ms=0, reason="over"))
    await asyncio.sleep(0.01)
    assert rig.router is not None
    assert rig.router.snapshot()["trading_mode"] == "ACTIVE"
    await rig.clock.advance(3_000)
    await rig.price()
    await rig.give(target(2, "3", rig.now_ms))
    await asyncio.sleep(0.02)
    assert len(rig.venue.sent) == 2, "more protection went out while the cancel was still waiting"
    await rig.close()


async def test_a_lost_stream_forbids_opening_also_for_an_order_that_is_about_to_be_sent(rig: Rig) -> None:
    append = rig.journal.append

    async def append_and_lose_the_stream(stream: str, epoch: int, entries: object) -> object:
        done = await append(stream, epoch, entries)  # type: ignore[arg-type]
        asyncio.get_running_loop().create_task(rig.venue.give(StreamLost(reason="cut")))
        await asyncio.sleep(0)
        return done

    rig.journal.append = append_and_lose_the_stream  # type: ignore[method-assign,assignment]
    await rig.give(target(1, "1", rig.now_ms))
    assert rig.venue.sent == []
    rig.journal.append = append  # type: ignore[method-assign]
    await rig.seconds(4)
    assert rig.short == 1
