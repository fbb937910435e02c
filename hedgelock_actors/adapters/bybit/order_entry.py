"""How an order request reaches the venue: in its turn, by the trade socket first, by REST when nothing left us there.

A request that was written and not answered is never sent again by another road: nobody knows what became of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from hedgelock_actors.adapters.bybit.codec import CATEGORY
from hedgelock_actors.adapters.bybit.outcome import (
    TOO_MANY_REQUESTS,
    Answer,
    HttpFailure,
    NoAnswer,
    NotSent,
    Reply,
    in_trouble,
)
from hedgelock_actors.adapters.bybit.pace import SECOND_MS, Kind, Lane, Pace, Ticket
from hedgelock_actors.adapters.bybit.rest import RestClient, Value, breaker, monotonic_ms
from hedgelock_actors.adapters.bybit.trade_socket import RESTARTING, TradeSocket
from hedgelock_actors.domain.breaker import Breaker

Body = Mapping[str, str | bool | int]
DEFAULT_WAIT_MS = 2_000
BATCH_MAX = 10
_TOO_OFTEN = frozenset({10006, 10403, 10429})
_WRONG_TIME = 10002
_NO_SOCKET = "SOCKET"
_SINGLE_OPS = frozenset({"order.create", "order.amend", "order.cancel"})


@dataclass(frozen=True, slots=True)
class _Request:
    """One request in both of its forms. `units` is how many orders it names; a batch has a count of its own there."""

    kind: Kind
    op: str
    method: str
    body: Mapping[str, Value]
    units: int = 1


class OrderEntry:
    """The order requests of one account.

    Args:
        socket: None where the venue has none (demo trading); then everything goes by REST.
        wait_ms: how long a request may wait for its turn, in venue time.
    """

    def __init__(
        self, rest: RestClient, socket: TradeSocket | None, pace: Pace, wait_ms: int = DEFAULT_WAIT_MS
    ) -> None:
        self.by_socket = 0
        self.by_rest = 0
        self.paced_out = 0
        """Requests that were not sent because their turn was too far away."""
        self.limited = 0
        """Requests that the venue refused for being too many: none of them should be our own doing."""
        self._rest = rest
        self._socket = socket
        self._pace = pace
        self._wait_ms = wait_ms
        self._socket_breaker, self._rest_breaker = breaker(), breaker()

    async def create(self, body: Body) -> Reply:
        """Place an order."""
        return await self._send(_Request(Kind.CREATE, "order.create", "place_order", body))

    async def amend(self, body: Body) -> Reply:
        """Change an order."""
        return await self._send(_Request(Kind.AMEND, "order.amend", "amend_order", body))

    async def cancel(self, body: Body) -> Reply:
        """Cancel an order."""
        return await self._send(_Request(Kind.CANCEL, "order.cancel", "cancel_order", body))

    async def cancel_batch(self, named: Sequence[Body]) -> Reply:
        """Cancel up to `BATCH_MAX` orders at once."""
        body: dict[str, Value] = {"category": CATEGORY, "request": named}
        return await self._send(_Request(Kind.CANCEL, "order.cancel-batch", "cancel_batch_order", body, len(named)))

    def batch_size(self) -> int:
        """How many orders the next batch of cancels should name: what goes out at once, not what would have to wait."""
        return max(1, min(BATCH_MAX, self._pace.lanes[Kind.CANCEL].room(self._rest.turns.now_ms())))

    def counters(self) -> dict[str, float]:
        """What happened so far; breakers are 0 closed, 1 half-open, 2 open."""
        return {
            "orders_by_socket": float(self.by_socket),
            "orders_by_rest": float(self.by_rest),
            "orders_paced_out": float(self.paced_out),
            "orders_limited": float(self.limited),
            "orders_waited": float(self._rest.turns.waited),
            "foreign_requests": float(self._pace.foreign),
            "breaker_trade_socket": shown(self._socket_breaker),
            "breaker_rest_orders": shown(self._rest_breaker),
        }

    # ------------------------------------------------------------------ the two roads

    async def _send(self, request: _Request) -> Reply:
        reply: Reply = NotSent(code=_NO_SOCKET, text="the trade socket is not connected")
        if self._socket is not None and self._socket.ready and self._open(self._socket_breaker, request):
            reply = await self._in_turn(request, self._over_socket)
            self._note(self._socket_breaker, reply)
            if not _nothing_left_us(reply):
                return reply
        if self._open(self._rest_breaker, request):
            reply = await self._in_turn(request, self._over_rest)
            self._note(self._rest_breaker, reply)
        elif isinstance(reply, NotSent):
            reply = NotSent(code="BREAKER", text="order entry failed too often: left alone for a moment")
        return reply

    async def _over_socket(self, request: _Request) -> Reply:
        if self._socket is None:
            return NotSent(code=_NO_SOCKET, text="the venue has no trade socket here")
        reply = await self._socket.request(request.op, request.body)
        self.by_socket += not isinstance(reply, NotSent)
        if isinstance(reply, Answer) and reply.code == _WRONG_TIME:
            await self._rest.resync()
        return reply

    async def _over_rest(self, request: _Request) -> Reply:
        reply = await self._rest.call(request.method, **request.body)
        self.by_rest += not isinstance(reply, NotSent)
        return reply

    # ------------------------------------------------------------------ turns

    async def _in_turn(self, request: _Request, road: Callable[[_Request], Awaitable[Reply]]) -> Reply:
        """Wait for the turn, look once more whether anything may be sent, send, and note what the venue counts."""
        lane = self._pace.lanes[request.kind]
        ticket = await self._rest.turns.take(lane, request.units, self._wait_ms)
        if ticket is None:
            self.paced_out += 1
            return NotSent(code="PACE", text=f"no {request.kind} within {self._wait_ms} ms at the venue's pace")
        reply: Reply = NoAnswer(cause="given up before the answer")
        try:
            reply = await self._rest.refusal() or await road(request)
        finally:
            self._settle(lane, ticket, request, reply)
        return reply

    def _settle(self, lane: Lane, ticket: Ticket, request: _Request, reply: Reply) -> None:
        now_ms = self._rest.turns.now_ms()
        match reply:
            case NotSent():
                lane.forget(ticket)
            case Answer():
                # A batch is counted apart by the venue: what is left of its limit says nothing about ours.
                said = reply.allowance if request.op in _SINGLE_OPS else None
                lane.settle(ticket, now_ms, reply.time_ms, said)
                if not _TOO_OFTEN.isdisjoint(_codes(reply)):
                    self.limited += 1
                    lane.refused(reply.allowance.reset_ms if reply.allowance else 0, now_ms)
            case _:
                lane.settle(ticket, now_ms)
                if isinstance(reply, HttpFailure) and reply.status == TOO_MANY_REQUESTS:
                    self._pace.block(now_ms + SECOND_MS)

    def _open(self, circuit: Breaker, request: _Request) -> bool:
        """Cancels go out whatever failed before: they can only lower the risk."""
        return request.kind is Kind.CANCEL or circuit.allows(monotonic_ms())

    def _note(self, circuit: Breaker, reply: Reply) -> None:
        if not isinstance(reply, NotSent):
            (circuit.failed if in_trouble(reply) else circuit.succeeded)(monotonic_ms())


def shown(circuit: Breaker) -> float:
    """A breaker's state as a number: 0 closed, 1 half-open, 2 open."""
    return float(("closed", "half_open", "open").index(circuit.state))


def _nothing_left_us(reply: Reply) -> bool:
    """The trade socket certainly did nothing with it, and REST might."""
    if isinstance(reply, NotSent):
        return reply.code == _NO_SOCKET
    return isinstance(reply, Answer) and reply.code == RESTARTING


def _codes(reply: Answer) -> set[object]:
    """The code of an answer, and those of the orders in a batch."""
    listed = reply.ext.get("list")
    inside = listed if isinstance(listed, list) else []
    return {reply.code, *(item.get("code") for item in inside if isinstance(item, dict))}
