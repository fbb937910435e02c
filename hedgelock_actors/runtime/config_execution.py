"""The section `execution`: every parameter of every strategy. Bounds that depend on others are the domain's."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import (
    AggressivePolicy,
    ByLevel,
    ChasePolicy,
    ExecutionPolicy,
    Experiment,
    FeedbackPolicy,
    IcebergPolicy,
    MarketPolicy,
    Mode,
    PassivePolicy,
    RestingPolicy,
    TwapPolicy,
    Variant,
)
from hedgelock_actors.execution.selection import with_overrides
from hedgelock_actors.runtime.config_section import Section

Bps = Annotated[Decimal, Field(ge=0, le=500)]
Share = Annotated[Decimal, Field(gt=0, le=1)]
Jitter = Annotated[Decimal, Field(ge=0, lt=1)]
Span = Annotated[float, Field(ge=0.001, le=86_400)]
Wait = Annotated[float, Field(ge=0, le=600)]
Count = Annotated[int, Field(ge=0, le=1_000)]


class ByLevelConfig(Section):
    """A strategy for each risk level."""

    safe: Mode = Mode.PASSIVE
    caution: Mode = Mode.PASSIVE
    danger: Mode = Mode.LIMIT_CHASE
    critical: Mode = Mode.AGGRESSIVE

    def policy(self) -> ByLevel:
        """As the domain has it."""
        return ByLevel(safe=self.safe, caution=self.caution, danger=self.danger, critical=self.critical)


class ReduceByLevelConfig(ByLevelConfig):
    """The same for orders that shrink the hedge."""

    caution: Mode = Mode.LIMIT_CHASE


class AggressiveConfig(Section):
    """IOC limits through the mid, then the market."""

    through_bps: Bps = Decimal(10)
    step_bps: Bps = Decimal(10)
    limit_attempts: Annotated[int, Field(ge=0, le=20)] = 4
    market_attempts: Annotated[int, Field(ge=0, le=20)] = 2
    pause_s: Annotated[float, Field(ge=0.001, le=60)] = 0.25

    def policy(self) -> AggressivePolicy:
        """As the domain has it."""
        return AggressivePolicy(**self.model_dump(exclude={"pause_s"}), pause_ms=_ms(self.pause_s))


class PassiveConfig(Section):
    """Part of the goal rests better than the mid."""

    share: Share = Decimal("0.5")
    better_bps: Bps = Decimal(5)
    patience_s: Span = 30
    run_away_bps: Bps = Decimal(15)
    repeg_bps: Bps = Decimal(2)
    repeg_s: Span = 1
    max_repegs: Count = 30
    max_rejections: Count = 5

    def policy(self) -> PassivePolicy:
        """As the domain has it."""
        plain = self.model_dump(exclude={"patience_s", "repeg_s"})
        return PassivePolicy(**plain, patience_ms=_ms(self.patience_s), repeg_ms=_ms(self.repeg_s))


class IcebergConfig(Section):
    """All of the goal rests, a part of it shown."""

    shown_min: Share = Decimal("0.10")
    shown_max: Share = Decimal("0.25")
    better_bps: Bps = Decimal(2)
    patience_s: Span = 300
    run_away_bps: Bps = Decimal(20)
    repeg_bps: Bps = Decimal(2)
    repeg_s: Span = 1
    max_repegs: Count = 100
    max_rejections: Count = 5

    def policy(self) -> IcebergPolicy:
        """As the domain has it."""
        plain = self.model_dump(exclude={"patience_s", "repeg_s"})
        return IcebergPolicy(**plain, patience_ms=_ms(self.patience_s), repeg_ms=_ms(self.repeg_s))


class TwapConfig(Section):
    """Slices over time."""

    slice_s: Span = 30
    max_slices: Annotated[int, Field(ge=1, le=1_000)] = 20
    through_bps: Bps = Decimal(10)
    size_jitter: Jitter = Decimal("0.2")
    time_jitter: Jitter = Decimal("0.3")
    participation: Share = Decimal("0.05")
    depth_share: Share = Decimal("0.10")

    def policy(self) -> TwapPolicy:
        """As the domain has it."""
        return TwapPolicy(**self.model_dump(exclude={"slice_s"}), slice_ms=_ms(self.slice_s))


class LimitChaseConfig(Section):
    """Limit orders that go after the price, then the market within a cap."""

    tries: Annotated[int, Field(ge=1, le=100)] = 8
    window_s: Span = 6
    back_off_s: Wait = 0.075
    reduce_tries: Annotated[int, Field(ge=1, le=100)] = 5
    reduce_window_s: Span = 3
    reduce_back_off_s: Wait = 0.05
    break_even_tries: Count = 2
    break_even_bps: Bps = Decimal(6)
    break_even_reach_bps: Bps = Decimal(20)
    inside_tries: Count = 3
    enough: Annotated[Decimal, Field(ge=0.5, le=1)] = Decimal("0.99")

    def policy(self) -> ChasePolicy:
        """As the domain has it."""
        times = {"window_s", "back_off_s", "reduce_window_s", "reduce_back_off_s"}
        return ChasePolicy(
            **self.model_dump(exclude=times),
            window_ms=_ms(self.window_s),
            back_off_ms=_ms(self.back_off_s),
            reduce_window_ms=_ms(self.reduce_window_s),
            reduce_back_off_ms=_ms(self.reduce_back_off_s),
        )


class MarketOrderConfig(Section):
    """Take what is there, within a cap."""

    max_slippage_bps: Annotated[Decimal, Field(gt=0, le=500)] = Decimal(50)
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    pause_s: Span = 0.25

    def policy(self) -> MarketPolicy:
        """As the domain has it."""
        return MarketPolicy(**self.model_dump(exclude={"pause_s"}), pause_ms=_ms(self.pause_s))


class RestingConfig(Section):
    """A limit order that waits at its price."""

    max_orders: Annotated[int, Field(ge=1, le=100)] = 5
    pause_s: Span = 1

    def policy(self) -> RestingPolicy:
        """As the domain has it."""
        return RestingPolicy(max_orders=self.max_orders, pause_ms=_ms(self.pause_s))


class FeedbackConfig(Section):
    """What is learnt from passive fills and from how the market moves."""

    markout_s: Span = 10
    window_s: Span = 300
    min_fills: Annotated[int, Field(ge=1, le=200)] = 8
    picked_off_bps: Annotated[Decimal, Field(gt=0, le=500)] = Decimal(2)
    widen_bps: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(5)
    yield_bps: Annotated[Decimal, Field(gt=0, le=500)] = Decimal(6)
    min_fill_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    max_volatility_bps: Annotated[float, Field(gt=0, le=10_000)] = 60

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.window_s < self.markout_s:
            raise ValueError("window_s must not be shorter than markout_s")
        return self

    def policy(self) -> FeedbackPolicy:
        """As the domain has it."""
        plain = self.model_dump(exclude={"markout_s", "window_s"})
        return FeedbackPolicy(**plain, markout_ms=_ms(self.markout_s), window_ms=_ms(self.window_s))


class VariantConfig(Section):
    """One arm of an experiment."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    share: Share
    set: dict[str, Annotated[Decimal, Field(ge=0)]] = Field(default_factory=dict)


class ExperimentConfig(Section):
    """A comparison of parameters."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    variants: Annotated[tuple[VariantConfig, ...], Field(min_length=1, max_length=8)]

    def policy(self) -> Experiment:
        """As the domain has it."""
        return Experiment(
            name=self.name,
            variants=tuple(
                Variant(name=one.name, share=one.share, overrides=tuple((key, str(at)) for key, at in one.set.items()))
                for one in self.variants
            ),
        )


class ExecutionConfig(Section):
    """How a gap between target and position is closed."""

    by_level: ByLevelConfig = ByLevelConfig()
    reduce_by_level: ReduceByLevelConfig = ReduceByLevelConfig()
    large_of_depth: Annotated[float, Field(gt=0, le=100)] = 0.25
    large_safe: Mode = Mode.ICEBERG
    large_caution: Mode = Mode.TWAP
    escalate_misses: Annotated[int, Field(ge=1, le=1_000)] = 10
    max_refusals: Annotated[int, Field(ge=0, le=100)] = 5
    refusal_pause_s: Span = 1
    retake_s: Span = 1
    aggressive: AggressiveConfig = AggressiveConfig()
    passive: PassiveConfig = PassiveConfig()
    twap: TwapConfig = TwapConfig()
    iceberg: IcebergConfig = IcebergConfig()
    limit_chase: LimitChaseConfig = LimitChaseConfig()
    market: MarketOrderConfig = MarketOrderConfig()
    resting: RestingConfig = RestingConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    experiment: ExperimentConfig | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Also the domain's own bounds, and that an experiment changes what there is."""
        try:
            self.policy()
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return self

    def policy(self) -> ExecutionPolicy:
        """As the domain has it. Raises InvalidInput where parameters contradict each other."""
        policy = ExecutionPolicy(
            by_level=self.by_level.policy(),
            reduce_by_level=self.reduce_by_level.policy(),
            large_of_depth=self.large_of_depth,
            large_safe=self.large_safe,
            large_caution=self.large_caution,
            escalate_misses=self.escalate_misses,
            max_refusals=self.max_refusals,
            refusal_pause_ms=_ms(self.refusal_pause_s),
            retake_ms=_ms(self.retake_s),
            aggressive=self.aggressive.policy(),
            passive=self.passive.policy(),
            twap=self.twap.policy(),
            iceberg=self.iceberg.policy(),
            limit_chase=self.limit_chase.policy(),
            market=self.market.policy(),
            resting=self.resting.policy(),
            feedback=self.feedback.policy(),
            experiment=None if self.experiment is None else self.experiment.policy(),
        )
        for variant in () if policy.experiment is None else policy.experiment.variants:
            with_overrides(policy, variant.overrides)
        return policy


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
