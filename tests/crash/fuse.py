"""A process that dies at its n-th point: before or after any call to the outside, with nothing of it running on."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from hedgelock_actors.ports.journal import Entry

# What only asks leaves the world as it was. Whatever is not named here is taken to change it.
_ASKING = frozenset(
    {"instrument", "find_order", "executions", "position", "wallet", "open_orders", "maintenance", "account_faults"}
    | {"loans", "funding_wallet_usdt", "transferable_usdt", "find_transfer", "get", "streams", "verify"}
)
P = TypeVar("P")
R = TypeVar("R")


class Died(BaseException):
    """The process is gone; no code of it runs any more."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing on the tape, in the order in which the world saw it."""

    ms: int
    life: int
    what: str
    link: str = ""


@dataclass(slots=True)
class Tape:
    """What the world saw, of all lives: calls that were begun, records that were kept, orders that arrived."""

    now_ms: Callable[[], int]
    life: int = 0
    moves: int = 0
    """How often the world has changed, by a call or by the story: between two moves there is nothing to tell apart."""
    happened: list[Happened] = field(default_factory=list)

    def note(self, what: str, link: str = "") -> None:
        """The next thing that happens."""
        self.happened.append(Happened(self.now_ms(), self.life, what, link))


class Fuse:
    """Counts the points before and after each call; at one of them the process dies, and stays dead."""

    def __init__(self, tape: Tape, at: int = -1) -> None:
        self.at, self.points, self.dead = at, 0, False
        self.where = ""
        self.tape = tape
        self.passed: list[str] = []
        """The points by name."""
        self.worlds: list[tuple[int, int]] = []
        """For each point the world that a successor would find there: equal ones cannot be told apart."""

    def point(self, what: str) -> None:
        """Die here, if this is the point, or if death came before."""
        if not self.dead and self.points == self.at:
            self.dead, self.where = True, what
        if self.dead:
            raise Died(self.where)
        self.points += 1
        self.passed.append(what)
        self.worlds.append((self.tape.moves, self.tape.now_ms()))

    @property
    def apart(self) -> list[int]:
        """The first of the points in each world."""
        return [at for at, world in enumerate(self.worlds) if at == 0 or world != self.worlds[at - 1]]

    async def around(self, what: str, call: Callable[[], Awaitable[R]], *, moves: bool) -> R:
        """A call with a point on either side of its effect."""
        self.point(f"before {what}")
        result = await call()
        self.tape.moves += moves
        self.point(f"after {what}")
        return result


def fused(port: P, fuse: Fuse, name: str) -> P:
    """`port` as one process sees it: each of its awaitable methods has two points to die at."""
    return cast(P, _Fused(port, fuse, name))


class _Fused:
    def __init__(self, port: object, fuse: Fuse, name: str) -> None:
        self._port, self._fuse, self._name = port, fuse, name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._port, attribute)
        if inspect.isasyncgenfunction(value):
            wrapped: Any = self._reader(value, f"{self._name}.{attribute}")
        elif inspect.iscoroutinefunction(value):
            wrapped = self._caller(value, f"{self._name}.{attribute}")
        else:
            return value
        setattr(self, attribute, wrapped)
        return wrapped

    def _caller(self, method: Callable[..., Awaitable[Any]], what: str) -> Callable[..., Awaitable[Any]]:
        moves = what.rpartition(".")[2] not in _ASKING

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._fuse.around(what + _kind(args), lambda: method(*args, **kwargs), moves=moves)

        return call

    def _reader(self, method: Callable[..., AsyncIterator[Any]], what: str) -> Callable[..., AsyncIterator[Any]]:
        async def read(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            self._fuse.point(f"before {what}")
            async for one in method(*args, **kwargs):
                yield one
            self._fuse.point(f"after {what}")

        return read


def _kind(args: Sequence[object]) -> str:
    """The kinds of the records that are written, for people who read where a process died."""
    last = args[-1] if args else None
    entries = last if isinstance(last, Sequence) else ()
    kinds = dict.fromkeys(entry.kind for entry in entries if isinstance(entry, Entry))
    return f" {'+'.join(kinds)}" if kinds else ""
