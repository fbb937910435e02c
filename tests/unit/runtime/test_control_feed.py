"""What is on record reaches the actor it is for: once, nobody else's, and nothing that is over."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.trading_state import INITIAL, TradingMode
from hedgelock_actors.ports.journal import Entry, JournalUnavailable, Json
from hedgelock_actors.runtime.control_feed import ControlFeed
from hedgelock_actors.runtime.names import Declared

NOW_MS = 1_000
KEEPER = Declared(name="position-keeper-a", kind="position-keeper", account="a")
ROUTER = Declared(name="order-router-a", kind="order-router", account="a")
OTHER = Declared(name="order-router-b", kind="order-router", account="b")
TREASURY = Declared(name="treasury", kind="treasury")
OVERRIDE: Mapping[str, Json] = {
    "overrides": [
        {
            "account": "a",
            "symbol": "BTCUSDT",
            "override_id": "o",
            "version": 1,
            "ts_ms": 1,
            "target_short_qty": "1",
            "expires_ms": 2,
            "who": "ada",
            "reason": "x",
        }
    ]
}
ACKNOWLEDGED: Mapping[str, Json] = {"accounts": ["a"], "ts_ms": 1, "who": "ada", "reason": "x"}
HALT: Mapping[str, Json] = {"mode": "HALTED", "epoch": 3, "reason": "x"}


def trade(expires_ms: int) -> Mapping[str, Json]:
    return {
        "trade": {
            "account": "a",
            "symbol": "BTCUSDT",
            "trade_id": "t",
            "ts_ms": 1,
            "side": "Sell",
            "qty": "1",
            "reason": "x",
            "reply_to": "notifier",
            "expires_ms": expires_ms,
        }
    }


async def record(journal: MemoryJournal, kind: str, payload: Mapping[str, Json]) -> None:
    epoch = await journal.open("control")
    key = str(len(journal.rows("control")))
    await journal.append("control", epoch, [Entry(kind=kind, key=key, ts_ms=1, account="", payload=payload)])


@pytest.mark.parametrize(
    ("kind", "payload", "hears"),
    [
        ("override", OVERRIDE, KEEPER),
        ("acknowledged", ACKNOWLEDGED, ROUTER),
        ("trade", trade(NOW_MS + 1), ROUTER),
        ("trade", trade(NOW_MS), None),
        ("limits", {"limits": {}}, None),
        ("approval_requested", {"body": {}}, None),
    ],
)
async def test_each_record_is_told_once_to_whom_it_is_for(
    kind: str, payload: Mapping[str, Json], hears: Declared | None
) -> None:
    for declared in (KEEPER, ROUTER, OTHER, TREASURY):
        journal = MemoryJournal()
        feed = ControlFeed(journal, declared)
        assert await feed.news(NOW_MS) == []
        await record(journal, kind, payload)
        assert len(await feed.news(NOW_MS)) == (1 if declared is hears else 0)
        assert await feed.news(NOW_MS) == []


async def test_a_restarted_actor_hears_all_again_but_no_acknowledgement_of_a_former_life() -> None:
    journal = MemoryJournal()
    await record(journal, "trade", trade(NOW_MS + 1))
    await record(journal, "acknowledged", ACKNOWLEDGED)
    await record(journal, "trading_state", HALT)
    feed = ControlFeed(journal, ROUTER)
    assert [message.kind for message in await feed.news(NOW_MS)] == ["hedge_trade"]
    assert feed.state.mode is TradingMode.HALTED
    await record(journal, "acknowledged", ACKNOWLEDGED)
    assert [message.kind for message in await feed.news(NOW_MS)] == ["foreign_activity_acknowledged"]


async def test_a_reading_that_failed_is_made_again() -> None:
    journal = MemoryJournal()
    await record(journal, "trading_state", HALT)
    feed = ControlFeed(journal, TREASURY)
    journal.available = False
    with pytest.raises(JournalUnavailable):
        await feed.news(NOW_MS)
    assert feed.state == INITIAL
    journal.available = True
    await feed.news(NOW_MS)
    assert feed.state.epoch == 3
