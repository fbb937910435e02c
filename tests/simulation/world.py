"""Six actors and the exchange's engine in one process, on one clock: a replay that is equal to the last digit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.lease import AlwaysHeld
from hedgelock_actors.adapters.memory.transport import MemoryTransport
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.market_feed import MarketFeed
from hedgelock_actors.notifier import Notifier
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.latch import Latch
from hedgelock_actors.ports.venue import StreamLost, StreamRestored
from hedgelock_actors.position_keeper import PositionKeeper
from hedgelock_actors.risk_calculator import RiskCalculator
from hedgelock_actors.simulator import api
from hedgelock_actors.simulator.engine import Exchange
from hedgelock_actors.treasury import Treasury
from tests.simulation.in_process import Faults, SimLoans, SimMarketData, SimVenue, market_event, private_event
from tests.simulation.step_clock import StepClock

UID, ACCOUNT, SYMBOL = "100001", "main", "BTCUSDT"
FEED, TREASURY, NOTIFIER = "market-feed", "treasury", "notifier"
KEEPER, ROUTER, RISK = f"position-keeper-{ACCOUNT}", f"order-router-{ACCOUNT}", "risk-calculator-0"
NAMES = (NOTIFIER, TREASURY, ROUTER, KEEPER, RISK, FEED)
AnyActor = MarketFeed | RiskCalculator | PositionKeeper | OrderRouter | Treasury | Notifier
Hook = Callable[["World"], Awaitable[None]]


class World:
    """`hooks` maps numbers of market steps to what is to go wrong there."""

    def __init__(
        self,
        path: api.PricePath,
        *,
        collateral: Decimal = Decimal(10),
        ltv: Decimal = Decimal("0.40"),
        reserve: Decimal = Decimal("0.35"),
        policy: Policy | None = None,
        funding: api.FundingSchedule | None = None,
        latency: api.Latency | None = None,
        book: api.BookShape | None = None,
        hooks: Mapping[int, Hook] | None = None,
        seed: int = 1,
    ) -> None:
        account = api.AccountSpec(
            uid=UID, loan=api.InitialLoan(collateral={"BTC": collateral}, ltv=ltv), reserve_fraction=reserve
        )
        spec = api.ExchangeSpec(
            accounts=(account,),
            instruments=(api.Instrument(symbol=SYMBOL, base_coin="BTC"),),
            latency=latency or api.Latency(),
            book=book or api.BookShape(),
        )
        self.exchange = Exchange(spec, {SYMBOL: path}, {SYMBOL: funding or api.FundingSchedule()}, seed)
        self.policy = policy or Policy()
        self.journal, self.cache, self.transport = MemoryJournal(), MemoryCache(), MemoryTransport()
        self.latch, self.faults, self.hooks = Latch(), Faults(), dict(hooks or {})
        self.actors: dict[str, AnyActor] = {}
        self.venues: dict[str, SimVenue] = {}
        self.market = SimMarketData()
        self.clocks: dict[str, StepClock] = {}
        self._now_ms = self.exchange.now_ms
        self.restarts = 0
        self.missed = 0
        self._cut = False
        self.orders_then: object = None

    def now_ms(self) -> int:
        return self._now_ms

    # ------------------------------------------------------------ actors

    async def start(self, names: Sequence[str] = NAMES) -> None:
        for name in names:
            clock = self.clocks[name] = StepClock(self._now_ms)
            actor = self.actors[name] = self._build(name, clock)
            self.transport.register(name, actor.receive)
            await actor.start()

    async def kill(self, name: str) -> None:
        """As by kill -9: nothing is said, nothing is finished; then a new one is started on what the journal has."""
        self.restarts += 1
        self.transport.unregister(name)
        old = self.actors.pop(name)
        await self.clocks.pop(name).stop()
        if name in self.venues:
            await self.venues.pop(name).stop()
        if isinstance(old, OrderRouter):
            await old.stop()
        await self.start((name,))

    async def cut_streams(self) -> None:
        """Private streams are lost: what is pushed until `mend_streams` is gone for good."""
        self._cut = True
        for venue in self.venues.values():
            await venue.give("stream", StreamLost(reason="cut"))

    async def mend_streams(self) -> None:
        """Subscribed again."""
        self._cut = False
        for venue in self.venues.values():
            await venue.give("stream", StreamRestored())

    def _build(self, name: str, clock: StepClock) -> AnyActor:
        match name:
            case "market-feed":
                self.market = SimMarketData()
                return MarketFeed(
                    name, [SYMBOL], market=self.market, clock=clock, transport=self.transport, cache=self.cache,
                    subscribers=[ROUTER, KEEPER, RISK], policy=self.policy, notifier=NOTIFIER,
                )  # fmt: skip
            case "risk-calculator-0":
                return RiskCalculator(
                    name, journal=self.journal, clock=clock, transport=self.transport, policy=self.policy,
                    keepers={ACCOUNT: KEEPER}, notifier=NOTIFIER,
                )  # fmt: skip
            case "treasury":
                return Treasury(
                    name, {ACCOUNT: (self._loans(), KEEPER)}, journal=self.journal, clock=clock,
                    transport=self.transport, policy=self.policy, notifier=NOTIFIER,
                )  # fmt: skip
            case "notifier":
                return Notifier(name, [], journal=self.journal, clock=clock, policy=self.policy)
            case _ if name == KEEPER:
                return PositionKeeper(
                    name, ACCOUNT, SYMBOL, venue=self._venue(name), loans=self._loans(), journal=self.journal,
                    clock=clock, transport=self.transport, cache=self.cache, policy=self.policy, risk=RISK,
                    router=ROUTER, treasury=TREASURY, notifier=NOTIFIER,
                )  # fmt: skip
            case _:
                return OrderRouter(
                    name, ACCOUNT, SYMBOL, venue=self._venue(name), journal=self.journal, clock=clock,
                    transport=self.transport, policy=self.policy, latch=self.latch, lease=AlwaysHeld(),
                    notifier=NOTIFIER, keeper=KEEPER,
                )  # fmt: skip

    def _venue(self, name: str) -> SimVenue:
        self.venues[name] = SimVenue(self.exchange, UID, self.now_ms, self.faults)
        return self.venues[name]

    def _loans(self) -> SimLoans:
        return SimLoans(self.exchange, UID, self.now_ms, self.faults)

    # ------------------------------------------------------------ time

    async def run(self, steps: int | None = None) -> None:
        """Until the prices end, or for some market steps."""
        last = None if steps is None else self.exchange.ticks + steps
        while (market := self.exchange.next_market_ms()) is not None and self.exchange.ticks != last:
            internal = self.exchange.next_internal_ms()
            if internal is not None and internal <= market:
                await self._advance(internal)
                continue
            hook = self.hooks.pop(self.exchange.ticks, None)
            if hook is not None:
                await hook(self)
            for clock in list(self.clocks.values()):
                await clock.move(market)
            await self._advance(market)

    async def _advance(self, to_ms: int) -> None:
        self._now_ms = max(self._now_ms, to_ms)
        events = self.exchange.advance(self._now_ms)
        for clock in self.clocks.values():
            clock.set(self._now_ms)
        for event in events:
            await self._deliver(event)

    async def _deliver(self, event: api.Event) -> None:
        if event.uid is None:
            found = market_event(event.payload)
            if found is not None:
                await self.market.give(found)
            return
        private = private_event(event.payload, self._now_ms)
        if private is not None and self._cut:
            self.missed += 1
        elif private is not None:
            for venue in list(self.venues.values()):
                await venue.give(*private)

    # ------------------------------------------------------------ what came of it

    def report(self) -> dict[str, object]:
        """The venue's own truth."""
        return self.exchange.report(UID)

    def journalled(self, stream: str, kind: str) -> int:
        """How many records of a kind are in a stream."""
        return sum(row.kind == kind for row in self.journal.rows(stream))
