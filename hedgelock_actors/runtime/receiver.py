"""The receiving end of the transport: each message is taken in once, in the sender's order, or its error goes back."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from pydantic import ValidationError

from hedgelock_actors.domain.messages import (
    ENVELOPE,
    AccountState,
    AnyMessage,
    Envelope,
    FeedStale,
    HedgeChanged,
    HedgeDemand,
    LoanChanged,
    SetTarget,
    Tick,
    TradingStateChanged,
)

LOG = logging.getLogger(__name__)

SEEN_MAX = 4_096
"""Messages remembered per sender; a sender has one batch outstanding, so this is many batches."""
DEFERRED_MAX = 4_096
READY_WAIT_S = 120.0

_FULL_STATE = (Tick, FeedStale, LoanChanged, HedgeChanged, HedgeDemand, SetTarget, AccountState, TradingStateChanged)
Receive = Callable[[AnyMessage], Awaitable[None]]


class Receiver:
    """Dedups on (sender, epoch, seq) and hands over to `receive` once opened.

    Before that, messages that carry a full state are kept (the latest of each) and acknowledged: two actors that start
    at once must not wait for each other. Anything else waits for the opening.
    """

    def __init__(self) -> None:
        self._receive: Receive | None = None
        self._observe: Callable[[int], None] = lambda _: None
        self._opened = asyncio.Event()
        self._deferred: OrderedDict[str, AnyMessage] = OrderedDict()
        self._seen: dict[str, tuple[int, OrderedDict[int, asyncio.Future[str]]]] = {}
        self.taken = 0
        self.repeated = 0
        self.failed = 0
        self.unreadable = 0
        self.last_error = ""

    async def open(self, receive: Receive, observe: Callable[[int], None] = lambda _: None) -> None:
        """The actor has started: hand over what was kept, then everything as it comes.

        `observe` hears the venue time at which each message was sent.
        """
        self._observe = observe
        while self._deferred:
            _, message = self._deferred.popitem(last=False)
            await self._hand(receive, message)
        self._receive = receive
        self._opened.set()

    def close(self) -> None:
        """The actor is to be rebuilt or has stopped: hold messages again."""
        self._receive = None
        self._opened.clear()

    async def take(self, batch: Sequence[bytes]) -> list[str]:
        """Take messages in, in order. Returns per message "" or why it was not taken in."""
        return [await self._take_one(raw) for raw in batch]

    async def _take_one(self, raw: bytes) -> str:
        try:
            envelope = ENVELOPE.validate_json(raw)
        except ValidationError as error:
            self.unreadable += 1
            self.last_error = f"unreadable message: {error.errors(include_url=False, include_input=False)[:1]}"
            LOG.error("inbox.unreadable %s", self.last_error)
            return ""  # a repetition would be as unreadable: it must not block what follows
        earlier = self._known(envelope)
        if earlier is not None:
            self.repeated += 1
            return await asyncio.shield(earlier)
        return await self._first_time(envelope)

    def _known(self, envelope: Envelope) -> asyncio.Future[str] | None:
        epoch, seen = self._seen.get(envelope.sender, (envelope.epoch, OrderedDict()))
        if envelope.epoch < epoch:  # a frozen predecessor of the sender: its successor speaks for it
            done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            done.set_result("")
            return done
        if envelope.epoch > epoch:
            seen = OrderedDict()
        self._seen[envelope.sender] = (envelope.epoch, seen)
        return seen.get(envelope.seq)

    async def _first_time(self, envelope: Envelope) -> str:
        _, seen = self._seen[envelope.sender]
        result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        seen[envelope.seq] = result
        while len(seen) > SEEN_MAX:
            seen.popitem(last=False)
        outcome = "not handed over"
        try:
            self._observe(envelope.ts_received)
            outcome = await self._deliver(envelope.body)
        finally:
            if outcome:
                seen.pop(envelope.seq, None)
            result.set_result(outcome)
        return outcome

    async def _deliver(self, message: AnyMessage) -> str:
        if self._receive is None:
            if isinstance(message, _FULL_STATE):
                return self._defer(message)
            try:
                async with asyncio.timeout(READY_WAIT_S):
                    await self._opened.wait()
            except TimeoutError:
                return "the actor is not ready"
        receive = self._receive
        return await self._hand(receive, message) if receive is not None else "the actor is not ready"

    def _defer(self, message: AnyMessage) -> str:
        key = ":".join((message.kind, getattr(message, "account", ""), getattr(message, "symbol", ""),
                        getattr(message, "loan_id", "")))  # fmt: skip
        self._deferred.pop(key, None)
        self._deferred[key] = message
        return "" if len(self._deferred) <= DEFERRED_MAX else "too many messages before the start"

    async def _hand(self, receive: Receive, message: AnyMessage) -> str:
        try:
            await receive(message)
        except Exception as error:  # the edge: the sender learns it and tries again
            self.failed += 1
            self.last_error = f"{message.kind}: {type(error).__name__}: {error}"[:300]
            LOG.exception("inbox.failed kind=%s", message.kind)
            return self.last_error
        self.taken += 1
        return ""
