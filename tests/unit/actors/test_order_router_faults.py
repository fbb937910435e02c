"""Faults that the router has to live through whatever strategy works: too many prices, a blocked loop, no journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.memory.lease import MemoryLeases
from hedgelock_actors.domain.execution_policy import Mode, PassivePolicy
from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.messages import TradingStateChanged
from hedgelock_actors.domain.order import OrderRequest, OrderStatus, OrderView, SubmitOutcome
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.runtime.lease import monotonic_ms
from hedgelock_actors.trading_lease import TradingLease
from tests.unit.actors.fake_venue import INSTRUMENT, SYMBOL, tick
from tests.unit.actors.order_rig import Rig, always, target

RESTING = always(Mode.PASSIVE, passive=PassivePolicy(share=Decimal(1), patience_ms=600_000))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.boot()
    await rig.seconds(2)
    yield rig
    await rig.close()


async def test_f11_of_prices_that_come_faster_than_they_are_used_the_newest_waits_alone() -> None:
    rig = Rig(paced=False)
    answer = asyncio.Event()
    place = rig.venue.place

    async def slowly(order: Approved[OrderRequest]) -> SubmitOutcome:
        await answer.wait()
        return await place(order)

    rig.venue.place = slowly  # type: ignore[method-assign]
    router = await rig.boot()
    await router.receive(tick(rig.now_ms))
    await router.receive(target(1, "1", rig.now_ms))
    await asyncio.sleep(0.01)
    for step in range(5_000):
        await router.receive(tick(rig.now_ms, 60_000 - step // 10))
        assert len(router._inbox) <= 2
    await router.receive(target(2, "2", rig.now_ms))
    answer.set()
    for _ in range(20):
        await asyncio.sleep(0.005)
        await rig.venue.push()
    first, second = rig.venue.sent
    assert first.price is not None
    assert second.price is not None
    assert second.price < first.price - 400, "decided on the last price, not on one that waited"
    await rig.close()


async def test_f54_after_a_blocked_loop_nothing_is_sent_before_the_lease_is_renewed() -> None:
    rig = Rig()
    store = MemoryLeases(monotonic_ms)
    lease = TradingLease(store, "main", "one", monotonic_ms=monotonic_ms, sleep=asyncio.sleep, ttl_ms=300, renew_ms=50)
    rig.lease = lease  # type: ignore[assignment]
    await rig.boot()
    await asyncio.sleep(0.02)
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.now_ms))
    assert [one.qty for one in rig.venue.sent] == [Decimal("1.000")]
    store.available = False  # nobody renews: what is sent from here on is sent by right of the past
    time.sleep(0.4)  # the fault itself: a calculation that does not let go of the loop
    assert not lease.held()
    await rig.give(target(2, "2", rig.now_ms))
    assert len(rig.venue.sent) == 1
    store.available = True
    await asyncio.sleep(0.2)
    await rig.seconds(3)
    assert rig.short == 2
    await rig.close()


async def test_f59_without_the_journal_what_rests_is_cancelled_all_the_same() -> None:
    rig = Rig(policy=RESTING)
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.venue.push()
    assert len(rig.venue.resting()) == 1
    rig.journal.available = False
    said = TradingStateChanged(mode=TradingMode.HALTED, epoch=1, ts_ms=rig.now_ms, reason="drill")
    await rig.give(said)
    await rig.seconds(2)
    assert rig.venue.resting() == []
    assert len(rig.venue.sent) == 1
    rig.journal.available = True
    await rig.seconds(3)
    assert "order" in rig.kinds(), "how it ended is on record once there is a record again"
    await rig.close()


async def test_f10_while_the_contract_does_not_trade_nothing_is_opened_and_people_are_told_once(rig: Rig) -> None:
    rig.venue.answers = ["110066"] * 50
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(60)
    assert rig.short == 0
    assert len(rig.venue.sent) < 12, "it is asked less and less"
    assert len(rig.events("rejected")) == 1
    rig.venue.answers = []
    await rig.seconds(90)
    assert rig.short == 1


async def test_f39_a_position_that_cannot_be_read_stays_what_it_was_and_grows_old(rig: Rig) -> None:
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(2)
    assert rig.router is not None
    rig.venue.failing_names = {"position"}
    await rig.seconds(130)
    assert rig.router.snapshot()["position_qty"] == "-1.000"
    await rig.give(target(2, "2", rig.now_ms))
    await rig.seconds(20)
    assert len(rig.venue.sent) == 1
    assert "POSITION_STALE" in rig.events("refused")[-1].detail
    rig.venue.failing_names = set()
    await rig.seconds(60)
    assert rig.short == 2


async def test_f09_a_lot_that_changed_is_read_and_kept_to(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.give(target(1, "0.123", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == Decimal("0.123")
    coarse = replace(INSTRUMENT, qty_step=Decimal("0.1"), min_qty=Decimal("0.1"))

    async def instrument(symbol: str) -> Instrument:
        return coarse

    monkeypatch.setattr(rig.venue, "instrument", instrument)
    await rig.seconds(660)
    await rig.give(target(2, "0.789", rig.now_ms))
    await rig.seconds(20)
    assert len(rig.venue.sent) == 2
    assert rig.venue.sent[1].qty % coarse.qty_step == 0
    assert rig.events("rejected") == []


async def test_f15_an_order_rejected_after_it_was_taken_counts_no_more_is_told_and_followed_by_another(
    rig: Rig,
) -> None:
    rig.venue.lag_ms = 10_000_000  # acknowledged, and nothing comes of it
    await rig.give(target(1, "1", rig.now_ms))
    assert rig.router is not None
    [sent] = rig.venue.sent
    assert rig.router.snapshot()["working_sell_qty"] == "1.000", "an acknowledgement is no rejection either"
    view = OrderView(
        symbol=SYMBOL,
        order_id="id",
        order_link_id=sent.order_link_id,
        status=OrderStatus.REJECTED,
        side=sent.side,
        qty=sent.qty,
        price=sent.price or Decimal(0),
        cum_qty=Decimal(0),
        cum_value=Decimal(0),
        cum_fee=Decimal(0),
        leaves_qty=Decimal(0),
        reduce_only=False,
        reject_reason="EC_PriceOutOfRange",
        cancel_type="",
        create_type="CreateByUser",
        ts_ms=rig.now_ms,
    )
    rig.venue.taken[sent.order_link_id].view = view
    rig.venue.lag_ms = 0
    for _ in range(2):
        await rig.venue.give(view)
    assert rig.router.snapshot()["working_sell_qty"] == "0"
    await rig.seconds(1)
    [told] = rig.events("rejected")
    assert "EC_PriceOutOfRange" in told.detail
    await rig.seconds(90)
    assert rig.short == 1
    assert len({one.order_link_id for one in rig.venue.sent}) == len(rig.venue.sent) == 2
