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
    max_open_orders: int = 20
    max_slippage_bps: Decimal = Decimal(50)
    """How far through the mid a limit price may reach. Only a market order may pay more: see `price_band_bps`."""
    price_band_bps: Decimal = Decimal(500)
    """How far from the mark and from the last good price a limit price, or the first price that a market order meets,
    may lie, either way."""
    max_quote_age_ms: int = 10_000
    max_position_age_ms: int = 120_000
    symbols: frozenset[str] = frozenset({"BTCUSDT", "ETHUSDT", "LTCUSDT", "XRPUSDT"})
    environment: str = "local"
    """mainnet, testnet, demo or local: what this configuration was written for."""

    def __post_init__(self) -> None:
        numbers: dict[str, Decimal | int] = {name: getattr(self, name) for name in _POSITIVE}
        for name, value in numbers.items():
            if value <= 0:
                raise InvalidInput(f"limits.{name}", f"must be greater than 0, not {value}")
        if self.critical_orders_per_minute < self.orders_per_minute:
            raise InvalidInput("limits.critical_orders_per_minute", "must not be below orders_per_minute")


_POSITIVE = (
    "max_order_qty",
    "max_order_notional_usdt",
    "max_position_qty",
    "max_position_notional_usdt",
    "orders_per_second",
    "orders_per_minute",
    "max_open_orders",
    "max_slippage_bps",
    "price_band_bps",
    "max_quote_age_ms",
    "max_position_age_ms",
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
class GateContext:
    """What is known when an order is about to be sent."""

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
