"""What goes wrong in one run: drawn from its seed. Each kind of fault is on or off for the whole run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from random import Random
from typing import Literal

Market = Literal["calm", "crash", "rally", "chop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """Probability per message, request or event; 0 is off."""

    drop_message: float = 0.0
    repeat_message: float = 0.0
    reorder_message: float = 0.0
    delay_message: float = 0.0
    drop_push: float = 0.0
    repeat_push: float = 0.0
    reorder_push: float = 0.0
    delay_push: float = 0.0
    lose_request: float = 0.0
    lose_answer: float = 0.0
    late_request: float = 0.0
    late_answer: float = 0.0
    half_ack: float = 0.0
    rate_limit: float = 0.0
    fail_query: float = 0.0
    post_only_reject: float = 0.0
    journal_unavailable: float = 0.0
    commit_unknown: float = 0.0
    journal_slow: float = 0.0
    cache_unavailable: float = 0.0
    bad_print: float = 0.0
    lease_unavailable: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Mean number per virtual hour; 0 is off."""

    crash: float = 0.0
    pause: float = 0.0
    zombie: float = 0.0
    partition: float = 0.0
    cut_stream: float = 0.0
    freeze_feed: float = 0.0
    break_feed: float = 0.0
    journal_stall: float = 0.0
    journal_down: float = 0.0
    clock_step: float = 0.0
    clock_drift: float = 0.0
    maintenance: float = 0.0
    manual_trade: float = 0.0
    halt: float = 0.0
    price_jump: float = 0.0
    trade: float = 0.0
    """Orders by a person beside the target (`hedge_trades`), some of them told twice, some cancelled."""
    rate_burst: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """One run."""

    seed: int
    market: Market = "calm"
    minutes: int = 12
    """Of phase one: faults on."""
    quiet_minutes: int = 3
    """Of phase two: faults off."""
    tick_ms: int = 5_000
    ltv: str = "0.40"
    max_position_qty: str = "50"
    max_order_qty: str = "10"
    dead_band: float = 0.05
    down_dwell_ms: int = 3_600_000
    mode: str = ""
    """A strategy for all levels but CRITICAL; empty: as configured by default."""
    converge_ms: int = 60_000
    """From the end of faults to the target; a strategy that is slow on purpose is given longer."""
    query_lag_ms: int = 0
    executions_lag_ms: int = 0
    shuffle: bool = False
    chances: Chances = field(default_factory=Chances)
    rates: Rates = field(default_factory=Rates)


_SLOW = ("twap", "iceberg", "passive")

_CHANCE_MAX = {
    "drop_message": 0.10,
    "repeat_message": 0.20,
    "reorder_message": 0.20,
    "delay_message": 0.20,
    "drop_push": 0.30,
    "repeat_push": 0.30,
    "reorder_push": 0.40,
    "delay_push": 0.30,
    "lose_request": 0.30,
    "lose_answer": 0.30,
    "late_request": 0.20,
    "late_answer": 0.30,
    "half_ack": 0.25,
    "rate_limit": 0.30,
    "fail_query": 0.30,
    "post_only_reject": 0.40,
    "journal_unavailable": 0.05,
    "commit_unknown": 0.05,
    "journal_slow": 0.20,
    "cache_unavailable": 0.50,
    "bad_print": 0.05,
    "lease_unavailable": 0.20,
}
_RATE_MAX = {
    "crash": 40.0,
    "pause": 20.0,
    "zombie": 10.0,
    "partition": 20.0,
    "cut_stream": 30.0,
    "freeze_feed": 15.0,
    "break_feed": 20.0,
    "journal_stall": 20.0,
    "journal_down": 15.0,
    "clock_step": 15.0,
    "clock_drift": 15.0,
    "maintenance": 6.0,
    "manual_trade": 8.0,
    "halt": 8.0,
    "price_jump": 15.0,
    "trade": 60.0,
    "rate_burst": 15.0,
}


def draw(seed: int) -> Knobs:
    """The run of a seed. A quarter of the kinds is on in each run, so that kinds meet in many combinations."""
    rng = Random(f"knobs {seed}")
    market: Market = rng.choice(("calm", "crash", "crash", "rally", "chop"))
    share = rng.choice((0.0, 0.15, 0.3, 0.5))
    mode = rng.choice(("", "", "", "", "aggressive", "passive", "limit_chase", "market", "twap", "iceberg"))
    slow = mode in _SLOW
    chances = {name: _some(rng, share, most) for name, most in _CHANCE_MAX.items()}
    rates = {name: _some(rng, share, most) for name, most in _RATE_MAX.items()}
    return Knobs(
        seed=seed,
        market=market,
        minutes=rng.choice((6, 10, 10, 20)),
        tick_ms=rng.choice((1_000, 5_000, 5_000, 5_000, 9_000, 9_000)),
        ltv=rng.choice(("0.36", "0.40", "0.42", "0.45")),
        max_position_qty=rng.choice(("50", "50", "50", "4")),
        mode=mode,
        quiet_minutes=6 if slow else 3,
        converge_ms=300_000 if slow else 60_000,
        max_order_qty=rng.choice(("10", "10", "1", "0.25")),
        dead_band=rng.choice((0.002, 0.004, 0.01, 0.05)),
        down_dwell_ms=rng.choice((2_000, 20_000, 3_600_000)),
        query_lag_ms=rng.choice((0, 0, 0, 500, 5_000, 30_000)) if share else 0,
        executions_lag_ms=rng.choice((0, 0, 0, 500, 5_000)) if share else 0,
        shuffle=rng.random() < 0.3,
        chances=Chances(**chances),
        rates=Rates(**rates),
    )


def _some(rng: Random, share: float, most: float) -> float:
    size = most * rng.random() ** 2
    return size if rng.random() < share else 0.0


def names_on(knobs: Knobs) -> list[str]:
    """The kinds of fault that are on."""
    groups = (knobs.chances, knobs.rates)
    return [one.name for group in groups for one in fields(group) if getattr(group, one.name) > 0]
