"""What every desk of the exchange shares: time, the queue of what is due, ledger, markets, accounts, the outbox."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from uuid import UUID

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.commands import Ack
from hedgelock_actors.simulator.events import Event, Payload
from hedgelock_actors.simulator.ledger import Ledger
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.spec import ExchangeSpec, Faults

Action = Callable[[], None]


class Core:
    """Shared state. `do_at` schedules; `push` sends to a client after the push latency, in order; `publish` at once."""

    def __init__(self, spec: ExchangeSpec, seed: int) -> None:
        self.spec = spec
        self.faults = Faults()
        self.ledger = Ledger()
        self.markets: dict[str, Market] = {}
        self.accounts: dict[str, Account] = {}
        self.now_ms = 0
        self.ticks = 0
        self.clearing_lots: dict[str, int] = {}
        self._latency = Random(f"latency {seed}")
        self._ids = Random(f"ids {seed}")
        self._numbers = 0
        self._due: list[tuple[int, int, Action]] = []
        self._outbox: list[Event] = []

    def delay(self, span: tuple[int, int]) -> int:
        """A latency drawn from a range in ms."""
        return self._latency.randint(*span)

    def number(self) -> int:
        """A new number, rising."""
        self._numbers += 1
        return self._numbers

    def new_id(self) -> str:
        """A new id in the shape of a UUID, from the seed."""
        return str(UUID(int=self._ids.getrandbits(128), version=4))

    def do_at(self, ts_ms: int, action: Action) -> None:
        """Schedule; same time means in order of scheduling."""
        heapq.heappush(self._due, (ts_ms, self.number(), action))

    def next_due_ms(self) -> int | None:
        """Time of the earliest scheduled action."""
        return self._due[0][0] if self._due else None

    def run_next(self) -> None:
        """Move to the earliest action and do it."""
        ts_ms, _, action = heapq.heappop(self._due)
        self.now_ms = max(self.now_ms, ts_ms)
        action()

    def effect_ms(self, account: Account) -> int:
        """When a request made now takes effect: requests of one account keep their order."""
        account.last_effect_ms = max(account.last_effect_ms, self.now_ms + self.delay(self.spec.latency.effect_ms))
        return account.last_effect_ms

    def push(self, account: Account, symbol: str | None, payload: Payload) -> None:
        """Send to one client after the push latency, behind what was sent before."""
        account.last_push_ms = max(account.last_push_ms, self.now_ms + self.delay(self.spec.latency.push_ms))
        when = account.last_push_ms
        event = Event(ts_ms=when, uid=account.uid, symbol=symbol, payload=payload)
        self.do_at(when, lambda: self._outbox.append(event))

    def publish(self, symbol: str, payload: Payload) -> None:
        """Send to everybody, now."""
        self._outbox.append(Event(ts_ms=self.now_ms, uid=None, symbol=symbol, payload=payload))

    def take_events(self) -> list[Event]:
        """What was sent since the last call."""
        events, self._outbox = self._outbox, []
        return events

    def ok(self, result: dict[str, str | int] | None = None, message: str = "OK") -> Ack:
        """A positive answer that leaves after the ack latency."""
        return Ack(ret_code=0, ret_msg=message, reply_ms=self._reply_ms(), result=result or {})

    def refuse(self, account: Account, code: int, message: str) -> Ack:
        """A refusal, counted."""
        account.truth.refused(code)
        return Ack(ret_code=code, ret_msg=message, reply_ms=self._reply_ms())

    def _reply_ms(self) -> int:
        # The queue holds the moment too, so that a venue that only moves by its own events reaches it.
        when = self.now_ms + self.delay(self.spec.latency.ack_ms)
        self.do_at(when, _nothing)
        return when


def _nothing() -> None:
    """A moment at which only a reply leaves."""
