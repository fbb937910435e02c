"""`hedgelock bench kills`: kill -9 of order router and position keeper, again and again, while prices move."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import yaml

from hedgelock_actors.adapters.postgres.journal import PostgresJournal
from hedgelock_actors.bench.kill_checks import VenueTruth, Verdict, compare
from hedgelock_actors.bench.order_bench import BenchFailed
from hedgelock_actors.bench.stages import Spread, spread
from hedgelock_actors.bench.venue import START_MS, merged
from hedgelock_actors.runtime.config import Config, load
from hedgelock_actors.runtime.handles import Cluster, Unreachable
from hedgelock_actors.runtime.launch import Up, UpOptions
from hedgelock_actors.runtime.names import keeper_name, router_name
from hedgelock_actors.runtime.scoped_journal import ScopedJournal

Say = Callable[[str], None]
ACCOUNT, SYMBOL = "main", "BTCUSDT"
VICTIMS = (router_name(ACCOUNT), keeper_name(ACCOUNT))
LEAST_ORDER = Decimal("0.001")
POLL_S = 0.05
BACK_S = 60.0
AGREE_S = 30.0
CONVERGED_S = 180.0
HOURS = 24
SEGMENT_MIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KillOptions:
    """`speed`: venue time per wall time. Half of the kills come right after an order update: in the middle of work."""

    kills: int = 200
    speed: float = 20.0
    seed: int = 1


@dataclass(slots=True, kw_only=True)
class KillResult:
    """`recovery` is from the kill to ready again: replayed, leased, reconciled with the venue."""

    options: KillOptions
    verdict: Verdict
    converged: bool
    recovery_ms: dict[str, list[float]] = field(default_factory=dict)
    orders_meanwhile: int = 0

    @property
    def recovery(self) -> Spread | None:
        """Over all kills."""
        return spread(one for values in self.recovery_ms.values() for one in values)

    @property
    def kept(self) -> Mapping[str, bool]:
        """What is promised, and whether it held."""
        recovery = self.recovery
        return {
            "nothing lost": not self.verdict.lost,
            "nothing doubled": not self.verdict.doubled,
            "recovery p99 at most 10 s": recovery is not None and recovery.p99_ms <= 10_000,
            "target reached in the end": self.converged,
        }

    def as_values(self) -> dict[str, object]:
        """JSON-ready."""
        recovery = self.recovery
        found = asdict(self)
        return {**found, "recovery": None if recovery is None else asdict(recovery), "kept": dict(self.kept)}


async def bench_kills(options: KillOptions, say: Say) -> KillResult:
    """Do it. Raises BenchFailed, StartFailed, ConfigError."""
    place = Path(tempfile.mkdtemp(prefix="hedgelock-kills-"))
    run = Up(_configured(place, options), UpOptions(), say, lambda: None)
    try:
        await run.start()
        return await _Killer(run, options, say).work()
    finally:
        for trouble in await run.stop():
            say(trouble)
        shutil.rmtree(place, ignore_errors=True)


def _configured(place: Path, options: KillOptions) -> Config:
    scenario = place / "scenario.yaml"
    scenario.write_text(yaml.safe_dump(_restless(options.seed)), encoding="utf-8")
    changes: Mapping[str, Any] = {
        "state_dir": str(place / "state"),
        "hedge": {"dead_band": 0.001, "down_dwell_s": 20},
        "limits": {"orders_per_minute": 60, "critical_orders_per_minute": 120},
        "http": {"port": 0},
        "ray": {"dashboard": False},
        "sample": {"scenario": str(scenario), "speed": options.speed, "seed": options.seed},
    }
    return Config.model_validate(merged(load().model_dump(mode="json"), changes))


def _restless(seed: int) -> dict[str, object]:
    """A price that turns every few minutes, by a few percent: the hedge is always on its way."""
    rng = random.Random(seed)
    points = [
        {"minute": minute, "price": round(58_000 * (1 + rng.uniform(-0.03, 0.03)), 1)}
        for minute in range(SEGMENT_MIN, HOURS * 60, SEGMENT_MIN)
    ]
    return {
        "name": "restless",
        "description": "turns every few minutes",
        "start_ms": START_MS,
        "start_price": 58_000,
        "noise": 0.001,
        "volume": 60,
        "waypoints": points,
    }


class _Killer:
    def __init__(self, run: Up, options: KillOptions, say: Say) -> None:
        if run.exchange is None or run.wiring is None:
            raise BenchFailed("the run has no exchange of its own")
        self._run, self._options, self._say = run, options, say
        self._exchange, self._wiring = run.exchange, run.wiring
        self._rng = random.Random(options.seed)
        self._cluster = Cluster()
        self._uid = self._exchange.accounts[0].uid
        self._http = httpx.AsyncClient(base_url=self._exchange.rest, timeout=30, trust_env=False)
        self._recovery: dict[str, list[float]] = {name: [] for name in VICTIMS}

    async def work(self) -> KillResult:
        async with self._http:
            await self._orders_beyond(0)
            before = await self._orders()
            for number in range(1, self._options.kills + 1):
                name = self._rng.choice(VICTIMS)
                await self._pause()
                took_s = await self._kill(name)
                self._recovery[name].append(took_s * 1_000)
                if number % 10 == 0:
                    self._say(f"{number} of {self._options.kills} killed; the last was away {took_s:.2f} s")
            orders = await self._orders() - before
            converged = await self._converged()
            verdict = await self._verdict()
        return KillResult(
            options=self._options,
            verdict=verdict,
            converged=converged,
            recovery_ms=self._recovery,
            orders_meanwhile=orders,
        )

    async def _pause(self) -> None:
        """Some time, or until an order has just reached the venue and its answer and fills are on their way."""
        await asyncio.sleep(self._rng.uniform(0.05, 1.0))
        if self._rng.random() < 0.5:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await self._orders_beyond(await self._orders())
            await asyncio.sleep(self._rng.uniform(0.0, 0.03))

    async def _kill(self, name: str) -> float:
        """Seconds until the actor is ready again, in another process."""
        pid = int(str((await self._cluster.health(name, wait_s=5.0))["pid"]))
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while time.monotonic() - began < BACK_S:
            await asyncio.sleep(POLL_S)
            with contextlib.suppress(Unreachable):
                health = await self._cluster.health(name, wait_s=0.2)
                if health.get("pid") != pid and health.get("status") == "ready":
                    return time.monotonic() - began
        raise BenchFailed(f"{name} was not ready again within {BACK_S:.0f} s")

    async def _orders_beyond(self, count: int) -> None:
        while await self._orders() <= count:  # noqa: ASYNC110 - another process counts them
            await asyncio.sleep(0.02)

    async def _orders(self) -> int:
        return int((await self._report())["orders"])

    async def _report(self) -> Mapping[str, Any]:
        return dict((await self._http.get("/sim/report", params={"uid": self._uid})).json())

    async def _converged(self) -> bool:
        """At some moment after the last kill the position was the target."""
        deadline = time.monotonic() + CONVERGED_S
        while time.monotonic() < deadline:
            with contextlib.suppress(Unreachable):
                seen = await self._cluster.snapshot(VICTIMS[0])
                target, position = seen.get("target_short_qty"), seen.get("position_qty")
                known = seen.get("reconciled") and target is not None
                if known and abs(Decimal(str(target)) + Decimal(str(position))) < LEAST_ORDER:
                    return True
            await asyncio.sleep(0.1)
        return False

    async def _verdict(self) -> Verdict:
        """What is under way is given time to be written; what is lost does not come any more."""
        journal = ScopedJournal(PostgresJournal(self._wiring.postgres_url), self._wiring.journal_scope)
        deadline = time.monotonic() + AGREE_S
        try:
            while True:
                report = await self._report()
                rows = list((await self._http.get("/sim/orders", params={"uid": self._uid})).json()["list"])
                truth = VenueTruth(
                    arrivals=rows,
                    fills=int(report["fills"]),
                    position=Decimal(str(report["positions"].get(SYMBOL, 0))),
                    duplicate_orders=int(report["duplicate_orders"]),
                )
                streams = [[record async for record in journal.read(name)] for name in VICTIMS]
                verdict = compare(truth, *streams)
                if verdict.clean or time.monotonic() > deadline:
                    return verdict
                await asyncio.sleep(0.5)
        finally:
            await journal.close()
