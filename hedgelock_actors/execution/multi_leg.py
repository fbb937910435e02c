"""A spread over several symbols or accounts, as one: one leg's fill decides what every other leg has to hold.

Each leg rests at its own price. The first leg to fill *triggers*: the resting orders of the others are cancelled, what
was still on its way is waited for, and every other leg is brought to

    target = trigger's filled quantity × trigger's multiplier ÷ leg's multiplier, on the leg's lot grid,

less what it filled already, by chasing with limits and then at the market. When nothing fills wholly within the
window, the leg that filled most triggers with what it has; when nothing filled at all, the spread ends without effect.

A leg that fails either takes the others back (`rollback_on_partial`) or, which is the default because it protects,
leaves what filled where it is and says how much is missing.

`step` is level-triggered: from the plan, the trigger on record and the newest report of every trade it says what is to
be told now. All ids are functions of the plan, and a router carries a trade out once, so saying it again changes
nothing: whoever lost its memory begins again with the plan and the trigger on record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.messages import CancelTrade, HedgeTrade, TradeReported
from hedgelock_actors.domain.money import ZERO, round_to_step
from hedgelock_actors.domain.order import Side
from hedgelock_actors.execution.strategy import Mode

LEGS_MAX = 10
_SPREAD_ID_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One symbol on one account. `multiplier`: coins in one contract, so that legs of different contracts compare."""

    account: str
    symbol: str
    side: Side
    qty: Decimal
    limit_price: Decimal
    """Where it rests while it waits."""
    qty_step: Decimal
    min_qty: Decimal
    multiplier: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        for name in ("qty", "limit_price", "qty_step", "min_qty", "multiplier"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value <= ZERO:
                raise InvalidInput(f"leg.{name}", f"must be greater than 0, not {value}")

    @property
    def name(self) -> str:
        """Account and symbol, unique in a plan."""
        return f"{self.account}:{self.symbol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A spread to be put on. Times in ms of venue time."""

    spread_id: str
    legs: tuple[Leg, ...]
    begun_ms: int
    window_ms: int = 60_000
    """How long the legs may rest."""
    rollback_on_partial: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        plain = all(letter.isalnum() or letter in "_.-" for letter in self.spread_id)
        if not 0 < len(self.spread_id) <= _SPREAD_ID_MAX or not plain:
            raise InvalidInput("spread_id", f"1 to {_SPREAD_ID_MAX} letters, digits or _ . -")
        if not 2 <= len(self.legs) <= LEGS_MAX:
            raise InvalidInput("legs", f"a spread has 2 to {LEGS_MAX} legs, not {len(self.legs)}")
        if len({leg.name for leg in self.legs}) != len(self.legs):
            raise InvalidInput("legs", "each account and symbol may appear once")
        if self.window_ms <= 0:
            raise InvalidInput("window_ms", f"must be greater than 0, not {self.window_ms}")

    def leg(self, name: str) -> Leg:
        """The leg of that name."""
        return next(leg for leg in self.legs if leg.name == name)


class Part(StrEnum):
    """What a trade of a leg is for."""

    REST = "rest"
    HEDGE = "hedge"
    ROLLBACK = "rollback"


def trade_id(plan: Plan, leg: Leg, part: Part) -> str:
    """The id of a leg's trade: a pure function of the plan."""
    return f"{plan.spread_id}:{leg.name}:{part}"


class Phase(StrEnum):
    """How far a spread is."""

    RESTING = "resting"
    CANCELLING = "cancelling"
    HEDGING = "hedging"
    ROLLING_BACK = "rolling back"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegResult:
    """What became of a leg. `target_qty` is what the trigger asked of it."""

    leg: str
    target_qty: Decimal
    filled_qty: Decimal
    average_price: Decimal | None
    mode: str
    maker_qty: Decimal
    taker_qty: Decimal
    retries: int
    error: str

    @property
    def missing_qty(self) -> Decimal:
        """How much less than its target it holds; below 0 it holds more."""
        return self.target_qty - self.filled_qty


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadResult:
    """The end of a spread."""

    success: bool
    trigger: str
    """Name of the leg that triggered; empty when nothing filled."""
    legs: tuple[LegResult, ...]
    rolled_back: bool
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a spread stands, what is to be told now, and its result when it is over."""

    phase: Phase
    trigger: str
    """To be put on record before anything of `tell` is told; once there it never changes."""
    tell: tuple[HedgeTrade | CancelTrade, ...]
    result: SpreadResult | None = None


Reports = Mapping[str, TradeReported]
"""The newest report of each trade, by its id."""


def step(plan: Plan, trigger: str, reports: Reports, now_ms: int, reply_to: str, *, stop: bool = False) -> Step:
    """What to do now. `trigger` is the one on record ("" while there is none); `stop` ends the resting early.

    A trade without a report is told (again); a trade whose report is final is never touched.
    """
    over = stop or now_ms - plan.begun_ms >= plan.window_ms
    trigger = trigger or _trigger(plan, reports, over=over)
    if not trigger and not over:
        tell = [_trade(plan, leg, Part.REST, leg.qty, now_ms, reply_to) for leg in _unheard(plan, Part.REST, reports)]
        return Step(phase=Phase.RESTING, trigger="", tell=tuple(tell))
    open_legs = [leg for leg in plan.legs if not _final(plan, leg, Part.REST, reports)]
    if open_legs:
        return Step(phase=Phase.CANCELLING, trigger=trigger, tell=_cancels(plan, open_legs, now_ms))
    # All is known now: a leg that filled while it was being cancelled may be the one to follow.
    trigger = trigger or _trigger(plan, reports, over=True)
    if not trigger:
        error = "nothing filled while the legs rested" + _first_error(plan, Part.REST, reports)
        return _done(plan, "", reports, rolled_back=False, error=error)
    return _after_trigger(plan, trigger, reports, now_ms, reply_to)


def hedge_qty(plan: Plan, trigger: str, leg: Leg, reports: Reports) -> Decimal:
    """What the trigger's fill asks of a leg in all, rounded down to the leg's grid: never more than it stands for."""
    if leg.name == trigger:
        return _filled(plan, leg, Part.REST, reports)
    first = plan.leg(trigger)
    coins = _filled(plan, first, Part.REST, reports) * first.multiplier
    return round_to_step(coins / leg.multiplier, leg.qty_step, "down")


# ---------------------------------------------------------------- the trigger


def _trigger(plan: Plan, reports: Reports, *, over: bool) -> str:
    """The leg that filled wholly, the largest in coins first; when the window is over, the one that filled most."""
    filled = {leg.name: _filled(plan, leg, Part.REST, reports) for leg in plan.legs}
    ready = [leg for leg in plan.legs if filled[leg.name] >= (leg.min_qty if over else leg.qty)]
    if not ready:
        return ""
    return max(ready, key=lambda leg: (filled[leg.name] * leg.multiplier, leg.name)).name


# ---------------------------------------------------------------- after it


def _after_trigger(plan: Plan, trigger: str, reports: Reports, now_ms: int, reply_to: str) -> Step:
    hedges = {leg.name: _left(plan, trigger, leg, reports) for leg in plan.legs if leg.name != trigger}
    needed = [leg for leg in plan.legs if hedges.get(leg.name, ZERO) >= leg.min_qty]
    reference = _report(plan, plan.leg(trigger), Part.REST, reports)
    price = None if reference is None else reference.average_price
    tell = [
        _trade(plan, leg, Part.HEDGE, hedges[leg.name], now_ms, reply_to, reference=price)
        for leg in needed
        if _report(plan, leg, Part.HEDGE, reports) is None
    ]
    if tell or any(not _final(plan, leg, Part.HEDGE, reports) for leg in needed):
        return Step(phase=Phase.HEDGING, trigger=trigger, tell=tuple(tell))
    failed = [leg for leg in needed if not _succeeded(plan, leg, Part.HEDGE, reports)]
    if not failed:
        return _done(plan, trigger, reports, rolled_back=False)
    error = "could not be filled: " + ", ".join(leg.name for leg in failed) + _first_error(plan, Part.HEDGE, reports)
    if not plan.rollback_on_partial:
        return _done(plan, trigger, reports, rolled_back=False, error=error)
    return _roll_back(plan, trigger, reports, now_ms, reply_to, error)


def _roll_back(plan: Plan, trigger: str, reports: Reports, now_ms: int, reply_to: str, error: str) -> Step:
    held = {leg.name: _held(plan, leg, reports) for leg in plan.legs}
    needed = [leg for leg in plan.legs if held[leg.name] >= leg.min_qty]
    tell = [
        _trade(plan, leg, Part.ROLLBACK, held[leg.name], now_ms, reply_to)
        for leg in needed
        if _report(plan, leg, Part.ROLLBACK, reports) is None
    ]
    if tell or any(not _final(plan, leg, Part.ROLLBACK, reports) for leg in needed):
        return Step(phase=Phase.ROLLING_BACK, trigger=trigger, tell=tuple(tell))
    failed = [leg.name for leg in needed if not _succeeded(plan, leg, Part.ROLLBACK, reports)]
    more = "; could not be taken back: " + ", ".join(failed) if failed else ""
    return _done(plan, trigger, reports, rolled_back=not failed, error=error + more)


def _done(plan: Plan, trigger: str, reports: Reports, *, rolled_back: bool, error: str = "") -> Step:
    legs = tuple(_leg_result(plan, trigger, leg, reports) for leg in plan.legs)
    result = SpreadResult(success=not error, trigger=trigger, legs=legs, rolled_back=rolled_back, error=error)
    return Step(phase=Phase.DONE, trigger=trigger, tell=(), result=result)


def _leg_result(plan: Plan, trigger: str, leg: Leg, reports: Reports) -> LegResult:
    done = [one for part in (Part.REST, Part.HEDGE) if (one := _report(plan, leg, part, reports)) is not None]
    last = done[-1] if done else None
    back = _filled(plan, leg, Part.ROLLBACK, reports)
    return LegResult(
        leg=leg.name,
        target_qty=hedge_qty(plan, trigger, leg, reports) if trigger else ZERO,
        filled_qty=sum((one.filled_qty for one in done), ZERO) - back,
        average_price=_average(done),
        mode="" if last is None else last.mode,
        maker_qty=sum((one.maker_qty for one in done), ZERO),
        taker_qty=sum((one.taker_qty for one in done), ZERO),
        retries=sum(one.retries for one in done),
        error="" if last is None else last.error,
    )


# ---------------------------------------------------------------- trades and their reports


def _trade(
    plan: Plan, leg: Leg, part: Part, qty: Decimal, now_ms: int, reply_to: str, reference: Decimal | None = None
) -> HedgeTrade:
    resting = part is Part.REST
    return HedgeTrade(
        account=leg.account,
        symbol=leg.symbol,
        trade_id=trade_id(plan, leg, part),
        ts_ms=now_ms,
        side=leg.side.opposite if part is Part.ROLLBACK else leg.side,
        qty=qty,
        reason=f"spread {plan.spread_id}: {part}" + (f", {plan.reason}" if plan.reason else ""),
        reply_to=reply_to,
        strategy=(Mode.RESTING if resting else Mode.LIMIT_CHASE).value,
        limit_price=leg.limit_price if resting else None,
        reference_price=reference,
        expires_ms=plan.begun_ms + plan.window_ms if resting else None,
    )


def _cancels(plan: Plan, legs: Iterable[Leg], now_ms: int) -> tuple[CancelTrade, ...]:
    return tuple(
        CancelTrade(account=leg.account, symbol=leg.symbol, trade_id=trade_id(plan, leg, Part.REST), ts_ms=now_ms)
        for leg in legs
    )


def _unheard(plan: Plan, part: Part, reports: Reports) -> list[Leg]:
    return [leg for leg in plan.legs if _report(plan, leg, part, reports) is None]


def _report(plan: Plan, leg: Leg, part: Part, reports: Reports) -> TradeReported | None:
    return reports.get(trade_id(plan, leg, part))


def _final(plan: Plan, leg: Leg, part: Part, reports: Reports) -> bool:
    report = _report(plan, leg, part, reports)
    return report is not None and report.final


def _succeeded(plan: Plan, leg: Leg, part: Part, reports: Reports) -> bool:
    report = _report(plan, leg, part, reports)
    return report is not None and report.final and report.success


def _filled(plan: Plan, leg: Leg, part: Part, reports: Reports) -> Decimal:
    report = _report(plan, leg, part, reports)
    return ZERO if report is None else report.filled_qty


def _held(plan: Plan, leg: Leg, reports: Reports) -> Decimal:
    return _filled(plan, leg, Part.REST, reports) + _filled(plan, leg, Part.HEDGE, reports)


def _left(plan: Plan, trigger: str, leg: Leg, reports: Reports) -> Decimal:
    return hedge_qty(plan, trigger, leg, reports) - _filled(plan, leg, Part.REST, reports)


def _first_error(plan: Plan, part: Part, reports: Reports) -> str:
    found = [one.error for leg in plan.legs if (one := _report(plan, leg, part, reports)) is not None and one.error]
    return f" ({found[0]})" if found else ""


def _average(reports: Iterable[TradeReported]) -> Decimal | None:
    priced = [(one.filled_qty, one.average_price) for one in reports if one.average_price is not None]
    qty = sum((done for done, _ in priced), ZERO)
    return sum((done * price for done, price in priced), ZERO) / qty if qty > ZERO else None
