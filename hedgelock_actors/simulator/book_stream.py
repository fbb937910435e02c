"""Book views of one depth as the stream sends them: a snapshot, then deltas whose `u` grows by exactly one."""

from __future__ import annotations

from dataclasses import dataclass

from hedgelock_actors.simulator.market_views import BookView

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookMessage:
    """`type` is snapshot or delta; a size of "0" deletes the price."""

    type: str
    symbol: str
    ts_ms: int
    u: int
    seq: int
    bids: Rows
    asks: Rows


class BookStream:
    """One `orderbook.{depth}.{symbol}` stream, shared by all who subscribed. Depth 1 sends snapshots only."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._u = 1
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._last: BookView | None = None

    def update(self, book: BookView) -> BookMessage | None:
        """The message for this change: a snapshot at first, None when the window did not change."""
        bids, asks = book.bids[: self.depth], book.asks[: self.depth]
        new_bids, new_asks = dict(bids), dict(asks)
        first = self._last is None
        delta_bids, delta_asks = _difference(self._bids, new_bids), _difference(self._asks, new_asks)
        self._bids, self._asks, self._last = new_bids, new_asks, book
        if first:
            return self.snapshot()
        if not delta_bids and not delta_asks:
            return None
        self._u += 1
        if self.depth == 1:
            return self.snapshot()
        return BookMessage(
            type="delta",
            symbol=book.symbol,
            ts_ms=book.ts_ms,
            u=self._u,
            seq=book.seq,
            bids=delta_bids,
            asks=delta_asks,
        )

    def snapshot(self) -> BookMessage | None:
        """The window as it stands, with the `u` of the last message: what a new subscriber is sent first."""
        if self._last is None:
            return None
        book = self._last
        return BookMessage(
            type="snapshot",
            symbol=book.symbol,
            ts_ms=book.ts_ms,
            u=self._u,
            seq=book.seq,
            bids=book.bids[: self.depth],
            asks=book.asks[: self.depth],
        )


def _difference(old: dict[str, str], new: dict[str, str]) -> Rows:
    changed = [(price, size) for price, size in new.items() if old.get(price) != size]
    return tuple(changed + [(price, "0") for price in old if price not in new])
