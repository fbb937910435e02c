"""Targets: level-triggered, never above the cap, never lowered in haste."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.targeting import (
    Demand,
    TargetDecision,
    TargetPolicy,
    TargetState,
    decide_target,
    wanted_qty,
)

D = Decimal
STEP = D("0.001")
POLICY = TargetPolicy(dead_band=0.05, down_dwell_ms=5_000)
NEUTRAL = D(4)
quantities = st.integers(0, 8_000_000).map(lambda n: D(n) / 1_000_000)
scores = st.one_of(st.none(), st.floats(0, 1))
steps = st.lists(
    st.tuples(quantities, quantities, scores, st.sampled_from(list(RiskLevel)), st.integers(0, 3_000)),
    min_size=1,
    max_size=25,
)


def decide(
    state: TargetState, floor: Decimal, cap: Decimal, score: float | None, level: RiskLevel, now: int
) -> tuple[TargetState, TargetDecision | None]:
    demand = Demand(floor_qty=floor, neutral_qty=NEUTRAL, level=level, ts_ms=now)
    return decide_target(
        state, demand, position_qty=D(0), cap_qty=cap, hedge_pct=score, qty_step=STEP, policy=POLICY, now_ms=now
    )


@given(steps)
def test_deciding_again_on_the_same_world_changes_nothing(
    world: list[tuple[Decimal, Decimal, float | None, RiskLevel, int]],
) -> None:
    state, now = TargetState(), 0
    for floor, cap, score, level, later in world:
        now += later
        state, _ = decide(state, floor, cap, score, level, now)
        again, decision = decide(state, floor, cap, score, level, now)
        assert decision is None
        assert again.target_qty == state.target_qty


@given(steps)
def test_versions_rise_by_one_and_targets_lie_on_the_grid(
    world: list[tuple[Decimal, Decimal, float | None, RiskLevel, int]],
) -> None:
    state, now = TargetState(), 0
    for floor, cap, score, level, later in world:
        now += later
        before = state
        state, decision = decide(state, floor, cap, score, level, now)
        assert state.version == before.version + (decision is not None)
        if decision is not None:
            assert decision.target_qty % STEP == 0
            assert decision.shortfall_qty == max(D(0), floor - cap)


@given(steps)
def test_protection_grows_at_once_and_shrinks_only_after_the_dwell(
    world: list[tuple[Decimal, Decimal, float | None, RiskLevel, int]],
) -> None:
    state, now, less_since = TargetState(target_qty=D(2)), 0, -1
    band = D("0.05") * NEUTRAL
    for floor, cap, score, level, later in world:
        now += later
        before = state.target_qty
        assert before is not None
        wanted = wanted_qty(floor, cap, score, STEP)
        less = before - wanted > band
        less_since = (now if less_since < 0 else less_since) if less else -1
        state, decision = decide(state, floor, cap, score, level, now)
        after = state.target_qty
        assert after is not None
        assert wanted - after <= band, "what is missing stays within the dead band"
        if after < before:
            assert less_since >= 0
            assert now - less_since >= POLICY.down_dwell_ms or before - cap > band, "only lost margin does not wait"
            assert after >= wanted
        if decision is not None:
            less_since = -1


@given(quantities, quantities, scores)
def test_what_is_wanted_lies_between_floor_and_cap(floor: Decimal, cap: Decimal, score: float | None) -> None:
    wanted = wanted_qty(floor, cap, score, STEP)
    assert D(0) <= wanted <= cap
    assert wanted >= min(floor, cap) - STEP
    assert wanted <= max(floor, cap) + STEP
    assert wanted_qty(floor, cap, None, STEP) <= wanted, "sentiment only adds"
