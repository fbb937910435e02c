"""What a person may need to know of orders: collected by the router's parts, told at the end of a turn."""

from __future__ import annotations

from typing import Literal

from hedgelock_actors.domain.messages import OrderEvent
from hedgelock_actors.ports.clock import Clock

ALERT_AGAIN_MS = 600_000
ALERTS_KEPT = 1_000

Event = Literal["refused", "rejected", "unresolved", "external_fill", "liquidation", "filled", "restricted", "runaway"]


class RouterAlerts:
    """Order events of one account and symbol, oldest first."""

    def __init__(self, account: str, symbol: str, clock: Clock) -> None:
        self._account, self._symbol, self._clock = account, symbol, clock
        self._events: list[OrderEvent] = []
        self._told_ms: dict[str, int] = {}

    def event(self, event: Event, about: str, detail: str) -> None:
        """Something happened to an order (or an execution, or the account)."""
        self._events.append(
            OrderEvent(
                account=self._account,
                symbol=self._symbol,
                ts_ms=self._clock.now_ms(),
                event=event,
                order_link_id=about,
                detail=detail,
            )
        )

    def once(self, event: Event, what: str, detail: str, about: str = "") -> None:
        """As `event`, but the same `what` only once in ten minutes."""
        now_ms, key = self._clock.now_ms(), f"{event}:{what}"
        told_ms = self._told_ms.pop(key, None)
        again = told_ms is None or now_ms - told_ms >= ALERT_AGAIN_MS
        self._told_ms[key] = now_ms if told_ms is None or again else told_ms
        while len(self._told_ms) > ALERTS_KEPT:
            del self._told_ms[next(iter(self._told_ms))]
        if again:
            self.event(event, about or what, detail)

    def forget(self, event: Event, what: str) -> None:
        """It is over: should it come again, it is told again."""
        self._told_ms.pop(f"{event}:{what}", None)

    def take(self) -> list[OrderEvent]:
        """What is to be told now."""
        taken, self._events = self._events, []
        return taken
