"""One order effect per intent, wherever the router dies: each call to the outside, before and after, once and twice."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.codec import amount, text
from hedgelock_actors.domain.order import OrderType, Side
from tests.crash.router_rig import ROUTER, Rig, realise, target
from tests.unit.actors.order_rig import AT_ONCE

pytestmark = pytest.mark.slow
LAGS = {"at once": 0, "after 3 s": 3_000, "after 25 s": 25_000}


async def story(rig: Rig) -> Rig:
    """More protection twice, profit realised, less protection."""
    lag_s = rig.venue.lag_ms // 1000
    await rig.boot()
    await rig.seconds(2)
    rig.told = [target(1, "1.0", rig.clock.now_ms())]
    await rig.give(rig.told[0])
    await rig.seconds(14 + lag_s)
    rig.told = [target(2, "1.75", rig.clock.now_ms())]
    await rig.give(rig.told[0])
    await rig.seconds(14 + lag_s)
    rig.told.append(realise("r1", "0.5", rig.clock.now_ms()))
    await rig.give(rig.told[1])
    await rig.seconds(26 + 2 * lag_s)
    rig.told = [target(3, "0.6", rig.clock.now_ms())]
    await rig.give(rig.told[0])
    await rig.seconds(15 + lag_s)
    await rig.close()
    return rig


def one_effect_per_intent(rig: Rig) -> None:
    """Judged by the venue's own record against the decisions in the journal."""
    intents: dict[str, Decimal] = {}
    intent_of: dict[str, str] = {}
    for row in rig.journal.rows(ROUTER):
        if row.kind == "intent":
            payload = json.loads(row.payload)
            intents[text(payload, "intent_id")] = amount(payload, "intent_qty")
            intent_of[text(payload, "order_link_id")] = text(payload, "intent_id")
    filled: dict[str, Decimal] = {}
    for done in rig.venue.executed:
        intent_id = intent_of[done.order_link_id]
        filled[intent_id] = filled.get(intent_id, Decimal(0)) + done.qty
    assert all(filled[intent_id] <= intents[intent_id] for intent_id in filled), (filled, intents, rig.deaths)
    assert rig.venue.signed_qty == Decimal("-0.6"), rig.deaths
    assert rig.venue.lowest_qty == Decimal("-1.75"), rig.deaths
    bought = sum(one.qty for one in rig.venue.executed if one.side is Side.BUY)
    assert bought == Decimal("0.5") + Decimal("1.15"), rig.deaths
    journalled = {row.key for row in rig.journal.rows(ROUTER) if row.kind == "execution"}
    assert journalled == {one.exec_id for one in rig.venue.executed}, rig.deaths


async def points(lag_ms: int) -> int:
    """How many points there are to die at, of a run without a death."""
    rig = await story(Rig(lag_ms))
    one_effect_per_intent(rig)
    assert rig.deaths == []
    return rig.fuse.points


@pytest.mark.parametrize("lag", LAGS)
async def test_f47_dying_once_anywhere(lag: str) -> None:
    count = await points(LAGS[lag])
    assert count > 60
    places: set[str] = set()
    for at in range(count):
        rig = await story(Rig(LAGS[lag], [at]))
        assert len(rig.deaths) == 1
        places |= set(rig.deaths)
        one_effect_per_intent(rig)
    assert {"before place", "after place", "before append intent", "after append intent"} <= places
    assert {"after append outcome", "before append execution", "after append execution"} <= places


def wide_market(fuses: Sequence[int] = ()) -> Rig:
    """No limit fills: each step of the story takes all limit attempts and a market order."""
    plain = AT_ONCE
    limits = replace(plain.limits, orders_per_minute=100, critical_orders_per_minute=100)
    rig = Rig(0, fuses, replace(plain, limits=limits))
    rig.venue.wide = True
    return rig


async def test_dying_once_anywhere_in_a_market_that_only_market_orders_reach() -> None:
    plain = await story(wide_market())
    one_effect_per_intent(plain)
    kinds = {one.order_link_id: one.order_type for one in plain.venue.sent}
    assert {kinds[one.order_link_id] for one in plain.venue.executed} == {OrderType.MARKET}
    for at in range(plain.fuse.points):
        rig = await story(wide_market([at]))
        assert len(rig.deaths) == 1
        one_effect_per_intent(rig)


@pytest.mark.parametrize("lag", LAGS)
async def test_dying_twice_anywhere(lag: str) -> None:
    count = await points(LAGS[lag])
    rng = random.Random(7)
    for _ in range(60):
        rig = await story(Rig(LAGS[lag], [rng.randrange(count), rng.randrange(count // 2)]))
        one_effect_per_intent(rig)
