"""What a strategy is told and what it asks for. A strategy is a value and a function of it: no clock, no venue.

    state, wishes = step(state, what_happened, settings)

Whoever runs it performs the wishes: it has every order approved, keeps the journal, sets the timers on venue time, and
tells what happened. A strategy never asks for more than what is left of its goal with everything that may still fill
counted as filled, so losing it or running it again cannot hedge twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import OrderRequest, OrderState, Side
from hedgelock_actors.domain.policy import ExecutionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What one intent is to achieve: `qty` of a side. A buy is reduce-only."""

    account: str
    symbol: str
    intent_id: str
    side: Side
    qty: Decimal
    first_attempt: int = 0
    """Attempts below this one were made before (after a restart); their ids are never used again."""

    def __post_init__(self) -> None:
        if not self.qty.is_finite() or self.qty <= ZERO:
            raise InvalidInput("goal.qty", f"must be greater than 0, not {self.qty}")

    @property
    def reduce_only(self) -> bool:
        """Buying only ever shrinks the hedge."""
        return self.side is Side.BUY


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What does not change while an intent is carried out."""

    instrument: Instrument
    policy: ExecutionPolicy
    max_slippage_bps: Decimal
    max_order_qty: Decimal
    max_quote_age_ms: int


class Timer(StrEnum):
    """What a timer is for. Setting it again replaces it."""

    ANSWER = "answer"
    """The order under way should have a final word by now."""
    PAUSE = "pause"
    """The next attempt may go out."""
    WINDOW = "window"
    """The time for the whole intent is over."""


# ---------------------------------------------------------------- what happened


@dataclass(frozen=True, slots=True)
class Start:
    """Begin."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class QuoteSeen:
    """A price that passed the feed's checks."""

    now_ms: int
    quote: Quote


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """What is now known of an order of this intent."""

    now_ms: int
    order: OrderState


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """Our own limits stopped the order: nothing was sent."""

    now_ms: int
    order_link_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that was asked for is due."""

    now_ms: int
    timer: Timer


Happening = Start | QuoteSeen | OrderSeen | OrderRefused | TimerFired


# ---------------------------------------------------------------- what it asks for


@dataclass(frozen=True, slots=True)
class Place:
    """Have this order approved and send it."""

    request: OrderRequest


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the venue to cancel, and look the order up: its final word is missing."""

    order_link_id: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Tell `TimerFired` at this venue time."""

    timer: Timer
    at_ms: int


class Ending(StrEnum):
    """Why a strategy ended. Whatever is left stays in the gap between target and position; it is never dropped."""

    FILLED = "filled"
    BELOW_MINIMUM = "what is left is below the venue's minimum"
    ATTEMPTS = "all attempts were made"
    WINDOW = "its time is over"


@dataclass(frozen=True, slots=True)
class Done:
    """The end. `filled_qty` is certain, `open_qty` may still fill, `left_qty` is what neither did nor may."""

    ending: Ending
    filled_qty: Decimal
    open_qty: Decimal
    left_qty: Decimal


Wish = Place | Cancel | SetTimer | Done
