"""The last line before a write, when something goes wrong right there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from hedgelock_actors.domain.execution_policy import Mode, PassivePolicy
from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.order import AmendOutcome, AmendRequest, OrderRequest, Rejected, SubmitOutcome
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from tests.unit.actors.order_rig import Rig, always, target


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.boot()
    await rig.seconds(2)
    yield rig
    await rig.close()


@pytest.fixture
async def calm() -> AsyncIterator[Rig]:
    """An order of 1 rests, and follows the market."""
    patient = PassivePolicy(share=Decimal(1), patience_ms=600_000, run_away_bps=Decimal(100))
    rig = Rig(policy=always(Mode.PASSIVE, passive=patient))
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.venue.push()
    await rig.seconds(2)
    yield rig
    await rig.close()


def after_record(rig: Rig, kind: str, then: Callable[[], None]) -> None:
    """Let something happen once between a record and the write that it is for."""
    append = rig.journal.append

    async def append_and_then(stream: str, epoch: int, entries: list[object]) -> object:
        done = await append(stream, epoch, entries)  # type: ignore[arg-type]
        if any(getattr(entry, "kind", "") == kind for entry in entries):
            rig.journal.append = append  # type: ignore[method-assign]
            then()
        return done

    rig.journal.append = append_and_then  # type: ignore[method-assign,assignment]


def halt(rig: Rig, mode: TradingMode = TradingMode.HALTED) -> None:
    rig.latch.set(TradingState(mode, rig.latch.state().epoch + 1, "test"))


async def test_a_port_that_raises_leaves_an_unknown_order_and_nothing_worse(rig: Rig) -> None:
    place = rig.venue.place

    async def broken(order: Approved[OrderRequest]) -> SubmitOutcome:
        await place(order)
        raise RuntimeError("a bug in the adapter")

    rig.venue.place = broken  # type: ignore[method-assign]
    await rig.give(target(1, "1", rig.now_ms))
    rig.venue.place = place  # type: ignore[method-assign]
    await rig.seconds(20)
    assert rig.short == 1
    assert len(rig.venue.sent) == 1
    assert rig.router is not None
    assert rig.router.health().counters["errors"] == rig.router.health().counters["unknown"] == 1


async def test_a_resend_is_held_to_the_limits_too(rig: Rig) -> None:
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.now_ms))
    halt(rig, TradingMode.REDUCE_ONLY)
    await rig.seconds(30)
    assert len(rig.venue.sent) == 1
    assert [one.detail.split(":")[0] for one in rig.events("refused")] == ["REDUCE_ONLY"]
    halt(rig, TradingMode.ACTIVE)
    await rig.seconds(5)
    assert rig.short == 1
    assert len({one.order_link_id for one in rig.venue.sent}) == 1


async def test_a_halt_between_the_record_of_a_resend_and_its_write_stops_it_and_proves_nothing(rig: Rig) -> None:
    rig.venue.answers = ["lost"]
    await rig.give(target(1, "1", rig.now_ms))
    after_record(rig, "resend", lambda: halt(rig))
    await rig.seconds(20)
    assert len(rig.venue.sent) == 1
    assert rig.kinds().count("resend") == 1
    assert rig.kinds().count("absent") == 0
    assert rig.router is not None
    assert rig.router.snapshot()["working_sell_qty"] == "1.000"
    halt(rig, TradingMode.ACTIVE)
    await rig.seconds(20)
    assert rig.short == 1


async def test_a_halt_between_the_record_of_an_amendment_and_its_write_stops_it(calm: Rig) -> None:
    after_record(calm, "amend", lambda: halt(calm))
    await calm.seconds(3, price=59_940)
    assert calm.kinds().count("amend") == 1
    assert calm.venue.amended == []
    assert calm.venue.resting() == [], "and what rests is pulled, as by every halt"


@pytest.mark.parametrize("how", ["rejected", "raises", "lost"])
async def test_an_amendment_that_fails_leaves_the_order_where_it_was(calm: Rig, how: str) -> None:
    amend = calm.venue.amend
    asked: list[AmendRequest] = []

    async def failing(order: Approved[AmendRequest]) -> AmendOutcome:
        asked.append(order.request)
        if how == "rejected":
            return Rejected("110010", "the order has been cancelled")
        if how == "raises":
            raise RuntimeError("a bug in the adapter")
        calm.venue.deaf = 1
        return await amend(order)

    calm.venue.amend = failing  # type: ignore[method-assign]
    price = calm.venue.resting()[0].request.price
    await calm.seconds(2, price=59_940)
    assert len(asked) >= 1
    assert calm.venue.resting()[0].request.price == price
    calm.venue.amend = amend  # type: ignore[method-assign]
    await calm.seconds(8, price=59_900)
    assert calm.venue.resting()[0].request.price != price, "it is tried again"
    assert len(calm.venue.sent) == 1
