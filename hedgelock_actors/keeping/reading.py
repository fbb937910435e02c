"""What a hedge account holds, read from the venue and the lender: journalled, compared, and told when it changed.

Owned by one position keeper. It reads what is due and decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from decimal import Decimal
from typing import Protocol

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.messages import AnyMessage, LoanTouched, OrderEvent
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.keeping.account import AccountBook, with_realised
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Json
from hedgelock_actors.ports.venue import Loans, PositionView, PrivateHandler, Venue, WalletView

WALLET_MS = 30_000
RECONCILE_MS = 30_000
MISMATCHES_TO_TELL = 3
"""Consecutive readings of the position that disagree with the executions before it is told."""
EMPTY_READS_TO_END = 3
"""Consecutive readings without any loan before it is believed that there is none: a hedge comes off by it."""


class Tell(Protocol):
    """Hands a message to another actor."""

    def __call__(self, to: str, message: AnyMessage, /) -> Awaitable[bool]: ...


class AccountReading:
    """See the module. Whatever it does may raise VenueError, JournalUnavailable or StaleEpoch."""

    def __init__(
        self,
        book: AccountBook,
        asset: str,
        *,
        venue: Venue,
        loans: Loans,
        stream: JournalStream,
        clock: Clock,
        loan_poll_ms: int,
        tell: Tell,
        risk: str,
        notifier: str,
    ) -> None:
        self.account, self.symbol = book.account, book.symbol
        self.book = book
        self.ledger = ExecutionLedger(stream, book.account, book.symbol, "booked")
        self.instrument: Instrument | None = None
        self.mark: Decimal | None = None
        """The last mark that is believed."""
        self._asset = asset
        self._venue, self._loans, self._stream, self._clock = venue, loans, stream, clock
        self._loan_poll_ms = loan_poll_ms
        self._tell, self._risk, self._notifier = tell, risk, notifier
        self._owed: list[Entry] = []
        self._subscribed = self._backfill = False
        self._wallet_due = True
        self._wallet_ms = self._loans_ms = self._compared_ms = 0
        self._mismatches = self._empty_reads = 0

    # ------------------------------------------------------------ at the beginning, and what time brings

    async def begin(self, handler: PrivateHandler) -> None:
        """Subscribe, take over what is there, and read everything once. May be called again when it failed."""
        if self.instrument is None:
            self.instrument = await self._venue.instrument(self.symbol)
        if not self._subscribed:
            await self._venue.start(("execution", "position", "wallet"), handler)
            self._subscribed = True
        if self.ledger.opened_ms is None:
            await self.ledger.open_with(await self._venue.position(self.symbol))
        await self.ledger.book(await self._venue.executions(self.symbol, self.ledger.since_ms()))
        await self._read_wallet()
        await self._read_loans()
        await self._tell_hedge()

    async def read_due(self, now_ms: int) -> None:
        """Query what is due: executions, position, wallet, loans."""
        compare = now_ms - self._compared_ms >= RECONCILE_MS or self._mismatches > 0
        if self._backfill or compare:
            self._backfill = False
            await self.booked(await self._venue.executions(self.symbol, self.ledger.since_ms()))
        if compare:
            before = self.ledger.fold.signed_qty
            await self._compare(await self._venue.position(self.symbol), before)
        if self._wallet_due or now_ms - self._wallet_ms >= WALLET_MS:
            await self._read_wallet()
        if self.book.touched is not None or now_ms - self._loans_ms >= self._loan_poll_ms:
            await self._read_loans()

    def missed(self, wallet: bool = False) -> None:
        """Executions may have been missed (or the wallet, too): ask for them when something is due next."""
        self._backfill = True
        self._wallet_due = self._wallet_due or wallet

    # ------------------------------------------------------------ what is heard

    async def booked(self, executions: Iterable[Execution]) -> None:
        """Journal and count what is new, and tell the hedge that it makes."""
        if await self.ledger.book(executions):
            self._wallet_due = True
            await self._tell_hedge()

    def wallet_heard(self, view: WalletView) -> None:
        """A wallet as pushed."""
        self.book.wallet = with_realised(view, self.ledger.fold)

    async def touched(self, message: LoanTouched) -> None:
        """Money moved: read everything again, and book a sweep once it shows in the debt."""
        if self.book.touch(message):
            payload: dict[str, Json] = {**message.model_dump(mode="json"), "debt_before": str(self.book.debt_before)}
            self.owe("sweep_told", f"sweep_told:{message.action_id}", payload)
            await self.settle()
        await self._read_wallet()
        await self._read_loans()

    # ------------------------------------------------------------ reading

    async def _read_wallet(self) -> None:
        self._wallet_due, self._wallet_ms = False, self._clock.now_ms()
        self.wallet_heard(await self._venue.wallet())
        self.book.funding_wallet = await self._loans.funding_wallet_usdt()

    async def _read_loans(self) -> None:
        self._loans_ms = self._clock.now_ms()
        views = [one for one in await self._loans.loans() if one.collateral_coin == self._asset]
        self._empty_reads = 0 if views else self._empty_reads + 1
        if not views and self._empty_reads < EMPTY_READS_TO_END:
            return
        now_ms = self._clock.now_ms()
        loan = self.book.loan_now(views[0], now_ms) if views else self.book.loan_ended(now_ms)
        if loan is not None:
            self.owe("loan", f"loan:{loan.version}", loan.model_dump(mode="json"))
            await self._tell(self._risk, loan)
        await self._book_sweep()
        await self.settle()

    async def _book_sweep(self) -> None:
        """Debt and profit change hands at once: telling one without the other would ask for a hedge too many."""
        shown = self.book.sweep_shows(self._clock.now_ms())
        if shown is None:
            return
        part = self.book.book_sweep(shown.action_id, shown.swept_usdt, self.ledger.fold, self.mark)
        payload: dict[str, Json] = {
            "action_id": shown.action_id,
            "swept": str(shown.swept_usdt),
            "from_profit": str(part),
        }
        self.owe("sweep_booked", f"sweep_booked:{shown.action_id}", payload)
        await self._tell_hedge()

    async def _tell_hedge(self) -> None:
        hedge = self.book.hedge_now(self.ledger.fold, self._clock.now_ms())
        if hedge is not None:
            self.owe("hedge", f"hedge:{hedge.version}", hedge.model_dump(mode="json"))
            await self._tell(self._risk, hedge)
            await self.settle()

    async def _compare(self, position: PositionView, before: Decimal) -> None:
        """The venue's position against the fold; inconclusive when fills came in while it was asked."""
        self._compared_ms = self._clock.now_ms()
        if before != self.ledger.fold.signed_qty:
            return
        if not self.ledger.differs_from(position.signed_qty):
            self._mismatches, self.book.venue_position = 0, None
            return
        self._mismatches += 1
        if self._mismatches < MISMATCHES_TO_TELL:
            return
        if self.book.venue_position is None:
            await self._tell_mismatch(position)
        # The venue wins for the quantity.
        self.book.venue_position = position
        await self._tell_hedge()

    async def _tell_mismatch(self, position: PositionView) -> None:
        message = OrderEvent(
            account=self.account,
            symbol=self.symbol,
            ts_ms=self._clock.now_ms(),
            event="unresolved",
            order_link_id="position",
            detail=f"position: the venue says {position.signed_qty}, executions add up to "
            f"{self.ledger.fold.signed_qty}",
        )
        await self._tell(self._notifier, message)

    # ------------------------------------------------------------ the journal

    @property
    def owing(self) -> bool:
        """Something that was decided or heard is not in the journal yet."""
        return bool(self._owed)

    def owe(self, kind: str, key: str, payload: Mapping[str, Json]) -> None:
        """To be written by the next `settle`."""
        self._owed.append(Entry(kind=kind, key=key, ts_ms=self._clock.now_ms(), account=self.account, payload=payload))

    async def settle(self) -> None:
        """Write what is owed, in order. Raises JournalUnavailable, StaleEpoch; what is owed stays owed then."""
        while self._owed:
            owed = tuple(self._owed)
            await self._stream.append(*owed)
            self._owed = [entry for entry in self._owed if entry not in owed]
