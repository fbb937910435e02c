"""An asyncio loop whose time is a number: it jumps to the next timer, so an hour takes as long as its work.

Every callback belongs to the process (an incarnation of an actor) in whose context it was scheduled. It can be frozen
as by SIGSTOP (its callbacks wait) or killed as by SIGKILL (its callbacks never run again, not even a `finally`).
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from random import Random
from types import coroutine
from typing import Any


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: whoever waits would wait for ever."""


class Turn:
    """A callback that waits for its turn: as much of asyncio's handle as asyncio itself uses, at half the cost."""

    __slots__ = ("_cancelled", "args", "callback", "context")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> None:
        self.callback, self.args = callback, args
        self.context = copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled


class Fate:
    """Whether the callbacks of one process run. `held` keeps what does not (also of the dead: nothing is finalised)."""

    __slots__ = ("alive", "held", "name", "paused", "pid")

    def __init__(self, name: str, pid: int) -> None:
        self.name, self.pid = name, pid
        self.alive, self.paused = True, False
        self.held: list[Turn] = []

    @property
    def running(self) -> bool:
        return self.alive and not self.paused


PROCESS: ContextVar[Fate | None] = ContextVar("process", default=None)


class SimLoop(asyncio.BaseEventLoop):
    """Time in integer ms. With `shuffle` what is ready at the same moment runs in a drawn order, else first come."""

    _ready: Any  # the base class's queue of handles

    def __init__(self, start_ms: int, shuffle: Random | None = None) -> None:
        super().__init__()
        self.now_ms = start_ms
        self.failures: list[str] = []
        self.turns = 0
        self._timers: list[tuple[int, int, Turn]] = []
        self._order = 0
        self._shuffle = shuffle
        self._special = 0
        self.set_exception_handler(_note_failure)

    # ------------------------------------------------------------ what asyncio asks for

    def time(self) -> float:
        return self.now_ms / 1000

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        turn = Turn(callback, args, context)
        self._ready.append(turn)
        return turn

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Turn:
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        return self.at(self.now_ms + max(0, math.ceil(delay * 1000 - 1e-6)), callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Turn:
        return self.at(math.ceil(when * 1000 - 1e-6), callback, *args, context=context)

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There are no threads."""

    # ------------------------------------------------------------ time

    def at(self, ts_ms: int, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Turn:
        """Run at a virtual time; equal times in the order of asking."""
        turn = Turn(callback, args, context)
        self._order += 1
        heapq.heappush(self._timers, (ts_ms, self._order, turn))
        return turn

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            self._jump()
        if self._shuffle is not None and len(ready) > 1:
            batch = list(ready)
            ready.clear()
            self._shuffle.shuffle(batch)
            ready.extend(batch)
        count = len(ready)
        self.turns += count
        for _ in range(count):
            turn = ready.popleft()
            if turn._cancelled:
                continue
            if self._special:
                fate = turn.context.get(PROCESS)
                if fate is not None and not fate.running:
                    fate.held.append(turn)
                    continue
            try:
                turn.context.run(turn.callback, *turn.args)
            except Exception as error:
                self.failures.append(f"{turn.callback}: {type(error).__name__}: {error}")

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Deadlock("nothing is ready and no timer is set")
        self.now_ms = due = max(self.now_ms, timers[0][0])
        while timers and timers[0][0] <= due:
            self._ready.append(heapq.heappop(timers)[2])

    # ------------------------------------------------------------ processes

    def freeze(self, fate: Fate) -> None:
        """As by SIGSTOP."""
        if fate.running:
            fate.paused = True
            self._special += 1

    def thaw(self, fate: Fate) -> None:
        """As by SIGCONT: everything that has waited runs now, in order."""
        if fate.alive and fate.paused:
            fate.paused = False
            self._special -= 1
            self._ready.extend(fate.held)
            fate.held = []

    def kill(self, fate: Fate) -> None:
        """As by SIGKILL."""
        if fate.alive:
            self._special += 0 if fate.paused else 1
            fate.alive = False


def _note_failure(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(loop, SimLoop):
        error = context.get("exception")
        loop.failures.append(f"{context.get('message')}: {type(error).__name__}: {error}")


def begin(loop: SimLoop, work: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None] | None:
    """Run `work` until it first waits, now; a task is made only of what is left then. Call it inside `context`."""
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return loop.create_task(_rest(work, waits_for), context=context)


async def _rest(work: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _go_on(work, waits_for)


@coroutine
def _go_on(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            value = yield waits_for
        except BaseException as error:
            throw = error
        else:
            throw = None
        try:
            waits_for = work.send(value) if throw is None else work.throw(throw)
        except StopIteration:
            return
