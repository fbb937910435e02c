"""The limits and the lease as the runtime hands them to the router."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.adapters.postgres.lease import PostgresLeases
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.runtime.config import Config, load
from hedgelock_actors.runtime.lease import monotonic_ms, trading_lease
from hedgelock_actors.runtime.rules import policy_of


def test_the_file_states_the_limits_of_the_domain() -> None:
    assert policy_of(load(env={})).limits == replace(Limits(), symbols=frozenset({"BTCUSDT"}))


@pytest.mark.parametrize(
    ("section", "key", "value", "field", "expected"),
    [
        ("limits", "money_max_age_s", 7, "max_money_age_ms", 7_000),
        ("limits", "duplicate_window_s", 2.5, "duplicate_window_ms", 2_500),
        ("limits", "max_trade_daily_qty", 3, "max_trade_daily_qty", Decimal(3)),
        ("limits", "max_daily_loss_usdt", 99, "max_daily_loss_usdt", Decimal(99)),
        ("limits", "amends_per_minute", 5, "amends_per_minute", 5),
        ("sweep", "maintenance", 0.01, "maintenance", Decimal("0.01")),
        ("sweep", "taker_fee", 0.001, "taker_fee", Decimal("0.001")),
        ("market", "stale_after_s", 3, "max_quote_age_ms", 3_000),
    ],
)
def test_every_key_reaches_its_limit(section: str, key: str, value: float, field: str, expected: object) -> None:
    config = Config.model_validate({section: {key: value}})
    assert getattr(policy_of(config).limits, field) == expected


def test_the_clock_of_the_lease_moves_with_real_time() -> None:
    began = monotonic_ms()
    time.sleep(0.02)
    assert 15 <= monotonic_ms() - began < 5_000


async def test_a_router_s_lease_is_not_held_before_it_is_taken_and_not_without_its_store() -> None:
    store = PostgresLeases("postgresql://u:p@/hedgelock?host=/nonexistent")
    lease = trading_lease(store, "main", "order-router-main", scope="sim-1", paced=False)
    assert not lease.held()
    await lease.start()
    await asyncio.sleep(0.05)
    assert not lease.held()
    await lease.stop()
    await store.close()
