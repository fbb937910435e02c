"""A whole book under stress, at any number of prices: by searches and running sums, without looking at each loan.

Levels here have no memory: what a first look at that price would say. The required hedge is that of the debts, without
what a hedge earned on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan import RiskLevel
from hedgelock_actors.domain.loan_book import LoanBook
from hedgelock_actors.domain.loan_index import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCurve:
    """One entry a price in every array. USDT and coins."""

    prices: Floats
    at_least: dict[RiskLevel, Ints]
    """Loans at CAUTION, DANGER and CRITICAL or above it."""
    margin_called: Ints
    liquidated: Ints
    liquidated_debt: Floats
    required_hedge: Floats
    shortfall_usdt: Floats
    """What brings every loan's λ to the ceiling of its product, by repaying."""
    shortfall_coin: Floats
    """The same by adding collateral."""
    uncovered: Floats
    """Debt that the counted collateral does not cover."""

    def counts(self, at: int) -> dict[RiskLevel, int]:
        """Loans at CAUTION or above, each at its level."""
        caution, danger, critical = (int(self.at_least[level][at]) for level in _ABOVE_SAFE)
        return dict(zip(_ABOVE_SAFE, (caution - danger, danger - critical, critical), strict=True))


_ABOVE_SAFE = (RiskLevel.CAUTION, RiskLevel.DANGER, RiskLevel.CRITICAL)


def book_curve(
    book: LoanBook, prices: Floats, margin_call_ltv: float, liquidation_ltv: float, haircut: float | None = None
) -> BookCurve:
    """The book at each price, with another haircut if one is given.

    Raises:
        InvalidInput: a price is not above 0.
    """
    if not bool(np.all(np.isfinite(prices) & (prices > 0.0))):
        raise InvalidInput("prices", "must be above 0")
    levels, kappa = book.product.levels, book.product.haircut if haircut is None else haircut
    over, all_of = book.above(levels.ceiling, prices, haircut), book.above(1.0, prices, haircut)
    lost = book.above(liquidation_ltv, prices, haircut)
    counted = levels.ceiling * kappa * prices
    shortfall = np.maximum(over.debt - counted * over.coins, 0.0)
    return BookCurve(
        prices=prices,
        at_least={level: book.above(levels.boundary(level), prices, haircut).loans for level in _ABOVE_SAFE},
        margin_called=book.above(margin_call_ltv, prices, haircut).loans,
        liquidated=lost.loans,
        liquidated_debt=lost.debt,
        required_hedge=np.array([book.requirement(price, haircut) for price in prices.tolist()]),
        shortfall_usdt=shortfall,
        shortfall_coin=shortfall / counted,
        uncovered=np.maximum(all_of.debt - kappa * prices * all_of.coins, 0.0),
    )
