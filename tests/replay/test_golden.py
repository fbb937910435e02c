"""Yesterday's journals under today's code (G9): the same records, the same knowledge, the same decisions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.replay.golden import PLANS, journal_of, read, states_of
from tests.simulation.arena.run import simulate

ROOT = Path(__file__).resolve().parents[2]
SEEDED = """
from tests.replay.golden import PLANS
from tests.simulation.arena.run import simulate
for name, plan in PLANS.items():
    verdict = simulate(plan.seed, plan)
    print(name, verdict.effects, verdict.digest)
"""


@pytest.mark.parametrize("name", PLANS)
async def test_the_chain_of_a_golden_journal_is_the_one_that_was_recorded(name: str) -> None:
    golden = read(name)
    journal = await journal_of(golden.rows)
    assert {stream: head.hash for stream, head in (await journal.heads()).items()} == golden.heads


@pytest.mark.parametrize("name", PLANS)
async def test_router_keeper_and_treasury_know_after_a_replay_what_they_knew(name: str) -> None:
    golden = read(name)
    assert await states_of(golden.rows) == golden.states


@pytest.mark.parametrize("name", PLANS)
def test_the_same_run_has_the_same_effects_as_when_it_was_recorded(name: str) -> None:
    """When this fails and the change of decisions is meant: `make golden`, and say in the commit what has changed."""
    verdict = simulate(PLANS[name].seed, PLANS[name])
    assert not verdict.violations
    assert verdict.effects == read(name).effects


def test_hash_seeds_change_nothing() -> None:
    told = {_run(seed) for seed in ("1", "4242")}
    assert len(told) == 1
    for line in told.pop().splitlines():
        name, effects, _ = line.split()
        assert effects == read(name).effects


def _run(hash_seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SEEDED], env=env, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout
