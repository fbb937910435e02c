"""Which strategy works an intent: by level, size against depth, volatility, the fate of passive orders, experiments."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import (
    BETTER_BPS_MAX,
    RESTS,
    ExecutionPolicy,
    Experiment,
    Mode,
    PegPolicy,
    Variant,
)
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.execution.hashed import unit
from hedgelock_actors.execution.strategy import Book, Feedback, Goal, Settings

CONTROL = "control"
"""Of intents that no variant of an experiment takes."""
_SECTIONS = ("aggressive", "passive", "twap", "iceberg", "limit_chase", "market", "resting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for an intent, and why."""

    mode: Mode
    variant: str
    """`experiment/variant`; empty while no experiment runs."""
    policy: ExecutionPolicy
    """The parameters in force for this intent."""
    why: str


def choose(goal: Goal, book: Book, feedback: Feedback, settings: Settings, asked: Mode | None = None) -> Choice:
    """The strategy and the parameters for a goal. A strategy that was asked for by name is taken as it is."""
    variant, policy = _assign(goal.intent_id, settings.policy)
    if asked is not None:
        return Choice(mode=asked, variant=variant, policy=policy, why="asked for")
    if goal.misses >= policy.escalate_misses:
        return Choice(mode=Mode.AGGRESSIVE, variant=variant, policy=policy, why=f"{goal.misses} orders missed before")
    mode, why = _by_level(goal, book, policy)
    if mode in RESTS:
        return _resting(mode, why, variant, policy, feedback)
    return Choice(mode=mode, variant=variant, policy=policy, why=why)


def _by_level(goal: Goal, book: Book, policy: ExecutionPolicy) -> tuple[Mode, str]:
    large = _large(goal.level, policy)
    depth = book.ask_depth_usdt if goal.reduce_only else book.bid_depth_usdt
    if large is not None and depth > 0.0:
        share = float(goal.qty * book.quote.mid) / depth
        if share > policy.large_of_depth:
            return large, f"{share:.0%} of the depth"
    modes = policy.reduce_by_level if goal.reduce_only else policy.by_level
    return modes.at(goal.level), f"level {goal.level}"


def _large(level: RiskLevel, policy: ExecutionPolicy) -> Mode | None:
    match level:
        case RiskLevel.SAFE:
            return policy.large_safe
        case RiskLevel.CAUTION:
            return policy.large_caution
        case _:
            return None


def _resting(mode: Mode, why: str, variant: str, policy: ExecutionPolicy, feedback: Feedback) -> Choice:
    bounds = policy.feedback
    loss_bps = -feedback.markout_bps if feedback.fills >= bounds.min_fills else 0.0
    against = ""
    if feedback.volatility_bps > bounds.max_volatility_bps:
        against = f"the mid moves {feedback.volatility_bps:.0f} bps a minute"
    elif loss_bps > bounds.yield_bps:
        against = f"passive fills lose {loss_bps:.1f} bps"
    elif feedback.fill_rate < bounds.min_fill_rate:
        against = f"only {feedback.fill_rate:.0%} of passive orders fills"
    if against:
        return Choice(mode=Mode.LIMIT_CHASE, variant=variant, policy=policy, why=f"{why}, but {against}")
    if loss_bps > bounds.picked_off_bps:
        policy = _widened(policy)
        why = f"{why}, wider because passive fills lose {loss_bps:.1f} bps"
    return Choice(mode=mode, variant=variant, policy=policy, why=why)


def _widened(policy: ExecutionPolicy) -> ExecutionPolicy:
    return replace(
        policy,
        passive=replace(policy.passive, better_bps=_wider(policy.passive, policy)),
        iceberg=replace(policy.iceberg, better_bps=_wider(policy.iceberg, policy)),
    )


def _wider(peg: PegPolicy, policy: ExecutionPolicy) -> Decimal:
    return min(peg.better_bps + policy.feedback.widen_bps, BETTER_BPS_MAX)


# ---------------------------------------------------------------- experiments


def _assign(intent_id: str, policy: ExecutionPolicy) -> tuple[str, ExecutionPolicy]:
    experiment = policy.experiment
    if experiment is None:
        return "", policy
    variant = assigned(intent_id, experiment)
    if variant is None:
        return f"{experiment.name}/{CONTROL}", policy
    return f"{experiment.name}/{variant.name}", with_overrides(policy, variant.overrides)


def assigned(intent_id: str, experiment: Experiment) -> Variant | None:
    """The variant that takes an intent: the same one every time; None is the control."""
    at = unit(experiment.name, intent_id)
    for variant in experiment.variants:
        at -= variant.share
        if at < 0:
            return variant
    return None


def with_overrides(policy: ExecutionPolicy, overrides: tuple[tuple[str, str], ...]) -> ExecutionPolicy:
    """The policy with some parameters replaced, given as ("passive.better_bps", "8").

    Raises:
        InvalidInput: an unknown key, or a value that is not a number or out of its bounds.
    """
    for key, text in overrides:
        policy = _with_override(policy, key, text)
    return policy


def _with_override(policy: ExecutionPolicy, key: str, text: str) -> ExecutionPolicy:
    where = f"execution.experiment.variants.set.{key}"
    section, _, name = key.partition(".")
    part = getattr(policy, section) if section in _SECTIONS else None
    if part is None or name not in {known.name for known in fields(part)}:
        raise InvalidInput(
            where, f"no such parameter; write section.key with one of the sections {', '.join(_SECTIONS)}"
        )
    try:
        value = type(getattr(part, name))(text)
    except (ValueError, InvalidOperation):
        raise InvalidInput(where, f"{text!r} is not a number of the kind that belongs there") from None
    return replace(policy, **{section: replace(part, **{name: value})})
