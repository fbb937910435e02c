"""Loans of one product in the order of their debt per coin, with running sums: any price is answered by binary search.

Let v = d/C, the principal owed per coin of collateral, without the interest that all loans of the product share
(`growth`; D = growth · d). At a price P the loan-to-value is λ = v · growth / (κ P), so the loans above a boundary b
are those with v ≥ b κ P / growth: one end of the order. What the ladder requires of a coin of collateral is piecewise
linear in v, so the sum over any loans is exact from running sums of C and d at the bends.

Immutable, 49 bytes a loan: v, C and id in the order of v (24) with two sums at every 16th row (1), the order by
account with two sums of its own (20), and the order by id (4). The v of every 512th row is beside them, so that a
search ends in a single page of memory. Sums are taken in extended precision, by account from zero, so that a small
account in a large book loses no digits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.hedge import Rung

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Number = TypeVar("Number", np.float64, np.int64)

_CHUNK = 1 << 20
_BLOCK = 16
"""A sum at every so many rows; what is between them is added when it is asked for. Divides `_CHUNK`."""
_STEP = 512
_FEW = 16
"""Up to so many ids are searched one by one: one call of numpy costs as much as some steps of Python."""
_ROW_BITS = 32
_ROW = (1 << _ROW_BITS) - 1


@dataclass(frozen=True, slots=True)
class Piece:
    """On low ≤ u < high a coin of collateral requires slope · u + offset coins of short (u: debt per coin, USDT)."""

    low: float
    slope: float
    offset: float


def requirement_pieces(price: float, haircut: float, rungs: Sequence[Rung]) -> tuple[Piece, ...]:
    """min(u/P, max(0, max_j (u − T_j κ P (1−x_j)) / (P x_j))) in linear pieces, by rising `low`; 0 below the first.

    Source: the ladder of required shorts, capped at the neutral short. Every rung is steeper than the cap, and the cap
    passes through 0, so the maximum of the rungs crosses the cap once, and from there on the cap holds.
    """
    lines = [(1.0 / (price * rung.drop), rung.target_ltv * haircut * price * (1.0 - rung.drop)) for rung in rungs]
    pieces: list[Piece] = []
    at, line = (
        min((zero, slope) for slope, zero in lines)[0],
        max((slope, zero) for slope, zero in lines if zero == min(other for _, other in lines)),
    )
    while True:
        slope, zero = line
        crosses_cap = slope * zero / (slope - 1.0 / price)
        steeper = [
            ((other_slope * other_zero - slope * zero) / (other_slope - slope), (other_slope, other_zero))
            for other_slope, other_zero in lines
            if other_slope > slope
        ]
        ahead = min((one for one in steeper if one[0] < crosses_cap), default=None)
        pieces.append(Piece(at, slope, -slope * zero))
        if ahead is None:
            pieces.append(Piece(crosses_cap, 1.0 / price, 0.0))
            return tuple(pieces)
        at, line = ahead[0], max(one for meets, one in steeper if meets == ahead[0])


def requirement_of(pieces: Sequence[Piece], u: Floats, collateral: Floats) -> Floats:
    """Required short of each loan, coins, by its debt per coin u (USDT)."""
    total = np.zeros(u.shape)
    for number, piece in enumerate(pieces):
        high = pieces[number + 1].low if number + 1 < len(pieces) else np.inf
        here = (u >= piece.low) & (u < high)
        total[here] = (piece.slope * u[here] + piece.offset) * collateral[here]
    return total


def above_of(v: Floats, collateral: Floats, bounds: Floats) -> tuple[Ints, Floats, Floats]:
    """How many of some loans have at least each of these v, their Σ C and Σ d."""
    order = np.argsort(v)
    at = v[order].searchsorted(bounds)
    coins = np.concatenate(([0.0], np.cumsum(collateral[order])))
    owed = np.concatenate(([0.0], np.cumsum((v * collateral)[order])))
    return v.size - at, coins[-1] - coins[at], owed[-1] - owed[at]


@dataclass(frozen=True, slots=True)
class LoanIndex:
    """See the module. Rows are positions in the order of v; accounts are numbered from 0."""

    v: Floats
    collateral: Floats
    ids: Ints
    steps: Floats
    """The v of every `_STEP`th row."""
    sum_collateral: Floats
    """Of all rows before 0, `_BLOCK`, 2 `_BLOCK` …"""
    sum_debt: Floats
    by_account: Rows
    """Rows, account after account, each account's in the order of v."""
    account_collateral: Floats
    """Running within the account, in the order of `by_account`: of all its rows up to this one and with it."""
    account_debt: Floats
    by_id: Rows
    account_ends: Ints
    """Where each account's part of `by_account` ends."""

    @classmethod
    def build(cls, ids: Ints, accounts: Rows, collateral: Floats, principal: Floats, account_count: int) -> LoanIndex:
        """Sort loans; every array has one entry a loan, `principal` is debt ÷ growth.

        Raises:
            InvalidInput: arrays of different lengths, a collateral that is not above 0, a negative principal, an id
                that appears twice.
        """
        if not ids.shape == accounts.shape == collateral.shape == principal.shape:
            raise InvalidInput("loans", "ids, accounts, collateral and debt must have one entry a loan")
        if not bool(np.all(np.isfinite(collateral) & (collateral > 0.0) & np.isfinite(principal) & (principal >= 0.0))):
            raise InvalidInput("loans", "collateral must be above 0 and debt 0 or more, both finite")
        v = principal / collateral
        order = np.argsort(v).astype(np.int32)
        ids = ids[order]
        by_id = np.argsort(ids).astype(np.int32)
        _refuse_twice(ids, by_id)
        by_account = (np.sort(_keys(accounts[order], np.arange(order.size))) & _ROW).astype(np.int32)
        ends = np.cumsum(np.bincount(accounts, minlength=account_count)).astype(np.int64)
        return cls._of(v[order], collateral[order], ids, by_account, by_id, ends)

    @classmethod
    def _of(
        cls, v: Floats, collateral: Floats, ids: Ints, by_account: Rows, by_id: Rows, account_ends: Ints
    ) -> LoanIndex:
        """Of rows that are in order; adds the running sums."""
        debt = v * collateral
        return cls(
            v=v,
            collateral=collateral,
            ids=ids,
            steps=v[::_STEP].copy(),
            sum_collateral=_running(collateral),
            sum_debt=_running(debt),
            by_account=by_account,
            account_collateral=_running_within(collateral, by_account, account_ends),
            account_debt=_running_within(debt, by_account, account_ends),
            by_id=by_id,
            account_ends=account_ends,
        )

    @classmethod
    def empty(cls) -> LoanIndex:
        """Of no loans."""
        nothing = np.zeros(0)
        return cls.build(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32), nothing, nothing, 0)

    def merged(
        self, dead: Ints, ids: Ints, accounts: Rows, collateral: Floats, principal: Floats, account_count: int
    ) -> LoanIndex:
        """This index without the `dead` rows (rising) and with these loans, in linear time: sorted runs are merged.

        Raises InvalidInput as `build` does.
        """
        new = LoanIndex.build(ids, accounts, collateral, principal, account_count)
        kept = np.delete(np.arange(len(self), dtype=np.int32), dead)
        # Where each row of either goes: after all of the other that come before it.
        places = np.searchsorted(self.v[kept], new.v) + np.arange(len(new))
        old = np.ones(kept.size + len(new), dtype=np.bool_)
        old[places] = False
        moved = np.full(len(self), -1, dtype=np.int32)
        moved[kept] = np.flatnonzero(old)
        all_ids = _put_in(old, self.ids[kept], new.ids)
        by_id = self._moved(self.by_id, moved)
        added = places[new.by_id].astype(np.int32)
        by_id = np.insert(
            by_id, np.searchsorted(self.ids[self.by_id][moved[self.by_id] >= 0], new.ids[new.by_id]), added
        )
        _refuse_twice(all_ids, by_id)
        by_account = self._moved(self.by_account, moved)
        sizes = np.bincount(self.accounts_of()[kept], minlength=account_count)
        before = _keys(np.repeat(np.arange(sizes.size), sizes), by_account)
        added = places[new.by_account].astype(np.int32)
        more = _keys(new.accounts_of()[new.by_account], added)
        by_account = np.insert(by_account, np.searchsorted(before, more), added)
        ends = np.cumsum(sizes) + new.account_ends
        return LoanIndex._of(
            _put_in(old, self.v[kept], new.v),
            _put_in(old, self.collateral[kept], new.collateral),
            all_ids,
            by_account,
            by_id,
            ends.astype(np.int64),
        )

    @staticmethod
    def _moved(rows: Rows, moved: Rows) -> Rows:
        """These rows by their new numbers, without those that are gone."""
        renamed = moved[rows]
        return renamed[renamed >= 0]

    def __len__(self) -> int:
        return int(self.v.size)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays, bytes."""
        arrays = (self.v, self.collateral, self.ids, self.sum_collateral, self.sum_debt, self.by_account)
        more = (self.steps, self.account_collateral, self.account_debt, self.by_id, self.account_ends)
        return sum(array.nbytes for array in (*arrays, *more))

    def row_at(self, v: float) -> int:
        """The first row whose v is at least this."""
        step = int(self.steps.searchsorted(v))
        low = max(0, step - 1) * _STEP
        return low + int(self.v[low : step * _STEP].searchsorted(v))

    def rows_of(self, ids: Ints) -> Ints:
        """Row of each id, −1 where there is none."""
        if not len(self):
            return np.full(ids.shape, -1, dtype=np.int64)
        if ids.size <= _FEW:
            return np.array([self._row_of(loan) for loan in ids.tolist()], dtype=np.int64)
        # numpy's own search through a sorter copies the whole sorter to 64 bits first.
        low, high = np.zeros(ids.shape, dtype=np.int64), np.full(ids.shape, len(self), dtype=np.int64)
        at = _bisect(low, high, lambda places, asked: self.ids[self.by_id[places]] < ids[asked])
        rows = self.by_id[np.minimum(at, len(self) - 1)].astype(np.int64)
        return np.where(self.ids[rows] == ids, rows, -1)

    def _row_of(self, loan: int) -> int:
        at = bisect_left(self.by_id, loan, key=self.ids.__getitem__)
        row = int(self.by_id[at]) if at < len(self) else -1
        return row if row >= 0 and self.ids[row] == loan else -1

    def accounts_of(self, rows: Ints | None = None) -> Rows:
        """Account of each row (of all rows when none are named)."""
        account = np.empty(len(self), dtype=np.int32)
        sizes = np.diff(self.account_ends, prepend=0)
        account[self.by_account] = np.repeat(np.arange(sizes.size, dtype=np.int32), sizes)
        return account if rows is None else account[rows]

    def sums(self, low: int, high: int) -> tuple[float, float]:
        """Σ C and Σ d of rows low … high − 1."""
        if high <= low:
            return 0.0, 0.0
        coins, debt = self._before(high)
        less_coins, less_debt = self._before(low)
        return coins - less_coins, debt - less_debt

    def _before(self, row: int) -> tuple[float, float]:
        """Σ C and Σ d of all rows before this one."""
        block = row // _BLOCK
        coins = self.collateral[block * _BLOCK : row]
        owed = float(np.dot(self.v[block * _BLOCK : row], coins))
        return float(self.sum_collateral[block]) + sum(coins.tolist()), float(self.sum_debt[block]) + owed

    def above(self, bounds: Floats) -> tuple[Ints, Floats, Floats]:
        """How many loans have at least each of these v, their Σ C and Σ d."""
        at = self.v.searchsorted(bounds)
        blocks = at // _BLOCK
        rows = blocks[:, None] * _BLOCK + np.arange(_BLOCK)
        rest = np.minimum(rows, max(0, len(self) - 1))
        none = np.zeros(1)
        v, collateral = (self.v, self.collateral) if len(self) else (none, none)
        coins = np.where(rows < at[:, None], collateral[rest], 0.0)
        all_coins, all_debt = self._before(len(self))
        before_coins = self.sum_collateral[blocks] + coins.sum(axis=1)
        before_debt = self.sum_debt[blocks] + (coins * v[rest]).sum(axis=1)
        return len(self) - at, all_coins - before_coins, all_debt - before_debt

    def requirement(self, pieces: Sequence[Piece], growth: float) -> float:
        """Required short of all loans together, coins."""
        cuts = [self.row_at(piece.low / growth) for piece in pieces] + [len(self)]
        total = 0.0
        for piece, low, high in zip(pieces, cuts, cuts[1:], strict=False):
            coins, debt = self.sums(low, high)
            total += piece.slope * growth * debt + piece.offset * coins
        return total

    def account_requirements(self, pieces: Sequence[Piece], growth: float, accounts: Ints | None = None) -> Floats:
        """Required short of each account (of all when none are named), coins."""
        ends = self.account_ends if accounts is None else self.account_ends[accounts]
        starts = np.concatenate(([0], self.account_ends[:-1]))
        starts = starts if accounts is None else starts[accounts]
        total = np.zeros(ends.shape)
        cuts = [self._cut(starts, ends, self.row_at(piece.low / growth)) for piece in pieces] + [ends]
        for piece, low, high in zip(pieces, cuts, cuts[1:], strict=False):
            coins = self._within(self.account_collateral, starts, high) - self._within(
                self.account_collateral, starts, low
            )
            debt = self._within(self.account_debt, starts, high) - self._within(self.account_debt, starts, low)
            total += piece.slope * growth * debt + piece.offset * coins
        return total

    def _cut(self, starts: Ints, ends: Ints, row: int) -> Ints:
        """For each account, the first place in `by_account` whose row is at least `row`: all bisected at once."""
        return _bisect(starts.copy(), ends.copy(), lambda places, _: self.by_account[places] < row)

    @staticmethod
    def _within(sums: Floats, starts: Ints, at: Ints) -> Floats:
        """The running sum of each account just before `at`."""
        if not sums.size:
            return np.zeros(at.shape)
        return np.where(at > starts, sums[np.maximum(at - 1, 0)], 0.0)


def _bisect(low: Ints, high: Ints, before: Callable[[Ints, Ints], NDArray[np.bool_]]) -> Ints:
    """For many ranges at once, the first place that is not `before` (places, numbers of the ranges they are in)."""
    asked: Ints = np.flatnonzero(low < high)
    while asked.size:
        middle = (low[asked] + high[asked]) // 2
        less = before(middle, asked)
        low[asked[less]] = middle[less] + 1
        high[asked[~less]] = middle[~less]
        asked = asked[low[asked] < high[asked]]
    return low


def _running(values: Floats) -> Floats:
    """Sums of what is before every `_BLOCK`th value, each right to the last digits: carried in extended precision."""
    sums = np.zeros(values.size // _BLOCK + 1)
    carried = np.longdouble(0)
    for at in range(0, values.size, _CHUNK):
        part = np.cumsum(values[at : at + _CHUNK], dtype=np.longdouble) + carried
        ends = part[_BLOCK - 1 :: _BLOCK]
        sums[at // _BLOCK + 1 : at // _BLOCK + 1 + ends.size] = ends
        carried = part[-1]
    return sums


def _running_within(values: Floats, order: Rows, ends: Ints) -> Floats:
    """Running sums in `order`, from zero in every account."""
    sums = np.empty(values.shape)
    starts = np.concatenate(([0], ends[:-1])) if ends.size else ends
    carried = np.longdouble(0)
    for at in range(0, values.size, _CHUNK):
        stop = min(at + _CHUNK, values.size)
        running = np.cumsum(values[order[at:stop]], dtype=np.longdouble)
        here = slice(int(np.searchsorted(ends, at, side="right")), int(np.searchsorted(ends, stop - 1, "right")) + 1)
        begins = starts[here] - at
        # What ran up to where the account begins; the account that began in an earlier chunk brings its own sum.
        before = np.where(begins > 0, running[np.clip(begins - 1, 0, running.size - 1)], np.longdouble(0))
        before = np.where(begins < 0, -carried, before)
        running -= np.repeat(before, np.diff(np.minimum(ends[here], stop), prepend=at))
        sums[at:stop] = running
        carried = running[-1] if ends[here][-1] > stop else np.longdouble(0)
    return sums


def _keys(accounts: Rows | Ints, rows: Rows | Ints) -> Ints:
    """Numbers in the order of account, then row."""
    return (accounts.astype(np.int64) << _ROW_BITS) | rows


def _put_in(old: NDArray[np.bool_], first: NDArray[Number], second: NDArray[Number]) -> NDArray[Number]:
    """One array of both: `first` where `old`, `second` elsewhere."""
    both = np.empty(old.size, dtype=first.dtype)
    both[old], both[~old] = first, second
    return both


def _refuse_twice(ids: Ints, by_id: Rows) -> None:
    in_order = ids[by_id]
    if bool(np.any(in_order[1:] == in_order[:-1])):
        raise InvalidInput("loans.id", "the same loan appears twice")
