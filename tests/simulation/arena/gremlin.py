"""Faults that last: when each begins is drawn before the run from its rate, and each ends by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from hedgelock_actors.domain.messages import CancelTrade, HedgeTrade
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.trading_state import TradingMode
from hedgelock_actors.ports.market_data import FeedBroken
from hedgelock_actors.ports.venue import Maintenance, StreamLost, StreamRestored
from hedgelock_actors.simulator import api
from tests.simulation.arena.journal import JOURNAL
from tests.simulation.arena.lease import LEASES
from tests.simulation.arena.wire import VENUE

if TYPE_CHECKING:
    from tests.simulation.arena.world import SwarmWorld

PARTIES = (VENUE, JOURNAL, LEASES)


class Gremlin:
    """See the module. `over` ends everything at once."""

    def __init__(self, world: SwarmWorld, names: tuple[str, ...], symbol: str) -> None:
        self._world, self._names, self._symbol = world, names, symbol
        self._rng = Random(f"gremlin {world.knobs.seed}")
        self._trades = 0

    def plan(self, from_ms: int, until_ms: int) -> None:
        """Set the times of everything that is to happen."""
        rates, rng = self._world.knobs.rates, self._rng
        for rate in fields(rates):
            per_hour: float = getattr(rates, rate.name)
            at_ms = float(from_ms)
            while per_hour > 0:
                at_ms += rng.expovariate(per_hour) * 3_600_000
                if at_ms >= until_ms:
                    break
                self._at(int(at_ms), getattr(self, f"_{rate.name}"))

    def over(self) -> None:
        """Faults are off: everything is mended, everybody runs, nothing is halted."""
        world = self._world
        world.faulty = False
        world.partitions.clear()
        world.journal_down = False
        world.journal_stalled_ms = world.rate_limited_ms = world.feed_frozen_ms = 0
        world.executions_lag_ms = 0
        if world.down:
            self._reopen()
        world.announced.clear()
        if world.cut:
            world.mend_streams()
        for process in world.all:
            if process.fate.alive and world.processes.get(process.name) is not process:
                world.bury(process)
            world.loop.thaw(process.fate)
            process.clock.synchronise()
            process.clock.drift_ppm = 0
        for name in self._names:
            if name not in world.processes:
                world.boot(name)
        if world.control.recorded.mode is not TradingMode.ACTIVE:
            world.control.set(TradingMode.ACTIVE, "over")
        world.control.acknowledge()

    def _at(self, at_ms: int, what: Callable[[], None]) -> None:
        self._world.loop.at(at_ms, self._unless_over, what, context=self._world.context)

    def _unless_over(self, what: Callable[[], None]) -> None:
        if self._world.faulty:
            what()

    def _after(self, ms: int, what: Callable[[], None]) -> None:
        self._at(self._world.loop.now_ms + ms, what)

    # ------------------------------------------------------------ processes

    def _crash(self) -> None:
        world, rng = self._world, self._rng
        for name in rng.sample(self._names, rng.choice((1, 1, 1, 2, 6))):
            if name in world.processes:
                world.witness.fault("crash", name)
                world.witness.happened[f"crash_{name.split('-')[0]}_{name.split('-')[1] if '-' in name else ''}"] += 1
                world.kill(name)
                self._after(rng.randint(100, 4_000), lambda name=name: self._boot(name))  # type: ignore[misc]

    def _boot(self, name: str) -> None:
        if name not in self._world.processes:
            self._world.boot(name)

    def _pause(self) -> None:
        world, rng = self._world, self._rng
        name = rng.choice(self._names)
        process = world.processes.get(name)
        if process is not None and process.fate.running:
            world.witness.fault("pause", name)
            world.loop.freeze(process.fate)
            self._after(rng.choice((500, 3_000, 10_000, 30_000, 60_000)), lambda: world.loop.thaw(process.fate))

    def _zombie(self) -> None:
        """Frozen and given up: a successor starts, then the old one goes on."""
        world, rng = self._world, self._rng
        name = rng.choice((self._names[2], self._names[2], self._names[3]))
        old = world.processes.get(name)
        if old is None or not old.fate.running:
            return
        world.witness.fault("zombie", name)
        world.loop.freeze(old.fate)
        self._after(rng.randint(300, 5_000), lambda: self._succeed(name, old.pid))
        self._after(rng.randint(200, 12_000), lambda: world.loop.thaw(old.fate))
        self._after(30_000, lambda: None if world.processes.get(name) is old else world.bury(old))

    def _succeed(self, name: str, pid: int) -> None:
        old = self._world.processes.get(name)
        if old is not None and old.pid == pid:
            self._world.boot(name)

    # ------------------------------------------------------------ between them

    def _partition(self) -> None:
        world, rng = self._world, self._rng
        one, other = rng.sample((*self._names, *PARTIES, VENUE, JOURNAL), 2)
        pair = frozenset((one, other))
        world.witness.fault("partition", one, other)
        world.partitions.add(pair)
        lost = [venue for venue in world.venues if VENUE in pair and venue.process.name in pair]
        for venue in lost:
            venue.push("stream", StreamLost(reason="partition"))
        self._after(rng.choice((500, 3_000, 15_000, 45_000)), lambda: self._join(pair))

    def _join(self, pair: frozenset[str]) -> None:
        self._world.partitions.discard(pair)
        for venue in self._world.venues:
            if VENUE in pair and venue.process.name in pair:
                venue.push("stream", StreamRestored())

    def _cut_stream(self) -> None:
        world = self._world
        if not world.cut and not world.down:
            world.witness.fault("cut_stream")
            world.cut_streams()
            self._after(self._rng.choice((200, 2_000, 20_000)), self._mend)

    def _mend(self) -> None:
        if self._world.cut and not self._world.down:
            self._world.mend_streams()

    def _freeze_feed(self) -> None:
        world = self._world
        world.witness.fault("freeze_feed")
        world.feed_frozen_ms = world.loop.now_ms + self._rng.choice((5_000, 20_000, 60_000))

    def _break_feed(self) -> None:
        if self._world.market is not None:
            self._world.witness.fault("break_feed")
            self._world.market.push(FeedBroken(symbol=self._symbol, reason="gap"))

    # ------------------------------------------------------------ the store and the clocks

    def _journal_stall(self) -> None:
        world = self._world
        world.witness.fault("journal_stall")
        world.journal_stalled_ms = world.loop.now_ms + self._rng.choice((300, 2_000, 10_000))

    def _journal_down(self) -> None:
        world = self._world
        world.witness.fault("journal_down")
        world.journal_down = True
        self._after(self._rng.choice((1_000, 5_000, 30_000)), self._journal_up)

    def _journal_up(self) -> None:
        self._world.journal_down = False

    def _clock_step(self) -> None:
        world, rng = self._world, self._rng
        name = rng.choice(self._names)
        process = world.processes.get(name)
        if process is not None:
            ms = rng.choice((-3_600_000, -1_500, 900, 1_500, 2_400))
            world.witness.fault("clock_step", name, ms)
            process.clock.skew_ms += ms
            # Whoever serves the time notices at last.
            self._after(20_000, process.clock.synchronise)

    def _clock_drift(self) -> None:
        world, rng = self._world, self._rng
        process = world.processes.get(rng.choice(self._names))
        if process is not None:
            world.witness.fault("clock_drift", process.name)
            process.clock.drift_ppm = rng.choice((-500, 200, 500))

    # ------------------------------------------------------------ the venue and people

    def _maintenance(self) -> None:
        world, rng = self._world, self._rng
        if world.announced:
            return
        begin_ms = world.loop.now_ms + rng.choice((0, 30_000, 120_000))
        end_ms = begin_ms + rng.choice((5_000, 40_000))
        world.announced.append(Maintenance(title="upgrade", begin_ms=begin_ms, end_ms=end_ms, ongoing=False))
        self._at(begin_ms, self._close)
        self._at(end_ms, self._reopen)

    def _close(self) -> None:
        world = self._world
        world.witness.fault("maintenance")
        world.down = True
        world.announced = [
            Maintenance(title=one.title, begin_ms=one.begin_ms, end_ms=one.end_ms, ongoing=True)
            for one in world.announced
        ]
        world.cut_streams()

    def _reopen(self) -> None:
        self._world.down = False
        self._world.announced.clear()
        self._world.mend_streams()

    def _manual_trade(self) -> None:
        world, rng = self._world, self._rng
        if world.down:
            return
        side: api.Side = rng.choice(("Buy", "Sell"))
        qty = Decimal(rng.randint(1, 300)) / 1000
        if side == "Buy":
            # By hand, too, nobody makes a long out of a hedge.
            qty = min(qty, -world.truth.signed_qty)
        if qty <= 0:
            return
        world.witness.fault("manual_trade", side, qty)
        command = api.PlaceOrder(
            symbol=self._symbol, side=side, order_type="Market", qty=qty, reduce_only=side == "Buy"
        )
        world.exchange.request(world.uid, command, world.loop.now_ms)
        world.poke()
        self._after(rng.choice((5_000, 60_000)), world.control.acknowledge)

    def _trade(self) -> None:
        world, rng = self._world, self._rng
        self._trades += 1
        message = HedgeTrade(
            account="main",
            symbol=self._symbol,
            trade_id=f"trade-{self._trades}",
            ts_ms=world.loop.now_ms,
            side=rng.choice((Side.SELL, Side.SELL, Side.BUY)),
            qty=Decimal(rng.randint(1, 40)) / 1000,
            reason="drill",
            reply_to="notifier",
            strategy=rng.choice((None, "aggressive", "passive", "limit_chase", "market")),
        )
        world.witness.fault("trade", message.trade_id, message.side, message.qty)
        world.control.trade(message)
        if rng.random() < 0.3:
            self._after(rng.choice((1, 3_000, 40_000)), lambda: world.control.trade(message))
        if rng.random() < 0.2:
            cancel = CancelTrade(
                account="main", symbol=self._symbol, trade_id=message.trade_id, ts_ms=world.loop.now_ms
            )
            self._after(rng.choice((20, 2_000)), lambda: world.control.trade(cancel))

    def _halt(self) -> None:
        world, rng = self._world, self._rng
        world.control.set(rng.choice((TradingMode.HALTED, TradingMode.HALTED, TradingMode.REDUCE_ONLY)), "drill")
        self._after(rng.choice((2_000, 20_000, 90_000)), lambda: world.control.set(TradingMode.ACTIVE, "over"))

    def _price_jump(self) -> None:
        share = self._rng.choice((-0.05, -0.03, -0.01, 0.01, 0.03))
        self._world.witness.fault("price_jump", share)
        self._world.path.jump(share)

    def _rate_burst(self) -> None:
        world = self._world
        world.witness.fault("rate_burst")
        world.rate_limited_ms = world.loop.now_ms + self._rng.choice((1_000, 8_000))
