"""What every execution strategy is told, and what it asks for.

A strategy carries out one goal: so much of one side, for one intent. It is a state machine without I/O, clock or
randomness: `on(event)` changes it and returns what is to be done. Whoever runs it performs the actions: has every order
approved, journals it, sends it, sets the timers on venue time, and tells what happened.

Three rules hold for all of them, so that losing a strategy at any point, or running it again, cannot hedge twice:

* With everything that may still fill counted as filled, it never asks for more than its goal.
* An order's id is a function of the intent and the attempt; an attempt is never used for another order.
* After `Done` nothing of it works on the venue, and what is left is said, never dropped: it stays in the gap between
  target and position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.domain.execution_policy import Mode as Mode
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import OrderRequest, OrderState, Side
from hedgelock_actors.domain.position import Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one intent is to achieve: `qty` of a side. A buy is reduce-only: it only ever shrinks the hedge."""

    account: str
    symbol: str
    intent_id: str
    side: Side
    qty: Decimal
    """What is left of the intent when the strategy begins."""
    level: RiskLevel
    decided_mid: Decimal
    """Mid of the book when the intent was decided: what slippage is measured against."""
    first_attempt: int = 0
    """One more than the highest attempt ever made for the intent; ids below it are never used again."""
    misses: int = 0
    """So many of them ended without filling wholly."""
    limit_price: Decimal | None = None
    """Never trade at a worse price than this; None: the limits' slippage cap bounds it."""
    reference_price: Decimal | None = None
    """Price of the fill that this one hedges: what breaking even is measured against."""
    must_fill: bool = True
    """It serves the target: when nothing within the slippage cap fills, a market order may pay more, bounded by the
    limits' price bands alone. A trade beside the target never pays more than the cap."""

    def __post_init__(self) -> None:
        if not self.qty.is_finite() or self.qty <= ZERO:
            raise InvalidInput("goal.qty", f"must be greater than 0, not {self.qty}")

    @property
    def reduce_only(self) -> bool:
        """Buying only ever shrinks the hedge."""
        return self.side is Side.BUY


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What does not change while a goal is carried out."""

    instrument: Instrument
    limits: Limits
    policy: ExecutionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The market as last seen. Depth within 1 % of the mid, USDT; turnover is the day's, 0 when nobody knows."""

    quote: Quote
    bid_depth_usdt: float
    ask_depth_usdt: float
    turnover_24h_usdt: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """How passive orders fared lately and how the market moves; all 0 when nothing is known yet."""

    markout_bps: float = 0.0
    """Mean of (fill − mid some seconds later) in our favour; below 0 we were picked off."""
    fills: int = 0
    """Passive fills that the mean rests on."""
    fill_rate: float = 1.0
    """Share of passive quantity that filled before it was given up, 0…1."""
    volatility_bps: float = 0.0
    """Standard deviation of the mid's changes over a minute."""


# ---------------------------------------------------------------- what happened


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin; exactly once, before everything else."""

    now_ms: int
    book: Book
    feedback: Feedback


@dataclass(frozen=True, slots=True)
class BookSeen:
    """A price that passed the feed's checks."""

    now_ms: int
    book: Book


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """What is now known of an order of this goal (also after each send, and repeatedly)."""

    now_ms: int
    order: OrderState


@dataclass(frozen=True, slots=True)
class FillSeen:
    """One execution of an order of this goal, told once. `OrderSeen` tells quantities; this tells price and maker."""

    now_ms: int
    execution: Execution


@dataclass(frozen=True, slots=True)
class Refused:
    """Our own limits stopped this order (or amendment): nothing was sent.

    Of an order that `OrderSeen` told of before, only an amendment can be refused: the order stays what it was. Another
    one is over for good, and its id is not used again.
    """

    now_ms: int
    order_link_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that was asked for is due."""

    now_ms: int
    name: str


@dataclass(frozen=True, slots=True)
class LevelChanged:
    """The loan book's risk level is another one now."""

    now_ms: int
    level: RiskLevel


@dataclass(frozen=True, slots=True)
class Stop:
    """End as soon as nothing works any more: the goal is not wanted any longer, or trading was halted."""

    now_ms: int
    why: str


Event = Begin | BookSeen | OrderSeen | FillSeen | Refused | TimerFired | LevelChanged | Stop


# ---------------------------------------------------------------- what it asks for


@dataclass(frozen=True, slots=True)
class Place:
    """Have this order approved and send it. `OrderSeen` or `Refused` follows."""

    request: OrderRequest


@dataclass(frozen=True, slots=True)
class Amend:
    """Move a resting order to another price (its quantity stays). `OrderSeen` or `Refused` follows.

    It may fail or come too late; what then holds is what the next `OrderSeen` says.
    """

    order_link_id: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the venue to cancel, again and again if need be, until `OrderSeen` says that the order is closed."""

    order_link_id: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Tell `TimerFired(name)` at this venue time; setting a name again replaces it."""

    name: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a goal. `filled_qty` is certain; `left_qty` did not fill and may not fill any more."""

    success: bool
    """All of it filled, or what is left is below what the venue takes, or so little that it may wait for the next
    goal (`limit_chase.enough`)."""
    filled_qty: Decimal
    left_qty: Decimal
    average_price: Decimal | None
    mode: Mode
    """The strategy that ended it: a passive one that turned aggressive says aggressive."""
    maker_qty: Decimal
    taker_qty: Decimal
    retries: int
    """Orders sent after the first."""
    error: str = ""
    """Why it ended without success; empty on success."""


@dataclass(frozen=True, slots=True)
class Done:
    """The end. Nothing of the goal works on the venue."""

    result: Result


Action = Place | Amend | Cancel | SetTimer | Done


class Strategy(Protocol):
    """One goal being carried out."""

    @property
    def goal(self) -> Goal:
        """What it carries out."""
        ...

    @property
    def mode(self) -> Mode:
        """How it works at present."""
        ...

    def on(self, event: Event) -> Sequence[Action]:
        """Take in what happened; returns what is to be done, in order. After `Done` it asks for nothing."""
        ...
