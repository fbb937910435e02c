"""Orders that rest: posted, moved, filled in parts, pulled when they must be, and never left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.execution_policy import Mode, PassivePolicy
from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import FeedStale, TradingStateChanged
from hedgelock_actors.domain.order import OrderRequest, OrderStatus, OrderType, Side, SubmitOutcome, TimeInForce
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.venue import StreamLost, StreamRestored
from tests.unit.actors.fake_venue import SYMBOL, tick
from tests.unit.actors.order_rig import Rig, always, target

# All of the goal rests, and stays where it is unless the market leaves it.
PATIENT = PassivePolicy(share=Decimal(1), patience_ms=600_000, run_away_bps=Decimal(100))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(policy=always(Mode.PASSIVE, passive=PATIENT))
    await rig.boot()
    await rig.seconds(2)
    yield rig
    await rig.close()


async def resting(rig: Rig, qty: str = "1") -> str:
    """A target whose order rests; its id."""
    await rig.give(target(1, qty, rig.now_ms))
    await rig.venue.push()
    [taken] = rig.venue.resting()
    assert rig.short == 0
    return taken.request.order_link_id


async def test_a_calm_target_rests_better_than_the_mid_and_counts_as_filled(rig: Rig) -> None:
    await resting(rig)
    [sent] = rig.venue.sent
    assert (sent.side, sent.time_in_force, sent.qty) == (Side.SELL, TimeInForce.POST_ONLY, Decimal("1.000"))
    assert sent.price is not None
    assert sent.price > 60_000
    assert rig.router is not None
    view = rig.router.snapshot()
    assert view["working_sell_qty"] == "1.000"
    assert [row["order_link_id"] for row in view["resting"]] == [sent.order_link_id]  # type: ignore[attr-defined]
    assert view["strategy"]["mode"] == "passive"  # type: ignore[index]
    await rig.seconds(20)
    assert len(rig.venue.sent) == 1


async def test_it_fills_in_parts_and_is_done(rig: Rig) -> None:
    await resting(rig)
    rig.venue.hit("0.3")
    await rig.seconds(2)
    rig.venue.hit("0.7")
    await rig.seconds(2)
    assert rig.short == 1
    assert len(rig.venue.sent) == 1
    [done] = await rig.records("strategy_done")
    assert (done["success"], done["strategy"], done["filled_qty"]) == (True, "passive", "1.0")
    assert rig.router is not None
    assert rig.router.snapshot()["strategy"] is None


async def test_a_price_that_asks_for_nothing_does_not_touch_the_journal(rig: Rig) -> None:
    await resting(rig)
    await rig.seconds(1)
    before = len(rig.kinds())
    await rig.seconds(25)
    assert len(rig.kinds()) == before


async def test_it_follows_the_market_by_amending_and_says_so_in_the_journal_first(rig: Rig) -> None:
    link = await resting(rig)
    rig.venue.touch = (Decimal("59939.9"), Decimal("59940.1"))
    await rig.seconds(5, price=59_940)
    assert rig.venue.amended
    assert {one.order_link_id for one in rig.venue.amended} == {link}
    assert rig.kinds().count("amend") == len(rig.venue.amended)
    assert len(rig.venue.sent) == 1
    [taken] = rig.venue.resting()
    assert taken.request.price is not None
    assert taken.request.price < 60_000


async def test_an_amendment_that_comes_too_late_changes_no_quantity(rig: Rig) -> None:
    await resting(rig)
    rig.venue.hit("1")
    rig.venue.silent = True
    await rig.seconds(3, price=59_940)
    rig.venue.silent = False
    await rig.seconds(40, price=59_940)
    assert rig.short == 1
    assert len(rig.venue.sent) == 1


async def test_when_the_level_becomes_critical_it_turns_aggressive_at_once(rig: Rig) -> None:
    await resting(rig)
    await rig.give(target(2, "1", rig.now_ms, RiskLevel.CRITICAL))
    await rig.venue.push()
    await rig.seconds(2)
    assert rig.short == 1
    assert [one.time_in_force for one in rig.venue.sent] == [TimeInForce.POST_ONLY, TimeInForce.IOC]
    assert len({one.intent_id for one in rig.venue.sent}) == 1


async def test_a_post_only_order_that_would_have_crossed_is_priced_anew_and_nothing_is_held_back(rig: Rig) -> None:
    rig.venue.touch = (Decimal(60_100), Decimal("60100.2"))
    await rig.give(target(1, "1", rig.now_ms))
    await rig.venue.push()
    assert rig.venue.taken[rig.venue.sent[0].order_link_id].view is not None
    assert rig.events("rejected") == []
    await rig.seconds(3)
    assert len(rig.venue.resting()) == 1
    assert 1 < len(rig.venue.sent) <= 3
    assert len({one.order_link_id for one in rig.venue.sent}) == len(rig.venue.sent)


async def test_another_target_ends_the_order_and_the_rest_is_decided_anew(rig: Rig) -> None:
    link = await resting(rig)
    rig.venue.hit("0.2")
    await rig.venue.push()
    await rig.give(target(2, "0.5", rig.now_ms))
    await rig.venue.push()
    assert rig.venue.cancelled == [link]
    assert [one.request.qty for one in rig.venue.resting()] == [Decimal("0.300")]
    await rig.give(target(3, "0", rig.now_ms))
    await rig.venue.push()
    await rig.venue.push()
    [back] = rig.venue.resting()
    assert (back.request.side, back.request.qty, back.request.reduce_only) == (Side.BUY, Decimal("0.200"), True)


async def test_a_target_said_again_in_a_newer_version_leaves_the_order_alone(rig: Rig) -> None:
    await resting(rig)
    for version in range(2, 6):
        await rig.give(target(version, "1", rig.now_ms))
        await rig.seconds(1)
    assert rig.venue.cancelled == []
    assert len(rig.venue.sent) == 1


async def test_a_halt_pulls_it_at_once_keeps_the_hedge_and_resuming_goes_on(rig: Rig) -> None:
    link = await resting(rig)
    rig.venue.hit("0.4")
    await rig.venue.push()
    await rig.give(TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=rig.now_ms, reason="test"))
    assert rig.venue.cancelled == [link]
    await rig.seconds(10)
    assert rig.short == Decimal("0.4")
    assert len(rig.venue.sent) == 1
    await rig.give(TradingStateChanged(mode=TradingMode.ACTIVE, epoch=2, ts_ms=rig.now_ms, reason="over"))
    await rig.seconds(2)
    [again] = rig.venue.resting()
    assert again.request.qty == Decimal("0.600")
    assert again.request.intent_id == rig.venue.sent[0].intent_id


async def test_a_cancel_is_asked_for_until_the_order_is_closed(rig: Rig) -> None:
    link = await resting(rig)
    rig.venue.deaf = 3
    await rig.give(TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=rig.now_ms, reason="test"))
    assert len(rig.venue.resting()) == 1
    assert rig.router is not None
    assert [row["order_link_id"] for row in rig.router.snapshot()["resting"]] == [link]  # type: ignore[attr-defined]
    await rig.seconds(10)
    assert rig.venue.resting() == []
    assert rig.venue.cancelled == [link] * 4, "three were lost; after the answer there is no need for more"


async def test_a_stale_feed_pulls_it_and_a_price_brings_it_back(rig: Rig) -> None:
    link = await resting(rig)
    await rig.give(FeedStale(symbol=SYMBOL, ts_ms=rig.now_ms, reason="test"))
    assert rig.venue.cancelled == [link]
    await rig.venue.push()
    assert rig.venue.resting() == []
    await rig.clock.advance(20_000)
    assert len(rig.venue.sent) == 1
    await rig.seconds(2)
    assert len(rig.venue.resting()) == 1


async def test_prices_that_only_grow_old_pull_it_too(rig: Rig) -> None:
    link = await resting(rig)
    await rig.clock.advance(rig.policy.limits.max_quote_age_ms + 2_000)
    assert rig.venue.cancelled == [link]


async def test_a_lost_stream_leaves_it_and_opens_nothing_until_all_was_compared(rig: Rig) -> None:
    await resting(rig)
    await rig.venue.give(StreamLost(reason="cut"))
    rig.venue.silent, rig.venue.failing = True, 10_000
    rig.venue.hit("0.25")
    await rig.give(target(2, "2", rig.now_ms))
    await rig.seconds(4)
    assert len(rig.venue.sent) == 1
    rig.venue.silent, rig.venue.failing = False, 0
    await rig.venue.give(StreamRestored())
    await rig.seconds(4)
    assert sum(one.request.qty for one in rig.venue.resting()) == Decimal("1.750")


async def test_an_orderly_stop_pulls_what_rests_and_keeps_the_position(rig: Rig) -> None:
    link = await resting(rig)
    rig.venue.hit("0.4")
    await rig.venue.push()
    assert rig.router is not None
    await rig.router.stop()
    assert rig.venue.cancelled == [link]
    assert rig.short == Decimal("0.4")
    assert rig.lease.stopped == 1


async def test_a_venue_that_does_not_answer_cannot_keep_a_stop_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await resting(rig)

    async def never(symbol: str, links: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("hedgelock_actors.order_router.STOP_TIMEOUT_S", 0.01)
    rig.venue.cancel_many = never  # type: ignore[method-assign,assignment]
    assert rig.router is not None
    await rig.router.stop()
    assert rig.router.health().counters["not_pulled"] == 1


async def test_after_a_crash_what_rests_is_cancelled_and_the_rest_is_worked_under_new_ids(rig: Rig) -> None:
    link = await resting(rig)
    rig.venue.hit("0.4")
    await rig.crash()
    await rig.boot()
    await rig.seconds(4)
    assert link in rig.venue.cancelled
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(3)
    [again] = rig.venue.resting()
    assert (again.request.qty, again.request.attempt) == (Decimal("0.600"), 1)
    assert again.request.intent_id == rig.venue.sent[0].intent_id
    assert rig.short == Decimal("0.4")


async def test_a_strategy_that_waits_for_an_unknown_order_does_not_keep_more_protection_waiting() -> None:
    rig = Rig(policy=always(Mode.AGGRESSIVE))
    await rig.boot()
    await rig.seconds(2)
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.give(target(2, "1.5", rig.now_ms))
    await rig.seconds(4)
    assert rig.short == Decimal("0.5"), "the first one counts as if it could still fill"
    await rig.seconds(15)
    assert rig.short == Decimal("1.5")
    given_up, *_ = await rig.records("strategy_done")
    assert (given_up["ended"], given_up["success"]) == (False, False)
    await rig.close()


async def test_half_rests_and_what_has_not_filled_in_time_is_taken() -> None:
    passive = PassivePolicy(patience_ms=10_000)
    rig = Rig(policy=always(Mode.PASSIVE, passive=passive))
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(1)
    assert rig.short == Decimal("0.5")
    await rig.seconds(15)
    assert rig.short == 1
    assert rig.venue.resting() == []
    assert {one.order_type for one in rig.venue.sent} == {OrderType.LIMIT}
    await rig.close()


async def test_reduce_only_pulls_a_resting_sell_and_leaves_a_resting_buy(rig: Rig) -> None:
    link = await resting(rig)
    rig.latch.set(TradingState(TradingMode.REDUCE_ONLY, 1, "test"))
    await rig.seconds(2)
    assert rig.venue.cancelled == [link]
    rig.latch.set(TradingState(TradingMode.ACTIVE, 2, "over"))
    await rig.seconds(2)
    rig.venue.hit("1")
    await rig.seconds(2)
    await rig.give(target(2, "0.5", rig.now_ms))
    rig.latch.set(TradingState(TradingMode.REDUCE_ONLY, 3, "test"))
    await rig.seconds(3)
    [left] = rig.venue.resting()
    assert left.request.side is Side.BUY


async def test_a_fault_of_a_strategy_gives_it_up_and_pulls_its_orders(rig: Rig) -> None:
    link = await resting(rig)
    assert rig.router is not None
    work = rig.router._parts.conductor.work
    assert work is not None

    class Broken:
        goal, mode = work.strategy.goal, work.strategy.mode

        def on(self, event: object) -> list[object]:
            raise ValueError("a bug")

    work.strategy = Broken()  # type: ignore[assignment]
    await rig.price()
    assert rig.router.health().counters["errors"] == 1
    assert rig.router.health().status == "degraded"
    await rig.seconds(5)
    assert link in rig.venue.cancelled
    assert rig.router.health().status == "ready"
    assert len(rig.venue.resting()) == 1, "another one works what is left"


async def test_passive_fills_and_prices_teach_the_choice(rig: Rig) -> None:
    await resting(rig)
    rig.venue.hit("1")
    await rig.seconds(30, price=60_120)
    assert rig.router is not None
    learnt = rig.router._parts.meter.feedback()
    assert learnt.fills == 1
    assert learnt.markout_bps < 0, "it sold, and the price rose"


async def test_timers_ring_on_venue_time_without_any_price() -> None:
    aggressive = always(Mode.AGGRESSIVE)
    pause = replace(aggressive.execution.aggressive, pause_ms=300)
    rig = Rig(policy=always(Mode.AGGRESSIVE, aggressive=pause))
    await rig.boot()
    await rig.seconds(2)
    rig.venue.fill = Decimal(0)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.venue.push()
    await rig.clock.advance(100)
    await rig.give(tick(rig.now_ms))
    assert len(rig.venue.sent) == 1
    await rig.clock.advance(250)
    assert len(rig.venue.sent) == 2, "the newer price was there already; the pause was over without another one"
    await rig.close()


async def test_orders_the_venue_lists_as_open_and_we_think_open_are_left_alone(rig: Rig) -> None:
    link = await resting(rig)
    await rig.seconds(70)
    assert rig.venue.cancelled == []
    rig.venue.silent = True
    taken = rig.venue.taken[link]
    assert taken.view is not None
    taken.view = replace(taken.view, status=OrderStatus.CANCELLED, leaves_qty=Decimal(0))
    rig.venue.silent = False
    await rig.seconds(70)
    assert len(rig.venue.sent) == 2, "the venue closed it without a word; the query found out"


async def test_an_order_whose_answer_could_not_be_written_is_still_the_strategys_to_follow(rig: Rig) -> None:
    place = rig.venue.place

    async def place_and_lose_the_journal(order: Approved[OrderRequest]) -> SubmitOutcome:
        rig.journal.available = False
        return await place(order)

    rig.venue.place = place_and_lose_the_journal  # type: ignore[method-assign]
    await rig.give(target(1, "1", rig.now_ms))
    rig.venue.place = place  # type: ignore[method-assign]
    assert len(rig.venue.resting()) == 1
    await rig.give(target(2, "0", rig.now_ms))
    await rig.seconds(2)
    assert rig.venue.resting() == [], "cancelling needs no journal"
    rig.journal.available = True
    await rig.seconds(2)
    assert (rig.kinds().count("intent"), rig.kinds().count("outcome")) == (1, 1)


async def test_a_cancel_that_the_journal_cut_short_is_asked_again_and_nothing_is_left_resting() -> None:
    rig = Rig(policy=always(Mode.LIMIT_CHASE))
    await rig.boot()
    await rig.seconds(2)
    rig.venue.answers = ["10006"]
    await rig.give(target(1, "1", rig.now_ms))
    rig.journal.available = False
    await rig.seconds(1)
    rig.journal.available = True
    await rig.seconds(30)
    assert (rig.short, rig.venue.resting()) == (1, [])
    await rig.close()
