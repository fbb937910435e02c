"""From what the loans require to the short that is asked for: caps, dead band, dwell and rounding.

Level-triggered: deciding twice on the same state of the world changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.money import ZERO, dec, round_to_step


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPolicy:
    """When a target moves."""

    dead_band: float = 0.05
    """Smaller changes than this share of the neutral short D/P are not traded."""
    down_dwell_ms: int = 3_600_000
    """How long less must be wanted, without a break, before the target goes down."""
    max_demand_age_ms: int = 10_000
    """An older demand decides nothing."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.dead_band < 1.0:
            raise InvalidInput("target.dead_band", f"must be at least 0 and below 1 as a ratio, not {self.dead_band}")
        if self.down_dwell_ms < 0 or self.max_demand_age_ms <= 0:
            raise InvalidInput("target", "down_dwell_ms must be 0 or more, max_demand_age_ms greater than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the loan book of an account requires, in coin."""

    floor_qty: Decimal
    """What the stress ladder requires."""
    neutral_qty: Decimal
    """D/P."""
    level: RiskLevel
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """The target that stands, and the memory that going down needs. Start with none and the journalled version."""

    target_qty: Decimal | None = None
    version: int = 0
    level: RiskLevel = RiskLevel.SAFE
    lower_since_ms: int | None = None
    lower_peak_qty: Decimal = ZERO
    """The most that was wanted since then: the target goes down to this, not to the last dip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDecision:
    """A new target: hold this short, in coin, on the lot grid."""

    target_qty: Decimal
    version: int
    reason: str
    shortfall_qty: Decimal
    """How much of the floor the caps leave uncovered; > 0 must be told to people."""


def wanted_qty(floor_qty: Decimal, cap_qty: Decimal, hedge_pct: float | None, qty_step: Decimal) -> Decimal:
    """floor + s(cap − floor), on the grid: up, but never above the cap. A cap below the floor is all there is.

    Sentiment only adds: without a score, s = 0.

    Raises:
        InvalidInput: a negative floor or cap, or a share outside 0…1.
    """
    if floor_qty < ZERO or cap_qty < ZERO:
        raise InvalidInput("floor_qty/cap_qty", f"must be 0 or more, not {floor_qty} and {cap_qty}")
    if hedge_pct is not None and not 0.0 <= hedge_pct <= 1.0:
        raise InvalidInput("hedge_pct", f"must be in 0…1, not {hedge_pct}")
    share = ZERO if hedge_pct is None else dec(hedge_pct)
    raw = floor_qty + share * max(ZERO, cap_qty - floor_qty)
    return min(round_to_step(raw, qty_step, "up"), round_to_step(cap_qty, qty_step, "down"))


def decide_target(
    state: TargetState,
    demand: Demand,
    *,
    position_qty: Decimal,
    cap_qty: Decimal,
    hedge_pct: float | None,
    qty_step: Decimal,
    policy: TargetPolicy,
    now_ms: int,
) -> tuple[TargetState, TargetDecision | None]:
    """The next state, and a new target if it moves.

    Up at once beyond the dead band, and by any amount when the level has risen to CRITICAL. Down to the caps at
    once when they have fallen below what stands by more than the dead band; further only when less by more than the
    dead band was wanted for the whole dwell. A stale demand decides nothing. Without a target yet,
    `position_qty` (the short held now, ≥ 0) is what it is compared with, and the first decision is always stated.
    """
    if now_ms - demand.ts_ms > policy.max_demand_age_ms:
        return replace(state, lower_since_ms=None), None
    wanted = wanted_qty(demand.floor_qty, cap_qty, hedge_pct, qty_step)
    current = position_qty if state.target_qty is None else state.target_qty
    band = dec(policy.dead_band) * demand.neutral_qty
    turned_critical = demand.level is RiskLevel.CRITICAL and state.level is not RiskLevel.CRITICAL
    shortfall = max(ZERO, demand.floor_qty - cap_qty)
    state = replace(state, level=demand.level)
    if wanted - current > band or (turned_critical and wanted > current):
        why = "critical" if turned_critical else "more protection is required"
        return _state_target(state, wanted, why, shortfall)
    if current - cap_qty > band:
        # A dwell here would let a rebound take the margin: on 2020-03-13 (+39 % in an hour) it liquidates the short.
        carried = round_to_step(cap_qty, qty_step, "down")
        return _keep_dwell(state, carried, "margin and limits no longer carry the short", shortfall)
    if current - wanted > band:
        return _maybe_down(state, wanted, current, shortfall, policy, now_ms)
    state = replace(state, lower_since_ms=None, lower_peak_qty=ZERO)
    if state.target_qty is None:
        return _state_target(state, current, "first target: what is held suffices", shortfall)
    return state, None


def _maybe_down(
    state: TargetState, wanted: Decimal, current: Decimal, shortfall: Decimal, policy: TargetPolicy, now_ms: int
) -> tuple[TargetState, TargetDecision | None]:
    since = now_ms if state.lower_since_ms is None else min(state.lower_since_ms, now_ms)
    peak = wanted if state.lower_since_ms is None else max(wanted, state.lower_peak_qty)
    if now_ms - since >= policy.down_dwell_ms:
        return _state_target(state, peak, "less protection was required for the whole dwell time", shortfall)
    state = replace(state, lower_since_ms=since, lower_peak_qty=peak)
    if state.target_qty is None:
        return _keep_dwell(state, current, "first target: hold until the dwell time is over", shortfall)
    return state, None


def _keep_dwell(
    state: TargetState, target: Decimal, reason: str, shortfall: Decimal
) -> tuple[TargetState, TargetDecision]:
    next_state, decision = _state_target(state, target, reason, shortfall)
    kept = replace(next_state, lower_since_ms=state.lower_since_ms, lower_peak_qty=state.lower_peak_qty)
    return kept, decision


def _state_target(
    state: TargetState, target: Decimal, reason: str, shortfall: Decimal
) -> tuple[TargetState, TargetDecision]:
    version = state.version + 1
    decision = TargetDecision(target_qty=target, version=version, reason=reason, shortfall_qty=shortfall)
    return TargetState(target_qty=target, version=version, level=state.level), decision
