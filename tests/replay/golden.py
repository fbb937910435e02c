"""Golden journals: what the actors wrote in a few runs, kept to be replayed by every later version of the code.

`python -m tests.replay.golden` writes them anew. Do that only when decisions have changed on purpose, and look at what
has changed: a decision that is another one than yesterday is what these files are here to show.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.lease import AlwaysHeld
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.journal import Entry
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.venue import VenueError
from hedgelock_actors.position_keeper import PositionKeeper
from hedgelock_actors.treasury import Treasury
from tests.simulation.arena.knobs import Chances, Knobs, Rates
from tests.simulation.arena.run import Verdict, simulate
from tests.simulation.arena.world import ACCOUNT, KEEPER, NOTIFIER, RISK, ROUTER, SYMBOL, TREASURY

FOLDER = Path(__file__).parent / "journals"
Row = Sequence[Any]

PLANS: Mapping[str, Knobs] = {
    "calm": Knobs(seed=1, market="calm", minutes=4, quiet_minutes=2, dead_band=0.004),
    "crash": Knobs(seed=2, market="crash", minutes=8, quiet_minutes=2, ltv="0.45", dead_band=0.02),
    "chop-with-deaths": Knobs(
        seed=3,
        market="chop",
        minutes=6,
        quiet_minutes=2,
        dead_band=0.01,
        down_dwell_ms=20_000,
        rates=Rates(crash=120.0, cut_stream=30.0, halt=10.0),
    ),
    "crash-in-doubt": Knobs(
        seed=4,
        market="crash",
        minutes=6,
        quiet_minutes=2,
        dead_band=0.01,
        query_lag_ms=500,
        chances=Chances(lose_answer=0.2, lose_request=0.2, half_ack=0.1, drop_push=0.2, repeat_push=0.2),
    ),
}


@dataclass(frozen=True, slots=True)
class Golden:
    """One recorded run."""

    effects: str
    """Fingerprint of everything that was sent to the venue, in order."""
    heads: Mapping[str, str]
    """Hash of the last record of each stream."""
    states: Mapping[str, Any]
    """What the actors knew at the end."""
    rows: Sequence[Row]


# ------------------------------------------------------------ writing


def record(name: str) -> Golden:
    """Run a plan of today's code."""
    verdict = simulate(PLANS[name].seed, PLANS[name], keep_rows=True)
    if verdict.violations:
        raise SystemExit(f"{name}: {verdict.violations[0]}")
    return Golden(verdict.effects, _heads(verdict), asyncio.run(states_of(verdict.rows)), verdict.rows)


def _heads(verdict: Verdict) -> dict[str, str]:
    return dict(verdict.heads)


def write(name: str, golden: Golden) -> int:
    """Keep it; returns the number of bytes."""
    first = {"effects": golden.effects, "heads": golden.heads, "states": golden.states}
    lines = [json.dumps(one, separators=(",", ":"), sort_keys=True) for one in (first, *golden.rows)]
    data = gzip.compress("\n".join(lines).encode(), compresslevel=9, mtime=0)
    (FOLDER / f"{name}.jsonl.gz").write_bytes(data)
    return len(data)


def read(name: str) -> Golden:
    """What was kept."""
    lines = gzip.decompress((FOLDER / f"{name}.jsonl.gz").read_bytes()).decode().splitlines()
    first = json.loads(lines[0])
    return Golden(first["effects"], first["heads"], first["states"], [json.loads(line) for line in lines[1:]])


# ------------------------------------------------------------ replaying


async def journal_of(rows: Sequence[Row]) -> MemoryJournal:
    """A journal with these records, written by the same writers' epochs: the same hashes come out."""
    journal, epochs = MemoryJournal(), dict[str, int]()
    for stream, epoch, kind, key, ts_ms, account, payload in rows:
        while epochs.get(stream, 0) < epoch:
            epochs[stream] = await journal.open(stream)
        entry = Entry(kind=kind, key=key, ts_ms=ts_ms, account=account, payload=payload)
        await journal.append(stream, epoch, [entry])
    return journal


class Nobody:
    """A venue and a lender that do not answer: whatever an actor knows comes from its journal."""

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_args: object, **_kwargs: object) -> Any:
            if name in ("stop", "start"):
                return None
            raise VenueError(f"{name}: there is no venue in a replay")

        return refuse


async def states_of(rows: Sequence[Row]) -> dict[str, Any]:
    """What router, keeper and treasury of today's code know after starting from these records."""
    journal = await journal_of(rows)
    clock = ManualClock(max(row[4] for row in rows) + 1_000, paced=False)
    transport, policy, nobody = MemoryTransport(), Policy(), Nobody()
    router = OrderRouter(
        ROUTER, ACCOUNT, SYMBOL, venue=nobody, journal=journal, clock=clock, transport=transport, policy=policy,
        latch=Latch(), lease=AlwaysHeld(), notifier=NOTIFIER, keeper=KEEPER,
    )  # fmt: skip
    keeper = PositionKeeper(
        KEEPER, ACCOUNT, SYMBOL, venue=nobody, loans=nobody, journal=journal, clock=clock, transport=transport,
        cache=MemoryCache(), policy=policy, risk=RISK, router=ROUTER, treasury=TREASURY, notifier=NOTIFIER,
    )  # fmt: skip
    treasury = Treasury(
        TREASURY, {ACCOUNT: (nobody, KEEPER)}, journal=journal, clock=clock, transport=transport, policy=policy,
        notifier=NOTIFIER,
    )  # fmt: skip
    actors = {"router": router, "keeper": keeper, "treasury": treasury}
    for actor in actors.values():
        await actor.start()
    await clock.advance(1)
    for _ in range(50):
        await asyncio.sleep(0)
    found = {name: known(name, actor.snapshot()) for name, actor in actors.items()}
    for actor in actors.values():
        await actor.stop()
    await clock.stop()
    return found


KNOWN = {
    "router": ("position_qty", "entry_price", "fees_usdt", "funding_usdt", "target_short_qty", "target_version",
               "trade_offset_qty", "working_sell_qty", "working_buy_qty"),
    "keeper": ("position_qty", "entry_price", "realised_usdt", "fees_usdt", "funding_usdt", "target_short_qty",
               "target_version", "loan"),
    "treasury": (ACCOUNT,),
}  # fmt: skip


def known(name: str, snapshot: Mapping[str, object]) -> dict[str, Any]:
    """The part of a snapshot that follows from the journal alone, as JSON has it."""
    kept: dict[str, object] = {key: _plain(snapshot[key]) for key in KNOWN[name]}
    orders = snapshot.get("orders", [])
    if name == "router" and isinstance(orders, Sequence):
        kept["orders"] = [[one["order_link_id"], one["status"], str(_plain(one["filled"]))] for one in orders]
    return dict(json.loads(json.dumps(kept, sort_keys=True)))


def _plain(value: object) -> object:
    """Decimals without the trace of how they were computed."""
    if isinstance(value, str):
        try:
            return format(Decimal(value).quantize(Decimal("1E-8")).normalize(), "f")
        except ArithmeticError:
            return value
    return value


def main() -> None:
    """Write them all anew."""
    total = 0
    for name in PLANS:
        golden = record(name)
        size = write(name, golden)
        total += size
        sys.stdout.write(f"{name}: {len(golden.rows)} records, {size} bytes, effects {golden.effects}\n")
    sys.stdout.write(f"{total} bytes in all\n")


if __name__ == "__main__":
    main()
