"""Half of the goal waits in the book at a better price than the mid; the other half is filled at once.

So half of the protection stands within a moment, and the catch-up rule bounds how long the other half may be missing.
A goal that is too small to be halved waits as a whole.
"""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.execution_policy import ExecutionPolicy
from hedgelock_actors.domain.money import ZERO, round_to_step
from hedgelock_actors.execution.aggressive import Aggressive
from hedgelock_actors.execution.machine import TakeOver, Verdict
from hedgelock_actors.execution.peg import CatchUp, Peg
from hedgelock_actors.execution.strategy import Mode
from hedgelock_actors.execution.work import Work


class Passive:
    """A pegged post-only order beside IOC limits for the other part; it turns aggressive by the catch-up rule."""

    mode = Mode.PASSIVE

    def __init__(self, policy: ExecutionPolicy) -> None:
        self._policy = policy
        self._peg = Peg(policy.passive)
        self._catch_up = CatchUp(policy.passive)
        self._at_once: Aggressive | None = None
        self._begun = False

    def step(self, work: Work) -> Verdict | None:
        """Fill the one part, wait with the other."""
        if self._catch_up.due(work):
            return self._turn()
        if not self._begun:
            self._begun = True
            self._at_once = self._begin(work)
        if self._at_once is not None and self._at_once.step(work) is not None:
            self._at_once = None
        if self._peg.working:
            self._peg.follow(work)
            return None
        if self._at_once is None:
            return None if self._peg.place(work, work.todo) or not work.idle else self._turn()
        self._peg.place(work, max(ZERO, work.todo - self._at_once.reserved))
        return None

    def _begin(self, work: Work) -> Aggressive | None:
        at_once = self._part(work)
        if work.is_crumb(at_once) or work.is_crumb(work.todo - at_once):
            return None
        # No market orders: what its limits miss waits with the rest, and the catch-up rule ends the waiting.
        return Aggressive(self._policy.aggressive.limits_only(), qty=at_once)

    def _part(self, work: Work) -> Decimal:
        return round_to_step(work.todo * (1 - self._policy.passive.share), work.settings.instrument.qty_step, "up")

    def _turn(self) -> TakeOver:
        return TakeOver(Aggressive(self._policy.aggressive))
