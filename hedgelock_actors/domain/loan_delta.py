"""Loans that came or changed lately: few, in no order, each with its own memory of the boundaries it is above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgelock_actors.domain.loan_index import Floats, Ints, Rows

_CAPACITY = 64
NEVER = -1
Column = Floats | Ints | Rows | NDArray[np.bool_]
_COLUMNS = (
    "_ids",
    "_accounts",
    "_collateral",
    "_principal",
    "_v",
    "_above",
    "_since_ms",
    "_first_ms",
    "_serial",
)


@dataclass(frozen=True, slots=True)
class Flags:
    """Memory of some loans: one row a loan, one column a boundary."""

    above: NDArray[np.bool_]
    since_ms: Ints
    """Since when λ has been clearly below the boundary; −1 when it is not, or the loan is not above it."""

    @classmethod
    def none(cls, count: int) -> Flags:
        """Of loans that nobody has looked at."""
        return cls(np.zeros((count, 3), dtype=np.bool_), np.full((count, 3), NEVER, dtype=np.int64))


class LoanDelta:
    """Rows without order; `ids`, `accounts`, `v`, `collateral` and `principal` are views of what is there."""

    def __init__(self) -> None:
        self._size = 0
        self._at: dict[int, int] = {}
        self._puts = 0
        self._ids = np.zeros(_CAPACITY, dtype=np.int64)
        self._accounts = np.zeros(_CAPACITY, dtype=np.int32)
        self._collateral = np.zeros(_CAPACITY)
        self._principal = np.zeros(_CAPACITY)
        self._v = np.zeros(_CAPACITY)
        self._above = np.zeros((_CAPACITY, 3), dtype=np.bool_)
        self._since_ms = np.zeros((_CAPACITY, 3), dtype=np.int64)
        self._first_ms = np.zeros(_CAPACITY, dtype=np.int64)
        self._serial = np.zeros(_CAPACITY, dtype=np.int64)

    def __len__(self) -> int:
        return self._size

    @property
    def ids(self) -> Ints:
        """Ids of the loans."""
        return self._ids[: self._size]

    @property
    def accounts(self) -> Rows:
        """Numbers of their accounts."""
        return self._accounts[: self._size]

    @property
    def collateral(self) -> Floats:
        """Coins."""
        return self._collateral[: self._size]

    @property
    def principal(self) -> Floats:
        """Debt without the common growth, USDT."""
        return self._principal[: self._size]

    @property
    def v(self) -> Floats:
        """Principal per coin."""
        return self._v[: self._size]

    @property
    def serial(self) -> int:
        """Grows with every put."""
        return self._puts

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, bytes."""
        return sum(array.nbytes for array in self._columns())

    # ------------------------------------------------------------ loans come and go

    def put(self, ids: Ints, accounts: Rows, collateral: Floats, principal: Floats, flags: Flags) -> None:
        """Add loans that are not here (`take_out` comes first)."""
        low, high = self._size, self._size + ids.size
        self._reserve(high)
        self._puts += 1
        self._ids[low:high], self._accounts[low:high] = ids, accounts
        self._collateral[low:high], self._principal[low:high] = collateral, principal
        self._v[low:high] = principal / collateral
        self._above[low:high], self._since_ms[low:high] = flags.above, flags.since_ms
        self._first_ms[low:high], self._serial[low:high] = NEVER, self._puts
        self._at.update(zip(ids.tolist(), range(low, high), strict=True))
        self._size = high

    def take_out(self, ids: Ints) -> Flags:
        """Remove those that are here; the memory of each id, none for those that are not."""
        flags = Flags.none(ids.size)
        for number, loan in enumerate(ids.tolist()):
            at = self._at.get(loan)
            if at is not None:
                flags.above[number], flags.since_ms[number] = self._above[at], self._since_ms[at]
                self._remove(at)
        return flags

    def drop(self, places: Ints) -> None:
        """Remove the loans at these places: all at once, for they may be many."""
        keep = np.ones(self._size, dtype=np.bool_)
        keep[places] = False
        left = int(np.count_nonzero(keep))
        for array in self._columns():
            array[:left] = array[: self._size][keep]
        self._size = left
        self._at = dict(zip(self._ids[:left].tolist(), range(left), strict=True))

    def _remove(self, at: int) -> None:
        last = self._size - 1
        del self._at[int(self._ids[at])]
        if at != last:
            for array in self._columns():
                array[at] = array[last]
            self._at[int(self._ids[at])] = at
        self._size = last

    # ------------------------------------------------------------ a tick

    def tick(
        self, price: float, now_ms: int, up: Floats, down: Floats, dwell_ms: int
    ) -> Iterator[tuple[Ints, int, int]]:
        """Take a price in; yields (ids, level before, level after) of those that changed."""
        size = self._size
        if not size:
            return
        above, since = self._above[:size], self._since_ms[:size]
        first = self._first_ms[:size]
        first[first == NEVER] = now_ms
        before = above.sum(axis=1)
        v = self.v[:, None]
        over, under = v >= up * price, v < down * price
        since[~under] = NEVER
        since[under & (since == NEVER)] = now_ms
        above |= over
        above &= ~(under & (now_ms - since >= dwell_ms))
        since[~above] = NEVER
        after = above.sum(axis=1)
        changed = np.flatnonzero(before != after)
        for was, now in sorted({(int(before[at]), int(after[at])) for at in changed}):
            yield self.ids[changed[(before[changed] == was) & (after[changed] == now)]], was, now

    def levels_of(self, ids: Ints) -> Ints:
        """Level of each loan as a number, −1 where it is not here."""
        places = [self._at.get(loan, NEVER) for loan in ids.tolist()]
        return np.array([int(self._above[at].sum()) if at != NEVER else NEVER for at in places], dtype=np.int64)

    def counts(self) -> Ints:
        """Loans at each of the four levels."""
        return np.bincount(self._above[: self._size].sum(axis=1), minlength=4).astype(np.int64)

    # ------------------------------------------------------------ what may go into the index

    def agreeing(self, thresholds: Sequence[float], down: Floats, high: float, began_ms: int) -> Ints:
        """Places of loans whose memory is what the thresholds say, now and on every tick to come.

        `high` and `began_ms`: highest price and first tick of the window from which thresholds rise. A loan that saw
        all of the window remembers what the thresholds remember; one that did not must never have been below in it.
        """
        first = self._first_ms[: self._size]
        fits = first != NEVER
        saw_all = fits & (first <= began_ms)
        for number, threshold in enumerate(thresholds):
            above = self._above[: self._size, number]
            never_below = self.v >= down[number] * high
            fits = fits & (above == (self.v >= threshold)) & (~above | saw_all | never_below)
        found: Ints = np.flatnonzero(fits)
        return found

    def unchanged(self, ids: Ints, serial: int) -> Ints:
        """Places of those of the loans that are here as they were when `serial` was read."""
        places = np.array([self._at.get(loan, NEVER) for loan in ids.tolist()], dtype=np.int64)
        places = places[places != NEVER]
        found: Ints = places[self._serial[places] <= serial]
        return found

    def _reserve(self, size: int) -> None:
        if size <= self._ids.size:
            return
        room = max(size, 2 * self._ids.size) - self._ids.size
        for name in _COLUMNS:
            column: Column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros((room, *column.shape[1:]), dtype=column.dtype))))

    def _columns(self) -> Iterator[Column]:
        return (getattr(self, name) for name in _COLUMNS)
