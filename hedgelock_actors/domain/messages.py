"""What the actors say to each other: one frozen model per message, one discriminated union, one envelope.

Money, prices and quantities are Decimal; ratios are floats (0.45, never percents); times are integer
milliseconds of venue time. Events are named in the past tense, commands in the imperative.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from hedgelock_actors.domain.alert import Severity
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.trading_state import TradingMode


class Message(BaseModel):
    """Base of all messages: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)


class Tick(Message):
    """One clean, fresh price of one symbol with the depth around it (conflated: the latest wins)."""

    kind: Literal["tick"] = "tick"
    symbol: str
    ts_ms: int
    last: Decimal
    mark: Decimal
    index: Decimal
    bid: Decimal
    ask: Decimal
    bid_depth_usdt: float
    """USDT resting within 1 % under the mid."""
    ask_depth_usdt: float
    funding_rate: float
    next_funding_ms: int
    turnover_24h_usdt: float = 0.0
    """What was traded in the last day; 0 when the venue did not say."""


class FeedStale(Message):
    """The feed of a symbol can no longer be trusted; nothing may be decided on it until the next Tick."""

    kind: Literal["feed_stale"] = "feed_stale"
    symbol: str
    ts_ms: int
    reason: str


class LoanChanged(Message):
    """The lender's view of one loan, as last read (a full state: the highest version wins)."""

    kind: Literal["loan_changed"] = "loan_changed"
    account: str
    loan_id: str
    version: int
    ts_ms: int
    collateral_coin: str
    symbol: str
    """The perpetual that hedges the collateral, e.g. BTCUSDT."""
    collateral: Decimal
    debt: Decimal
    """USDT owed, accrued interest included."""
    haircut: float
    """Collateral value ratio κ, 0 < κ ≤ 1, at the present collateral value."""
    lender_ltv: float
    """The LTV that the lender itself states (for cross-checking ours)."""


class HedgeChanged(Message):
    """The hedge of one account, as the venue says (full state: the highest version wins)."""

    kind: Literal["hedge_changed"] = "hedge_changed"
    account: str
    symbol: str
    version: int
    ts_ms: int
    short_qty: Decimal
    """≥ 0, in units of the coin."""
    entry_price: Decimal
    unswept_profit: Decimal
    """Realised profit (fees and funding included) not yet swept into repayment; may be negative."""


class RiskStateChanged(Message):
    """A loan crossed a level (up at once, down after hysteresis)."""

    kind: Literal["risk_state_changed"] = "risk_state_changed"
    account: str
    loan_id: str
    ts_ms: int
    previous: RiskLevel
    level: RiskLevel
    lender_ltv: float
    net_ltv: float
    price: Decimal
    required_hedge: Decimal


class HedgeDemand(Message):
    """What the loan book of an account requires at a price (full state, conflated)."""

    kind: Literal["hedge_demand"] = "hedge_demand"
    account: str
    symbol: str
    ts_ms: int
    price: Decimal
    floor_qty: Decimal
    """Total short required by the stress ladder (net of hedge profit), in units of the coin."""
    neutral_qty: Decimal
    """D/P: the short that makes the net LTV independent of the price."""
    collateral_qty: Decimal
    debt: Decimal
    level: RiskLevel
    """The worst level of the account's loans."""
    lender_ltv: float
    """The worst lender LTV of the account's loans."""
    net_ltv: float


class SetTarget(Message):
    """PositionKeeper to OrderRouter: hold this short. Level-triggered: repeating it changes nothing."""

    kind: Literal["set_target"] = "set_target"
    account: str
    symbol: str
    version: int
    ts_ms: int
    target_short_qty: Decimal
    level: RiskLevel
    reason: str
    causation_id: str
    exact: bool = False
    """A person's word: nothing is held beside it, neither what trades have sold."""


class RealiseProfit(Message):
    """Close and re-open `qty` of the short: profit becomes cash (Treasury → PositionKeeper → OrderRouter)."""

    kind: Literal["realise_profit"] = "realise_profit"
    account: str
    symbol: str
    request_id: str
    ts_ms: int
    qty: Decimal


class HedgeTrade(Message):
    """Trade this much, beside the target (a `hedge_trades` command, or a leg of a spread) → OrderRouter.

    Carried out once, however often it is heard. What fills of it is added to what the target asks for, so that it is
    not traded back; a buy can only take back what earlier trades have added.
    """

    kind: Literal["hedge_trade"] = "hedge_trade"
    account: str
    symbol: str
    trade_id: str
    ts_ms: int
    side: Side
    qty: Decimal
    reason: str
    reply_to: str
    """Actor that hears the reports."""
    strategy: str | None = None
    """None: chosen as for targets."""
    limit_price: Decimal | None = None
    reference_price: Decimal | None = None
    expires_ms: int | None = None
    """Not begun any more after this time."""


class CancelTrade(Message):
    """Stop a trade: what works of it is cancelled, what filled stays."""

    kind: Literal["cancel_trade"] = "cancel_trade"
    account: str
    symbol: str
    trade_id: str
    ts_ms: int


class TradeReported(Message):
    """OrderRouter → whoever asked (and trade_confirmations): how far a trade is (full state; `final` comes last)."""

    kind: Literal["trade_reported"] = "trade_reported"
    account: str
    symbol: str
    trade_id: str
    ts_ms: int
    final: bool
    success: bool
    side: Side
    qty: Decimal
    filled_qty: Decimal
    average_price: Decimal | None
    mode: str
    maker_qty: Decimal
    taker_qty: Decimal
    retries: int
    error: str


class SpreadLeg(Message):
    """One leg of a spread: where it rests, and how many coins one of its contracts stands for."""

    account: str
    symbol: str
    side: Side
    qty: Decimal
    limit_price: Decimal
    multiplier: Decimal = Decimal(1)


class SpreadRequested(Message):
    """Control → PositionKeeper of the first leg's account: put on a spread over these legs. Carried out once."""

    kind: Literal["spread_requested"] = "spread_requested"
    account: str
    spread_id: str
    ts_ms: int
    legs: tuple[SpreadLeg, ...]
    window_ms: int
    rollback_on_partial: bool
    reason: str


class SpreadStopped(Message):
    """Control → PositionKeeper: let the legs of this spread rest no longer; what filled is still hedged."""

    kind: Literal["spread_stopped"] = "spread_stopped"
    account: str
    spread_id: str
    ts_ms: int


class SpreadReported(Message):
    """PositionKeeper → Notifier: a spread has ended, as planned or not."""

    kind: Literal["spread_reported"] = "spread_reported"
    account: str
    spread_id: str
    ts_ms: int
    success: bool
    trigger: str
    rolled_back: bool
    detail: str
    """What each leg holds of what it should."""
    error: str


class TargetOverridden(Message):
    """Control → PositionKeeper: hold exactly this short until it expires or is lifted (`target_short_qty` None).

    Already on record in the control stream under `override_id`. Flattening is an override to 0.
    """

    kind: Literal["target_overridden"] = "target_overridden"
    account: str
    symbol: str
    override_id: str
    version: int
    ts_ms: int
    target_short_qty: Decimal | None
    expires_ms: int
    who: str
    reason: str


class ForeignActivityAcknowledged(Message):
    """Control → OrderRouter: a person has seen the fills that were not ours; opening is allowed again.

    With an `order_link_id` it says instead that the person has looked for this order, of which the venue says nothing,
    and that it never came to be: it counts no longer.
    """

    kind: Literal["foreign_activity_acknowledged"] = "foreign_activity_acknowledged"
    account: str
    ts_ms: int
    who: str
    reason: str
    order_link_id: str = ""


class AccountState(Message):
    """The hedge account's money and margin (full state, conflated), PositionKeeper → Treasury."""

    kind: Literal["account_state"] = "account_state"
    account: str
    symbol: str
    ts_ms: int
    wallet_usdt: Decimal
    equity_usdt: Decimal
    available_usdt: Decimal
    maintenance_margin_usdt: Decimal
    funding_wallet_usdt: Decimal
    short_qty: Decimal
    entry_price: Decimal
    mark: Decimal
    target_short_qty: Decimal
    loan: LoanChanged | None
    level: RiskLevel
    lender_price: Decimal
    """What the lender values the collateral at now: the lower of last and index."""


class LoanTouched(Message):
    """Treasury → PositionKeeper: money moved; read loans and wallet again now. `swept` > 0 books a sweep."""

    kind: Literal["loan_touched"] = "loan_touched"
    account: str
    ts_ms: int
    action_id: str
    swept_usdt: Decimal


class OrderEvent(Message):
    """OrderRouter → Notifier: something about an order that a person may need to know."""

    kind: Literal["order_event"] = "order_event"
    account: str
    symbol: str
    ts_ms: int
    event: Literal[
        "refused", "rejected", "unresolved", "external_fill", "liquidation", "filled", "restricted", "runaway"
    ]
    order_link_id: str
    detail: str


class TreasuryActed(Message):
    """Treasury → Notifier: a sweep step ended, or could not be made (with the shortfall)."""

    kind: Literal["treasury_acted"] = "treasury_acted"
    account: str
    ts_ms: int
    action_id: str
    action: Literal["sweep", "sweep_short_of_cash", "sweep_failed"]
    amount_usdt: Decimal
    shortfall_usdt: Decimal
    lender_ltv_before: float
    lender_ltv_after: float
    detail: str


class TradingStateChanged(Message):
    """Control → everyone: the trading state and its epoch (the highest epoch wins)."""

    kind: Literal["trading_state_changed"] = "trading_state_changed"
    mode: TradingMode
    epoch: int
    ts_ms: int
    reason: str


class AlertRaised(Message):
    """A thing to tell a person. `dedup_key` folds repetitions into one."""

    kind: Literal["alert_raised"] = "alert_raised"
    alert_id: str
    dedup_key: str
    account: str
    ts_ms: int
    severity: Severity
    title: str
    body: str


AnyMessage = Annotated[
    Tick
    | FeedStale
    | LoanChanged
    | HedgeChanged
    | RiskStateChanged
    | HedgeDemand
    | SetTarget
    | RealiseProfit
    | HedgeTrade
    | CancelTrade
    | TradeReported
    | SpreadRequested
    | SpreadStopped
    | SpreadReported
    | TargetOverridden
    | ForeignActivityAcknowledged
    | AccountState
    | LoanTouched
    | OrderEvent
    | TreasuryActed
    | TradingStateChanged
    | AlertRaised,
    Field(discriminator="kind"),
]


class Envelope(Message):
    """A message on its way: who sent it, in which order, caused by what.

    `event_id` is deterministic (sender, epoch, seq), so a receiver can drop what it has seen.
    """

    event_id: str
    sender: str
    epoch: int
    seq: int
    trace_id: str
    causation_id: str
    ts_event: int
    ts_received: int
    schema_version: Literal[1] = 1
    body: AnyMessage


ENVELOPE: TypeAdapter[Envelope] = TypeAdapter(Envelope)
MESSAGE: TypeAdapter[AnyMessage] = TypeAdapter(AnyMessage)
