"""The control service dies at every point of every command: then the command is complete or absent, and never twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import pytest

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.domain.trading_state import TradingState
from hedgelock_actors.ports.journal import Entry, Record
from hedgelock_actors.runtime.control_feed import ControlFeed
from hedgelock_actors.runtime.names import declare
from serve_apps import control_effects
from serve_apps.control_service import ControlService
from serve_apps.security import Call, People
from tests.unit.serve.control_rig import TOKENS, Cluster, Rig, auth

ACTION = {"reason": "drill"}
COMMANDS: Mapping[str, Mapping[str, object]] = {
    "/halt": ACTION,
    "/resume": ACTION,
    "/flatten": ACTION,
    "/override": {**ACTION, "account": "a", "short": "1", "for_s": 60},
    "/acknowledge": {**ACTION, "account": "a"},
    "/trades": {**ACTION, "account": "a", "side": "sell", "qty": "1"},
}
POINTS_MAX = 40
R = TypeVar("R")


class Died(BaseException):
    """The process is gone; no code of it runs any more."""


class Fuse:
    """Counts the points before and after each call; at one of them the process dies, and stays dead."""

    def __init__(self, at: int = -1) -> None:
        self.at, self.points, self.dead = at, 0, False

    def point(self) -> None:
        self.dead = self.dead or self.points == self.at
        if self.dead:
            raise Died
        self.points += 1

    async def around(self, call: Callable[[], Awaitable[R]]) -> R:
        self.point()
        result = await call()
        self.point()
        return result


class FusedJournal:
    """The journal behind a fuse."""

    def __init__(self, journal: MemoryJournal, fuse: Fuse) -> None:
        self._journal, self._fuse = journal, fuse

    async def open(self, stream: str) -> int:
        return await self._fuse.around(lambda: self._journal.open(stream))

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        return await self._fuse.around(lambda: self._journal.append(stream, epoch, entries))

    async def read(
        self, stream: str, *, kinds: Sequence[str] | None = None, account: str | None = None, after_n: int = 0
    ) -> AsyncIterator[Record]:
        self._fuse.point()
        async for record in self._journal.read(stream, kinds=kinds, account=account, after_n=after_n):
            yield record
        self._fuse.point()

    async def streams(self) -> Sequence[str]:
        return await self._journal.streams()

    async def verify(self, stream: str) -> int:
        return await self._journal.verify(stream)

    async def close(self) -> None:
        await self._journal.close()


class FusedCluster(Cluster):
    """The actors behind the same fuse."""

    def __init__(self, journal: MemoryJournal) -> None:
        super().__init__(journal)
        self.fuse = Fuse()

    async def apply(self, state: TradingState) -> dict[str, TradingState | None]:
        return await self.fuse.around(lambda: super(FusedCluster, self).apply(state))

    async def deliver(self, to: str, message: AnyMessage, wait_s: float) -> str:
        return await self.fuse.around(lambda: super(FusedCluster, self).deliver(to, message, wait_s))


class World:
    """One journal and one cluster; services that come and die."""

    def __init__(self, two_person: bool) -> None:
        names = ["resume", "flatten", "override"] if two_person else []
        self.rig = Rig(two_person=names)
        assert isinstance(self.rig.journal, MemoryJournal)
        self.journal, self.cluster = self.rig.journal, FusedCluster(self.rig.journal)

    def service(self, at: int) -> ControlService:
        self.cluster.fuse = Fuse(at)
        journal = FusedJournal(self.journal, self.cluster.fuse)
        return ControlService(self.cluster, journal, People(TOKENS), self.rig.config, lambda: self.rig.now_ms)

    async def ask(self, at: int, path: str, body: object, who: str, key: str) -> dict[str, object] | None:
        """The answer; None when the service died."""
        call = Call(method="POST", path=path, headers=auth(who, key), body=json.dumps(body).encode())
        service = self.service(at)
        try:
            answer = await service.handle(call)
        except Died:
            return None
        finally:
            await service.stop()
        return dict(json.loads(answer.body))

    def effects(self) -> set[str]:
        """What the actors were told, each thing once."""
        told = {f"{to} {message.model_dump_json()}" for to, message in self.cluster.got}
        return told | {f"all {state.mode} {state.epoch}" for state in self.cluster.applied}

    def records(self) -> list[str]:
        return [row.kind for row in self.journal.rows("control")]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_effects, "TRADE_WAIT_S", 0.0)


@pytest.mark.parametrize("path", COMMANDS)
async def test_asked_again_after_any_death_it_is_one_command(path: str) -> None:
    clean = World(two_person=False)
    await clean.ask(-1, path, COMMANDS[path], "ada", "k")
    points = clean.cluster.fuse.points
    assert 5 < points < POINTS_MAX
    for first in range(points):
        for second in range(points + 1):
            world = World(two_person=False)
            assert await world.ask(first, path, COMMANDS[path], "ada", "k") is None
            await world.ask(second, path, COMMANDS[path], "ada", "k")
            answer = await world.ask(-1, path, COMMANDS[path], "ada", "k")
            assert answer is not None
            assert world.records() == clean.records(), f"died at {first} and {second}"
            assert world.effects() == clean.effects(), f"died at {first} and {second}"


@pytest.mark.parametrize("path", COMMANDS)
async def test_never_asked_again_it_is_complete_when_it_is_on_record_and_absent_when_it_is_not(path: str) -> None:
    clean = World(two_person=False)
    await clean.ask(-1, path, COMMANDS[path], "ada", "k")
    seen = set()
    for at in range(clean.cluster.fuse.points):
        world = World(two_person=False)
        feeds = [ControlFeed(world.journal, one) for one in declare(world.rig.config)]
        for feed in feeds:
            await feed.news(world.rig.now_ms)
        assert await world.ask(at, path, COMMANDS[path], "ada", "k") is None
        for feed, declared in zip(feeds, declare(world.rig.config), strict=True):
            world.cluster.got += [(declared.name, message) for message in await feed.news(world.rig.now_ms)]
            if feed.state.epoch:
                world.cluster.applied.append(feed.state)
        recorded = bool(world.records())
        assert world.effects() == (clean.effects() if recorded else set()), f"died at {at}"
        seen.add(recorded)
    assert seen == {True, False}


@pytest.mark.parametrize("path", ["/resume", "/flatten", "/override"])
async def test_with_two_persons_the_effect_is_there_once_wherever_either_request_dies(path: str) -> None:
    async def approve(world: World, at: int, asked: Mapping[str, object]) -> dict[str, object] | None:
        return await world.ask(at, f"/approvals/{asked['approval_id']}/approve", {}, "bob", "b")

    clean = World(two_person=True)
    asked = await clean.ask(-1, path, COMMANDS[path], "ada", "k")
    assert asked is not None
    requesting = clean.cluster.fuse.points
    await approve(clean, -1, asked)
    approving = clean.cluster.fuse.points
    for first in range(requesting + 1):
        for second in range(approving + 1):
            world = World(two_person=True)
            await world.ask(first, path, COMMANDS[path], "ada", "k")
            again = await world.ask(-1, path, COMMANDS[path], "ada", "k")
            assert again is not None
            assert again["approval_id"] == asked["approval_id"]
            assert world.effects() == set(), "one person alone does nothing"
            await approve(world, second, again)
            assert world.effects() <= clean.effects()
            assert await approve(world, -1, again) is not None
            assert world.records() == clean.records(), f"died at {first} and {second}"
            assert world.effects() == clean.effects(), f"died at {first} and {second}"
