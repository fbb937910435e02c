"""What the simulated exchange takes and gives, in one import: commands, events, views, specification, `ExchangeApi`.

Everything is a value. Amounts are Decimal (quantities in base coin, prices and money in USDT unless a coin is named),
times are venue time in integer milliseconds, ratios are ratios (0.45). Strings that name a state use the venue's own
spelling ("Buy", "PartiallyFilled", "CancelByUser"), so that a server only has to lay the fields out.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from hedgelock_actors.simulator.account import AccountSettings
from hedgelock_actors.simulator.commands import (
    Ack,
    AckItem,
    AdjustLtv,
    AmendBatch,
    AmendOrder,
    Borrow,
    CancelAll,
    CancelBatch,
    CancelOrder,
    Command,
    PlaceBatch,
    PlaceOrder,
    Repay,
    RepayCollateral,
    SetLeverage,
    SwitchMode,
    Transfer,
)
from hedgelock_actors.simulator.events import (
    BookChanged,
    Event,
    Execution,
    KlineChanged,
    Liquidation,
    LoanEvent,
    OrderUpdate,
    Payload,
    PositionUpdate,
    PriceLimit,
    PublicTrades,
    TickerChanged,
    WalletUpdate,
)
from hedgelock_actors.simulator.interventions import Interventions
from hedgelock_actors.simulator.market_views import (
    BookView,
    FundingRecord,
    KlineView,
    TickerView,
    TradeView,
)
from hedgelock_actors.simulator.spec import (
    AccountSpec,
    BookShape,
    CollateralTier,
    ExchangeSpec,
    Faults,
    FundingSchedule,
    InitialLoan,
    Instrument,
    Latency,
    LoanTerms,
    PricePath,
    PriceTick,
    RiskTier,
)
from hedgelock_actors.simulator.views import (
    AdjustRecord,
    BorrowRecord,
    ClosedPnlRecord,
    CoinBalance,
    CoinTransferable,
    CollateralView,
    DebtView,
    ExecutionView,
    LoanPosition,
    OrderView,
    PositionView,
    RepayRecord,
    TransactionRecord,
    TransferRecord,
    WalletView,
)
from hedgelock_actors.simulator.words import (
    ZERO,
    OrderType,
    Side,
    TimeInForce,
)

__all__ = [
    "ZERO",
    "AccountSpec",
    "Ack",
    "AckItem",
    "AdjustLtv",
    "AdjustRecord",
    "AmendBatch",
    "AmendOrder",
    "BookChanged",
    "BookShape",
    "BookView",
    "Borrow",
    "BorrowRecord",
    "CancelAll",
    "CancelBatch",
    "CancelOrder",
    "ClosedPnlRecord",
    "CoinBalance",
    "CoinTransferable",
    "CollateralTier",
    "CollateralView",
    "Command",
    "DebtView",
    "Event",
    "ExchangeApi",
    "ExchangeSpec",
    "Execution",
    "ExecutionView",
    "Faults",
    "FundingRecord",
    "FundingSchedule",
    "InitialLoan",
    "Instrument",
    "KlineChanged",
    "KlineView",
    "Latency",
    "Liquidation",
    "LoanEvent",
    "LoanPosition",
    "LoanTerms",
    "OrderType",
    "OrderUpdate",
    "OrderView",
    "Payload",
    "PlaceBatch",
    "PlaceOrder",
    "PositionUpdate",
    "PositionView",
    "PriceLimit",
    "PricePath",
    "PriceTick",
    "PublicTrades",
    "Repay",
    "RepayCollateral",
    "RepayRecord",
    "RiskTier",
    "SetLeverage",
    "Side",
    "SwitchMode",
    "TickerChanged",
    "TickerView",
    "TimeInForce",
    "TradeView",
    "TransactionRecord",
    "Transfer",
    "TransferRecord",
    "WalletUpdate",
    "WalletView",
]


class ExchangeApi(Protocol):
    """The exchange as the server sees it. The implementation is `engine.Exchange(spec, price_paths, funding, seed)`.

    Time only moves by `advance` (and by `request`, to its `at_ms`; an earlier one counts as now). A request at t first
    processes what is due up to t, and the events of that are returned by the next `advance`. Queries read the state at
    `now_ms`.
    """

    spec: ExchangeSpec
    interventions: Interventions

    @property
    def faults(self) -> Faults:
        """Switches of a rehearsal: flip the values of the object."""
        ...

    @property
    def now_ms(self) -> int:
        """Venue time."""
        ...

    @property
    def start_ms(self) -> int:
        """Venue time of the first tick, which has been taken when the constructor returns: there is always a price."""
        ...

    @property
    def ticks(self) -> int:
        """Market steps taken so far (all symbols)."""
        ...

    def request(self, uid: str, command: Command, at_ms: int) -> Ack:
        """Check `command` as the venue does at once and schedule its effect. Raises KeyError for an unknown uid."""
        ...

    def next_internal_ms(self) -> int | None:
        """Time of the next thing the venue does by itself: arrivals after latency, replies, pushes."""
        ...

    def next_market_ms(self) -> int | None:
        """Time of the next price tick or scheduled market event (funding, interest); None when all paths have ended."""
        ...

    def advance(self, to_ms: int) -> list[Event]:
        """Process everything due up to and including `to_ms` in time order and return the events in order."""
        ...

    def open_orders(self, uid: str, symbol: str | None = None) -> list[OrderView]:
        """Live orders, newest first."""
        ...

    def find_order(
        self, uid: str, symbol: str | None = None, order_id: str = "", order_link_id: str = ""
    ) -> OrderView | None:
        """An order in any state, by id (wins) or link id; None if the venue does not show it (yet or any more)."""
        ...

    def order_history(self, uid: str, symbol: str | None = None) -> list[OrderView]:
        """Closed orders within retention, newest first."""
        ...

    def executions(
        self, uid: str, symbol: str | None = None, order_id: str = "", order_link_id: str = ""
    ) -> list[ExecutionView]:
        """Executions, newest first."""
        ...

    def settings(self, uid: str) -> AccountSettings:
        """How the account is set up."""
        ...

    def position(self, uid: str, symbol: str) -> PositionView:
        """The position, flat or not."""
        ...

    def closed_pnl(self, uid: str, symbol: str | None = None) -> list[ClosedPnlRecord]:
        """Closed PnL, newest first."""
        ...

    def wallet(self, uid: str) -> WalletView:
        """The unified account."""
        ...

    def balances(self, uid: str, account: str) -> list[CoinTransferable]:
        """All coins of "UNIFIED" or "FUND"."""
        ...

    def transferable(self, uid: str, account: str, coin: str) -> CoinTransferable:
        """One coin of a wallet, zero when absent."""
        ...

    def transfers(self, uid: str) -> list[TransferRecord]:
        """Transfers, newest first."""
        ...

    def transactions(self, uid: str) -> list[TransactionRecord]:
        """Transaction log of the unified account, newest first."""
        ...

    def loan(self, uid: str) -> LoanPosition:
        """The loan as the lender sees it now."""
        ...

    def borrow_history(self, uid: str) -> list[BorrowRecord]:
        """Newest first."""
        ...

    def repay_history(self, uid: str) -> list[RepayRecord]:
        """Newest first."""
        ...

    def adjust_history(self, uid: str) -> list[AdjustRecord]:
        """Newest first."""
        ...

    def max_loan(self, uid: str, currency: str, collateral: tuple[tuple[str, Decimal], ...] = ()) -> Decimal:
        """What may still be borrowed at the initial LTV against the pledged and the named extra collateral."""
        ...

    def max_collateral_reduction(self, uid: str, currency: str) -> Decimal:
        """What may be taken back now."""
        ...

    def collateral_tiers(self) -> Mapping[str, tuple[CollateralTier, ...]]:
        """Loan collateral ratios by coin."""
        ...

    def ticker(self, symbol: str) -> TickerView:
        """The ticker now."""
        ...

    def book(self, symbol: str) -> BookView:
        """The book now, with our resting orders in it."""
        ...

    def price_limit(self, symbol: str) -> PriceLimit:
        """Highest buy and lowest sell price now."""
        ...

    def klines(
        self, symbol: str, interval: str, start_ms: int | None = None, end_ms: int | None = None, limit: int = 200
    ) -> list[KlineView]:
        """Bars, newest first. Intervals: 1 3 5 15 30 60 120 240 360 720 D."""
        ...

    def trades(self, symbol: str, limit: int = 500) -> list[TradeView]:
        """Recent public trades, newest first."""
        ...

    def funding_history(self, symbol: str) -> list[FundingRecord]:
        """Settled rates, newest first."""
        ...

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments."""
        ...

    def risk_tiers(self, symbol: str) -> tuple[RiskTier, ...]:
        """Risk-limit tiers, lowest first."""
        ...

    def report(self, uid: str) -> dict[str, object]:
        """The venue's own truth about one account (see `truth.py`); JSON-ready (numbers are float or int)."""
        ...
