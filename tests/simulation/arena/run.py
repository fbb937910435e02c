"""One seed from its first price to its verdict."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.simulation.arena.checkers.base import Violation
from tests.simulation.arena.gremlin import Gremlin
from tests.simulation.arena.knobs import Knobs, draw
from tests.simulation.arena.loop import SimLoop
from tests.simulation.arena.path import START_MS
from tests.simulation.arena.world import NAMES, SYMBOL, SwarmWorld

SETTLE_MS = 5_000
LOOK_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a seed."""

    seed: int
    knobs: Knobs
    violations: tuple[Violation, ...]
    digest: str
    virtual_ms: int
    orders: int
    executions: int
    took_ms: int | None
    """From the end of faults to the target."""
    happened: Counter[str] = field(default_factory=Counter)
    tail: tuple[str, ...] = ()


def simulate(seed: int, knobs: Knobs | None = None) -> Verdict:
    """Run a seed. The same seed gives the same verdict, bit for bit."""
    knobs = knobs or draw(seed)
    loop = SimLoop(START_MS, Random(f"shuffle {seed}") if knobs.shuffle else None)
    logging.disable(logging.CRITICAL)
    # What a killed process held must not be finalised while the run goes on: its `finally` would run.
    gc.disable()
    try:
        asyncio.set_event_loop(loop)
        world = SwarmWorld(knobs, loop)
        loop.run_until_complete(live(world))
        return verdict(world)
    finally:
        loop._ready.clear()
        asyncio.set_event_loop(None)
        loop.close()
        gc.enable()
        logging.disable(logging.NOTSET)


async def live(world: SwarmWorld) -> None:
    """Phase one, faults on; phase two, faults off; then the last look at everything."""
    gremlin = Gremlin(world, NAMES, SYMBOL)
    world.start()
    quiet_ms = START_MS + world.knobs.minutes * 60_000
    gremlin.plan(START_MS + SETTLE_MS, quiet_ms)
    while world.loop.now_ms < quiet_ms:
        await world.sleep_until(min(quiet_ms, world.loop.now_ms + 10_000))
        if world.checks.violations:
            return
    gremlin.over()
    world.checks.convergence.quiet()
    end_ms = quiet_ms + world.knobs.quiet_minutes * 60_000
    while world.loop.now_ms < end_ms:
        await world.sleep_until(world.loop.now_ms + LOOK_MS)
        world.checks.convergence.look()
        if world.checks.violations:
            return
    world.checks.end()


def verdict(world: SwarmWorld) -> Verdict:
    """Sum up."""
    for name, head in sorted((name, kept.head) for name, kept in world.store._streams.items()):
        world.witness.note("head", name, head.n, head.hash)
    world.witness.note("position", world.truth.signed_qty, len(world.truth.executions))
    return Verdict(
        seed=world.knobs.seed,
        knobs=world.knobs,
        violations=tuple(world.checks.violations),
        digest=world.witness.digest(),
        virtual_ms=world.loop.now_ms - START_MS,
        orders=len(world.witness.handed),
        executions=len(world.truth.executions),
        took_ms=world.checks.convergence.took_ms,
        happened=world.witness.happened,
        tail=tuple(world.witness.tail),
    )
