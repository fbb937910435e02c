"""All loans of one product at once: whose level changed on a tick, and the short that they require at any price.

Every boundary of a level has a memory of its own. A loan is *above* a boundary b from the tick on which λ ≥ b, until
λ < b − hysteresis on every tick of a whole dwell time; its level is the number of boundaries that it is above. All
loans see the same prices, so for those that have been here for a dwell time "above b" is always one end of the order of
`LoanIndex`: one threshold per boundary, moved down at once by a fall, and up by the lowest price of the dwell time.
A tick then changes exactly the loans between the old threshold and the new one: two searches, and the answer is a view.

Loans that came or changed lately are few; they carry their memory themselves (`LoanDelta`), are looked at one by one,
and move into the index when their memory agrees with the thresholds (`begin_merge`, `finish_merge`; between the two
everything goes on).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from hedgelock_actors.domain.errors import InvalidInput, finite, fraction, positive
from hedgelock_actors.domain.hedge import Rung
from hedgelock_actors.domain.loan import Levels, RiskLevel
from hedgelock_actors.domain.loan_delta import Flags, LoanDelta
from hedgelock_actors.domain.loan_index import (
    Floats,
    Ints,
    LoanIndex,
    Rows,
    above_of,
    requirement_of,
    requirement_pieces,
)

LEVELS = tuple(RiskLevel)
_BOUNDARIES = (RiskLevel.CAUTION, RiskLevel.DANGER, RiskLevel.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Loans of one kind against one coin: same haircut, levels and ladder."""

    asset: str
    haircut: float = 1.0
    levels: Levels = field(default_factory=Levels)
    rungs: tuple[Rung, ...] = (Rung(0.30, 0.50),)

    def __post_init__(self) -> None:
        if not 0.0 < finite("product.haircut", self.haircut) <= 1.0:
            raise InvalidInput("product.haircut", f"must be above 0 and at most 1 as a ratio, not {self.haircut:g}")
        if not self.rungs:
            raise InvalidInput("product.rungs", "at least one rung is needed")
        for rung in self.rungs:
            fraction("product.rungs.drop", rung.drop)


@dataclass(frozen=True, slots=True)
class Change:
    """These loans went from one level to another (one array of ids, often a view: do not write to it)."""

    ids: Ints
    before: RiskLevel
    after: RiskLevel


@dataclass(frozen=True, slots=True)
class Above:
    """The loans whose λ is at least a bound: how many, their coins and their debt (USDT); one entry a price."""

    loans: Ints
    coins: Floats
    debt: Floats


class Window:
    """Prices of the last dwell time. `low` is None until a whole dwell time was seen."""

    def __init__(self, dwell_ms: int) -> None:
        self._dwell_ms = dwell_ms
        self._ticks: deque[tuple[int, float]] = deque()
        self._lows: deque[tuple[int, float]] = deque()
        """(number of the tick, price), prices rising: the first is the lowest of all."""
        self._seen = 0

    def add(self, now_ms: int, price: float) -> None:
        """A tick; times never fall."""
        while self._lows and self._lows[-1][1] >= price:
            self._lows.pop()
        self._lows.append((self._seen, price))
        self._ticks.append((now_ms, price))
        self._seen += 1
        while len(self._ticks) > 1 and self._ticks[1][0] <= now_ms - self._dwell_ms:
            self._ticks.popleft()
            if self._lows[0][0] < self._seen - len(self._ticks):
                self._lows.popleft()

    @property
    def low(self) -> float | None:
        """The lowest price since the last tick that is a dwell time old, that tick included."""
        if not self._ticks or self._ticks[-1][0] - self._ticks[0][0] < self._dwell_ms:
            return None
        return self._lows[0][1]

    @property
    def high(self) -> float:
        """The highest price that is remembered; 0 without any."""
        return max((price for _, price in self._ticks), default=0.0)

    @property
    def began_ms(self) -> int:
        """Time of the first tick that is remembered."""
        return self._ticks[0][0] if self._ticks else 0

    def since(self, prices: Floats) -> Ints:
        """For each price: the first tick from which on every tick was above it; −1 when the last tick was not.

        There was a tick.
        """
        times = np.array([at for at, _ in self._ticks], dtype=np.int64)
        lows = np.minimum.accumulate(np.array([price for _, price in self._ticks])[::-1])[::-1]
        first = np.searchsorted(lows, prices, side="right")
        return np.where(first < times.size, times[np.minimum(first, times.size - 1)], -1)


@dataclass(frozen=True, slots=True)
class Merge:
    """What `finish_merge` needs: call `build` anywhere (another thread), it touches nothing of the book."""

    index: LoanIndex
    dead: Ints
    ids: Ints
    serial: int
    accounts: Rows
    collateral: Floats
    principal: Floats
    account_count: int

    def build(self) -> LoanIndex:
        """The index with the dead rows taken out and the loans of the delta put in. Time and memory are linear."""
        return self.index.merged(
            self.dead, self.ids, self.accounts, self.collateral, self.principal, self.account_count
        )


class LoanBook:
    """See the module. Mutable, owned by one actor; debts in USDT, collateral in coins, prices in USDT per coin."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.growth = 1.0
        """Common factor of all debts: interest of the product since the book began."""
        self._index = LoanIndex.empty()
        self._dead: Ints = np.zeros(0, dtype=np.int64)
        self._delta = LoanDelta()
        self._accounts: dict[str, int] = {}
        levels = product.levels
        boundaries = np.array([levels.boundary(level) for level in _BOUNDARIES])
        self._up = boundaries * product.haircut
        self._down = (boundaries - levels.hysteresis) * product.haircut
        self._edges = tuple(zip(self._up.tolist(), self._down.tolist(), strict=True))
        self._thresholds = [np.inf, np.inf, np.inf]
        self._cuts = [0, 0, 0]
        self._window = Window(levels.dwell_ms)
        self._merging: Merge | None = None

    # ------------------------------------------------------------ loans come, change and go

    def numbers_of(self, names: Sequence[str]) -> Rows:
        """Numbers of accounts, for `put`; a name that is new gets the next one."""
        known = self._accounts
        return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int32)

    def put(self, ids: Ints, accounts: Sequence[str] | Rows, collateral: Floats, debt: Floats) -> None:
        """Add loans, or change them: a known id gets this collateral and debt and keeps its level's memory.

        Accounts by name, or by number (`numbers_of`; ten million names take seconds). A first, large load goes into the
        index at once. Nothing is reported before the next tick.

        Raises:
            InvalidInput: arrays of different lengths, an id twice, a collateral not above 0, a negative debt, a number
                of no account. Nothing was changed then.
        """
        if not len(ids) == len(accounts) == len(collateral) == len(debt):
            raise InvalidInput("loans", "ids, accounts, collateral and debt must have one entry a loan")
        in_order = np.sort(ids)
        if bool(np.any(in_order[1:] == in_order[:-1])):
            raise InvalidInput("loans.id", "the same loan appears twice")
        if not bool(np.all(np.isfinite(collateral) & (collateral > 0.0) & np.isfinite(debt) & (debt >= 0.0))):
            raise InvalidInput("loans", "collateral must be above 0 and debt 0 or more, both finite")
        if not isinstance(accounts, np.ndarray):
            accounts = self.numbers_of(accounts)
        elif accounts.size and not 0 <= int(accounts.min()) <= int(accounts.max()) < len(self._accounts):
            raise InvalidInput("loans.account", "the number of an account is one that `numbers_of` gave")
        if not len(self) and self._merging is None:
            self._index = LoanIndex.build(ids, accounts, collateral, debt / self.growth, len(self._accounts))
            self._dead = self._dead[:0]
            self._forget()
            return
        flags = self._take_out(ids)
        self._delta.put(ids, accounts, collateral, debt / self.growth, flags)

    def remove(self, ids: Ints) -> None:
        """Take loans out; unknown ids are nothing."""
        self._take_out(ids)

    def accrue(self, factor: float) -> None:
        """Interest on all loans: every debt is multiplied by this factor (≥ 1)."""
        if finite("factor", factor) < 1.0:
            raise InvalidInput("factor", f"interest does not shrink debts: at least 1, not {factor}")
        self.growth *= factor

    def __len__(self) -> int:
        return len(self._index) - self._dead.size + len(self._delta)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Names, in the order of `account_requirements`."""
        return tuple(self._accounts)

    @property
    def nbytes(self) -> int:
        """Memory of the loans, bytes."""
        return self._index.nbytes + self._dead.nbytes + self._delta.nbytes

    @property
    def pending(self) -> int:
        """Loans looked at one by one, and rows that are dead: what a merge would put in order."""
        return len(self._delta) + self._dead.size

    # ------------------------------------------------------------ a tick

    def tick(self, price: float, now_ms: int) -> list[Change]:
        """Take a price in; returns exactly the changes of level, each loan at most once.

        Raises:
            InvalidInput: a price that is not above 0.
        """
        effective = positive("price", price) / self.growth
        self._window.add(now_ms, effective)
        changes = self._move_thresholds(effective)
        dwell_ms = self.product.levels.dwell_ms
        for ids, before, after in self._delta.tick(effective, now_ms, self._up, self._down, dwell_ms):
            changes.append(Change(ids, LEVELS[before], LEVELS[after]))
        return changes

    def levels_of(self, ids: Ints) -> list[RiskLevel | None]:
        """The level of each loan, None where the book has none."""
        rows = self._alive_rows(ids)
        v = self._index.v[np.maximum(rows, 0)] if len(self._index) else np.zeros(ids.shape)
        above = sum((v >= threshold).astype(np.int64) for threshold in self._thresholds)
        in_index = np.where(rows >= 0, above, -1)
        found = np.where(in_index >= 0, in_index, self._delta.levels_of(ids))
        return [LEVELS[level] if level >= 0 else None for level in found]

    def counts(self) -> dict[RiskLevel, int]:
        """Loans at each level."""
        cuts = [0, *self._cuts, len(self._index)]
        dead = np.searchsorted(np.array(self._cuts), self._dead, side="right")
        gone = np.bincount(dead, minlength=4)
        ones = self._delta.counts()
        return {
            level: cuts[rank + 1] - cuts[rank] - int(gone[rank]) + int(ones[rank]) for rank, level in enumerate(LEVELS)
        }

    def _move_thresholds(self, effective: float) -> list[Change]:
        before, low, moved = list(self._cuts), self._window.low, False
        for number, (up, down) in enumerate(self._edges):
            threshold = min(self._thresholds[number], up * effective)
            if low is not None:
                threshold = max(threshold, down * low)
            if threshold != self._thresholds[number]:
                self._thresholds[number] = threshold
                self._cuts[number] = self._index.row_at(threshold)
                moved = True
        return self._between(before, self._cuts) if moved else []

    def _between(self, before: Sequence[int], after: Sequence[int]) -> list[Change]:
        changes = []
        for low, high in pairwise(sorted({*before, *after})):
            was = (before[0] <= low) + (before[1] <= low) + (before[2] <= low)
            now = (after[0] <= low) + (after[1] <= low) + (after[2] <= low)
            if was != now:
                ids = self._ids(low, high)
                if ids.size:
                    changes.append(Change(ids, LEVELS[was], LEVELS[now]))
        return changes

    def _ids(self, low: int, high: int) -> Ints:
        ids = self._index.ids[low:high]
        if not self._dead.size:
            return ids
        first, last = self._dead.searchsorted((low, high))
        return np.delete(ids, self._dead[first:last] - low) if last > first else ids

    def _forget(self) -> None:
        """A new index of loans that nobody has looked at: SAFE until the first tick."""
        self._thresholds = [np.inf, np.inf, np.inf]
        self._cuts = [len(self._index)] * 3
        self._window = Window(self.product.levels.dwell_ms)

    # ------------------------------------------------------------ what is required

    def requirement(self, price: float, haircut: float | None = None) -> float:
        """The short that all loans together require at a price, coins (each loan by the ladder, capped at D/P).

        A `haircut` other than the product's answers what it would be with that.
        """
        kappa = self.product.haircut if haircut is None else haircut
        pieces = requirement_pieces(positive("price", price), kappa, self.product.rungs)
        total = self._index.requirement(pieces, self.growth)
        if self._dead.size:
            gone = self._index.v[self._dead] * self.growth, self._index.collateral[self._dead]
            total -= float(np.sum(requirement_of(pieces, *gone)))
        if len(self._delta):
            total += float(np.sum(requirement_of(pieces, self._delta.v * self.growth, self._delta.collateral)))
        return max(0.0, total)

    def account_requirements(self, price: float) -> Floats:
        """The same for each account, in the order of `accounts`."""
        pieces = requirement_pieces(positive("price", price), self.product.haircut, self.product.rungs)
        total = np.zeros(len(self._accounts))
        known = self._index.account_requirements(pieces, self.growth)
        total[: known.size] = known
        if self._dead.size:
            gone = requirement_of(pieces, self._index.v[self._dead] * self.growth, self._index.collateral[self._dead])
            total -= np.bincount(self._index.accounts_of(self._dead), weights=gone, minlength=total.size)
        if len(self._delta):
            more = requirement_of(pieces, self._delta.v * self.growth, self._delta.collateral)
            total += np.bincount(self._delta.accounts, weights=more, minlength=total.size)
        return np.maximum(total, 0.0)

    @property
    def riskiest(self) -> float:
        """The most debt per coin of any loan, USDT; 0 without loans."""
        alive = np.ones(len(self._index), dtype=np.bool_)
        alive[self._dead] = False
        last = int(alive.size - 1 - np.argmax(alive[::-1])) if bool(np.any(alive)) else -1
        of_index = float(self._index.v[last]) if last >= 0 else 0.0
        return self.growth * max(of_index, float(np.max(self._delta.v, initial=0.0)))

    def above(self, ltv: float, prices: Floats, haircut: float | None = None) -> Above:
        """The loans with λ ≥ `ltv` at each price, whatever their level's memory says: two searches a price."""
        kappa = self.product.haircut if haircut is None else haircut
        v = positive("ltv", ltv) * kappa * prices / self.growth
        index, delta, gone = self._index, self._delta, self._dead
        loans, coins, owed = index.above(v)
        for sign, (of, collateral) in (
            (-1, (index.v[gone], index.collateral[gone])),
            (1, (delta.v, delta.collateral)),
        ):
            if of.size:
                count, more, debt = above_of(of, collateral, v)
                loans, coins, owed = loans + sign * count, coins + sign * more, owed + sign * debt
        return Above(loans, coins, owed * self.growth)

    # ------------------------------------------------------------ putting in order

    def begin_merge(self) -> Merge | None:
        """Begin to take loans of the delta into the index; None when there is nothing to do or a merge is under way."""
        if self._merging is not None:
            return None
        ready = self._delta.agreeing(self._thresholds, self._down, self._window.high, self._window.began_ms)
        if not ready.size and not self._dead.size:
            return None
        self._merging = Merge(
            self._index,
            self._dead,
            self._delta.ids[ready],
            self._delta.serial,
            self._delta.accounts[ready],
            self._delta.collateral[ready],
            self._delta.principal[ready],
            len(self._accounts),
        )
        return self._merging

    def finish_merge(self, merge: Merge, index: LoanIndex) -> None:
        """Put the new index in place. Loans that changed or went meanwhile are seen to.

        Raises:
            InvalidInput: not the merge that is under way.
        """
        if merge is not self._merging:
            raise InvalidInput("merge", "this merge is not under way")
        self._merging = None
        # What changed meanwhile carries its newest state in the delta, or is gone: its row in the new index is dead.
        gone = np.setdiff1d(self._dead, merge.dead)
        old_ids = self._index.ids[gone]
        settled = self._delta.unchanged(merge.ids, merge.serial)
        changed = np.setdiff1d(merge.ids, self._delta.ids[settled])
        self._delta.drop(settled)
        self._index = index
        rows = index.rows_of(np.concatenate((old_ids, changed)))
        self._dead = np.unique(rows[rows >= 0])
        self._cuts = [index.row_at(threshold) for threshold in self._thresholds]

    def _take_out(self, ids: Ints) -> Flags:
        """Remove loans from wherever they are; returns their memory (none for unknown ones)."""
        flags = self._delta.take_out(ids)
        rows = self._alive_rows(ids)
        here = rows >= 0
        if bool(np.any(here)):
            v = self._index.v[rows[here]]
            for number in range(3):
                above = v >= self._thresholds[number]
                if bool(np.any(above)):
                    below = self._window.since(v / self._down[number])
                    flags.above[here, number] = above
                    flags.since_ms[here, number] = np.where(above, below, -1)
            gone = np.sort(rows[here])
            self._dead = np.insert(self._dead, self._dead.searchsorted(gone), gone)
        return flags

    def _alive_rows(self, ids: Ints) -> Ints:
        rows = self._index.rows_of(ids)
        if self._dead.size:
            near = np.minimum(self._dead.searchsorted(rows), self._dead.size - 1)
            rows = np.where(self._dead[near] == rows, -1, rows)
        return rows
