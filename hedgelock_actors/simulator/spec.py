"""What the exchange is made of at the start: instruments, accounts, terms, latency, prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from hedgelock_actors.simulator.words import ZERO


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
    max_order_qty: Decimal = Decimal(1190)
    max_market_qty: Decimal = Decimal(500)
    min_notional: Decimal = Decimal(5)
    min_leverage: Decimal = Decimal(1)
    max_leverage: Decimal = Decimal(100)
    leverage_step: Decimal = Decimal("0.01")
    price_scale: int = 2
    funding_interval_min: int = 480
    funding_cap: Decimal = Decimal("0.00375")
    price_limit_x: Decimal = Decimal("0.01")
    price_limit_y: Decimal = Decimal("0.02")
    max_active_orders: int = 500
    max_conditional_orders: int = 10
    launch_ms: int = 1584230400000
    status: str = "Trading"


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


FULL_VALUE = (CollateralTier(min_value=ZERO, max_value=None, ratio=Decimal(1)),)


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
    reduce_cap_ltv: Decimal = Decimal("0.85")
    adjust_delay_ms: int = 400
    repay_delay_ms: int = 50
    col_res: str = "0"
    collateral_tiers: Mapping[str, tuple[CollateralTier, ...]] = field(
        default_factory=lambda: {"BTC": FULL_VALUE, "ETH": FULL_VALUE}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BookShape:
    """The made-up liquidity around the replayed price. Spread and thinness grow with realised volatility.

    spread_bps: full spread in calm; depth_usdt: notional offered within `depth_bps` of the touch on one side in calm;
    volatility_spread: bps of extra spread per bp of recent absolute tick return; volatility_thinning: depth is divided
    by 1 + this × recent absolute tick return in bps.
    """

    levels: int = 50
    spread_bps: float = 0.3
    depth_usdt: float = 3_000_000.0
    depth_bps: float = 10.0
    volatility_spread: float = 0.15
    volatility_thinning: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seeded uniform ranges in ms, both ends included: request to answer, request to effect, effect to push."""

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
    unified_collateral_ratio: Mapping[str, Decimal] = field(
        default_factory=lambda: {"USDT": Decimal(1), "BTC": Decimal("0.85")}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTick:
    """A replayed price: USDT per unit, and the base-coin volume traded since the previous tick."""

    ts_ms: int
    price: float
    volume: float


class PricePath(Protocol):
    """A stream of prices in rising time (`prices.BarPath`, `prices.RandomWalk`)."""

    def next_ms(self) -> int | None:
        """Time of the next tick; None at the end of data."""
        ...

    def take(self) -> PriceTick:
        """The next tick; it is consumed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingSchedule:
    """Rates by settlement time in ms, `constant` where the table is silent; due on multiples of the interval."""

    rates: Mapping[int, Decimal] = field(default_factory=dict)
    constant: Decimal = Decimal("0.0001")
    interval_ms: int = 8 * 3_600_000

    def rate_at(self, ts_ms: int) -> Decimal:
        """The rate that is settled at `ts_ms`."""
        return self.rates.get(ts_ms, self.constant)


@dataclass(slots=True, kw_only=True)
class Faults:
    """Switches that a rehearsal flips on the running exchange."""

    half_acks: int = 0
    """So many orders are acknowledged and then rejected on the stream."""
    query_lag_ms: int = 0
    """Orders accepted from now on are invisible to queries for so long."""
    market_band: Decimal | None = None
    """The protection band of market orders; negative: nothing is in range, so they are cancelled without a fill."""
    split_qty: Decimal | None = None
    """Reduce-only orders above this are split into several; None: above the instrument's highest quantity."""
    adjust_fails: bool = False
    transfer_pending_ms: int = 0
    col_res: str | None = None
