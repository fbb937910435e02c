"""The lives of one actor: it dies where its fuse says, and another one starts on what the journal has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.messages import AnyMessage
from hedgelock_actors.ports.journal import Entry, Json, Record
from tests.crash.fuse import Fuse, Tape
from tests.crash.quick_loop import QuickClock, kill_tasks, settle
from tests.unit.actors.fake_venue import ACCOUNT

DEATHS_MAX = 10


class Mortal(Protocol):
    """An actor as these worlds use it."""

    async def start(self) -> None: ...

    async def receive(self, message: AnyMessage) -> None: ...


A = TypeVar("A", bound=Mortal)


class TapedJournal(MemoryJournal):
    """Notes on the tape what was kept, when it was kept. `kept` is called after that: someone else's moment to act."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape
        self.kept: Callable[[Entry], None] = lambda _: None

    async def append(self, stream: str, epoch: int, entries: Sequence[Entry]) -> Sequence[Record]:
        records = await super().append(stream, epoch, entries)
        for entry in entries:
            self._tape.note(f"keeps {entry.kind}", str(entry.payload.get("order_link_id", "")))
            self.kept(entry)
        return records


class Lives(Generic[A]):
    """`fuses`: for each life the point at which it ends; lives after these go on."""

    def __init__(self, fuses: Sequence[int] = ()) -> None:
        self.clock = QuickClock()
        self.tape = Tape(self.clock.now_ms)
        self.journal = TapedJournal(self.tape)
        self.transport = MemoryTransport()
        self.fuses = list(fuses)
        self.fuse = Fuse(self.tape)
        self.deaths: list[str] = []
        self.wrong: list[str] = []
        """What did not come in time."""
        self._actor: A | None = None
        self._epochs: dict[str, int] = {}

    @abstractmethod
    def build(self, fuse: Fuse) -> A:
        """A new actor that reaches the outside through the fuse alone."""

    def buried(self) -> None:
        """What the end of its process does to the outside."""

    async def greeted(self) -> None:
        """What others tell a new one, unasked."""

    @property
    def actor(self) -> A:
        """The one that lives."""
        assert self._actor is not None
        return self._actor

    async def boot(self) -> None:
        """Start one, and another one when it dies at that."""
        while True:
            self.tape.life += 1
            self.fuse = Fuse(self.tape, self.fuses.pop(0) if self.fuses else -1)
            self._actor = self.build(self.fuse)
            if await self._survives(self._actor.start()):
                return

    async def live(self, call: Callable[[], Awaitable[None]]) -> bool:
        """Do it; False when the actor died of it: then its successor lives, and has been greeted."""
        if await self._survives(call()):
            return True
        await self.boot()
        await self.greeted()
        return False

    async def tell(self, message: AnyMessage) -> None:
        """Until one of them has taken it in and lived."""
        while not await self.live(lambda: self.actor.receive(message)):
            pass

    async def write(self, stream: str, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """Other actors' records; they do not die here."""
        if stream not in self._epochs:
            self._epochs[stream] = await self.journal.open(stream)
        entry = Entry(kind=kind, key=key, ts_ms=self.clock.now_ms(), account=ACCOUNT, payload=payload)
        await MemoryJournal.append(self.journal, stream, self._epochs[stream], [entry])

    async def _survives(self, call: Awaitable[None]) -> bool:
        """Do it and let all run dry; False when the process died of it (it is buried then)."""
        self.tape.moves += 1
        try:
            await call
        except BaseException:
            if not self.fuse.dead:
                raise
        await settle()
        if not self.fuse.dead:
            return True
        self.deaths.append(self.fuse.where)
        self.tape.note(f"dies {self.fuse.where}")
        assert len(self.deaths) < DEATHS_MAX
        await kill_tasks()
        self.clock.forget()
        self.buried()
        return False
