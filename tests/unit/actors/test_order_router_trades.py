"""Trades beside the target: carried out once, kept apart from it, reported to whoever asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hedgelock_actors.domain.execution_policy import Mode, PassivePolicy
from hedgelock_actors.domain.messages import CancelTrade, TradeReported, TradingStateChanged
from hedgelock_actors.domain.order import Side, TimeInForce
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.routing.trades import KEPT, TradeBook
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL
from tests.unit.actors.order_rig import Rig, always, target, trade


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(2)
    yield rig
    await rig.close()


def last(rig: Rig) -> TradeReported:
    return rig.reports()[-1]


def cancel(trade_id: str) -> CancelTrade:
    return CancelTrade(account=ACCOUNT, symbol=SYMBOL, trade_id=trade_id, ts_ms=0)


async def test_a_sale_is_made_once_and_is_not_bought_back(rig: Rig) -> None:
    for _ in range(3):
        await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
        await rig.seconds(2)
    await rig.seconds(5)
    assert rig.short == Decimal("1.4")
    assert rig.venue.sent[-1].intent_id == f"{ACCOUNT}:{SYMBOL}:trade:a"
    report = last(rig)
    assert (report.final, report.success, report.error) == (True, True, "")
    assert (report.filled_qty, report.average_price) == (Decimal("0.400"), Decimal("59940.00"))
    assert (report.maker_qty, report.taker_qty, report.mode) == (Decimal(0), Decimal("0.400"), "aggressive")
    assert len({one.model_copy(update={"ts_ms": 0}) for one in rig.reports() if one.final}) == 1
    assert rig.router is not None
    assert rig.router.snapshot()["trade_offset_qty"] == "0.400"


async def test_the_target_moves_beside_what_trades_have_added(rig: Rig) -> None:
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(2)
    await rig.give(target(2, "0.5", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == Decimal("0.9")
    await rig.give(target(3, "2", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == Decimal("2.4")


async def test_a_target_that_a_person_holds_is_held_exactly_and_what_trades_have_added_comes_back_with_its_end(
    rig: Rig,
) -> None:
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(2)
    await rig.give(target(2, "0", rig.now_ms).model_copy(update={"exact": True}))
    await rig.seconds(2)
    assert rig.short == 0
    assert rig.venue.sent[-1].reduce_only
    await rig.give(trade("b", Side.SELL, "0.3", rig.now_ms))
    await rig.seconds(2)
    assert (last(rig).error, rig.short) == ("TARGET_OVERRIDDEN", 0)
    await rig.give(target(3, "1", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == Decimal("1.4")


async def test_a_purchase_only_takes_back_what_trades_have_added(rig: Rig) -> None:
    await rig.give(trade("none", Side.BUY, "0.3", rig.now_ms))
    await rig.seconds(2)
    assert last(rig).error == "NOTHING_TO_TAKE_BACK"
    assert rig.short == 1
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(2)
    await rig.give(trade("b", Side.BUY, "0.3", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == Decimal("1.1")
    assert last(rig).success
    await rig.give(trade("c", Side.BUY, "0.3", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == 1
    assert (last(rig).error, last(rig).filled_qty) == ("CUT_SHORT", Decimal("0.100"))


async def test_after_a_crash_it_is_neither_lost_nor_made_again_and_the_offset_stays(rig: Rig) -> None:
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.crash()
    await rig.boot()
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(4)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(4)
    assert rig.short == Decimal("1.4")
    assert last(rig).final
    await rig.crash()
    await rig.boot()
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.give(target(2, "0.8", rig.now_ms))
    await rig.seconds(5)
    assert rig.short == Decimal("1.2")


async def test_a_trade_that_was_journalled_and_not_begun_is_begun_by_the_successor(rig: Rig) -> None:
    rig.latch.set(TradingState(TradingMode.HALTED, 1, "test"))
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(1)
    assert rig.kinds().count("trade") == 1
    await rig.crash()
    rig.latch.set(TradingState(TradingMode.ACTIVE, 2, "over"))
    await rig.boot()
    await rig.seconds(3)
    assert rig.short == Decimal("1.4")


@pytest.mark.parametrize(
    ("more", "qty", "error"),
    [
        ({"strategy": "clever"}, "0.1", "INVALID: no strategy is called clever"),
        ({"strategy": "resting"}, "0.1", "INVALID: a resting order needs the price at which it waits"),
        ({}, "-0.1", "INVALID: the quantity must be greater than 0"),
        ({}, "0.0001", "BELOW_VENUE_MIN_QTY"),
        ({"expires_ms": 1}, "0.1", "EXPIRED"),
    ],
)
async def test_what_cannot_be_carried_out_is_answered_at_once(
    rig: Rig, more: dict[str, object], qty: str, error: str
) -> None:
    sent = len(rig.venue.sent)
    await rig.give(trade("a", Side.SELL, qty, rig.now_ms, **more))
    await rig.seconds(2)
    assert (last(rig).final, last(rig).success, last(rig).error) == (True, False, error)
    assert len(rig.venue.sent) == sent


async def test_a_refusal_by_our_limits_is_reported_with_its_code(rig: Rig) -> None:
    used = trade("a", Side.SELL, "6", rig.now_ms)
    await rig.give(used)
    await rig.seconds(10)
    assert last(rig).success
    assert max(one.qty for one in rig.venue.sent if ":trade:" in one.intent_id) == 1
    await rig.seconds(60)
    await rig.give(trade("b", Side.SELL, "6", rig.now_ms))
    await rig.seconds(30)
    assert last(rig).trade_id == "b"
    assert (last(rig).final, last(rig).success) == (True, False)
    assert last(rig).error == "TRADE_DAILY_QTY"
    assert rig.short == 11, "the day's 10 BTC of trades, and the target"


async def test_under_a_restriction_a_sale_is_refused_and_said_so(rig: Rig) -> None:
    rig.latch.set(TradingState(TradingMode.REDUCE_ONLY, 1, "the desk is closed"))
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(2)
    assert last(rig).final
    assert last(rig).error.startswith("REDUCE_ONLY: ")
    assert "the desk is closed" in last(rig).error
    assert rig.short == 1


async def test_a_trade_may_ask_for_a_strategy_and_a_price_and_be_cancelled(rig: Rig) -> None:
    price = Decimal(60_300)
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms, strategy="resting", limit_price=price))
    await rig.venue.push()
    [taken] = rig.venue.resting()
    assert (taken.request.price, taken.request.time_in_force) == (price, TimeInForce.GTC)
    rig.venue.hit("0.1")
    await rig.seconds(1)
    report = last(rig)
    assert (report.final, report.filled_qty, report.maker_qty) == (False, Decimal("0.1"), Decimal("0.1"))
    for _ in range(2):
        await rig.give(cancel("a"))
        await rig.seconds(2)
    assert rig.venue.resting() == []
    assert (last(rig).final, last(rig).error, last(rig).filled_qty) == (True, "CANCELLED", Decimal("0.1"))
    assert rig.short == Decimal("1.1")
    assert rig.kinds().count("trade_cancel") == 1


async def test_a_trade_that_was_cancelled_before_it_began_never_begins(rig: Rig) -> None:
    rig.latch.set(TradingState(TradingMode.HALTED, 1, "test"))
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.give(cancel("a"))
    await rig.give(cancel("unknown"))
    rig.latch.set(TradingState(TradingMode.ACTIVE, 2, "over"))
    await rig.seconds(3)
    assert rig.short == 1
    assert last(rig).error == "CANCELLED"


async def test_the_target_goes_first_and_the_trade_goes_on_after_it(rig: Rig) -> None:
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms, strategy="resting", limit_price=Decimal(60_300)))
    await rig.venue.push()
    rig.venue.hit("0.1")
    await rig.venue.push()
    await rig.give(target(2, "2", rig.now_ms))
    await rig.seconds(3)
    assert rig.short == Decimal("2.1")
    [again] = rig.venue.resting()
    assert again.request.qty == Decimal("0.300")
    rig.venue.hit("0.3")
    await rig.seconds(2)
    assert rig.short == Decimal("2.4")
    assert (last(rig).final, last(rig).success, last(rig).retries) == (True, True, 1)


async def test_an_unknown_order_of_a_trade_counts_and_is_made_once(rig: Rig) -> None:
    rig.venue.answers = ["lost"]
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(3)
    await rig.give(target(2, "1.5", rig.now_ms))
    await rig.seconds(3)
    assert rig.short == Decimal("1.5"), "more protection waits for an unknown order for moments only"
    await rig.seconds(25)
    assert rig.short == Decimal("1.9")
    links = [one.order_link_id for one in rig.venue.sent if ":trade:" in one.intent_id]
    assert len(links) == 2
    assert len(set(links)) == 1


async def test_a_halted_trade_goes_on_when_trading_does() -> None:
    rig = Rig(policy=always(Mode.PASSIVE, passive=PassivePolicy(share=Decimal(1), patience_ms=600_000)))
    await rig.boot()
    await rig.seconds(2)
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.venue.push()
    assert len(rig.venue.resting()) == 1
    await rig.give(TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=0, reason="test"))
    await rig.seconds(3)
    assert rig.venue.resting() == []
    assert rig.reports() == []
    await rig.give(TradingStateChanged(mode=TradingMode.ACTIVE, epoch=2, ts_ms=0, reason="over"))
    await rig.seconds(2)
    rig.venue.hit("0.4")
    await rig.seconds(2)
    assert last(rig).success
    await rig.close()


def test_a_trade_that_is_long_over_is_still_known_and_memory_is_bounded() -> None:
    book = TradeBook()
    for number in range(KEPT + 100):
        book.take(trade(f"t{number}", Side.SELL, "0.1", 0))
        book.end(f"t{number}", "")
    assert len(book.trades) == KEPT
    assert book.knows("t0")
    book.take(trade("t0", Side.SELL, "0.1", 0))
    assert book.pending() is None


async def test_an_end_that_may_not_have_been_heard_is_told_again_by_the_successor(rig: Rig) -> None:
    await rig.give(trade("a", Side.SELL, "0.4", rig.now_ms))
    await rig.seconds(2)
    told = last(rig)
    before = len(rig.reports())
    await rig.crash()
    await rig.boot()
    await rig.seconds(1)
    [again] = rig.reports()[before:]
    assert again.model_copy(update={"ts_ms": told.ts_ms}) == told
