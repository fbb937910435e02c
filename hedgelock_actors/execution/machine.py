"""What all strategies share: one goal, carried out by one tactic after another.

A tactic is what makes strategies different: looked at after every event, it asks for orders, or gives its verdict. The
machine hears for it, sees to it that a goal ends only when nothing works any more, and that a tactic takes over only
when nothing of the one before may still fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.execution.strategy import Action, Done, Event, Goal, Mode, Result, Settings, Stop
from hedgelock_actors.execution.work import Work


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Another tactic is to work what is left."""

    tactic: Tactic


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End without success."""

    error: str


@dataclass(frozen=True, slots=True)
class Enough:
    """End: what is left is so little that it may wait for the next goal."""


Verdict = TakeOver | GiveUp | Enough


class Tactic(Protocol):
    """One way of working. It remembers what it tried; orders and fills are the work's."""

    @property
    def mode(self) -> Mode:
        """What it is called."""
        ...

    def step(self, work: Work) -> Verdict | None:
        """Look at the work and ask for what is due; called after every event, and harmless when nothing is new.

        Everything that is asked for later must have a timer: nobody calls otherwise.
        """
        ...


class Machine:
    """A strategy: the first tactic, and whatever it hands over to."""

    def __init__(self, goal: Goal, settings: Settings, tactic: Tactic) -> None:
        self._work = Work(goal, settings)
        self._tactic = tactic
        self._next: Tactic | None = None
        self._ending: GiveUp | Enough | None = None
        self._ended = False

    @property
    def goal(self) -> Goal:
        """What it carries out."""
        return self._work.goal

    @property
    def mode(self) -> Mode:
        """How it works at present."""
        return self._tactic.mode

    def on(self, event: Event) -> Sequence[Action]:
        """Take in what happened; returns what is to be done, in order. After `Done` it asks for nothing."""
        if self._ended:
            return ()
        self._work.take(event)
        if isinstance(event, Stop):
            self._ending = GiveUp(f"stopped: {event.why}")
        self._look()
        self._ended = self._over()
        actions = self._work.actions()
        return [*actions, self._done()] if self._over() else actions

    def _over(self) -> bool:
        return self._work.idle and (self._ending is not None or self._complete())

    def _look(self) -> None:
        work = self._work
        if work.committed_qty > work.goal.qty:
            # More came back than was thought possible (an order held to be absent): nothing may be added to it.
            work.cancel_all()
        if self._ending is None and (work.no_margin or work.refusals > work.settings.policy.max_refusals):
            self._ending = GiveUp(work.no_margin or f"refused by our limits: {work.refusal}")
        while self._ending is None and not self._complete():
            if work.now_ms < work.hold_until_ms or not self._ready():
                return
            verdict = self._tactic.step(work)
            if verdict is None:
                return
            if isinstance(verdict, TakeOver):
                self._next = verdict.tactic
            else:
                self._ending = verdict
            work.cancel_all()
        work.cancel_all()

    def _complete(self) -> bool:
        return self._work.idle and self._work.is_crumb(self._work.left_qty)

    def _ready(self) -> bool:
        """Nothing of an earlier tactic may still fill."""
        if self._next is None:
            return True
        if not self._work.idle:
            return False
        self._tactic, self._next = self._next, None
        return True

    def _done(self) -> Done:
        work = self._work
        fills = work.fills.values()
        known = sum((fill.qty for fill in fills), ZERO)
        value = sum((fill.qty * fill.price for fill in fills), ZERO)
        maker = sum((fill.qty for fill in fills if fill.is_maker), ZERO)
        success = isinstance(self._ending, Enough) or work.is_crumb(work.left_qty)
        error = self._ending.error if isinstance(self._ending, GiveUp) else ""
        return Done(
            Result(
                success=success,
                filled_qty=work.filled_qty,
                left_qty=work.left_qty,
                average_price=value / known if known > ZERO else None,
                mode=self._tactic.mode,
                maker_qty=maker,
                taker_qty=known - maker,
                retries=max(0, work.sent - 1),
                error="" if success else error,
            )
        )
