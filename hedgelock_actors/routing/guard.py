"""Why the router may not act at present, or may only shrink the hedge: lease, maintenance, account, runaway."""

from __future__ import annotations

from collections.abc import Sequence

from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.lease import Lease
from hedgelock_actors.ports.venue import Maintenance
from hedgelock_actors.routing.alerts import RouterAlerts
from hedgelock_actors.routing.book import RouterBook
from hedgelock_actors.routing.state import RouterState

BEFORE_MAINTENANCE_MS = 30_000
"""So long before a window begins everything is pulled from the book."""
ACCOUNT, RUNAWAY = "account", "runaway"
MINUTE_MS = 60_000


class Guard:
    """Owned by one worker."""

    def __init__(
        self,
        state: RouterState,
        book: RouterBook,
        *,
        lease: Lease,
        latch: Latch,
        limits: Limits,
        alerts: RouterAlerts,
        clock: Clock,
    ) -> None:
        self._state, self._book = state, book
        self._lease, self._latch, self._limits = lease, latch, limits
        self._alerts, self._clock = alerts, clock
        self._held = False
        self._windows: tuple[Maintenance, ...] = ()
        self._in_window = False
        self._runaway_ms = 0

    # ------------------------------------------------------------ hearing

    def begun(self) -> None:
        """The first reconciliation begins: what happened under another holder of the lease is read by it."""
        self._held = self._lease.held()

    def maintenance(self, windows: Sequence[Maintenance]) -> None:
        """The announced and ongoing windows, as last read."""
        self._windows = tuple(windows)

    def faults(self, texts: Sequence[str]) -> None:
        """What about the account's settings forbids new orders, as last read."""
        if texts:
            self._restrict(ACCOUNT, "; ".join(texts))
        else:
            self._lift(ACCOUNT)

    def reconciled(self) -> None:
        """Everything agrees with the venue."""
        self._state.blind = False

    # ------------------------------------------------------------ once a turn

    def look(self) -> bool:
        """Notice what time and others have changed; True when a comparison with the venue is needed now."""
        before, now_ms = self._state.blind, self._clock.now_ms()
        held = self._lease.held()
        if held and not self._held:
            self._state.blind = True
        self._held = held
        window = self._window(now_ms)
        if self._in_window and window is None:
            self._state.blind = True
        self._in_window = window is not None
        self._runaway(now_ms)
        return self._state.blind and not before

    def why_nothing(self) -> str:
        """Why no strategy may work at all now; empty when one may."""
        state, now_ms = self._state, self._clock.now_ms()
        trading = self._latch.state()
        if trading.mode is TradingMode.HALTED:
            return f"halted: {trading.reason}"
        if state.fresh_market(now_ms, self._limits.max_quote_age_ms) is None:
            return "no fresh price"
        if not self._lease.held():
            return "the trading lease is not held"
        window = self._window(now_ms)
        if window is not None:
            return f"maintenance of the venue: {window.title}"
        if state.blind:
            return "not compared with the venue since it could not be seen"
        if now_ms < state.hold_ms:
            return f"the venue said no: {state.hold_why}"
        return ""

    def why_no_opening(self) -> str:
        """Why the hedge may only shrink now; empty when it may grow."""
        trading = self._latch.state()
        if trading.mode is not TradingMode.ACTIVE:
            return f"{trading.mode}: {trading.reason}"
        return "; ".join(self._state.restrictions.values())

    @property
    def silent(self) -> bool:
        """The venue does not trade: nothing is asked of it either."""
        window = self._window(self._clock.now_ms())
        return window is not None and (window.ongoing or self._clock.now_ms() >= window.begin_ms)

    def _window(self, now_ms: int) -> Maintenance | None:
        for one in self._windows:
            over = one.end_ms is not None and now_ms >= one.end_ms
            if not over and (one.ongoing or now_ms >= one.begin_ms - BEFORE_MAINTENANCE_MS):
                return one
        return None

    def _runaway(self, now_ms: int) -> None:
        """More decisions in a minute than a sound router could need: a fault of ours, whatever it is."""
        most = self._limits.critical_orders_per_minute
        recent = sum(1 for decided_ms in self._book.decided_ms if now_ms - decided_ms < MINUTE_MS)
        if recent > most:
            self._runaway_ms = now_ms
            text = f"{recent} intents within a minute, {most} are allowed"
            self._alerts.once("runaway", RUNAWAY, text)
            self._state.restrictions[RUNAWAY] = text
        elif RUNAWAY in self._state.restrictions and now_ms - self._runaway_ms >= MINUTE_MS:
            self._lift(RUNAWAY)

    def _restrict(self, cause: str, text: str) -> None:
        self._state.restrictions[cause] = text
        self._alerts.once("restricted", f"{cause}:{text}", f"only orders that shrink the hedge are sent: {text}")

    def _lift(self, cause: str) -> None:
        if self._state.restrictions.pop(cause, None) is not None:
            self._alerts.forget("restricted", cause)
