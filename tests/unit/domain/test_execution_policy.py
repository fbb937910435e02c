"""Parameters out of their bounds are refused by name, with the remedy."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest

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
    PegPolicy,
    RestingPolicy,
    TwapPolicy,
    Variant,
)
from hedgelock_actors.domain.loan import RiskLevel

D = Decimal
LEVELS = {"safe": Mode.PASSIVE, "caution": Mode.PASSIVE, "danger": Mode.PASSIVE, "critical": Mode.MARKET}


@pytest.mark.parametrize(
    ("section", "name", "bad"),
    [
        (AggressivePolicy, "through_bps", D(-1)),
        (AggressivePolicy, "step_bps", D(-1)),
        (AggressivePolicy, "limit_attempts", -1),
        (AggressivePolicy, "market_attempts", -1),
        (AggressivePolicy, "pause_ms", 0),
        (PegPolicy, "better_bps", D(-1)),
        (PassivePolicy, "better_bps", D(501)),
        (PassivePolicy, "patience_ms", 0),
        (PassivePolicy, "run_away_bps", D(0)),
        (PassivePolicy, "repeg_bps", D(0)),
        (PassivePolicy, "repeg_ms", 0),
        (PassivePolicy, "max_repegs", -1),
        (PassivePolicy, "max_rejections", -1),
        (PassivePolicy, "share", D(0)),
        (PassivePolicy, "share", D("1.1")),
        (IcebergPolicy, "shown_min", D(0)),
        (IcebergPolicy, "shown_max", D("0.05")),
        (IcebergPolicy, "patience_ms", 0),
        (TwapPolicy, "slice_ms", 0),
        (TwapPolicy, "max_slices", 0),
        (TwapPolicy, "through_bps", D(-1)),
        (TwapPolicy, "size_jitter", D(1)),
        (TwapPolicy, "time_jitter", D(20)),
        (TwapPolicy, "participation", D(0)),
        (TwapPolicy, "depth_share", D(2)),
        (ChasePolicy, "tries", 0),
        (ChasePolicy, "reduce_tries", 101),
        (ChasePolicy, "window_ms", 0),
        (ChasePolicy, "reduce_window_ms", 0),
        (ChasePolicy, "back_off_ms", -1),
        (ChasePolicy, "inside_tries", -1),
        (ChasePolicy, "break_even_bps", D(-1)),
        (ChasePolicy, "break_even_reach_bps", D(-1)),
        (ChasePolicy, "enough", D(99)),
        (MarketPolicy, "max_slippage_bps", D(0)),
        (MarketPolicy, "attempts", 0),
        (MarketPolicy, "pause_ms", 0),
        (RestingPolicy, "max_orders", 0),
        (RestingPolicy, "pause_ms", 0),
        (FeedbackPolicy, "markout_ms", 0),
        (FeedbackPolicy, "window_ms", 5),
        (FeedbackPolicy, "min_fills", 0),
        (FeedbackPolicy, "picked_off_bps", D(0)),
        (FeedbackPolicy, "widen_bps", D(-1)),
        (FeedbackPolicy, "yield_bps", D(1)),
        (FeedbackPolicy, "min_fill_rate", 5.0),
        (FeedbackPolicy, "max_volatility_bps", float("nan")),
        (ExecutionPolicy, "large_of_depth", 0.0),
        (ExecutionPolicy, "large_safe", Mode.RESTING),
        (ExecutionPolicy, "escalate_misses", 0),
        (ExecutionPolicy, "max_refusals", -1),
        (ExecutionPolicy, "refusal_pause_ms", 0),
        (ExecutionPolicy, "retake_ms", 0),
    ],
)
def test_out_of_bounds_is_refused_by_name(section: type, name: str, bad: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        section(**{name: bad})
    assert caught.value.field.startswith("execution.")
    assert caught.value.field.endswith(name)
    assert caught.value.remedy


def test_at_least_one_attempt() -> None:
    with pytest.raises(InvalidInput, match="at least one attempt"):
        AggressivePolicy(limit_attempts=0, market_attempts=0)
    assert AggressivePolicy(limit_attempts=0).limits_only() == AggressivePolicy(limit_attempts=1, market_attempts=0)
    assert AggressivePolicy().limits_only().limit_attempts == 4


def test_slow_or_priceless_strategies_are_no_answer_to_a_level() -> None:
    for slow in (Mode.PASSIVE, Mode.ICEBERG, Mode.TWAP):
        with pytest.raises(InvalidInput, match="too slow for CRITICAL"):
            ByLevel(**{**LEVELS, "critical": slow})
    with pytest.raises(InvalidInput, match="waits at a price"):
        ByLevel(**{**LEVELS, "safe": Mode.RESTING})
    assert ByLevel(**LEVELS).at(RiskLevel.CRITICAL) is Mode.MARKET


def test_an_experiment_needs_names_and_shares_that_add_up() -> None:
    half = Variant(name="a", share=D("0.5"))
    for bad in (
        lambda: Variant(name="", share=D(1)),
        lambda: Variant(name="a", share=D(0)),
        lambda: Variant(name="a", share=D("1.1")),
        lambda: Experiment(name="", variants=(half,)),
        lambda: Experiment(name="x", variants=()),
        lambda: Experiment(name="x", variants=(half, half)),
        lambda: Experiment(name="x", variants=(Variant(name="control", share=D(1)),)),
        lambda: Experiment(name="x", variants=(half, Variant(name="b", share=D("0.6")))),
    ):
        with pytest.raises(InvalidInput, match=r"execution\.experiment"):
            bad()


def test_a_policy_travels_between_processes() -> None:
    policy = ExecutionPolicy(experiment=Experiment(name="x", variants=(Variant(name="a", share=D(1)),)))
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301 — our own bytes
