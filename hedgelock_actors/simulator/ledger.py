"""Double entry: money is only ever moved, so the sum over all accounts of a coin is zero, always and exactly."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from hedgelock_actors.simulator.words import ZERO

CENT = Decimal("0.00000001")

Book = tuple[str, str]
"""(owner, kind): ("100001", "UNIFIED"), ("100001", "FUND"), ("100001", "PLEDGED"), ("venue", "CLEARING"), ..."""

OUTSIDE: Book = ("outside", "WORLD")
CLEARING: Book = ("venue", "CLEARING")
FEES: Book = ("venue", "FEES")
FUNDING: Book = ("venue", "FUNDING")
LENDER: Book = ("venue", "LENDER")
INSURANCE: Book = ("venue", "INSURANCE")
DESK: Book = ("venue", "COLLATERAL_DESK")


class BrokenInvariant(RuntimeError):
    """The exchange contradicts itself: a defect of the simulator, never of a client."""


def require(condition: bool, why: str) -> None:
    """Raise `BrokenInvariant` unless `condition`; unlike `assert` it stays under -O."""
    if not condition:
        raise BrokenInvariant(why)


def money(amount: Decimal) -> Decimal:
    """Round to the ledger's smallest unit, 1e-8."""
    return amount.quantize(CENT, rounding=ROUND_HALF_EVEN)


def unified(uid: str) -> Book:
    """The unified trading wallet."""
    return (uid, "UNIFIED")


def fund(uid: str) -> Book:
    """The funding wallet."""
    return (uid, "FUND")


def pledged(uid: str) -> Book:
    """Collateral held by the lender."""
    return (uid, "PLEDGED")


def debt(uid: str) -> Book:
    """What is owed, as a negative balance."""
    return (uid, "DEBT")


def transit(uid: str) -> Book:
    """Money that has left one wallet and has not arrived at the other."""
    return (uid, "TRANSIT")


class Ledger:
    """Balances by coin and book."""

    def __init__(self) -> None:
        self._balances: dict[str, dict[Book, Decimal]] = {}

    def balance(self, book: Book, coin: str) -> Decimal:
        """Balance of one book, zero when never touched."""
        return self._balances.get(coin, {}).get(book, ZERO)

    def coins(self, book: Book) -> list[str]:
        """Coins that the book holds or owes."""
        return sorted(coin for coin, books in self._balances.items() if books.get(book, ZERO) != ZERO)

    def move(self, coin: str, amount: Decimal, src: Book, dst: Book) -> Decimal:
        """Move `amount` (may be negative) from `src` to `dst`; returns the amount after rounding to 1e-8."""
        exact = money(amount)
        books = self._balances.setdefault(coin, {})
        books[src] = books.get(src, ZERO) - exact
        books[dst] = books.get(dst, ZERO) + exact
        return exact

    def check(self) -> None:
        """Raise `BrokenInvariant` unless every coin sums to zero and no FUND, pledge or transit is negative."""
        for coin, books in self._balances.items():
            require(sum(books.values(), ZERO) == ZERO, f"{coin} does not sum to zero")
            for (owner, kind), amount in books.items():
                if kind in ("FUND", "PLEDGED", "TRANSIT"):
                    require(amount >= ZERO, f"{owner} {kind} {coin} is {amount}")
                elif kind == "DEBT":
                    require(amount <= ZERO, f"{owner} {coin} is owed {-amount}")
