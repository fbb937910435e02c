"""Journal records of an order router, as few words as possible."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from hedgelock_actors.codec import execution_payload, request_payload
from hedgelock_actors.domain.order import OrderRequest, OrderType, Side, TimeInForce, order_link_id
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.journal import Entry, Json, Record

D = Decimal
NOW = 1_584_000_000_000


class Stream:
    """One router's stream, written record by record."""

    def __init__(self, account: str = "main", symbol: str = "BTCUSDT") -> None:
        self.account, self.symbol = account, symbol
        self.records: list[Record] = []

    def write(self, kind: str, ts_ms: int, payload: Mapping[str, Json]) -> None:
        n = len(self.records) + 1
        entry = Entry(kind=kind, key=f"{kind}:{n}", ts_ms=ts_ms, account=self.account, payload=payload)
        stream = f"order-router-{self.account}"
        self.records.append(Record(stream=stream, n=n, epoch=1, entry=entry, prev_hash="", hash=""))

    def intent(
        self,
        name: str,
        qty: str,
        mid: str,
        ts_ms: int = NOW,
        *,
        side: Side = Side.SELL,
        strategy: str = "",
        variant: str = "",
        version: int = 1,
        attempt: int = 0,
        realise: str = "",
    ) -> str:
        """An order of an intent; its link."""
        intent_id = f"{self.account}:{name}"
        link = order_link_id(intent_id, attempt)
        request = OrderRequest(
            account=self.account,
            symbol=self.symbol,
            side=side,
            qty=D(qty),
            order_type=OrderType.LIMIT,
            price=D(mid) or D(1),
            time_in_force=TimeInForce.IOC,
            reduce_only=side is Side.BUY,
            order_link_id=link,
            intent_id=intent_id,
            attempt=attempt,
        )
        told: dict[str, Json] = {"intent_qty": qty, "mid": mid, "target_version": version, "realise_id": realise}
        if strategy:
            told |= {"strategy": strategy, "variant": variant}
        self.write("intent", ts_ms, {**request_payload(request), **told})
        return link

    def fill(
        self,
        link: str,
        qty: str,
        price: str,
        ts_ms: int,
        *,
        fee: str = "0",
        side: Side = Side.SELL,
        maker: bool = False,
        exec_id: str = "",
        exec_type: str = "Trade",
        mids: Mapping[int, str] | None = None,
    ) -> str:
        """An execution, with its markout when there is one; its id."""
        exec_id = exec_id or f"exec-{self.account}-{len(self.records)}"
        execution = Execution(
            symbol=self.symbol,
            exec_id=exec_id,
            order_id="",
            order_link_id=link,
            side=side,
            qty=D(qty),
            price=D(price),
            fee=D(fee),
            exec_type=exec_type,
            is_maker=maker,
            ts_ms=ts_ms,
            closed_size=D(0),
            create_type="",
        )
        self.write("execution", ts_ms, execution_payload(execution))
        if mids is not None:
            told = {str(horizon): mid for horizon, mid in mids.items()}
            self.write("markout", ts_ms + 60_000, {"exec_id": exec_id, "mids": told})
        return exec_id
