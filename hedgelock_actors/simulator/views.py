"""What an account holds and did, as the exchange shows it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.simulator.words import OrderType, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order as pushed and as returned by realtime and history. `price` of a Market order is its protection limit."""

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
    reduce_only: bool = False
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
