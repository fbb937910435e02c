"""The conditions of lock-step: who must have taken in what before the venue makes its next market step."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class PacedStream(Protocol):
    """A connection that acknowledges frames: `sent` frames went out, `acked` were fully taken in by the client."""

    pace: str
    sent: int
    acked: int
    excused: bool


class Pacing:
    """Participants on the clock socket, streams that acknowledge, requests in service.

    A participant that is gone without bye is waited for, at most `timeout_s` of wall time; then the venue moves on,
    counts an
    overrun, and excuses whoever was late until he is heard of again.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.participants: tuple[str, ...] = ()
        self.streams: set[PacedStream] = set()
        self.in_flight = 0
        self.waiting = 0
        self.steps = 0
        self.overruns = 0
        self._acked: dict[str, int] = {}
        self._connected: dict[str, int] = {}
        self._excused: set[str] = set()
        self._waker: asyncio.Future[None] | None = None

    # ------------------------------------------------------------------ what happens around

    def connect(self, name: str) -> None:
        """`name` is on the clock socket."""
        self._connected[name] = self._connected.get(name, 0) + 1
        self._excused.discard(name)
        self.poke()

    def disconnect(self, name: str) -> None:
        """A clock socket of `name` is gone."""
        self._connected[name] = self._connected.get(name, 0) - 1
        self.poke()

    def leave(self, name: str) -> None:
        """`name` said bye: nobody waits for him any more."""
        self.participants = tuple(other for other in self.participants if other != name)
        self.poke()

    def acknowledge(self, name: str, tick: int) -> None:
        """`name` has done all he will do about `tick`."""
        self._acked[name] = max(self._acked.get(name, 0), tick)
        self._excused.discard(name)
        self.poke()

    def acked(self, name: str) -> int:
        """The last tick that `name` acknowledged."""
        return self._acked.get(name, 0)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """A request is being served inside."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.poke()

    # ------------------------------------------------------------------ what the driver asks

    def ready(self, tick: int) -> bool:
        """True when the next market step may be made after `tick`. A request that only waits for venue time does not
        hinder.
        """
        return self.in_flight <= self.waiting and not self._late_names(tick) and not self._late_streams()

    def late(self, tick: int) -> list[str]:
        """Names of those waited for, for reports."""
        return [*self._late_names(tick), *(stream.pace for stream in self._late_streams())]

    def _late_names(self, tick: int) -> list[str]:
        return [
            name
            for name in self.participants
            if name not in self._excused and (self._connected.get(name, 0) <= 0 or self._acked.get(name, 0) < tick)
        ]

    def _late_streams(self) -> list[PacedStream]:
        return [stream for stream in self.streams if stream.acked < stream.sent and not stream.excused]

    async def wait_ready(self, tick: int, between: Callable[[], None]) -> None:
        """Wait for `ready`, calling `between` on every change; after `timeout_s` excuse the late ones and count an
        overrun.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.timeout_s
        while not self.ready(tick):
            left = deadline - loop.time()
            if left <= 0:
                self._excuse(tick)
                return
            await self.changed(left)
            between()

    def _excuse(self, tick: int) -> None:
        self.overruns += 1
        self._excused.update(self._late_names(tick))
        for stream in self._late_streams():
            stream.excused = True

    def poke(self) -> None:
        """Something has changed."""
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def changed(self, timeout_s: float | None) -> None:
        """Wait for the next `poke`, at most `timeout_s`."""
        loop = asyncio.get_running_loop()
        self._waker = waker = loop.create_future()
        timer = loop.call_later(timeout_s, self.poke) if timeout_s is not None else None
        try:
            await waker
        finally:
            if timer is not None:
                timer.cancel()
            self._waker = None
