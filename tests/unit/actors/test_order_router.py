"""The order router against a small awkward venue: levels not edges, unknown stays unknown, no never means hot loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import FeedStale, OrderEvent, TradingStateChanged
from hedgelock_actors.domain.order import OrderRequest, OrderType, Side, SubmitOutcome, TimeInForce
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.ports.journal import Entry
from hedgelock_actors.ports.venue import StreamLost
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, tick
from tests.unit.actors.order_rig import ROUTER, Rig, realise, target


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.boot()
    await rig.seconds(2)
    yield rig
    await rig.close()


def short(rig: Rig) -> Decimal:
    return -rig.venue.signed_qty


def events(rig: Rig, kind: str) -> list[OrderEvent]:
    return [one for one in rig.transport.messages(OrderEvent) if one.event == kind]


async def test_a_target_becomes_one_order_and_repeating_it_changes_nothing(rig: Rig) -> None:
    for _ in range(5):
        await rig.give(target(1, "1.5", rig.clock.now_ms()))
    await rig.seconds(5)
    assert short(rig) == Decimal("1.5")
    [sent] = rig.venue.sent
    assert sent.side is Side.SELL
    assert sent.time_in_force is TimeInForce.IOC
    assert not sent.reduce_only
    assert sent.price == Decimal("59940.00")
    assert rig.router is not None
    assert rig.router.health().status == "ready"
    assert [row.kind for row in rig.journal.rows(ROUTER)] == [
        "opening",
        "intent",
        "outcome",
        "order",
        "strategy_done",
        "execution",
    ]


async def test_f29_an_older_target_is_late_news(rig: Rig) -> None:
    await rig.give(target(2, "2", rig.clock.now_ms()))
    await rig.give(target(1, "5", rig.clock.now_ms()))
    await rig.seconds(3)
    assert short(rig) == 2


async def test_less_is_bought_back_reduce_only(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.clock.now_ms()))
    await rig.give(target(2, "0.5", rig.clock.now_ms()))
    await rig.seconds(3)
    assert short(rig) == Decimal("0.5")
    assert rig.venue.sent[-1].side is Side.BUY
    assert rig.venue.sent[-1].reduce_only


async def test_a_large_target_goes_in_pieces_within_the_limit_of_an_order(rig: Rig) -> None:
    await rig.give(target(1, "25", rig.clock.now_ms()))
    await rig.seconds(5)
    assert short(rig) == 25
    assert max(one.qty for one in rig.venue.sent) <= rig.policy.limits.max_order_qty
    assert len({one.order_link_id for one in rig.venue.sent}) == len(rig.venue.sent) == 3


async def test_what_is_below_the_least_order_is_carried(rig: Rig) -> None:
    await rig.seconds(1, price=4_000)
    await rig.give(target(1, "0.001", rig.clock.now_ms()))
    await rig.seconds(3, price=4_000)
    assert rig.venue.sent == [], "worth 4 USDT, the venue takes 5"
    await rig.give(target(2, "0.002", rig.clock.now_ms()))
    await rig.seconds(2, price=4_000)
    assert short(rig) == Decimal("0.002")


async def test_a_partial_fill_is_completed_at_the_next_price_and_reaches_further(rig: Rig) -> None:
    rig.venue.fill = Decimal("0.5")
    await rig.give(target(1, "1", rig.clock.now_ms()))
    rig.venue.fill = Decimal(1)
    assert len(rig.venue.sent) == 1
    await rig.seconds(2)
    assert short(rig) == 1
    first, second = rig.venue.sent
    assert (first.intent_id, first.attempt, second.intent_id, second.attempt) == (
        first.intent_id,
        0,
        first.intent_id,
        1,
    )
    assert second.price is not None
    assert first.price is not None
    assert second.price < first.price


async def test_when_no_limit_fills_the_market_does_and_the_next_gap_begins_with_a_limit(rig: Rig) -> None:
    rig.venue.wide = True
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(8)
    assert short(rig) == 1
    limits, market = rig.venue.sent[:-1], rig.venue.sent[-1]
    assert len(limits) == rig.policy.execution.aggressive.limit_attempts
    assert all(one.order_type is OrderType.LIMIT for one in limits)
    assert (market.order_type, market.price, market.time_in_force) == (OrderType.MARKET, None, TimeInForce.IOC)
    assert len({one.intent_id for one in rig.venue.sent}) == 1
    await rig.give(target(2, "2", rig.clock.now_ms()))
    assert rig.venue.sent[-1].order_type is OrderType.LIMIT


async def test_a_large_gap_in_a_wide_market_is_closed_by_the_market_piece_by_piece(rig: Rig) -> None:
    rig.venue.wide = True
    await rig.give(target(1, "25", rig.clock.now_ms()))
    await rig.seconds(10)
    assert short(rig) == 25
    kinds = [one.order_type for one in rig.venue.sent]
    assert kinds == [OrderType.LIMIT] * rig.policy.execution.aggressive.limit_attempts + [OrderType.MARKET] * 3


async def test_after_market_orders_that_miss_the_gap_stays_and_begins_again_with_limits(rig: Rig) -> None:
    rig.venue.fill = Decimal(0)
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(14)
    per_intent: dict[str, list[OrderType]] = {}
    for one in rig.venue.sent:
        per_intent.setdefault(one.intent_id, []).append(one.order_type)
    first, second, *_ = per_intent.values()
    assert first == second == [OrderType.LIMIT] * 4 + [OrderType.MARKET] * 2
    rig.venue.fill = Decimal(1)
    await rig.seconds(2)
    assert short(rig) == 1


async def test_a_market_order_that_got_lost_goes_out_again_as_a_market_order_under_its_id(rig: Rig) -> None:
    rig.venue.wide = True
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(3)
    assert len(rig.venue.sent) == rig.policy.execution.aggressive.limit_attempts
    rig.venue.answers = ["lost"]
    await rig.seconds(20)
    assert short(rig) == 1
    lost, again = rig.venue.sent[-2:]
    assert lost.order_type is again.order_type is OrderType.MARKET
    assert lost.order_link_id == again.order_link_id


async def test_a_router_that_comes_back_goes_on_where_the_attempts_were(rig: Rig) -> None:
    rig.venue.wide = True
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(3)
    assert len(rig.venue.sent) == rig.policy.execution.aggressive.limit_attempts
    assert rig.router is not None
    await rig.router.stop()
    await rig.boot()
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(3)
    assert [one.order_type for one in rig.venue.sent[-2:]] == [OrderType.LIMIT, OrderType.MARKET]
    assert short(rig) == 1


async def test_profit_is_realised_in_a_wide_market_too(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.clock.now_ms()))
    rig.venue.wide = True
    await rig.give(realise("r1", "0.7", rig.clock.now_ms()))
    await rig.seconds(15)
    assert short(rig) == 2
    done = [(one.side, one.qty) for one in rig.venue.sent if one.order_type is OrderType.MARKET]
    assert done == [(Side.BUY, Decimal("0.700")), (Side.SELL, Decimal("0.700"))]


async def test_an_attempt_that_missed_is_followed_by_the_next_after_a_pause(rig: Rig) -> None:
    rig.venue.fill = Decimal(0)
    await rig.give(target(1, "1", rig.clock.now_ms()))
    for _ in range(9):
        await rig.clock.advance(50)
        await rig.venue.push()
        await rig.give(tick(rig.clock.now_ms()))
    assert len(rig.venue.sent) == 2, "450 ms, a price every 50 ms, a pause of 250 ms"


async def test_f30_orders_that_do_not_fill_are_bounded_by_the_minute(rig: Rig) -> None:
    rig.venue.fill = Decimal(0)
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(55)
    assert len(rig.venue.sent) == rig.policy.limits.orders_per_minute
    assert len(events(rig, "refused")) == 1


async def test_a_critical_level_has_a_budget_of_its_own(rig: Rig) -> None:
    rig.venue.fill = Decimal(0)
    await rig.give(target(1, "1", rig.clock.now_ms(), RiskLevel.CRITICAL))
    await rig.seconds(55)
    assert len(rig.venue.sent) == rig.policy.limits.critical_orders_per_minute


async def test_a_refusing_venue_is_asked_less_and_less_and_told_of_once(rig: Rig) -> None:
    rig.venue.answers = ["110007"] * 100
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(120)
    assert 2 < len(rig.venue.sent) < 10
    assert len(events(rig, "rejected")) == 1
    rig.venue.answers = []
    await rig.seconds(65)
    assert short(rig) == 1


async def test_a_request_to_slow_down_is_answered_with_the_same_id_later(rig: Rig) -> None:
    rig.venue.answers = ["10006"]
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(10)
    assert short(rig) == 1
    assert len({one.order_link_id for one in rig.venue.sent}) == 1


@pytest.mark.parametrize("answer", ["lost", "unanswered"])
async def test_f14_unknown_counts_until_it_is_known_and_keeps_its_id(rig: Rig, answer: str) -> None:
    rig.venue.answers = [answer]
    rig.venue.silent = True
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(1)
    assert len(rig.venue.sent) == 1
    await rig.seconds(40)
    assert short(rig) == 1
    assert len({one.order_link_id for one in rig.venue.sent}) == 1


async def test_an_unknown_order_that_is_not_needed_any_more_is_never_sent_again(rig: Rig) -> None:
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.give(target(2, "0", rig.clock.now_ms()))
    await rig.seconds(60)
    assert len(rig.venue.sent) == 1
    assert short(rig) == 0
    assert len(events(rig, "unresolved")) == 1
    await rig.give(target(3, "0.4", rig.clock.now_ms()))
    await rig.seconds(20)
    assert short(rig) == Decimal("0.4")


async def test_realising_profit_closes_and_re_opens_once(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.clock.now_ms()))
    for _ in range(3):
        await rig.give(realise("r1", "0.7", rig.clock.now_ms()))
        await rig.seconds(2)
    assert short(rig) == 2
    assert [(one.side, one.qty) for one in rig.venue.sent[1:]] == [
        (Side.BUY, Decimal("0.700")),
        (Side.SELL, Decimal("0.700")),
    ]


async def test_no_order_on_a_stale_price(rig: Rig) -> None:
    await rig.give(FeedStale(symbol=SYMBOL, ts_ms=rig.clock.now_ms(), reason="test"))
    await rig.give(target(1, "1", rig.clock.now_ms()))
    assert rig.venue.sent == []
    await rig.give(tick(rig.clock.now_ms() - rig.policy.limits.max_quote_age_ms - 1))
    assert rig.venue.sent == []
    await rig.give(tick(rig.clock.now_ms()))
    assert len(rig.venue.sent) == 1


async def test_halted_sends_nothing_and_keeps_the_hedge_and_resume_goes_on(rig: Rig) -> None:
    await rig.give(target(1, "1", rig.clock.now_ms()))
    halt = TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=rig.clock.now_ms(), reason="test")
    await rig.give(halt)
    await rig.give(target(2, "3", rig.clock.now_ms()))
    await rig.seconds(5)
    assert short(rig) == 1
    rig.latch.set(TradingState(TradingMode.ACTIVE, 2, "over"))
    await rig.seconds(2)
    assert short(rig) == 3


async def test_halting_cancels_what_still_works() -> None:
    rig = Rig(lag_ms=20_000)
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.give(TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=0, reason="test"))
    assert rig.venue.cancelled == [rig.venue.sent[0].order_link_id]
    await rig.close()


async def test_reduce_only_lets_the_hedge_shrink_and_not_grow(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.clock.now_ms()))
    rig.latch.set(TradingState(TradingMode.REDUCE_ONLY, 1, "test"))
    await rig.give(target(2, "3", rig.clock.now_ms()))
    await rig.seconds(3)
    assert short(rig) == 2
    await rig.give(target(3, "1", rig.clock.now_ms()))
    await rig.seconds(3)
    assert short(rig) == 1


async def test_f35_a_missed_execution_is_found_by_query(rig: Rig) -> None:
    rig.venue.silent = True
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(4)
    assert len(rig.venue.sent) == 1
    assert [row.kind for row in rig.journal.rows(ROUTER)].count("execution") == 1


async def test_f37_a_liquidation_is_booked_told_and_hedged_again(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.clock.now_ms()))
    await rig.venue.give(rig.venue.happen(Side.BUY, "0.8", "BustTrade"))
    await rig.seconds(2)
    assert len(events(rig, "liquidation")) == 1
    assert short(rig) == 2


async def test_a_trade_that_is_not_ours_is_booked_told_and_made_good(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.clock.now_ms()))
    await rig.venue.give(rig.venue.happen(Side.SELL, "1"))
    await rig.seconds(2)
    assert len(events(rig, "external_fill")) == 1
    assert short(rig) == 2


async def test_f38_a_position_that_does_not_add_up_forbids_new_risk_and_is_told(rig: Rig) -> None:
    await rig.give(target(1, "1", rig.clock.now_ms()))
    hidden = rig.venue.happen(Side.SELL, "0.3")
    rig.venue.executed[-1] = hidden.__class__(**{**_fields(hidden), "ts_ms": 1})
    await rig.seconds(40)
    assert len(events(rig, "unresolved")) == 1
    sent = len(rig.venue.sent)
    await rig.give(target(2, "2", rig.clock.now_ms()))
    await rig.seconds(3)
    assert len(rig.venue.sent) == sent
    await rig.give(target(3, "0.5", rig.clock.now_ms()))
    await rig.seconds(3)
    assert rig.venue.sent[-1].reduce_only


async def test_while_the_private_stream_is_down_it_reconciles_by_query_before_it_acts(rig: Rig) -> None:
    rig.venue.failing = 1_000
    await rig.venue.give(StreamLost(reason="cut"))
    rig.venue.silent = True
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(5)
    assert rig.venue.sent == []
    rig.venue.failing = 0
    await rig.seconds(5)
    assert short(rig) == 1


async def test_without_the_journal_nothing_is_sent(rig: Rig) -> None:
    rig.journal.available = False
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(5)
    assert rig.venue.sent == []
    assert rig.router is not None
    assert rig.router.health().status == "degraded"
    rig.journal.available = True
    await rig.seconds(5)
    assert short(rig) == 1
    assert rig.router.health().status == "ready"


async def test_an_answer_that_could_not_be_written_is_written_before_the_next_effect(rig: Rig) -> None:
    place = rig.venue.place

    async def place_and_lose_the_journal(order: Approved[OrderRequest]) -> SubmitOutcome:
        rig.journal.available = False
        return await place(order)

    rig.venue.place = place_and_lose_the_journal  # type: ignore[method-assign]
    await rig.give(target(1, "1", rig.clock.now_ms()))
    rig.venue.place = place  # type: ignore[method-assign]
    await rig.give(target(2, "2", rig.clock.now_ms()))
    await rig.seconds(3)
    assert len(rig.venue.sent) == 1
    rig.journal.available = True
    await rig.seconds(5)
    assert short(rig) == 2
    assert [row.kind for row in rig.journal.rows(ROUTER)].count("outcome") == 2


async def test_f50_a_newer_instance_fences_the_old_one(rig: Rig) -> None:
    old = rig.router
    assert old is not None
    await rig.journal.open(ROUTER)
    await rig.give(target(1, "1", rig.clock.now_ms()))
    assert rig.venue.sent == []
    assert old.health().status == "stopped"


async def test_it_begins_only_when_the_venue_answers() -> None:
    rig = Rig()
    rig.venue.failing = 3
    await rig.boot()
    assert rig.router is not None
    assert rig.router.health().status == "degraded"
    await rig.give(target(1, "1", rig.clock.now_ms()))
    await rig.seconds(20)
    assert short(rig) == 1
    assert rig.router.health().status == "ready"
    await rig.close()


async def test_it_takes_over_a_position_that_was_there_before() -> None:
    rig = Rig()
    rig.venue.happen(Side.SELL, "2")
    await rig.clock.advance(5_000)
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "2.5", rig.clock.now_ms()))
    await rig.seconds(2)
    assert [one.qty for one in rig.venue.sent] == [Decimal("0.500")]
    assert events(rig, "external_fill") == []
    await rig.close()


async def test_a_restart_goes_on_with_the_keepers_last_target() -> None:
    rig = Rig()
    epoch = await rig.journal.open(f"position-keeper-{ACCOUNT}")
    said = target(7, "1.2", 0)
    entry = Entry(kind="target", key="t", ts_ms=0, account=ACCOUNT, payload=said.model_dump(mode="json"))
    await rig.journal.append(f"position-keeper-{ACCOUNT}", epoch, [entry])
    await rig.boot()
    await rig.seconds(3)
    assert short(rig) == Decimal("1.2")
    await rig.close()


def _fields(execution: object) -> dict[str, object]:
    return {name: getattr(execution, name) for name in execution.__dataclass_fields__}  # type: ignore[attr-defined]


async def test_in_real_time_a_slow_venue_holds_up_nobody_who_tells_us_something() -> None:
    rig = Rig()
    rig.clock = ManualClock(paced=False)
    rig.venue.clock = rig.clock
    answer = asyncio.Event()
    place = rig.venue.place

    async def slowly(order: Approved[OrderRequest]) -> SubmitOutcome:
        await answer.wait()
        return await place(order)

    rig.venue.place = slowly  # type: ignore[method-assign]
    await rig.boot()
    assert rig.router is not None
    await rig.router.receive(tick(rig.clock.now_ms()))
    await rig.router.receive(target(1, "1", rig.clock.now_ms()))
    await asyncio.sleep(0.01)
    for version in range(2, 500):
        await rig.router.receive(target(version, "2.5", rig.clock.now_ms()))
        await rig.router.receive(tick(rig.clock.now_ms()))
    assert rig.venue.sent == []
    answer.set()
    await asyncio.sleep(0.05)
    await rig.venue.push()
    await asyncio.sleep(0.05)
    assert [one.qty for one in rig.venue.sent] == [Decimal("1.000"), Decimal("1.500")]
    assert rig.venue.sent[-1].intent_id.endswith("t499:g0"), "what waited was conflated to the latest"
    await rig.close()
