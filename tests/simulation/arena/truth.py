"""The venue's own state of one account, read from the engine itself and not from what it tells its clients."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.engine import Exchange
from hedgelock_actors.simulator.order import Order
from hedgelock_actors.simulator.views import ExecutionView


class Truth:
    """Quantities in coin."""

    def __init__(self, exchange: Exchange, uid: str, symbol: str) -> None:
        self._account: Account = exchange._core.accounts[uid]
        self._symbol = symbol
        self._step = exchange._core.markets[symbol].instrument.qty_step

    @property
    def signed_qty(self) -> Decimal:
        """The position; below 0 is a short."""
        return self._account.positions[self._symbol].lots * self._step

    @property
    def executions(self) -> Sequence[ExecutionView]:
        """All of them, in the order in which they happened. Grows in place."""
        return self._account.executions

    def live(self) -> list[Order]:
        """Orders of ours (with an id of ours) that may still fill, in the book or on their way to it."""
        return [order for order in self._account.live.values() if order.link_id and order.symbol == self._symbol]

    def open_qty(self, order: Order) -> Decimal:
        """What of an order may still fill."""
        return order.left * self._step

    @property
    def fees(self) -> Decimal:
        """All that was paid."""
        return self._account.truth.fees

    @property
    def duplicate_orders(self) -> int:
        """Client ids that took effect twice."""
        return self._account.truth.duplicate_orders

    @property
    def liquidated(self) -> bool:
        """The venue took the short or the loan away."""
        return self._account.truth.short_liquidated or self._account.truth.loan_liquidated
