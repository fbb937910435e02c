"""A shell starts its actor whatever happens at first; the supervisor keeps everybody told. Without Ray."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hedgelock_actors.actor import Health
from hedgelock_actors.adapters.memory.clock import ManualClock
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.messages import (
    ENVELOPE,
    AlertRaised,
    AnyMessage,
    Envelope,
    LoanTouched,
    TargetOverridden,
    TradingStateChanged,
)
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.runtime import shell as shell_module
from hedgelock_actors.runtime import supervisor as supervisor_module
from hedgelock_actors.runtime.config import load
from hedgelock_actors.runtime.control_feed import ControlFeed
from hedgelock_actors.runtime.control_log import Asked, entry_of
from hedgelock_actors.runtime.handles import Unreachable
from hedgelock_actors.runtime.names import Declared
from hedgelock_actors.runtime.shell import ActorShell
from hedgelock_actors.runtime.supervisor import Supervisor
from hedgelock_actors.runtime.wiring import Wiring, save


class Plain:
    def __init__(self, fail: int) -> None:
        self.fail = fail
        self.got: list[AnyMessage] = []
        self.stops = 0
        self.journal = MemoryJournal()

    async def start(self) -> None:
        if self.fail:
            self.fail -= 1
            raise ConnectionError("no database yet")

    async def receive(self, message: AnyMessage) -> None:
        self.got.append(message)

    async def stop(self) -> None:
        self.stops += 1

    def health(self) -> Health:
        return Health(name="x", status="ready", ready_ms=1, detail="", counters={"seen": 2.0})

    def snapshot(self) -> Mapping[str, object]:
        return {"seen": len(self.got)}


class Transport:
    sent = queued = repeated = dropped = 0


class Parts:
    def __init__(self) -> None:
        self.meters = [lambda: {"bans": 2.0}]


class Built:
    def __init__(self, actor: Plain, journal: MemoryJournal) -> None:
        self.actor = actor
        self.clock = ManualClock()
        self.transport = Transport()
        self.parts = Parts()
        self.feed = ControlFeed(journal, Declared(name="position-keeper-main", kind="position-keeper", account="main"))
        self.stops = 0

    async def stop(self) -> None:
        self.stops += 1
        await self.actor.stop()


async def until(true: Any) -> None:
    for _ in range(1_000):
        found = true()
        if await found if asyncio.iscoroutine(found) else found:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


def envelope(n: int) -> bytes:
    body = LoanTouched(account="main", ts_ms=n, action_id=str(n), swept_usdt=Decimal(0))
    return ENVELOPE.dump_json(
        Envelope(
            event_id=f"a:1:{n}",
            sender="a",
            epoch=1,
            seq=n,
            trace_id="",
            causation_id="",
            ts_event=0,
            ts_received=0,
            body=body,
        )
    )


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Plain:
    """The actor that the shell will build; its start fails twice."""
    actor = Plain(fail=2)

    async def compose(*_args: object) -> Built:
        return Built(actor, actor.journal)

    monkeypatch.setattr(shell_module, "compose", compose)
    return actor


async def test_a_start_that_fails_is_repeated_and_told(plain: Plain, tmp_path: Path) -> None:
    shell = ActorShell("treasury", str(tmp_path))
    try:
        waiting = asyncio.create_task(shell.receive([envelope(1)]))
        await until(lambda: plain.fail < 2)
        assert (await shell.health())["status"] == "starting"
        await until(lambda: waiting.done())
        assert waiting.result() == [""]
        assert [message.ts_ms for message in plain.got] == [1]
        await until(lambda: shell._ready_after_ms)
        health = await shell.health()
        assert (health["status"], health["detail"], health["mode"]) == ("ready", "", "ACTIVE")
        await until(lambda: shell._beat["counters"] and shell._beat["counters"]["inbox_taken"] == 1)
        assert shell._beat["counters"]["venue_bans"] == 2
        assert await shell.snapshot() == {"seen": 1}
        assert plain.stops == 2  # what was half built has been given back
    finally:
        await shell.stop()


async def test_a_halt_reaches_latch_and_actor_and_an_older_epoch_neither(plain: Plain, tmp_path: Path) -> None:
    plain.fail = 0
    shell = ActorShell("order-router-main", str(tmp_path))
    try:
        assert await shell.set_trading_state("HALTED", 3, "drill") == ("HALTED", 3)
        assert await shell.set_trading_state("ACTIVE", 2, "late") == ("HALTED", 3)
        await until(lambda: plain.got)
        told = plain.got[0]
        assert isinstance(told, TradingStateChanged)
        assert (told.mode, told.epoch, told.reason) == (TradingMode.HALTED, 3, "drill")
        await asyncio.sleep(0.6)
        assert len(plain.got) == 1
    finally:
        await shell.stop()


async def test_a_halt_wakes_the_actor_at_once(plain: Plain, tmp_path: Path) -> None:
    plain.fail = 0
    shell = ActorShell("order-router-main", str(tmp_path))
    try:
        await until(lambda: shell._ready_after_ms)
        await asyncio.sleep(0.05)
        await shell.set_trading_state("HALTED", 3, "drill")
        await asyncio.sleep(0.1)
        assert [message.epoch for message in plain.got if isinstance(message, TradingStateChanged)] == [3]
    finally:
        await shell.stop()


async def test_what_is_on_record_arrives_although_nobody_tells_it(
    plain: Plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain.fail = 0
    monkeypatch.setattr(shell_module, "FOLLOW_S", 0.01)
    shell = ActorShell("position-keeper-main", str(tmp_path))
    try:
        await until(lambda: shell._ready_after_ms)
        plain.journal.available = False
        await asyncio.sleep(0.03)
        plain.journal.available = True
        epoch = await plain.journal.open("control")
        asked = Asked(who="ada", key="1", action="halt", body={})
        halted = entry_of("trading_state", asked, {"mode": "HALTED", "epoch": 4, "reason": "by hand"}, 1)
        override = {"account": "main", "symbol": "BTCUSDT", "override_id": "o", "version": 1, "ts_ms": 1,
                    "target_short_qty": "1", "expires_ms": 2, "who": "ada", "reason": "x"}  # fmt: skip
        other = {**override, "account": "other"}
        held = entry_of("override", replace(asked, key="2"), {"overrides": [other, override]}, 1)
        await plain.journal.append("control", epoch, [halted, held])
        await until(lambda: len(plain.got) >= 2)
        await until(lambda: shell._latch.state().epoch == 4)
        assert (await shell.health())["mode"] == "HALTED"
        assert {message.kind for message in plain.got} == {"trading_state_changed", "target_overridden"}
        assert [one.account for one in plain.got if isinstance(one, TargetOverridden)] == ["main"]
    finally:
        await shell.stop()


async def test_a_stopped_shell_takes_nothing_in(plain: Plain, tmp_path: Path) -> None:
    plain.fail = 0
    shell = ActorShell("treasury", str(tmp_path))
    await until(lambda: shell._ready_after_ms)
    await shell.stop()
    late = asyncio.create_task(shell.receive([envelope(1)]))
    await asyncio.sleep(0.02)
    assert not late.done()
    late.cancel()
    assert plain.stops == 1
    assert plain.got == []


class FakeCluster:
    """Actors as the supervisor sees them."""

    def __init__(self) -> None:
        self.healths: dict[str, dict[str, object]] = {}
        self.calls: list[tuple[str, str, tuple[object, ...]]] = []
        self.silent: set[str] = set()
        self.mail: list[tuple[str, AnyMessage]] = []

    def born(self, name: str, born_ms: int, epoch: int = 0) -> None:
        self.healths[name] = {
            "status": "ready",
            "born_ms": born_ms,
            "ready_after_ms": 5,
            "beat_age_ms": 1,
            "epoch": epoch,
        }

    async def health(self, name: str, wait_s: float = 1.0) -> Mapping[str, object]:
        if name in self.silent or name not in self.healths:
            raise Unreachable(name)
        return self.healths[name]

    async def call(self, name: str, method: str, *args: object, wait_s: float) -> object:
        self.calls.append((name, method, args))
        if name in self.silent:
            raise Unreachable(name)
        if method == "set_trading_state":
            self.healths[name]["epoch"] = args[1]
            return args[0], args[1]
        return None

    async def deliver(self, to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        self.mail += [(to, ENVELOPE.validate_json(raw).body) for raw in batch]
        return [""] * len(batch)

    def kill(self, name: str) -> None:
        self.calls.append((name, "kill", ()))


class Watch:
    def __init__(self, supervisor: Supervisor, cluster: FakeCluster, started: list[str]) -> None:
        self.supervisor = supervisor
        self.cluster = cluster
        self.started = started


ROUTER = "order-router-main"


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    cluster, started = FakeCluster(), []
    monkeypatch.setattr(supervisor_module, "Cluster", lambda: cluster)
    monkeypatch.setattr(supervisor_module, "start_shell", lambda declared, _state: started.append(declared.name))
    wiring = Wiring(venue_url=None, postgres_url="p", redis_url="r", accounts={}, replay=False)
    save(tmp_path, load(env={}), wiring)
    supervisor = Supervisor(str(tmp_path))
    yield Watch(supervisor, cluster, started)
    await supervisor.stop()


async def nobody_missing(watch: Watch) -> bool:
    return not await watch.supervisor.ready()


async def recoveries_of(watch: Watch) -> list[Any]:
    found = (await watch.supervisor.status())["recoveries"]
    assert isinstance(found, list)
    return found


async def all_ready(watch: Watch) -> None:
    await until(lambda: len(watch.started) == 6)
    for name in watch.started:
        watch.cluster.born(name, 1)
    await until(lambda: nobody_missing(watch))


async def test_it_starts_everybody_and_says_who_is_not_ready(watch: Watch) -> None:
    await until(lambda: len(watch.started) == 6)
    assert len(await watch.supervisor.ready()) == 6
    await all_ready(watch)


async def test_a_process_that_ended_and_came_back_is_a_recovery(watch: Watch, tmp_path: Path) -> None:
    await all_ready(watch)
    watch.cluster.silent.add(ROUTER)
    await until(lambda: watch.supervisor.ready())
    watch.cluster.born(ROUTER, 2)
    watch.cluster.silent.clear()
    await until(lambda: recoveries_of(watch))
    recoveries = await recoveries_of(watch)
    assert [one["actor"] for one in recoveries] == [ROUTER]
    assert 0 < recoveries[0]["down_ms_wall"] < 10_000
    assert ROUTER in (tmp_path / "recoveries.jsonl").read_text(encoding="utf-8")


async def test_f52_an_actor_that_dies_again_and_again_is_paged_once_and_started_all_the_same(watch: Watch) -> None:
    await all_ready(watch)
    for life in range(2, 9):
        watch.cluster.born(ROUTER, life)
        await until(lambda: watch.supervisor._watched[ROUTER].born_ms == life)  # noqa: B023
    await until(lambda: watch.cluster.mail)
    assert {to for to, _ in watch.cluster.mail} == {"notifier"}
    alert = watch.cluster.mail[0][1]
    assert isinstance(alert, AlertRaised)
    assert (alert.severity, ROUTER in alert.title) == (Severity.CRITICAL, True)
    assert len({message.dedup_key for _, message in watch.cluster.mail if isinstance(message, AlertRaised)}) == 1
    assert len(await recoveries_of(watch)) == 7


async def test_f62_a_disk_that_fills_up_is_told_once_before_it_is_full(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watch.supervisor.stop()
    seen = [0.79, 0.8, 0.81, 0.99, 0.5, 0.9]
    looks = 0

    def usage(_place: str) -> Any:
        nonlocal looks
        used = seen[min(looks, len(seen) - 1)]
        looks += 1
        return SimpleNamespace(total=1_200, used=round(used * 1_000), free=1_000 - round(used * 1_000))

    monkeypatch.setattr(supervisor_module, "shutil", SimpleNamespace(disk_usage=usage))
    monkeypatch.setattr(supervisor_module, "DISK_S", 0.01)
    other = Supervisor(watch.supervisor._state_dir)
    await until(lambda: looks >= 10)
    await until(lambda: len(watch.cluster.mail) >= 2)
    await other.stop()
    alerts = [message for to, message in watch.cluster.mail if to == "notifier" and isinstance(message, AlertRaised)]
    assert [alert.title for alert in alerts] == ["The disk is filling up"] * 2
    assert ["80%" in alerts[0].body, "90%" in alerts[1].body] == [True, True]


async def test_f54_an_actor_whose_loop_stands_still_is_ended_so_that_it_begins_anew(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await all_ready(watch)
    ended: list[tuple[str, bool]] = []

    class FakeRay:
        @staticmethod
        def get_actor(name: str, namespace: str) -> str:
            return name

        @staticmethod
        def kill(name: str, *, no_restart: bool) -> None:
            ended.append((name, no_restart))

    monkeypatch.setattr(supervisor_module, "ray", FakeRay)
    watch.cluster.healths[ROUTER]["beat_age_ms"] = 29_000
    await asyncio.sleep(0.6)
    assert ended == [], "a busy machine is given its time"
    watch.cluster.healths[ROUTER]["beat_age_ms"] = 31_000
    await until(lambda: ended)
    assert ended[0] == (ROUTER, False)


async def test_f54_while_the_loop_is_blocked_its_age_is_told_by_the_other_thread(plain: Plain, tmp_path: Path) -> None:
    plain.fail = 0
    shell = ActorShell("treasury", str(tmp_path))
    try:
        await until(lambda: shell._ready_after_ms)

        def ask() -> dict[str, object]:
            time.sleep(0.8)
            return asyncio.run(shell.health())

        with ThreadPoolExecutor(1) as control:
            asked = control.submit(ask)
            time.sleep(1.2)  # no beat can be taken meanwhile
            health = asked.result()
        age_ms = health["beat_age_ms"]
        assert isinstance(age_ms, int)
        assert age_ms >= 250
        assert health["status"] == "ready"
    finally:
        await shell.stop()


async def test_a_late_answer_of_the_same_process_is_none(watch: Watch) -> None:
    await all_ready(watch)
    watch.cluster.silent.add(ROUTER)
    await asyncio.sleep(0.7)
    watch.cluster.silent.clear()
    await until(lambda: nobody_missing(watch))
    assert (await watch.supervisor.status())["recoveries"] == []


async def test_a_halt_is_told_to_all_and_again_to_who_comes_back(watch: Watch) -> None:
    await all_ready(watch)
    watch.cluster.silent.add(ROUTER)
    answer = await watch.supervisor.set_trading_state("HALTED", 7, "drill")
    assert answer == {"confirmed": [], "not_confirmed": [ROUTER]}
    assert watch.cluster.healths["treasury"]["epoch"] == 7
    watch.cluster.born(ROUTER, 2, epoch=0)
    watch.cluster.silent.clear()
    await until(lambda: watch.cluster.healths[ROUTER]["epoch"] == 7)
    again = await watch.supervisor.set_trading_state("HALTED", 7, "drill")
    assert again == {"confirmed": [ROUTER], "not_confirmed": []}


async def test_it_stops_in_order_and_names_who_would_not(watch: Watch) -> None:
    await all_ready(watch)
    watch.cluster.calls.clear()
    watch.cluster.silent.add("treasury")
    stubborn = await watch.supervisor.stop()
    stopped = [name for name, method, _ in watch.cluster.calls if method == "stop"]
    assert stopped == [
        "market-feed",
        ROUTER,
        "position-keeper-main",
        "risk-calculator-0",
        "treasury",
        "notifier",
    ]
    assert [one.partition(":")[0] for one in stubborn] == ["treasury"]
    assert {name for name, method, _ in watch.cluster.calls if method == "kill"} == set(stopped)
