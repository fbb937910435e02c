"""One account whose router dies and comes back, and the venue's record against which that is judged."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import AnyMessage, RealiseProfit, SetTarget, TradingStateChanged
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.journal import Entry, Record
from hedgelock_actors.ports.latch import Latch
from tests.crash.fuse import Fuse, Tape, fused
from tests.crash.quick_loop import QuickClock, kill_tasks, settle
from tests.crash.venue import MatrixVenue
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL

ROUTER = f"order-router-{ACCOUNT}"
KEEPER = f"position-keeper-{ACCOUNT}"
CONTROL = "control"
DEATHS_MAX = 10


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


class RouterWorld:
    """`fuses`: for each life of the router the point at which it ends; lives after these go on."""

    def __init__(self, lag_ms: int = 0, fuses: Sequence[int] = ()) -> None:
        self.clock = QuickClock()
        self.tape = Tape(self.clock.now_ms)
        self.journal = TapedJournal(self.tape)
        self.venue = MatrixVenue(self.tape, self.clock.now_ms, lag_ms)
        self.transport = MemoryTransport()
        self.policy = Policy()
        self.lag_ms = lag_ms
        self.fuses = list(fuses)
        self.fuse = Fuse()
        self.deaths: list[str] = []
        self.wrong: list[str] = []
        """What did not come in time."""
        self.targets: list[Decimal] = []
        self.bought = Decimal(0)
        """What is to be bought in all, by the story."""
        self._told: SetTarget | None = None
        self._epochs: dict[str, int] = {}
        self._latch = Latch()
        self._router: OrderRouter | None = None

    # ------------------------------------------------------------ lives

    async def boot(self) -> None:
        """Start a router, and another one when it dies at that."""
        while True:
            self.tape.life += 1
            self.fuse = Fuse(self.fuses.pop(0) if self.fuses else -1)
            self._latch = Latch()
            self._router = OrderRouter(
                ROUTER,
                ACCOUNT,
                SYMBOL,
                venue=fused(self.venue, self.fuse, "venue"),
                journal=fused(self.journal, self.fuse, "journal"),
                transport=fused(self.transport, self.fuse, "transport"),
                clock=self.clock,
                policy=self.policy,
                latch=self._latch,
                notifier="notifier",
                **_more(),
            )
            if await self._survives(self._router.start()):
                return

    async def _survives(self, call: Awaitable[None]) -> bool:
        """Do it and let all run dry; False when the process died of it (it is buried then)."""
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
        self.venue.hang_up()
        return False

    async def _live(self, call: Callable[[], Awaitable[None]]) -> bool:
        """False when the router died of it: then its successor lives, and has heard the price and the target."""
        if await self._survives(call()):
            return True
        await self.boot()
        await self.tell(self.venue.tick())
        if self._told is not None:
            await self.tell(self._told)
        return False

    async def tell(self, message: AnyMessage) -> None:
        """Until a router has taken it in and lived."""
        while not await self._live(lambda: self.router.receive(message)):
            pass

    @property
    def router(self) -> OrderRouter:
        """The one that lives."""
        assert self._router is not None
        return self._router

    # ------------------------------------------------------------ what a story is made of

    async def seconds(self, count: int, step: int = 1) -> None:
        """Time passes; prices and pushes come."""
        for _ in range(0, count, step):
            await self._live(lambda: self.clock.advance(step * 1_000))
            await self._live(self.venue.push)
            await self.tell(self.venue.tick())
            await self._live(self.venue.push)

    async def until(self, what: str, true: Callable[[], bool], limit_s: int = 240) -> None:
        """Time passes until the venue says that it is so."""
        for _ in range(limit_s):
            if true():
                return
            await self.seconds(1)
        self.wrong.append(f"not within {limit_s} s: {what} (position {self.venue.signed_qty})")

    async def target(self, qty: str, level: RiskLevel = RiskLevel.CAUTION) -> None:
        """The keeper journals a target and states it."""
        message = SetTarget(
            account=ACCOUNT,
            symbol=SYMBOL,
            version=len(self.targets) + 1,
            ts_ms=self.clock.now_ms(),
            target_short_qty=Decimal(qty),
            level=level,
            reason="story",
            causation_id=f"story-{len(self.targets)}",
        )
        self.targets.append(Decimal(qty))
        await self._write(KEEPER, "target", f"target:{message.version}", message.model_dump(mode="json"))
        self._told = message
        await self.tell(message)

    async def held(self, qty: str) -> None:
        """Until the venue holds so much short, and nothing is under way."""
        await self.until(f"short {qty}", lambda: self.venue.signed_qty == -Decimal(qty) and self.venue.quiet)

    async def realise(self, qty: str) -> None:
        """The treasury asks for profit to be realised."""
        message = RealiseProfit(
            account=ACCOUNT, symbol=SYMBOL, request_id="r1", ts_ms=self.clock.now_ms(), qty=Decimal(qty)
        )
        await self.tell(message)

    def halt_after(self, kind: str, count: int) -> None:
        """The control lane halts trading right after the router's `count`-th record of a kind: before its effect."""
        left = [count]

        def kept(entry: Entry) -> None:
            left[0] -= entry.kind == kind
            if left[0] == 0 and entry.kind == kind:
                self.journal.kept = lambda _: None
                self._state(TradingMode.HALTED, 1)

        self.journal.kept = kept

    async def resume(self) -> None:
        """The control lane lets trading go on."""
        self._state(TradingMode.ACTIVE, 2)
        await self.tell(
            TradingStateChanged(mode=TradingMode.ACTIVE, epoch=2, ts_ms=self.clock.now_ms(), reason="story")
        )

    def _state(self, mode: TradingMode, epoch: int) -> None:
        """In the audit before the effect; then in the latch, from another thread."""
        payload = {"mode": mode.value, "epoch": epoch, "reason": "story"}
        _run(self._write(CONTROL, "trading_state", f"trading_state:{epoch}", payload))
        self.tape.note("halted" if mode is TradingMode.HALTED else "resumed")
        self._latch.set(TradingState(mode, epoch, "story"))

    async def _write(self, stream: str, kind: str, key: str, payload: Any) -> None:
        """Other actors' records; they do not die here."""
        if stream not in self._epochs:
            self._epochs[stream] = await self.journal.open(stream)
        entry = Entry(kind=kind, key=key, ts_ms=self.clock.now_ms(), account=ACCOUNT, payload=payload)
        await MemoryJournal.append(self.journal, stream, self._epochs[stream], [entry])


def _run(call: Any) -> None:
    """Run a coroutine that waits for nothing, here and now."""
    try:
        call.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def _more() -> dict[str, Any]:
    """What a router needs beyond the ports."""
    known = inspect.signature(OrderRouter.__init__).parameters
    if "lease" not in known:
        return {}
    from hedgelock_actors.adapters.memory.lease import AlwaysHeld

    return {"lease": AlwaysHeld()}
