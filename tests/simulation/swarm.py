"""`python -m tests.simulation.swarm --seeds N --first K --jobs J`: the proving ground, many seeds, what they came to.

Each seed runs the six actors around the exchange's engine on virtual time, first with the faults that its swarm has
drawn, then without, and is judged by checkers that read the venue's own log. Exit code 1: a promise was broken, or the
run proved nothing (a kind of fault or an entry of the order table never happened).
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from tests.simulation.arena.knobs import Chances, Rates, draw
from tests.simulation.arena.run import Verdict, simulate
from tests.simulation.arena.transitions import ALL, Pair, forbidden, missing, watched
from tests.simulation.words import speak

SURELY = 200
"""From so many seeds on every kind of fault and every transition must have happened."""
TAIL_SHOWN = 30


@dataclass(slots=True)
class Sums:
    """What many seeds came to."""

    seeds: int = 0
    virtual_ms: int = 0
    cpu_s: float = 0.0
    orders: int = 0
    executions: int = 0
    failed: list[Verdict] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    taken: Counter[Pair] = field(default_factory=Counter)
    took_ms: list[int] = field(default_factory=list)

    def add(self, verdict: Verdict, taken: Counter[Pair], cpu_s: float) -> None:
        """One more seed."""
        self.seeds += 1
        self.virtual_ms += verdict.virtual_ms
        self.cpu_s += cpu_s
        self.orders += verdict.orders
        self.executions += verdict.executions
        self.happened.update(verdict.happened)
        self.taken.update(taken)
        if verdict.violations:
            self.failed.append(verdict)
        if verdict.took_ms is not None:
            self.took_ms.append(verdict.took_ms)


def one_seed(seed: int) -> tuple[Verdict, Counter[Pair], float]:
    """Run a seed, in whatever process."""
    taken: Counter[Pair] = Counter()
    began = time.process_time()
    with watched(taken):
        verdict = simulate(seed)
    return verdict, taken, time.process_time() - began


def results(first: int, seeds: int, jobs: int) -> Iterator[tuple[Verdict, Counter[Pair], float]]:
    """Verdicts in the order of the seeds, whatever the number of jobs."""
    numbers = range(first, first + seeds)
    if jobs <= 1 or seeds <= 1:
        yield from map(one_seed, numbers)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(one_seed, numbers, chunksize=4)


def kinds() -> list[str]:
    """Every kind of fault that a seed can draw."""
    return [one.name for group in (Chances, Rates) for one in fields(group)]


def run(first: int, seeds: int, jobs: int) -> int:
    """Run, tell, judge. Returns the exit code."""
    say, sums, began = sys.stdout.write, Sums(), time.monotonic()
    for verdict, taken, cpu_s in results(first, seeds, jobs):
        sums.add(verdict, taken, cpu_s)
        if verdict.violations:
            say(story(verdict, long=seeds == 1))
        if sums.seeds % 50 == 0:
            rate = sums.seeds / (time.monotonic() - began) * 60
            say(f"{sums.seeds:6d} of {seeds} seeds, {rate:.0f} a minute, {len(sums.failed)} failed\n")
            sys.stdout.flush()
    if seeds == 1:
        say(f"{draw(first)}\n")
    by_script, broken = speak()
    say(summary(sums, by_script, time.monotonic() - began))
    vacuous = emptiness(sums, by_script) if seeds >= SURELY else []
    for text in [*broken, *vacuous]:
        say(f"FAILED {text}\n")
    return 1 if sums.failed or broken or vacuous else 0


def story(verdict: Verdict, *, long: bool) -> str:
    """Why a seed failed, how it is run again, and how it ended."""
    first = verdict.violations[0]
    tail = verdict.tail if long else verdict.tail[-TAIL_SHOWN:]
    lines = [f"FAILED seed {verdict.seed}: {first.checker} at {first.ts_ms}: {first.text}"]
    lines += [f"   and {one.checker}: {one.text}" for one in verdict.violations[1:4]]
    lines += [
        f"   again: make simulate SEEDS=1 SEED={verdict.seed}",
        *(f"     {one}" for one in tail),
    ]
    return "\n".join(lines) + "\n"


def summary(sums: Sums, by_script: Counter[Pair], wall_s: float) -> str:
    """The figures."""
    minutes = sums.virtual_ms / 60_000
    by_chance = sum(1 for pair in ALL if sums.taken[pair])
    covered = sum(1 for pair in ALL if sums.taken[pair] or by_script[pair])
    took = sorted(sums.took_ms) or [0]
    lines = [
        f"{sums.seeds} seeds, {len(sums.failed)} failed; {sums.seeds / wall_s * 60:.0f} seeds a minute; "
        f"{minutes:.0f} minutes of trading, {minutes / max(sums.cpu_s, 1e-9):.0f} per second of one core",
        f"{sums.orders} orders sent, {sums.executions} executions; after the faults the target was reached within "
        f"{took[len(took) // 2]} ms (median), {took[-1]} ms (longest)",
        "faults injected: " + ", ".join(f"{name} {sums.happened[name]}" for name in kinds()),
        "seen on the way: "
        + ", ".join(f"{name} {count}" for name, count in sorted(sums.happened.items()) if name not in kinds()),
        f"order table: {covered} of {len(ALL)} transitions taken, {by_chance} of them by the seeds, "
        "the others by the script of a venue's words",
    ]
    return "\n".join(lines) + "\n"


def emptiness(sums: Sums, by_script: Counter[Pair]) -> list[str]:
    """What never happened, so that nothing was proven about it."""
    never = [f"vacuous: {name} never happened" for name in kinds() if not sums.happened[name]]
    both = sums.taken + by_script
    never += [f"vacuous: the transition {one} was never taken" for one in missing(both)]
    return never + [f"the table has no transition {one}, and it was taken" for one in forbidden(both)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    sys.exit(run(options.first, options.seeds, options.jobs))


if __name__ == "__main__":
    main()
