"""The executions of one symbol: each journalled once under its exec id, and only then counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.codec import execution_from, execution_payload
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.position import Execution, PositionFold
from hedgelock_actors.ports.journal import Entry, Record
from hedgelock_actors.ports.venue import PositionView

OPENING = "Opening"
ADJUSTMENT = "Adjustment"
"""What the venue's position moved by and no execution explains."""
OVERLAP_MS = 60_000
KEPT_MS = 3_600_000
"""Executions are remembered one by one for so long: far longer than a backfill reaches back."""
FOLD_AT = 2_000
DAY_MS = 86_400_000


class ExecutionLedger:
    """A position as the sum of what happened since an opening position that was taken over once."""

    def __init__(self, stream: JournalStream, account: str, symbol: str, kind: str) -> None:
        self.kind = kind
        self.fold = PositionFold(symbol)
        self.opened_ms: int | None = None
        self._stream = stream
        self._account = account
        self._symbol = symbol
        self._last_ms = 0
        self._fold_at = FOLD_AT
        self._day = 0
        self._day_began = (ZERO, ZERO)

    def replay(self, record: Record) -> Execution | None:
        """Fold one journal record, when it is an execution or the opening."""
        if record.entry.kind not in (self.kind, "opening", "adjustment"):
            return None
        execution = execution_from(record.entry.payload)
        self._take(execution)
        return execution

    async def open_with(self, position: PositionView) -> None:
        """Take over what the account holds at the very first start, as of the venue's own time.

        Executions carry the venue's time, too. With the time of a clock of ours that is a little ahead the first fills
        would look as if they had happened before the opening. Raises JournalUnavailable, StaleEpoch.
        """
        opening = Execution(
            symbol=self._symbol,
            exec_id="opening",
            order_id="",
            order_link_id="",
            side=Side.BUY if position.signed_qty > ZERO else Side.SELL,
            qty=abs(position.signed_qty),
            price=position.entry_price,
            fee=ZERO,
            exec_type=OPENING,
            is_maker=False,
            ts_ms=position.ts_ms - 1,
            closed_size=ZERO,
            create_type="",
        )
        await self._stream.append(self._entry("opening", opening))
        self._take(opening)

    async def book(self, executions: Iterable[Execution]) -> Sequence[Execution]:
        """Journal what is new, then count it; returns the new ones in time order.

        Raises JournalUnavailable (nothing is counted then), StaleEpoch.
        """
        if self.opened_ms is None:
            return ()
        unseen = {one.exec_id: one for one in executions if self._is_new(one)}
        new = sorted(unseen.values(), key=lambda one: one.order_key)
        if new:
            await self._stream.append(*(self._entry(self.kind, one) for one in new))
            for one in new:
                self._take(one)
        return new

    async def adjust(self, signed_qty: Decimal, price: Decimal, now_ms: int) -> Execution:
        """Follow the venue's position where executions do not explain it; the difference is on record as such.

        Raises JournalUnavailable, StaleEpoch.
        """
        missing = signed_qty - self.fold.signed_qty
        adjustment = Execution(
            symbol=self._symbol,
            exec_id=f"adjustment-{now_ms}",
            order_id="",
            order_link_id="",
            side=Side.BUY if missing > ZERO else Side.SELL,
            qty=abs(missing),
            price=price,
            fee=ZERO,
            exec_type=ADJUSTMENT,
            is_maker=False,
            ts_ms=max(now_ms, self._last_ms),
            closed_size=ZERO,
            create_type="",
        )
        await self._stream.append(self._entry("adjustment", adjustment))
        self._take(adjustment)
        return adjustment

    def today(self, now_ms: int) -> tuple[Decimal, Decimal]:
        """Realised profit (fees and funding included) and fees paid since midnight UTC, USDT."""
        if now_ms // DAY_MS != self._day:
            return ZERO, ZERO
        realised, fees = self._day_began
        return self.fold.realised_pnl - realised, self.fold.fees - fees

    def since_ms(self) -> int:
        """From when on executions are to be asked for: the last known one, with an overlap."""
        opened = self.opened_ms or 0
        return max(opened, self._last_ms - OVERLAP_MS)

    def differs_from(self, signed_qty: Decimal) -> bool:
        """Whether the venue says another position than the fold."""
        return self.fold.signed_qty != signed_qty

    def _is_new(self, execution: Execution) -> bool:
        early = self.opened_ms is not None and execution.ts_ms < max(self.opened_ms, self.fold.settled_ms)
        return execution.symbol == self._symbol and execution.exec_id not in self.fold.keys and not early

    def _take(self, execution: Execution) -> None:
        if execution.exec_type == OPENING:
            self.opened_ms = execution.ts_ms + 1
        day = execution.ts_ms // DAY_MS
        if day > self._day:
            self._day, self._day_began = day, (self.fold.realised_pnl, self.fold.fees)
        self.fold = self.fold.apply(execution)
        self._last_ms = max(self._last_ms, execution.ts_ms)
        if len(self.fold.executions) >= self._fold_at:
            self.fold = self.fold.settle(self._last_ms - KEPT_MS)
            self._fold_at = len(self.fold.executions) + FOLD_AT

    def _entry(self, kind: str, execution: Execution) -> Entry:
        return Entry(
            kind=kind,
            key=execution.exec_id,
            ts_ms=execution.ts_ms,
            account=self._account,
            payload=execution_payload(execution),
        )
