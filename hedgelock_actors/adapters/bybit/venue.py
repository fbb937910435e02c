"""One unified trading account: orders out by the trade socket or REST, the venue's word in by the private stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hedgelock_actors.adapters.bybit import codec, conditions
from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.connection import SocketSpec
from hedgelock_actors.adapters.bybit.delivery import Delivery
from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.fields import BadData, Row
from hedgelock_actors.adapters.bybit.order_entry import DEFAULT_WAIT_MS, OrderEntry, shown
from hedgelock_actors.adapters.bybit.outcome import (
    CANCEL,
    CREATE,
    Answer,
    Meaning,
    amend_outcome,
    batch_outcomes,
    cancel_outcome,
    meaning,
    submit_outcome,
)
from hedgelock_actors.adapters.bybit.pace import Pace
from hedgelock_actors.adapters.bybit.rest import DEFAULT_RECV_WINDOW_MS, RestClient, recv_window_ms
from hedgelock_actors.adapters.bybit.secret import Credentials
from hedgelock_actors.adapters.bybit.streams import Patience, Stream
from hedgelock_actors.adapters.bybit.trade_socket import DEFAULT_ANSWER_MS, TradeSocket
from hedgelock_actors.adapters.bybit.venue_time import DEFAULT_BOUND_MS, VenueTime
from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.order import (
    Accepted,
    AmendOutcome,
    AmendRequest,
    CancelOutcome,
    OrderRequest,
    OrderView,
    SubmitOutcome,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.venue import (
    Maintenance,
    PositionView,
    PrivateEvent,
    PrivateHandler,
    StreamLost,
    StreamRestored,
    VenueError,
    WalletView,
)

_log = logging.getLogger(__name__)

TOPICS = frozenset({"order", "execution", "position", "wallet"})
_QUEUE_BOUND = 10_000
_PAGE = 50
_EXECUTION_PAGE = 100
_MAX_PAGES = 2_000
_WINDOW_MS = 7 * 86_400_000  # the longest span of one execution query
_HISTORY_MS = 2 * 365 * 86_400_000  # how far back the venue answers
# Years of history are 104 queries; the venue allows 50 per second.
_SPAN_PAUSE_S = 0.025
_OPEN_ONLY, _CLOSED_ONLY = 0, 1
_STANDSTILLS: Mapping[str, str] = MappingProxyType(
    {
        "BANNED": "the venue refuses our address (HTTP 403): silent for ten minutes",
        "CLOCK": "our clock and the venue's are too far apart: nothing is signed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRules:
    """How orders are sent."""

    per_second: int | None = None
    """So many creates, amendments and cancels each; None honours the venue's own limits."""
    wait_ms: int = DEFAULT_WAIT_MS
    """A request waits at most so long for its turn, in venue time."""
    clock_offset_max_ms: int = DEFAULT_BOUND_MS
    """With our clock further off the venue's, nothing is signed."""
    answer_ms: int = DEFAULT_ANSWER_MS
    """Wall time after which a request on the trade socket is held to be unanswered."""
    socket: bool = True
    """By the trade WebSocket first; False: by REST alone."""


class BybitVenue:
    """Implements Venue for USDT perpetuals in one-way mode. `pace` as for BybitMarketData."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        account: str,
        clock: Clock,
        pace: str | None = None,
        *,
        window_ms: int = DEFAULT_RECV_WINDOW_MS,
        patience: Patience | None = None,
        rules: OrderRules | None = None,
    ) -> None:
        self.account = account
        self.rejected = 0
        """Stream rows that said something impossible."""
        self._endpoints = endpoints
        self._credentials = credentials
        self._clock = clock
        self._pace = pace
        self._patience = patience
        self._window_ms = window_ms
        rules = rules or OrderRules()
        self._time = VenueTime(clock, rules.clock_offset_max_ms)
        self._rest = RestClient(endpoints, credentials, clock, window_ms, venue_time=self._time)
        self._socket = self._trade_socket(rules.answer_ms) if rules.socket and not endpoints.demo_hosts else None
        self._entry = OrderEntry(self._rest, self._socket, Pace(rules.per_second), rules.wait_ms)
        self._resyncs: set[asyncio.Task[None]] = set()
        self._first_settings: dict[str, conditions.Settings] = {}
        self._stream: Stream | None = None
        self._delivery: Delivery[PrivateEvent] | None = None

    # ------------------------------------------------------------------ the private stream

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        """Subscribe; returns when the first attempt has succeeded or failed (then it goes on trying).

        The handler hears StreamRestored whenever the subscriptions stand, and StreamLost when something may be missing.

        Raises:
            ValueError: a topic that is not one of order, execution, position, wallet.
        """
        if unknown := set(topics) - TOPICS:
            raise ValueError(f"no such private topic: {', '.join(sorted(unknown))}")
        if self._stream is not None:
            raise RuntimeError("the private stream has been started already")
        pace = self._pace if self._clock.paced else None
        spec = SocketSpec(self._endpoints, "private", self._credentials, pace, self._time.now_ms, self._auth_expires_ms)
        self._stream = Stream(spec, topics, self, self._patience)
        self._delivery = Delivery(f"private-{self.account}", handler, self._stream.acknowledge, _QUEUE_BOUND)
        self._delivery.start()
        await asyncio.gather(self._stream.start(), *([self._socket.start()] if self._socket else []))

    async def stop(self) -> None:
        """Disconnect; no event comes after it has returned."""
        if self._stream is not None:
            await self._stream.stop()
        if self._delivery is not None:
            await self._delivery.stop()
        self._stream = self._delivery = None
        if self._socket is not None:
            await self._socket.stop()
        for task in self._resyncs:
            task.cancel()
        self._rest.close()

    def counters(self) -> dict[str, float]:
        """What happened so far, for health reports. Breakers are 0 closed, 1 half-open, 2 open."""
        delivery, stream, rest = self._delivery, self._stream, self._rest
        return {
            **self._entry.counters(),
            **(self._socket.counters() if self._socket else {}),
            "breaker_rest_queries": shown(rest.queries),
            "banned_ms": float(max(0, rest.banned_until_ms - self._clock.now_ms())),
            "bans": float(rest.bans),
            "clock_offset_ms": float(self._time.offset_ms),
            "clock_measurements": float(self._time.measurements),
            "clock_refusals": float(rest.clock_refusals),
            "rejected": float(self.rejected),
            "connects": float(stream.connects if stream else 0),
            "handler_failures": float(delivery.failures if delivery else 0),
        }

    @property
    def idle(self) -> bool:
        """Nothing is waiting for the handler."""
        return self._delivery is None or self._delivery.idle

    def on_up(self) -> None:
        """All topics are subscribed."""
        self._put(StreamRestored())

    def on_down(self, reason: str) -> None:
        """Anything may have been missed."""
        if reason.startswith("auth"):
            self._resync()
        self._put(StreamLost(reason=reason))

    def on_message(self, message: Mapping[str, object]) -> None:
        """Hand over every row of a push; a row that cannot be true makes the handler reconcile by query."""
        try:
            events = list(_events(message))
        except BadData as error:
            self.rejected += 1
            _log.warning("%s: refused a private message: %s", self.account, error)
            events = [StreamLost(reason=f"unreadable {message.get('topic')}: {error}"), StreamRestored()]
        for event in events:
            self._put(event)

    def complaint(self) -> str | None:
        """A private stream may be silent for as long as nothing happens."""
        return None

    def _put(self, event: PrivateEvent) -> None:
        if self._delivery is None or self._delivery.put(event) or self._stream is None:
            return
        self._delivery.clear()
        self._stream.rebuild("the handler is too far behind")

    def _auth_expires_ms(self) -> int:
        return recv_window_ms(self._clock, self._window_ms)

    def _trade_socket(self, answer_ms: int) -> TradeSocket:
        return TradeSocket(
            self._endpoints,
            self._credentials,
            self._time.now_ms,
            self._auth_expires_ms,
            patience=self._patience,
            answer_s=answer_ms / 1000,
            on_refused=self._resync,
        )

    def _resync(self) -> None:
        """A refused authentication may mean a wrong clock: ask the venue for its time, beside everything else."""
        task = asyncio.create_task(self._rest.resync(), name=f"clock-of-{self.account}")
        self._resyncs.add(task)
        task.add_done_callback(self._resyncs.discard)

    # ------------------------------------------------------------------ orders

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        """Send an order. A duplicate id means that an earlier attempt arrived: it is adopted."""
        request = order.request
        reply = await self._entry.create(codec.create_params(request))
        outcome = submit_outcome(reply)
        if isinstance(reply, Answer) and meaning(reply.code, CREATE) is Meaning.EXISTS:
            return Accepted(await self._known_id(request.symbol, request.order_link_id))
        return outcome

    async def cancel(self, symbol: str, order_link_id: str) -> CancelOutcome:
        """Ask for a cancel; the result comes by the order stream."""
        return cancel_outcome(await self._entry.cancel(codec.cancel_params(symbol, order_link_id)))

    async def amend(self, order: Approved[AmendRequest]) -> AmendOutcome:
        """Ask for another price of a resting order; what then holds comes by the order stream."""
        return amend_outcome(await self._entry.amend(codec.amend_params(order.request)))

    async def cancel_many(self, symbol: str, order_link_ids: Sequence[str]) -> Sequence[CancelOutcome]:
        """Cancel several by the venue's batch; outcomes in the order of the ids."""
        outcomes: list[CancelOutcome] = []
        while len(outcomes) < len(order_link_ids):
            some = order_link_ids[len(outcomes) : len(outcomes) + self._entry.batch_size()]
            reply = await self._entry.cancel_batch([{"symbol": symbol, "orderLinkId": link} for link in some])
            outcomes += batch_outcomes(reply, len(some), CANCEL)
        return outcomes

    async def open_orders(self, symbol: str) -> Sequence[OrderView]:
        """Open orders, and the recently closed ones that the venue still lists."""
        found = [
            codec.order(row)
            for which in (_OPEN_ONLY, _CLOSED_ONLY)
            for row in await self._pages("get_open_orders", _PAGE, symbol=symbol, openOnly=which)
        ]
        return list({view.order_id: view for view in reversed(found)}.values())[::-1]

    async def find_order(self, symbol: str, order_link_id: str) -> OrderView | None:
        """Realtime (open, then closed), then history, which may lag. None is *not* evidence of absence."""
        for method, which in (
            ("get_open_orders", _OPEN_ONLY),
            ("get_open_orders", _CLOSED_ONLY),
            ("get_order_history", None),
        ):
            answer = await self._rest.query(
                method, category=codec.CATEGORY, symbol=symbol, orderLinkId=order_link_id, openOnly=which
            )
            for row in f.rows(answer.result.get("list"), "list"):
                view = codec.order(row)
                if view.order_link_id == order_link_id:
                    return view
        return None

    async def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        """All executions since a time, oldest first; the venue answers for two years, in spans of seven days."""
        now = self._clock.now_ms()
        start = max(since_ms, now - _HISTORY_MS)
        found: dict[str, Execution] = {}
        while start <= now:
            end = start + _WINDOW_MS - 1
            for row in await self._pages(
                "get_executions", _EXECUTION_PAGE, symbol=symbol, startTime=start, endTime=end
            ):
                execution = codec.execution(row)
                found[execution.exec_id] = execution
            start = end + 1
            if start <= now:
                await asyncio.sleep(_SPAN_PAUSE_S)
        return sorted(found.values(), key=lambda execution: execution.order_key)

    # ------------------------------------------------------------------ state

    async def instrument(self, symbol: str) -> Instrument:
        """Filters and limits of a symbol."""
        answer = await self._rest.query("get_instruments_info", category=codec.CATEGORY, symbol=symbol)
        return codec.instrument(_row_of(answer, symbol))

    async def position(self, symbol: str) -> PositionView:
        """The position as of the venue's answer; flat when it lists none."""
        answer = await self._rest.query("get_positions", category=codec.CATEGORY, symbol=symbol)
        listed = f.rows(answer.result.get("list"), "list")
        if any(row.get("positionIdx", 0) != 0 for row in listed):
            raise VenueError(f"{symbol} is in hedge mode; HedgeLock needs one-way mode")
        flat: Row = {"symbol": symbol, "side": "", "size": "0", "avgPrice": ""}
        row = next((row for row in listed if row.get("symbol") == symbol), flat)
        return codec.position(row, answer.time_ms)

    async def wallet(self) -> WalletView:
        """The unified account."""
        answer = await self._rest.query("get_wallet_balance", accountType="UNIFIED")
        listed = f.rows(answer.result.get("list"), "list")
        found = codec.wallet(listed[0], answer.time_ms, complete=True) if listed else None
        if found is None:
            raise VenueError("get_wallet_balance: the venue listed no unified account")
        return found

    async def maintenance(self) -> Sequence[Maintenance]:
        """Announced and ongoing windows that touch the trading of derivatives, soonest first."""
        answer = await self._rest.query("get_system_status")
        return conditions.maintenance(f.rows(answer.result.get("list"), "list"), self._endpoints)

    async def account_faults(self, symbol: str) -> Sequence[str]:
        """What forbids new orders: the account's settings (leverage as first seen), an instrument that is not traded,
        or that nothing may be sent at all. The texts stay the same for as long as the fault does.
        """
        refusal = await self._rest.refusal()
        if refusal is not None and refusal.code in _STANDSTILLS:
            return [_STANDSTILLS[refusal.code]]
        positions = await self._rest.query("get_positions", category=codec.CATEGORY, symbol=symbol)
        account = await self._rest.query("get_account_info")
        listed = await self._rest.query("get_instruments_info", category=codec.CATEGORY, symbol=symbol)
        status = f.text(_row_of(listed, symbol), "status")
        now = conditions.settings(f.rows(positions.result.get("list"), "list"), symbol, account.result)
        found = conditions.faults(now, self._first_settings.setdefault(symbol, now))
        return [*found, *([f"{symbol} is {status}: it is not traded"] if status != "Trading" else [])]

    # ------------------------------------------------------------------ inside

    async def _known_id(self, symbol: str, order_link_id: str) -> str:
        try:
            view = await self.find_order(symbol, order_link_id)
        except VenueError:
            return ""
        return view.order_id if view is not None else ""

    async def _pages(self, method: str, limit: int, **params: str | int) -> list[Row]:
        """All rows of a query that answers in pages."""
        found: list[Row] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            answer = await self._rest.query(method, category=codec.CATEGORY, limit=limit, cursor=cursor, **params)
            rows = f.rows(answer.result.get("list"), "list")
            found += rows
            following = answer.result.get("nextPageCursor")
            if not rows or not isinstance(following, str) or not following or following == cursor:
                return found
            cursor = following
        raise VenueError(f"{method}: more than {_MAX_PAGES} pages")


def _row_of(answer: Answer, symbol: str) -> Row:
    for row in f.rows(answer.result.get("list"), "list"):
        if row.get("symbol") == symbol:
            return row
    raise VenueError(f"the venue knows no linear perpetual {symbol}")


def _events(message: Row) -> Iterator[PrivateEvent]:
    topic = f.text(message, "topic").partition(".")[0]
    if topic not in TOPICS:
        return
    ts_ms = f.time_ms(message, "creationTime")
    read: Mapping[str, Callable[[Row], PrivateEvent | None]] = {
        "order": codec.order,
        "execution": codec.execution,
        "position": lambda row: codec.position(row, ts_ms),
        "wallet": lambda row: codec.wallet(row, ts_ms, complete=False),
    }
    for row in f.rows(message.get("data"), "data"):
        if row.get("category", codec.CATEGORY) != codec.CATEGORY:
            continue  # other products of the same account are not ours to judge
        event = read[topic](row)
        if event is not None:
            yield event
