"""The exchange's own account of what happened to one client: the referee of every run.

Lender LTV is debt over tiered collateral value at min(last, index), as the lender sees it. Net LTV is

    (D - unswept profit) / collateral value
    unswept profit = realised PnL - fees + funding + unrealised PnL - what repayments have taken of it

A repayment takes the hedge's profit first, and leaves the net LTV where it is; what is repaid beyond that is the
borrower's own cash, and lowers it. Both are taken at every price tick and every change of the loan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.simulator.words import ZERO


@dataclass(slots=True)
class Truth:
    """Counters of one account since the start. Money in USDT; fees ≥ 0 were paid, funding > 0 was received."""

    cash_start: Decimal = ZERO
    unified_start: Decimal = ZERO
    fund_start: Decimal = ZERO
    max_lender_ltv: Decimal = ZERO
    lender_ltv: Decimal = ZERO
    max_net_ltv: Decimal = ZERO
    net_ltv: Decimal = ZERO
    max_lender_ltv_ms: int = 0
    start_debt: Decimal = ZERO
    loan_liquidated: bool = False
    short_liquidated: bool = False
    margin_calls: int = 0
    orders: int = 0
    cancelled: int = 0
    fills: int = 0
    duplicate_orders: int = 0
    duplicate_requests: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    realised: Decimal = ZERO
    repaid: Decimal = ZERO
    profit_repaid: Decimal = ZERO
    interest: Decimal = ZERO
    transfers_in: Decimal = ZERO
    lent_in: Decimal = ZERO
    insured: Decimal = ZERO
    converted: Decimal = ZERO
    traded: Decimal = ZERO
    min_margin_ratio: Decimal | None = None
    max_mm_rate: Decimal = ZERO
    effective_links: set[str] = field(default_factory=set)

    def refused(self, code: int) -> None:
        """A request was answered with an error code."""
        self.rejected[str(code)] = self.rejected.get(str(code), 0) + 1

    def took_effect(self, link_id: str) -> None:
        """An order reached the matching engine; the same client id twice would be a duplicate order."""
        self.orders += 1
        if link_id:
            self.duplicate_orders += link_id in self.effective_links
            self.effective_links.add(link_id)

    def unswept(self, unrealised: Decimal) -> Decimal:
        """The hedge's profit (negative: loss) that no repayment has taken yet."""
        return self.realised - self.fees + self.funding + unrealised - self.profit_repaid

    def was_repaid(self, usdt: Decimal, unrealised: Decimal) -> None:
        """A repayment settled: profit first, then the borrower's own cash."""
        self.repaid += usdt
        self.profit_repaid += min(usdt, max(ZERO, self.unswept(unrealised)))

    def saw_loan(self, lender: Decimal, net: Decimal, now_ms: int) -> None:
        """A valuation of the loan."""
        self.lender_ltv, self.net_ltv = lender, net
        if lender > self.max_lender_ltv:
            self.max_lender_ltv, self.max_lender_ltv_ms = lender, now_ms
        self.max_net_ltv = max(self.max_net_ltv, net)

    def saw_margin(self, balance: Decimal, maintenance: Decimal) -> None:
        """A margin valuation: the ratio is margin balance over maintenance margin, 1 is liquidation."""
        if maintenance <= 0:
            return
        ratio = balance / maintenance
        if self.min_margin_ratio is None or ratio < self.min_margin_ratio:
            self.min_margin_ratio = ratio
        if balance > 0:
            self.max_mm_rate = max(self.max_mm_rate, maintenance / balance)

    def unified_expected(self) -> Decimal:
        """What the unified wallet's USDT must be by this tally; the ledger must agree."""
        gained = self.realised - self.fees + self.funding
        return self.unified_start + gained + self.transfers_in + self.insured + self.converted

    def fund_expected(self) -> Decimal:
        """What FUND and transit must hold in USDT: the start, plus what the lender gave (net), less transfers."""
        return self.fund_start + self.lent_in - self.transfers_in

    def figures(self) -> dict[str, object]:
        """JSON-ready numbers, without those that need the present state."""
        return {
            "max_lender_ltv": float(self.max_lender_ltv),
            "max_lender_ltv_ms": self.max_lender_ltv_ms,
            "end_lender_ltv": float(self.lender_ltv),
            "max_net_ltv": float(self.max_net_ltv),
            "end_net_ltv": float(self.net_ltv),
            "loan_liquidated": self.loan_liquidated,
            "short_liquidated": self.short_liquidated,
            "margin_calls": self.margin_calls,
            "orders": self.orders,
            "cancelled_orders": self.cancelled,
            "fills": self.fills,
            "duplicate_orders": self.duplicate_orders,
            "duplicate_requests": self.duplicate_requests,
            "rejected": dict(sorted(self.rejected.items())),
            "rejected_total": sum(self.rejected.values()),
            "fees_usdt": float(self.fees),
            "funding_usdt": float(self.funding),
            "start_debt_usdt": float(self.start_debt),
            "repaid_usdt": float(self.repaid),
            "interest_usdt": float(self.interest),
            "realised_pnl_usdt": float(self.realised),
            "insured_usdt": float(self.insured),
            "converted_usdt": float(self.converted),
            "traded_usdt": float(self.traded),
            "min_account_margin_ratio": None if self.min_margin_ratio is None else float(self.min_margin_ratio),
            "max_account_mm_rate": float(self.max_mm_rate),
        }
