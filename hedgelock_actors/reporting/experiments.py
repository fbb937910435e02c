"""Are the variants of a strategy different? Implementation shortfall per intent, in bps, two variants at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hedgelock_actors.reporting.execution_quality import Judged

INTENTS_MIN = 3
"""Fewer in either variant say nothing."""
RESAMPLES = 9_999
CELLS_MAX = 1_000_000
"""So many values are shuffled at a time."""
SIGNIFICANT = 0.05
Sample = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Variant `b` against `a`, each `experiment/variant`. `difference_bps`: mean(b) − mean(a); below 0 b is cheaper."""

    strategy: str
    a: str
    b: str
    a_intents: int
    b_intents: int
    a_mean_bps: float
    b_mean_bps: float
    difference_bps: float
    low_bps: float
    """The difference's 95 % confidence interval (Welch)."""
    high_bps: float
    p_welch: float
    """Welch's t test: equal means, variances unequal, two-sided."""
    p_permutation: float
    """The share of random assignments that differ as much or more: assumes no distribution."""

    @property
    def significant(self) -> bool:
        """Both tests say so at 5 %."""
        return max(self.p_welch, self.p_permutation) < SIGNIFICANT


def compare(judged: Iterable[Judged]) -> list[Comparison]:
    """All pairs of variants of each strategy that have enough intents, in alphabetical order."""
    samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in judged:
        if one.intent.variant:
            samples[one.intent.strategy][one.intent.variant].append(float(one.shortfall.bps))
    found = []
    for strategy in sorted(samples):
        for a, b in combinations(sorted(samples[strategy]), 2):
            if a.partition("/")[0] != b.partition("/")[0] and "/" in a + b:
                continue  # variants of different experiments were never meant to be compared
            first, second = sorted(samples[strategy][a]), sorted(samples[strategy][b])
            if min(len(first), len(second)) >= INTENTS_MIN:
                found.append(_compare(strategy, (a, first), (b, second)))
    return found


def _compare(strategy: str, a: tuple[str, Sequence[float]], b: tuple[str, Sequence[float]]) -> Comparison:
    first, second = np.asarray(a[1]), np.asarray(b[1])
    difference = float(second.mean() - first.mean())
    if first.std() == 0 and second.std() == 0:  # nothing varies: the means differ for certain, or not at all
        low = high = difference
        p_welch = 1.0 if difference == 0 else 0.0
    else:
        welch = stats.ttest_ind(second, first, equal_var=False)
        interval = welch.confidence_interval(0.95)
        low, high, p_welch = float(interval.low), float(interval.high), float(welch.pvalue)
    return Comparison(
        strategy=strategy,
        a=a[0],
        b=b[0],
        a_intents=len(first),
        b_intents=len(second),
        a_mean_bps=float(first.mean()),
        b_mean_bps=float(second.mean()),
        difference_bps=difference,
        low_bps=low,
        high_bps=high,
        p_welch=p_welch,
        p_permutation=_permutation_p(first, second),
    )


def _permutation_p(first: Sample, second: Sample) -> float:
    """(1 + resamples at least as extreme) / (1 + resamples); seeded, so that a report is reproducible."""
    both = np.concatenate([first, second])
    observed, total, n = abs(second.mean() - first.mean()), both.sum(), len(first)
    rng, extreme, left = np.random.default_rng(0), 0, RESAMPLES
    while left:
        rows = min(left, max(1, CELLS_MAX // len(both)))
        sums = rng.permuted(np.tile(both, (rows, 1)), axis=1)[:, :n].sum(axis=1)
        differences = np.abs((total - sums) / len(second) - sums / n)
        extreme += int(np.count_nonzero(differences >= observed - 1e-9))
        left -= rows
    return (1 + extreme) / (1 + RESAMPLES)
