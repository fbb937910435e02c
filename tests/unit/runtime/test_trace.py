"""Stamps are taken when they are asked for, and otherwise nothing is different."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hedgelock_actors.adapters.bybit.market_data import BybitMarketData
from hedgelock_actors.adapters.bybit.venue import BybitVenue
from hedgelock_actors.bench.stages import Stamps
from hedgelock_actors.domain.messages import AnyMessage, FeedStale
from hedgelock_actors.runtime import trace

STALE = FeedStale(symbol="BTCUSDT", ts_ms=1, reason="test")


async def deaf(message: AnyMessage) -> None:
    """Takes anything in."""


def test_nothing_is_wrapped_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(trace.TRACE_VARIABLE, raising=False)
    assert trace.watched("order-router-main", deaf) is deaf
    assert trace.market_data() is BybitMarketData
    assert trace.venue() is BybitVenue


async def test_messages_on_the_way_to_an_order_are_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.runtime.messages import DEMAND, TARGET, TICK

    monkeypatch.setenv(trace.TRACE_VARIABLE, str(tmp_path / "trace"))
    heard: list[AnyMessage] = []

    async def receive(message: AnyMessage) -> None:
        heard.append(message)

    stamped = trace.watched("risk-calculator-0", receive)
    for message in (TICK, DEMAND, TARGET, STALE):
        await stamped(message)
    assert heard == [TICK, DEMAND, TARGET, STALE]
    (file,) = (tmp_path / "trace").iterdir()
    assert file.name == f"risk-calculator-0-{os.getpid()}.trace"
    stamps = Stamps()
    stamps.read(file.read_text().splitlines())
    assert {stage: list(keys) for stage, keys in stamps.by_stage.items()} == {
        "tick:risk": ["100"],
        "demand:main": ["100"],
        "target:main": ["100"],
    }
    assert issubclass(trace.market_data(), trace.TracedMarketData)
    assert issubclass(trace.venue(), trace.TracedVenue)
