"""A small exchange for tests: prices from a list, one tick a second, fixed latencies unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from hedgelock_actors.simulator.api import (
    AccountSpec,
    BookShape,
    Event,
    ExchangeSpec,
    Execution,
    FundingSchedule,
    Latency,
    OrderUpdate,
    OrderView,
    PlaceOrder,
    PriceTick,
)
from hedgelock_actors.simulator.engine import Exchange
from hedgelock_actors.simulator.instruments import INSTRUMENTS

T0 = 1_767_225_600_000  # 2026-01-01T00:00Z, on the funding grid
UID = "100001"
D = Decimal
P = TypeVar("P")


class ListPath:
    """Prices of a list, `step_ms` apart."""

    def __init__(self, prices: Sequence[float], volume: float = 0.0, start_ms: int = T0, step_ms: int = 1000) -> None:
        self._ticks = [
            PriceTick(ts_ms=start_ms + i * step_ms, price=price, volume=volume) for i, price in enumerate(prices)
        ]

    def next_ms(self) -> int | None:
        return self._ticks[0].ts_ms if self._ticks else None

    def take(self) -> PriceTick:
        return self._ticks.pop(0)


def account(usdt: str = "10000", **changes: object) -> AccountSpec:
    return replace(AccountSpec(uid=UID, unified={"USDT": D(usdt)}), **changes)  # type: ignore[arg-type]


SHAPE = BookShape(spread_bps=1.0, volatility_spread=0.0, volatility_thinning=0.0)
LATENCY = Latency(ack_ms=(4, 4), effect_ms=(3, 3), push_ms=(2, 2))


def exchange(
    prices: Sequence[float] = (60000.0,) * 50,
    accounts: Sequence[AccountSpec] | None = None,
    volume: float = 0.0,
    seed: int = 1,
    step_ms: int = 1000,
    funding: Mapping[str, FundingSchedule] | None = None,
    **changes: object,
) -> Exchange:
    spec = ExchangeSpec(accounts=tuple(accounts or (account(),)), instruments=INSTRUMENTS, book=SHAPE, latency=LATENCY)
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    paths = {"BTCUSDT": ListPath(prices, volume, step_ms=step_ms)}
    return Exchange(spec, paths, funding or {}, seed)


@dataclass
class Seen:
    """Events of one stretch of time, by kind."""

    events: list[Event]

    def of(self, kind: type[P]) -> list[P]:
        return [event.payload for event in self.events if isinstance(event.payload, kind)]

    @property
    def orders(self) -> list[OrderView]:
        return [update.order for update in self.of(OrderUpdate)]

    @property
    def fills(self) -> list[tuple[Decimal, Decimal]]:
        return [(one.execution.exec_price, one.execution.exec_qty) for one in self.of(Execution)]


def run(venue: Exchange, ms: int) -> Seen:
    return Seen(venue.advance(venue.now_ms + ms))


def run_out(venue: Exchange) -> Seen:
    events: list[Event] = []
    while (due := venue.next_market_ms()) is not None:
        events += venue.advance(due)
    return Seen(events + venue.advance(venue.now_ms + 1000))


def order(side: str = "Sell", qty: str = "0.1", price: str | None = None, **changes: object) -> PlaceOrder:
    kind = "Market" if price is None else "Limit"
    base = PlaceOrder(
        symbol="BTCUSDT",
        side="Buy" if side == "Buy" else "Sell",
        order_type="Market" if kind == "Market" else "Limit",
        qty=D(qty),
        price=None if price is None else D(price),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def place(venue: Exchange, command: PlaceOrder, uid: str = UID) -> tuple[str, Seen]:
    """Place, let it take effect and be pushed; the order's id and what was seen."""
    ack = venue.request(uid, command, venue.now_ms)
    assert ack.ret_code == 0, ack
    return str(ack.result["orderId"]), run(venue, 20)


def found(venue: Exchange, order_id: str, uid: str = UID) -> OrderView:
    view = venue.find_order(uid, order_id=order_id)
    assert view is not None
    return view
