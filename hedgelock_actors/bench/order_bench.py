"""`hedgelock bench order`: from the price to the order on the wire, and to the fill, through the actors on Ray."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.bench.cpu import CpuMeter
from hedgelock_actors.bench.stages import ENDS, NS_PER_MS, STAGES, Sent, Spread, Stamps, between, way_of
from hedgelock_actors.bench.venue import EVERY_STEP, configured, merged, name_of, start_exchange
from hedgelock_actors.ports.journal import Record
from hedgelock_actors.runtime.handles import Cluster, Unreachable
from hedgelock_actors.runtime.launch import Up, UpOptions
from hedgelock_actors.runtime.names import router_name
from hedgelock_actors.runtime.processes import Exchange
from hedgelock_actors.runtime.trace import TRACE_VARIABLE

Say = Callable[[str], None]
SETTLE_S = 2.0
STALL_S = 60.0
FLOOR_QTY = "0.013"
LIFTED_PER_SECOND = 1_000


class BenchFailed(Exception):
    """It could not be measured; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """`orders` in all, one for each of `rate` price steps a second and account. `lifted`: no limits at all."""

    orders: int = 300
    rate: int = 4
    accounts: int = 1
    lifted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """What was measured. `wire` is the time that counts: from the tick's arrival to the order handed to the socket."""

    options: BenchOptions
    wire: Spread
    floor_wire: Spread
    ends: Mapping[str, tuple[Spread | None, Spread | None]]
    """Name → (through the actors, the floor)."""
    stages: Sequence[tuple[str, str, Spread | None]]
    within_150_ms: float
    """Share of orders that the venue had read within 150 ms after it published the price."""
    orders: int
    orders_per_second: float
    duplicates: int
    rate_limited: int
    """Requests that the venue refused because they were too many (10006)."""
    refusals: Mapping[str, int]
    """Orders that our own limits stopped at the last line, by code."""
    cpu_ms_per_order: Mapping[str, float]
    """Processor time by process, over the orders of the measured time."""

    @property
    def ratio(self) -> float:
        """Median of ours over the floor's."""
        return self.wire.p50_ms / self.floor_wire.p50_ms

    @property
    def kept(self) -> Mapping[str, bool]:
        """What is promised, and whether it held."""
        latency = {
            "p99 below 100 ms": self.wire.p99_ms < 100,
            "99 % within 150 ms": self.within_150_ms >= 0.99,
            "p50 at most 5 ms (goal)": self.wire.p50_ms <= 5,
            "p99 at most 15 ms (goal)": self.wire.p99_ms <= 15,
        }
        lifted = {"at least 50 orders/s": self.orders_per_second >= 50}
        always = {"no duplicate": self.duplicates == 0, "no 10006": self.rate_limited == 0}
        return {**(lifted if self.options.lifted else latency), **always}

    def as_values(self) -> dict[str, object]:
        """JSON-ready."""
        return {**asdict(self), "ratio_p50": self.ratio, "kept": dict(self.kept)}


async def bench_order(options: BenchOptions, say: Say) -> BenchResult:
    """Measure. Raises BenchFailed, StartFailed, ConfigError."""
    place = Path(tempfile.mkdtemp(prefix="hedgelock-bench-"))
    os.environ[TRACE_VARIABLE] = str(place / "trace")  # inherited by every process that Ray starts
    per_account = -(-options.orders // options.accounts)
    minutes = 6 + per_account // (options.rate * 15)
    lift = ["--order-limit", str(LIFTED_PER_SECOND)] if options.lifted else []
    exchange = await start_exchange(
        place,
        accounts=options.accounts + 1,
        minutes=minutes,
        ticks_per_minute=60 * options.rate,
        more=["--latency-ms", "0", *lift],
    )
    try:
        say("the floor: one process, one loop")
        stamps = Stamps()
        floor = await _floor(exchange, min(200, options.orders), stamps)
        floor_limited = _rate_limited(await exchange.report())  # the floor has no pace of its own
        run = Up(configured(place, exchange, options.accounts, _changes(options)), UpOptions(), say, lambda: None)
        try:
            await run.start()
            say("measuring")
            meter = CpuMeter(exchange.pid, await _pids(run), place / "state")
            began_ns = await _drive(run, exchange, options)
            used_ms = meter.used_ms()
            return await _collect(run, exchange, options, stamps, floor, began_ns, place, used_ms, floor_limited)
        finally:
            for trouble in await run.stop():
                say(trouble)
    finally:
        await exchange.stop()
        os.environ.pop(TRACE_VARIABLE, None)
        shutil.rmtree(place, ignore_errors=True)


def _changes(options: BenchOptions) -> Mapping[str, Any]:
    if not options.lifted:
        return EVERY_STEP
    limits = {"orders_per_second": LIFTED_PER_SECOND, "orders_per_minute": 60_000, "critical_orders_per_minute": 60_000}
    return merged(EVERY_STEP, {"limits": limits})


async def _floor(exchange: Exchange, orders: int, stamps: Stamps) -> list[Sent]:
    account = exchange.accounts[-1]
    task = {
        "ws": exchange.ws,
        "api_key": account.api_key,
        "api_secret": account.api_secret,
        "symbol": "BTCUSDT",
        "qty": FLOOR_QTY,
        "orders": orders,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hedgelock_actors.bench.floor",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate(json.dumps(task).encode())
    if process.returncode:
        raise BenchFailed("the floor could not be measured; its trace is above")
    found = json.loads(answer)
    for stage, key, at_ns in found["stamps"]:
        stamps.note(f"floor:{stage}" if stage == "frame" else stage, key, at_ns)
    return [Sent(account="floor", link=link, price_ms=price_ms) for link, price_ms in found["links"]]


async def _drive(run: Up, exchange: Exchange, options: BenchOptions) -> int:
    """Until enough orders of the hedge accounts have reached the venue. Returns when the measured time began, ns."""
    await asyncio.sleep(SETTLE_S)  # the first order of all is the whole hedge: it is not what is measured
    began_ns, before = time.monotonic_ns(), len(await _arrivals(exchange, options.accounts))
    seen, moved = before, time.monotonic()
    while seen - before < options.orders:
        await asyncio.sleep(1.0)
        now = len(await _arrivals(exchange, options.accounts))
        if now > seen:
            seen, moved = now, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            done = f"no order for {STALL_S:.0f} s after {seen - before} of {options.orders}"
            raise BenchFailed(f"{done}; {await _state_of(run, options)}")
    await asyncio.sleep(0.5)
    return began_ns


async def _state_of(run: Up, options: BenchOptions) -> str:
    """What the actors say of themselves, for whoever wonders why nothing happens."""
    seen: Mapping[str, Any] = await run.operator.actors() if run.operator is not None else {}
    said = [
        f"{name}: {one.get('status')} {one.get('detail', '')} {one.get('counters')}"
        for name, one in seen.get("actors", {}).items()
    ]
    shown = ("target_short_qty", "position_qty", "reconciled", "waits_for", "restrictions", "strategy", "lease_held")
    for number in range(options.accounts):
        with suppress(Unreachable):
            view = await Cluster().snapshot(router_name(name_of(number)))
            said.append(str({key: view.get(key) for key in shown}))
    return "\n".join(said)


async def _arrivals(exchange: Exchange, accounts: int) -> list[Mapping[str, Any]]:
    ours = {account.uid for account in exchange.accounts[:accounts]}
    return [row for row in await _asked(exchange, "/sim/orders") if row["uid"] in ours and row["op"] == "create"]


async def _asked(exchange: Exchange, path: str) -> list[Any]:
    async with httpx.AsyncClient(base_url=exchange.rest, timeout=30, trust_env=False) as client:
        return list((await client.get(path)).json()["list"])


async def _collect(
    run: Up,
    exchange: Exchange,
    options: BenchOptions,
    stamps: Stamps,
    floor: Sequence[Sent],
    began_ns: int,
    place: Path,
    used_ms: Mapping[str, float],
    floor_limited: int,
) -> BenchResult:
    for price_ms, at_ns in await _asked(exchange, "/sim/published"):
        stamps.note("published", str(price_ms), at_ns)
    for row in await _asked(exchange, "/sim/orders"):
        stamps.note("arrived", str(row["order_link_id"]), row["monotonic_ns"])
    for file in sorted((place / "trace").glob("*.trace")):
        stamps.read(file.read_text(encoding="utf-8").splitlines())
    arrivals = [row for row in await _arrivals(exchange, options.accounts) if row["monotonic_ns"] >= began_ns]
    ways = [way_of(one, stamps) for one in await _sent(run, options.accounts)]
    ways = [way for way in ways if way.get("published", 0) >= began_ns]
    base = [_floor_way(one, stamps) for one in floor]
    report = await exchange.report()
    wire, floor_wire = between(ways, "frame", "place"), between(base, "frame", "place")
    if wire is None or floor_wire is None:
        raise BenchFailed("no order could be followed from its price to the venue")
    reached = [
        (way["arrived"] - way["published"]) / NS_PER_MS for way in ways if {"arrived", "published"} <= way.keys()
    ]
    accounts = [report["accounts"][account.uid] for account in exchange.accounts[: options.accounts]]
    return BenchResult(
        options=options,
        wire=wire,
        floor_wire=floor_wire,
        ends={name: (between(ways, *pair), between(base, *pair)) for name, pair in ENDS.items()},
        stages=[(f"{first} → {last}", what, between(ways, first, last)) for first, last, what in STAGES],
        within_150_ms=sum(one <= 150 for one in reached) / len(reached) if reached else 0.0,
        orders=len(arrivals),
        orders_per_second=_rate([row["monotonic_ns"] for row in arrivals]),
        duplicates=sum(int(one["duplicate_orders"]) for one in accounts),
        rate_limited=_rate_limited(report) - floor_limited,
        refusals=await _refusals(run, options.accounts),
        cpu_ms_per_order={name: ms / max(1, len(arrivals)) for name, ms in used_ms.items()},
    )


def _rate_limited(report: Mapping[str, Any]) -> int:
    return int(report["server"]["counters"].get("rate_limited", 0))


def _floor_way(one: Sent, stamps: Stamps) -> dict[str, int]:
    way = way_of(one, stamps)
    frame = stamps.at("floor:frame", str(one.price_ms))
    return way if frame is None else {**way, "frame": frame}


def _rate(stamps_ns: Sequence[int]) -> float:
    """Orders a second between the first and the last."""
    if len(stamps_ns) < 2:
        return 0.0
    return (len(stamps_ns) - 1) / ((max(stamps_ns) - min(stamps_ns)) / 1e9)


async def _sent(run: Up, accounts: int) -> list[Sent]:
    """First orders of intents that follow a target, as the routers have journalled them."""
    found = []
    for record in await _records(run, accounts, "intent"):
        payload = record.entry.payload
        price = str(payload.get("causation_id", "")).rpartition(":")[2]
        if payload.get("attempt") == 0 and price.isdigit():
            link = str(payload["order_link_id"])
            found.append(Sent(account=record.entry.account, link=link, price_ms=int(price)))
    return found


async def _refusals(run: Up, accounts: int) -> Mapping[str, int]:
    whys = [str(record.entry.payload.get("why", "")) for record in await _records(run, accounts, "absent")]
    return dict(Counter(why.partition(":")[0] for why in whys))


async def _records(run: Up, accounts: int, kind: str) -> list[Record]:
    if run.wiring is None:
        raise BenchFailed("the run has ended")
    journal = PostgresJournal(run.wiring.postgres_url)
    try:
        names = [router_name(name_of(number)) for number in range(accounts)]
        return [record for name in names async for record in journal.read(name, kinds=[kind])]
    finally:
        await journal.close()


async def _pids(run: Up) -> Mapping[str, int]:
    seen: Mapping[str, Any] = await run.operator.actors() if run.operator is not None else {}
    return {name: int(one["pid"]) for name, one in seen.get("actors", {}).items() if "pid" in one}
