"""The ticker of one symbol: a snapshot, then deltas that carry only what changed."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.fields import BadData, Row
from hedgelock_actors.ports.market_data import TickerView

_KEPT = ("lastPrice", "markPrice", "indexPrice", "fundingRate", "nextFundingTime", "turnover24h")


class Ticker:
    """Merges messages of `tickers.{symbol}`. `late` counts messages dropped because an older one came after a newer."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.late = 0
        self._known: dict[str, object] = {}
        self._ts_ms = 0

    def apply(self, message: Row) -> TickerView | None:
        """Take in one message; None when it is older than what is known.

        Raises:
            BadData: a delta before any snapshot, or a value that cannot be. Everything is
                forgotten until the next snapshot.
        """
        try:
            return self._apply(message)
        except BadData:
            self.invalidate()
            raise

    def invalidate(self) -> None:
        """Forget everything until the next snapshot."""
        self._known = {}

    def _apply(self, message: Row) -> TickerView | None:
        data, ts_ms = message.get("data"), f.time_ms(message, "ts")
        if not isinstance(data, dict) or data.get("symbol") != self.symbol:
            raise BadData("data", data, f"is not a ticker of {self.symbol}")
        snapshot = message.get("type") == "snapshot"
        if not snapshot and not self._known:
            raise BadData("type", message.get("type"), "is a delta without a snapshot before it")
        if ts_ms < self._ts_ms and not snapshot:
            self.late += 1
            return None
        changes = {field: data[field] for field in _KEPT if field in data}
        self._known = changes if snapshot else {**self._known, **changes}
        self._ts_ms = ts_ms
        return TickerView(
            symbol=self.symbol,
            ts_ms=ts_ms,
            last=f.price(self._known, "lastPrice"),
            mark=f.price(self._known, "markPrice"),
            index=f.price(self._known, "indexPrice"),
            funding_rate=_rate(self._known),
            next_funding_ms=f.integer(self._known, "nextFundingTime"),
            turnover_24h_usdt=f.amount_or_zero(self._known, "turnover24h"),
        )


def _rate(row: Row) -> Decimal:
    rate = f.number(row, "fundingRate")
    if abs(rate) > 1:
        raise BadData("fundingRate", rate, "is more than 100 % per interval")
    return rate
