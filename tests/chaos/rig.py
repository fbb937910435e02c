"""A router on the simulated exchange with a bad line to each thing it needs, judged by the exchange's own account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.market_data import BybitMarketData
from hedgelock_actors.adapters.bybit.secret import Credentials
from hedgelock_actors.adapters.bybit.streams import Patience
from hedgelock_actors.adapters.bybit.venue import BybitVenue, OrderRules
from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.lease import AlwaysHeld
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.adapters.venue_clock.replay import ReplayClock
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.messages import OrderEvent, SetTarget
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.market_feed import MarketFeed
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.cache import Cache
from hedgelock_actors.ports.clock import Clock
from hedgelock_actors.ports.journal import Entry, Journal
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.lease import Lease
from tests.chaos.proxy import Address, Proxy
from tests.contract.venue_kit import keys
from tests.integration.exchange_process import Running

SYMBOL, ACCOUNT = "BTCUSDT", "main"
ROUTER, KEEPER, FEED = f"order-router-{ACCOUNT}", f"position-keeper-{ACCOUNT}", "market-feed"
QUICK = Patience(answer_s=2.0, silence_s=20.0, look_s=0.1, first_s=3.0, backoff_min_s=0.05, backoff_max_s=0.3)
RULES = OrderRules(answer_ms=1_000)
CONVERGE_S = 30.0


@dataclass
class Lines:
    """The bad lines: queries, the account's sockets (orders out, its word in), public prices."""

    rest: Proxy
    account: Proxy
    prices: Proxy

    def heal(self) -> None:
        """All of them."""
        for line in (self.rest, self.account, self.prices):
            line.heal()


@dataclass(frozen=True)
class Machinery:
    """A router on the exchange, and the feed that tells it the prices."""

    router: OrderRouter
    feed: MarketFeed
    market: BybitMarketData


def machinery(
    name: str,
    account: Endpoints,
    prices: Endpoints,
    credentials: Credentials,
    *,
    clock: Clock,
    journal: Journal,
    cache: Cache,
    lease: Lease,
    transport: MemoryTransport,
    rules: OrderRules = RULES,
) -> Machinery:
    """Made, and not started."""
    policy = Policy()
    limits = replace(policy.limits, orders_per_minute=200, critical_orders_per_minute=200)
    policy = replace(policy, limits=limits)
    market = BybitMarketData(prices, clock, patience=QUICK)
    router = OrderRouter(
        name,
        ACCOUNT,
        SYMBOL,
        venue=BybitVenue(account, credentials, ACCOUNT, clock, patience=QUICK, rules=rules),
        journal=journal,
        clock=clock,
        transport=transport,
        policy=policy,
        latch=Latch(),
        lease=lease,
        notifier="notifier",
        environment="local",
    )
    feed = MarketFeed(
        FEED,
        [SYMBOL],
        market=market,
        clock=clock,
        transport=transport,
        cache=cache,
        subscribers=[name],
        policy=policy,
        notifier="notifier",
    )
    transport.register(name, router.receive)
    return Machinery(router, feed, market)


def target(version: int, qty: str, now_ms: int) -> SetTarget:
    """What is to be held, at once."""
    return SetTarget(
        account=ACCOUNT,
        symbol=SYMBOL,
        version=version,
        ts_ms=now_ms,
        target_short_qty=Decimal(qty),
        level=RiskLevel.CRITICAL,
        reason="chaos",
        causation_id=f"chaos-{version}",
    )


class Rig:
    """One account of a running exchange; see `rig_on`."""

    def __init__(self, running: Running, number: int, clock: ReplayClock, lines: Lines) -> None:
        self.running, self.number, self.clock, self.lines = running, number, clock, lines
        self.uid = str(running.accounts[number]["uid"])
        self.transport = MemoryTransport()
        self.journal: Journal = MemoryJournal()
        self.cache: Cache = MemoryCache()
        self.rules = RULES
        self.name = ROUTER
        self.targets: list[Decimal] = []
        self.lease: Lease = AlwaysHeld()
        self._started = False

    async def start(self) -> None:
        """The router and the feed that tells it the prices."""
        made = machinery(
            self.name,
            Endpoints.local(f"http://127.0.0.1:{self.lines.rest.port}", f"ws://127.0.0.1:{self.lines.account.port}"),
            Endpoints.local(f"http://127.0.0.1:{self.lines.rest.port}", f"ws://127.0.0.1:{self.lines.prices.port}"),
            keys(self.running, self.number),
            clock=self.clock,
            journal=self.journal,
            cache=self.cache,
            lease=self.lease,
            transport=self.transport,
            rules=self.rules,
        )
        self.router, self.feed, self.market = made.router, made.feed, made.market
        self._started = True
        await self.router.start()
        await self.feed.start()
        await self.until("ready", lambda: self.router.health().status == "ready")

    async def stop(self) -> None:
        """Both, and the clock."""
        if self._started:
            self._started = False
            await self.feed.stop()
            await self.router.stop()
        await self.clock.stop()

    async def target(self, qty: str) -> None:
        """State what is to be held, once, and on record."""
        self.targets.append(Decimal(qty))
        await self.router.receive(target(len(self.targets), qty, self.clock.now_ms()))

    # ------------------------------------------------------------ what the exchange says

    async def report(self) -> dict[str, Any]:
        """The exchange's account of us. Not over any of the bad lines."""
        return dict(await asyncio.to_thread(self.running.sim, "report", uid=self.uid))

    async def arrivals(self) -> list[dict[str, Any]]:
        """Creates in the order in which they reached the exchange."""
        rows = (await asyncio.to_thread(self.running.sim, "orders", uid=self.uid))["list"]
        return [row for row in rows if row["op"].startswith("create")]

    async def short(self) -> Decimal:
        """What the exchange says we are short."""
        return -signed_qty(await self.report())

    async def held(self, qty: str) -> None:
        """Until the exchange and the router both say so."""
        async with asyncio.timeout(CONVERGE_S):
            while await self.short() != Decimal(qty) or self.counted != -Decimal(qty):  # noqa: ASYNC110 (as below)
                await asyncio.sleep(0.1)

    async def until(self, what: str, true: Callable[[], bool], limit_s: float = CONVERGE_S) -> None:
        """Until it is so."""
        try:
            async with asyncio.timeout(limit_s):
                while not true():  # noqa: ASYNC110 (what is looked at is in other tasks and processes)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {limit_s:g} s: {what}; {self.router.health()}") from None

    async def kept(self, kind: str) -> list[Mapping[str, Any]]:
        """Payloads of the router's records of one kind."""
        return [record.entry.payload async for record in self.journal.read(self.name) if record.entry.kind == kind]

    @property
    def counted(self) -> Decimal:
        """The router's own count of the position."""
        return Decimal(str(self.router.snapshot()["position_qty"]))

    def events(self, kind: str) -> list[OrderEvent]:
        """What the notifier heard of one kind."""
        return [one for one in self.transport.messages(OrderEvent) if one.event == kind]

    async def judged(self) -> list[dict[str, Any]]:
        """No duplicate, nothing lost, the last target held; returns what arrived."""
        report, arrivals = await self.report(), await self.arrivals()
        taken = [row["order_link_id"] for row in arrivals if row["retCode"] == 0]
        assert len(taken) == len(set(taken)), taken
        assert report["duplicate_orders"] == 0
        assert signed_qty(report) == -self.targets[-1] == self.counted
        kept = [record async for record in self.journal.read(self.name)]
        intents = {str(record.entry.payload["order_link_id"]) for record in kept if record.entry.kind == "intent"}
        assert set(taken) <= intents, "an order without a decision on record"
        fills = [record.entry for record in kept if record.entry.kind == "execution"]
        assert sum(signed(entry) for entry in fills) == signed_qty(report)
        assert sum(abs(signed(entry)) for entry in fills) == churn(self.targets), "traded more than was asked"
        assert report["fills"] == len(fills), "the venue's fills and ours"
        return arrivals


def signed(entry: Entry) -> Decimal:
    """What an execution on record adds to the position."""
    return Decimal(str(entry.payload["qty"])) * (1 if entry.payload["side"] == "Buy" else -1)


def churn(targets: list[Decimal]) -> Decimal:
    """The least that has to be traded to hold each target in turn."""
    steps = zip([Decimal(0), *targets], targets, strict=False)
    return sum((abs(after - before) for before, after in steps), Decimal(0))


def signed_qty(report: Mapping[str, Any]) -> Decimal:
    """The position in a report."""
    return Decimal(str(report["positions"].get(SYMBOL, 0)))


def address(url: str) -> Address:
    """Host and port of a URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@asynccontextmanager
async def rig_on(running: Running, number: int) -> AsyncIterator[Rig]:
    """Everything but the router started; the caller may put other services in before `start`."""
    async with AsyncExitStack() as stack:
        target = address(running.rest)
        rest, account, prices = [await stack.enter_async_context(Proxy(target, seed=seed)) for seed in range(3)]
        clock = ReplayClock(running.rest, f"chaos-{number}")
        await clock.start()
        rig = Rig(running, number, clock, Lines(rest, account, prices))
        try:
            yield rig
        finally:
            await rig.stop()
