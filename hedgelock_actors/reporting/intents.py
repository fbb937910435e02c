"""What the order routers' journals say of each intent: what was decided, sent, filled, and where the market went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.codec import Payload, amount, execution_from, flag, integer, text
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.journal import Record

TRADE = "Trade"
PLAIN = "aggressive"
"""How an intent was carried out whose record names no strategy."""


@dataclass(slots=True)
class Fill:
    """One execution of an order of an intent. `mids` are the mids after it, by horizon in ms."""

    exec_id: str
    ts_ms: int
    qty: Decimal
    price: Decimal
    fee: Decimal
    """USDT; > 0 was paid."""
    is_maker: bool
    mids: dict[int, Decimal] = field(default_factory=dict)

    @property
    def value(self) -> Decimal:
        """USDT traded."""
        return self.qty * self.price


@dataclass(slots=True)
class IntentRecord:
    """One decision and all that came of it."""

    intent_id: str
    account: str
    symbol: str
    strategy: str
    variant: str
    side: Side
    qty: Decimal
    decided_mid: Decimal
    decided_ms: int
    """When it was journalled, venue time."""
    cause: str
    """What it served: a target with its version, or the trade or the realisation that it belongs to."""
    orders: int = 0
    resends: int = 0
    fills: list[Fill] = field(default_factory=list)
    unwanted: bool = False
    """It was told to stop because another quantity was wanted, or the trade was cancelled: the rest is no miss."""
    end_mid: Decimal | None = None
    """Mid of the next decision on the same account and symbol: what the part that did not fill was worth then."""

    @property
    def filled(self) -> Decimal:
        """Quantity filled."""
        return sum((fill.qty for fill in self.fills), ZERO)

    @property
    def value(self) -> Decimal:
        """USDT traded."""
        return sum((fill.value for fill in self.fills), ZERO)

    @property
    def retries(self) -> int:
        """Sends after the first."""
        return max(0, self.orders - 1) + self.resends


def read_intents(streams: Iterable[Sequence[Record]]) -> list[IntentRecord]:
    """Fold the records of order routers, each stream in its own order. Returns intents by time of decision."""
    intents: list[IntentRecord] = []
    for records in streams:
        intents += _Fold().take_all(records)
    return sorted(intents, key=lambda one: (one.decided_ms, one.account, one.intent_id))


class _Fold:
    """One stream."""

    def __init__(self) -> None:
        self._intents: dict[str, IntentRecord] = {}
        self._links: dict[str, IntentRecord] = {}
        self._fills: dict[str, Fill] = {}
        self._latest: dict[str, IntentRecord] = {}

    def take_all(self, records: Sequence[Record]) -> list[IntentRecord]:
        for record in records:
            self._take(record)
        return list(self._intents.values())

    def _take(self, record: Record) -> None:
        payload = record.entry.payload
        match record.entry.kind:
            case "intent":
                self._order(payload, record.entry.ts_ms)
            case "resend":
                known = self._links.get(text(payload, "order_link_id"))
                if known is not None:
                    known.resends += 1
            case "strategy_done":
                done = self._intents.get(text(payload, "intent_id"))
                if done is not None:
                    done.unwanted = flag(payload, "unwanted")
            case "execution":
                self._execution(execution_from(payload))
            case "markout":
                self._markout(payload)
            case _:
                pass

    def _order(self, payload: Payload, ts_ms: int) -> None:
        intent_id = text(payload, "intent_id")
        intent = self._intents.get(intent_id)
        if intent is None:
            intent = self._intents[intent_id] = _decided(payload, ts_ms)
            before = self._latest.get(intent.symbol)
            if before is not None:
                before.end_mid = intent.decided_mid
            self._latest[intent.symbol] = intent
        intent.orders += 1
        self._links[text(payload, "order_link_id")] = intent

    def _execution(self, execution: Execution) -> None:
        intent = self._links.get(execution.order_link_id)
        if intent is None or execution.exec_type != TRADE or execution.exec_id in self._fills:
            return
        fill = Fill(
            exec_id=execution.exec_id,
            ts_ms=execution.ts_ms,
            qty=execution.qty,
            price=execution.price,
            fee=execution.fee,
            is_maker=execution.is_maker,
        )
        self._fills[fill.exec_id] = fill
        intent.fills.append(fill)

    def _markout(self, payload: Payload) -> None:
        fill, mids = self._fills.get(text(payload, "exec_id")), payload.get("mids")
        if fill is not None and isinstance(mids, dict):
            fill.mids = {int(horizon): Decimal(str(mid)) for horizon, mid in mids.items()}


def _decided(payload: Payload, ts_ms: int) -> IntentRecord:
    intent_id, account = text(payload, "intent_id"), text(payload, "account")
    version = integer(payload, "target_version")
    own = text(payload, "realise_id") or ":trade:" in intent_id or not version
    return IntentRecord(
        intent_id=intent_id,
        account=account,
        symbol=text(payload, "symbol"),
        strategy=text(payload, "strategy") or PLAIN,
        variant=text(payload, "variant"),
        side=Side(text(payload, "side")),
        qty=amount(payload, "intent_qty") or amount(payload, "qty"),
        decided_mid=amount(payload, "decided_mid") or amount(payload, "mid"),
        decided_ms=ts_ms,
        cause=intent_id if own else f"{account}:{text(payload, 'symbol')}:target:{version}",
    )
