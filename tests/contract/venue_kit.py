"""What the venue contracts need: a simulated exchange, the real adapter on it, orders that the gate lets through."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.loans import BybitLoans
from hedgelock_actors.adapters.bybit.secret import Credentials, Secret
from hedgelock_actors.adapters.bybit.streams import Patience
from hedgelock_actors.adapters.bybit.venue import BybitVenue, OrderRules
from hedgelock_actors.adapters.venue_clock.replay import ReplayClock
from hedgelock_actors.domain.limits import Approved, GateContext, Intent, Limits, OpenOrder, approve, approve_amend
from hedgelock_actors.domain.market import Instrument, Quote
from hedgelock_actors.domain.order import (
    AmendRequest,
    OrderRequest,
    OrderType,
    Rejected,
    Side,
    SubmitOutcome,
    TimeInForce,
    order_link_id,
)
from hedgelock_actors.ports.venue import PrivateEvent
from tests.integration.exchange_process import Running

SYMBOL = "BTCUSDT"
QUICK = Patience(silence_s=20.0, look_s=0.1, backoff_min_s=0.05, backoff_max_s=0.3)
# The gate is not what is tested here: it is opened wide.
WIDE = Limits(
    max_order_qty=Decimal(1_000),
    max_order_notional_usdt=Decimal(10**9),
    max_position_qty=Decimal(1_000),
    max_position_notional_usdt=Decimal(10**9),
    notional_per_minute_usdt=Decimal(10**9),
    critical_notional_per_minute_usdt=Decimal(10**9),
    max_slippage_bps=Decimal(9_999),
    price_band_bps=Decimal(9_999),
)
_numbers = itertools.count()
T = TypeVar("T")


class SkewedClock(ReplayClock):
    """The exchange's clock, read `skew_ms` wrong."""

    skew_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.skew_ms


@dataclass
class World:
    """One account on one running exchange, with everything its private stream said."""

    running: Running
    clock: SkewedClock
    venue: BybitVenue
    loans: BybitLoans
    instrument: Instrument
    events: list[PrivateEvent] = field(default_factory=list)

    async def hear(self, event: PrivateEvent) -> None:
        self.events.append(event)

    async def heard(self, kind: type[T], fits: Callable[[T], bool] = lambda _: True, count: int = 1) -> list[T]:
        """The events of a kind that fit, once there are `count`."""

        def found() -> list[T]:
            return [event for event in self.events if isinstance(event, kind) and fits(event)]

        await until(lambda: len(found()) >= count)
        return found()

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        """Place, and again for as long as the venue says that it was too often."""
        while True:
            outcome = await self.venue.place(order)
            if not (isinstance(outcome, Rejected) and outcome.code == "10006"):
                return outcome
            await asyncio.sleep(0.3)

    async def mark(self) -> Decimal:
        """The price of now."""
        return (await self.venue.position(SYMBOL)).mark

    async def order(self, qty: str, price: Decimal | None = None, **changes: Any) -> Approved[OrderRequest]:
        """An approved order: a sale at market, or a resting one when a price is given."""
        intent = f"contract-{id(self)}-{next(_numbers)}"
        request = OrderRequest(
            account="main",
            symbol=SYMBOL,
            side=Side.SELL,
            qty=Decimal(qty),
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
            time_in_force=TimeInForce.IOC if price is None else TimeInForce.GTC,
            reduce_only=False,
            order_link_id=order_link_id(intent, 0),
            intent_id=intent,
            attempt=0,
        )
        return gate(replace(request, **changes), self.instrument, await self.mark(), self.clock.now_ms())


def gate(request: OrderRequest, instrument: Instrument, mark: Decimal, now_ms: int) -> Approved[OrderRequest]:
    """The real gate with wide limits."""
    intents = MappingProxyType({request.intent_id: Intent(side=request.side, qty=request.qty)})
    context = replace(_context(request.account, instrument, mark, now_ms), intents=intents)
    approved = approve(request, context, WIDE)
    assert isinstance(approved, Approved), approved
    return approved


async def approved_amend(world: World, amend: AmendRequest) -> Approved[AmendRequest]:
    """An amendment that the real gate lets through."""
    mark, now_ms = await world.mark(), world.clock.now_ms()
    resting = OpenOrder(order_link_id=amend.order_link_id, side=amend.side, price=amend.price - 1, qty=Decimal("0.01"))
    intents = MappingProxyType({amend.intent_id: Intent(side=amend.side, qty=Decimal("0.01"))})
    context = replace(_context(amend.account, world.instrument, mark, now_ms), open_orders=(resting,), intents=intents)
    approved = approve_amend(amend, context, WIDE)
    assert isinstance(approved, Approved), approved
    return approved


def _context(account: str, instrument: Instrument, mark: Decimal, now_ms: int) -> GateContext:
    quote = Quote(ts_ms=now_ms, last=mark, mark=mark, index=mark, bid=mark - 1, ask=mark + 1)
    return GateContext(
        now_ms=now_ms,
        account=account,
        environment="local",
        instrument=instrument,
        quote=quote,
        position_qty=Decimal(-40),
        position_ms=now_ms,
        reconciled=True,
    )


async def until(check: Callable[[], bool], timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not check():  # noqa: ASYNC110 (the checks look at another process too)
            await asyncio.sleep(0.02)


def keys(running: Running, number: int = 0) -> Credentials:
    account = running.accounts[number]
    return Credentials(str(account["api_key"]), Secret(str(account["api_secret"])))


@asynccontextmanager
async def world_on(
    running: Running,
    topics: tuple[str, ...],
    number: int = 0,
    rules: OrderRules | None = None,
    skew_ms: int = 0,
    key: str | None = None,
) -> AsyncIterator[World]:
    """The adapter on a running exchange, in real time."""
    clock = SkewedClock(running.rest, f"contract-{number}")
    clock.skew_ms = skew_ms
    await clock.start()
    endpoints, credentials = Endpoints.local(running.rest, running.ws), keys(running, number)
    if key is not None:
        credentials = replace(credentials, api_key=key)
    venue = BybitVenue(endpoints, credentials, "main", clock, patience=QUICK, rules=rules)
    loans = BybitLoans(endpoints, credentials, clock, "main")
    world = World(running, clock, venue, loans, await venue.instrument(SYMBOL))
    await venue.start(topics, world.hear)
    try:
        yield world
    finally:
        await venue.stop()
        loans.close()
        await clock.stop()
