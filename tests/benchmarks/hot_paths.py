"""How long the hot paths take on this machine: `make bench`. It measures and asserts nothing."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from itertools import count

from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.domain.curve import SizingCurve, size
from hedgelock_actors.domain.hedge import Rung, required_short
from hedgelock_actors.domain.limits import Approved, Limits, approve
from hedgelock_actors.domain.loan import Levels, LevelState, RiskLevel, ltv, next_level
from hedgelock_actors.domain.position import PositionFold
from hedgelock_actors.ports.journal import Entry
from tests.services import running_postgres
from tests.unit.domain.make import NOW, execution, gate, request

ROUNDS = 7
SECONDS = 0.2


def report(name: str, per_call_us: list[float]) -> None:
    middle, worst = statistics.median(per_call_us), max(per_call_us)
    sys.stdout.write(f"{name:<52}{middle:>10.2f} us {worst:>10.2f} us {1e6 / middle:>12,.0f}/s\n")


def measure(name: str, call: Callable[[], object]) -> None:
    """Median and worst of several rounds, each of as many calls as fit into a fixed time."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        calls, began = 0, time.perf_counter()
        while (taken := time.perf_counter() - began) < SECONDS:
            call()
            calls += 1
        rounds.append(taken / calls * 1e6)
    report(name, rounds)


def decisions() -> None:
    ladder = [Rung(drop=0.30, target_ltv=0.50)]
    levels, level = Levels(), LevelState(level=RiskLevel.SAFE)
    curve = SizingCurve.from_knots([(0.0, 0.05), (0.3, 0.25), (0.7, 0.75), (1.0, 1.0)])
    order, context, limits = request(), gate(), Limits()
    fold = PositionFold("BTCUSDT").apply_all(execution(f"exec-{n}", ts_ms=NOW + n) for n in range(200))
    late = execution("exec-late", ts_ms=NOW + 200)
    if not isinstance(approve(order, context, limits), Approved):
        raise SystemExit("the plain order is refused: this would measure the wrong path")
    measure("lender LTV and level of a loan", lambda: next_level(level, ltv(31_000, 1, 70_000, 1.0), NOW, levels))
    measure("required short of a loan, one rung", lambda: required_short(31_000, 1, 70_000, 1.0, ladder))
    measure("sizing: score and depth to a share", lambda: size("BTC", 1e5, 0.6, 5e6, 0.9, curve, 1.0))
    measure("the gate: every check on one order", lambda: approve(order, context, limits))
    measure("one execution into a position of 200", lambda: fold.apply(late))


def entry(n: int) -> Entry:
    return Entry(
        kind="bench", key=f"bench-{n}", ts_ms=NOW, account="main", payload={"qty": "1.234", "price": "60000.1"}
    )


async def timed(work: Callable[[], Coroutine[object, object, object]], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - began) * 1e6)
    return taken


async def durable(dsn: str) -> None:
    journal, numbers = PostgresJournal(dsn), count()
    try:
        epoch = await journal.open("bench")
        for batch in (1, 100):

            async def append(batch: int = batch) -> None:
                await journal.append("bench", epoch, [entry(next(numbers)) for _ in range(batch)])

            await timed(append, 20)
            report(f"journal: durable append of {batch}", await timed(append, 200))
    finally:
        await journal.close()


def main() -> None:
    sys.stdout.write(f"{'':<52}{'median':>13} {'worst':>13} {'rate':>14}\n")
    decisions()
    with running_postgres() as server:
        asyncio.run(durable(server.app_dsn))


if __name__ == "__main__":
    main()
