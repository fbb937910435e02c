"""Our own order book of one symbol, kept by the venue's documented rules.

A snapshot replaces everything; a delta must carry the next update id; size 0 deletes; update id 1 means that the
venue's service restarted, and replaces everything too. After a gap the book is invalid until the next snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.fields import BadData, Row
from hedgelock_actors.ports.market_data import BookView

_RESTARTED = 1


class BookGap(BadData):
    """The book can no longer be trusted until the next snapshot."""


class OrderBook:
    """Prices and quantities of both sides. `valid` is False before the first snapshot and after a gap."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.valid = False
        self.repeated = 0
        """Messages dropped because their update id was not newer."""
        self._update_id = 0
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}

    def apply(self, message: Row) -> BookView | None:
        """Take in one message of `orderbook.{depth}.{symbol}`; None when it says nothing new.

        Raises:
            BookGap: an update is missing, or a delta came before any snapshot.
            BadData: something in the message cannot be. The book is invalid afterwards.
        """
        try:
            return self._apply(message)
        except BadData:
            self.invalidate()
            raise

    def invalidate(self) -> None:
        """Forget everything until the next snapshot."""
        self.valid = False
        self._bids.clear()
        self._asks.clear()

    def _apply(self, message: Row) -> BookView | None:
        data = message.get("data")
        if not isinstance(data, dict) or data.get("s") != self.symbol:
            raise BadData("data", data, f"is not a book of {self.symbol}")
        update_id = f.integer(data, "u")
        if message.get("type") == "snapshot" or update_id == _RESTARTED:
            if self.valid and update_id == self._update_id:
                self.repeated += 1
                return None
            self.invalidate()
        elif not self._follows(update_id):
            return None
        _merge(self._bids, data.get("b"), "b")
        _merge(self._asks, data.get("a"), "a")
        self._update_id, self.valid = update_id, True
        return self._view(f.time_ms(message, "ts"))

    def _follows(self, update_id: int) -> bool:
        if not self.valid:
            raise BookGap("u", update_id, "is a delta without a snapshot before it")
        if update_id <= self._update_id:
            self.repeated += 1
            return False
        if update_id != self._update_id + 1:
            raise BookGap("u", update_id, f"does not follow {self._update_id}")
        return True

    def _view(self, ts_ms: int) -> BookView:
        bids = tuple(sorted(self._bids.items(), reverse=True))
        asks = tuple(sorted(self._asks.items()))
        if not bids or not asks:
            raise BadData("book", self.symbol, "has an empty side")
        if bids[0][0] >= asks[0][0]:
            raise BadData("book", self.symbol, f"is crossed: bid {bids[0][0]}, ask {asks[0][0]}")
        return BookView(symbol=self.symbol, ts_ms=ts_ms, update_id=self._update_id, bids=bids, asks=asks)


def _merge(levels: dict[Decimal, Decimal], changes: object, name: str) -> None:
    if not isinstance(changes, list):
        raise BadData(name, changes, "is not a list of levels")
    for change in changes:
        price, qty = _level(change, name)
        if qty == f.ZERO:
            levels.pop(price, None)  # deleting a level that has left our window already is no error
        else:
            levels[price] = qty


def _level(change: object, name: str) -> Sequence[Decimal]:
    if not isinstance(change, list) or len(change) != 2:
        raise BadData(name, change, "is not a price and a quantity")
    qty = f.decimal(change[1], f"{name} quantity")
    if not f.ZERO <= qty <= f.MAX_AMOUNT:
        raise BadData(f"{name} quantity", change[1], "is negative or absurdly large")
    return f.checked_price(change[0], f"{name} price"), qty
