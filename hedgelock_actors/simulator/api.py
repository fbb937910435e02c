"""What the simulated exchange takes and gives: commands, acknowledgements, events, views and the `ExchangeApi` protocol.

Everything here is a value. Amounts are Decimal (quantities in base coin, prices and money in USDT unless a coin is named),
times are venue time in integer milliseconds, ratios are ratios (0.45). Strings that name a state use the venue's own
spelling ("Buy", "PartiallyFilled", "CancelByUser"), so that a server only has to lay the fields out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

Side = Literal["Buy", "Sell"]
OrderType = Literal["Market", "Limit"]
TimeInForce = Literal["GTC", "IOC", "FOK", "PostOnly"]
Wallet = Literal["UNIFIED", "FUND"]
ZERO = Decimal(0)

# --------------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """`order/create` for a linear perpetual. `price` is required for Limit; `order_link_id` "" means none."""

    symbol: str
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = "GTC"
    reduce_only: bool = False
    close_on_trigger: bool = False
    order_link_id: str = ""
    position_idx: int = 0
    trigger_price: Decimal | None = None
    trigger_direction: int = 0
    trigger_by: str = ""
    slippage_tolerance_type: str = ""
    slippage_tolerance: Decimal | None = None
    smp_type: str = ""
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOrder:
    """`order/amend`: the order is named by `order_id` (wins) or `order_link_id`; None leaves a value as it is."""

    symbol: str
    order_id: str = ""
    order_link_id: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """`order/cancel`."""

    symbol: str
    order_id: str = ""
    order_link_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAll:
    """`order/cancel-all`: of one symbol, or of all (`symbol` None). `cancel_type` is what the pushes will say."""

    symbol: str | None = None
    cancel_type: str = "CancelByUser"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceBatch:
    """`order/create-batch`: each order stands alone; codes per order in `Ack.items`."""

    orders: tuple[PlaceOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendBatch:
    """`order/amend-batch`."""

    orders: tuple[AmendOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelBatch:
    """`order/cancel-batch`."""

    orders: tuple[CancelOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLeverage:
    """`position/set-leverage`."""

    symbol: str
    buy_leverage: Decimal
    sell_leverage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchMode:
    """`position/switch-mode`: 0 one-way (the only one this exchange has), 3 hedge."""

    mode: int
    symbol: str = ""
    coin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """`asset/transfer/inter-transfer` between the accounts of one uid."""

    transfer_id: str
    coin: str
    amount: Decimal
    from_account: str
    to_account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrow:
    """`crypto-loan-flexible/borrow`: proceeds go to FUND, collateral comes from FUND."""

    loan_currency: str
    loan_amount: Decimal
    collateral: tuple[tuple[str, Decimal], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repay:
    """`crypto-loan-flexible/repay` from FUND, interest first."""

    loan_currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RepayCollateral:
    """`crypto-loan-flexible/repay-collateral`: `amount` of debt is repaid by selling pledged collateral."""

    loan_currency: str
    collateral_coin: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustLtv:
    """`crypto-loan-common/adjust-ltv`: direction "0" adds collateral from FUND, "1" takes it back to FUND."""

    currency: str
    amount: Decimal
    direction: str


Command = (
    PlaceOrder
    | AmendOrder
    | CancelOrder
    | CancelAll
    | PlaceBatch
    | AmendBatch
    | CancelBatch
    | SetLeverage
    | SwitchMode
    | Transfer
    | Borrow
    | Repay
    | RepayCollateral
    | AdjustLtv
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AckItem:
    """One order of a batch or of a cancel-all; `created_ms` only for created ones."""

    ret_code: int
    ret_msg: str
    symbol: str
    order_id: str = ""
    order_link_id: str = ""
    created_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The synchronous answer to a command. `result` has the venue's own keys (orderId, orderLinkId, transferId, status,
    adjustId, repayId). `reply_ms` is the venue time at which the answer leaves the exchange; the effect may be earlier or later.
    """

    ret_code: int
    ret_msg: str
    reply_ms: int
    result: Mapping[str, str | int] = field(default_factory=dict)
    items: tuple[AckItem, ...] = ()


# --------------------------------------------------------------------------------------------------- views


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order as pushed on `order` and returned by realtime and history. `price` of a Market order is its protection limit."""

    uid: str
    symbol: str
    order_id: str
    order_link_id: str
    side: Side
    order_type: OrderType
    time_in_force: str
    price: Decimal
    qty: Decimal
    leaves_qty: Decimal
    leaves_value: Decimal
    cum_exec_qty: Decimal
    cum_exec_value: Decimal
    cum_exec_fee: Decimal
    avg_price: Decimal | None
    order_status: str
    cancel_type: str
    reject_reason: str
    create_type: str
    reduce_only: bool
    close_on_trigger: bool
    trigger_price: Decimal | None
    trigger_direction: int
    trigger_by: str
    stop_order_type: str
    smp_type: str
    last_price_on_created: Decimal
    closed_pnl: Decimal
    created_ms: int
    updated_ms: int
    slippage_tolerance_type: str = ""
    slippage_tolerance: Decimal | None = None

    @property
    def open(self) -> bool:
        """True while the order can still trade."""
        return self.order_status in ("New", "PartiallyFilled", "Untriggered")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionView:
    """An execution. `exec_type` Trade, Funding, BustTrade. `exec_fee` > 0 was paid (also for Funding)."""

    uid: str
    symbol: str
    exec_id: str
    exec_type: str
    order_id: str
    order_link_id: str
    side: Side
    order_type: str
    order_price: Decimal
    order_qty: Decimal
    leaves_qty: Decimal
    exec_price: Decimal
    exec_qty: Decimal
    exec_value: Decimal
    exec_fee: Decimal
    fee_rate: Decimal
    fee_currency: str
    is_maker: bool
    exec_pnl: Decimal
    closed_size: Decimal
    mark_price: Decimal
    index_price: Decimal
    create_type: str
    exec_ms: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """A one-way position. `side` "" and size 0 when flat. `liq_price` None when out of bounds."""

    uid: str
    symbol: str
    side: str
    size: Decimal
    avg_price: Decimal
    position_value: Decimal
    leverage: Decimal
    mark_price: Decimal
    liq_price: Decimal | None
    bust_price: Decimal | None
    break_even_price: Decimal | None
    position_im: Decimal
    position_mm: Decimal
    unrealised_pnl: Decimal
    cur_realised_pnl: Decimal
    cum_realised_pnl: Decimal
    position_status: str
    risk_id: int
    risk_limit_value: Decimal
    created_ms: int
    updated_ms: int
    open_ms: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinBalance:
    """One coin of the unified account. `usd_value` before the collateral ratio."""

    coin: str
    equity: Decimal
    usd_value: Decimal
    wallet_balance: Decimal
    locked: Decimal
    borrow_amount: Decimal
    accrued_interest: Decimal
    total_order_im: Decimal
    total_position_im: Decimal
    total_position_mm: Decimal
    unrealised_pnl: Decimal
    cum_realised_pnl: Decimal
    margin_collateral: bool
    collateral_switch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """The unified account in USD. Margin rates are ratios; 0 when there is no margin balance and no margin in use."""

    uid: str
    account_im_rate: Decimal
    account_mm_rate: Decimal
    total_equity: Decimal
    total_wallet_balance: Decimal
    total_margin_balance: Decimal
    total_available_balance: Decimal
    total_perp_upl: Decimal
    total_initial_margin: Decimal
    total_maintenance_margin: Decimal
    coins: tuple[CoinBalance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinTransferable:
    """A coin of one wallet: balance, and what may leave it now (equal in FUND; the margin rule in UNIFIED)."""

    coin: str
    wallet_balance: Decimal
    transfer_balance: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DebtView:
    """What is owed in one currency (flexible): `total` = `principal` + `interest`."""

    currency: str
    total: Decimal
    principal: Decimal
    interest: Decimal
    total_usd: Decimal
    hourly_rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralView:
    """One pledged coin; `amount_usd` is after the tiered ratio."""

    currency: str
    amount: Decimal
    amount_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanPosition:
    """The pooled crypto loan of one uid. `ltv` None when there is debt without collateral value; 0 without debt.
    `status` is ours, for reports and tests: "healthy", "margin_call", "liquidated".
    """

    uid: str
    debts: tuple[DebtView, ...]
    collaterals: tuple[CollateralView, ...]
    total_debt: Decimal
    total_collateral: Decimal
    ltv: Decimal | None
    col_res: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BorrowRecord:
    """`borrow-history` row; status 1 fully repaid, 2 outstanding."""

    order_id: str
    loan_currency: str
    initial_amount: Decimal
    borrow_ms: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepayRecord:
    """`repayment-history` row; status 1 success 2 processing; type 1 user, 2 liquidation, 7 by collateral currency."""

    repay_id: str
    loan_currency: str
    amount: Decimal
    repay_ms: int
    status: int
    repay_type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustRecord:
    """`adjustment-history` row; status 1 success, 2 processing, 3 failed; direction 0 add, 1 reduce."""

    adjust_id: int
    currency: str
    amount: Decimal
    adjust_ms: int
    pre_ltv: Decimal
    after_ltv: Decimal
    direction: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """`query-inter-transfer-list` row; status SUCCESS, PENDING, FAILED."""

    transfer_id: str
    coin: str
    amount: Decimal
    from_account: str
    to_account: str
    ts_ms: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRecord:
    """`transaction-log` row; `change` = cash_flow + funding - fee; `funding` < 0 was paid. Types: TRADE, SETTLEMENT,
    LIQUIDATION, TRANSFER_IN, TRANSFER_OUT.
    """

    id: str
    type: str
    ts_ms: int
    symbol: str
    side: str
    currency: str
    qty: Decimal
    size: Decimal
    trade_price: Decimal
    funding: Decimal
    fee: Decimal
    fee_rate: Decimal
    cash_flow: Decimal
    change: Decimal
    cash_balance: Decimal
    trade_id: str
    order_id: str
    order_link_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPnlRecord:
    """`position/closed-pnl` row: one per order that closed something."""

    symbol: str
    order_id: str
    side: Side
    qty: Decimal
    order_price: Decimal
    order_type: str
    exec_type: str
    closed_size: Decimal
    cum_entry_value: Decimal
    avg_entry_price: Decimal
    cum_exit_value: Decimal
    avg_exit_price: Decimal
    closed_pnl: Decimal
    fill_count: int
    leverage: Decimal
    open_fee: Decimal
    close_fee: Decimal
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerView:
    """A linear ticker."""

    symbol: str
    ts_ms: int
    seq: int
    last_price: Decimal
    mark_price: Decimal
    index_price: Decimal
    prev_price_24h: Decimal
    prev_price_1h: Decimal
    high_price_24h: Decimal
    low_price_24h: Decimal
    price_24h_pcnt: Decimal
    turnover_24h: Decimal
    volume_24h: Decimal
    open_interest: Decimal
    open_interest_value: Decimal
    funding_rate: Decimal
    next_funding_ms: int
    funding_interval_hour: int
    funding_cap: Decimal
    bid1_price: Decimal
    bid1_size: Decimal
    ask1_price: Decimal
    ask1_size: Decimal
    tick_direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """The whole book, best first, as texts ready for the wire: ((price, size), ...). `u` grows by 1 per change."""

    symbol: str
    ts_ms: int
    u: int
    seq: int
    bids: tuple[tuple[str, str], ...]
    asks: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeView:
    """A public trade; `side` is the taker's."""

    symbol: str
    trade_id: str
    ts_ms: int
    side: Side
    price: Decimal
    size: Decimal
    tick_direction: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KlineView:
    """One bar; `confirmed` when it is complete."""

    symbol: str
    interval: str
    start_ms: int
    end_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRecord:
    """A settled funding rate."""

    symbol: str
    rate: Decimal
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Filters of one linear perpetual."""

    symbol: str
    base_coin: str
    quote_coin: str = "USDT"
    settle_coin: str = "USDT"
    tick_size: Decimal = Decimal("0.10")
    min_price: Decimal = Decimal("0.10")
    max_price: Decimal = Decimal("1999999.80")
    qty_step: Decimal = Decimal("0.001")
    min_order_qty: Decimal = Decimal("0.001")
    max_order_qty: Decimal = Decimal("1190")
    max_market_qty: Decimal = Decimal("500")
    min_notional: Decimal = Decimal("5")
    min_leverage: Decimal = Decimal("1")
    max_leverage: Decimal = Decimal("100")
    leverage_step: Decimal = Decimal("0.01")
    price_scale: int = 2
    funding_interval_min: int = 480
    funding_cap: Decimal = Decimal("0.00375")
    price_limit_x: Decimal = Decimal("0.01")
    price_limit_y: Decimal = Decimal("0.02")
    max_active_orders: int = 500
    max_conditional_orders: int = 10
    launch_ms: int = 1584230400000


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskTier:
    """A risk-limit tier: up to `limit_usdt` of position value."""

    id: int
    limit_usdt: Decimal
    mm_rate: Decimal
    im_rate: Decimal
    max_leverage: Decimal
    mm_deduction: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralTier:
    """Ratio for the part of a holding's USD value in [min_value, max_value); None = without end."""

    min_value: Decimal
    max_value: Decimal | None
    ratio: Decimal


# --------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdate:
    """Private `order` push."""

    order: OrderView


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Private `execution` push."""

    execution: ExecutionView


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionUpdate:
    """Private `position` push (also after create, amend and cancel)."""

    position: PositionView


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletUpdate:
    """Private `wallet` push; `coin` is the coin that changed."""

    wallet: WalletView
    coin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChanged:
    """The book has a new state. `book_stream.BookStream` turns these into snapshots and deltas of a depth."""

    book: BookView


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerChanged:
    """Public `tickers`."""

    ticker: TickerView


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTrades:
    """Public `publicTrade`."""

    trades: tuple[TradeView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KlineChanged:
    """The running one-minute bar, or its completion. Longer intervals: `ExchangeApi.klines(..., limit=1)`."""

    kline: KlineView


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """Public `allLiquidation`: side Buy = a long was liquidated; price = bankruptcy price."""

    symbol: str
    side: Side
    size: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLimit:
    """Public `priceLimit`."""

    symbol: str
    buy_limit: Decimal
    sell_limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanEvent:
    """Venue-internal (no stream has it): kind margin_call, recovered, liquidated."""

    kind: str
    ltv: Decimal


Payload = (
    OrderUpdate
    | Execution
    | PositionUpdate
    | WalletUpdate
    | BookChanged
    | TickerChanged
    | PublicTrades
    | KlineChanged
    | Liquidation
    | PriceLimit
    | LoanEvent
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at `ts_ms`; `uid` None = public."""

    ts_ms: int
    uid: str | None
    symbol: str | None
    payload: Payload


# --------------------------------------------------------------------------------------------------- what the exchange is


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialLoan:
    """A loan that exists at the start: `debt` given, or chosen so that the LTV at the first price is `ltv`."""

    collateral: Mapping[str, Decimal]
    currency: str = "USDT"
    debt: Decimal | None = None
    ltv: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSpec:
    """An account at the start. `reserve_fraction` adds that fraction of the debt, in USDT, to `unified`."""

    uid: str
    unified: Mapping[str, Decimal] = field(default_factory=dict)
    fund: Mapping[str, Decimal] = field(default_factory=dict)
    loan: InitialLoan | None = None
    reserve_fraction: Decimal = ZERO
    leverage: Decimal = Decimal(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanTerms:
    """Terms of the crypto loan. Thresholds are LTV ratios; `hourly_rate` is the interest per hour."""

    initial_ltv: Decimal = Decimal("0.80")
    margin_call_ltv: Decimal = Decimal("0.85")
    liquidation_ltv: Decimal = Decimal("0.95")
    liquidation_fee: Decimal = Decimal("0.02")
    repay_collateral_fee: Decimal = ZERO
    hourly_rate: Decimal = Decimal("0.0000057")
    max_repay_collateral_usd: Decimal = Decimal(300_000)
    adjust_delay_ms: int = 400
    repay_delay_ms: int = 50
    col_res: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookShape:
    """The made-up liquidity around the replayed price. Spread and thinness grow with realised volatility.

    spread_bps: full spread in calm; depth_usdt: notional offered within `depth_bps` of the touch on one side in calm;
    volatility_spread: bps of extra spread per bp of recent absolute tick return; volatility_thinning: depth is divided by
    1 + this × recent absolute tick return in bps.
    """

    levels: int = 50
    spread_bps: float = 0.3
    depth_usdt: float = 3_000_000.0
    depth_bps: float = 10.0
    volatility_spread: float = 0.15
    volatility_thinning: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seeded uniform ranges in ms, both ends included: request to answer, request to effect, effect to push or query."""

    ack_ms: tuple[int, int] = (3, 6)
    effect_ms: tuple[int, int] = (2, 8)
    push_ms: tuple[int, int] = (1, 3)
    query_lag_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSpec:
    """Everything about the exchange that is not a price."""

    accounts: tuple[AccountSpec, ...]
    instruments: tuple[Instrument, ...]
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.00055")
    book: BookShape = field(default_factory=BookShape)
    latency: Latency = field(default_factory=Latency)
    loan: LoanTerms = field(default_factory=LoanTerms)
    market_protection: Decimal = Decimal("0.05")
    basis_bps: Decimal = ZERO
    unified_collateral_ratio: Mapping[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(1), "BTC": Decimal("0.85")})


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTick:
    """A replayed price: USDT per unit, and the base-coin volume traded since the previous tick."""

    ts_ms: int
    price: float
    volume: float


class PricePath(Protocol):
    """A stream of prices in rising time. Implementations: `prices.BarPath`, `scenario.scenario_path`, `prices.RandomWalk`."""

    def next_ms(self) -> int | None:
        """Time of the next tick; None at the end of data."""
        ...

    def take(self) -> PriceTick:
        """The next tick; it is consumed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingSchedule:
    """Rate per settlement (time in ms → rate), `constant` where the table is silent; settles on multiples of the interval."""

    rates: Mapping[int, Decimal] = field(default_factory=dict)
    constant: Decimal = Decimal("0.0001")
    interval_ms: int = 8 * 3_600_000

    def rate_at(self, ts_ms: int) -> Decimal:
        """The rate that is settled at `ts_ms`."""
        return self.rates.get(ts_ms, self.constant)


@dataclass(slots=True, kw_only=True)
class Faults:
    """Switches that a rehearsal flips on the running exchange."""

    adjust_fails: bool = False
    transfer_pending_ms: int = 0
    col_res: str | None = None


class ExchangeApi(Protocol):
    """The exchange as the server sees it. The implementation is `engine.Exchange(spec, price_paths, funding, seed)`.

    Time only moves by `advance` (and by `request`, to its `at_ms`, which must not lie before `now_ms`). Requests at time t see
    the state at t; due internal events up to t should have been taken by `advance(t)` first (request does not lose any: events
    that it makes due are returned by the next `advance`). Queries read the state at `now_ms`.
    """

    spec: ExchangeSpec
    faults: Faults

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

    def find_order(self, uid: str, symbol: str | None = None, order_id: str = "", order_link_id: str = "") -> OrderView | None:
        """An order in any state, by id (wins) or link id; None if the venue does not show it (yet or any more)."""
        ...

    def order_history(self, uid: str, symbol: str | None = None) -> list[OrderView]:
        """Closed orders within retention, newest first."""
        ...

    def executions(self, uid: str, symbol: str | None = None, order_id: str = "", order_link_id: str = "") -> list[ExecutionView]:
        """Executions, newest first."""
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
        """What may still be borrowed in `currency` at the initial LTV with the pledged and the named extra collateral."""
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
