"""When the router may not act, or may only shrink the hedge: lease, maintenance, account, foreign fills, runaway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.execution_policy import Mode, PassivePolicy
from hedgelock_actors.domain.messages import ForeignActivityAcknowledged
from hedgelock_actors.domain.order import OrderStatus, OrderView, Side
from hedgelock_actors.ports.venue import Maintenance
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL, tick
from tests.unit.actors.order_rig import AT_ONCE, Rig, always, target

RESTING = always(Mode.PASSIVE, passive=PassivePolicy(share=Decimal(1), patience_ms=600_000))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.boot()
    await rig.seconds(2)
    yield rig
    await rig.close()


@pytest.fixture
async def calm() -> AsyncIterator[Rig]:
    """An order of 1 rests."""
    rig = Rig(policy=RESTING)
    await rig.boot()
    await rig.seconds(2)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.venue.push()
    assert len(rig.venue.resting()) == 1
    yield rig
    await rig.close()


def restrictions(rig: Rig) -> dict[str, str]:
    assert rig.router is not None
    found = rig.router.snapshot()["restrictions"]
    assert isinstance(found, dict)
    return found


def acknowledged(rig: Rig) -> ForeignActivityAcknowledged:
    return ForeignActivityAcknowledged(account=ACCOUNT, ts_ms=rig.now_ms, who="ada", reason="it was me")


# ---------------------------------------------------------------- the trading lease


async def test_without_the_lease_nothing_is_sent_not_even_to_shrink(rig: Rig) -> None:
    await rig.give(target(1, "1", rig.now_ms))
    rig.lease.mine = False
    await rig.give(target(2, "2", rig.now_ms))
    await rig.give(target(3, "0.5", rig.now_ms))
    await rig.seconds(5)
    assert len(rig.venue.sent) == 1
    assert rig.router is not None
    assert rig.router.snapshot()["waits_for"] == "the trading lease is not held"


async def test_the_lease_is_asked_at_the_last_line_before_the_write(rig: Rig) -> None:
    append = rig.journal.append

    async def append_and_lose(stream: str, epoch: int, entries: object) -> object:
        done = await append(stream, epoch, entries)  # type: ignore[arg-type]
        rig.lease.mine = False
        return done

    rig.journal.append = append_and_lose  # type: ignore[method-assign,assignment]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(2)
    assert rig.venue.sent == []
    assert rig.kinds().count("intent") == rig.kinds().count("absent") == 1


async def test_a_lease_that_comes_back_must_compare_before_it_opens(rig: Rig) -> None:
    rig.lease.mine = False
    await rig.seconds(2)
    rig.venue.silent, rig.venue.failing = True, 1_000
    rig.venue.happen(Side.SELL, "0.4", "AdlTrade")
    rig.lease.mine = True
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(3)
    assert rig.venue.sent == []
    rig.venue.failing = 0
    await rig.seconds(3)
    assert rig.short == 1
    assert [one.qty for one in rig.venue.sent] == [Decimal("0.600")], "what happened meanwhile is in the sum"


async def test_losing_the_lease_pulls_what_rests(calm: Rig) -> None:
    calm.lease.mine = False
    await calm.seconds(1)
    assert calm.venue.resting() == []


async def test_a_lease_that_is_granted_late_is_waited_for() -> None:
    rig = Rig()
    rig.lease.mine = False
    await rig.boot()
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(3)
    assert rig.venue.sent == []
    rig.lease.mine = True
    await rig.seconds(3)
    assert rig.short == 1
    assert rig.lease.started == 1
    await rig.close()


# ---------------------------------------------------------------- maintenance of the venue


def window(rig: Rig, from_s: int, to_s: int | None, *, ongoing: bool = False) -> Maintenance:
    end_ms = None if to_s is None else rig.now_ms + to_s * 1_000
    return Maintenance(title="upgrade", begin_ms=rig.now_ms + from_s * 1_000, end_ms=end_ms, ongoing=ongoing)


async def test_before_a_window_begins_everything_is_pulled_and_after_it_all_is_compared_first(calm: Rig) -> None:
    await calm.seconds(60)
    calm.venue.windows = [window(calm, 120, 240)]
    await calm.seconds(70)
    assert len(calm.venue.resting()) == 1
    await calm.seconds(25)
    assert calm.venue.resting() == []
    sent, cancelled = len(calm.venue.sent), len(calm.venue.cancelled)
    await calm.seconds(30)
    queries = calm.venue.queries.total()
    await calm.seconds(100)
    assert (len(calm.venue.sent), len(calm.venue.cancelled)) == (sent, cancelled)
    assert calm.venue.queries.total() - queries <= 2, "only the announcements are read"
    calm.venue.windows = []
    calm.venue.failing_names = {"position"}
    await calm.seconds(30)
    assert len(calm.venue.sent) == sent
    calm.venue.failing_names = set()
    await calm.seconds(3)
    assert len(calm.venue.resting()) == 1


async def test_an_ongoing_window_without_an_end_is_over_when_it_is_listed_no_more(rig: Rig) -> None:
    rig.venue.windows = [window(rig, -10, None, ongoing=True)]
    await rig.seconds(61)
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(10)
    assert rig.venue.sent == []
    assert rig.router is not None
    assert rig.router.snapshot()["waits_for"] == "maintenance of the venue: upgrade"
    rig.venue.windows = []
    await rig.seconds(62)
    assert rig.short == 1


async def test_an_order_that_is_refused_makes_us_ask_whether_the_venue_trades_at_all(rig: Rig) -> None:
    await rig.seconds(20)
    rig.venue.windows = [window(rig, -10, None, ongoing=True)]
    rig.venue.answers = ["10016"]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(15)
    assert len(rig.venue.sent) == 1, "long before the announcements are due to be read again"
    rig.venue.windows = []
    await rig.seconds(65)
    assert rig.short == 1


# ---------------------------------------------------------------- the account


async def test_f43_settings_changed_by_hand_forbid_opening_and_are_told_once(rig: Rig) -> None:
    await rig.give(target(1, "1", rig.now_ms))
    rig.venue.faults = ["the account is in hedge mode"]
    await rig.seconds(35)
    await rig.give(target(2, "2", rig.now_ms))
    await rig.seconds(40)
    assert rig.short == 1
    assert restrictions(rig) == {"account": "the account is in hedge mode"}
    assert len(rig.events("restricted")) == 1
    await rig.give(target(3, "0.5", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == Decimal("0.5")
    rig.venue.faults = []
    await rig.give(target(4, "2", rig.now_ms))
    await rig.seconds(35)
    assert rig.short == 2


async def test_f28_no_margin_is_not_asked_for_again_until_target_or_wallet_change(rig: Rig) -> None:
    await rig.seconds(40)
    rig.venue.answers = ["110007"] * 3
    await rig.give(target(1, "1", rig.now_ms))
    await rig.give(target(1, "1", rig.now_ms))
    assert len(rig.venue.sent) == 1
    assert len(rig.events("rejected")) == 1
    await rig.give(target(2, "0.9", rig.now_ms))
    assert len(rig.venue.sent) == 2, "a smaller target may fit"
    await rig.give(target(3, "0.9", rig.now_ms))
    rig.venue.answers = ["110007"] * 2
    await rig.seconds(20)
    before = len(rig.venue.sent)
    rig.venue.answers = []
    rig.venue.available += 50_000
    await rig.seconds(31)
    assert rig.short == Decimal("0.9")
    assert before <= 5


async def test_another_rejection_is_not_shortened_by_a_new_target(rig: Rig) -> None:
    rig.venue.answers = ["110017"]
    await rig.give(target(1, "1", rig.now_ms))
    await rig.give(target(2, "0.9", rig.now_ms))
    assert len(rig.venue.sent) == 1
    await rig.seconds(4)
    assert rig.short == Decimal("0.9")


# ---------------------------------------------------------------- what was not ours


async def test_f36_a_foreign_fill_forbids_opening_until_a_person_has_seen_it(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.now_ms))
    await rig.seconds(1)
    await rig.venue.give(rig.venue.happen(Side.BUY, "0.5"))
    await rig.seconds(3)
    assert rig.short == Decimal("1.5")
    assert list(restrictions(rig)) == ["foreign activity"]
    assert len(rig.events("external_fill")) == 1
    await rig.crash()
    await rig.boot()
    await rig.give(target(1, "2", rig.now_ms))
    await rig.seconds(3)
    assert rig.short == Decimal("1.5"), "a restart has not seen it for anybody"
    await rig.give(acknowledged(rig))
    await rig.give(acknowledged(rig))
    await rig.seconds(2)
    assert rig.short == 2
    [ack] = await rig.records("foreign_ack")
    assert (ack["who"], ack["reason"]) == ("ada", "it was me")
    await rig.crash()
    await rig.boot()
    await rig.seconds(2)
    assert restrictions(rig) == {}


async def test_a_foreign_fill_may_be_bought_back_without_asking(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.now_ms))
    await rig.venue.give(rig.venue.happen(Side.SELL, "0.5"))
    await rig.seconds(2)
    assert rig.short == 2


@pytest.mark.parametrize("kind", ["BustTrade", "AdlTrade"])
async def test_f37_what_the_venue_does_by_force_is_booked_paged_and_hedged_again(rig: Rig, kind: str) -> None:
    await rig.give(target(1, "2", rig.now_ms))
    await rig.venue.give(rig.venue.happen(Side.BUY, "0.5", kind))
    await rig.seconds(2)
    assert rig.short == 2
    assert len(rig.events("liquidation")) == 1
    assert restrictions(rig) == {}


async def test_f40_a_funding_payment_is_no_fill(rig: Rig) -> None:
    await rig.give(target(1, "2", rig.now_ms))
    await rig.seconds(1)
    paid = replace(rig.venue.happen(Side.SELL, "2", "Funding"), fee=Decimal("1.5"))
    rig.venue.executed[-1] = paid
    await rig.venue.give(paid)
    await rig.seconds(35)
    assert rig.short == 2
    assert len(rig.venue.sent) == 1
    assert restrictions(rig) == {}
    assert rig.events("external_fill") == []
    assert rig.router is not None
    view = rig.router.snapshot()
    assert (view["position_qty"], view["funding_usdt"]) == ("-2.000", "-1.5")


async def test_an_open_order_under_our_name_that_is_not_on_record_is_cancelled_and_told(rig: Rig) -> None:
    stranger = OrderView(
        symbol=SYMBOL, order_id="x", order_link_id="hl-" + "0" * 32, status=OrderStatus.NEW, side=Side.SELL,
        qty=Decimal(1), price=Decimal(61_000), cum_qty=Decimal(0), cum_value=Decimal(0), cum_fee=Decimal(0),
        leaves_qty=Decimal(1), reduce_only=False, reject_reason="", cancel_type="", create_type="", ts_ms=1,
    )  # fmt: skip
    person = replace(stranger, order_link_id="by-hand")
    rig.venue.strangers = [stranger, person]
    rig.venue.deaf = 2
    await rig.seconds(70)
    assert rig.venue.strangers == [person], "what a person placed is not ours to cancel"
    assert rig.venue.cancelled == [stranger.order_link_id] * 3
    [told] = rig.events("unresolved")
    assert told.order_link_id == stranger.order_link_id


async def test_f38_a_position_that_executions_do_not_explain_is_followed_told_and_restricts(rig: Rig) -> None:
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(2)
    hidden = rig.venue.happen(Side.BUY, "0.3")
    rig.venue.executed[-1] = replace(hidden, ts_ms=1)
    await rig.seconds(100)
    assert rig.kinds().count("adjustment") == 0
    await rig.seconds(80)
    assert rig.kinds().count("adjustment") == 1
    assert rig.router is not None
    assert rig.router.snapshot()["position_qty"] == "-0.700"
    assert rig.router.snapshot()["reconciled"] is True
    assert rig.short == Decimal("0.7")
    await rig.crash()
    await rig.boot()
    await rig.seconds(3)
    assert rig.short == Decimal("0.7")
    assert list(restrictions(rig)) == ["foreign activity"]
    await rig.give(acknowledged(rig))
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(2)
    assert rig.short == 1


# ---------------------------------------------------------------- a fault of ours


async def test_f30_too_many_decisions_within_a_minute_stop_opening_and_page_somebody() -> None:
    limits = replace(AT_ONCE.limits, orders_per_minute=20, critical_orders_per_minute=20)
    rig = Rig(policy=replace(AT_ONCE, limits=limits))
    await rig.boot()
    await rig.seconds(2)
    for version in range(1, 60):
        await rig.give(target(version, str(Decimal("0.01") * version), rig.now_ms))
        await rig.clock.advance(150)
        await rig.venue.push()
        await rig.give(tick(rig.now_ms))
    assert len(rig.venue.sent) <= 20
    [page] = rig.events("runaway")
    assert "intents within a minute" in page.detail
    assert list(restrictions(rig)) == ["runaway"]
    await rig.seconds(130)
    assert restrictions(rig) == {}
    assert rig.short == Decimal("0.59")
    await rig.close()


async def test_before_the_first_order_account_money_and_open_orders_are_read_too() -> None:
    rig = Rig()
    rig.venue.failing_names = {"account_faults"}
    await rig.boot()
    await rig.give(target(1, "1", rig.now_ms))
    await rig.seconds(5)
    assert rig.venue.sent == []
    assert rig.router is not None
    assert rig.router.health().status == "degraded"
    rig.venue.failing_names = set()
    await rig.seconds(8)
    assert rig.short == 1
    assert {"maintenance", "account_faults", "wallet", "open_orders", "executions", "position"} <= set(
        rig.venue.queries
    )
    await rig.close()
