"""What the order router's worker takes in, one at a time; and which of it replaces what still waits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.messages import (
    AnyMessage,
    CancelTrade,
    FeedStale,
    ForeignActivityAcknowledged,
    HedgeTrade,
    RealiseProfit,
    SetTarget,
    Tick,
    TradingStateChanged,
)
from hedgelock_actors.domain.order import OrderView
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.venue import (
    Maintenance,
    PositionView,
    PrivateEvent,
    StreamLost,
    StreamRestored,
    WalletView,
)


@dataclass(frozen=True, slots=True)
class Recover:
    """Begin, or begin again what failed."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Time has passed, and what was due has been asked."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Something that was to be done at this time is due."""


@dataclass(frozen=True, slots=True)
class OrderSought:
    """The venue was asked about an order; None: it shows nothing, which is no evidence of absence."""

    link: str
    view: OrderView | None
    asked_ms: int


@dataclass(frozen=True, slots=True)
class OpenOrdersRead:
    """The venue's open orders by query, and ours that we thought unsettled when it was asked."""

    views: tuple[OrderView, ...]
    ours: frozenset[str]


@dataclass(frozen=True, slots=True)
class ExecutionsRead:
    """Executions by query."""

    executions: tuple[Execution, ...]


@dataclass(frozen=True, slots=True)
class PositionRead:
    """The venue's position by query, what our fold was when it was asked, and how many doubts there were by then."""

    position: PositionView
    fold_before: Decimal
    doubts: int


@dataclass(frozen=True, slots=True)
class InstrumentRead:
    """The venue's filters by query: they change now and then."""

    instrument: Instrument


@dataclass(frozen=True, slots=True)
class AccountRead:
    """The account's settings and money by query."""

    faults: tuple[str, ...]
    wallet: WalletView


@dataclass(frozen=True, slots=True)
class MaintenanceRead:
    """Announced and ongoing windows by query."""

    windows: tuple[Maintenance, ...]


OwnEvent = (
    Recover
    | Beat
    | Wake
    | OrderSought
    | OpenOrdersRead
    | ExecutionsRead
    | PositionRead
    | AccountRead
    | InstrumentRead
    | MaintenanceRead
    | StreamLost
    | StreamRestored
)
Heard = (
    Tick
    | FeedStale
    | SetTarget
    | RealiseProfit
    | HedgeTrade
    | CancelTrade
    | ForeignActivityAcknowledged
    | TradingStateChanged
    | OrderView
    | Execution
)
RouterEvent = Heard | OwnEvent


def event_of(heard: AnyMessage | PrivateEvent, account: str, symbol: str) -> tuple[RouterEvent, str | None] | None:
    """The event for the router of one account and symbol, with its conflation key; None when it is not for it."""
    match heard:
        case Tick() | FeedStale():
            return (heard, "price") if heard.symbol == symbol else None
        case SetTarget():
            return (heard, "target") if (heard.account, heard.symbol) == (account, symbol) else None
        case RealiseProfit() | HedgeTrade() | CancelTrade():
            return (heard, None) if (heard.account, heard.symbol) == (account, symbol) else None
        case ForeignActivityAcknowledged():
            return (heard, None) if heard.account == account else None
        case TradingStateChanged():
            return (heard, "trading")
        case OrderView() | Execution():
            return (heard, None) if heard.symbol == symbol else None
        case StreamLost() | StreamRestored():
            return (heard, None)
        case _:
            return None
