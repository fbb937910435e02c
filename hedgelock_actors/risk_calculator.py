"""A shard of the loan book: each loan's level, and the hedge that each account's loans require at the present price."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.actor import Actor, JournalStream
from hedgelock_actors.codec import text
from hedgelock_actors.domain.errors import HedgeLockError
from hedgelock_actors.domain.hedge import hedge_credit, net_ltv, neutral_short, required_short
from hedgelock_actors.domain.loan import LevelState, RiskLevel, ltv, next_level, worst
from hedgelock_actors.domain.messages import (
    AnyMessage,
    FeedStale,
    HedgeChanged,
    HedgeDemand,
    LoanChanged,
    RiskStateChanged,
    Tick,
)
from hedgelock_actors.domain.money import ZERO, dec
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Journal, JournalUnavailable, StaleEpoch
from hedgelock_actors.ports.transport import Transport

QTY_PLACES = Decimal("0.00000001")
LTV_MAX = 1_000_000.0
"""Told instead of infinity, which neither a message nor a journal can carry: debt against nothing."""


@dataclass(slots=True)
class Book:
    """One account: its loans and its hedge."""

    account: str
    keeper: str
    loans: dict[str, LoanChanged] = field(default_factory=dict)
    hedge: HedgeChanged | None = None
    demand: HedgeDemand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanRisk:
    """One loan at one price."""

    loan: LoanChanged
    lender_ltv: float
    net_ltv: float
    floor: float
    neutral: float


class RiskCalculator(Actor):
    """See the module. `keepers` maps each account of this shard to the actor that keeps its position."""

    def __init__(
        self,
        name: str,
        *,
        journal: Journal,
        clock: Clock,
        transport: Transport,
        policy: Policy,
        keepers: Mapping[str, str],
        notifier: str,
    ) -> None:
        super().__init__(name, clock, transport)
        self._policy, self._notifier = policy, notifier
        self._stream = JournalStream(journal, name)
        self._books = {account: Book(account, keeper) for account, keeper in keepers.items()}
        self._ticks: dict[str, Tick] = {}
        self._levels: dict[str, LevelState] = {}
        self._owed: list[Entry] = []
        self._settling = asyncio.Lock()
        self._recovered = False
        self._cancel: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Take up the levels from our own journal, and loans and hedges from the keepers'."""
        await self._recover()
        self._cancel = self.clock.every(1.0, self._beat)

    async def stop(self) -> None:
        """Decide nothing any more."""
        self.mark_stopped()
        self._cancel()

    async def receive(self, message: AnyMessage) -> None:
        """Loans and hedges as they change, prices as they come."""
        if self.stopped:
            return
        try:
            await self._take(message)
        except HedgeLockError as error:
            # A loan that cannot be valued is a fact to show, not a reason to stop valuing the others.
            self.fault(error)

    def snapshot(self) -> Mapping[str, object]:
        """Loans with their levels, and the demand of each account."""
        return {
            "loans": [
                {**loan.model_dump(mode="json"), "level": self._level(loan).level.value}
                for book in self._books.values()
                for loan in book.loans.values()
            ],
            "demands": {
                book.account: book.demand.model_dump(mode="json") for book in self._books.values() if book.demand
            },
        }

    async def _take(self, message: AnyMessage) -> None:
        match message:
            case Tick():
                known = self._ticks.get(message.symbol)
                if known is None or message.ts_ms >= known.ts_ms:
                    self._ticks[message.symbol] = message
                    await self._decide(message.symbol)
            case FeedStale():
                self._ticks.pop(message.symbol, None)
            case LoanChanged() | HedgeChanged():
                if self._learn(message):
                    await self._decide(message.symbol, message.account)
            case _:
                pass

    def _learn(self, message: LoanChanged | HedgeChanged) -> bool:
        """Keep a full state if it is newer; True if something changed."""
        book = self._books.get(message.account)
        if book is None:
            return False
        if isinstance(message, HedgeChanged):
            if book.hedge is not None and message.version <= book.hedge.version:
                return False
            book.hedge = message
            return True
        known = book.loans.get(message.loan_id)
        if known is not None and message.version <= known.version:
            return False
        book.loans[message.loan_id] = message
        return True

    # ------------------------------------------------------------ deciding

    async def _decide(self, symbol: str, account: str | None = None) -> None:
        tick = self._ticks.get(symbol)
        if tick is None:
            return
        books = self._books.values() if account is None else (self._books[account],)
        for book in books:
            loans = [loan for loan in book.loans.values() if loan.symbol == symbol]
            if loans and book.hedge is not None:
                await self._decide_account(book, loans, book.hedge, tick)

    async def _decide_account(self, book: Book, loans: list[LoanChanged], hedge: HedgeChanged, tick: Tick) -> None:
        risks = account_risks(loans, hedge, tick, self._policy)
        changes = [change for risk in risks if (change := self._cross(risk, tick)) is not None]
        book.demand = self._demand(book, risks, tick)
        # Protection first; the record of the level is not an effect and may follow.
        await self.tell(book.keeper, book.demand, conflate=f"demand:{book.account}")
        for change in changes:
            await self._record(change)
            await self.tell(self._notifier, change)

    def _demand(self, book: Book, risks: list[LoanRisk], tick: Tick) -> HedgeDemand:
        return HedgeDemand(
            account=book.account,
            symbol=tick.symbol,
            ts_ms=tick.ts_ms,
            price=lender_price(tick),
            floor_qty=_qty(sum(risk.floor for risk in risks)),
            neutral_qty=_qty(sum(risk.neutral for risk in risks)),
            collateral_qty=sum((risk.loan.collateral for risk in risks), ZERO),
            debt=sum((risk.loan.debt for risk in risks), ZERO),
            level=worst([self._level(risk.loan).level for risk in risks]),
            lender_ltv=max(risk.lender_ltv for risk in risks),
            net_ltv=max(risk.net_ltv for risk in risks),
        )

    def _cross(self, risk: LoanRisk, tick: Tick) -> RiskStateChanged | None:
        before = self._level(risk.loan)
        after = next_level(before, risk.lender_ltv, tick.ts_ms, self._policy.levels)
        self._levels[_key(risk.loan)] = after
        if after.level is before.level:
            return None
        self.counters["level_changes"] += 1
        return RiskStateChanged(
            account=risk.loan.account,
            loan_id=risk.loan.loan_id,
            ts_ms=tick.ts_ms,
            previous=before.level,
            level=after.level,
            lender_ltv=risk.lender_ltv,
            net_ltv=risk.net_ltv,
            price=lender_price(tick),
            required_hedge=_qty(risk.floor),
        )

    def _level(self, loan: LoanChanged) -> LevelState:
        return self._levels.get(_key(loan), LevelState())

    # ------------------------------------------------------------ the journal

    async def _recover(self) -> None:
        try:
            await self._stream.open()
            async for record in self._stream.read("risk_state"):
                payload = record.entry.payload
                key = f"{record.entry.account}/{text(payload, 'loan_id')}"
                self._levels[key] = LevelState(RiskLevel(text(payload, "level")))
            for book in self._books.values():
                async for record in self._stream.read("loan", stream=book.keeper):
                    self._learn(LoanChanged.model_validate(record.entry.payload))
                async for record in self._stream.read("hedge", stream=book.keeper):
                    self._learn(HedgeChanged.model_validate(record.entry.payload))
        except JournalUnavailable as error:
            self.mark_degraded(f"journal: {error}")
            return
        self._recovered = True
        self.mark_ready()

    async def _record(self, change: RiskStateChanged) -> None:
        self._owed.append(
            Entry(
                kind="risk_state",
                key=f"risk_state:{change.account}:{change.loan_id}:{change.ts_ms}:{change.level.value}",
                ts_ms=change.ts_ms,
                account=change.account,
                payload=change.model_dump(mode="json"),
            )
        )
        await self._settle()

    async def _settle(self) -> None:
        # One at a time: prices and the beat both come here, and each takes off the list only what it wrote.
        async with self._settling:
            if self._owed:
                await self._write_owed()

    async def _write_owed(self) -> None:
        owed = self._owed[:]
        try:
            await self._stream.append(*owed)
        except JournalUnavailable as error:
            self.counters["journal_unavailable"] += 1
            self.mark_degraded(f"journal: {error}")
            return
        except StaleEpoch:
            self.mark_stopped("a newer instance writes this journal stream")
            return
        del self._owed[: len(owed)]
        self.mark_ready()

    async def _beat(self) -> None:
        if not self._recovered and not self.stopped:
            await self._recover()
        elif self._owed:
            await self._settle()


def account_risks(loans: list[LoanChanged], hedge: HedgeChanged, tick: Tick, policy: Policy) -> list[LoanRisk]:
    """Each loan's LTVs and required short. The hedge's credit h₀(E₀ − F) + S is shared in proportion to the debts."""
    mark = float(tick.mark)
    credit = hedge_credit(float(hedge.short_qty), float(hedge.entry_price), mark, float(hedge.unswept_profit))
    debts = sum(float(loan.debt) for loan in loans)
    return [_risk(loan, credit * float(loan.debt) / debts if debts else 0.0, tick, policy) for loan in loans]


def _risk(loan: LoanChanged, credit: float, tick: Tick, policy: Policy) -> LoanRisk:
    debt, collateral, price = float(loan.debt), float(loan.collateral), float(lender_price(tick))
    owed = debt - credit
    return LoanRisk(
        loan=loan,
        lender_ltv=min(LTV_MAX, ltv(debt, collateral, price, loan.haircut)),
        net_ltv=min(LTV_MAX, net_ltv(debt, credit, collateral, price, loan.haircut)),
        floor=required_short(owed, collateral, price, loan.haircut, policy.rungs),
        neutral=neutral_short(owed, price),
    )


def lender_price(tick: Tick) -> Decimal:
    """What the lender values collateral at: the lower of last and index."""
    return min(tick.last, tick.index)


def _qty(value: float) -> Decimal:
    return dec(value).quantize(QTY_PLACES)


def _key(loan: LoanChanged) -> str:
    return f"{loan.account}/{loan.loan_id}"
