"""What a client may ask of the exchange, and its synchronous answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.simulator.words import OrderType, Side, TimeInForce


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
    adjustId, repayId). `reply_ms` is the venue time at which the answer leaves; the effect may be earlier or later.
    """

    ret_code: int
    ret_msg: str
    reply_ms: int
    result: Mapping[str, str | int] = field(default_factory=dict)
    items: tuple[AckItem, ...] = ()
