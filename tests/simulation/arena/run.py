"""One seed from its first price to its verdict."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.simulation.arena.checkers.base import Violation
from tests.simulation.arena.gremlin import Gremlin
from tests.simulation.arena.knobs import Knobs, draw
from tests.simulation.arena.loop import SimLoop
from tests.simulation.arena.path import START_MS
from tests.simulation.arena.world import NAMES, SYMBOL, SwarmWorld

SETTLE_MS = 5_000
LOOK_MS = 1_000
LAST_MS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a seed."""

    seed: int
    knobs: Knobs
    violations: tuple[Violation, ...]
    digest: str
    effects: str
    virtual_ms: int
    orders: int
    executions: int
    took_ms: int | None
    """From the end of faults to the target."""
    happened: Counter[str] = field(default_factory=Counter)
    tail: tuple[str, ...] = ()
    heads: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str, int, str, str, int, str, Any], ...] = ()
    """Every record (stream, epoch, kind, key, time, account, payload); only when asked for."""


def simulate(seed: int, knobs: Knobs | None = None, *, keep_rows: bool = False) -> Verdict:
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
        return verdict(world, keep_rows=keep_rows)
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
    # A fill of the last moment is on its way: nothing may move while everything is looked at.
    world.path.stop()
    await world.sleep_until(end_ms + LAST_MS)
    world.checks.end()


def _rows(world: SwarmWorld) -> Iterator[tuple[str, int, str, str, int, str, Any]]:
    for stream in sorted(world.store._streams):
        for row in world.store.rows(stream):
            yield row.stream, row.epoch, row.kind, row.key, row.ts_ms, row.account, json.loads(row.payload)


def verdict(world: SwarmWorld, *, keep_rows: bool = False) -> Verdict:
    """Sum up."""
    heads = sorted((name, kept.head) for name, kept in world.store._streams.items())
    for name, head in heads:
        world.witness.note("head", name, head.n, head.hash)
    world.witness.note("position", world.truth.signed_qty, len(world.truth.executions))
    return Verdict(
        seed=world.knobs.seed,
        knobs=world.knobs,
        violations=tuple(world.checks.violations),
        digest=world.witness.digest(),
        effects=world.witness.effects(),
        virtual_ms=world.loop.now_ms - START_MS,
        orders=len(world.witness.handed),
        executions=len(world.truth.executions),
        took_ms=world.checks.convergence.took_ms,
        happened=world.witness.happened,
        tail=tuple(world.witness.tail),
        heads=tuple((name, head.hash) for name, head in heads if head.n),
        rows=tuple(_rows(world)) if keep_rows else (),
    )
