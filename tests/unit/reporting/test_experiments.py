"""Two variants: does the test find a difference that is there, and none where there is none?"""

from __future__ import annotations

import random

import pytest
from scipy import stats

from hedgelock_actors.reporting.execution_quality import judge
from hedgelock_actors.reporting.experiments import Comparison, compare
from hedgelock_actors.reporting.intents import read_intents
from tests.unit.reporting.records import NOW, Stream


def test_only_variants_of_the_same_experiment_are_compared() -> None:
    same = [9_999.0, 9_998.0, 9_997.0]
    found = compared(**{"wide/control": same, "wide/wider": same, "slow/control": same})
    assert [(one.a, one.b) for one in found] == [("wide/control", "wide/wider")]


def compared(**prices: list[float]) -> list[Comparison]:
    """Sells of 1 at a mid of 10,000: a price of 9,999 costs 1 bps."""
    stream, n = Stream(), 0
    for variant, values in prices.items():
        for price in values:
            n += 1
            link = stream.intent(f"i{n}", "1", "10000", NOW + n, strategy="passive", variant=variant, version=n)
            stream.fill(link, "1", f"{price:.4f}", NOW + n)
    return compare(judge(read_intents([stream.records])).judged)


def costs(seed: int, mean_bps: float, n: int) -> list[float]:
    rng = random.Random(seed)
    return [10_000 - rng.gauss(mean_bps, 2) for _ in range(n)]


def test_a_difference_is_found_and_its_size_told() -> None:
    a, b = costs(1, 3, 60), costs(2, 1, 50)
    (found,) = compared(a=a, b=b)
    assert (found.a, found.b, found.a_intents, found.b_intents) == ("a", "b", 60, 50)
    assert found.difference_bps == pytest.approx(found.b_mean_bps - found.a_mean_bps)
    assert found.low_bps < found.difference_bps < found.high_bps < -1
    assert found.significant
    shortfall_a, shortfall_b = ([10_000 - one for one in prices] for prices in (a, b))
    assert found.p_welch == pytest.approx(stats.ttest_ind(shortfall_b, shortfall_a, equal_var=False).pvalue, rel=1e-3)


def test_no_difference_is_not_called_one() -> None:
    (found,) = compared(a=costs(3, 2, 60), b=costs(4, 2, 60))
    assert not found.significant
    assert found.low_bps < 0 < found.high_bps
    assert found.p_permutation == pytest.approx(found.p_welch, abs=0.05)


def test_the_permutation_test_is_exact_for_what_it_can_count() -> None:
    # Of the 20 ways to choose 3 of 6 values, 2 are as extreme as this one.
    (found,) = compared(a=[9_999.0, 9_998.9, 9_998.8], b=[9_996.0, 9_995.9, 9_995.8])
    assert found.p_permutation == pytest.approx(0.1, abs=0.01)


def test_constant_costs_are_compared_without_a_division_by_zero() -> None:
    (same,) = compared(a=[9_999.0] * 4, b=[9_999.0] * 4)
    assert (same.difference_bps, same.p_welch, same.p_permutation, same.significant) == (0.0, 1.0, 1.0, False)
    (other,) = compared(a=[9_999.0] * 12, b=[9_998.0] * 12)
    assert (other.difference_bps, other.low_bps, other.p_welch) == (pytest.approx(1.0), pytest.approx(1.0), 0.0)
    assert other.significant


def test_too_few_say_nothing_and_three_variants_make_three_pairs() -> None:
    assert compared(a=[9_999.0] * 9, b=[9_999.0] * 2) == []
    found = compared(a=costs(5, 1, 5), b=costs(6, 1, 5), c=costs(7, 1, 5))
    assert [(one.a, one.b) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_the_same_records_give_the_same_p() -> None:
    once, again = (compared(a=costs(8, 2, 400), b=costs(9, 2.2, 400)) for _ in range(2))
    assert once == again
