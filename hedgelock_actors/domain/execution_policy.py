"""How intents are carried out: every parameter of every strategy, with its default and its bounds.

Basis points are of the mid. Times are ms of venue time. Shares are ratios.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan import RiskLevel

Number = Decimal | float | int


class Mode(StrEnum):
    """What a strategy is called, in the configuration, the journal and reports."""

    AGGRESSIVE = "aggressive"
    PASSIVE = "passive"
    TWAP = "twap"
    ICEBERG = "iceberg"
    LIMIT_CHASE = "limit_chase"
    MARKET = "market"
    RESTING = "resting"
    """A limit order that waits at its price: the trigger leg of a spread."""


BETTER_BPS_MAX = Decimal(500)
RESTS = frozenset({Mode.PASSIVE, Mode.ICEBERG})
"""Strategies that wait in the book to be found: they are picked off when the market moves fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AggressivePolicy:
    """Fill now: IOC limits that reach through the mid, each further than the one before, then the market."""

    through_bps: Decimal = Decimal(10)
    """How far through the mid the first limit reaches."""
    step_bps: Decimal = Decimal(10)
    """How much further every next attempt reaches, up to the limits' slippage cap."""
    limit_attempts: int = 4
    """IOC limit orders that may miss before a market order is sent."""
    market_attempts: int = 2
    """Market orders that may miss before the intent ends; the next intent begins with limits. 0: no market orders."""
    pause_ms: int = 250
    """From an attempt that missed to the next: the book needs a moment to fill up again."""

    def __post_init__(self) -> None:
        _least("aggressive.through_bps", self.through_bps, 0)
        _least("aggressive.step_bps", self.step_bps, 0)
        _least("aggressive.limit_attempts", self.limit_attempts, 0)
        _least("aggressive.market_attempts", self.market_attempts, 0)
        if self.limit_attempts + self.market_attempts < 1:
            raise _wrong("aggressive.limit_attempts", "at least one attempt is needed, limit or market")
        _least("aggressive.pause_ms", self.pause_ms, 1)

    def limits_only(self) -> AggressivePolicy:
        """The same without market orders."""
        return replace(self, limit_attempts=max(1, self.limit_attempts), market_attempts=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PegPolicy:
    """What keeps a post-only order at its distance from the mid, and when it is given up (the catch-up rule)."""

    better_bps: Decimal = Decimal(5)
    """How much better than the mid it asks for."""
    patience_ms: int = 30_000
    """So long may it take before the rest is filled at once."""
    run_away_bps: Decimal = Decimal(15)
    """The mid may move so far against us from where it was decided."""
    repeg_bps: Decimal = Decimal(2)
    """The order follows the mid when it is off by this much …"""
    repeg_ms: int = 1_000
    """… and not more often than this."""
    max_repegs: int = 30
    max_rejections: int = 5
    """Orders that may be turned away (post-only and already marketable) before the rest is filled at once."""

    def __post_init__(self) -> None:
        name = self.section
        _between(f"{name}.better_bps", self.better_bps, 0, BETTER_BPS_MAX)
        _least(f"{name}.patience_ms", self.patience_ms, 1)
        _above(f"{name}.run_away_bps", self.run_away_bps, 0)
        _above(f"{name}.repeg_bps", self.repeg_bps, 0)
        _least(f"{name}.repeg_ms", self.repeg_ms, 1)
        _least(f"{name}.max_repegs", self.max_repegs, 0)
        _least(f"{name}.max_rejections", self.max_rejections, 0)

    @property
    def section(self) -> str:
        """Where it stands in the configuration."""
        return "peg"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassivePolicy(PegPolicy):
    """Part of the goal rests in the book, the other part is filled at once."""

    share: Decimal = Decimal("0.5")
    """The part that rests."""

    def __post_init__(self) -> None:
        PegPolicy.__post_init__(self)
        _above("passive.share", self.share, 0)
        _between("passive.share", self.share, 0, 1)

    @property
    def section(self) -> str:
        """Where it stands in the configuration."""
        return "passive"


@dataclass(frozen=True, slots=True, kw_only=True)
class IcebergPolicy(PegPolicy):
    """All of the goal rests in the book, a random part of it shown at a time."""

    better_bps: Decimal = Decimal(2)
    patience_ms: int = 300_000
    run_away_bps: Decimal = Decimal(20)
    max_repegs: int = 100
    shown_min: Decimal = Decimal("0.10")
    """Least part of the goal that is shown."""
    shown_max: Decimal = Decimal("0.25")

    def __post_init__(self) -> None:
        PegPolicy.__post_init__(self)
        _between("iceberg.shown_min", self.shown_min, Decimal("0.01"), 1)
        _between("iceberg.shown_max", self.shown_max, self.shown_min, 1)

    @property
    def section(self) -> str:
        """Where it stands in the configuration."""
        return "iceberg"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwapPolicy:
    """Slices over time, each an IOC limit; what a slice misses goes to the next."""

    slice_ms: int = 30_000
    max_slices: int = 20
    through_bps: Decimal = Decimal(10)
    """How far through the mid a slice reaches."""
    size_jitter: Decimal = Decimal("0.2")
    """A slice is this much smaller or larger than an even part, as a ratio."""
    time_jitter: Decimal = Decimal("0.3")
    """A slice comes up to this part of `slice_ms` later than its time."""
    participation: Decimal = Decimal("0.05")
    """Largest part of what the market trades during a slice, by the day's turnover …"""
    depth_share: Decimal = Decimal("0.10")
    """… or, while nobody knows the turnover, of the depth within 1 % of the mid."""

    def __post_init__(self) -> None:
        _least("twap.slice_ms", self.slice_ms, 1)
        _between("twap.max_slices", self.max_slices, 1, 1_000)
        _between("twap.through_bps", self.through_bps, 0, 500)
        _below_one("twap.size_jitter", self.size_jitter)
        _below_one("twap.time_jitter", self.time_jitter)
        for name in ("participation", "depth_share"):
            value: Decimal = getattr(self, name)
            _above(f"twap.{name}", value, 0)
            _between(f"twap.{name}", value, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChasePolicy:
    """Limit orders that go after the price for a short while, then the market within a cap."""

    tries: int = 8
    window_ms: int = 6_000
    back_off_ms: int = 75
    """From the end of a try to the next."""
    reduce_tries: int = 5
    """The same three for orders that shrink the hedge."""
    reduce_window_ms: int = 3_000
    reduce_back_off_ms: int = 50
    break_even_tries: int = 2
    """Tries at the price that breaks even, when there is a fill to measure it by."""
    break_even_bps: Decimal = Decimal(6)
    """What both fills cost in fees: so much better than the reference price breaks even."""
    break_even_reach_bps: Decimal = Decimal(20)
    """A break-even price further from the mid than this is not tried."""
    inside_tries: int = 3
    """Tries one tick inside the spread; the rest go to the touch."""
    enough: Decimal = Decimal("0.99")
    """With this part filled it is done; the rest stays in the gap."""

    def __post_init__(self) -> None:
        for name in ("tries", "reduce_tries"):
            count: int = getattr(self, name)
            _between(f"limit_chase.{name}", count, 1, 100)
        for name in ("window_ms", "reduce_window_ms"):
            window: int = getattr(self, name)
            _least(f"limit_chase.{name}", window, 1)
        for name in ("back_off_ms", "reduce_back_off_ms", "break_even_tries", "inside_tries"):
            value: int = getattr(self, name)
            _least(f"limit_chase.{name}", value, 0)
        _between("limit_chase.break_even_bps", self.break_even_bps, 0, 500)
        _between("limit_chase.break_even_reach_bps", self.break_even_reach_bps, 0, 500)
        _between("limit_chase.enough", self.enough, Decimal("0.5"), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPolicy:
    """Take what is there, within a cap on the slippage that is estimated before."""

    max_slippage_bps: Decimal = Decimal(50)
    """The limits' slippage cap applies as well."""
    attempts: int = 3
    pause_ms: int = 250

    def __post_init__(self) -> None:
        _above("market.max_slippage_bps", self.max_slippage_bps, 0)
        _between("market.max_slippage_bps", self.max_slippage_bps, 0, 500)
        _between("market.attempts", self.attempts, 1, 100)
        _least("market.pause_ms", self.pause_ms, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingPolicy:
    """A limit order that waits at its price."""

    max_orders: int = 5
    """So many may end without filling (turned away, cancelled by the venue) before it is given up."""
    pause_ms: int = 1_000

    def __post_init__(self) -> None:
        _between("resting.max_orders", self.max_orders, 1, 100)
        _least("resting.pause_ms", self.pause_ms, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPolicy:
    """What is learnt from passive fills and from how the market moves."""

    markout_ms: int = 10_000
    """How long after a fill the mid is compared with it."""
    window_ms: int = 300_000
    """Fills and prices older than this say nothing any more."""
    min_fills: int = 8
    """Fewer fills than this say nothing."""
    picked_off_bps: Decimal = Decimal(2)
    """Passive orders ask for more once their fills lose this much on average …"""
    widen_bps: Decimal = Decimal(5)
    """… namely this much more."""
    yield_bps: Decimal = Decimal(6)
    """Passive orders are not used while their fills lose this much …"""
    min_fill_rate: float = 0.05
    """… or while less than this part of what they posted was filled."""
    max_volatility_bps: float = 60.0
    """No order rests in the book while the mid moves more than this in a minute (standard deviation)."""

    def __post_init__(self) -> None:
        _least("feedback.markout_ms", self.markout_ms, 1)
        _least("feedback.window_ms", self.window_ms, self.markout_ms)
        _least("feedback.min_fills", self.min_fills, 1)
        _above("feedback.picked_off_bps", self.picked_off_bps, 0)
        _between("feedback.widen_bps", self.widen_bps, 0, 100)
        _least("feedback.yield_bps", self.yield_bps, self.picked_off_bps)
        _between("feedback.min_fill_rate", self.min_fill_rate, 0, 1)
        _above("feedback.max_volatility_bps", self.max_volatility_bps, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLevel:
    """A strategy for each risk level."""

    safe: Mode
    caution: Mode
    danger: Mode
    critical: Mode

    def __post_init__(self) -> None:
        if Mode.RESTING in (self.safe, self.caution, self.danger, self.critical):
            raise _wrong("by_level", "`resting` waits at a price that only an order for a spread has; name another")
        if self.critical in (*RESTS, Mode.TWAP):
            raise _wrong(
                "by_level", f"`{self.critical}` is too slow for CRITICAL; use aggressive, limit_chase or market"
            )

    def at(self, level: RiskLevel) -> Mode:
        """The strategy for a level."""
        return (self.safe, self.caution, self.danger, self.critical)[level.rank]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One arm of an experiment: a share of the intents, and the parameters that are different for them."""

    name: str
    share: Decimal
    overrides: tuple[tuple[str, str], ...] = ()
    """("passive.better_bps", "8"): a key below `execution` and its value as text."""

    def __post_init__(self) -> None:
        if not self.name:
            raise _wrong("experiment.variants", "every variant needs a name")
        _above("experiment.variants.share", self.share, 0)
        _between("experiment.variants.share", self.share, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A comparison of parameters. Intents that no variant takes are the control."""

    name: str
    variants: tuple[Variant, ...]

    def __post_init__(self) -> None:
        if not self.name or not self.variants:
            raise _wrong("experiment", "needs a name and at least one variant")
        names = [variant.name for variant in self.variants]
        if len({*names, "control"}) != len(names) + 1:
            raise _wrong("experiment.variants", "each variant needs a name of its own, other than `control`")
        if sum(variant.share for variant in self.variants) > 1:
            raise _wrong("experiment.variants.share", "the shares must not add up to more than 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPolicy:
    """How an intent is carried out."""

    by_level: ByLevel = ByLevel(
        safe=Mode.PASSIVE, caution=Mode.PASSIVE, danger=Mode.LIMIT_CHASE, critical=Mode.AGGRESSIVE
    )
    """For orders that grow the hedge."""
    reduce_by_level: ByLevel = ByLevel(
        safe=Mode.PASSIVE, caution=Mode.LIMIT_CHASE, danger=Mode.LIMIT_CHASE, critical=Mode.AGGRESSIVE
    )
    """For orders that shrink it."""
    large_of_depth: float = 0.25
    """More than this part of the depth within 1 % of the mid is large."""
    large_safe: Mode = Mode.ICEBERG
    """For large orders at SAFE; DANGER and CRITICAL have no time for size."""
    large_caution: Mode = Mode.TWAP
    escalate_misses: int = 10
    """An intent whose orders missed this often is worked aggressively whatever the level: it must end some time."""
    max_refusals: int = 5
    """So often in a row may our own limits stop an order before the strategy gives up."""
    refusal_pause_ms: int = 1_000
    retake_ms: int = 1_000
    """After a strategy that gave up, so long until its gap is taken up again."""
    aggressive: AggressivePolicy = field(default_factory=AggressivePolicy)
    passive: PassivePolicy = field(default_factory=PassivePolicy)
    twap: TwapPolicy = field(default_factory=TwapPolicy)
    iceberg: IcebergPolicy = field(default_factory=IcebergPolicy)
    limit_chase: ChasePolicy = field(default_factory=ChasePolicy)
    market: MarketPolicy = field(default_factory=MarketPolicy)
    resting: RestingPolicy = field(default_factory=RestingPolicy)
    feedback: FeedbackPolicy = field(default_factory=FeedbackPolicy)
    experiment: Experiment | None = None

    def __post_init__(self) -> None:
        _above("large_of_depth", self.large_of_depth, 0)
        if Mode.RESTING in (self.large_safe, self.large_caution):
            raise _wrong("large_safe", "`resting` waits at a price that only an order for a spread has; name another")
        _least("escalate_misses", self.escalate_misses, 1)
        _between("max_refusals", self.max_refusals, 0, 100)
        _least("refusal_pause_ms", self.refusal_pause_ms, 1)
        _least("retake_ms", self.retake_ms, 1)


def _wrong(name: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"execution.{name}", remedy)


def _least(name: str, value: Number, least: Number) -> None:
    if not value >= least:
        raise _wrong(name, f"must be {least} or more, not {value}")


def _above(name: str, value: Number, bound: Number) -> None:
    if not value > bound:
        raise _wrong(name, f"must be greater than {bound}, not {value}")


def _between(name: str, value: Number, least: Number, most: Number) -> None:
    if not least <= value <= most:
        raise _wrong(name, f"must be {least} to {most}, not {value}")


def _below_one(name: str, value: Decimal) -> None:
    if not 0 <= value < 1:
        raise _wrong(name, f"must be 0 or more and below 1, as a ratio (0.2, not 20), not {value}")
