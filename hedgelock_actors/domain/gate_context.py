"""What the gate is set to, and what it must know when an order is about to be sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import OrderState, Side
from hedgelock_actors.domain.trading_state import INITIAL, TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one account. Quantities in units of the coin, money in USDT, `*_bps` in basis points."""

    max_order_qty: Decimal = Decimal(10)
    max_order_notional_usdt: Decimal = Decimal(1_000_000)
    max_position_qty: Decimal = Decimal(50)
    max_position_notional_usdt: Decimal = Decimal(5_000_000)
    orders_per_second: int = 10
    orders_per_minute: int = 20
    critical_orders_per_minute: int = 40
    """The whole budget of a minute while the level is CRITICAL."""
    amends_per_second: int = 10
    amends_per_minute: int = 60
    notional_per_minute_usdt: Decimal = Decimal(10_000_000)
    critical_notional_per_minute_usdt: Decimal = Decimal(20_000_000)
    """The whole budget of a minute while the level is CRITICAL."""
    duplicate_window_ms: int = 1_000
    """Within it no two intents may send an order of the same side, price and quantity."""
    max_open_orders: int = 20
    min_order_qty: Decimal = Decimal("0.001")
    max_slippage_bps: Decimal = Decimal(50)
    """How far through the mid a limit price may reach. Only a market order may pay more: see `price_band_bps`."""
    price_band_bps: Decimal = Decimal(500)
    """How far from the mark and from the last good price a limit price, or the first price that a market order meets,
    may lie, either way."""
    max_quote_age_ms: int = 10_000
    max_position_age_ms: int = 120_000
    max_money_age_ms: int = 120_000
    """Of what is known of free margin and the liquidation price."""
    initial_margin: Decimal = Decimal("0.10")
    """Margin that the venue asks of a new position, as a ratio of its value (1 ÷ leverage)."""
    maintenance: Decimal = Decimal("0.005")
    """Margin under which the venue liquidates, a ratio."""
    taker_fee: Decimal = Decimal("0.00055")
    """To close the position at its liquidation, a ratio."""
    min_liquidation_distance: Decimal = Decimal("0.05")
    """The rally, as a ratio, that the short must survive after an order."""
    max_funding_cost: float = 0.003
    """What a short may have to pay per funding interval, a ratio."""
    max_daily_loss_usdt: Decimal = Decimal(500_000)
    """Realised since midnight UTC, fees and funding included."""
    max_daily_fees_usdt: Decimal = Decimal(10_000)
    max_trade_order_qty: Decimal = Decimal(1)
    """One order of a `hedge_trades` command."""
    max_trade_daily_qty: Decimal = Decimal(10)
    """All orders of `hedge_trades` commands since midnight UTC, both sides."""
    symbols: frozenset[str] = frozenset({"BTCUSDT", "ETHUSDT", "LTCUSDT", "XRPUSDT"})
    environment: str = "local"
    """mainnet, testnet, demo or local: what this configuration was written for."""

    def __post_init__(self) -> None:
        numbers: dict[str, Decimal | float] = {name: getattr(self, name) for name in _POSITIVE}
        for name, value in numbers.items():
            if value <= 0:
                raise InvalidInput(f"limits.{name}", f"must be greater than 0, not {value}")
        if self.critical_orders_per_minute < self.orders_per_minute:
            raise InvalidInput("limits.critical_orders_per_minute", "must not be below orders_per_minute")
        if self.critical_notional_per_minute_usdt < self.notional_per_minute_usdt:
            raise InvalidInput("limits.critical_notional_per_minute_usdt", "must not be below notional_per_minute_usdt")


_POSITIVE = (
    "max_order_qty",
    "max_order_notional_usdt",
    "max_position_qty",
    "max_position_notional_usdt",
    "orders_per_second",
    "orders_per_minute",
    "amends_per_second",
    "amends_per_minute",
    "notional_per_minute_usdt",
    "duplicate_window_ms",
    "max_open_orders",
    "min_order_qty",
    "max_slippage_bps",
    "price_band_bps",
    "max_quote_age_ms",
    "max_position_age_ms",
    "max_money_age_ms",
    "initial_margin",
    "min_liquidation_distance",
    "max_funding_cost",
    "max_daily_loss_usdt",
    "max_daily_fees_usdt",
    "max_trade_order_qty",
    "max_trade_daily_qty",
)


@dataclass(frozen=True, slots=True)
class Working:
    """Worst case, per side, of orders that may still fill or whose fills are not in the position yet; and how many."""

    sell_qty: Decimal = ZERO
    buy_qty: Decimal = ZERO
    count: int = 0


def working_of(orders: Iterable[OrderState]) -> Working:
    """Sum the outstanding quantity of orders (open, unresolved, or filled but not yet in the fold of executions)."""
    sums = {Side.SELL: ZERO, Side.BUY: ZERO}
    count = 0
    for order in orders:
        sums[order.request.side] += order.outstanding_qty
        count += 0 if order.terminal else 1
    return Working(sums[Side.SELL], sums[Side.BUY], count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What an intent was decided to be, against which its orders are held: orders out never exceed intents in."""

    side: Side
    qty: Decimal
    committed_qty: Decimal = ZERO
    """Filled, plus the worst case of its attempts so far."""
    attempts: frozenset[int] = frozenset()
    """Attempts already handed to the venue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order of ours that may still fill."""

    order_link_id: str
    side: Side
    price: Decimal | None
    """None: a market order."""
    qty: Decimal
    """What may still fill."""
    rests: bool = True
    """False for one that fills at once or not at all (IOC, FOK): it may be under way, and never waits in the book."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentOrder:
    """An order sent a moment ago that filled or may still fill. One that certainly had no effect is left out."""

    intent_id: str
    side: Side
    price: Decimal | None
    qty: Decimal
    sent_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeBudget:
    """What `hedge_trades` commands have used of their day."""

    traded_today_qty: Decimal = ZERO
    """Filled, plus the worst case of what works, both sides; without the request itself, unless it is a resend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """What is known when an order is about to be sent. Fields with a default may be left out: nothing is known then,
    and the check that needs them refuses nothing.
    """

    now_ms: int
    account: str
    environment: str
    """Of the venue that the order would go to."""
    instrument: Instrument
    quote: Quote | None
    position_qty: Decimal
    """Signed; a short is negative."""
    position_ms: int
    """When the position was last confirmed, by stream or query."""
    reconciled: bool
    """Orders, executions and position agree with the venue since the last journalled point."""
    working: Working = Working()
    """Without the request itself, unless it is a resend."""
    intents: MappingProxyType[str, Intent] = field(default_factory=lambda: MappingProxyType({}))
    recent_order_ms: tuple[int, ...] = ()
    """Times of the sends of the last minute."""
    last_good_price: Decimal | None = None
    """The last price that passed the checks of the feed before this quote, if any."""
    trading: TradingState = INITIAL
    epoch: int = 0
    """The trading epoch in which the order was decided; older than `trading.epoch` is refused."""
    writer: bool = True
    """This process still holds the right to write for the account (journal epoch, lease)."""
    level: RiskLevel = RiskLevel.SAFE
    resend: bool = False
    """The request is an unresolved order of ours going out again under its own id: it is in `working` already."""
    target_short_qty: Decimal | None = None
    """The short that the order works towards: the stated target (an override included) plus what trades have added.
    None for orders that are not for the target: realising profit, and trades."""
    restrictions: tuple[str, ...] = ()
    """Why nothing may be opened at present (lease, maintenance, foreign fills, …), each in words for people."""
    available_usdt: Decimal | None = None
    """Free margin, as the venue last said."""
    liquidation_price: Decimal | None = None
    """Of the position, as the venue last said."""
    money_ms: int = 0
    """When the venue said it."""
    notional_last_minute_usdt: Decimal = ZERO
    """Value of the orders sent within the last minute; what certainly did not fill may be left out."""
    funding_rate: float = 0.0
    """Per interval, a ratio; below 0 shorts pay."""
    open_orders: tuple[OpenOrder, ...] = ()
    recent_orders: tuple[RecentOrder, ...] = ()
    recent_amend_ms: tuple[int, ...] = ()
    """Times of the amendments of the last minute."""
    realised_today_usdt: Decimal = ZERO
    """Realised profit since midnight UTC, fees and funding included; a loss is negative."""
    fees_today_usdt: Decimal = ZERO
    """Paid since midnight UTC."""
    trade: TradeBudget | None = None
    """Set for orders of a `hedge_trades` command."""
