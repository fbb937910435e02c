"""Every rule that people may set, in one value, with the starting rules as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import ExecutionPolicy as ExecutionPolicy
from hedgelock_actors.domain.hedge import Rung
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import Levels
from hedgelock_actors.domain.market import QuotePolicy
from hedgelock_actors.domain.targeting import TargetPolicy
from hedgelock_actors.domain.treasury import SweepPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingPolicy:
    """Bounds of the sizing service."""

    max_hedge_pct: float = 1.0
    max_score_age_ms: int = 3_000
    max_depth_age_ms: int = 10_000

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_hedge_pct <= 1.0:
            raise InvalidInput("sizing.max_hedge_pct", "must be in 0…1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanPolicy:
    """What the lender does, as configured (the venue may change it)."""

    liquidation_ltv: float = 0.95
    margin_call_ltv: float = 0.85
    poll_ms: int = 30_000
    """How often loans are read."""
    max_age_ms: int = 120_000
    """A loan read longer ago is not decided on."""

    def __post_init__(self) -> None:
        if not 0.0 < self.margin_call_ltv < self.liquidation_ltv < 1.0:
            raise InvalidInput("loan.liquidation_ltv", "must be below 1 and above margin_call_ltv, as ratios")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All rules."""

    levels: Levels = field(default_factory=Levels)
    rungs: tuple[Rung, ...] = (Rung(0.30, 0.50),)
    target: TargetPolicy = field(default_factory=TargetPolicy)
    sweep: SweepPolicy = field(default_factory=SweepPolicy)
    limits: Limits = field(default_factory=Limits)
    quote: QuotePolicy = field(default_factory=QuotePolicy)
    execution: ExecutionPolicy = field(default_factory=ExecutionPolicy)
    sizing: SizingPolicy = field(default_factory=SizingPolicy)
    loan: LoanPolicy = field(default_factory=LoanPolicy)

    def __post_init__(self) -> None:
        if not self.rungs:
            raise InvalidInput("rungs", "at least one rung is needed")
        if self.sweep.trigger_ltv > self.levels.ceiling:
            raise InvalidInput("sweep.trigger_ltv", "must not be above the ceiling of the levels")
