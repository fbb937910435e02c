"""`hedgelock bench book`: millions of loans on one core, beside the same answers by looking at every loan.

1. The wildest stretch of the prices, in lock-step with the floor: every tick's changes are compared, loan by loan.
2. The whole path, the book alone: how long a tick takes. 3. The requirement at many prices, compared. 4. Changes of
loans, one by one, then their merge, then the requirement again.
The ids that a tick returns are views of the book's own array, so its time does not grow with its answer; reading them
is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns, process_time

import numpy as np

from hedgelock_actors.bench.book_floor import TICK_MS, EveryLoan, Floats, Ints, recorded_path, seeded_path, wildest
from hedgelock_actors.bench.machine import machine
from hedgelock_actors.domain.hedge import Rung
from hedgelock_actors.domain.loan_book import Change, LoanBook, Product
from hedgelock_actors.domain.stress_book import book_curve

LOANS_OF_THE_PROMISE = 10_000_000
UPDATES = 2_000
LONGEST_PATH = 20_000
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOptions:
    """What to measure."""

    loans: int = 1_000_000
    seed: int = 1
    prices: Path | None = None
    checked_ticks: int = 40
    """Ticks in lock-step with the floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookResult:
    """Times in the unit of their names.

    `max_relative_error` is of the requirements of the book and of each account. What requires less than a millionth of
    its neutral short is measured by that: such a requirement is a small difference of large numbers, the floor's too.
    """

    loans: int
    accounts: int
    build_s: float
    build_cpu_s: float
    """Processor time of it: what it takes on an idle machine."""
    tick_us_p50: float
    tick_us_p99: float
    tick_us_p50_changing: float
    """Of the ticks that changed a loan."""
    tick_us_p50_cold: float
    """Each after the floor had swept the processor's caches."""
    tick_us_p50_pending: float
    """After `UPDATES` loans changed, before the merge: loans that changed lately are looked at one by one."""
    requirement_us_p50: float
    stress_curve_ms: float
    """Levels, liquidations, required hedge and shortfall of the book at 1000 prices."""
    account_requirements_ms: float
    """Of all accounts at once."""
    naive_tick_ms: float
    naive_levels_ms: float
    """Loan-to-value and level alone, without the memory that hysteresis needs."""
    naive_requirement_ms: float
    max_relative_error: float
    bytes_per_loan: float
    update_us_p50: float
    update_us_p99: float
    merge_ms: float
    """In the background."""
    merge_cpu_ms: float
    merge_pause_ms: float
    """The part of it that the book stands still for."""
    merged_loans: int
    changed_per_tick: float
    ticks: int
    changing_ticks: int
    checked_ticks: int
    wrong_ticks: int
    prices: str
    machine: Mapping[str, object]

    @property
    def kept(self) -> Mapping[str, bool]:
        """What was promised of ten million loans, and whether it held; of fewer, the ratios are goals."""
        goal = "" if self.loans >= LOANS_OF_THE_PROMISE else " (a goal with fewer than 10,000,000 loans)"
        return {
            "every tick's changes are those of looking at every loan": self.wrong_ticks == 0,
            "requirements equal the floor's to 1e-9": self.max_relative_error <= 1e-9,
            "a loan takes at most 64 bytes": self.bytes_per_loan <= 64.0,
            "a tick takes at most 20 µs (p50)": self.tick_us_p50 <= 20.0,
            "so does a tick that changes loans": self.tick_us_p50_changing <= 20.0,
            "the requirement takes at most 100 µs (p50)": self.requirement_us_p50 <= 100.0,
            "a stress curve of 1000 prices takes at most 100 ms": self.stress_curve_ms <= 100.0,
            f"a tick is 1000 times faster than the floor{goal}": self.tick_ratio >= 1000.0,
            f"the requirement is 1000 times faster than the floor{goal}": self.requirement_ratio >= 1000.0,
        }

    @property
    def tick_ratio(self) -> float:
        """Floor's time by ours, of ticks that change loans."""
        return self.naive_tick_ms * 1e3 / self.tick_us_p50_changing

    @property
    def requirement_ratio(self) -> float:
        """Floor's time by ours."""
        return self.naive_requirement_ms * 1e3 / self.requirement_us_p50

    def as_values(self) -> dict[str, object]:
        """For JSON."""
        values: dict[str, object] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        ratios = {"tick_ratio": self.tick_ratio, "requirement_ratio": self.requirement_ratio}
        return values | ratios | {"kept": dict(self.kept), "machine": dict(self.machine)}


def bench_book(options: BookOptions, say: Say) -> BookResult:
    """Measure. Takes about a minute with ten million loans."""
    of = machine()
    path, times = recorded_path(options.prices) if options.prices is not None else seeded_path(options.seed)
    path, times = _around(path, times, wildest(path, options.checked_ticks))
    start = wildest(path, options.checked_ticks)
    say(f"making {options.loans:,} loans")
    product = Product(asset="BTC", haircut=0.95, rungs=(Rung(0.1, 0.55), Rung(0.3, 0.6), Rung(0.5, 0.7)))
    rig = _Rig(product, options, float(np.median(path)))
    say("a wild stretch, in lock-step with looking at every loan")
    stretch = slice(start, start + options.checked_ticks)
    cold, naive_ms, changed, wrong = rig.lock_step(path[stretch], times[stretch])
    say("the whole path")
    warm, changing = rig.alone(path, int(times[stretch][-1]) + TICK_MS)
    say("requirements, changes of loans, and their merge")
    required = rig.requirements(np.linspace(0.5, 1.5, 200) * path[-1])
    updates = rig.updates(float(path[-1]))
    pending = rig.settle()
    (merge_ms, merge_cpu_ms, pause_ms, merged) = rig.merge()
    errors = [rig.compare(float(path[-1]) * move) for move in (0.3, 0.6, 0.8, 0.95, 1.0, 1.1, 1.5)]
    return BookResult(
        loans=options.loans,
        accounts=len(rig.book.accounts),
        build_s=rig.build_s,
        build_cpu_s=rig.build_cpu_s,
        tick_us_p50=_at(warm, 50),
        tick_us_p99=_at(warm, 99),
        tick_us_p50_changing=_at(changing, 50),
        tick_us_p50_cold=_at(cold, 50),
        tick_us_p50_pending=_at(pending, 50),
        requirement_us_p50=_at(required, 50),
        stress_curve_ms=rig.curve_ms(float(path[-1])),
        account_requirements_ms=float(np.median([error[2] for error in errors])) / 1e6,
        naive_tick_ms=naive_ms,
        naive_levels_ms=rig.naive_levels_ms(float(path[-1])),
        naive_requirement_ms=float(np.median([error[1] for error in errors])) / 1e6,
        max_relative_error=max(error[0] for error in errors),
        bytes_per_loan=rig.bytes_per_loan,
        update_us_p50=_at(updates, 50),
        update_us_p99=_at(updates, 99),
        merge_ms=merge_ms,
        merge_cpu_ms=merge_cpu_ms,
        merge_pause_ms=pause_ms,
        merged_loans=merged,
        changed_per_tick=float(np.mean(changed)),
        ticks=len(warm),
        changing_ticks=len(changing),
        checked_ticks=len(cold),
        wrong_ticks=wrong,
        prices=options.prices.name if options.prices is not None else f"made up, seed {options.seed}",
        machine=of,
    )


class _Rig:
    """A book and its floor, of the same loans."""

    def __init__(self, product: Product, options: BookOptions, price: float) -> None:
        self._rng = rng = np.random.default_rng(options.seed)
        count, holders = options.loans, max(1, options.loans // 1000)
        collateral = rng.lognormal(0.0, 1.0, count)
        debt = rng.triangular(0.05, 0.30, 0.50, count) * product.haircut * collateral * price
        self._owner = rng.integers(0, holders, count, dtype=np.int32)
        self.floor, self.book = EveryLoan(product, collateral, debt), LoanBook(product)
        self.book.numbers_of([f"account-{number}" for number in range(holders)])
        began, worked = perf_counter_ns(), process_time()
        self.book.put(np.arange(count), self._owner, collateral, debt)
        self.build_s, self.build_cpu_s = (perf_counter_ns() - began) / 1e9, process_time() - worked
        self.bytes_per_loan = self.book.nbytes / count

    def lock_step(self, path: Floats, times: Ints) -> tuple[list[int], float, list[int], int]:
        """(ns of our ticks, the floor's median in ms, changed loans, ticks that differ). The first tick classes all."""
        ours, floor, changed, wrong = [], [], [], 0
        for price, now_ms in zip(path.tolist(), times.tolist(), strict=True):
            began = perf_counter_ns()
            found = self.book.tick(price, now_ms)
            between = perf_counter_ns()
            expected = self.floor.tick(price, now_ms)
            floor.append(perf_counter_ns() - between)
            ours.append(between - began)
            changed.append(expected[0].size)
            wrong += not _same(found, *expected)
        return ours, float(np.median(floor)) / 1e6, changed[1:], wrong

    def alone(self, path: Floats, from_ms: int) -> tuple[list[int], list[int]]:
        """ns of each tick, and of each that changed a loan."""
        times, changing = [], []
        for number, price in enumerate(path.tolist()):
            began = perf_counter_ns()
            found = self.book.tick(price, from_ms + number * TICK_MS)
            times.append(perf_counter_ns() - began)
            if found:
                changing.append(times[-1])
        self._now_ms, self._price = from_ms + path.size * TICK_MS, float(path[-1])
        return times, changing

    def requirements(self, prices: Floats) -> list[int]:
        """ns of each."""
        times = []
        for price in prices.tolist():
            began = perf_counter_ns()
            self.book.requirement(price)
            times.append(perf_counter_ns() - began)
        return times

    def compare(self, price: float) -> tuple[float, int, int]:
        """(greatest relative error of the book and of its accounts, ns of the floor, ns of all accounts)."""
        began = perf_counter_ns()
        each = self.floor.requirement(price)
        expected = float(np.sum(each))
        floor_ns = perf_counter_ns() - began
        began = perf_counter_ns()
        accounts = self.book.account_requirements(price)
        accounts_ns = perf_counter_ns() - began
        by_account = np.bincount(self._owner, weights=each, minlength=accounts.size)
        small = np.bincount(self._owner, weights=self.floor.debt, minlength=accounts.size) / price * 1e-6
        error = abs(self.book.requirement(price) - expected) / max(expected, float(np.sum(small)))
        errors = np.abs(accounts - by_account) / np.maximum(by_account, small)
        return max(error, float(np.max(errors))), floor_ns, accounts_ns

    def updates(self, price: float) -> list[int]:
        """ns of each change of one loan: repaid, or borrowed more."""
        times = []
        for loan in self._rng.choice(len(self.book), min(UPDATES, len(self.book)), replace=False).tolist():
            one = np.array([loan], dtype=np.int64)
            debt = self.floor.collateral[one] * price * self._rng.uniform(0.05, 0.5)
            began = perf_counter_ns()
            self.book.put(one, self._owner[one], self.floor.collateral[one], debt)
            times.append(perf_counter_ns() - began)
            self.floor.debt[loan] = debt[0]
        return times

    def settle(self) -> list[int]:
        """ns of the ticks that it takes until what changed remembers what all loans do."""
        times = []
        for number in range(1 + 2 * self.book.product.levels.dwell_ms // TICK_MS):
            began = perf_counter_ns()
            self.book.tick(self._price, self._now_ms + number * TICK_MS)
            times.append(perf_counter_ns() - began)
        return times

    def merge(self) -> tuple[float, float, float, int]:
        """(ms, ms of processor, ms that the book stands still, loans)."""
        pending, began, worked = self.book.pending, perf_counter_ns(), process_time()
        merge = self.book.begin_merge()
        if merge is None:
            return 0.0, 0.0, 0.0, 0
        building = perf_counter_ns()
        index = merge.build()
        built = perf_counter_ns()
        self.book.finish_merge(merge, index)
        ended = perf_counter_ns()
        worked, paused = process_time() - worked, building - began + ended - built
        merged = pending - self.book.pending
        return (ended - began) / 1e6, worked * 1e3, paused / 1e6, merged

    def curve_ms(self, price: float) -> float:
        """Median of five."""
        prices, times = price * np.linspace(0.1, 2.0, 1000), []
        for _ in range(5):
            began = perf_counter_ns()
            book_curve(self.book, prices, 0.85, 0.95)
            times.append(perf_counter_ns() - began)
        return float(np.median(times)) / 1e6

    def naive_levels_ms(self, price: float) -> float:
        """Median of three."""
        times = []
        for _ in range(3):
            began = perf_counter_ns()
            self.floor.levels_alone(price)
            times.append(perf_counter_ns() - began)
        return float(np.median(times)) / 1e6


def _around(path: Floats, times: Ints, wild: int) -> tuple[Floats, Ints]:
    """At most `LONGEST_PATH` ticks, with the wild stretch in their middle."""
    begin = max(0, min(wild - LONGEST_PATH // 2, path.size - LONGEST_PATH))
    return path[begin : begin + LONGEST_PATH], times[begin : begin + LONGEST_PATH]


def _same(found: list[Change], places: Ints, before: np.ndarray, after: np.ndarray) -> bool:
    """Whether these are the same loans, each once, with the same levels."""
    if sum(change.ids.size for change in found) != places.size:
        return False
    ids = np.concatenate([np.zeros(0, dtype=np.int64), *(change.ids for change in found)])
    steps = [np.full(change.ids.size, 4 * change.before.rank + change.after.rank) for change in found]
    order = np.argsort(ids)
    told = np.concatenate([np.zeros(0, dtype=np.int64), *steps])[order]
    return bool(np.array_equal(ids[order], places) and np.array_equal(told, 4 * before.astype(np.int64) + after))


def _at(times_ns: list[int], percent: float) -> float:
    return float(np.percentile(times_ns, percent)) / 1e3
