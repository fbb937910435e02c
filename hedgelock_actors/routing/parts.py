"""The parts of an order router, put together; each knows only what it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from hedgelock_actors.actor import JournalStream
from hedgelock_actors.codec import amount, flag, integer, text
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import Tick, TradeReported
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.execution.feedback import FeedbackMeter
from hedgelock_actors.execution_ledger import ExecutionLedger
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Journal
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.lease import Lease
from hedgelock_actors.ports.venue import Venue
from hedgelock_actors.routing.alerts import RouterAlerts
from hedgelock_actors.routing.book import RouterBook
from hedgelock_actors.routing.cancels import Canceller
from hedgelock_actors.routing.desk import OrderDesk
from hedgelock_actors.routing.events import AccountRead, InstrumentRead, MaintenanceRead, OpenOrdersRead, RouterEvent
from hedgelock_actors.routing.gate import GateFacts
from hedgelock_actors.routing.guard import Guard
from hedgelock_actors.routing.hearing import Hearing
from hedgelock_actors.routing.markouts import Markouts
from hedgelock_actors.routing.notes import RouterNotes
from hedgelock_actors.routing.reconcile import Reconciler
from hedgelock_actors.routing.state import RouterState, Target
from hedgelock_actors.routing.strategy import Conductor
from hedgelock_actors.routing.trades import TradeBook
from hedgelock_actors.routing.turn import RouterTurn
from hedgelock_actors.routing.watch import Watch


class RouterParts:
    """Everything of one account and symbol that the worker works with. `put` hands an event to the worker."""

    def __init__(
        self,
        name: str,
        account: str,
        symbol: str,
        *,
        venue: Venue,
        journal: Journal,
        clock: Clock,
        policy: Policy,
        latch: Latch,
        lease: Lease,
        environment: str,
        counters: Counter[str],
        put: Callable[[RouterEvent], Awaitable[None]],
    ) -> None:
        self.latch, self.lease, self.clock = latch, lease, clock
        self.state = state = RouterState(account, symbol)
        self.stream = stream = JournalStream(journal, name)
        self.book = book = RouterBook(account, symbol)
        self.trades = trades = TradeBook()
        self.ledger = ledger = ExecutionLedger(stream, account, symbol, "execution")
        self.notes = notes = RouterNotes(stream, account, clock)
        self.alerts = alerts = RouterAlerts(account, symbol, clock)
        self.meter = meter = FeedbackMeter(policy.execution.feedback)
        self.markouts = markouts = Markouts(notes)
        self._reports: list[tuple[str, TradeReported]] = []
        facts = GateFacts(
            state, book, trades, ledger, clock=clock, latch=latch, environment=environment,
            duplicate_window_ms=policy.limits.duplicate_window_ms, writer=lambda: stream.is_open and lease.held(),
        )  # fmt: skip
        self.desk = desk = OrderDesk(
            state, book, facts, venue=venue, notes=notes, alerts=alerts, clock=clock, limits=policy.limits,
            counters=counters,
        )  # fmt: skip
        self.cancels = cancels = Canceller(book, symbol, venue, clock, counters)
        self.guard = guard = Guard(
            state, book, lease=lease, latch=latch, limits=policy.limits, alerts=alerts, clock=clock
        )
        self.conductor = conductor = Conductor(state, book, desk, cancels, notes, meter)
        self.hearing = hearing = Hearing(
            state, book, trades, ledger, desk=desk, conductor=conductor, cancels=cancels, notes=notes, alerts=alerts,
            meter=meter, markouts=markouts, clock=clock, counters=counters,
        )  # fmt: skip
        self.watch = watch = Watch(state, book, ledger, venue=venue, clock=clock, counters=counters, put=put)
        self.reconciler = Reconciler(
            state, book, ledger, venue=venue, clock=clock, hearing=hearing, cancels=cancels, guard=guard,
            watch=watch, alerts=alerts,
        )  # fmt: skip
        self.turn = RouterTurn(
            state, book, trades, ledger, desk=desk, conductor=conductor, cancels=cancels, guard=guard, notes=notes,
            clock=clock, policy=policy, latch=latch, report=lambda to, what: self._reports.append((to, what)),
        )  # fmt: skip

    async def replay(self, keeper: str) -> None:
        """Become the writer and fold what is on record. Raises JournalUnavailable."""
        await self.stream.open()
        async for record in self.stream.read():
            self.hearing.replay(record)
        self.book.replayed()
        self.book.forget_old()
        async for record in self.stream.read("trading_state", stream="control"):
            payload = record.entry.payload
            mode = TradingMode(text(payload, "mode"))
            self.latch.set(TradingState(mode, integer(payload, "epoch"), text(payload, "reason")))
        async for record in self.stream.read("target", stream=keeper):
            payload = record.entry.payload
            self.state.target = Target(
                version=integer(payload, "version"),
                short_qty=amount(payload, "target_short_qty"),
                level=RiskLevel(text(payload, "level")),
                reason=text(payload, "reason"),
                causation_id=text(payload, "causation_id"),
                exact=flag(payload, "exact"),
            )

    async def first_look(self, venue: Venue) -> None:
        """Before anything may be sent: the venue's announcements, the account, our orders, executions and position.

        Raises VenueError, JournalUnavailable, StaleEpoch.
        """
        symbol = self.state.symbol
        self.learn(MaintenanceRead(tuple(await venue.maintenance())))
        self.learn(AccountRead(tuple(await venue.account_faults(symbol)), await venue.wallet()))
        await self.reconciler.first()
        await self.reconciler.open_orders(OpenOrdersRead(tuple(await venue.open_orders(symbol)), frozenset()))

    def doubt_all(self) -> None:
        """Something happened that no rule foresees: give up what is at work, trust nothing until it is read again."""
        self.state.reconciled = False
        self.watch.doubt()
        self.turn.abandon()

    def price(self, tick: Tick) -> None:
        """A new price."""
        self.state.price(tick)
        mid = (tick.bid + tick.ask) / 2
        self.meter.mid(tick.ts_ms, mid)
        self.markouts.mid(tick.ts_ms, mid)

    def learn(self, read: AccountRead | MaintenanceRead | InstrumentRead) -> None:
        """Take in what was read of the account and the venue."""
        match read:
            case AccountRead():
                self._account(read)
            case MaintenanceRead():
                self.guard.maintenance(read.windows)
            case InstrumentRead():
                self.state.instrument = read.instrument

    def _account(self, read: AccountRead) -> None:
        before, now = self.state.available_usdt, read.wallet.available_usdt
        self.state.available_usdt, self.state.money_ms = now, self.clock.now_ms()
        if before is not None and now > before:
            self.desk.means_changed()
        self.guard.faults(read.faults)

    def take_reports(self) -> list[tuple[str, TradeReported]]:
        """What is to be told of trades, and to whom."""
        taken, self._reports = self._reports, []
        return taken
