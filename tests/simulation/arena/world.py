"""Six actors as processes that can die, freeze and lose each other, around the exchange's engine, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import copy_context
from decimal import Decimal
from random import Random

from hedgelock_actors.adapters.memory.cache import MemoryCache
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.adapters.memory.lease import MemoryLeases
from hedgelock_actors.domain.execution_policy import ByLevel, ExecutionPolicy, Mode, TwapPolicy
from hedgelock_actors.domain.limits import Limits
from hedgelock_actors.domain.order import OrderRequest
from hedgelock_actors.domain.policy import Policy
from hedgelock_actors.domain.targeting import TargetPolicy
from hedgelock_actors.market_feed import MarketFeed
from hedgelock_actors.notifier import Notifier
from hedgelock_actors.order_router import OrderRouter
from hedgelock_actors.ports.journal import Record
from hedgelock_actors.ports.market_data import BookView, FeedBroken, MarketEvent, TickerView
from hedgelock_actors.ports.venue import Maintenance, PrivateEvent, StreamLost, StreamRestored
from hedgelock_actors.position_keeper import PositionKeeper
from hedgelock_actors.risk_calculator import RiskCalculator
from hedgelock_actors.simulator import api
from hedgelock_actors.simulator.engine import Exchange
from hedgelock_actors.treasury import Treasury
from tests.simulation.arena.cache import SimCache
from tests.simulation.arena.checks import Checks
from tests.simulation.arena.control import Control
from tests.simulation.arena.feed import WireMarket
from tests.simulation.arena.gateway import Gateway
from tests.simulation.arena.journal import SimJournal
from tests.simulation.arena.knobs import Knobs
from tests.simulation.arena.lease import belongs, lease_of
from tests.simulation.arena.loop import SimLoop
from tests.simulation.arena.network import Network, SimTransport
from tests.simulation.arena.path import SwarmPath
from tests.simulation.arena.process import AnyActor, Process
from tests.simulation.arena.truth import Truth
from tests.simulation.arena.wire import Wire, WireLoans, WireVenue
from tests.simulation.arena.witness import Arrived, Handed, Witness
from tests.simulation.in_process import market_event, private_event

UID, ACCOUNT, SYMBOL = "100001", "main", "BTCUSDT"
FEED, TREASURY, NOTIFIER = "market-feed", "treasury", "notifier"
KEEPER, ROUTER, RISK = f"position-keeper-{ACCOUNT}", f"order-router-{ACCOUNT}", "risk-calculator-0"
NAMES = (NOTIFIER, TREASURY, ROUTER, KEEPER, RISK, FEED)
BOOK_LEVELS = 8


class SwarmWorld:
    """One run. Everything of the world itself happens outside the processes, in `context`."""

    uid, symbol = UID, SYMBOL

    def __init__(self, knobs: Knobs, loop: SimLoop) -> None:
        self.knobs, self.loop = knobs, loop
        self.context = copy_context()
        self.rng, self.wire_rng = Random(f"world {knobs.seed}"), Random(f"wire {knobs.seed}")
        self._strike_rng = Random(f"strike {knobs.seed}")
        self._chances = {name: getattr(knobs.chances, name) for name in knobs.chances.__slots__}
        self.path = SwarmPath(knobs)
        self.exchange = Exchange(_spec(knobs), {SYMBOL: self.path}, {SYMBOL: api.FundingSchedule()}, knobs.seed)
        self.truth = Truth(self.exchange, UID, SYMBOL)
        self.policy = _policy(knobs)
        self.store = MemoryJournal()
        self.cache = MemoryCache(lambda: loop.now_ms / 1000)
        self.leases = MemoryLeases(lambda: loop.now_ms)
        self.witness = Witness(lambda: loop.now_ms)
        self.network, self.gateway = Network(self), Gateway(self)
        self.control = Control(self)
        self.processes: dict[str, Process] = {}
        self.all: list[Process] = []
        self.venues: list[WireVenue] = []
        self.market: WireMarket | None = None
        self.faulty = True
        self.cut = self.journal_down = self.down = False
        self.journal_stalled_ms = self.rate_limited_ms = self.feed_frozen_ms = 0
        self.query_lag_ms, self.executions_lag_ms = knobs.query_lag_ms, knobs.executions_lag_ms
        self.announced: list[Maintenance] = []
        self.partitions: set[frozenset[str]] = set()
        self.under_way: dict[str, OrderRequest] = {}
        self.fed_ms = loop.now_ms
        self._compared: dict[int, set[str]] = {}
        self._due_ms = -1
        self._ticks = 0
        self.checks = Checks(self)

    # ------------------------------------------------------------ faults

    def strikes(self, kind: str, *facts: object) -> bool:
        """Whether a fault of this kind happens now, by its chance."""
        chance = self._chances[kind]
        if chance == 0.0 or not self.faulty or self._strike_rng.random() >= chance:
            return False
        self.witness.fault(kind, *facts)
        return True

    def parted(self, one: str, other: str) -> bool:
        """Whether nothing passes between two."""
        return bool(self.partitions) and frozenset((one, other)) in self.partitions

    def windows(self) -> Sequence[Maintenance]:
        """What the venue announces."""
        return [one for one in self.announced if one.end_ms is None or one.end_ms > self.loop.now_ms]

    # ------------------------------------------------------------ processes

    def boot(self, name: str) -> Process:
        """A new incarnation; whoever had the name before is not asked."""
        process = Process(self.loop, name, len(self.all) + 1, skew_ms=self.rng.randint(-150, 150), drift_ppm=0)
        process.latch.set(self.control.recorded)
        self.processes[name] = process
        self.all.append(process)
        self.witness.note("boot", name, process.pid)
        process.launch(lambda: self._build(process))
        return process

    def kill(self, name: str) -> None:
        """As by kill -9: of what it was about to do nothing happens; what it sent is on its way."""
        process = self.processes.pop(name, None)
        if process is None:
            return
        self.bury(process)

    def bury(self, process: Process) -> None:
        """Its callbacks run no more, its subscriptions end, what it had not acknowledged comes again."""
        self.loop.kill(process.fate)
        self.venues = [one for one in self.venues if one.process is not process]
        if self.market is not None and self.market.process is process:
            self.market = None
        for parcel in process.unacked:
            self.network.later(parcel, 300)
        process.unacked.clear()

    def _build(self, process: Process) -> AnyActor:
        name, clock = process.name, process.clock
        transport = SimTransport(self.network, process)
        journal, wire = SimJournal(self, name), Wire(self, process)
        match name:
            case "market-feed":
                self.market = WireMarket(self, process)
                return MarketFeed(
                    name, [SYMBOL], market=self.market, clock=clock, transport=transport, cache=SimCache(self),
                    subscribers=[ROUTER, KEEPER, RISK], policy=self.policy, notifier=NOTIFIER,
                )  # fmt: skip
            case "risk-calculator-0":
                return RiskCalculator(
                    name, journal=journal, clock=clock, transport=transport, policy=self.policy,
                    keepers={ACCOUNT: KEEPER}, notifier=NOTIFIER,
                )  # fmt: skip
            case "treasury":
                return Treasury(
                    name, {ACCOUNT: (WireLoans(wire), KEEPER)}, journal=journal, clock=clock, transport=transport,
                    policy=self.policy, notifier=NOTIFIER,
                )  # fmt: skip
            case "notifier":
                return Notifier(name, [], journal=journal, clock=clock, policy=self.policy)
            case _ if name == KEEPER:
                return PositionKeeper(
                    name, ACCOUNT, SYMBOL, venue=WireVenue(wire), loans=WireLoans(wire), journal=journal, clock=clock,
                    transport=transport, cache=SimCache(self), policy=self.policy, risk=RISK, router=ROUTER,
                    treasury=TREASURY, notifier=NOTIFIER,
                )  # fmt: skip
            case _:
                return OrderRouter(
                    name, ACCOUNT, SYMBOL, venue=WireVenue(wire), journal=journal, clock=clock, transport=transport,
                    policy=self.policy, latch=process.latch, lease=lease_of(self, process, ACCOUNT),
                    notifier=NOTIFIER, keeper=KEEPER,
                )  # fmt: skip

    # ------------------------------------------------------------ the exchange and time

    def poke(self) -> None:
        """Let the venue do what is due now, and come back when the next thing is."""
        now_ms = self.loop.now_ms
        for event in self.exchange.advance(now_ms):
            self._dispatch(event)
        if self.exchange.ticks != self._ticks:
            self._ticks = self.exchange.ticks
            self.checks.step()
        internal, market = self.exchange.next_internal_ms(), self.exchange.next_market_ms()
        due = [one for one in (internal, market) if one is not None]
        if due and min(due) != self._due_ms:
            self._due_ms = min(due)
            self.loop.at(self._due_ms, self._due, self._due_ms, context=self.context)

    def _due(self, due_ms: int) -> None:
        if due_ms == self._due_ms:
            self._due_ms = -1
            self.poke()

    def _dispatch(self, event: api.Event) -> None:
        if event.uid is None:
            found = market_event(event.payload) if isinstance(event.payload, _PUBLIC) else None
            if found is not None and self.market is not None:
                self.market.push(found)
            return
        private = private_event(event.payload, event.ts_ms)
        if private is not None:
            self.push(*private)

    def push(self, topic: str, event: PrivateEvent) -> None:
        """To every process that has subscribed, the living predecessor of one too."""
        for venue in list(self.venues):
            venue.push(topic, event)

    def cut_streams(self) -> None:
        """What is pushed until they are mended is gone for good."""
        self.cut = True
        self.push("stream", StreamLost(reason="cut"))
        if self.market is not None:
            self.market.push(FeedBroken(symbol=SYMBOL, reason="cut"))

    def mend_streams(self) -> None:
        """Subscribed again."""
        self.cut = False
        self.push("stream", StreamRestored())

    def feed(self, event: MarketEvent) -> None:
        """A price has reached the feed."""
        if isinstance(event, BookView | TickerView):
            self.fed_ms = max(self.fed_ms, event.ts_ms)

    # ------------------------------------------------------------ what the wire tells

    def journalled(self, record: Record) -> None:
        """A record is in the store."""
        self.witness.note("journal", record.stream, record.n, record.entry.kind, record.hash[:12])
        if record.entry.kind == "strategy_done":
            self.witness.happened[f"worked_{record.entry.payload['mode']}"] += 1
        self.checks.recorded(record)

    def compared(self, pid: int, what: str | None) -> None:
        """A process has read this of the venue; None: it was told that it may have missed something."""
        if what is None:
            self._compared.pop(pid, None)
        else:
            self._compared.setdefault(pid, set()).add(what)

    def handed(self, process: Process, request: OrderRequest, epoch: int) -> None:
        """A process hands an order to its transport."""
        now_ms = self.loop.now_ms
        one = Handed(
            ts_ms=now_ms,
            pid=process.pid,
            link=request.order_link_id,
            side=request.side.value,
            qty=request.qty,
            reduce_only=request.reduce_only,
            epoch=epoch,
            halted=self.control.confirmed,
            leased=belongs(self, process, ACCOUNT),
            compared=self._compared.get(process.pid, set()) >= {"executions", "position"},
            feed_age_ms=now_ms - self.fed_ms,
        )
        self.witness.handed.append(one)
        self.witness.note("handed", process.pid, one.link[:11], one.side, one.qty, request.price, one.reduce_only)
        self.witness.effect(
            "create", one.link, one.side, one.qty, request.price, one.reduce_only, request.time_in_force
        )
        self.under_way[one.link] = request
        self.loop.at(now_ms + 60_000, self.under_way.pop, one.link, None, context=self.context)
        self.checks.handed(one)

    def arrived(self, one: Arrived) -> None:
        """An order is at the venue."""
        self.witness.arrived.append(one)
        self.witness.note("arrived", one.link[:11], one.side, one.qty, one.code)
        self.under_way.pop(one.link, None)
        self.checks.arrived(one)

    # ------------------------------------------------------------ the run

    async def sleep_until(self, ts_ms: int) -> None:
        """Virtual time passes."""
        await asyncio.sleep(max(0, ts_ms - self.loop.now_ms) / 1000)

    def start(self) -> None:
        """All six, in order, and the venue."""
        for name in NAMES:
            self.boot(name)
        self.poke()


_PUBLIC = (api.BookChanged, api.TickerChanged)


def _policy(knobs: Knobs) -> Policy:
    limits = Limits(max_position_qty=Decimal(knobs.max_position_qty), max_order_qty=Decimal(knobs.max_order_qty))
    target = TargetPolicy(dead_band=knobs.dead_band, down_dwell_ms=knobs.down_dwell_ms)
    if not knobs.mode:
        return Policy(limits=limits, target=target)
    mode = Mode(knobs.mode)
    levels = ByLevel(safe=mode, caution=mode, danger=mode, critical=Mode.AGGRESSIVE)
    execution = ExecutionPolicy(by_level=levels, reduce_by_level=levels, twap=TwapPolicy(slice_ms=5_000))
    return Policy(limits=limits, target=target, execution=execution)


def _spec(knobs: Knobs) -> api.ExchangeSpec:
    account = api.AccountSpec(
        uid=UID,
        loan=api.InitialLoan(collateral={"BTC": Decimal(10)}, ltv=Decimal(knobs.ltv)),
        reserve_fraction=Decimal("0.35"),
    )
    return api.ExchangeSpec(
        accounts=(account,),
        instruments=(api.Instrument(symbol=SYMBOL, base_coin="BTC"),),
        latency=api.Latency(query_lag_ms=knobs.query_lag_ms),
        book=api.BookShape(levels=BOOK_LEVELS),
    )
