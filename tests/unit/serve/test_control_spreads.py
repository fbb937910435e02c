"""A spread by command: on record, told to the keeper of its first leg, stopped by the same way, listed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hedgelock_actors.cli_spread import parse_leg
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.messages import SpreadRequested, SpreadStopped
from hedgelock_actors.domain.order import Side
from hedgelock_actors.runtime.control_feed import ControlFeed
from hedgelock_actors.runtime.names import Declared
from tests.unit.serve.control_rig import NOW_MS, Rig

LEGS = [
    {"account": "a", "side": "sell", "qty": "0.5", "limit_price": "60000"},
    {"account": "b", "side": "sell", "qty": "5", "limit_price": "60000", "multiplier": "0.1"},
]
SPREAD = {"legs": LEGS, "reason": "basis", "window_s": 90}


def told(rig: Rig, kind: type[Any]) -> list[tuple[str, Any]]:
    return [(to, message) for to, message in rig.cluster.got if isinstance(message, kind)]


async def test_a_spread_is_on_record_and_told_to_the_keeper_of_its_first_leg() -> None:
    rig = Rig()
    answer = await rig.post("/spreads", SPREAD)
    assert answer.status_code == 200
    [(to, spread)] = told(rig, SpreadRequested)
    assert to == "position-keeper-a"
    assert (spread.window_ms, spread.rollback_on_partial, spread.reason) == (90_000, False, "ada: basis")
    assert [(leg.account, leg.side, leg.qty, leg.multiplier) for leg in spread.legs] == [
        ("a", Side.SELL, Decimal("0.5"), Decimal(1)),
        ("b", Side.SELL, Decimal(5), Decimal("0.1")),
    ]
    assert rig.kinds() == ["spread"]
    stopped = await rig.post("/spreads/stop", {"spread_id": spread.spread_id})
    assert stopped.status_code == 200
    [(to, stop)] = told(rig, SpreadStopped)
    assert (to, stop.spread_id) == ("position-keeper-a", spread.spread_id)
    assert (await rig.get("/spreads"))["spreads"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"legs": LEGS[:1]}, "legs"),
        ({"legs": [LEGS[0], LEGS[0]]}, "legs"),
        ({"legs": [LEGS[0], {**LEGS[1], "account": "c"}]}, "account"),
        ({"legs": [LEGS[0], {**LEGS[1], "qty": "0"}]}, "qty"),
        ({"legs": [LEGS[0], {**LEGS[1], "side": "hold"}]}, "side"),
        ({"window_s": 0}, "window_s"),
        ({"reason": ""}, "reason"),
    ],
)
async def test_nonsense_is_refused_with_the_field(change: dict[str, object], field: str) -> None:
    rig = Rig()
    answer = await rig.post("/spreads", {**SPREAD, **change})
    assert answer.status_code == 422
    assert field in answer.json()["field"]
    assert rig.kinds() == []


async def test_while_halted_none_is_begun_and_an_unknown_one_is_not_stopped() -> None:
    rig = Rig()
    assert (await rig.post("/spreads/stop", {"spread_id": "f00"})).status_code == 404
    await rig.post("/halt", {"reason": "drill"})
    assert (await rig.post("/spreads", SPREAD)).status_code == 409
    assert rig.kinds() == ["trading_state"]


async def test_a_keeper_that_nobody_told_reads_it_from_the_record() -> None:
    rig = Rig()
    await rig.post("/spreads", SPREAD)
    keeper = Declared(name="position-keeper-a", kind="position-keeper", account="a")
    other = Declared(name="position-keeper-b", kind="position-keeper", account="b")
    assert [one.kind for one in await ControlFeed(rig.journal, keeper).news(NOW_MS)] == ["spread_requested"]
    assert await ControlFeed(rig.journal, other).news(NOW_MS) == []


def test_a_leg_is_read_from_the_command_line() -> None:
    assert parse_leg("main:sell:0.5@60000") == {
        "account": "main",
        "side": "sell",
        "qty": "0.5",
        "limit_price": "60000",
    }
    assert parse_leg("b-2:buy:5@61000.5x0.001")["multiplier"] == "0.001"
    with pytest.raises(InvalidInput, match="--leg"):
        parse_leg("main:hold:1@2")
