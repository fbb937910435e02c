"""The benchmark's configuration is one that the product accepts, and its prices never rest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hedgelock_actors.bench import kills, order_bench
from hedgelock_actors.bench.venue import EVERY_STEP, configured, merged, write_scenario
from hedgelock_actors.runtime.processes import ExchangeAccount
from hedgelock_actors.runtime.rules import policy_of
from hedgelock_actors.simulator.price_files import read_scenario


@dataclass
class Stub:
    """What is read of a running exchange."""

    rest: str
    accounts: list[ExchangeAccount]


def stub(accounts: int) -> Any:
    keys = [ExchangeAccount(uid=str(n), api_key=f"k{n}", api_secret=f"s{n}", loan={}) for n in range(accounts)]
    return Stub("http://127.0.0.1:1", keys)


def test_every_step_asks_for_another_target_at_once(tmp_path: Path) -> None:
    config = configured(tmp_path, stub(3), 2, EVERY_STEP)
    policy = policy_of(config)
    assert [account.name for account in config.venue.accounts] == ["bench-0", "bench-1"]
    file = config.venue.accounts[1].credentials_file
    assert file is not None
    assert json.loads(file.read_text()) == {"api_key": "k1", "api_secret": "s1"}
    assert file.stat().st_mode & 0o077 == 0
    assert policy.target.dead_band == 0
    assert policy.target.down_dwell_ms == 0
    assert policy.levels.critical < 0.35 < policy.levels.ceiling


def test_lifted_limits_are_far_above_what_is_driven(tmp_path: Path) -> None:
    lifted = configured(tmp_path, stub(2), 1, order_bench._changes(order_bench.BenchOptions(lifted=True)))
    assert policy_of(lifted).limits.orders_per_second == 1_000
    kept = configured(tmp_path, stub(2), 1, order_bench._changes(order_bench.BenchOptions()))
    assert policy_of(kept).limits.orders_per_second == 10


def test_the_price_moves_with_every_step(tmp_path: Path) -> None:
    path = read_scenario(write_scenario(tmp_path / "s.yaml", 4)).path(1, 240)
    prices = []
    while path.next_ms() is not None:
        prices.append(path.take().price)
    assert len(prices) == 4 * 240
    assert sum(a != b for a, b in pairwise(prices)) > 0.8 * len(prices)  # the others stay at a minute's extreme
    assert max(prices) / min(prices) < 1.02


def test_the_restless_market_is_one_that_can_be_replayed(tmp_path: Path) -> None:
    config = kills._configured(tmp_path, kills.KillOptions(seed=3))
    scenario = read_scenario(Path(config.sample.scenario))
    assert scenario.waypoints[-1][0] > 20 * 60
    assert policy_of(config).target.dead_band == 0.001


def test_merging_goes_section_by_section_and_changes_nothing_in_place() -> None:
    base = {"a": {"x": 1, "y": 2}, "b": 3}
    assert merged(base, {"a": {"y": 5}, "c": 4}) == {"a": {"x": 1, "y": 5}, "b": 3, "c": 4}
    assert base == {"a": {"x": 1, "y": 2}, "b": 3}
