"""The proving ground itself: its loop, that a run can be repeated bit for bit, and a few seeds of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from hedgelock_actors.domain.order import OrderStatus
from tests.simulation.arena.checkers.base import Violation
from tests.simulation.arena.knobs import Knobs, draw, names_on
from tests.simulation.arena.loop import PROCESS, Deadlock, Fate, SimLoop
from tests.simulation.arena.run import simulate
from tests.simulation.arena.transitions import ALL
from tests.simulation.swarm import Sums, emptiness, kinds, story, summary
from tests.simulation.words import speak

HOUR_S = 3_600.0


def test_an_hour_passes_at_once_and_to_the_millisecond() -> None:
    loop = SimLoop(1_000)
    loop.run_until_complete(asyncio.sleep(HOUR_S))
    assert loop.now_ms == 1_000 + 3_600_000
    loop.close()


def test_what_waits_for_nothing_is_a_deadlock() -> None:
    loop = SimLoop(0)
    with pytest.raises(Deadlock):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_a_shuffled_loop_runs_what_is_ready_in_an_order_of_its_seed() -> None:
    def order(seed: int | None) -> list[int]:
        loop, ran = SimLoop(0, None if seed is None else Random(seed)), list[int]()

        async def main() -> None:
            for number in range(10):
                loop.call_soon(ran.append, number)
            await asyncio.sleep(1)

        loop.run_until_complete(main())
        loop.close()
        return ran

    assert order(None) == list(range(10))
    assert order(7) == order(7) != order(None)
    assert sorted(order(7)) == list(range(10))


def test_a_frozen_process_goes_on_where_it_was_and_a_killed_one_never() -> None:
    loop, frozen, killed, said = SimLoop(0), Fate("a", 1), Fate("b", 2), list[str]()

    async def count(name: str) -> None:
        try:
            for second in range(5):
                said.append(f"{name}{second}")
                await asyncio.sleep(1)
        finally:
            said.append(f"{name} ends")

    async def main() -> None:
        for fate in (frozen, killed):
            token = PROCESS.set(fate)
            loop.create_task(count(fate.name))
            PROCESS.reset(token)
        await asyncio.sleep(1.5)
        loop.freeze(frozen)
        loop.kill(killed)
        await asyncio.sleep(60)
        assert said == ["a0", "b0", "a1", "b1"]
        loop.thaw(frozen)
        await asyncio.sleep(60)

    loop.run_until_complete(main())
    assert said == ["a0", "b0", "a1", "b1", "a2", "a3", "a4", "a ends"]
    # Only so that the test leaves no task behind: a killed process never runs again.
    killed.alive = True
    loop.run_until_complete(asyncio.sleep(0))
    loop._ready.extend(killed.held)
    loop.run_until_complete(asyncio.sleep(10))
    loop.close()


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_seed_breaks_no_promise(seed: int) -> None:
    verdict = simulate(seed)
    assert not verdict.violations, story(verdict, long=False)
    assert verdict.executions > 0


def test_the_same_seed_is_the_same_run_bit_for_bit_and_another_is_another() -> None:
    plan = draw(11)
    one, two, other = simulate(11, plan), simulate(11, plan), simulate(12)
    assert (one.digest, one.effects, one.happened) == (two.digest, two.effects, two.happened)
    assert other.digest != one.digest


def test_seeds_draw_many_combinations_of_faults() -> None:
    drawn = [names_on(draw(seed)) for seed in range(1, 200)]
    assert {name for names in drawn for name in names} == set(kinds())
    assert min(map(len, drawn)) == 0
    assert max(map(len, drawn)) > 15
    assert draw(5) == draw(5)


def test_a_venue_s_script_takes_every_entry_of_the_order_table_that_ends_in_its_word() -> None:
    taken, broken = speak()
    assert broken == []
    assert {pair for pair in ALL if not pair[1].of_outcome} <= set(taken)


def test_a_failing_seed_says_how_it_is_run_again_and_how_it_ended() -> None:
    verdict = simulate(3, Knobs(seed=3, minutes=1, quiet_minutes=1))
    object.__setattr__(verdict, "violations", (Violation("NothingLost", 17, "one is missing"),))
    told = story(verdict, long=False)
    assert "FAILED seed 3: NothingLost at 17: one is missing" in told
    assert "make simulate SEEDS=1 SEED=3" in told
    assert len(told.splitlines()) > 10


def test_a_run_in_which_something_never_happened_proves_nothing() -> None:
    sums, everything = Sums(), Counter(dict.fromkeys(ALL, 1))
    assert "vacuous: crash never happened" in emptiness(sums, everything)
    sums.happened.update(kinds())
    assert emptiness(sums, everything) == []
    assert emptiness(sums, Counter()) != []
    everything[OrderStatus.FILLED, OrderStatus.NEW] = 1
    assert emptiness(sums, everything) == ["the table has no transition FILLED→NEW, and it was taken"]
    assert "order table: 55 of 55" in summary(sums, everything, 1.0)
