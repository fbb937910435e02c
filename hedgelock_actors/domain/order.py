"""An order's life: what is asked, what came back, and the one table of what may follow what.

Two kinds of evidence are folded, in any order of arrival:

* *outcomes* of our own requests (accepted, rejected, or nobody knows), and
* *views*, the venue's own word by stream or query, with *executions*.

A view always outweighs an outcome. Along each kind of evidence states only move forward in `TRANSITIONS`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from hedgelock_actors.domain.errors import InvalidInput, require
from hedgelock_actors.domain.money import ZERO


class Side(StrEnum):
    """SELL opens or grows the hedge, BUY shrinks it."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def sign(self) -> int:
        """+1 for BUY, −1 for SELL."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """Limit, or market (the venue turns it into an IOC limit at its own protection price)."""

    LIMIT = "Limit"
    MARKET = "Market"


class TimeInForce(StrEnum):
    """How long an order may rest."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"


class OrderStatus(StrEnum):
    """Where an order is. The first four rest on our requests' outcomes, the others on the venue's own word."""

    PENDING_SUBMIT = "PENDING_SUBMIT"
    """Journalled; the venue has nothing of it (never sent, or refused in a way that allows the same id again)."""
    UNRESOLVED = "UNRESOLVED"
    """Sent, and nobody knows. Counts as if it could fill."""
    SUBMITTED = "SUBMITTED"
    """Acknowledged, which is not acceptance."""
    REJECTED = "REJECTED"
    """The venue said no, or the order was proven never to have arrived."""
    UNTRIGGERED = "UNTRIGGERED"
    TRIGGERED = "TRIGGERED"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    DEACTIVATED = "DEACTIVATED"
    CANCELLED = "CANCELLED"
    """Closed; it may have fills."""
    FILLED = "FILLED"

    @property
    def terminal(self) -> bool:
        """Nothing more can fill."""
        return self in _TERMINAL

    @property
    def of_outcome(self) -> bool:
        """Rests on our request's outcome, not on the venue's word."""
        return self in _OF_OUTCOME


_S = OrderStatus
_TERMINAL = frozenset({_S.REJECTED, _S.DEACTIVATED, _S.CANCELLED, _S.FILLED})
_OF_OUTCOME = frozenset({_S.PENDING_SUBMIT, _S.UNRESOLVED, _S.SUBMITTED})

# Rule: everything that decides whether a state may follow another is here. A state that may not follow is late news
# and changes nothing. The relation is transitive and has no cycle within one kind of evidence, so any order of
# arrival ends in the same state. FILLED may follow CANCELLED: a cancel races a fill, and the fill wins.
_CLOSED = (_S.REJECTED, _S.DEACTIVATED, _S.CANCELLED, _S.FILLED)
_VIEWS = (_S.UNTRIGGERED, _S.TRIGGERED, _S.NEW, _S.PARTIALLY_FILLED, *_CLOSED)
TRANSITIONS = MappingProxyType(
    {
        _S.PENDING_SUBMIT: frozenset({_S.UNRESOLVED, _S.SUBMITTED, *_VIEWS}),
        _S.UNRESOLVED: frozenset({_S.SUBMITTED, *_VIEWS}),
        _S.SUBMITTED: frozenset(_VIEWS),
        _S.UNTRIGGERED: frozenset(_VIEWS[1:]),
        _S.TRIGGERED: frozenset(_VIEWS[2:]),
        _S.NEW: frozenset(_VIEWS[3:]),
        _S.PARTIALLY_FILLED: frozenset(_VIEWS[4:]),
        _S.REJECTED: frozenset({_S.DEACTIVATED, _S.CANCELLED, _S.FILLED}),
        _S.DEACTIVATED: frozenset({_S.CANCELLED, _S.FILLED}),
        _S.CANCELLED: frozenset({_S.FILLED}),
        _S.FILLED: frozenset[OrderStatus](),
    }
)


def advance(current: OrderStatus, heard: OrderStatus) -> OrderStatus:
    """The status after hearing another: `heard` when the table lets it follow, else unchanged."""
    return heard if heard in TRANSITIONS[current] else current


ORDER_LINK_ID_MAX = 36
_ID_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def order_link_id(intent_id: str, attempt: int) -> str:
    """The id under which the venue knows this attempt: 35 characters, a pure function of the logical event.

    The same attempt always has the same id, so sending it twice makes one order.

    Raises:
        InvalidInput: an empty intent or a negative attempt.
    """
    if not intent_id or attempt < 0:
        raise InvalidInput("intent_id/attempt", "an intent needs an id, and attempts count from 0")
    digest = hashlib.sha256(f"{intent_id}\x1f{attempt}".encode()).hexdigest()
    return f"hl-{digest[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as it would be sent. `attempt` counts from 0 within its intent."""

    account: str
    symbol: str
    side: Side
    qty: Decimal
    order_type: OrderType
    price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool
    order_link_id: str
    intent_id: str
    attempt: int

    def __post_init__(self) -> None:
        if not self.qty.is_finite() or self.qty <= ZERO:
            raise InvalidInput("order.qty", f"must be greater than 0, not {self.qty}")
        if (self.price is None) != (self.order_type is OrderType.MARKET):
            raise InvalidInput("order.price", "a limit order has a price, a market order has none")
        if self.price is not None and (not self.price.is_finite() or self.price <= ZERO):
            raise InvalidInput("order.price", f"must be greater than 0, not {self.price}")
        if not 0 < len(self.order_link_id) <= ORDER_LINK_ID_MAX or not _ID_ALPHABET.issuperset(self.order_link_id):
            raise InvalidInput("order.order_link_id", "1 to 36 characters of A-Z a-z 0-9 _ -")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendRequest:
    """Another price for an order of ours that rests. Its quantity never changes, so neither does the worst case."""

    account: str
    symbol: str
    side: Side
    order_link_id: str
    intent_id: str
    price: Decimal
    number: int
    """Counts the amendments of one order from 1."""

    def __post_init__(self) -> None:
        if not self.price.is_finite() or self.price <= ZERO:
            raise InvalidInput("amend.price", f"must be greater than 0, not {self.price}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """The venue's word about an order, by stream or query. `cum_value` and `cum_fee` in USDT."""

    symbol: str
    order_id: str
    order_link_id: str
    """Empty for orders that are not ours."""
    status: OrderStatus
    side: Side
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    cum_value: Decimal
    cum_fee: Decimal
    leaves_qty: Decimal
    reduce_only: bool
    reject_reason: str
    cancel_type: str
    create_type: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue took the request (which is not yet an order that rests or fills)."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The venue refused the request before any effect. `retry`: the same id may be sent again later."""

    code: str
    text: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the request had an effect."""

    cause: str


SubmitOutcome = Accepted | Rejected | Unknown
CancelOutcome = Accepted | Rejected | Unknown
AmendOutcome = Accepted | Rejected | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """What we know of one order of ours. Immutable: each `apply_*` returns the next state.

    All folds commute: the same evidence in any order gives the same state.
    """

    request: OrderRequest
    from_outcome: OrderStatus = OrderStatus.PENDING_SUBMIT
    """What our requests' outcomes say."""
    from_view: OrderStatus | None = None
    """What the venue says; outweighs the outcomes."""
    order_id: str = ""
    view: OrderView | None = None
    """The most advanced view."""
    cum_view_qty: Decimal = ZERO
    """The most that any view said was filled."""
    executions: frozenset[tuple[str, Decimal]] = frozenset()
    """(exec_id, qty) of fills seen one by one."""
    refusal: Rejected | None = None
    absent: str = ""
    """Why the order is held never to have arrived; empty when it is not."""

    def apply_outcome(self, outcome: SubmitOutcome) -> OrderState:
        """Fold the outcome of a send.

        A refusal that allows the same id again leaves the order pending. A final refusal after an unknown send
        settles nothing: the first send may still arrive. Whatever is neither an acceptance nor a refusal is unknown.
        """
        match outcome:
            case Accepted(order_id=order_id):
                return replace(self, from_outcome=advance(self.from_outcome, _S.SUBMITTED), order_id=order_id)
            case Rejected(retry=True):
                return self
            case Rejected():
                return replace(self, refusal=self._first_refusal(outcome))
        return replace(self, from_outcome=advance(self.from_outcome, _S.UNRESOLVED))

    def apply_view(self, view: OrderView) -> OrderState:
        """Fold the venue's word. Late and repeated views change nothing; quantities only grow.

        Raises:
            InvariantBroken: the view is of another order.
        """
        require(view.order_link_id == self.request.order_link_id, f"view of {view.order_link_id} folded into another")
        require(not view.status.of_outcome, f"{view.status} is not a word of the venue")
        newest = self.view is None or _view_key(view) > _view_key(self.view)
        return replace(
            self,
            from_view=view.status if self.from_view is None else advance(self.from_view, view.status),
            order_id=view.order_id or self.order_id,
            view=view if newest else self.view,
            cum_view_qty=max(self.cum_view_qty, view.cum_qty),
        )

    def apply_execution(self, exec_id: str, qty: Decimal) -> OrderState:
        """Fold one fill; a repeated `exec_id` changes nothing."""
        if any(known == exec_id for known, _ in self.executions):
            return self
        return replace(self, executions=self.executions | {(exec_id, qty)})

    def prove_absent(self, why: str) -> OrderState:
        """Hold the order never to have arrived: looked for, not found, and too late to arrive harmfully.

        "Not found" alone is not evidence. A view or a fill that comes after all outweighs it.
        """
        require(bool(why), "absence needs a reason")
        return self if self.absent else replace(self, absent=why)

    @property
    def status(self) -> OrderStatus:
        """The one status: the venue's word, else a proven absence, else what our requests' outcomes say."""
        if self.cum_qty > ZERO:
            filled = _S.FILLED if self.cum_qty >= self.request.qty else _S.PARTIALLY_FILLED
            return advance(self.from_view or _S.SUBMITTED, filled)
        if self.from_view is not None:
            return self.from_view
        if self.absent or (self.refusal is not None and self.from_outcome is _S.PENDING_SUBMIT):
            return _S.REJECTED
        return self.from_outcome

    @property
    def terminal(self) -> bool:
        """Nothing more can fill (fills that already happened may still be on their way to us)."""
        return self.status.terminal

    @property
    def executed_qty(self) -> Decimal:
        """Sum of the fills seen one by one."""
        return sum((qty for _, qty in self.executions), ZERO)

    @property
    def cum_qty(self) -> Decimal:
        """What is filled, by whichever source has heard more. Never falls."""
        return max(self.cum_view_qty, self.executed_qty)

    @property
    def worst_case_qty(self) -> Decimal:
        """What may still fill: 0 when terminal, else everything not yet filled."""
        return ZERO if self.terminal else max(ZERO, self.request.qty - self.cum_qty)

    @property
    def outstanding_qty(self) -> Decimal:
        """What this order may yet add to a position folded from executions.

        Includes fills that a view told of and whose executions have not come. A router that subtracts this (not the
        open quantity) from its gap neither hedges twice nor buys back, whichever of the two streams is late.
        """
        final = self.cum_qty if self.terminal else max(self.request.qty, self.cum_qty)
        return max(ZERO, final - self.executed_qty)

    def _first_refusal(self, refusal: Rejected) -> Rejected:
        return refusal if self.refusal is None else min(self.refusal, refusal, key=lambda r: (r.code, r.text))


def _view_key(view: OrderView) -> tuple[int, Decimal, int, str]:
    return (_VIEWS.index(view.status), view.cum_qty, view.ts_ms, view.order_id)
