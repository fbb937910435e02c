"""The loan book equals, on any story, a list of loans of which each is looked at on every tick."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.hedge import Rung, required_short
from hedgelock_actors.domain.loan import Levels, RiskLevel
from hedgelock_actors.domain.loan_book import LoanBook, Product
from hedgelock_actors.domain.loan_index import LoanIndex, requirement_pieces

BOUNDARIES = (RiskLevel.CAUTION, RiskLevel.DANGER, RiskLevel.CRITICAL)


@dataclass
class OneLoan:
    """A loan with its own memory of each boundary."""

    account: str
    collateral: float
    principal: float
    above: list[bool] = field(default_factory=lambda: [False] * 3)
    since: list[int | None] = field(default_factory=lambda: [None] * 3)

    def tick(self, price: float, now_ms: int, product: Product) -> tuple[int, int]:
        before, v, levels = sum(self.above), self.principal / self.collateral, product.levels
        for number, level in enumerate(BOUNDARIES):
            boundary = levels.boundary(level)
            if v >= boundary * product.haircut * price:
                self.above[number] = True
            if v >= (boundary - levels.hysteresis) * product.haircut * price:
                self.since[number] = None
            elif self.since[number] is None:
                self.since[number] = now_ms
            since = self.since[number]
            if since is not None and now_ms - since >= levels.dwell_ms:
                self.above[number] = False
        return before, sum(self.above)


class Plain:
    """A list of loans."""

    def __init__(self, product: Product) -> None:
        self.product, self.growth = product, 1.0
        self.loans: dict[int, OneLoan] = {}

    def put(self, ids: list[int], accounts: list[str], collateral: list[float], debt: list[float]) -> None:
        for number, account, coins, owed in zip(ids, accounts, collateral, debt, strict=True):
            loan = self.loans.setdefault(number, OneLoan(account, coins, 0.0))
            loan.account, loan.collateral, loan.principal = account, coins, owed / self.growth

    def tick(self, price: float, now_ms: int) -> dict[int, tuple[int, int]]:
        found = {number: loan.tick(price / self.growth, now_ms, self.product) for number, loan in self.loans.items()}
        return {number: (before, after) for number, (before, after) in found.items() if before != after}

    def required(self, price: float) -> dict[str, float]:
        total: dict[str, float] = {}
        for loan in self.loans.values():
            short = required_short(
                loan.principal * self.growth, loan.collateral, price, self.product.haircut, self.product.rungs
            )
            total[loan.account] = total.get(loan.account, 0.0) + short
        return total


def product_of(rng: np.random.Generator) -> Product:
    rungs = tuple(Rung(float(rng.uniform(0.05, 0.9)), float(rng.uniform(0.2, 0.9))) for _ in range(rng.integers(1, 5)))
    levels = Levels(dwell_ms=int(rng.choice([0, 1_000, 5_000])), hysteresis=float(rng.choice([0.0, 0.005, 0.02])))
    return Product(asset="BTC", haircut=float(rng.choice([1.0, 0.9, 0.73])), rungs=rungs, levels=levels)


class Story:
    """One random life of a book beside its plain twin."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.product = product_of(self.rng)
        self.book, self.plain = LoanBook(self.product), Plain(self.product)
        self.price, self.now_ms = 60_000.0, 0
        self.merge = None

    def put(self, count: int) -> None:
        rng = self.rng
        ids = rng.choice(200, size=count, replace=False)
        accounts = [f"a{number}" for number in rng.integers(0, 5, count)]
        collateral = rng.uniform(0.01, 20.0, count)
        debt = rng.uniform(0.3, 0.55, count) * self.product.haircut * collateral * self.price
        debt[rng.random(count) < 0.05] = 0.0
        self.plain.put(ids.tolist(), accounts, collateral.tolist(), debt.tolist())
        self.book.put(ids, accounts, collateral, debt)

    def remove(self) -> None:
        ids = self.rng.choice(220, size=5, replace=False)
        for number in ids.tolist():
            self.plain.loans.pop(number, None)
        self.book.remove(ids)

    def tick(self) -> None:
        self.now_ms += int(self.rng.choice([0, 100, 1_000, 3_000]))
        self.price *= float(np.exp(self.rng.normal(0.0, 0.03)))
        expected = self.plain.tick(self.price, self.now_ms)
        changes = self.book.tick(self.price, self.now_ms)
        got = {int(one): (change.before.rank, change.after.rank) for change in changes for one in change.ids}
        assert sum(change.ids.size for change in changes) == len(got), "a loan was told twice"
        assert got == expected

    def accrue(self) -> None:
        factor = 1.0 + float(self.rng.uniform(0.0, 0.01))
        self.book.accrue(factor)
        self.plain.growth *= factor

    def begin_merge(self) -> None:
        if self.merge is None:
            begun = self.book.begin_merge()
            self.merge = None if begun is None else (begun, begun.build())

    def finish_merge(self) -> None:
        if self.merge is not None:
            self.book.finish_merge(*self.merge)
            self.merge = None

    def agree(self) -> None:
        price = self.price * float(self.rng.uniform(0.5, 1.5))
        expected = self.plain.required(price)
        got = dict(zip(self.book.accounts, self.book.account_requirements(price).tolist(), strict=True))
        for name, short in got.items():
            assert short == pytest.approx(expected.get(name, 0.0), rel=1e-9, abs=1e-9)
        assert self.book.requirement(price) == pytest.approx(sum(expected.values()), rel=1e-9, abs=1e-9)
        assert len(self.book) == len(self.plain.loans)
        counts = dict.fromkeys(RiskLevel, 0)
        for loan in self.plain.loans.values():
            counts[list(RiskLevel)[sum(loan.above)]] += 1
        assert self.book.counts() == counts
        bound, prices = float(self.rng.uniform(0.2, 0.9)), self.price * self.rng.uniform(0.5, 1.5, 3)
        above = self.book.above(bound, prices)
        for at, lower in enumerate(prices.tolist()):
            least = bound * self.product.haircut * lower / self.plain.growth
            those = [loan for loan in self.plain.loans.values() if loan.principal / loan.collateral >= least]
            assert above.loans[at] == len(those)
            assert above.coins[at] == pytest.approx(sum(loan.collateral for loan in those), rel=1e-9, abs=1e-9)
            owed = sum(loan.principal for loan in those) * self.plain.growth
            assert above.debt[at] == pytest.approx(owed, rel=1e-9, abs=1e-4)
        most = max((loan.principal / loan.collateral for loan in self.plain.loans.values()), default=0.0)
        assert self.book.riskiest == pytest.approx(most * self.plain.growth)
        known = self.book.levels_of(np.arange(220))
        assert [None if level is None else level.rank for level in known] == [
            sum(self.plain.loans[number].above) if number in self.plain.loans else None for number in range(220)
        ]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), first=st.booleans())
def test_any_story_of_loans_and_prices_equals_looking_at_every_loan(seed: int, first: bool) -> None:
    story = Story(seed)
    if first:
        story.put(120)
    acts = [story.tick] * 8 + [story.accrue, story.remove, story.begin_merge, story.finish_merge, story.agree]
    acts += [lambda: story.put(int(story.rng.integers(1, 20)))]
    for number in story.rng.integers(0, len(acts), 80):
        acts[number]()
    story.agree()


@given(seed=st.integers(0, 2**32))
def test_the_pieces_are_the_ladder_with_its_cap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    product, price = product_of(rng), float(rng.uniform(1.0, 1e5))
    collateral = rng.uniform(0.01, 10.0, 50)
    debt = rng.uniform(0.0, 1.3, 50) * product.haircut * collateral * price
    index = LoanIndex.build(np.arange(50), np.zeros(50, dtype=np.int32), collateral, debt, 1)
    expected = sum(
        required_short(d, c, price, product.haircut, product.rungs) for d, c in zip(debt, collateral, strict=True)
    )
    pieces = requirement_pieces(price, product.haircut, product.rungs)
    assert index.requirement(pieces, 1.0) == pytest.approx(expected, rel=1e-11, abs=1e-12)
    assert [piece.low for piece in pieces] == sorted(piece.low for piece in pieces)


def test_small_accounts_lose_no_digits_in_a_large_book() -> None:
    rng = np.random.default_rng(3)
    count = 300_000
    accounts = np.sort(rng.integers(1, 4, count)).astype(np.int32)
    accounts[0], accounts[count // 2], accounts[-1] = 0, 4, 5
    collateral = rng.lognormal(8.0, 3.0, count)
    collateral[[0, count // 2, -1]] = 1e-4
    index = LoanIndex.build(np.arange(count), accounts, collateral, collateral * 30_000.0, 6)
    pieces = requirement_pieces(60_000.0, 1.0, (Rung(0.3, 0.5),))
    one = required_short(3.0, 1e-4, 60_000.0, 1.0, (Rung(0.3, 0.5),))
    got = index.account_requirements(pieces, 1.0)
    assert got[[0, 4, 5]] == pytest.approx([one] * 3, rel=1e-9)
    assert index.account_requirements(pieces, 1.0, np.array([4]))[0] == pytest.approx(one, rel=1e-9)


def test_a_loan_costs_49_bytes() -> None:
    rng = np.random.default_rng(1)
    index = LoanIndex.build(
        np.arange(100_000), np.zeros(100_000, dtype=np.int32), rng.uniform(1, 2, 100_000), rng.uniform(1, 2, 100_000), 1
    )
    assert index.nbytes / 100_000 == pytest.approx(49.0, abs=0.05)


def ids(*given: int) -> np.ndarray:
    return np.array(given, dtype=np.int64)


@pytest.mark.parametrize(
    ("loans", "field"),
    [
        ((ids(1, 1), ["a", "a"], np.ones(2), np.ones(2)), "loans.id"),
        ((ids(1), ["a", "a"], np.ones(1), np.ones(1)), "loans"),
        ((ids(1), ["a"], np.zeros(1), np.ones(1)), "collateral"),
        ((ids(1), ["a"], np.ones(1), -np.ones(1)), "debt"),
        ((ids(1), ["a"], np.array([np.nan]), np.ones(1)), "collateral"),
        ((ids(1), ["a"], np.ones(1), np.array([np.inf])), "debt"),
    ],
)
def test_loans_that_cannot_be_are_refused_and_change_nothing(loans: tuple, field: str) -> None:
    book = LoanBook(Product(asset="BTC"))
    book.put(ids(7), ["a"], np.ones(1), np.ones(1))
    with pytest.raises(InvalidInput, match=field):
        book.put(*loans)
    assert len(book) == 1


def test_an_index_refuses_what_cannot_be() -> None:
    nobody = np.zeros(2, dtype=np.int32)
    with pytest.raises(InvalidInput, match="twice"):
        LoanIndex.build(ids(1, 1), nobody, np.ones(2), np.ones(2), 1)
    with pytest.raises(InvalidInput, match="one entry"):
        LoanIndex.build(ids(1), nobody, np.ones(2), np.ones(2), 1)
    with pytest.raises(InvalidInput, match="above 0"):
        LoanIndex.build(ids(1, 2), nobody, np.zeros(2), np.ones(2), 1)


def test_accounts_may_be_given_by_number() -> None:
    book = LoanBook(Product(asset="BTC"))
    numbers = book.numbers_of(["b", "a", "b"])
    assert numbers.tolist() == [0, 1, 0]
    book.put(ids(1, 2, 3), numbers, np.ones(3), np.array([30_000.0, 40_000.0, 50_000.0]))
    assert book.accounts == ("b", "a")
    by_name = LoanBook(Product(asset="BTC"))
    by_name.put(ids(1, 2, 3), ["b", "a", "b"], np.ones(3), np.array([30_000.0, 40_000.0, 50_000.0]))
    assert book.account_requirements(60_000.0).tolist() == by_name.account_requirements(60_000.0).tolist()
    with pytest.raises(InvalidInput, match=r"loans\.account"):
        book.put(ids(4), np.array([2], dtype=np.int32), np.ones(1), np.ones(1))
    assert len(book) == 3


@given(seed=st.integers(0, 2**32))
def test_a_merged_index_is_the_index_of_what_is_left(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, more = int(rng.integers(0, 40)), int(rng.integers(0, 40))
    numbers = rng.permutation(1000)[: size + more]
    accounts = rng.integers(0, 4, size + more).astype(np.int32)
    # Few different debts per coin, so that many are equal.
    collateral, debt = np.ones(size + more), rng.integers(0, 6, size + more).astype(np.float64)
    first = LoanIndex.build(numbers[:size], accounts[:size], collateral[:size], debt[:size], 4)
    dead = np.flatnonzero(rng.random(size) < 0.3)
    merged = first.merged(dead, numbers[size:], accounts[size:], collateral[size:], debt[size:], 5)
    left = np.isin(numbers, first.ids[dead], invert=True)
    whole = LoanIndex.build(numbers[left], accounts[left], collateral[left], debt[left], 5)
    assert merged.v.tolist() == whole.v.tolist()
    assert merged.sum_debt.tolist() == whole.sum_debt.tolist()
    assert merged.account_ends.tolist() == whole.account_ends.tolist()
    assert merged.account_debt == pytest.approx(whole.account_debt)
    rows = merged.rows_of(numbers)
    assert (rows >= 0).tolist() == left.tolist()
    assert merged.ids[rows[left]].tolist() == numbers[left].tolist()
    assert [merged.rows_of(numbers[at : at + 1])[0] for at in range(numbers.size)] == rows.tolist()
    assert merged.v[rows[left]].tolist() == debt[left].tolist()
    assert merged.accounts_of(rows[left]).tolist() == accounts[left].tolist()


@given(seed=st.integers(0, 2**32), size=st.integers(0, 3000))
def test_rows_and_sums_are_those_of_the_whole_order(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    # Few different debts per coin, so that a search has to end before all that are equal.
    debt = rng.integers(0, 40, size).astype(np.float64)
    index = LoanIndex.build(np.arange(size), np.zeros(size, dtype=np.int32), np.ones(size), debt, 1)
    for bound in (-1.0, 0.0, 7.0, 7.5, 39.0, 99.0):
        assert index.row_at(bound) == np.count_nonzero(debt < bound)
    low, high = sorted(rng.integers(0, size + 1, 2).tolist())
    assert index.sums(low, high) == (high - low, float(np.sum(np.sort(debt)[low:high])))
    loans, coins, owed = index.above(np.array([0.0, 7.5, 99.0]))
    assert loans.tolist() == coins.tolist() == [size, np.count_nonzero(debt >= 7.5), 0]
    assert owed.tolist() == [float(np.sum(debt)), float(np.sum(debt[debt >= 7.5])), 0.0]


def test_the_book_says_its_memory() -> None:
    book = LoanBook(Product(asset="BTC"))
    empty = book.nbytes
    book.put(np.arange(10_000), book.numbers_of(["a"] * 10_000), np.ones(10_000), np.ones(10_000))
    assert 49 * 10_000 <= book.nbytes - empty <= 50 * 10_000


def test_a_merge_refuses_a_loan_that_is_there() -> None:
    index = LoanIndex.build(ids(1, 2), np.zeros(2, dtype=np.int32), np.ones(2), np.ones(2), 1)
    with pytest.raises(InvalidInput, match="twice"):
        index.merged(ids(), ids(2), np.zeros(1, dtype=np.int32), np.ones(1), np.ones(1), 1)


def test_nonsense_is_refused_with_the_field() -> None:
    book = LoanBook(Product(asset="BTC"))
    with pytest.raises(InvalidInput, match="price"):
        book.tick(0.0, 0)
    with pytest.raises(InvalidInput, match="factor"):
        book.accrue(0.99)
    with pytest.raises(InvalidInput, match="haircut"):
        Product(asset="BTC", haircut=0.0)
    with pytest.raises(InvalidInput, match="rungs"):
        Product(asset="BTC", rungs=())


def test_an_empty_book_requires_nothing_and_merges_nothing() -> None:
    book = LoanBook(Product(asset="BTC"))
    assert book.tick(60_000.0, 0) == []
    assert book.requirement(60_000.0) == 0.0
    assert book.account_requirements(60_000.0).tolist() == []
    assert book.begin_merge() is None
    assert book.levels_of(ids(1)) == [None]
    assert (len(book), book.pending) == (0, 0)


def test_one_merge_at_a_time_and_only_the_one_under_way() -> None:
    book = LoanBook(Product(asset="BTC"))
    book.put(ids(1, 2), ["a", "b"], np.ones(2), np.ones(2))
    book.remove(ids(1))
    merge = book.begin_merge()
    assert merge is not None
    assert book.begin_merge() is None
    book.finish_merge(merge, merge.build())
    assert (len(book), book.pending) == (1, 0)
    with pytest.raises(InvalidInput, match="not under way"):
        book.finish_merge(merge, merge.build())
