"""Runs the one strategy at work: what happened becomes its events, what it asks for becomes orders.

The strategy may be lost at any point (the process dies, or it is given up here): its orders stay in the book, count in
the worst case, and what rests is cancelled; what is then left of the goal is part of the next gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.codec import request_payload
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import AmendRequest, OrderRequest
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.execution.build import build
from hedgelock_actors.execution.feedback import FeedbackMeter
from hedgelock_actors.execution.selection import Choice, choose
from hedgelock_actors.execution.strategy import (
    Action,
    Amend,
    Begin,
    Book,
    BookSeen,
    Cancel,
    Done,
    Event,
    FillSeen,
    LevelChanged,
    OrderSeen,
    Place,
    Refused,
    Result,
    SetTimer,
    Settings,
    Stop,
    Strategy,
    TimerFired,
)
from hedgelock_actors.ports.journal import JournalUnavailable, Json
from hedgelock_actors.routing.book import IntentBook, RouterBook, Tracked
from hedgelock_actors.routing.cancels import Canceller
from hedgelock_actors.routing.desk import NotSent, OrderDesk
from hedgelock_actors.routing.notes import RouterNotes
from hedgelock_actors.routing.plan import BeginGoal, Drop, Situation
from hedgelock_actors.routing.state import RouterState

STEPS_PER_TURN = 200
"""Far more than any strategy needs: what still wants to act then goes on in the next turn."""
STOP_PATIENCE_MS = 2_000
"""So long a strategy that was told to stop may wait for its orders before it is given up."""
NO_JOURNAL = "JOURNAL_UNAVAILABLE"


@dataclass(slots=True)
class Work:
    """The strategy at work."""

    intent: IntentBook
    choice: Choice
    strategy: Strategy
    market: Book
    """As last told."""
    level: RiskLevel
    beyond: Decimal = ZERO
    """What was missing beyond the goal when it began (less than 0: what the goal asks beyond it, by rounding)."""
    news: deque[Event] = field(default_factory=deque)
    asked: deque[Action] = field(default_factory=deque)
    links: dict[str, None] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    executed: Decimal = ZERO
    """Sum of the executions told."""
    refusal: str = ""
    """Code of the last refusal by our own limits."""
    stopped_ms: int | None = None
    """When it was told to stop."""
    interrupted: bool = False
    """It was stopped for a reason that passes: the intent stays open."""

    @property
    def left(self) -> Decimal:
        """What of the goal is not in the position yet."""
        return self.strategy.goal.qty - self.executed


@dataclass(frozen=True, slots=True)
class Ended:
    """A strategy's end, for whoever plans."""

    intent: IntentBook
    result: Result
    refusal: str
    stopped: bool
    """It was told to."""


class Conductor:
    """Owned by one worker. `work` is None when nothing is at work."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        desk: OrderDesk,
        cancels: Canceller,
        notes: RouterNotes,
        meter: FeedbackMeter,
    ) -> None:
        self._state, self._book, self._desk, self._cancels = state, book, desk, cancels
        self._notes, self._meter = notes, meter
        self.work: Work | None = None

    # ------------------------------------------------------------ beginning and ending

    def begin(self, plan: BeginGoal, at: Situation, settings: Settings, missing: Decimal) -> None:
        """Choose a strategy for a goal and tell it to begin; `turn` then does what it asks for. `missing`: how much
        short is missing in all (> 0) or too much (< 0).
        """
        feedback = self._meter.feedback()
        choice = choose(plan.goal, at.market, feedback, settings, plan.asked)
        self.work = Work(
            intent=plan.intent,
            choice=choice,
            strategy=build(choice, plan.goal, settings),
            market=at.market,
            level=plan.goal.level,
            beyond=-plan.goal.side.sign * missing - plan.goal.qty,
            news=deque([Begin(at.now_ms, at.market, feedback)]),
        )

    def stop(self, why: str, now_ms: int, *, passes: bool) -> None:
        """Tell the strategy to stop; once. `passes`: the intent is gone on with later."""
        work = self.work
        if work is None:
            return
        if work.stopped_ms is None:
            work.stopped_ms, work.interrupted = now_ms, passes
            work.news.append(Stop(now_ms, why))

    # ------------------------------------------------------------ hearing

    def executed(self, execution: Execution, now_ms: int) -> None:
        """A fill that is in the position now."""
        if self.work is not None and execution.order_link_id in self.work.links:
            self.work.executed += execution.qty
            self.work.news.append(FillSeen(now_ms, execution))

    def next_ms(self) -> int | None:
        """When the strategy wants to be woken."""
        if self.work is None:
            return None
        times = list(self.work.timers.values())
        if self.work.stopped_ms is not None:
            times.append(self.work.stopped_ms + STOP_PATIENCE_MS)
        if self.work.asked or self.work.news:
            times.append(0)
        return min(times, default=None)

    @property
    def links(self) -> Collection[str]:
        """Orders of the strategy at work."""
        return self.work.links if self.work is not None else ()

    def owns(self, link: str) -> bool:
        """This order is of the strategy at work."""
        return self.work is not None and link in self.work.links

    # ------------------------------------------------------------ a turn

    async def turn(self, at_ms: int, situation: Situation | None) -> Ended | None:
        """Tell the strategy what is new and do what it asks for; returns its end, if it came to that.

        Raises JournalUnavailable, StaleEpoch: what was not done is gone on with in the next turn.
        """
        for tracked in self._book.take_changed():
            self._heard(tracked, at_ms)
        work = self.work
        if work is None:
            return None
        self._gather(work, at_ms)
        for _ in range(STEPS_PER_TURN):
            if work.asked:
                done = await self._perform(work, work.asked.popleft(), at_ms, situation)
                if done is not None:
                    return self._end(work, done, at_ms)
            elif work.news:
                work.asked.extend(work.strategy.on(work.news.popleft()))
            else:
                break
        return self._give_up(work, at_ms)

    def _heard(self, tracked: Tracked, now_ms: int) -> None:
        state = tracked.state
        if state.terminal and tracked.resting and not tracked.measured:
            tracked.measured = True
            self._meter.given_up(state.request.qty, state.cum_qty)
        if self.work is not None and tracked.link in self.work.links:
            self.work.news.append(OrderSeen(now_ms, state))

    def _gather(self, work: Work, now_ms: int) -> None:
        for name in [name for name, due_ms in work.timers.items() if due_ms <= now_ms]:
            del work.timers[name]
            work.news.append(TimerFired(now_ms, name))
        if self._state.level is not work.level:
            work.level = self._state.level
            work.news.append(LevelChanged(now_ms, work.level))
        if self._state.market is not None and self._state.market is not work.market:
            work.market = self._state.market
            work.news.append(BookSeen(now_ms, work.market))

    async def _perform(self, work: Work, action: Action, now_ms: int, at: Situation | None) -> Result | None:
        match action:
            case Place(request=request):
                await self._place(work, request, now_ms, at)
            case Amend():
                await self._amend(work, action, now_ms, at)
            case Cancel(order_link_id=link):
                try:
                    await self._cancel(link)
                except JournalUnavailable:
                    # A strategy asks once: what could not be done is still to be done in the next turn.
                    work.asked.appendleft(action)
                    raise
            case SetTimer(name=name, at_ms=at_ms):
                work.timers[name] = at_ms
            case Done(result=result):
                return result
        return None

    async def _place(self, work: Work, request: OrderRequest, now_ms: int, at: Situation | None) -> None:
        link = request.order_link_id
        if at is None or work.stopped_ms is not None:
            work.news.append(Refused(now_ms, link, "HELD", "nothing is sent at present"))
            return
        try:
            stopped = await self._desk.send(request, self._payload(work, request, at), at.instrument)
        except JournalUnavailable as error:
            work.news.append(Refused(now_ms, link, NO_JOURNAL, str(error)))
            raise
        if stopped is not None:
            self._refused(work, link, stopped, now_ms)
            return
        work.links[link] = None
        self._told(work, link, now_ms)

    async def _amend(self, work: Work, action: Amend, now_ms: int, at: Situation | None) -> None:
        link = action.order_link_id
        tracked = self._book.orders.get(link)
        if at is None or tracked is None or work.stopped_ms is not None:
            work.news.append(Refused(now_ms, link, "HELD", "nothing is sent at present"))
            return
        request = AmendRequest(
            account=self._state.account,
            symbol=self._state.symbol,
            side=tracked.state.request.side,
            order_link_id=link,
            intent_id=tracked.state.request.intent_id,
            price=action.price,
            number=tracked.amends + 1,
        )
        try:
            stopped = await self._desk.amend(request, at.instrument)
        except JournalUnavailable as error:
            work.news.append(Refused(now_ms, link, NO_JOURNAL, str(error)))
            raise
        if stopped is not None:
            self._refused(work, link, stopped, now_ms)
        self._told(work, link, now_ms)

    async def _cancel(self, link: str) -> None:
        tracked = self._book.orders.get(link)
        if tracked is not None and tracked.refused:
            await self._desk.drop(Drop(link, "refused, and not needed any more"))
            return
        # What fills or dies at once is given the time to say so.
        self._cancels.want([link], 0 if tracked is None or tracked.resting else STOP_PATIENCE_MS)
        await self._cancels.work()

    def _refused(self, work: Work, link: str, stopped: NotSent, now_ms: int) -> None:
        work.refusal = stopped.code
        work.news.append(Refused(now_ms, link, stopped.code, stopped.detail))

    def _told(self, work: Work, link: str, now_ms: int) -> None:
        """The state of an order right after a request; whatever else changed meanwhile is told with it."""
        for tracked in self._book.take_changed():
            if tracked.link != link:
                self._heard(tracked, now_ms)
        work.news.append(OrderSeen(now_ms, self._book.orders[link].state))

    def _end(self, work: Work, result: Result, now_ms: int, *, given_up: bool = False) -> Ended:
        ended = not given_up and (not work.interrupted or result.success)
        self.work = None
        if work.links:
            # A run without orders leaves no trace: the intent is not even on record.
            self._book.strategy_done(work.intent.intent_id, ended)
            key = f"strategy_done:{work.intent.intent_id}:{work.strategy.goal.first_attempt}"
            self._notes.owe("strategy_done", key, _done_payload(work, result, ended, now_ms))
        return Ended(work.intent, result, work.refusal, work.stopped_ms is not None)

    def _give_up(self, work: Work, now_ms: int) -> Ended | None:
        """What waits for an order of which nobody knows anything must not keep the next goal waiting."""
        if work.stopped_ms is None or now_ms - work.stopped_ms < STOP_PATIENCE_MS:
            return None
        states = [self._book.orders[link].state for link in work.links if link in self._book.orders]
        filled = sum((state.cum_qty for state in states), ZERO)
        result = Result(
            success=False,
            filled_qty=filled,
            left_qty=max(ZERO, work.strategy.goal.qty - filled),
            average_price=None,
            mode=work.strategy.mode,
            maker_qty=ZERO,
            taker_qty=ZERO,
            retries=max(0, len(work.links) - 1),
            error="given up: the venue does not say what became of an order",
        )
        return self._end(work, result, now_ms, given_up=True)

    def _payload(self, work: Work, request: OrderRequest, at: Situation) -> Mapping[str, Json]:
        target, intent = at.state.target, work.intent
        return {
            **request_payload(request),
            "intent_qty": str(intent.qty),
            "realise_id": intent.realise_id,
            "trade_id": intent.trade_id,
            "gap": intent.gap,
            "strategy": work.strategy.mode.value,
            "variant": work.choice.variant,
            "chosen": work.choice.why,
            "decided_mid": str(intent.decided_mid),
            "target_version": target.version if target else 0,
            "target_qty": str(target.short_qty if target else ZERO),
            "position_qty": str(at.signed_qty),
            "level": at.state.level.value,
            "mid": str(at.quote.mid),
            "mark": str(at.quote.mark),
            "quote_ms": at.quote.ts_ms,
            "sent_ms": at.now_ms,
            "reason": target.reason if target else "",
            "causation_id": target.causation_id if target else "",
        }


def _done_payload(work: Work, result: Result, ended: bool, now_ms: int) -> dict[str, Json]:
    goal = work.strategy.goal
    return {
        "intent_id": work.intent.intent_id,
        "side": goal.side.value,
        "qty": str(goal.qty),
        "ended": ended,
        "unwanted": work.stopped_ms is not None and not work.interrupted,
        "strategy": work.choice.mode.value,
        "variant": work.choice.variant,
        "mode": result.mode.value,
        "decided_mid": str(goal.decided_mid),
        "success": result.success,
        "filled_qty": str(result.filled_qty),
        "left_qty": str(result.left_qty),
        "average_price": None if result.average_price is None else str(result.average_price),
        "maker_qty": str(result.maker_qty),
        "taker_qty": str(result.taker_qty),
        "retries": result.retries,
        "error": result.error,
        "refusal": work.refusal,
        "trade_id": work.intent.trade_id,
        "realise_id": work.intent.realise_id,
        "done_ms": now_ms,
    }
