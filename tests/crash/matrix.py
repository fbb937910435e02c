"""Every schedule of up to two deaths, of every story, under every lag of the venue: `python -m tests.crash.matrix`.

With `--fuses` (or `--story` and `--lag-ms` alone) one schedule is run and told in full.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.crash.quick_loop import QuickLoop
from tests.crash.runs import PARTS, Schedule, run, schedules_from

SHOWN_MAX = 10


@dataclass(slots=True)
class Tally:
    """What came of many schedules."""

    schedules: int = 0
    points: int = 0
    """Points at which a first life can end."""
    deaths: Counter[str] = field(default_factory=Counter)
    """Where lives ended → how often."""
    wrong: list[tuple[Schedule, list[str]]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Together with another."""
        self.schedules += other.schedules
        self.points += other.points
        self.deaths += other.deaths
        self.wrong += other.wrong


def judge_from(work: tuple[Schedule, int]) -> Tally:
    """This schedule and all that go on from it, for one process of several."""
    logging.disable(logging.CRITICAL)
    first, deaths = work
    tally, loop = Tally(), QuickLoop()
    for one in schedules_from(first, loop, deaths):
        tally.schedules += 1
        tally.deaths.update(one.deaths)
        if one.wrong:
            tally.wrong.append((one.schedule, one.wrong))
    loop.close()
    return tally


def works(
    stories: Sequence[str], lags_ms: Sequence[int], deaths: int
) -> Iterator[tuple[Tally, list[tuple[Schedule, int]]]]:
    """For each story and lag: the run without a death, judged, and a piece of work for each first death."""
    loop = QuickLoop()
    for story in stories:
        for lag_ms in lags_ms or PARTS[story].lags_ms:
            whole = Schedule(story, lag_ms)
            one = run(whole, loop)
            tally = Tally(1, one.points, Counter(one.deaths), [(whole, one.wrong)] if one.wrong else [])
            apart = set(one.apart)
            firsts = range(one.points) if deaths else ()
            yield tally, [(Schedule(story, lag_ms, (at,)), deaths - 1 if at in apart else 0) for at in firsts]
    loop.close()


def sweep(stories: Sequence[str], lags_ms: Sequence[int], deaths: int, jobs: int) -> Tally:
    """All schedules of the stories."""
    total, pieces = Tally(), []
    for tally, work in works(stories, lags_ms, deaths):
        total.add(tally)
        pieces += work
    if jobs == 1:
        for piece in pieces:
            total.add(judge_from(piece))
        return total
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for tally in pool.imap_unordered(judge_from, pieces, chunksize=4):
            total.add(tally)
    return total


def tell_one(schedule: Schedule) -> int:
    """One schedule in full."""
    loop = QuickLoop()
    one = run(schedule, loop)
    loop.close()
    print(*one.trail, sep="\n")
    print(f"deaths: {one.deaths or 'none'}; points of the last life: {one.points}")
    print(*(f"VIOLATION {what}" for what in one.wrong), sep="\n", end="\n" if one.wrong else "")
    print(f"{len(one.wrong)} violations")
    return 1 if one.wrong else 0


def tell(total: Tally, seconds: float) -> int:
    """The summary; 1 when anything is wrong."""
    for schedule, wrong in total.wrong[:SHOWN_MAX]:
        print(f"VIOLATION {'; '.join(wrong)}\n  replay: {schedule.command}")
    print(
        f"{len(total.deaths)} places to die at, {total.points} points, {total.schedules} schedules of up to two deaths"
    )
    print(f"{len(total.wrong)} violations, {seconds:.0f} s")
    return 1 if total.wrong else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.matrix", description=__doc__)
    parser.add_argument("--story", choices=sorted(PARTS), help="only this one")
    parser.add_argument("--lag-ms", type=int, help="only this lag of the venue")
    parser.add_argument("--fuses", help="replay one schedule: the points at which the first lives end, e.g. 12,40")
    parser.add_argument("--deaths", type=int, default=2, choices=(0, 1, 2), help="at most so many (default 2)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    given = parser.parse_args(arguments)
    if given.fuses is not None:
        fuses = tuple(int(at) for at in given.fuses.split(",") if at)
        return tell_one(Schedule(given.story or parser.error("--fuses needs --story"), given.lag_ms or 0, fuses))
    began = time.monotonic()
    lags = () if given.lag_ms is None else (given.lag_ms,)
    total = sweep([given.story] if given.story else list(PARTS), lags, given.deaths, given.jobs)
    return tell(total, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
