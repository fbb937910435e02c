"""A position folded from executions: any order of arrival, any repetition, one result."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from hedgelock_actors.domain.errors import InvalidInput, require
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Side

FUNDING = "Funding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill or funding payment as the venue reports it. `fee` > 0 is paid by us, < 0 received (also for funding)."""

    symbol: str
    exec_id: str
    order_id: str
    order_link_id: str
    """Empty for what was not ordered by us (funding, liquidation, ADL, a person's trade)."""
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    exec_type: str
    """Trade, Funding, BustTrade, AdlTrade, Settle, …"""
    is_maker: bool
    ts_ms: int
    closed_size: Decimal
    create_type: str

    @property
    def is_funding(self) -> bool:
        """A funding payment moves cash, not the position."""
        return self.exec_type == FUNDING

    @property
    def key(self) -> tuple[str, str]:
        """What dedups it: ids are unique with the symbol only."""
        return (self.symbol, self.exec_id)

    @property
    def order_key(self) -> tuple[int, str, str]:
        """Time, then ids, because executions of one millisecond come in any order."""
        return (self.ts_ms, self.exec_id, self.order_id)


@dataclass(frozen=True, slots=True)
class Average:
    """Average-price state: signed quantity (short < 0), its cost in USDT at the average entry, and sums so far."""

    signed_qty: Decimal = ZERO
    cost: Decimal = ZERO
    """Σ signed qty × entry of the open part; cost / signed_qty is the entry price."""
    gross_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        """Average entry of the open part; 0 when flat."""
        return self.cost / self.signed_qty if self.signed_qty else ZERO

    def step(self, execution: Execution) -> Average:
        """Fold one execution, in time order."""
        if execution.is_funding:
            return replace(self, funding=self.funding - execution.fee)
        moved = execution.side.sign * execution.qty
        closing = min(abs(self.signed_qty), execution.qty) if self.signed_qty * moved < ZERO else ZERO
        entry = self.entry_price
        kept = self.signed_qty + execution.side.sign * closing
        opened = moved - execution.side.sign * closing
        return Average(
            signed_qty=kept + opened,
            cost=(kept * entry if closing else self.cost) + opened * execution.price,
            gross_pnl=self.gross_pnl - execution.side.sign * closing * (execution.price - entry),
            fees=self.fees + execution.fee,
            funding=self.funding,
        )


@dataclass(frozen=True, slots=True)
class PositionFold:
    """All executions of one symbol in time order, with their fold. Immutable.

    Old executions may be settled: their sum stays, they themselves are forgotten.
    """

    symbol: str
    executions: tuple[Execution, ...] = ()
    """Those that are not settled."""
    keys: frozenset[str] = frozenset()
    state: Average = Average()
    settled: Average = Average()
    settled_ms: int = 0
    """Executions before this time are settled: one that comes with such a time must not be applied any more."""

    def apply(self, execution: Execution) -> PositionFold:
        """The fold with one more execution; a repeated one changes nothing.

        Raises:
            InvariantBroken: an execution of another symbol.
            InvalidInput: a negative quantity.
        """
        return self.apply_all((execution,))

    def apply_all(self, executions: Iterable[Execution]) -> PositionFold:
        """As `apply`, for many; the late ones cost one re-fold together, not one each."""
        ordered, keys, state, late = list(self.executions), set(self.keys), self.state, False
        for execution in executions:
            require(execution.symbol == self.symbol, f"{execution.symbol} folded into {self.symbol}")
            if execution.qty < ZERO:
                raise InvalidInput("execution.qty", f"must be 0 or more, not {execution.qty}")
            if execution.exec_id in keys:
                continue
            keys.add(execution.exec_id)
            late = late or (bool(ordered) and execution.order_key < ordered[-1].order_key)
            if late:
                bisect.insort(ordered, execution, key=lambda known: known.order_key)
            else:
                ordered.append(execution)
                state = state.step(execution)
        if len(keys) == len(self.keys):
            return self
        folded = _fold(ordered, self.settled) if late else state
        return replace(self, executions=tuple(ordered), keys=frozenset(keys), state=folded)

    def settle(self, before_ms: int) -> PositionFold:
        """Forget the executions before a time, keeping their sum; memory then holds only what came after."""
        old = tuple(one for one in self.executions if one.ts_ms < before_ms)
        if not old:
            return self
        kept = self.executions[len(old) :]
        keys = frozenset(one.exec_id for one in kept)
        return replace(self, executions=kept, keys=keys, settled=_fold(old, self.settled), settled_ms=before_ms)

    @property
    def signed_qty(self) -> Decimal:
        """Units of the coin; a short is negative."""
        return self.state.signed_qty

    @property
    def short_qty(self) -> Decimal:
        """h ≥ 0."""
        return max(ZERO, -self.state.signed_qty)

    @property
    def entry_price(self) -> Decimal:
        """Average entry of the open part; 0 when flat."""
        return self.state.entry_price

    @property
    def realised_pnl(self) -> Decimal:
        """Net, USDT: Σ closed q·(entry − exit) for a short, less fees, plus funding received."""
        return self.state.gross_pnl - self.state.fees + self.state.funding

    @property
    def gross_pnl(self) -> Decimal:
        """Σ closed q·(entry − exit) for a short, before fees and funding, USDT."""
        return self.state.gross_pnl

    @property
    def fees(self) -> Decimal:
        """Trading fees paid, USDT (negative: rebates outweigh)."""
        return self.state.fees

    @property
    def funding(self) -> Decimal:
        """Funding received, USDT (negative: paid)."""
        return self.state.funding

    def unrealised(self, mark: Decimal) -> Decimal:
        """Profit of the open part at a mark, USDT."""
        return self.signed_qty * (mark - self.entry_price)


def _fold(ordered: Iterable[Execution], state: Average) -> Average:
    for execution in ordered:
        state = state.step(execution)
    return state
