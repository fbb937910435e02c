"""From the configuration file to the domain's own values: one value at a time, nothing decided here."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.hedge import Rung
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.loan import Levels
from hedgelock_actors.domain.market import ASSETS, QuotePolicy
from hedgelock_actors.domain.policy import LoanPolicy, Policy, SizingPolicy
from hedgelock_actors.domain.targeting import TargetPolicy
from hedgelock_actors.domain.treasury import SweepPolicy
from hedgelock_actors.runtime.config import Config


def policy_of(config: Config) -> Policy:
    """All rules. Raises InvalidInput where the domain knows better than the file's own checks."""
    return Policy(
        levels=_levels(config),
        rungs=tuple(Rung(rung.drop, rung.target_ltv) for rung in config.hedge.ladder),
        target=TargetPolicy(
            dead_band=config.hedge.dead_band,
            down_dwell_ms=_ms(config.hedge.down_dwell_s),
            max_demand_age_ms=_ms(config.hedge.demand_max_age_s),
        ),
        sweep=SweepPolicy(**config.sweep.model_dump()),
        limits=_limits(config),
        quote=QuotePolicy(
            max_jump=config.market.jump,
            max_divergence=config.market.divergence,
            max_age_ms=_ms(config.market.stale_after_s),
            max_ahead_ms=_ms(config.market.ahead_max_s),
            max_spread=config.market.spread,
        ),
        execution=config.execution.policy(),
        sizing=SizingPolicy(
            max_hedge_pct=config.sizing.max_hedge_pct,
            max_score_age_ms=_ms(config.sizing.score_max_age_s),
            max_depth_age_ms=_ms(config.sizing.depth_max_age_s),
        ),
        loan=LoanPolicy(
            liquidation_ltv=config.loan.liquidation_ltv,
            margin_call_ltv=config.loan.margin_call_ltv,
            poll_ms=_ms(config.loan.poll_s),
            max_age_ms=_ms(config.loan.max_age_s),
        ),
    )


def _levels(config: Config) -> Levels:
    levels = config.levels
    return Levels(
        caution=levels.caution,
        danger=levels.danger,
        critical=levels.critical,
        ceiling=levels.ceiling,
        hysteresis=levels.hysteresis,
        dwell_ms=_ms(levels.dwell_s),
    )


def _limits(config: Config) -> Limits:
    limits = config.limits
    return Limits(
        **limits.model_dump(exclude={"position_max_age_s", "money_max_age_s", "duplicate_window_s"}),
        duplicate_window_ms=_ms(limits.duplicate_window_s),
        max_quote_age_ms=_ms(config.market.stale_after_s),
        max_position_age_ms=_ms(limits.position_max_age_s),
        max_money_age_ms=_ms(limits.money_max_age_s),
        maintenance=Decimal(str(config.sweep.maintenance)),
        taker_fee=Decimal(str(config.sweep.taker_fee)),
        symbols=frozenset(ASSETS.values()) & {account.symbol for account in config.venue.accounts},
        environment=config.venue.environment,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
