"""How well intents were carried out, per strategy and variant. Pure: records in, numbers out.

Formulas: FINANCE "Execution quality", as `domain.quality` has them. Costs are > 0, a markout > 0 is in our favour. Sums
are made in Decimal and only then become floats: the order of the records does not matter.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from hedgelock_actors.domain.markouts import HORIZONS_MS
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.quality import (
    ImplementationShortfall,
    implementation_shortfall,
    markout,
    slippage_bps,
)
from hedgelock_actors.reporting.intents import IntentRecord

BPS = Decimal(10_000)
FILLED_SHARE = Decimal("0.99")
"""A target or an intent of which so much has filled counts as filled; the rest is carried into the next."""
Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class MarkoutPoint:
    """Mean markout at one horizon, weighted by value, with the half-width of its 95 % band (None below 2 fills)."""

    horizon_ms: int
    mean_bps: float
    half_width_bps: float | None
    fills: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One strategy (and variant), or everything. Ratios are ratios; bps are of the decided value; money is USDT."""

    strategy: str
    variant: str
    targets: int
    """Targets, trades and realisations that needed orders."""
    targets_filled: int
    targets_superseded: int
    """Neither filled nor missed: another target took their place while they were worked."""
    intents: int
    orders: int
    retries: int
    fills: int
    fill_rate: float
    """Filled quantity over decided quantity, without what was not wanted any more before it could fill."""
    traded_usdt: float
    fees_usdt: float
    shortfall_usdt: float
    shortfall_bps: float
    execution_bps: float
    fees_bps: float
    opportunity_bps: float
    slippage_bps: float | None
    """Against the mid at the decision, weighted by value; None without a fill."""
    maker_share: float | None
    fill_ms_p50: float | None
    """From the decision to the fill that completed the intent."""
    fill_ms_p99: float | None
    markouts: tuple[MarkoutPoint, ...]

    @property
    def target_fill_rate(self) -> float:
        """Share of targets that filled, of those that no other target took the place of."""
        stood = self.targets - self.targets_superseded
        return self.targets_filled / stood if stood else 1.0


@dataclass(frozen=True)
class Judged:
    """One intent with its costs; each is computed once."""

    intent: IntentRecord

    @cached_property
    def decided_value(self) -> Decimal:
        """USDT at the mid of the decision."""
        return self.qty * self.intent.decided_mid

    @cached_property
    def qty(self) -> Decimal:
        """What was decided, never less than what filled."""
        return max(self.intent.qty, self.intent.filled)

    @cached_property
    def wanted(self) -> Decimal:
        """What was decided, and still wanted when it ended."""
        return self.intent.filled if self.intent.unwanted else self.qty

    @cached_property
    def shortfall(self) -> ImplementationShortfall:
        """What it cost against the price at the decision."""
        intent = self.intent
        return implementation_shortfall(
            intent.side,
            self.qty,
            intent.decided_mid,
            [(fill.qty, fill.price) for fill in intent.fills],
            intent.decided_mid if intent.end_mid is None else intent.end_mid,
            sum((fill.fee for fill in intent.fills), ZERO),
        )

    @cached_property
    def filled(self) -> bool:
        """All of it but what the next target carries."""
        return self.intent.filled >= FILLED_SHARE * self.qty

    @cached_property
    def fill_ms(self) -> int | None:
        """From the decision to the last fill; None when it did not fill."""
        if not self.filled or not self.intent.fills:
            return None
        return max(0, max(fill.ts_ms for fill in self.intent.fills) - self.intent.decided_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionQuality:
    """The whole report: everything, each strategy, each variant of an experiment; and what plots need."""

    overall: Quality
    strategies: tuple[Quality, ...]
    variants: tuple[Quality, ...]
    judged: tuple[Judged, ...]


def judge(intents: Iterable[IntentRecord]) -> ExecutionQuality:
    """Everything about these intents. Without a price at the decision an intent cannot be judged and is left out."""
    judged = tuple(
        Judged(one)
        for one in sorted(intents, key=lambda one: (one.decided_ms, one.account, one.intent_id))
        if one.decided_mid > ZERO and one.qty > ZERO
    )
    strategies = grouped(judged, lambda one: (one.intent.strategy, ""))
    variants = grouped(
        [one for one in judged if one.intent.variant], lambda one: (one.intent.strategy, one.intent.variant)
    )
    return ExecutionQuality(
        overall=quality(judged, "all", ""),
        strategies=tuple(quality(members, *key) for key, members in strategies.items()),
        variants=tuple(quality(members, *key) for key, members in variants.items()),
        judged=judged,
    )


def grouped(
    judged: Iterable[Judged], key: Callable[[Judged], tuple[str, str]]
) -> Mapping[tuple[str, str], Sequence[Judged]]:
    """Members by key, keys sorted."""
    found: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for one in judged:
        found[key(one)].append(one)
    return {name: found[name] for name in sorted(found)}


def quality(judged: Sequence[Judged], strategy: str, variant: str) -> Quality:
    """The numbers of some intents."""
    intents = [one.intent for one in judged]
    fills = [fill for intent in intents for fill in intent.fills]
    decided, traded = _total(one.decided_value for one in judged), _total(fill.value for fill in fills)
    fees = _total(fill.fee for fill in fills)
    execution = _total(one.shortfall.execution for one in judged)
    opportunity = _total(one.shortfall.opportunity for one in judged)
    wanted, filled = _total(one.wanted for one in judged), _total(intent.filled for intent in intents)
    times = sorted(one.fill_ms for one in judged if one.fill_ms is not None)
    targets, targets_filled, targets_superseded = _targets(judged)
    return Quality(
        strategy=strategy,
        variant=variant,
        targets=targets,
        targets_filled=targets_filled,
        targets_superseded=targets_superseded,
        intents=len(intents),
        orders=sum(intent.orders for intent in intents),
        retries=sum(intent.retries for intent in intents),
        fills=len(fills),
        fill_rate=float(filled / wanted) if wanted else 1.0,
        traded_usdt=float(traded),
        fees_usdt=float(fees),
        shortfall_usdt=float(execution + fees + opportunity),
        shortfall_bps=_bps(execution + fees + opportunity, decided),
        execution_bps=_bps(execution, decided),
        fees_bps=_bps(fees, decided),
        opportunity_bps=_bps(opportunity, decided),
        slippage_bps=_slippage(intents, traded),
        maker_share=float(_total(fill.value for fill in fills if fill.is_maker) / traded) if traded else None,
        fill_ms_p50=percentile(times, 0.50),
        fill_ms_p99=percentile(times, 0.99),
        markouts=tuple(point for horizon in HORIZONS_MS if (point := markout_point(intents, horizon)) is not None),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Of sorted values, linear between neighbours; None of nothing."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def markout_point(intents: Iterable[IntentRecord], horizon_ms: int) -> MarkoutPoint | None:
    """Σ v·m / Σ v over fills whose mid at the horizon is known, with ±1.96·√(Σ v²(m − mean)²)/Σ v. None without one."""
    known = [
        (fill.value, markout(intent.side, fill.price, fill.mids[horizon_ms]) / fill.price * BPS)
        for intent in intents
        for fill in intent.fills
        if horizon_ms in fill.mids
    ]
    weight = _total(value for value, _ in known)
    if not weight:
        return None
    mean = _total(value * bps for value, bps in known) / weight
    spread = math.sqrt(_total(value**2 * (bps - mean) ** 2 for value, bps in known)) / float(weight)
    return MarkoutPoint(horizon_ms, float(mean), Z95 * spread if len(known) > 1 else None, len(known))


def _targets(judged: Iterable[Judged]) -> tuple[int, int, int]:
    """Targets that needed orders; those whose first decision all their fills cover; superseded ones."""
    causes: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        causes[one.intent.cause].append(one)
    reached = sum(_reached(members) for members in causes.values())
    superseded = sum(members[-1].intent.unwanted and not _reached(members) for members in causes.values())
    return len(causes), reached, superseded


def _reached(members: Sequence[Judged]) -> bool:
    first = members[0]
    done = sum((one.intent.filled for one in members if one.intent.side is first.intent.side), ZERO)
    return done >= FILLED_SHARE * first.qty


def _slippage(intents: Iterable[IntentRecord], traded: Decimal) -> float | None:
    if not traded:
        return None
    weighted = (
        fill.value * slippage_bps(intent.side, fill.price, intent.decided_mid)
        for intent in intents
        for fill in intent.fills
    )
    return float(_total(weighted) / traded)


def _total(values: Iterable[Decimal]) -> Decimal:
    return sum(values, ZERO)


def _bps(cost: Decimal, of: Decimal) -> float:
    return float(cost / of * BPS) if of else 0.0
