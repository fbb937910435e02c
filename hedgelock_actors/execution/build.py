"""From a choice to the strategy that carries it out: the one place that knows all of them."""

from __future__ import annotations

from dataclasses import replace

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.execution.aggressive import Aggressive
from hedgelock_actors.execution.machine import Machine, Tactic
from hedgelock_actors.execution.market import Market
from hedgelock_actors.execution.selection import Choice
from hedgelock_actors.execution.strategy import Goal, Mode, Settings, Strategy


def build(choice: Choice, goal: Goal, settings: Settings) -> Strategy:
    """The strategy of a choice, ready for `Begin`.

    Raises:
        InvalidInput: a resting order without a price to wait at.
    """
    return Machine(goal, replace(settings, policy=choice.policy), _tactic(choice.mode, goal, choice.policy))


def _tactic(mode: Mode, goal: Goal, policy: ExecutionPolicy) -> Tactic:
    match mode:
        case Mode.MARKET:
            return Market(policy.market)
        case Mode.RESTING if goal.limit_price is None:
            raise InvalidInput("goal.limit_price", "a resting order needs the price at which it waits")
        case _:
            return Aggressive(policy.aggressive, goal.misses)
