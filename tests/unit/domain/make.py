"""Ordinary values, to be varied by each test."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from hedgelock_actors.domain.limits import GateContext, Intent
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.order import (
    OrderRequest,
    OrderStatus,
    OrderType,
    OrderView,
    Side,
    TimeInForce,
    order_link_id,
)
from hedgelock_actors.domain.position import Execution

D = Decimal
NOW = 1_584_000_000_000
BTC = Instrument(
    symbol="BTCUSDT", base_coin="BTC", tick_size=D("0.1"), qty_step=D("0.001"), min_qty=D("0.001"), max_qty=D("1190"),
    max_market_qty=D("500"), min_notional=D("5"), funding_interval_min=480, max_leverage=D("100"),
    price_limit_ratio=D("0.01"),
)  # fmt: skip


def quote(price: str = "60000", ts_ms: int = NOW, **changes: Decimal) -> Quote:
    at = D(price)
    plain = Quote(ts_ms=ts_ms, last=at, mark=at, index=at, bid=at - D("0.5"), ask=at + D("0.5"))
    return replace(plain, **changes)


def request(
    qty: str = "1",
    side: Side = Side.SELL,
    price: str | None = "59940",
    *,
    intent_id: str = "intent-1",
    attempt: int = 0,
    reduce_only: bool | None = None,
    symbol: str = "BTCUSDT",
    account: str = "main",
) -> OrderRequest:
    return OrderRequest(
        account=account,
        symbol=symbol,
        side=side,
        qty=D(qty),
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        price=None if price is None else D(price),
        time_in_force=TimeInForce.IOC,
        reduce_only=side is Side.BUY if reduce_only is None else reduce_only,
        order_link_id=order_link_id(intent_id, attempt),
        intent_id=intent_id,
        attempt=attempt,
    )


def view(
    of: OrderRequest, status: OrderStatus, cum: str = "0", ts_ms: int = NOW, order_id: str = "venue-1"
) -> OrderView:
    filled = D(cum)
    return OrderView(
        symbol=of.symbol, order_id=order_id, order_link_id=of.order_link_id, status=status, side=of.side, qty=of.qty,
        price=of.price or D(0), cum_qty=filled, cum_value=filled * (of.price or D(0)), cum_fee=D(0),
        leaves_qty=of.qty - filled, reduce_only=of.reduce_only, reject_reason="EC_NoError", cancel_type="UNKNOWN",
        create_type="CreateByUser", ts_ms=ts_ms,
    )  # fmt: skip


def execution(
    exec_id: str,
    side: Side = Side.SELL,
    qty: str = "1",
    price: str = "60000",
    *,
    fee: str = "0",
    ts_ms: int = NOW,
    exec_type: str = "Trade",
) -> Execution:
    return Execution(
        symbol="BTCUSDT", exec_id=exec_id, order_id="venue-1", order_link_id="", side=side, qty=D(qty), price=D(price),
        fee=D(fee), exec_type=exec_type, is_maker=False, ts_ms=ts_ms, closed_size=D(0), create_type="CreateByUser",
    )  # fmt: skip


def gate(*intents: tuple[str, Intent], **changes: object) -> GateContext:
    known = dict(intents) or {"intent-1": Intent(side=Side.SELL, qty=D("100"))}
    plain = GateContext(
        now_ms=NOW,
        account="main",
        environment="local",
        instrument=BTC,
        quote=quote(),
        position_qty=D(0),
        position_ms=NOW,
        reconciled=True,
        intents=MappingProxyType(known),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
