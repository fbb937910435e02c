"""The wall clock: never backwards, periods on a grid, jobs that fail or dawdle do no harm."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.adapters.venue_clock.jobs import next_due, period_of
from hedgelock_actors.adapters.venue_clock.mapping import ReplayState, TimeMapping, parse
from hedgelock_actors.adapters.venue_clock.wall import WallClock


def test_time_never_runs_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [2_000, 1_000, 1_500, 2_500]
    monkeypatch.setattr(time, "time_ns", lambda: readings.pop(0) * 1_000_000)
    clock = WallClock()
    assert [clock.now_ms() for _ in range(4)] == [2_000, 2_000, 2_000, 2_500]


def test_the_venue_may_be_ahead() -> None:
    assert abs(WallClock(offset_ms=5_000).now_ms() - WallClock().now_ms() - 5_000) < 1_000


async def test_jobs_run_on_a_grid_and_not_after_stop() -> None:
    clock = WallClock()
    runs: list[float] = []

    async def job() -> None:
        runs.append(time.monotonic())
        if len(runs) == 2:
            raise RuntimeError("clumsy")

    cancel = clock.every(0.05, job)
    await clock.sleep(0.32)
    cancel()
    await asyncio.sleep(0)
    seen = len(runs)
    assert 3 <= seen <= 6
    assert clock.job_failures == 1
    await clock.sleep(0.12)
    assert len(runs) == seen
    clock.every(0.01, job)
    await clock.stop()
    seen = len(runs)
    await clock.sleep(0.05)
    assert len(runs) == seen


async def test_a_job_is_never_run_twice_at_once() -> None:
    clock = WallClock()
    running, most = 0, 0

    async def slow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1

    clock.every(0.01, slow)
    await clock.sleep(0.25)
    await clock.stop()
    assert most == 1


async def test_a_job_may_cancel_itself() -> None:
    clock = WallClock()
    ended = asyncio.Event()

    async def once() -> None:
        cancel()
        await asyncio.sleep(0)
        ended.set()

    cancel = clock.every(0.01, once)
    await asyncio.wait_for(ended.wait(), 2)
    await clock.stop()


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(0, 10**7))
def test_the_next_due_time_is_the_first_on_the_grid(due: int, period: int, now: int) -> None:
    found = next_due(due, period, now)
    assert found > max(now, due - 1)
    assert (found - due) % period == 0
    assert found - period <= max(now, due)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_period_is_positive(seconds: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        period_of(seconds)


@given(st.floats(0.01, 10_000), st.integers(0, 10**12))
def test_the_mapping_is_a_straight_line(speed: float, passed_ns: int) -> None:
    mapping = TimeMapping(1_700_000_000_000, speed, False, 5, ReplayState.RUNNING)
    assert mapping.at(5 + passed_ns) == 1_700_000_000_000 + int(passed_ns * speed / 1e6)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"venue_ms": "1", "speed": 1.0, "monotonic_ns": 1, "state": "held"},
        {"venue_ms": 1, "speed": None, "monotonic_ns": 1, "state": "held"},
        {"venue_ms": 1, "speed": 1.0, "monotonic_ns": 1, "state": "asleep"},
    ],
)
def test_a_clock_that_is_none_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        parse(fields)
