"""All of the goal waits in the book, and only a part of it shows, of a size that tells nothing about the whole."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.domain.money import round_to_step
from hedgelock_actors.execution.aggressive import Aggressive
from hedgelock_actors.execution.hashed import unit
from hedgelock_actors.execution.machine import TakeOver, Verdict
from hedgelock_actors.execution.peg import CatchUp, Peg
from hedgelock_actors.execution.strategy import Mode
from hedgelock_actors.execution.work import Work


class Iceberg:
    """One pegged post-only order, replenished when it is filled; it turns aggressive by the catch-up rule."""

    mode = Mode.ICEBERG

    def __init__(self, policy: ExecutionPolicy) -> None:
        self._policy = policy
        self._peg = Peg(policy.iceberg)
        self._catch_up = CatchUp(policy.iceberg)
        self._shown = 0

    def step(self, work: Work) -> Verdict | None:
        """Keep a piece in the book."""
        if self._catch_up.due(work):
            return self._turn()
        if self._peg.working:
            self._peg.follow(work)
            return None
        return None if self._peg.place(work, self._piece(work)) else self._turn()

    def _piece(self, work: Work) -> Decimal:
        """The same piece for the same number of orders: a function of the intent."""
        policy = self._policy.iceberg
        at = unit(work.goal.intent_id, "iceberg", work.goal.first_attempt + len(work.orders))
        share = policy.shown_min + (policy.shown_max - policy.shown_min) * at
        piece = round_to_step(work.goal.qty * share, work.settings.instrument.qty_step, "up")
        piece = max(piece, work.least_qty)
        return work.todo if work.is_crumb(work.todo - piece) else piece

    def _turn(self) -> TakeOver:
        return TakeOver(Aggressive(self._policy.aggressive))
