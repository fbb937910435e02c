"""The trading state as the last line before a write reads it: shared between the control lane and the router."""

from __future__ import annotations

from functools import reduce

from hedgelock_actors.domain.trading_state import INITIAL, TradingState, merge


class Latch:
    """Set from any thread, read from any thread, never waits.

    What was heard is kept in a list (appending is one atomic step of the interpreter) and folded when read. The fold
    is commutative, so two threads that set at once cannot lose the stricter or the newer state, and no lock is needed
    that a suspended thread could hold.
    """

    def __init__(self, state: TradingState = INITIAL) -> None:
        self._heard: list[TradingState] = [state]

    def state(self) -> TradingState:
        """The state in force: the highest epoch heard, and within it the strictest mode."""
        return reduce(merge, tuple(self._heard))

    def set(self, state: TradingState) -> TradingState:
        """Hear a state; what is older than the one in force changes nothing. Returns the state in force."""
        if merge(self.state(), state) != self.state():
            self._heard.append(state)
        return self.state()
