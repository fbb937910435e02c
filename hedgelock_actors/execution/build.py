"""From a choice to the strategy that carries it out: the one place that knows all of them."""

from __future__ import annotations

from dataclasses import replace

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.execution.aggressive import Aggressive
from hedgelock_actors.execution.iceberg import Iceberg
from hedgelock_actors.execution.limit_chase import LimitChase
from hedgelock_actors.execution.machine import Machine, Tactic
from hedgelock_actors.execution.market import Market
from hedgelock_actors.execution.passive import Passive
from hedgelock_actors.execution.resting import Resting
from hedgelock_actors.execution.selection import Choice
from hedgelock_actors.execution.strategy import Goal, Mode, Settings, Strategy
from hedgelock_actors.execution.twap import Twap


def build(choice: Choice, goal: Goal, settings: Settings) -> Strategy:
    """The strategy of a choice, ready for `Begin`.

    Raises:
        InvalidInput: a resting order without a price to wait at.
    """
    return Machine(goal, replace(settings, policy=choice.policy), _tactic(choice.mode, goal, choice.policy))


def _tactic(mode: Mode, goal: Goal, policy: ExecutionPolicy) -> Tactic:
    match mode:
        case Mode.AGGRESSIVE:
            return Aggressive(policy.aggressive, goal.misses)
        case Mode.PASSIVE:
            return Passive(policy)
        case Mode.TWAP:
            return Twap(policy)
        case Mode.ICEBERG:
            return Iceberg(policy)
        case Mode.LIMIT_CHASE:
            return LimitChase(policy, reduce=goal.reduce_only)
        case Mode.MARKET:
            return Market(policy.market)
        case _:
            if goal.limit_price is None:
                raise InvalidInput("goal.limit_price", "a resting order needs the price at which it waits")
            return Resting(policy.resting, goal.limit_price)
