"""What the order router knows: intents, orders and how they add up. A fold of its journal and of what it hears.

Nothing here waits or decides; the journal's records and the live events go through the same methods.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from types import MappingProxyType

from hedgelock_actors.codec import (
    Payload,
    amount,
    flag,
    integer,
    outcome_from,
    request_from,
    text,
    view_from,
)
from hedgelock_actors.domain.limits import Intent, Working, working_of
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import (
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderView,
    Side,
    SubmitOutcome,
    TimeInForce,
    Unknown,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.journal import Record

SETTLED_KEPT = 2_000
"""Orders remembered after they are settled, for the view and for late news."""
LINKS_KEPT = 50_000
GAPS_KEPT = 1_000
RECENT_KEPT = 5_000
REALISES_KEPT = 200
MINUTE_MS = 60_000
SHOWN_BY_MS = 66_000
"""A request is refused for its age 5 s after it was signed, and what was taken shows within a minute."""


@dataclass(slots=True)
class IntentBook:
    """One decision and the orders that carry it out."""

    intent_id: str
    side: Side
    qty: Decimal
    realise_id: str = ""
    trade_id: str = ""
    gap: int = 0
    """Which gap under its target version it closes; means nothing for realising and trades."""
    decided_mid: Decimal = ZERO
    links: list[str] = field(default_factory=list)
    next_attempt: int = 0
    """Attempts below it were handed to the venue, or may have been."""
    ended: bool = False
    """A strategy has brought it to its end: what is left is another intent's."""


@dataclass(slots=True)
class Tracked:
    """One order, with when it was sent and when it is to be looked for next."""

    state: OrderState
    sends: int = 0
    answers: int = 0
    sent_ms: int = 0
    look_ms: int = 0
    looks: int = 0
    missed_looks: int = 0
    """Questions that the venue answered with nothing, after the time by which it would show the order."""
    amends: int = 0
    measured: bool = False
    """How much of it filled was reckoned with, once."""
    told: bool = False
    """The alert about its being unresolved was given."""
    _effect: tuple[OrderState, Decimal] | None = None

    @property
    def effect_qty(self) -> Decimal:
        """Filled, plus what may still fill. Asked of every order of the last minute before every order: kept."""
        if self._effect is None or self._effect[0] is not self.state:
            self._effect = (self.state, self.state.cum_qty + self.state.worst_case_qty)
        return self._effect[1]

    @property
    def link(self) -> str:
        """Its id at the venue."""
        return self.state.request.order_link_id

    @property
    def price(self) -> Decimal | None:
        """Where it is, by the venue's last word; None for a market order."""
        view = self.state.view
        return self.state.request.price if view is None or self.state.request.price is None else view.price

    @property
    def settled(self) -> bool:
        """Closed, and all its fills are in the position."""
        return self.state.terminal and self.state.outstanding_qty == ZERO

    @property
    def unresolved(self) -> bool:
        """Handed to the venue, and the venue has not said a word about the order itself."""
        return self.state.from_view is None and not self.state.terminal

    @property
    def resting(self) -> bool:
        """It may stay in the book for long."""
        return self.state.request.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)

    @property
    def refused(self) -> bool:
        """The venue asked to send it again later: it certainly has nothing of it."""
        return self.state.status is OrderStatus.PENDING_SUBMIT and self.answers >= self.sends > 0


@dataclass(slots=True)
class Realise:
    """A request to close and re-open `qty`."""

    request_id: str
    qty: Decimal
    done: bool = False


class RouterBook:
    """Mutable, owned by one worker."""

    def __init__(self, account: str, symbol: str) -> None:
        self.account = account
        self.symbol = symbol
        self.orders: dict[str, Tracked] = {}
        self._live: dict[str, Tracked] = {}
        """Of these, the ones that may not be settled: so that a long history costs nothing on every price."""
        self.intents: dict[str, IntentBook] = {}
        self.realises: dict[str, Realise] = {}
        self.gaps: dict[int, int] = {}
        """Target version → number of gaps decided under it."""
        self.known_links: dict[str, None] = {}
        """Ids of our orders, oldest first; longer remembered than the orders themselves."""
        self.sent_ms: list[int] = []
        self.decided_ms: deque[int] = deque()
        """When intents of the last minute were decided."""
        self.amended_ms: deque[int] = deque()
        """When amendments of the last minute were asked for."""
        self._recent: deque[Tracked] = deque(maxlen=RECENT_KEPT)
        self._changed: dict[str, None] = {}

    # ------------------------------------------------------------ facts, from the journal or as they happen

    def replay(self, record: Record) -> None:
        """Fold one journal record."""
        payload, ts_ms = record.entry.payload, record.entry.ts_ms
        match record.entry.kind:
            case "intent":
                self.decide(payload, ts_ms)
                self.sending(request_from(payload), ts_ms)
            case "resend":
                self.sending(request_from(payload), ts_ms)
            case "amend":
                self.amending(text(payload, "order_link_id"), integer(payload, "number"), ts_ms)
            case "outcome":
                self.answered(text(payload, "order_link_id"), outcome_from(payload))
            case "absent":
                self.absent(text(payload, "order_link_id"), text(payload, "why"))
            case "order":
                self.heard(view_from(payload))
            case "realise":
                self.realise(text(payload, "request_id"), amount(payload, "qty"))
            case "realise_done":
                self.realise_done(text(payload, "request_id"))
            case "strategy_done":
                self.strategy_done(text(payload, "intent_id"), flag(payload, "ended"))
            case _:
                pass

    def replayed(self) -> None:
        """After the last record: a send without an answer may or may not have reached the venue."""
        for tracked in self.orders.values():
            if tracked.sends > tracked.answers:
                tracked.answers = tracked.sends
                tracked.state = tracked.state.apply_outcome(Unknown("no answer was journalled"))

    def decide(self, payload: Payload, now_ms: int) -> None:
        """A decision stands behind an order; a known one stays as it was."""
        intent_id = text(payload, "intent_id")
        if intent_id in self.intents:
            return
        intent = self.intents[intent_id] = IntentBook(
            intent_id=intent_id,
            side=Side(text(payload, "side")),
            qty=amount(payload, "intent_qty"),
            realise_id=text(payload, "realise_id"),
            trade_id=text(payload, "trade_id"),
            gap=integer(payload, "gap"),
            decided_mid=amount(payload, "decided_mid"),
        )
        if not intent.realise_id and not intent.trade_id:
            version = integer(payload, "target_version")
            self.gaps[version] = max(self.gaps.get(version, 0), intent.gap + 1)
        self.decided_ms.append(now_ms)
        while now_ms - self.decided_ms[0] >= MINUTE_MS:
            self.decided_ms.popleft()

    def strategy_done(self, intent_id: str, ended: bool) -> None:
        """A strategy stopped working on an intent; `ended`: for good."""
        intent = self.intents.get(intent_id)
        if intent is not None:
            intent.ended = intent.ended or ended

    def sending(self, request: OrderRequest, now_ms: int) -> Tracked:
        """The order is about to be handed to the venue (again)."""
        link = request.order_link_id
        tracked = self.orders.get(link)
        if tracked is None:
            tracked = self.orders[link] = self._live[link] = Tracked(OrderState(request=request))
            intent = self.intents[request.intent_id]
            intent.links.append(link)
            intent.next_attempt = max(intent.next_attempt, request.attempt + 1)
            self.known_links[link] = None
            self._recent.append(tracked)
        tracked.sends += 1
        tracked.sent_ms = now_ms
        tracked.missed_looks = 0
        tracked.look_ms = now_ms + 1_000
        self.sent_ms = [sent for sent in self.sent_ms if now_ms - sent < MINUTE_MS]
        self.sent_ms.append(now_ms)
        self._changed[link] = None
        return tracked

    def amending(self, link: str, number: int, now_ms: int) -> None:
        """Another price is about to be asked for."""
        tracked = self.orders.get(link)
        if tracked is not None:
            tracked.amends = max(tracked.amends, number)
        self.amended_ms.append(now_ms)
        while now_ms - self.amended_ms[0] >= MINUTE_MS:
            self.amended_ms.popleft()

    def answered(self, link: str, outcome: SubmitOutcome) -> None:
        """The venue's answer to a send."""
        tracked = self.orders.get(link)
        if tracked is not None:
            tracked.answers += 1
            tracked.state = tracked.state.apply_outcome(outcome)
            self._changed[link] = None

    def absent(self, link: str, why: str) -> None:
        """The order never left us."""
        tracked = self.orders.get(link)
        if tracked is not None:
            tracked.answers = tracked.sends
            tracked.state = tracked.state.prove_absent(why)
            self._changed[link] = None

    def heard(self, view: OrderView) -> bool:
        """The venue's word about an order; True when it is one of ours and told something new."""
        tracked = self.orders.get(view.order_link_id)
        if tracked is None:
            return False
        before = tracked.state
        tracked.state = before.apply_view(view)
        if tracked.state == before:
            return False
        self._live[tracked.link] = tracked
        self._changed[tracked.link] = None
        return True

    def executed(self, execution: Execution) -> None:
        """A fill; the position itself is folded elsewhere."""
        tracked = self.orders.get(execution.order_link_id)
        if tracked is not None and not execution.is_funding:
            tracked.state = tracked.state.apply_execution(execution.exec_id, execution.qty)
            self._live[tracked.link] = tracked
            self._changed[tracked.link] = None

    def realise(self, request_id: str, qty: Decimal) -> None:
        """Hear of a request to realise profit."""
        self.realises.setdefault(request_id, Realise(request_id, qty))

    def realise_done(self, request_id: str) -> None:
        """It is finished, wholly or as far as it went."""
        if request_id in self.realises:
            self.realises[request_id].done = True

    def forget_old(self) -> None:
        """Keep memory bounded: drop the oldest settled orders, and intents without orders."""
        for link in list(self.known_links)[: max(0, len(self.known_links) - LINKS_KEPT)]:
            del self.known_links[link]
        done = [one.request_id for one in self.realises.values() if one.done]
        for request_id in done[: max(0, len(done) - REALISES_KEPT)]:
            del self.realises[request_id]
        for version in sorted(self.gaps)[: max(0, len(self.gaps) - GAPS_KEPT)]:
            del self.gaps[version]
        excess = len(self.orders) - SETTLED_KEPT
        if excess <= 0:
            return
        old = [link for link, tracked in self.orders.items() if tracked.settled][:excess]
        for link in old:
            intent_id = self.orders.pop(link).state.request.intent_id
            intent = self.intents.get(intent_id)
            if intent is not None and all(one not in self.orders for one in intent.links):
                del self.intents[intent_id]

    def take_changed(self) -> list[Tracked]:
        """Orders of which something became known since this was last asked."""
        if not self._changed:
            return []
        changed, self._changed = self._changed, {}
        return [self.orders[link] for link in changed if link in self.orders]

    # ------------------------------------------------------------ how it adds up

    def unsettled(self) -> list[Tracked]:
        """Orders that may still add to the position."""
        self._live = {link: tracked for link, tracked in self._live.items() if not tracked.settled}
        return list(self._live.values())

    def working(self, without: Collection[str] = ()) -> Working:
        """The worst case of all unsettled orders, some of them left out on request."""
        return working_of(tracked.state for tracked in self.unsettled() if tracked.link not in without)

    def of_trades(self) -> list[Tracked]:
        """Unsettled orders of trades."""
        return [one for one in self.unsettled() if self._is_trade(one)]

    def _is_trade(self, tracked: Tracked) -> bool:
        intent = self.intents.get(tracked.state.request.intent_id)
        return intent is not None and bool(intent.trade_id)

    def recent(self, now_ms: int) -> list[Tracked]:
        """Orders sent within the last minute."""
        while self._recent and now_ms - self._recent[0].sent_ms >= MINUTE_MS:
            self._recent.popleft()
        return list(self._recent)

    def trade_working(self, without: Collection[str] = ()) -> Decimal:
        """What orders of trades may still add to the short (sells less buys)."""
        of_trades = (one for one in self.of_trades() if one.link not in without)
        return sum((-one.state.request.side.sign * one.state.outstanding_qty for one in of_trades), ZERO)

    def committed(self, intent: IntentBook) -> Decimal:
        """Filled, plus the worst case of what may still fill."""
        states = (self.orders[link].state for link in intent.links if link in self.orders)
        return sum((state.cum_qty + state.worst_case_qty for state in states), ZERO)

    def filled(self, intent: IntentBook) -> Decimal:
        """Filled so far."""
        return sum((self.orders[link].state.cum_qty for link in intent.links if link in self.orders), ZERO)

    def misses(self, intent: IntentBook) -> int:
        """Attempts that are over and did not fill wholly, whether the market or the venue refused them."""
        states = (self.orders[link].state for link in intent.links if link in self.orders)
        return sum(1 for state in states if state.terminal and state.status is not OrderStatus.FILLED)

    def alive(self, intent: IntentBook) -> bool:
        """An attempt of the intent is not over yet."""
        return any(not self.orders[link].settled for link in intent.links if link in self.orders)

    def intent_view(self, intent_id: str) -> MappingProxyType[str, Intent]:
        """One intent with what its attempts have committed, as the limits see it."""
        intent = self.intents.get(intent_id)
        if intent is None:
            return MappingProxyType({})
        requests = [self.orders[link].state.request for link in intent.links if link in self.orders]
        seen = Intent(
            side=intent.side,
            qty=intent.qty,
            committed_qty=self.committed(intent),
            attempts=frozenset(request.attempt for request in requests),
        )
        return MappingProxyType({intent_id: seen})

    def latest_intent(self, prefix: str, version: int, side: Side) -> IntentBook | None:
        """The newest gap intent under a target version, if it is on this side."""
        intent = self.intents.get(gap_intent_id(prefix, version, self.gaps.get(version, 0) - 1))
        return intent if intent is not None and intent.side is side else None

    def pending_realise(self) -> Realise | None:
        """The oldest request that is not finished."""
        return next((one for one in self.realises.values() if not one.done), None)

    def summary(self, limit: int = 50) -> list[Mapping[str, object]]:
        """The newest orders, for people."""
        return [_order_summary(tracked) for tracked in islice(reversed(self.orders.values()), limit)]


def gap_intent_id(prefix: str, version: int, gap: int) -> str:
    """The intent to close the n-th gap under a target version: a pure function of the decision."""
    return f"{prefix}:t{version}:g{gap}"


def realise_intent_id(prefix: str, request_id: str) -> str:
    """The intent to realise profit."""
    return f"{prefix}:realise:{request_id}"


def trade_intent_id(prefix: str, trade_id: str) -> str:
    """The intent to carry out a trade."""
    return f"{prefix}:trade:{trade_id}"


def _order_summary(tracked: Tracked) -> Mapping[str, object]:
    state = tracked.state
    return {
        "order_link_id": state.request.order_link_id,
        "intent_id": state.request.intent_id,
        "attempt": state.request.attempt,
        "side": state.request.side.value,
        "qty": str(state.request.qty),
        "price": None if state.request.price is None else str(state.request.price),
        "reduce_only": state.request.reduce_only,
        "status": state.status.value,
        "time_in_force": state.request.time_in_force.value,
        "filled": str(state.cum_qty),
        "sent_ms": tracked.sent_ms,
    }
