"""One account whose router dies and comes back, with what its stories are made of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

from hedgelock_actors.adapters.memory.lease import AlwaysHeld
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import HedgeTrade, RealiseProfit, SetTarget, TradeReported, TradingStateChanged
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.journal import Entry
from hedgelock_actors.ports.latch import Latch
from tests.crash.fuse import Fuse, fused
from tests.crash.lives import Lives
from tests.crash.venue import MatrixVenue
from tests.unit.actors.fake_venue import ACCOUNT, SYMBOL

ROUTER = f"order-router-{ACCOUNT}"
KEEPER = f"position-keeper-{ACCOUNT}"
CONTROL = "control"


class RouterWorld(Lives[OrderRouter]):
    """The venue acknowledges at once; orders show and fill `lag_ms` later."""

    def __init__(self, lag_ms: int = 0, fuses: Sequence[int] = ()) -> None:
        super().__init__(fuses)
        self.venue = MatrixVenue(self.tape, self.clock.now_ms, lag_ms)
        self.policy = Policy()
        self.step_s = max(1, lag_ms // 5_000)
        """How often a price comes while a story waits."""
        self.targets: list[Decimal] = []
        self.bought = Decimal(0)
        """What is to be bought in all, by the story."""
        self.or_more = Decimal(0)
        """So much more may be bought: where it depends on the moment of death how far a target got."""
        self.beside = Decimal(0)
        """What is held short beside the last target."""
        self.trades: dict[str, Decimal] = {}
        self._told: SetTarget | None = None
        self._latch = Latch()
        self.lease = StoryLease()
        """Outlives its holders: it is the account that is leased."""

    def build(self, fuse: Fuse) -> OrderRouter:
        self._latch = Latch()
        return OrderRouter(
            ROUTER,
            ACCOUNT,
            SYMBOL,
            venue=fused(self.venue, fuse, "venue"),
            journal=fused(self.journal, fuse, "journal"),
            transport=fused(self.transport, fuse, "transport"),
            clock=self.clock,
            policy=self.policy,
            latch=self._latch,
            notifier="notifier",
            lease=self.lease,
        )

    def buried(self) -> None:
        self.venue.hang_up()

    async def greeted(self) -> None:
        """The price and the target come again."""
        await self.tell(self.venue.tick())
        if self._told is not None:
            await self.tell(self._told)

    async def seconds(self, count: int, step: int = 1) -> None:
        """Time passes; prices and pushes come."""
        for _ in range(0, count, step):
            await self.live(lambda: self.clock.advance(step * 1_000))
            await self.live(self.venue.push)
            await self.tell(self.venue.tick())
            await self.live(self.venue.push)

    async def until(self, what: str, true: Callable[[], bool], limit_s: int = 240) -> None:
        """Time passes until the venue says that it is so."""
        for _ in range(0, limit_s, self.step_s):
            if true():
                return
            await self.seconds(self.step_s, self.step_s)
        self.wrong.append(f"not within {limit_s} s: {what} (position {self.venue.signed_qty})")

    async def target(self, qty: str, level: RiskLevel) -> None:
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
        await self.write(KEEPER, "target", f"target:{message.version}", message.model_dump(mode="json"))
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

    async def trade(self, trade_id: str, side: Side, qty: str) -> None:
        """Somebody asks for a trade beside the target, until it is reported as final."""
        self.trades[trade_id] = Decimal(qty)
        message = HedgeTrade(
            account=ACCOUNT,
            symbol=SYMBOL,
            trade_id=trade_id,
            ts_ms=self.clock.now_ms(),
            side=side,
            qty=Decimal(qty),
            reason="story",
            reply_to="asker",
        )
        await self.tell(message)
        await self.until(f"trade {trade_id} is reported", lambda: bool(self.reports(trade_id)))

    def reports(self, trade_id: str) -> list[TradeReported]:
        """What the asker heard at the end of a trade."""
        heard = self.transport.messages(TradeReported, "asker")
        return [one for one in heard if one.trade_id == trade_id and one.final]

    def halt_after(self, kind: str, count: int) -> None:
        """The control lane halts trading right after the router's `count`-th record of a kind: before its effect."""
        self._after(kind, count, lambda: self._state(TradingMode.HALTED, 1))

    def unlease_after(self, kind: str, count: int) -> None:
        """The lease runs out at such a moment."""

        def run_out() -> None:
            self.lease.is_held = False
            self.tape.note("closed")

        self._after(kind, count, run_out)

    def lease_again(self) -> None:
        """It is renewed."""
        self.lease.is_held = True
        self.tape.note("open")

    def _after(self, kind: str, count: int, then: Callable[[], None]) -> None:
        left = [count]

        def kept(entry: Entry) -> None:
            left[0] -= entry.kind == kind
            if left[0] == 0 and entry.kind == kind:
                self.journal.kept = lambda _: None
                then()

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
        _now(self.write(CONTROL, "trading_state", f"trading_state:{epoch}", payload))
        self.tape.note("closed" if mode is TradingMode.HALTED else "open")
        self._latch.set(TradingState(mode, epoch, "story"))


def _now(call: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing, here and now."""
    try:
        call.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


class StoryLease(AlwaysHeld):
    """Held unless the story says otherwise."""

    def __init__(self) -> None:
        self.is_held = True

    def held(self) -> bool:
        return self.is_held
