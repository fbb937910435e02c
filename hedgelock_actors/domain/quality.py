"""How well it was traded, and what holding it costs. Exact (Decimal), in USDT; bps of the decided value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Side

_BPS = Decimal(10_000)
_MINUTES_PER_DAY = Decimal(1_440)
_DAYS_PER_YEAR = Decimal(365)


@dataclass(frozen=True, slots=True)
class ImplementationShortfall:
    """What trading cost against the price at the decision: worse prices, fees, and what was not done. > 0 is a cost."""

    execution: Decimal
    fees: Decimal
    opportunity: Decimal
    bps: Decimal

    @property
    def total(self) -> Decimal:
        """Sum of the three, USDT."""
        return self.execution + self.fees + self.opportunity


def implementation_shortfall(
    side: Side,
    qty: Decimal,
    decision_price: Decimal,
    fills: Sequence[tuple[Decimal, Decimal]],
    end_price: Decimal,
    fees: Decimal,
) -> ImplementationShortfall:
    """Σ q(P_decision − p) + fees + q_unfilled(P_decision − P_end) for a sell; a buy is the mirror.

    `fills` are (qty, price).

    Raises:
        InvalidInput: a decision without quantity or price, or fills of more than the decision.
    """
    if qty <= ZERO or decision_price <= ZERO:
        raise InvalidInput("qty/decision_price", "must be greater than 0")
    filled = sum((done for done, _ in fills), ZERO)
    if filled > qty:
        raise InvalidInput("fills", f"{filled} filled of {qty} decided")
    sign = -side.sign
    execution = sum((sign * done * (decision_price - price) for done, price in fills), ZERO)
    opportunity = sign * (qty - filled) * (decision_price - end_price)
    return ImplementationShortfall(
        execution, fees, opportunity, (execution + fees + opportunity) / (qty * decision_price) * _BPS
    )


def markout(side: Side, price: Decimal, mid_later: Decimal) -> Decimal:
    """p − mid(t+τ) for a sell (a buy is the mirror), USDT per coin. Below 0 the market moved against the fill."""
    return -side.sign * (price - mid_later)


def price_improvement(side: Side, price: Decimal, far_touch: Decimal) -> Decimal:
    """How much better than the far touch at the time of sending, USDT per coin (> 0 is better)."""
    return -side.sign * (price - far_touch)


def slippage_bps(side: Side, price: Decimal, decision_mid: Decimal) -> Decimal:
    """How much worse than the mid at the decision, in bps (> 0 is worse)."""
    return -side.sign * (decision_mid - price) / decision_mid * _BPS


def funding_cash(rate: Decimal, short: Decimal, mark: Decimal) -> Decimal:
    """What one settlement pays to the short, USDT: a positive rate pays it."""
    return rate * short * mark


def funding_per_day(rate: Decimal, short: Decimal, mark: Decimal, interval_min: int) -> Decimal:
    """What a day of settlements at this rate pays to the short, USDT."""
    if interval_min <= 0:
        raise InvalidInput("interval_min", "must be greater than 0; read it from the instrument")
    return funding_cash(rate, short, mark) * _MINUTES_PER_DAY / interval_min


def funding_apr(rate: Decimal, interval_min: int) -> Decimal:
    """The rate as a yearly ratio without compounding (0.1095 for 0.01 % every 8 h)."""
    return funding_per_day(rate, Decimal(1), Decimal(1), interval_min) * _DAYS_PER_YEAR
