"""When a target moves, by how much, and when it does not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
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
POLICY = TargetPolicy(dead_band=0.05, down_dwell_ms=1_000, max_demand_age_ms=100)
HELD = TargetState(target_qty=D(2), version=3)


def decide(
    state: TargetState,
    floor: str,
    *,
    cap: str = "4",
    level: RiskLevel = RiskLevel.SAFE,
    score: float | None = None,
    position: str = "0",
    now_ms: int = 0,
    asked_ms: int | None = None,
) -> tuple[TargetState, TargetDecision | None]:
    demand = Demand(floor_qty=D(floor), neutral_qty=D(4), level=level, ts_ms=now_ms if asked_ms is None else asked_ms)
    return decide_target(
        state,
        demand,
        position_qty=D(position),
        cap_qty=D(cap),
        hedge_pct=score,
        qty_step=STEP,
        policy=POLICY,
        now_ms=now_ms,
    )


def test_more_is_wanted_at_once_beyond_the_dead_band() -> None:
    state, decision = decide(HELD, "2.2005")
    assert decision is not None
    assert (decision.target_qty, decision.version, decision.shortfall_qty) == (D("2.201"), 4, D(0))
    assert (state.target_qty, state.version) == (D("2.201"), 4)


def test_within_the_dead_band_nothing_is_traded() -> None:
    assert decide(HELD, "2.2") == (HELD, None)
    assert decide(HELD, "1.8") == (HELD, None)


def test_turning_critical_does_not_wait_for_the_dead_band() -> None:
    state, decision = decide(HELD, "2.01", level=RiskLevel.CRITICAL)
    assert decision is not None
    assert decision.target_qty == D("2.010")
    assert decide(state, "2.02", level=RiskLevel.CRITICAL)[1] is None, "only the turn, not the state"
    assert decide(HELD, "1.9", level=RiskLevel.CRITICAL)[1] is None, "never down"
    assert decide(HELD, "2.0", level=RiskLevel.CRITICAL)[1] is None, "nothing to add"


def test_down_waits_for_the_dwell_and_goes_to_the_most_that_was_wanted() -> None:
    state, decision = decide(HELD, "1.0", now_ms=7_000)
    assert decision is None
    state, decision = decide(state, "1.5", now_ms=7_500)
    assert decision is None
    state, decision = decide(state, "1.0", now_ms=7_999)
    assert decision is None
    state, decision = decide(state, "1.0", now_ms=8_000)
    assert decision is not None
    assert decision.target_qty == D("1.500")
    assert state.lower_since_ms is None


def test_a_break_starts_the_dwell_again() -> None:
    state, _ = decide(HELD, "1.0", now_ms=0)
    state, _ = decide(state, "1.9", now_ms=600)
    assert state == HELD
    state, _ = decide(state, "1.0", now_ms=700)
    assert decide(state, "1.0", now_ms=1_600)[1] is None


def test_a_stale_demand_decides_nothing_and_breaks_the_dwell() -> None:
    state, _ = decide(HELD, "1.0", now_ms=0)
    state, decision = decide(state, "4", now_ms=2_000, asked_ms=1_899)
    assert (decision, state.lower_since_ms) == (None, None)


def test_a_demand_is_fresh_up_to_its_bound() -> None:
    assert decide(HELD, "4", now_ms=100, asked_ms=0)[1] is not None
    assert decide(HELD, "4", now_ms=101, asked_ms=0)[1] is None


def test_nothing_is_a_quantity() -> None:
    assert wanted_qty(D(0), D(0), None, STEP) == D(0)


def test_a_policy_may_have_no_dead_band_and_no_dwell() -> None:
    assert replace(POLICY, dead_band=0.0, down_dwell_ms=0).dead_band == 0.0


def test_a_cap_below_the_floor_is_all_there_is_and_the_rest_is_told() -> None:
    _, decision = decide(HELD, "3", cap="2.5")
    assert decision is not None
    assert (decision.target_qty, decision.shortfall_qty) == (D("2.500"), D("0.5"))


def test_when_the_margin_no_longer_carries_the_short_it_shrinks_at_once() -> None:
    _, decision = decide(HELD, "1.9", cap="1.5")
    assert decision is not None
    assert (decision.target_qty, decision.shortfall_qty) == (D("1.500"), D("0.4"))
    assert decide(HELD, "1.9", cap="1.8")[1] is None, "within the dead band it stays"


def test_without_a_target_the_position_is_compared_and_the_first_target_is_stated() -> None:
    state, decision = decide(TargetState(), "2.1", position="2")
    assert decision is not None
    assert (decision.target_qty, state.target_qty, decision.version) == (D(2), D(2), 1)
    _, decision = decide(TargetState(), "3", position="2")
    assert decision is not None
    assert decision.target_qty == D("3.000")


def test_a_restart_never_lowers_the_hedge_at_once() -> None:
    state, decision = decide(TargetState(), "0", position="2", now_ms=0)
    assert decision is not None
    assert decision.target_qty == D(2)
    assert decide(state, "0", now_ms=999)[1] is None
    later = decide(state, "0", now_ms=1_000)[1]
    assert later is not None
    assert later.target_qty == D(0)


def test_sentiment_only_adds() -> None:
    assert wanted_qty(D(2), D(4), None, STEP) == D(2)
    assert wanted_qty(D(2), D(4), 0.0, STEP) == D(2)
    assert wanted_qty(D(2), D(4), 0.25, STEP) == D("2.5")
    assert wanted_qty(D(2), D(4), 1.0, STEP) == D(4)
    assert wanted_qty(D(3), D(2), 1.0, STEP) == D(2)


def test_rounding_is_up_but_not_above_the_cap() -> None:
    assert wanted_qty(D("1.0001"), D(4), None, STEP) == D("1.001")
    assert wanted_qty(D("1.0001"), D("1.0005"), None, STEP) == D("1.000")


@pytest.mark.parametrize(
    ("floor", "cap", "score"), [("-1", "1", None), ("1", "-1", None), ("1", "2", 1.5), ("1", "2", float("nan"))]
)
def test_nonsense_is_refused(floor: str, cap: str, score: float | None) -> None:
    with pytest.raises(InvalidInput):
        wanted_qty(D(floor), D(cap), score, STEP)


@pytest.mark.parametrize("bad", [{"dead_band": 5.0}, {"down_dwell_ms": -1}, {"max_demand_age_ms": 0}])
def test_a_policy_of_nonsense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        replace(POLICY, **bad)  # type: ignore[arg-type]


def test_a_cap_below_what_stands_lowers_the_target_to_the_cap_and_no_further() -> None:
    policy = TargetPolicy(down_dwell_ms=3_600_000)
    demand = Demand(floor_qty=Decimal(0), neutral_qty=Decimal(4), level=RiskLevel.SAFE, ts_ms=0)
    standing = TargetState(target_qty=Decimal(3), version=7)
    state, decision = decide_target(
        standing,
        demand,
        position_qty=Decimal(3),
        cap_qty=Decimal("2.0005"),
        hedge_pct=None,
        qty_step=Decimal("0.001"),
        policy=policy,
        now_ms=0,
    )
    assert decision is not None
    assert decision.target_qty == Decimal("2.000")
    assert state.version == 8
