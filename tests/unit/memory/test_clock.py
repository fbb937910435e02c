"""Virtual time: what falls due runs, in order, and nothing else does."""

from __future__ import annotations

import asyncio

import pytest

from hedgelock_actors.adapters.memory.clock import ManualClock

START = 1_000_000


async def test_jobs_and_sleepers_run_in_time_order() -> None:
    clock = ManualClock(START)
    seen: list[tuple[str, int]] = []

    async def note(name: str) -> None:
        seen.append((name, clock.now_ms() - START))

    async def sleeper() -> None:
        await clock.sleep(1.5)
        seen.append(("sleeper", clock.now_ms() - START))
        await clock.sleep(0.1)
        seen.append(("again", clock.now_ms() - START))

    clock.every(1.0, lambda: note("second"))
    clock.every(0.7, lambda: note("quick"))
    task = asyncio.create_task(sleeper())
    await clock.advance(2_000)
    await task
    assert seen == [
        ("quick", 700),
        ("second", 1_000),
        ("quick", 1_400),
        ("sleeper", 1_500),
        ("again", 1_600),
        ("second", 2_000),
    ]
    assert clock.now_ms() == START + 2_000


async def test_a_job_that_waits_for_real_work_ends_before_time_moves_on() -> None:
    clock = ManualClock(START)
    ended: list[int] = []

    async def slow() -> None:
        await asyncio.sleep(0.02)
        ended.append(clock.now_ms() - START)

    clock.every(1, slow)
    await clock.advance(3_000)
    assert ended == [1_000, 2_000, 3_000]


async def test_a_job_that_sleeps_on_the_clock_is_never_doubled() -> None:
    clock = ManualClock(START)
    seen: list[tuple[str, int]] = []

    async def long() -> None:
        seen.append(("start", clock.now_ms() - START))
        await clock.sleep(2.5)
        seen.append(("end", clock.now_ms() - START))

    clock.every(1, long)
    await clock.advance(5_000)
    assert seen == [("start", 1_000), ("end", 3_500), ("start", 4_000)]
    await clock.stop()


async def test_a_cancelled_job_and_a_stopped_clock_run_nothing() -> None:
    clock = ManualClock(START)
    runs: list[str] = []

    async def note(name: str) -> None:
        runs.append(name)

    cancel = clock.every(1, lambda: note("cancelled"))
    clock.every(1, lambda: note("stopped"))
    await clock.advance(1_000)
    cancel()
    await clock.advance(1_000)
    await clock.stop()
    await clock.advance(5_000)
    assert runs == ["cancelled", "stopped", "stopped"]


async def test_a_job_may_stop_the_clock_that_runs_it() -> None:
    clock = ManualClock(START)
    runs: list[int] = []

    async def once() -> None:
        runs.append(clock.now_ms())
        await clock.stop()

    clock.every(1, once)
    await clock.advance(10_000)
    assert runs == [START + 1_000]


async def test_what_a_job_raises_comes_out_of_advance() -> None:
    clock = ManualClock(START)

    async def broken() -> None:
        raise ZeroDivisionError("in the job")

    clock.every(1, broken)
    with pytest.raises(ZeroDivisionError, match="in the job"):
        await clock.advance(1_000)


async def test_time_never_runs_backwards_and_periods_are_positive() -> None:
    clock = ManualClock(START)
    with pytest.raises(ValueError, match="backwards"):
        await clock.advance(-1)
    await clock.advance_to(START - 500)
    assert clock.now_ms() == START
    with pytest.raises(ValueError, match="positive"):
        clock.every(0, lambda: clock.sleep(1))


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock(START)
    task = asyncio.create_task(clock.sleep(1))
    await clock.advance(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.advance(2_000)
    assert task.cancelled()
