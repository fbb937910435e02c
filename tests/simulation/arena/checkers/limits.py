"""WorstCaseWithinLimits (G3): on the venue's truth, with everything filled that may fill, no limit is exceeded.

The worst short = position + live sells at the venue + sells still on the wire. It must stay within the limit at every
arrival and at every market step. At each arrival it must also stay within the target that the order was decided for,
or one that was stated since.
What people asked for beside the target is added to it; what they traded by hand is not ours to answer for.
"""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.ports.journal import Record
from tests.simulation.arena.checkers.base import Checker
from tests.simulation.arena.witness import Arrived

ZERO = Decimal(0)


class WorstCaseWithinLimits(Checker):
    """See the module."""

    def __init__(self, world: object) -> None:
        super().__init__(world)  # type: ignore[arg-type]
        self._targets: list[Decimal] = []
        self._target_of: dict[str, tuple[Decimal, int]] = {}
        """Per order the target that it was decided for, and how many targets had been stated by then."""
        self._of_trades: set[str] = set()
        self._asked: dict[str, Decimal] = {}
        """Sells beside the target, by trade."""
        self._foreign = ZERO
        self._seen = 0
        self.worst = ZERO

    def recorded(self, record: Record) -> None:
        payload = record.entry.payload
        if record.entry.kind == "target" and record.stream.startswith("position-keeper"):
            self._targets.append(Decimal(str(payload["target_short_qty"])))
        if record.entry.kind in ("intent", "resend") and record.stream.startswith("order-router"):
            link, wanted = str(payload["order_link_id"]), Decimal(str(payload["target_qty"]))
            if payload.get("trade_id"):
                self._of_trades.add(link)
            self._target_of[link] = (wanted, len(self._targets))
        if record.entry.kind == "trade" and payload["side"] == "Sell":
            self._asked[str(payload["trade_id"])] = Decimal(str(payload["qty"]))

    def arrived(self, one: Arrived) -> None:
        self._within_limit()
        if one.code == "0" and one.side == "Sell" and one.link not in self._of_trades:
            truth = self.world.truth
            live = sum((truth.open_qty(order) for order in truth.live() if order.side == "Sell"), ZERO)
            short, target = -truth.signed_qty + live, self._most_wanted(one.link)
            if short > target + self._foreign_qty() + sum(self._asked.values(), ZERO):
                self.broken(f"order {one.link} of {one.qty} makes a short of {short} possible; its target was {target}")

    def step(self) -> None:
        self._within_limit()

    def _most_wanted(self, link: str) -> Decimal:
        """Of the target that it was decided (or sent again) for, and those that were stated since."""
        decided, count = self._target_of.get(link, (ZERO, 0))
        return max([decided, *self._targets[count:]])

    def _within_limit(self) -> None:
        truth, most = self.world.truth, self.world.policy.limits.max_position_qty
        orders = truth.live()
        known = {order.link_id for order in orders}
        live = sum((truth.open_qty(order) for order in orders if order.side == "Sell"), ZERO)
        wire = sum(
            (one.qty for link, one in self.world.under_way.items() if one.side.value == "Sell" and link not in known),
            ZERO,
        )
        worst = -truth.signed_qty + live + wire
        self.worst = max(self.worst, worst)
        if worst > most + self._foreign_qty():
            self.broken(f"a short of {worst} is possible, the limit is {most}")
        if truth.signed_qty > self._foreign_qty():
            self.broken(f"the hedge has become a long of {truth.signed_qty}")

    def _foreign_qty(self) -> Decimal:
        executions = self.world.truth.executions
        for one in executions[self._seen :]:
            if not one.order_link_id and one.exec_type != "Funding":
                self._foreign += one.exec_qty
        self._seen = len(executions)
        return self._foreign
