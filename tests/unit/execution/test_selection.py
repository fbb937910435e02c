"""Which strategy is chosen, with which parameters, and why."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import (
    BETTER_BPS_MAX,
    ByLevel,
    ExecutionPolicy,
    Experiment,
    Mode,
    PassivePolicy,
    Variant,
)
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.order import Side
from hedgelock_actors.execution.build import build
from hedgelock_actors.execution.selection import Choice, assigned, choose, with_overrides
from hedgelock_actors.execution.strategy import Feedback, Goal
from tests.unit.execution.driver import BUY, SELL, SETTINGS, book

D = Decimal
UNKNOWN = Feedback()
EXPERIMENT = Experiment(
    name="distance",
    variants=(
        Variant(name="wide", share=D("0.3"), overrides=(("passive.better_bps", "8"), ("passive.max_repegs", "7"))),
        Variant(name="near", share=D("0.2"), overrides=(("passive.better_bps", "1"),)),
    ),
)


def chosen(goal: Goal, feedback: Feedback = UNKNOWN, depth: float = 10_000_000.0) -> Choice:
    return choose(goal, book(depth=depth), feedback, SETTINGS)


@pytest.mark.parametrize(
    ("side", "modes"),
    [
        (Side.SELL, [Mode.PASSIVE, Mode.PASSIVE, Mode.LIMIT_CHASE, Mode.AGGRESSIVE]),
        (Side.BUY, [Mode.PASSIVE, Mode.LIMIT_CHASE, Mode.LIMIT_CHASE, Mode.AGGRESSIVE]),
    ],
)
def test_by_level_and_side(side: Side, modes: list[Mode]) -> None:
    goals = [replace(SELL, side=side, level=level) for level in RiskLevel]
    assert [chosen(goal).mode for goal in goals] == modes
    assert [chosen(goal).why for goal in goals][-1] == "level CRITICAL"
    assert {chosen(goal).variant for goal in goals} == {""}


def test_what_is_large_against_the_depth_goes_over_time_while_there_is_time() -> None:
    goals = [replace(SELL, level=level) for level in RiskLevel]
    assert [chosen(goal, depth=400_000.0).mode for goal in goals] == [
        Mode.ICEBERG, Mode.TWAP, Mode.LIMIT_CHASE, Mode.AGGRESSIVE,
    ]  # fmt: skip
    assert chosen(goals[1], depth=400_000.0).why == "30% of the depth"
    assert chosen(goals[1], depth=500_000.0).mode is Mode.PASSIVE
    assert chosen(goals[1], depth=0.0).mode is Mode.PASSIVE, "nobody knows"
    one_sided = replace(book(depth=10_000_000.0), ask_depth_usdt=1_000.0)
    assert choose(SELL, one_sided, UNKNOWN, SETTINGS).mode is Mode.PASSIVE
    assert choose(replace(BUY, level=RiskLevel.CAUTION), one_sided, UNKNOWN, SETTINGS).mode is Mode.TWAP


def test_nothing_rests_while_the_market_moves_fast() -> None:
    fast = Feedback(volatility_bps=61.0)
    assert (chosen(SELL, fast).mode, chosen(SELL, fast).why) == (
        Mode.LIMIT_CHASE, "level CAUTION, but the mid moves 61 bps a minute",
    )  # fmt: skip
    assert chosen(replace(SELL, level=RiskLevel.SAFE), fast, depth=400_000.0).mode is Mode.LIMIT_CHASE
    assert chosen(SELL, fast, depth=400_000.0).mode is Mode.TWAP, "slices do not rest"
    assert chosen(SELL, Feedback(volatility_bps=60.0)).mode is Mode.PASSIVE


def test_passive_orders_that_are_picked_off_ask_for_more_and_then_yield() -> None:
    fine = chosen(SELL, Feedback(markout_bps=-2.0, fills=8))
    assert fine.policy == SETTINGS.policy
    wider = chosen(SELL, Feedback(markout_bps=-2.1, fills=8))
    assert (wider.mode, wider.policy.passive.better_bps, wider.policy.iceberg.better_bps) == (Mode.PASSIVE, D(10), D(7))
    assert wider.why == "level CAUTION, wider because passive fills lose 2.1 bps"
    assert chosen(SELL, Feedback(markout_bps=-6.1, fills=8)).mode is Mode.LIMIT_CHASE
    assert chosen(SELL, Feedback(markout_bps=-60.0, fills=7)).policy == SETTINGS.policy, "too few to say"
    most = ExecutionPolicy(passive=PassivePolicy(better_bps=BETTER_BPS_MAX))
    widest = choose(SELL, book(), Feedback(markout_bps=-3.0, fills=8), replace(SETTINGS, policy=most))
    assert widest.policy.passive.better_bps == BETTER_BPS_MAX


def test_passive_orders_that_are_hardly_filled_yield() -> None:
    assert chosen(SELL, Feedback(fill_rate=0.04)).why == "level CAUTION, but only 4% of passive orders fills"
    assert chosen(SELL, Feedback(fill_rate=0.05)).mode is Mode.PASSIVE


def test_an_intent_that_missed_too_often_ends_aggressively() -> None:
    assert chosen(replace(SELL, misses=9)).mode is Mode.PASSIVE
    assert (chosen(replace(SELL, misses=10)).mode, chosen(replace(SELL, misses=10)).why) == (
        Mode.AGGRESSIVE, "10 orders missed before",
    )  # fmt: skip


@pytest.mark.parametrize("mode", Mode)
def test_what_is_asked_for_is_taken_and_built(mode: Mode) -> None:
    goal = replace(SELL, misses=99, limit_price=D(60_000))
    choice = choose(goal, book(), Feedback(volatility_bps=500.0), SETTINGS, mode)
    assert (choice.mode, choice.why) == (mode, "asked for")
    assert build(choice, goal, SETTINGS).mode is mode


def test_the_same_intent_takes_part_in_the_same_way_every_time() -> None:
    settings = replace(SETTINGS, policy=ExecutionPolicy(experiment=EXPERIMENT))
    counts: dict[str, int] = {}
    for number in range(2_000):
        goal = replace(SELL, intent_id=f"intent-{number}")
        choice = choose(goal, book(), UNKNOWN, settings)
        assert choice == choose(goal, book(), UNKNOWN, settings)
        counts[choice.variant] = counts.get(choice.variant, 0) + 1
        expected = {"distance/wide": D(8), "distance/near": D(1), "distance/control": D(5)}
        assert choice.policy.passive.better_bps == expected[choice.variant]
        assert choice.policy.passive.max_repegs == (7 if choice.variant == "distance/wide" else 30)
    assert 500 < counts["distance/wide"] < 700
    assert 320 < counts["distance/near"] < 480
    taken = assigned("intent-1", replace(EXPERIMENT, variants=(Variant(name="all", share=D(1)),)))
    assert taken is not None
    assert taken.name == "all"


@pytest.mark.parametrize(
    ("key", "text", "what"),
    [
        ("passive.bettr_bps", "8", "no such parameter"),
        ("passive", "8", "no such parameter"),
        ("feedback.min_fills", "8", "no such parameter"),
        ("passive.better_bps", "much", "not a number"),
        ("passive.max_repegs", "8.5", "not a number"),
        ("passive.better_bps", "-8", "must be 0 to 500"),
    ],
)
def test_overrides_that_cannot_be_are_refused_by_name(key: str, text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what) as caught:
        with_overrides(ExecutionPolicy(), ((key, text),))
    assert caught.value.field.endswith(key)


def test_configured_modes_are_used() -> None:
    slow = ByLevel(safe=Mode.TWAP, caution=Mode.ICEBERG, danger=Mode.MARKET, critical=Mode.LIMIT_CHASE)
    settings = replace(SETTINGS, policy=ExecutionPolicy(by_level=slow, large_safe=Mode.TWAP))
    modes = [choose(replace(SELL, level=level), book(), UNKNOWN, settings).mode for level in RiskLevel]
    assert modes == [Mode.TWAP, Mode.ICEBERG, Mode.MARKET, Mode.LIMIT_CHASE]
