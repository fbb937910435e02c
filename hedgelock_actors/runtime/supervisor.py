"""Keeps the declared actors alive, measures how long each was away, and stops them in order.

It grants nothing: who may write is decided by the epochs of the journal. Losing it loses no actor; Ray restarts it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import ray

from hedgelock_actors.adapters.venue_clock.wall import WallClock
from hedgelock_actors.domain.alert_rules import disk_filling, restarts_too_often
from hedgelock_actors.domain.messages import AlertRaised
from hedgelock_actors.runtime.handles import Cluster, Unreachable
from hedgelock_actors.runtime.key_watch import look_at_keys
from hedgelock_actors.runtime.names import NAMESPACE, NOTIFIER, Declared, declare, in_stop_order
from hedgelock_actors.runtime.shell import ActorShell
from hedgelock_actors.runtime.transport import RayTransport
from hedgelock_actors.runtime.watch import RESTARTS_MAX, RESTARTS_S, Silence, Watched
from hedgelock_actors.runtime.wiring import read_config

LOG = logging.getLogger(__name__)

POLL_S = 0.5
POLL_DOWN_S = 0.1
STALE_BEAT_MS = 30_000
"""An actor whose loop did not turn for so long is ended, so that Ray starts it again."""
MISSED_MAX = 20
STOP_WAIT_S = 15.0
KEYS_S = 6 * 3_600.0
DISK_S = 60.0
DISK_USED_MAX = 0.80
"""A share of the disk that holds the state; beyond it people are told, while there still is room for the journal."""
RECOVERIES_FILE = "recoveries.jsonl"


def start_shell(declared: Declared, state_dir: str) -> None:
    """Create the detached actor, or find it when it is there."""
    options = {
        "name": declared.name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "max_restarts": -1,
        "max_task_retries": 0,
    }
    grouped: Any = ray.remote  # its stub knows no concurrency groups
    remote = grouped(concurrency_groups={"control": 2})(ActorShell)
    remote.options(**options).remote(declared.name, state_dir)


class Supervisor:
    """Runs as the detached actor `supervisor`."""

    def __init__(self, state_dir: str) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        self._state_dir = state_dir
        self._cluster, self._clock = Cluster(), WallClock()
        self._mail = RayTransport("supervisor", time.time_ns() // 1_000_000, self._clock, self._cluster.deliver)
        declared = declare(read_config(Path(state_dir)))
        self._watched = {one.name: Watched(one) for one in declared}
        self._recoveries = _read_lines(Path(state_dir) / RECOVERIES_FILE)
        self._stopping = False
        self._trading_state: tuple[str, int, str] | None = None
        works = [*(self._watch(one) for one in self._watched.values()), self._watch_disk(), self._watch_keys()]
        self._tasks = [asyncio.get_running_loop().create_task(work) for work in works]

    async def status(self) -> dict[str, object]:
        """Every actor's last health, and the recoveries seen so far."""
        return {
            "actors": {name: self._seen(watched) for name, watched in self._watched.items()},
            "recoveries": list(self._recoveries),
            "pid": os.getpid(),
        }

    async def ready(self) -> list[str]:
        """Names of the actors that are not ready yet, with what they say."""
        return [
            f"{name}: {watched.health.get('status', 'starting')} {watched.health.get('detail', '')}".strip()
            for name, watched in self._watched.items()
            if not watched.was_ready or watched.down_since is not None
        ]

    async def set_trading_state(self, mode: str, epoch: int, reason: str) -> dict[str, list[str]]:
        """Tell every actor through its control thread; it is repeated to who comes back later.

        Returns which order routers, who alone send orders, confirmed it and which did not.
        """
        if self._trading_state is None or epoch > self._trading_state[1]:
            self._trading_state = (mode, epoch, reason)
        told = dict(zip(self._watched, await asyncio.gather(*map(self._tell, self._watched)), strict=True))
        routers = [name for name, watched in self._watched.items() if watched.declared.kind == "order-router"]
        return {
            "confirmed": [name for name in routers if told[name]],
            "not_confirmed": [name for name in routers if not told[name]],
        }

    async def stop(self) -> list[str]:
        """Stop all actors in order and end them. Returns who did not stop by itself."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        stubborn = []
        for declared in in_stop_order([watched.declared for watched in self._watched.values()]):
            try:
                await self._cluster.call(declared.name, "stop", wait_s=STOP_WAIT_S)
            except Unreachable as error:
                stubborn.append(f"{declared.name}: {error}")
                LOG.warning("supervisor.did_not_stop %s", error)
        for name in self._watched:
            self._cluster.kill(name)
        await self._mail.close()
        return stubborn

    def _seen(self, watched: Watched) -> dict[str, object]:
        return {**watched.health, "down": watched.down_since is not None}

    async def _watch(self, watched: Watched) -> None:
        name = watched.declared.name
        self._start(watched)
        while not self._stopping:
            try:
                # A call into a process that is gone hangs for up to 2 s: the next look must not wait for it.
                down = watched.down_since is not None
                await self._heard(watched, await self._cluster.health(name, wait_s=0.2 if down else 0.5))
            except Unreachable as error:
                self._missed(watched, str(error))
            await self._repeat_trading_state(watched)
            soon = watched.down_since is not None or not watched.was_ready
            await asyncio.sleep(POLL_DOWN_S if soon else POLL_S)

    def _start(self, watched: Watched) -> None:
        try:
            start_shell(watched.declared, self._state_dir)
        except (ray.exceptions.RayError, ValueError) as error:
            LOG.warning("supervisor.start_failed actor=%s %s", watched.declared.name, error)

    async def _heard(self, watched: Watched, health: Mapping[str, object]) -> None:
        silence = watched.heard(health, time.monotonic())
        if silence is not None and silence.restarted:
            self._recovered(watched, silence)
            if watched.too_often(time.monotonic()):
                await self._page(watched)
        elif silence is not None:
            LOG.info("supervisor.was_silent actor=%s s=%.3f", watched.declared.name, silence.wall_s)
        if cast("int", health.get("beat_age_ms", 0)) > STALE_BEAT_MS:
            self._end(watched, f"its loop stood still for {health['beat_age_ms']} ms")

    def _missed(self, watched: Watched, why: str) -> None:
        if watched.silent():
            LOG.warning("supervisor.down actor=%s %s", watched.declared.name, why)
        if watched.missed % MISSED_MAX == 0:
            self._start(watched)  # finds it when Ray is restarting it; creates it when it is gone for good

    def _recovered(self, watched: Watched, silence: Silence) -> None:
        record: dict[str, object] = {
            "actor": watched.declared.name,
            "down_ms_wall": round(silence.wall_s * 1_000),
            "ready_after_ms": watched.health.get("ready_after_ms"),
            "reason": "its process ended; it was started again, replayed its journal and reconciled",
        }
        self._recoveries.append(record)
        LOG.info("supervisor.recovered %s", record)
        with (Path(self._state_dir) / RECOVERIES_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    async def _page(self, watched: Watched) -> None:
        alert = restarts_too_often(watched.declared.name, RESTARTS_MAX, RESTARTS_S, self._clock.now_ms())
        LOG.error("supervisor.too_often actor=%s", watched.declared.name)
        await self._tell_people(alert)

    async def _tell_people(self, alert: AlertRaised) -> None:
        await self._mail.send(NOTIFIER, alert, conflate=alert.dedup_key)

    async def _watch_keys(self) -> None:
        while not self._stopping:
            for alert in await look_at_keys(Path(self._state_dir), self._clock):
                await self._tell_people(alert)
            await asyncio.sleep(KEYS_S)

    async def _watch_disk(self) -> None:
        """Told when it begins, and again only after there was room in between."""
        told = False
        while not self._stopping:
            disk = await asyncio.to_thread(shutil.disk_usage, self._state_dir)
            used = disk.used / (disk.used + disk.free) if disk.used + disk.free else 1.0
            if used >= DISK_USED_MAX and not told:
                LOG.error("supervisor.disk_filling used=%.3f", used)
                await self._tell_people(disk_filling(self._state_dir, used, self._clock.now_ms()))
            told = used >= DISK_USED_MAX
            await asyncio.sleep(DISK_S)

    def _end(self, watched: Watched, why: str) -> None:
        LOG.error("supervisor.ended actor=%s because %s", watched.declared.name, why)
        try:
            ray.kill(ray.get_actor(watched.declared.name, namespace=NAMESPACE), no_restart=False)
        except ValueError:
            pass  # it is gone already; the next missed polls start it

    async def _tell(self, name: str) -> bool:
        if self._trading_state is None:
            return True
        mode, epoch, reason = self._trading_state
        try:
            answer = await self._cluster.call(name, "set_trading_state", mode, epoch, reason, wait_s=2.0)
        except Unreachable:
            return False
        held = cast("tuple[str, int]", answer)
        return held[1] > epoch or tuple(held) == (mode, epoch)

    async def _repeat_trading_state(self, watched: Watched) -> None:
        told = cast("int", watched.health.get("epoch", 0))
        if self._trading_state is not None and told < self._trading_state[1] and watched.down_since is None:
            await self._tell(watched.declared.name)


def _read_lines(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
