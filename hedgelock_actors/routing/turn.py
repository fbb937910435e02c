"""One turn of the router: whatever happened, do now what is due. Owned by one worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hedgelock_actors.domain.messages import TradeReported
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.refusal import RefusalCode
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.execution.strategy import Settings
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import JournalUnavailable, Json
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.routing.book import RouterBook, Tracked
from hedgelock_actors.routing.cancels import Canceller
from hedgelock_actors.routing.desk import OrderDesk
from hedgelock_actors.routing.guard import Guard
from hedgelock_actors.routing.notes import RouterNotes
from hedgelock_actors.routing.plan import BeginGoal, Drop, Planner, RealiseEnd, Resend, Situation, TradeEnd
from hedgelock_actors.routing.state import RouterState
from hedgelock_actors.routing.strategy import Conductor, Ended, Work
from hedgelock_actors.routing.trades import TradeBook, done_payload

STEPS_PER_TURN = 8


class RouterTurn:
    """See the module. `report` takes what is to be told of a trade, and to whom."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        trades: TradeBook,
        ledger: ExecutionLedger,
        *,
        desk: OrderDesk,
        conductor: Conductor,
        cancels: Canceller,
        guard: Guard,
        notes: RouterNotes,
        clock: Clock,
        policy: Policy,
        latch: Latch,
        report: Callable[[str, TradeReported], None],
    ) -> None:
        self._state, self._book, self._trades, self._ledger = state, book, trades, ledger
        self._desk, self._conductor, self._cancels, self._guard = desk, conductor, cancels, guard
        self._notes, self._clock, self._policy, self._latch = notes, clock, policy, latch
        self._report = report
        self._planner = Planner(book, trades)

    async def act(self) -> None:
        """Do what is due. Raises JournalUnavailable, StaleEpoch: the rest is done in a later turn."""
        self._pull_if_halted()
        try:
            await self._steps()
        except JournalUnavailable:
            await self._cancel()
            raise
        await self._cancel()
        self._tell_trades()
        await self._notes.settle()

    def next_ms(self) -> int | None:
        """When there is something to do even if nothing happens."""
        now_ms, state = self._clock.now_ms(), self._state
        waits = [state.hold_ms, state.slow_ms, state.rest_ms]
        times = [self._conductor.next_ms(), self._cancels.next_ms(), *(one for one in waits if one > now_ms)]
        return min((one for one in times if one is not None), default=None)

    def pull_orphans(self) -> None:
        """What rests and belongs to no strategy at work, as after a restart, is to be closed."""
        self._cancels.want(one.link for one in self.resting() if not self._conductor.owns(one.link))

    def abandon(self) -> None:
        """Give up the strategy at work, whatever state it is in: its orders are followed like those of a past life."""
        self._conductor.work = None
        self._state.rest_ms = self._clock.now_ms() + self._policy.execution.retake_ms
        self.pull_orphans()

    def resting(self) -> list[Tracked]:
        """Orders of ours that rest, or may."""
        return [one for one in self._book.unsettled() if one.resting and not one.state.terminal]

    async def _cancel(self) -> None:
        if not self._guard.silent:
            await self._cancels.work()

    # ------------------------------------------------------------ what is due

    async def _steps(self) -> None:
        for _ in range(STEPS_PER_TURN):
            now_ms = self._clock.now_ms()
            at = self._situation(now_ms)
            self._stop_if_needed(at, now_ms)
            ended = await self._conductor.turn(now_ms, self._sending(at, now_ms))
            if ended is not None:
                self._after(ended, now_ms)
                continue
            sending = self._sending(at, now_ms)
            if sending is None or not await self._next(sending):
                return

    async def _next(self, at: Situation) -> bool:
        """Do the next thing that is no strategy's own; True when there may be more to do at once."""
        again = self._planner.again(at, self._conductor.links)
        if isinstance(again, Resend):
            return await self._desk.resend(again.request, again.payload, at.instrument)
        if isinstance(again, Drop):
            await self._desk.drop(again)
            return True
        if self._conductor.work is not None or at.now_ms < self._state.rest_ms:
            return False
        plan = self._planner.next_goal(at)
        match plan:
            case BeginGoal():
                return self._begin(plan, at)
            case RealiseEnd():
                payload: dict[str, Json] = {"request_id": plan.request_id, "filled": str(plan.filled)}
                await self._notes.note("realise_done", f"realise_done:{plan.request_id}", payload)
                self._book.realise_done(plan.request_id)
            case TradeEnd():
                await self._end_trade(plan)
            case None:
                return False
        return True

    def _begin(self, plan: BeginGoal, at: Situation) -> bool:
        why = self._guard.why_no_opening() if plan.goal.side is Side.SELL else ""
        trade = self._trades.trades.get(plan.intent.trade_id)
        if not self._state.reconciled and plan.goal.side is Side.SELL:
            return False
        if why and trade is not None:
            trade.over = f"{RefusalCode.REDUCE_ONLY}: {why}"
        elif why:
            return False
        else:
            self._conductor.begin(plan, at, self._settings(plan, at), self._planner.missing(at))
        return True

    def _situation(self, now_ms: int) -> Situation | None:
        """What can be decided on; None while there is nothing to decide on."""
        state = self._state
        if state.instrument is None or state.market is None:
            return None
        return Situation(
            now_ms=now_ms,
            state=state,
            market=state.market,
            instrument=state.instrument,
            signed_qty=self._ledger.fold.signed_qty,
            limits=self._policy.limits,
        )

    def _sending(self, at: Situation | None, now_ms: int) -> Situation | None:
        """The situation, when anything may be sent in it."""
        if now_ms < self._state.slow_ms or self._guard.why_nothing():
            return None
        return at

    def _settings(self, plan: BeginGoal, at: Situation) -> Settings:
        limits = self._policy.limits
        if plan.intent.trade_id:
            limits = replace(limits, max_order_qty=min(limits.max_order_qty, limits.max_trade_order_qty))
        return Settings(instrument=at.instrument, limits=limits, policy=self._policy.execution)

    # ------------------------------------------------------------ stopping

    def _stop_if_needed(self, at: Situation | None, now_ms: int) -> None:
        work = self._conductor.work
        if work is None or work.stopped_ms is not None:
            return
        why = self._guard.why_nothing()
        if not why and work.strategy.goal.side is Side.SELL:
            why = self._guard.why_no_opening()
        if why:
            self._conductor.stop(why, now_ms, passes=True)
        elif at is not None:
            self._stop_if_unwanted(work, at, now_ms)

    def _stop_if_unwanted(self, work: Work, at: Situation, now_ms: int) -> None:
        missing = self._planner.missing(at, work.links)
        step = at.instrument.qty_step
        if work.intent.trade_id:
            trade = self._trades.trades.get(work.intent.trade_id)
            if trade is None or trade.cancelled:
                self._conductor.stop("the trade was cancelled", now_ms, passes=False)
            elif self._planner.has_gap(at, work.links):
                self._conductor.stop("the target goes first", now_ms, passes=True)
        elif work.intent.realise_id:
            if missing > work.executed + step:
                self._conductor.stop("more protection goes first", now_ms, passes=True)
        elif abs(-work.strategy.goal.side.sign * missing - work.left - work.beyond) >= step:
            self._conductor.stop("another quantity is wanted", now_ms, passes=False)

    def _pull_if_halted(self) -> None:
        """Halting cancels what still works on the venue, at once; it keeps the position."""
        if self._latch.state().mode is TradingMode.HALTED:
            self._cancels.want(one.link for one in self._book.unsettled() if not one.state.terminal)

    # ------------------------------------------------------------ endings

    def _after(self, ended: Ended, now_ms: int) -> None:
        result, intent = ended.result, self._book.intents.get(ended.intent.intent_id)
        links = intent.links if intent is not None else []
        if not ended.stopped and not (result.success and links):
            self._state.rest_ms = now_ms + self._policy.execution.retake_ms
        trade = self._trades.trades.get(ended.intent.trade_id)
        if trade is None:
            return
        trade.orders, trade.mode = len(links), result.mode.value
        trade.error = "" if result.success else ended.refusal or result.error
        if not links and not ended.stopped:
            # Nothing of it ever left us, so nothing will: it is over, and its sender is told why.
            trade.over = trade.error or "NOT_SENT"

    async def _end_trade(self, plan: TradeEnd) -> None:
        trade = plan.trade
        payload = done_payload(trade, plan.error)
        await self._notes.note("trade_done", f"trade_done:{trade.trade_id}", payload)
        self._trades.end(trade.trade_id, plan.error)
        self._report(trade.command.reply_to, trade.report(self._clock.now_ms()))

    def _tell_trades(self) -> None:
        for to, report in self._trades.reports(self._clock.now_ms()):
            self._report(to, report)
