"""Price-time matching of our orders in a book of made-up liquidity. Integers only: ticks and lots.

Our resting order remembers how many lots of made-up liquidity stood before it at its price (`ahead`). Takers reach it
when those are gone; a trade through its price reaches it at once.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hedgelock_actors.simulator.book import Level, SyntheticBook
from hedgelock_actors.simulator.words import Side


@dataclass(slots=True, eq=False)
class Resting:
    """One of our orders in the book."""

    order_id: str
    uid: str
    side: Side
    price: int
    lots: int
    arrival: int
    ahead: int

    @property
    def key(self) -> tuple[int, int]:
        """Priority: better price first, then earlier arrival."""
        return (-self.price if self.side == "Buy" else self.price, self.arrival)


@dataclass(frozen=True, slots=True)
class Fill:
    """`lots` at `price`; `maker` is one of our orders, or None for made-up liquidity."""

    price: int
    lots: int
    maker: Resting | None


OnFill = Callable[[Fill], None]
"""Called right after each fill, so that what follows (reduce-only orders that shrink) is in force for the next."""


@dataclass(slots=True)
class Taken:
    """What an incoming order left, and which own orders self-match prevention removed."""

    left: int
    removed: list[Resting] = field(default_factory=list)
    stopped: bool = False


PREVENTIONS = ("CancelMaker", "CancelTaker", "CancelBoth")


def opposite(side: Side) -> Side:
    """The other side."""
    return "Sell" if side == "Buy" else "Buy"


class OrderBook:
    """The made-up book of a symbol with our resting orders in it."""

    def __init__(self, synthetic: SyntheticBook) -> None:
        self.synthetic = synthetic
        self._resting: dict[Side, list[Resting]] = {"Buy": [], "Sell": []}
        self._arrivals = 0

    def levels(self, side: Side) -> list[Level]:
        """Made-up levels of a side, best first."""
        return self.synthetic.bids if side == "Buy" else self.synthetic.asks

    def resting(self, side: Side) -> list[Resting]:
        """Our orders of a side in priority."""
        return self._resting[side]

    def best(self, side: Side) -> int | None:
        """Best price of a side, ours included."""
        prices = [level[0] for level in self.levels(side) if level[1] > 0][:1]
        prices += [order.price for order in self._resting[side][:1]]
        if not prices:
            return None
        return max(prices) if side == "Buy" else min(prices)

    def rest(self, order_id: str, uid: str, side: Side, price: int, lots: int) -> Resting:
        """Put an order in the book, behind everything that stands at its price."""
        self._arrivals += 1
        order = Resting(order_id, uid, side, price, lots, self._arrivals, self._synthetic_at(side, price))
        insort(self._resting[side], order, key=lambda o: o.key)
        return order

    def _synthetic_at(self, side: Side, price: int) -> int:
        return sum(level[1] for level in self.levels(side) if level[0] == price)

    def remove(self, order: Resting) -> None:
        """Take an order out of the book; nothing of it can be filled any more."""
        order.lots = 0
        self._resting[order.side].remove(order)

    def shrink(self, order: Resting, lots: int) -> None:
        """Fewer lots keep their place in the queue."""
        order.lots = lots

    def crosses(self, side: Side, limit: int) -> bool:
        """Whether an order at `limit` would trade at once."""
        best = self.best(opposite(side))
        return best is not None and _within(side, best, limit)

    def available(self, side: Side, limit: int, uid: str = "", smp: str = "") -> int:
        """Lots that an order at `limit` could take now. Own orders that self-match prevention would remove do not
        count, and where it would stop the taker, nothing at or behind the price of its first own order does.
        """
        other = opposite(side)
        own = [order.price for order in self._resting[other] if order.uid == uid] if smp in PREVENTIONS else []
        stop = own[0] if own and smp != "CancelMaker" else None
        made_up = [(level[0], level[1]) for level in self.levels(other)]
        ours = [(o.price, o.lots) for o in self._resting[other] if not (own and o.uid == uid)]
        return sum(
            lots
            for price, lots in made_up + ours
            if _within(side, price, limit) and (stop is None or not _within(opposite(side), price, stop))
        )

    def take(self, side: Side, limit: int, lots: int, on_fill: OnFill, uid: str = "", smp: str = "") -> Taken:
        """Eat the other side up to `limit`, best price first, at each price in order of time."""
        taken = Taken(left=lots)
        for price in self._prices(opposite(side)):
            if taken.left == 0 or taken.stopped or not _within(side, price, limit):
                break
            self._take_level(opposite(side), price, taken, on_fill, uid, smp)
        self._drop_empty(opposite(side))
        return taken

    def _prices(self, side: Side) -> Iterator[int]:
        prices = {level[0] for level in self.levels(side) if level[1] > 0}
        prices |= {order.price for order in self._resting[side]}
        yield from sorted(prices, reverse=side == "Buy")

    def _take_level(self, side: Side, price: int, taken: Taken, on_fill: OnFill, uid: str, smp: str) -> None:
        level = next((lv for lv in self.levels(side) if lv[0] == price), [price, 0])
        queue = [order for order in self._resting[side] if order.price == price]
        for order in queue:
            self._eat_synthetic(level, min(order.ahead, level[1]), queue, taken, on_fill)
            if taken.left == 0:
                return
            if order.lots and smp in PREVENTIONS and order.uid == uid:
                self._prevent(order, taken, smp)
            else:
                self._meet(order, taken, on_fill)
            if taken.left == 0 or taken.stopped:
                return
        self._eat_synthetic(level, level[1], [], taken, on_fill)

    def _prevent(self, order: Resting, taken: Taken, smp: str) -> None:
        taken.stopped = smp != "CancelMaker"
        if smp != "CancelTaker":
            self.remove(order)
            taken.removed.append(order)

    def _meet(self, order: Resting, taken: Taken, on_fill: OnFill) -> None:
        lots = min(taken.left, order.lots)
        if lots:
            taken.left -= lots
            self._fill(order, order.price, lots, on_fill)

    def _eat_synthetic(self, level: Level, most: int, queue: list[Resting], taken: Taken, on_fill: OnFill) -> None:
        lots = min(taken.left, most)
        if lots <= 0:
            return
        level[1] -= lots
        taken.left -= lots
        for order in queue:
            order.ahead = max(0, order.ahead - lots)
        on_fill(Fill(level[0], lots, None))

    def _fill(self, order: Resting, price: int, lots: int, on_fill: OnFill) -> None:
        order.lots -= lots
        order.ahead = 0
        if order.lots == 0:
            self.remove(order)
        on_fill(Fill(price, lots, order))

    def _drop_empty(self, side: Side) -> None:
        kept = [level for level in self.levels(side) if level[1] > 0]
        if side == "Buy":
            self.synthetic.bids = kept
        else:
            self.synthetic.asks = kept

    def step(self, price: float, sold_lots: int, bought_lots: int, on_fill: OnFill) -> None:
        """The market moves: refill around `price`, fill our orders that it traded through, then those at the touch by
        the volume that takers sold (into our bids) and bought (from our asks).
        """
        self.synthetic.refresh(price)
        self._through("Buy", on_fill)
        self._through("Sell", on_fill)
        self._at_touch("Buy", sold_lots, on_fill)
        self._at_touch("Sell", bought_lots, on_fill)

    def _through(self, side: Side, on_fill: OnFill) -> None:
        """Orders at or beyond the other side's new best: that liquidity came to them. The book is left uncrossed."""
        for order in list(self._resting[side]):
            for level in self.levels(opposite(side)):
                if order.lots == 0 or not _within(side, level[0], order.price):
                    break
                lots = min(order.lots, level[1])
                if lots:
                    level[1] -= lots
                    self._fill(order, order.price, lots, on_fill)
        self._drop_empty(opposite(side))

    def _at_touch(self, side: Side, volume: int, on_fill: OnFill) -> None:
        """Orders at or inside the new touch share the takers' volume in priority, after the queue before each."""
        levels = self.levels(side)
        touch = levels[0][0] if levels else None
        for order in list(self._resting[side]):
            if volume <= 0 or (touch is not None and not _within(opposite(side), order.price, touch)):
                break
            if order.price == touch:
                waited = min(order.ahead, volume)
                order.ahead -= waited
                volume -= waited
            lots = min(order.lots, volume)
            if lots > 0:
                volume -= lots
                self._fill(order, order.price, lots, on_fill)


def _within(side: Side, price: int, limit: int) -> bool:
    """Whether a taker of `side` with `limit` may trade at `price`."""
    return price <= limit if side == "Buy" else price >= limit
