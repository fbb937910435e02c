"""One hedge account: the truth about position, wallet and loans, and the target that follows from it.

It reads executions, position and wallet of its own, polls the loans, tells the risk calculator what the account holds
(`keeping.reading`), and states the short to be held as a target with a version. What it sends is full states, repeated
from time to time. A person may override the target (`keeping.override`): the policy then goes on deciding, and what it
decides is withheld until the override ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from hedgelock_actors.actor import Actor, JournalStream, backoff_ms
from hedgelock_actors.codec import Payload
from hedgelock_actors.domain.alert_rules import override_below_floor
from hedgelock_actors.domain.curve import SizingCurve
from hedgelock_actors.domain.errors import HedgeLockError, InvalidInput
from hedgelock_actors.domain.market import ASSETS
from hedgelock_actors.domain.messages import (
    AnyMessage,
    FeedStale,
    HedgeDemand,
    LoanTouched,
    RealiseProfit,
    SetTarget,
    SpreadRequested,
    SpreadStopped,
    TargetOverridden,
    Tick,
    TradeReported,
)
from hedgelock_actors.domain.money import ZERO, dec
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.domain.targeting import Demand, TargetDecision, TargetState, decide_target
from hedgelock_actors.keeping.account import AccountBook
from hedgelock_actors.keeping.override import CAUSE, expired, held_qty, holds, newer, overrides_in, reason_of
from hedgelock_actors.keeping.policy import cap_qty, hedge_share, shortfall_told
from hedgelock_actors.keeping.reading import AccountReading
from hedgelock_actors.keeping.spreads import SpreadDesk
from hedgelock_actors.ports.cache import Cache, CacheUnavailable
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Journal, JournalUnavailable, Json, StaleEpoch
from hedgelock_actors.ports.transport import Transport
from hedgelock_actors.ports.venue import (
    Loans,
    PrivateEvent,
    StreamLost,
    StreamRestored,
    Venue,
    VenueError,
    WalletView,
)

REPEAT_MS = 30_000
SHORTFALL_AGAIN_MS = 3_600_000
CONTROL = "control"
"""The journal stream of what persons commanded."""


class PositionKeeper(Actor):
    """See the module. Without a `curve` (or without a fresh score) the target is the floor."""

    def __init__(
        self,
        name: str,
        account: str,
        symbol: str,
        *,
        venue: Venue,
        loans: Loans,
        journal: Journal,
        clock: Clock,
        transport: Transport,
        cache: Cache,
        policy: Policy,
        risk: str,
        router: str,
        treasury: str,
        notifier: str,
        curve: SizingCurve | None = None,
    ) -> None:
        super().__init__(name, clock, transport)
        self.account, self.symbol = account, symbol
        self._asset = next((asset for asset, perp in ASSETS.items() if perp == symbol), symbol)
        self._venue, self._cache, self._policy, self._curve = venue, cache, policy, curve
        self._risk, self._router, self._treasury, self._notifier = risk, router, treasury, notifier
        self._stream = JournalStream(journal, name)
        self._reading = AccountReading(
            AccountBook(account, symbol),
            self._asset,
            venue=venue,
            loans=loans,
            stream=self._stream,
            clock=clock,
            loan_poll_ms=policy.loan.poll_ms,
            tell=self.tell,
            risk=risk,
            notifier=notifier,
        )
        self._spreads = SpreadDesk(name, notifier, venue=venue, stream=self._stream, clock=clock, tell=self.tell)
        self.book, self._ledger = self._reading.book, self._reading.ledger
        self._tick: Tick | None = None
        self._demand: HedgeDemand | None = None
        self._score: Mapping[str, object] | None = None
        self._target = TargetState()
        """What the policy wants; its version is the last that was stated or withheld."""
        self._stated: SetTarget | None = None
        self._override: TargetOverridden | None = None
        self._told_override = 0
        """Version of the override whose beginning was told to people; 0 when none holds."""
        self._recovered = self._replayed = self._recovering = False
        self._recover_ms = self._tries = self._repeated_ms = 0
        self._state_tick_ms = 0
        self._shortfall_ms: int | None = None
        self._below_ms: int | None = None
        self._cancel: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Replay, read the account, tell what it holds; what fails is tried again every second and then less often."""
        self._cancel = self.clock.every(1.0, self._beat)
        await self._recover()

    async def stop(self) -> None:
        """State no targets any more; the last one stands."""
        self.mark_stopped()
        self._cancel()
        await self._venue.stop()

    async def receive(self, message: AnyMessage) -> None:
        """Prices, demands, requests of the treasury."""
        if self.stopped:
            return
        try:
            await self._take(message)
        except (VenueError, JournalUnavailable, StaleEpoch, HedgeLockError) as error:
            self._trouble(error)

    def snapshot(self) -> Mapping[str, object]:
        """Position, wallet, loan and target."""
        signed, entry = self.book.position(self._ledger.fold)
        mark = self._tick.mark if self._tick else ZERO
        equity = self.book.equity(self._ledger.fold, mark) if self._tick else None
        return {
            "account": self.account,
            "symbol": self.symbol,
            "position_qty": str(signed),
            "entry_price": str(entry),
            "mark": str(mark),
            "unrealised_usdt": str(signed * (mark - entry)),
            "realised_usdt": str(self._ledger.fold.realised_pnl),
            "fees_usdt": str(self._ledger.fold.fees),
            "funding_usdt": str(self._ledger.fold.funding),
            "unswept_usdt": str(self.book.unswept(self._ledger.fold)),
            "equity_usdt": None if equity is None else str(equity),
            "funding_wallet_usdt": str(self.book.funding_wallet),
            "target_short_qty": None if self._stated is None else str(self._stated.target_short_qty),
            "target_version": self._target.version,
            "target_reason": "" if self._stated is None else self._stated.reason,
            "policy_short_qty": None if self._target.target_qty is None else str(self._target.target_qty),
            "override": None if (held := self._holding()) is None else held.model_dump(mode="json"),
            "loan": None if self.book.loan is None else self.book.loan.model_dump(mode="json"),
            "demand": None if self._demand is None else self._demand.model_dump(mode="json"),
            "spreads": self._spreads.snapshot(),
        }

    async def _take(self, message: AnyMessage) -> None:
        match message:
            case Tick() if message.symbol == self.symbol:
                if self._tick is None or message.ts_ms >= self._tick.ts_ms:
                    self._tick, self._reading.mark = message, message.mark
                    await self._tell_state()
            case FeedStale() if message.symbol == self.symbol:
                self._tick = self._reading.mark = None
            case HedgeDemand() if message.account == self.account:
                if self._demand is None or message.ts_ms >= self._demand.ts_ms:
                    self._demand = message
                    await self._decide(message)
                    await self._steer()
            case RealiseProfit() if message.account == self.account:
                await self.tell(self._router, message)
            case LoanTouched() if message.account == self.account:
                await self._reading.touched(message)
            case TargetOverridden() if message.account == self.account:
                self._override = newer(self._override, message)
                await self._steer()
            case SpreadRequested() if message.account == self.account:
                await self._spreads.requested(message)
            case SpreadStopped() if message.account == self.account:
                await self._spreads.stopped(message)
            case TradeReported():
                await self._spreads.reported(message)
            case _:
                pass

    # ------------------------------------------------------------ deciding

    async def _decide(self, demand: HedgeDemand) -> None:
        instrument = self._reading.instrument
        equity = self.book.equity(self._ledger.fold, self._mark(demand))
        if not self._recovered or instrument is None or equity is None or self._tick is None:
            return
        cap = cap_qty(demand, equity, self._tick.mark, self._policy)
        if demand.floor_qty - cap > dec(self._policy.target.dead_band) * demand.neutral_qty:
            await self._tell_shortfall(demand, cap)
        before = self._target
        after, decision = decide_target(
            before,
            Demand(floor_qty=demand.floor_qty, neutral_qty=demand.neutral_qty, level=demand.level, ts_ms=demand.ts_ms),
            position_qty=max(ZERO, -self.book.position(self._ledger.fold)[0]),
            cap_qty=cap,
            hedge_pct=self._hedge_pct(demand),
            qty_step=instrument.qty_step,
            policy=self._policy.target,
            now_ms=self.clock.now_ms(),
        )
        self._target = after
        if decision is not None:
            await self._decided(demand, decision, cap)
        elif self._stated is not None and self._stated.level is not demand.level:
            # The same target, but the router's budget of orders depends on the level.
            self._stated = self._stated.model_copy(update={"level": demand.level})
            await self._send_target()

    def _mark(self, demand: HedgeDemand) -> Decimal:
        return self._tick.mark if self._tick is not None else demand.price

    def _hedge_pct(self, demand: HedgeDemand) -> float | None:
        """The share between floor and cap by sentiment, None without a fresh and valid score."""
        if self._curve is None or self._score is None or self._tick is None:
            return None
        sizing, now_ms = self._policy.sizing, self.clock.now_ms()
        try:
            return hedge_share(self._score, self._asset, demand, self._tick, self._curve, sizing, now_ms)
        except InvalidInput:
            self.counters["score_invalid"] += 1
            return None

    async def _decided(self, demand: HedgeDemand, decision: TargetDecision, cap: Decimal) -> None:
        """The policy's decision becomes the target, unless a person holds it: then it is only kept on record."""
        told = self._set_target(decision.target_qty, decision.reason, f"demand:{self.account}:{demand.ts_ms}")
        payload: dict[str, Json] = {
            **told.model_dump(mode="json"),
            "floor_qty": str(demand.floor_qty),
            "cap_qty": str(cap),
            "neutral_qty": str(demand.neutral_qty),
            "price": str(demand.price),
            "lender_ltv": demand.lender_ltv,
            "net_ltv": demand.net_ltv,
            "shortfall_qty": str(decision.shortfall_qty),
        }
        if self._holding() is not None:
            self.counters["targets_withheld"] += 1
            self._reading.owe("target_withheld", f"target:{told.version}", payload)
            await self._reading.settle()
            return
        await self._state(told, payload)

    async def _state(self, told: SetTarget, payload: Mapping[str, Json]) -> None:
        self._stated = told
        self.counters["targets"] += 1
        self._reading.owe("target", f"target:{told.version}", payload)
        await self._reading.settle()
        await self._send_target()

    def _set_target(self, qty: Decimal, reason: str, cause: str) -> SetTarget:
        """With the present version of the policy's state."""
        return SetTarget(
            account=self.account,
            symbol=self.symbol,
            version=self._target.version,
            ts_ms=self.clock.now_ms(),
            target_short_qty=qty,
            level=self._demand.level if self._demand is not None else self._target.level,
            reason=reason,
            causation_id=cause,
            exact=cause.startswith(CAUSE),
        )

    # ------------------------------------------------------------ a person's word

    def _holding(self) -> TargetOverridden | None:
        override = self._override
        return override if override is not None and holds(override, self.clock.now_ms()) else None

    async def _steer(self) -> None:
        """Level-triggered: the target is what the override says while it holds, and the policy's when it has ended."""
        instrument, held = self._reading.instrument, self._holding()
        if not self._recovered or instrument is None:
            return
        stated = self._stated
        if held is not None:
            qty, cause = held_qty(held, instrument.qty_step), f"{CAUSE}{held.override_id}"
            if stated is None or stated.target_short_qty != qty or stated.causation_id != cause:
                await self._state_next(qty, reason_of(held), cause)
            if self._told_override != held.version and await self.tell(self._notifier, held):
                self._told_override = held.version
            await self._tell_below_floor(held, qty)
            return
        if self._override is not None and stated is not None and stated.causation_id.startswith(CAUSE):
            await self._end_override(self._override, stated)

    async def _end_override(self, override: TargetOverridden, stated: SetTarget) -> None:
        self._told_override = 0
        ended = override if override.target_short_qty is None else expired(override, self.clock.now_ms())
        if self._target.target_qty is not None:
            reason = f"an override has ended ({ended.who}: {ended.reason}); the policy decides again"
            await self._state_next(self._target.target_qty, reason, f"ended:{override.override_id}")
        else:  # the policy has never decided: what stands goes on until it does
            self._stated = stated.model_copy(update={"causation_id": f"ended:{override.override_id}"})
        await self.tell(self._notifier, ended)

    async def _state_next(self, qty: Decimal, reason: str, cause: str) -> None:
        self._target = replace(self._target, version=self._target.version + 1)
        told = self._set_target(qty, reason, cause)
        await self._state(told, told.model_dump(mode="json"))

    async def _tell_below_floor(self, held: TargetOverridden, qty: Decimal) -> None:
        demand, now_ms = self._demand, self.clock.now_ms()
        if demand is None or demand.floor_qty <= qty:
            return
        if self._below_ms is None or now_ms - self._below_ms >= SHORTFALL_AGAIN_MS:
            self._below_ms = now_ms
            await self.tell(self._notifier, override_below_floor(held, qty, demand))

    async def _send_target(self) -> None:
        """Only a target that is in the journal is stated."""
        if self._stated is not None and not self._reading.owing:
            await self.tell(self._router, self._stated, conflate=f"target:{self.account}")

    async def _tell_shortfall(self, demand: HedgeDemand, cap: Decimal) -> None:
        now_ms = self.clock.now_ms()
        if self._shortfall_ms is not None and now_ms - self._shortfall_ms < SHORTFALL_AGAIN_MS:
            return
        self._shortfall_ms = now_ms
        message = shortfall_told(demand, cap, self._mark(demand), self._asset, self._policy.sweep, now_ms)
        await self.tell(self._notifier, message)

    # ------------------------------------------------------------ what the account holds

    async def _on_private(self, event: PrivateEvent) -> None:
        if self.stopped or not self._replayed:
            return
        try:
            match event:
                case Execution() if event.symbol == self.symbol:
                    await self._reading.booked((event,))
                case WalletView():
                    self._reading.wallet_heard(event)
                case StreamLost() | StreamRestored():
                    self._reading.missed(wallet=True)
                case _:
                    pass
        except (VenueError, JournalUnavailable, StaleEpoch, HedgeLockError) as error:
            self._reading.missed()
            self._trouble(error)

    async def _tell_state(self) -> None:
        """At most once per tick."""
        tick = self._tick
        if tick is None or not self._recovered or tick.ts_ms == self._state_tick_ms:
            return
        target = self._target.target_qty or ZERO
        state = self.book.state(self._ledger.fold, tick, self._demand, target, self._policy.loan.max_age_ms)
        if state is not None:
            self._state_tick_ms = tick.ts_ms
            await self.tell(self._treasury, state, conflate=f"account:{self.account}")

    # ------------------------------------------------------------ beginning, and what time brings

    async def _recover(self) -> None:
        self._recovering = True
        try:
            if not self._replayed:
                await self._replay()
            await self._reading.begin(self._on_private)
        except (VenueError, JournalUnavailable, StaleEpoch, HedgeLockError, OSError) as error:
            self._tries += 1
            self._recover_ms = self.clock.now_ms() + backoff_ms(self._tries)
            self._trouble(error)
            return
        finally:
            self._recovering = False
        self._recovered = True
        self.mark_ready()
        await self._steer_or_trouble()
        await self._repeat()

    async def _replay(self) -> None:
        await self._stream.open()
        async for record in self._stream.read():
            payload = record.entry.payload
            if record.entry.kind in ("target", "target_withheld"):
                self._replay_target(record.entry.kind, payload)
            elif not self._spreads.replay(record) and self._ledger.replay(record) is None:
                self.book.replay(record.entry.kind, payload)
        async for record in self._stream.read("override", stream=CONTROL):
            for one in overrides_in(record.entry.payload):
                if one.account == self.account:
                    self._override = newer(self._override, one)
        self._replayed = True

    def _replay_target(self, kind: str, payload: Payload) -> None:
        told = SetTarget.model_validate({name: payload[name] for name in SetTarget.model_fields if name in payload})
        if kind == "target":
            self._stated = told
        by_person = told.causation_id.startswith(CAUSE)
        wanted = self._target.target_qty if by_person else told.target_short_qty
        self._target = TargetState(target_qty=wanted, version=told.version, level=told.level)

    async def _beat(self) -> None:
        if self.stopped or self._recovering:
            return
        now_ms = self.clock.now_ms()
        if not self._recovered:
            if now_ms >= self._recover_ms:
                await self._recover()
            return
        try:
            await self._settle()
            await self._steer()
            await self._read_score()
            await self._spreads.beat()
            await self._reading.read_due(now_ms)
            self.mark_ready()
        except (VenueError, JournalUnavailable, StaleEpoch, HedgeLockError) as error:
            self._trouble(error)
        if now_ms - self._repeated_ms >= REPEAT_MS:
            await self._repeat()

    async def _settle(self) -> None:
        owing = self._reading.owing
        await self._reading.settle()
        if owing:
            await self._send_target()

    async def _read_score(self) -> None:
        if self._curve is None:
            return
        try:
            self._score = await self._cache.get(f"sentiment:{self._asset}")
        except CacheUnavailable:
            # Sentiment only adds: without it the floor stands.
            self.counters["cache_unavailable"] += 1
            self._score = None

    async def _repeat(self) -> None:
        """Full states again, for receivers that were restarted or missed one."""
        self._repeated_ms = self.clock.now_ms()
        if self.book.loan is not None:
            await self.tell(self._risk, self.book.loan)
        if self.book.hedge is not None:
            await self.tell(self._risk, self.book.hedge)
        await self._send_target()

    # ------------------------------------------------------------ trouble

    async def _steer_or_trouble(self) -> None:
        try:
            await self._steer()
        except (JournalUnavailable, StaleEpoch) as error:
            self._trouble(error)

    def _trouble(self, error: Exception) -> None:
        match error:
            case StaleEpoch():
                self.mark_stopped("a newer instance writes this account's journal")
                self._cancel()
            case JournalUnavailable():
                self.counters["journal_unavailable"] += 1
                self._reading.missed()
                self.mark_degraded(f"journal: {error}")
            case VenueError() | OSError():
                self.counters["query_failed"] += 1
                self.mark_degraded(str(error))
            case _:
                self.fault(error)
