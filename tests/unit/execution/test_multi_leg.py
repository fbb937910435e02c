"""A spread: who triggers, what the others have to hold, and what becomes of a leg that fails."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.messages import CancelTrade, HedgeTrade, TradeReported
from hedgelock_actors.domain.order import Side
from hedgelock_actors.execution.multi_leg import Leg, Part, Phase, Plan, Step, hedge_qty, step, trade_id

BTC = Leg(
    account="main",
    symbol="BTCUSDT",
    side=Side.SELL,
    qty=Decimal(1),
    limit_price=Decimal(60_000),
    qty_step=Decimal("0.001"),
    min_qty=Decimal("0.001"),
)
# A contract of 1000 coins: 0.01 contracts hedge 10 coins of the other leg.
MILLE = replace(BTC, account="other", qty=Decimal("0.01"), multiplier=Decimal(100), qty_step=Decimal("0.0001"))
PLAN = Plan(spread_id="s1", legs=(BTC, MILLE), begun_ms=1_000, window_ms=60_000, reason="test")
Book = dict[str, TradeReported]


def report(leg: Leg, part: Part, filled: str, **more: object) -> TradeReported:
    given: dict[str, object] = {
        "final": False,
        "success": False,
        "average_price": Decimal(60_000) if Decimal(filled) > 0 else None,
        "mode": "resting" if part is Part.REST else "limit_chase",
        "maker_qty": Decimal(filled),
        "taker_qty": Decimal(0),
        "retries": 0,
        "error": "",
    }
    return TradeReported(
        account=leg.account,
        symbol=leg.symbol,
        trade_id=trade_id(PLAN, leg, part),
        ts_ms=0,
        side=leg.side,
        qty=leg.qty,
        filled_qty=Decimal(filled),
        **(given | more),
    )


def reports(*given: TradeReported) -> Book:
    return {one.trade_id: one for one in given}


def at(book: Book, *, now_ms: int = 2_000, trigger: str = "", plan: Plan = PLAN, stop: bool = False) -> Step:
    return step(plan, trigger, book, now_ms, "keeper", stop=stop)


def test_it_begins_by_letting_every_leg_rest_and_tells_again_only_what_was_not_heard() -> None:
    first = at({})
    assert first.phase is Phase.RESTING
    assert [(one.trade_id, one.qty, one.strategy, one.limit_price) for one in first.tell] == [
        ("s1:main:BTCUSDT:rest", Decimal(1), "resting", Decimal(60_000)),
        ("s1:other:BTCUSDT:rest", Decimal("0.01"), "resting", Decimal(60_000)),
    ]
    assert all(isinstance(one, HedgeTrade) and one.expires_ms == 61_000 for one in first.tell)
    assert [one.trade_id for one in at(reports(report(BTC, Part.REST, "0"))).tell] == ["s1:other:BTCUSDT:rest"]


def test_a_partial_fill_waits_and_a_whole_one_triggers_and_cancels_the_others() -> None:
    resting = report(MILLE, Part.REST, "0")
    assert at(reports(report(BTC, Part.REST, "0.999"), resting)).phase is Phase.RESTING
    now = at(reports(report(BTC, Part.REST, "1", final=True, success=True), resting))
    assert (now.phase, now.trigger) == (Phase.CANCELLING, BTC.name)
    assert [type(one) for one in now.tell] == [CancelTrade]
    assert now.tell[0].trade_id == "s1:other:BTCUSDT:rest"


def test_the_others_follow_by_the_multipliers_less_what_filled_while_they_were_cancelled() -> None:
    book = reports(
        report(BTC, Part.REST, "1", final=True, success=True), report(MILLE, Part.REST, "0.0041", final=True)
    )
    now = at(book, trigger=BTC.name)
    assert now.phase is Phase.HEDGING
    (hedge,) = now.tell
    assert isinstance(hedge, HedgeTrade)
    assert (hedge.qty, hedge.strategy, hedge.reference_price) == (Decimal("0.0059"), "limit_chase", Decimal(60_000))
    assert at(book | reports(report(MILLE, Part.HEDGE, "0.001"))).tell == ()
    done = at(book | reports(report(MILLE, Part.HEDGE, "0.0059", final=True, success=True)))
    assert done.phase is Phase.DONE
    assert done.result is not None
    assert done.result.success
    assert [one.missing_qty for one in done.result.legs] == [0, 0]
    assert done.result.legs[1].filled_qty == Decimal("0.01")


def test_the_target_is_rounded_down_to_the_legs_grid() -> None:
    coarse = replace(MILLE, qty_step=Decimal("0.003"))
    plan = replace(PLAN, legs=(BTC, coarse))
    book = reports(report(BTC, Part.REST, "1", final=True, success=True))
    assert hedge_qty(plan, BTC.name, coarse, book) == Decimal("0.009")
    assert hedge_qty(plan, BTC.name, BTC, book) == Decimal(1)


def test_when_the_window_is_over_the_leg_that_filled_most_triggers_with_what_it_has() -> None:
    book = reports(report(BTC, Part.REST, "0.4"), report(MILLE, Part.REST, "0.005"))
    now = at(book, now_ms=61_000)
    assert (now.phase, now.trigger, len(now.tell)) == (Phase.CANCELLING, MILLE.name, 2)
    closed = reports(report(BTC, Part.REST, "0.4", final=True), report(MILLE, Part.REST, "0.005", final=True))
    (hedge,) = at(closed, now_ms=61_000, trigger=MILLE.name).tell
    assert isinstance(hedge, HedgeTrade)
    assert (hedge.account, hedge.qty) == ("main", Decimal("0.1"))


def test_when_nothing_fills_it_ends_without_effect_also_when_it_is_stopped_early() -> None:
    assert at(reports(), now_ms=61_000).phase is Phase.CANCELLING
    book = reports(report(BTC, Part.REST, "0", final=True, error="expired"), report(MILLE, Part.REST, "0", final=True))
    done = at(book, stop=True)
    assert done.result is not None
    assert not done.result.success
    assert done.result.error == "nothing filled while the legs rested (expired)"
    assert [one.filled_qty for one in done.result.legs] == [0, 0]
    assert [one.average_price for one in done.result.legs] == [None, None]


def failed_hedge() -> Book:
    return reports(
        report(BTC, Part.REST, "1", final=True, success=True),
        report(MILLE, Part.REST, "0", final=True),
        report(MILLE, Part.HEDGE, "0.004", final=True, error="no market", retries=8),
    )


def test_a_leg_that_fails_leaves_the_protection_and_says_what_is_missing() -> None:
    done = at(failed_hedge(), trigger=BTC.name)
    assert done.result is not None
    assert not done.result.success
    assert not done.result.rolled_back
    assert "other:BTCUSDT (no market)" in done.result.error
    assert [one.missing_qty for one in done.result.legs] == [0, Decimal("0.006")]
    assert done.result.legs[1].retries == 8


def test_or_takes_everything_back_where_that_is_wanted() -> None:
    plan = replace(PLAN, rollback_on_partial=True)
    now = at(failed_hedge(), trigger=BTC.name, plan=plan)
    assert now.phase is Phase.ROLLING_BACK
    assert [(one.side, one.qty) for one in now.tell if isinstance(one, HedgeTrade)] == [
        (Side.BUY, Decimal(1)),
        (Side.BUY, Decimal("0.004")),
    ]
    back = reports(
        report(BTC, Part.ROLLBACK, "1", final=True, success=True), report(MILLE, Part.ROLLBACK, "0.001", final=False)
    )
    assert at(failed_hedge() | back, trigger=BTC.name, plan=plan).tell == ()
    both = back | reports(report(MILLE, Part.ROLLBACK, "0.004", final=True, success=True))
    done = at(failed_hedge() | both, trigger=BTC.name, plan=plan)
    assert done.result is not None
    assert done.result.rolled_back
    assert [one.filled_qty for one in done.result.legs] == [0, 0]
    short = back | reports(report(MILLE, Part.ROLLBACK, "0.001", final=True, error="no market"))
    end = at(failed_hedge() | short, trigger=BTC.name, plan=plan)
    assert end.result is not None
    assert not end.result.rolled_back
    assert "could not be taken back: other:BTCUSDT" in end.result.error


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"spread_id": ""}, "spread_id"),
        ({"spread_id": "x" * 41}, "spread_id"),
        ({"spread_id": "a:b"}, "spread_id"),
        ({"legs": (BTC,)}, "legs"),
        ({"legs": (BTC, BTC)}, "legs"),
        ({"window_ms": 0}, "window_ms"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        replace(PLAN, **change)


@pytest.mark.parametrize("field", ["qty", "limit_price", "qty_step", "min_qty", "multiplier"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_leg_that_makes_no_sense_is_refused_with_the_field(field: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        replace(BTC, **{field: Decimal(value)})
