"""Transport between actors: one awaited batch outstanding per receiver, so order, back-pressure and errors are real.

In real time `send` queues: what has the same conflation key is replaced, everything else is kept in order, and a batch
is repeated until the receiver, or its successor under the same name, has taken it. In lock-step `send` is one direct
call that returns when the receiver has taken the message in, with everything that it caused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from hedgelock_actors.domain.messages import ENVELOPE, AnyMessage, Envelope
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.transport import QueueFull

LOG = logging.getLogger(__name__)

Deliver = Callable[[str, Sequence[bytes], float], Awaitable[Sequence[str]]]
"""(receiver, messages, seconds to wait) → per message "" or an error text. Raises Undelivered."""


GivenUp = Callable[[str, bytes, str], None]
"""(receiver, message, why): it is not sent any more."""


class Undelivered(Exception):
    """The receiver did not answer in time, or is down; it may or may not have taken the messages in."""


class ReceiverDied(Undelivered):
    """The receiver hung up while it had the messages, as a process does that ends over one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """Bounds in wall time: they are about processes of this cluster, not about the venue."""

    queue_max: int = 10_000
    batch_max: int = 200
    first_wait_s: float = 0.5
    wait_max_s: float = 4.0
    backoff_s: float = 0.05
    backoff_max_s: float = 1.0
    give_up_s: float = 120.0
    """In lock-step: how long a receiver is waited for."""
    error_tries: int = 5
    """How often a message is repeated whose receiver answered with an error."""
    death_tries: int = 3
    """So often a receiver may die over a batch before its messages go one by one, and over one of them alone before
    that one is set aside."""
    drain_s: float = 2.0


@dataclass(slots=True)
class _Queued:
    raw: bytes
    conflated: bool
    errors: int = 0
    deaths: int = 0


@dataclass(slots=True)
class _Outbox:
    waiting: dict[str, _Queued] = field(default_factory=dict)
    kept: int = 0
    pump: asyncio.Task[None] | None = None


class RayTransport:
    """Implements ports.transport.Transport over any `Deliver`; `epoch` must grow with every life of the sender."""

    def __init__(
        self,
        sender: str,
        epoch: int,
        clock: Clock,
        deliver: Deliver,
        limits: TransportLimits | None = None,
        given_up: GivenUp | None = None,
    ) -> None:
        self._given_up = given_up
        self._sender = sender
        self._epoch = epoch
        self._clock = clock
        self._deliver = deliver
        self._limits = limits or TransportLimits()
        self._seq = 0
        self._outboxes: dict[str, _Outbox] = {}
        self._closed = False
        self.sent = 0
        self.conflated = 0
        self.repeated = 0
        self.dropped = 0
        self.last_error = ""

    async def send(self, to: str, message: AnyMessage, *, conflate: str | None = None, cause: str = "") -> None:
        """See the port."""
        raw = self._wrap(message, cause)
        if self._clock.paced:
            await self._push(to, [_Queued(raw, conflated=False)], until=time.monotonic() + self._limits.give_up_s)
            return
        outbox = self._outboxes.setdefault(to, _Outbox())
        self._enqueue(to, outbox, raw, conflate)
        if outbox.pump is None or outbox.pump.done():
            outbox.pump = asyncio.create_task(self._pump(to, outbox), name=f"outbox:{to}")

    async def close(self) -> None:
        """Give queues a moment to empty, then stop."""
        pumps = [box.pump for box in self._outboxes.values() if box.pump is not None and not box.pump.done()]
        if pumps:
            await asyncio.wait(pumps, timeout=self._limits.drain_s)
        self._closed = True
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    @property
    def queued(self) -> int:
        """Messages waiting in all outboxes."""
        return sum(len(box.waiting) for box in self._outboxes.values())

    def _wrap(self, message: AnyMessage, cause: str) -> bytes:
        self._seq += 1
        event_id = f"{self._sender}:{self._epoch}:{self._seq}"
        envelope = Envelope(
            event_id=event_id,
            sender=self._sender,
            epoch=self._epoch,
            seq=self._seq,
            trace_id=cause or event_id,
            causation_id=cause,
            ts_event=message.ts_ms,
            ts_received=self._clock.now_ms(),
            body=message,
        )
        return ENVELOPE.dump_json(envelope)

    def _enqueue(self, to: str, outbox: _Outbox, raw: bytes, conflate: str | None) -> None:
        if conflate is None:
            if outbox.kept >= self._limits.queue_max:
                raise QueueFull(f"{outbox.kept} messages wait for {to}, which does not take them")
            outbox.kept += 1
            outbox.waiting[f"#{self._seq}"] = _Queued(raw, conflated=False)
            return
        if outbox.waiting.pop(conflate, None) is not None:
            self.conflated += 1
        outbox.waiting[conflate] = _Queued(raw, conflated=True)

    async def _pump(self, to: str, outbox: _Outbox) -> None:
        while outbox.waiting and not self._closed:
            keys = list(outbox.waiting)[: self._limits.batch_max]
            batch = [outbox.waiting.pop(key) for key in keys]
            outbox.kept -= sum(not one.conflated for one in batch)
            await self._push(to, batch, until=None)

    async def _push(self, to: str, batch: list[_Queued], until: float | None) -> None:
        """Repeat until every message was taken in, the receiver has refused it `error_tries` times, or died of it."""
        wait_s, backoff_s = self._limits.first_wait_s, self._limits.backoff_s
        while batch and not self._closed:
            trial = batch[:1] if batch[0].deaths >= self._limits.death_tries else batch
            rest = batch[len(trial) :]
            try:
                errors = await self._deliver(to, [one.raw for one in trial], wait_s)
                again = self._refused(to, trial, errors)
                batch = again + rest
                if not again:
                    continue
            except ReceiverDied as error:
                self.last_error = f"{to}: {error}"[:300]
                batch = self._died(to, trial) + rest
            except Undelivered as error:
                self.last_error = f"{to}: {error}"[:300]
            self.repeated += 1
            if until is not None and time.monotonic() >= until:
                self._drop(to, batch, f"no answer for {self._limits.give_up_s:.0f} s; last: {self.last_error}")
                return
            await asyncio.sleep(backoff_s)
            wait_s = min(self._limits.wait_max_s, wait_s * 2)
            backoff_s = min(self._limits.backoff_max_s, backoff_s * 2)

    def _refused(self, to: str, batch: list[_Queued], errors: Sequence[str]) -> list[_Queued]:
        again = []
        for one, error in zip(batch, errors, strict=True):
            if not error:
                self.sent += 1
                continue
            one.errors += 1
            self.last_error = f"{to}: {error}"[:300]
            if one.errors < self._limits.error_tries:
                again.append(one)
            else:
                self._drop(to, [one], error)
        return again

    def _died(self, to: str, trial: list[_Queued]) -> list[_Queued]:
        """Nobody knows which of them it was, until each has gone alone."""
        for one in trial:
            one.deaths += 1
        if trial[0].deaths < 2 * self._limits.death_tries:
            return trial
        self._drop(to, trial, f"the receiver died {self._limits.death_tries} times with this message alone")
        return []

    def _drop(self, to: str, batch: Sequence[_Queued], why: str) -> None:
        self.dropped += len(batch)
        LOG.error("transport.dropped to=%s count=%d why=%s", to, len(batch), why)
        if self._given_up is not None:
            for one in batch:
                self._given_up(to, one.raw, why)
