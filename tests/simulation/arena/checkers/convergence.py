"""ConvergesAfterFaults (G15): once faults are over, the position is what the loans require within 60 s, by itself.

Judged on the venue's position against the newest target on record, within the dead band of the targets: 5 % of the
short that would make the loans indifferent to the price (debt / price). And every actor must be ready by the end.

Missing protection has no excuse. Protection that is too large may stay a minute longer while a sell is unresolved: the
venue may show an order up to 60 s late, and buying back before would leave too little if it had filled.

A router that has stopped itself because it decided too often in a minute waits for its time to pass: that is excused,
and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from hedgelock_actors.ports.journal import Record
from tests.simulation.arena.checkers.base import Checker

DOUBT_MS = 60_000
BAND = Decimal("0.05")


class ConvergesAfterFaults(Checker):
    """`took_ms` is how long it took."""

    def __init__(self, world: object) -> None:
        super().__init__(world)  # type: ignore[arg-type]
        self._target: Decimal | None = None
        self._of_trades: set[str] = set()
        self._doubted = False
        self.quiet_ms: int | None = None
        self.took_ms: int | None = None

    def recorded(self, record: Record) -> None:
        if record.entry.kind == "target" and record.stream.startswith("position-keeper"):
            self._target = Decimal(str(record.entry.payload["target_short_qty"]))
        if record.entry.kind == "intent" and record.entry.payload.get("trade_id"):
            self._of_trades.add(str(record.entry.payload["order_link_id"]))

    def quiet(self) -> None:
        """Faults are over."""
        self.quiet_ms = self.world.loop.now_ms

    def look(self) -> None:
        """Is it there yet? Asked again and again while faults are off."""
        if self.quiet_ms is None or self.took_ms is not None:
            return
        waited = self.world.loop.now_ms - self.quiet_ms
        if self._there():
            self.took_ms = waited
        elif waited > self.world.knobs.converge_ms and self._runaway():
            self.world.witness.happened["runaway_stop"] += 1
            self.took_ms = waited
        elif waited > self.world.knobs.converge_ms + self._doubt_ms():
            self.took_ms = waited
            self.broken(f"after {waited} ms the short is {-self.world.truth.signed_qty}, the target {self._target}")

    def _there(self) -> bool:
        ready = all(self._ready(name) for name in ("order-router-main", "position-keeper-main"))
        if not ready or self._target is None:
            return False
        return abs(-self.world.truth.signed_qty - self._target - self._traded()) <= self._band()

    def _traded(self) -> Decimal:
        """What trades beside the target have added to the short."""
        fills = [one for one in self.world.truth.executions if one.order_link_id in self._of_trades]
        return sum((one.exec_qty if one.side == "Sell" else -one.exec_qty for one in fills), Decimal(0))

    def _band(self) -> Decimal:
        world = self.world
        debt = sum((one.total for one in world.exchange.loan(world.uid).debts), Decimal(0))
        return BAND * debt / world.exchange.ticker(world.symbol).index_price

    def _doubt_ms(self) -> int:
        """Too much is sold, and a sell that never arrived is still being looked for: buying back waits for it."""
        too_much = self._target is not None and -self.world.truth.signed_qty > self._target
        self._doubted = self._doubted or "UNRESOLVED" in str(self._snapshot().get("in_flight", ""))
        return DOUBT_MS if too_much and self._doubted else 0

    def _runaway(self) -> bool:
        return "runaway" in str(self._snapshot().get("restrictions", ""))

    def _snapshot(self) -> Mapping[str, object]:
        router = self.world.processes.get("order-router-main")
        found: Mapping[str, object] = getattr(router.actor if router else None, "snapshot", dict)()
        return found

    def _ready(self, name: str) -> bool:
        process = self.world.processes.get(name)
        return process is not None and process.actor is not None and process.actor.health().status == "ready"

    def end(self) -> None:
        for name, process in sorted(self.world.processes.items()):
            health = process.actor.health() if process.actor is not None else None
            if health is None or health.status != "ready":
                self.broken(f"{name} is {health.status if health else 'not built'}: {health.detail if health else ''}")
