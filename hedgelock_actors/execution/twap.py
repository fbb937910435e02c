"""Slices over time: even parts but for a jitter that hides the plan; what a slice misses goes to the next."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from hedgelock_actors.domain.execution_policy import ExecutionPolicy, TwapPolicy
from hedgelock_actors.domain.money import ZERO, dec, round_to_step
from hedgelock_actors.domain.order import TimeInForce
from hedgelock_actors.execution.aggressive import Aggressive
from hedgelock_actors.execution.hashed import unit
from hedgelock_actors.execution.machine import TakeOver, Verdict
from hedgelock_actors.execution.strategy import Book, Mode
from hedgelock_actors.execution.work import Own, Work, turned_critical

_DAY_MS = Decimal(86_400_000)


def slice_sizes(qty: Decimal, count: int, jitter: Decimal, step: Decimal, intent_id: str) -> tuple[Decimal, ...]:
    """`count` parts of `qty` on the lot grid that add up to it exactly.

    Each is within `jitter` of an even part, and one step for rounding. Slices come in pairs whose jitters cancel, so
    that the bound holds without scaling, for the last too, which takes what is left.
    """
    done, weight, sizes = ZERO, ZERO, []
    for number in range(count):
        pair = 2 * unit(intent_id, "size", number // 2) - 1
        weight += 1 + (jitter if number % 2 == 0 else -jitter) * pair
        due = qty if number == count - 1 else round_to_step(qty * weight / count, step, "down")
        sizes.append(due - done)
        done = due
    return tuple(sizes)


def slice_times_ms(count: int, policy: TwapPolicy, intent_id: str) -> tuple[int, ...]:
    """When each slice is due, from the beginning: the first at once, the others up to the jitter late."""
    late = [int(policy.time_jitter * policy.slice_ms * unit(intent_id, "time", number)) for number in range(count)]
    return tuple(number * policy.slice_ms + (late[number] if number else 0) for number in range(count))


def participation_cap(book: Book, selling: bool, policy: TwapPolicy) -> Decimal | None:
    """The most that one slice may take, in coins; None when neither turnover nor depth is known."""
    value = dec(book.turnover_24h_usdt) * policy.slice_ms / _DAY_MS * policy.participation
    if value <= ZERO:
        value = dec(book.bid_depth_usdt if selling else book.ask_depth_usdt) * policy.depth_share
    return value / book.quote.mid if value > ZERO else None


class Twap:
    """An IOC limit for each slice; after the last slice, or at CRITICAL, the rest is filled aggressively."""

    mode = Mode.TWAP

    def __init__(self, policy: ExecutionPolicy) -> None:
        self._policy = policy
        self._times_ms: tuple[int, ...] = ()
        self._due: tuple[Decimal, ...] = ()
        """What is to be filled by each slice, with those before it."""
        self._slices = 0
        self._own: Own | None = None

    def step(self, work: Work) -> Verdict | None:
        """Send the slice that is due."""
        if turned_critical(work):
            return self._turn()
        if not self._times_ms:
            self._plan(work)
        if self._own is not None and not self._own.closed:
            return None
        due = sum(1 for at_ms in self._times_ms if at_ms <= work.now_ms)
        if due > self._slices:
            self._slices = due
            self._own = self._send(work, self._due[due - 1] - work.committed_qty)
            return None if self._own is not None else self._after(work)
        return self._after(work)

    def _after(self, work: Work) -> Verdict | None:
        if self._slices == len(self._times_ms):
            return self._turn()
        work.timer("slice", self._times_ms[self._slices])
        return None

    def _plan(self, work: Work) -> None:
        policy, goal, step = self._policy.twap, work.goal, work.settings.instrument.qty_step
        count = self._count(work)
        sizes = slice_sizes(goal.qty, count, policy.size_jitter, step, goal.intent_id)
        self._due = tuple(sum(sizes[: number + 1], ZERO) for number in range(count))
        self._times_ms = tuple(work.now_ms + at_ms for at_ms in slice_times_ms(count, policy, goal.intent_id))

    def _count(self, work: Work) -> int:
        """As many slices as the cap asks for, but none that is too small to be ordered."""
        policy, goal = self._policy.twap, work.goal
        cap = participation_cap(work.book, work.selling, policy)
        wanted = policy.max_slices
        if cap is not None:
            # The largest slice, with its jitter, stays within the cap.
            even = cap / (1 + policy.size_jitter)
            wanted = min(wanted, max(2, int((goal.qty / even).to_integral_value(rounding=ROUND_CEILING))))
        possible = int(goal.qty * (1 - policy.size_jitter) / work.least_qty)
        return max(1, min(wanted, possible))

    def _send(self, work: Work, qty: Decimal) -> Own | None:
        policy = self._policy.twap
        cap = participation_cap(work.book, work.selling, policy)
        if cap is not None:
            qty = min(qty, max(cap, work.least_qty))
        return work.place(qty, work.through_mid(policy.through_bps), TimeInForce.IOC) if qty > ZERO else None

    def _turn(self) -> TakeOver:
        return TakeOver(Aggressive(self._policy.aggressive))
