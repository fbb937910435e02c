"""The time that is signed with, and turns that are waited for."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.adapters.bybit.pace import Lane
from hedgelock_actors.adapters.bybit.turns import Turns
from hedgelock_actors.adapters.bybit.venue_time import VenueTime
from hedgelock_actors.adapters.memory.clock import ManualClock

NOW = 1_700_000_000_000


@given(st.integers(-3_600_000, 3_600_000), st.integers(0, 2_000), st.integers(0, 2_000))
def test_f21_the_offset_is_found_within_half_the_round_trip_and_never_made_up(
    ahead: int, there: int, back: int
) -> None:
    """`ahead`: what the venue's clock is ahead of ours; the travel times are not known to the one who measures."""
    time = VenueTime(ManualClock(NOW))
    time.measured(NOW, NOW + there + ahead, NOW + there + back)
    if time.offset_ms:
        assert abs(time.offset_ms - ahead) <= (there + back + 1) // 2
        assert abs(time.offset_ms) > 250
    else:
        assert abs(ahead) <= 250 + max(there, back)
    if abs(ahead) <= 5_000:
        assert time.trusted
    if abs(ahead) > 5_000 + 2_000:
        assert not time.trusted


def test_a_small_offset_leaves_the_clock_alone() -> None:
    """A replayed time moves by jumps: what is within them is no offset."""
    time = VenueTime(ManualClock(NOW))
    time.measured(NOW, NOW + 240, NOW)
    assert (time.offset_ms, time.now_ms(), time.measurements) == (0, NOW, 1)


def test_f21_beyond_the_bound_it_is_not_trusted_until_it_is_right_again() -> None:
    time = VenueTime(ManualClock(NOW), bound_ms=1_000)
    time.measured(NOW, NOW - 1_500, NOW)
    assert (time.trusted, time.now_ms()) == (False, NOW - 1_500)
    time.measured(NOW, NOW - 900, NOW)
    assert (time.trusted, time.now_ms()) == (True, NOW - 900)


async def test_turns_come_in_the_order_of_asking() -> None:
    clock, lane = ManualClock(NOW), Lane(1)
    turns, order = Turns(clock), []

    async def take(number: int) -> None:
        ticket = await turns.take(lane, 1, 10_000)
        assert ticket is not None
        order.append((number, clock.now_ms() - NOW))
        lane.settle(ticket, turns.now_ms())

    waiting = [asyncio.create_task(take(number)) for number in range(3)]
    for _ in range(3):
        await asyncio.sleep(0)
        await clock.advance(1_005)
    await asyncio.gather(*waiting)
    assert order == [(0, 0), (1, 1_005), (2, 2_010)]
    assert turns.waited == 2


async def test_a_turn_that_comes_too_late_is_not_waited_for() -> None:
    clock, lane = ManualClock(NOW), Lane(1)
    turns = Turns(clock)
    ticket = await turns.take(lane, 1, 0)
    assert ticket is not None
    lane.settle(ticket, NOW)
    assert await turns.take(lane, 1, 1_000) is None
    assert clock.now_ms() == NOW


async def test_in_lock_step_nobody_waits_for_a_time_that_may_wait_for_him() -> None:
    class LockStep(ManualClock):
        state = "running"

    clock, lane = LockStep(NOW), Lane(1)
    turns = Turns(clock)
    assert await turns.take(lane, 1, 10_000) is not None
    assert await turns.take(lane, 1, 10_000) is None
    clock.state = "held"
    waiting = asyncio.create_task(turns.take(lane, 1, 10_000))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("moves", [True, False])
async def test_time_that_stands_still_lets_the_window_pass_by_the_wall(moves: bool) -> None:
    """A venue that is held counts by the wall: whoever has slept for it has his turn."""

    class Standing(ManualClock):
        async def sleep(self, seconds: float) -> None:
            self.slept = getattr(self, "slept", 0.0) + seconds
            if moves:
                await self.advance(round(seconds * 1_000))

    clock, lane = Standing(NOW), Lane(1)
    turns = Turns(clock)
    for _ in range(4):
        ticket = await turns.take(lane, 1, 2_000)
        assert ticket is not None
        lane.settle(ticket, turns.now_ms())
    assert clock.slept == pytest.approx(3.015)
    assert turns.now_ms() == NOW + 3_015
