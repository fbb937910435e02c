"""A death in each world that can be told apart, and a fixed sample of two deaths: the whole matrix is `make crash`."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from tests.crash import matrix
from tests.crash.quick_loop import QuickLoop
from tests.crash.runs import PARTS, Run, Schedule, run, schedules_from

CASES = [(story, lag_ms) for story, part in PARTS.items() for lag_ms in part.lags_ms]
PAIRS = 4
MUST_PASS = {
    "growth": {"before venue.place", "after venue.place", "after journal.append intent", "after journal.append outcome",
               "before journal.append execution", "after journal.append execution", "before venue.position"},
    "silence": {"before journal.append resend", "after journal.append resend", "after venue.find_order"},
    "resting": {"before venue.amend", "after venue.amend", "before journal.append amend", "before venue.cancel",
                "after venue.cancel", "before journal.append strategy_done", "after journal.append strategy_done"},
    "sweep": {"before loans.transfer_to_funding", "after loans.transfer_to_funding", "before loans.repay",
              "after loans.repay", "after journal.append repay_done", "before transport.send"},
    "targets": {"before journal.append target", "after journal.append target", "before transport.send",
                "after journal.append sweep_told", "after journal.append sweep_booked", "after journal.append booked"},
}  # fmt: skip
"""Without these points, a story does not tell what it is meant to tell."""


@pytest.fixture
def loop() -> Iterator[QuickLoop]:
    logging.disable(logging.CRITICAL)
    loop = QuickLoop()
    yield loop
    loop.close()
    logging.disable(logging.NOTSET)


def fine(one: Run) -> None:
    assert not one.wrong, (one.wrong, one.deaths, f"replay: {one.schedule.command}")


@pytest.mark.parametrize(("story", "lag_ms"), CASES)
def test_f47_dying_once_anywhere(story: str, lag_ms: int, loop: QuickLoop) -> None:
    """F12, F13, F14, F46, F47: one effect per intent, whatever crashes and wherever."""
    runs = list(schedules_from(Schedule(story, lag_ms), loop, deaths=1, every=False))
    assert len(runs) == len(runs[0].apart) + 1 > 10
    for one in runs:
        fine(one)
        assert len(one.deaths) == len(one.schedule.fuses)
    places = {word for one in runs for place in one.passed for word in words(place)}
    # An order that shows after 25 s is taken back before it could be moved.
    must = {place for place in MUST_PASS.get(story, set()) if lag_ms < 25_000 or "amend" not in place}
    assert must <= places


def words(place: str) -> list[str]:
    """Where it died; of records that were written together, once for each kind."""
    where, _, kinds = place.partition(".append ")
    return [f"{where}.append {kind}" for kind in kinds.split("+")] if kinds else [place]


@pytest.mark.parametrize(("story", "lag_ms"), CASES)
def test_dying_twice(story: str, lag_ms: int, loop: QuickLoop) -> None:
    rng = random.Random(f"{story}{lag_ms}")
    count = run(Schedule(story, lag_ms), loop).points
    for _ in range(PAIRS):
        first = run(Schedule(story, lag_ms, (rng.randrange(count),)), loop)
        second = rng.randrange(first.points)
        both = run(Schedule(story, lag_ms, (*first.schedule.fuses, second)), loop)
        fine(both)
        assert len(both.deaths) == 2


def test_a_schedule_is_the_same_every_time(loop: QuickLoop) -> None:
    one, again = (run(Schedule("growth", 3_000, (30, 20)), loop) for _ in range(2))
    assert one.trail == again.trail
    assert one.deaths == again.deaths


@pytest.mark.parametrize(("story", "lag_ms"), [("growth", 0), ("resting", 0), ("sweep", 0), ("targets", 0)])
def test_after_deaths_in_the_same_world_everything_goes_on_the_same(story: str, lag_ms: int, loop: QuickLoop) -> None:
    """What lets the matrix try a second death once for all of them."""
    whole = run(Schedule(story, lag_ms), loop)
    assert len(whole.apart) < whole.points
    firsts = iter(whole.apart)
    after: list[str] = []
    for at in range(whole.points):
        one = run(Schedule(story, lag_ms, (at,)), loop)
        died = next(n for n, line in enumerate(one.trail) if "  dies " in line)
        if at in whole.apart:
            assert next(firsts) == at
            after = one.trail[died + 1 :]
        assert one.trail[died + 1 :] == after


def test_the_command_replays_one_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    schedule = Schedule("growth", 3_000, (30, 20))
    assert schedule.command.endswith("--story growth --lag-ms 3000 --fuses 30,20")
    assert matrix.main(["--story", "growth", "--lag-ms", "3000", "--fuses", "30,20"]) == 0
    said = capsys.readouterr().out
    assert said.count("dies ") == 2
    assert "0 violations" in said


def test_the_matrix_counts_all_schedules_of_a_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert matrix.main(["--story", "targets", "--deaths", "1", "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "0 violations" in said
    points, schedules = _counts(said)
    assert schedules == points + 1


def _counts(said: str) -> tuple[int, int]:
    words = said.split()
    return int(words[words.index("points,") - 1]), int(words[words.index("schedules") - 1])
