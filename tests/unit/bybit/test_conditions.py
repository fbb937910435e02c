"""Announced maintenance and changed settings, as the venue tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hedgelock_actors.adapters.bybit.conditions import faults, maintenance, settings
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.fields import BadData
from hedgelock_actors.ports.venue import Maintenance
from tests.unit.bybit.fake_venue import NOW_MS

EXAMPLE = Path(__file__).parents[4] / "shared" / "bybit" / "examples" / "GET_v5_system_status__response.json"
ACCOUNT = {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 6}


def window(**changes: object) -> dict[str, object]:
    return {
        "id": "1",
        "title": "upgrade",
        "state": "scheduled",
        "begin": str(NOW_MS),
        "end": str(NOW_MS + 600_000),
        "serviceTypes": [2, 3],
        "product": [1, 2],
        "uidSuffix": [],
        "maintainType": 1,
        "env": 1,
        **changes,
    }


def read(*rows: dict[str, object], endpoints: Endpoints | None = None) -> list[Maintenance]:
    return maintenance(rows, endpoints or Endpoints.mainnet())


def test_windows_that_touch_us_come_soonest_first() -> None:
    later, now = window(begin=str(NOW_MS + 5), title="later"), window(state="ongoing", end="")
    assert read(later, now) == [
        Maintenance(title="upgrade", begin_ms=NOW_MS, end_ms=None, ongoing=True),
        Maintenance(title="later", begin_ms=NOW_MS + 5, end_ms=NOW_MS + 600_000, ongoing=False),
    ]


@pytest.mark.parametrize(
    "other",
    [
        window(state="completed"),
        window(state="canceled"),
        window(product=[2, 3]),
        window(serviceTypes=[5]),
        window(env=2),
    ],
)
def test_what_is_over_or_concerns_others_is_left_out(other: dict[str, object]) -> None:
    assert read(other) == []


@pytest.mark.parametrize("ours", [window(product=[]), window(serviceTypes=[]), window(uidSuffix=[7])])
def test_what_may_concern_us_is_taken_for_ours(ours: dict[str, object]) -> None:
    assert len(read(ours)) == 1


def test_demo_trading_has_windows_of_its_own() -> None:
    assert len(read(window(env=2), endpoints=Endpoints.demo())) == 1
    assert read(window(env=1), endpoints=Endpoints.demo()) == []


@pytest.mark.parametrize("bad", [window(state="meteor"), window(begin="soon"), window(product="all")])
def test_an_entry_that_cannot_be_read_is_an_error_and_not_nothing(bad: dict[str, object]) -> None:
    with pytest.raises(BadData):
        read(bad)


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the venue's documented examples are not on this machine")
def test_the_documented_answer_is_read() -> None:
    listed = json.loads(EXAMPLE.read_text())["result"]["list"]
    assert read(*listed) == []
    assert read(*[{**row, "state": "ongoing"} for row in listed])


def position(**changes: object) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "positionIdx": 0,
        "isReduceOnly": False,
        "leverage": "10",
        "riskId": 1,
        "riskLimitValue": "2000000",
        "positionValue": "500000",
        **changes,
    }


def found(*rows: dict[str, Any], account: dict[str, Any] | None = None) -> list[str]:
    first = settings([position()], "BTCUSDT", ACCOUNT)
    return faults(settings(rows, "BTCUSDT", account or ACCOUNT), first)


def test_f43_an_account_as_it_was_has_no_faults() -> None:
    assert found(position()) == []
    assert found() == [], "no position yet"
    assert found(position(symbol="ETHUSDT", leverage="3", isReduceOnly=True)) == [], "not ours"
    assert found(position(riskId=2, riskLimitValue="10000000")) == [], "the venue moves the limit with the position"


@pytest.mark.parametrize(
    ("row", "account", "said"),
    [
        (position(isReduceOnly=True), ACCOUNT, "isReduceOnly"),
        (position(positionIdx=1), ACCOUNT, "hedge mode"),
        (position(leverage="20"), ACCOUNT, "from 10 to 20"),
        (position(positionValue="3000000"), ACCOUNT, "over the risk limit"),
        (position(), {**ACCOUNT, "marginMode": "PORTFOLIO_MARGIN"}, "PORTFOLIO_MARGIN"),
        (position(), {**ACCOUNT, "unifiedMarginStatus": 1}, "not a unified"),
    ],
)
def test_f43_what_somebody_changed_is_a_fault(row: dict[str, Any], account: dict[str, Any], said: str) -> None:
    (fault,) = found(row, account=account)
    assert said in fault


def test_several_faults_are_all_told() -> None:
    assert len(found(position(isReduceOnly=True, leverage="5"), account={**ACCOUNT, "unifiedMarginStatus": 0})) == 3
