"""What a position keeper knows of its account: wallet, loan and hedge, as versioned full states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from hedgelock_actors.codec import Payload, amount, text
from hedgelock_actors.domain.loan import RiskLevel, ltv
from hedgelock_actors.domain.market import ASSETS
from hedgelock_actors.domain.messages import AccountState, HedgeChanged, HedgeDemand, LoanChanged, LoanTouched, Tick
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.domain.position import PositionFold
from hedgelock_actors.ports.venue import LoanView, PositionView, WalletView

HAIRCUT_NOISE = 1e-4
SWEEP_SHOWS_MS = 60_000
LTV_MAX = 1_000_000.0
"""Told instead of infinity, which a message cannot carry."""


@dataclass(frozen=True, slots=True)
class WalletRead:
    """The wallet as last read, and what the fold of executions had realised by then."""

    view: WalletView
    realised: Decimal


@dataclass(slots=True)
class AccountBook:
    """Mutable; changed only between two awaits of its keeper."""

    account: str
    symbol: str
    wallet: WalletRead | None = None
    funding_wallet: Decimal = ZERO
    loan: LoanChanged | None = None
    loan_read_ms: int = 0
    hedge: HedgeChanged | None = None
    touched: LoanTouched | None = None
    """A sweep that was told and does not show in the debt yet."""
    debt_before: Decimal = ZERO
    swept: dict[str, Decimal] = field(default_factory=dict)
    """Action id → how much of that sweep was hedge profit."""
    venue_position: PositionView | None = None
    """Set while the venue's position and the fold disagree for good: then the venue's counts."""

    # ------------------------------------------------------------ the hedge

    def unswept(self, fold: PositionFold) -> Decimal:
        """Realised profit, fees and funding included, less what sweeps have consumed of it."""
        return fold.realised_pnl - sum(self.swept.values(), ZERO)

    def touch(self, message: LoanTouched) -> bool:
        """Hear of a sweep; False if it is known."""
        known = self.touched is not None and self.touched.action_id == message.action_id
        if message.swept_usdt <= ZERO or known or message.action_id in self.swept:
            return False
        self.touched, self.debt_before = message, self.loan.debt if self.loan is not None else ZERO
        return True

    def sweep_shows(self, now_ms: int) -> LoanTouched | None:
        """The sweep to be booked now: its repayment shows in the debt (or has had long enough to)."""
        touched = self.touched
        if touched is None or self.loan is None:
            return None
        shows = self.loan.debt <= self.debt_before - touched.swept_usdt / 2
        return touched if shows or now_ms - touched.ts_ms >= SWEEP_SHOWS_MS else None

    def book_sweep(self, action_id: str, usdt: Decimal, fold: PositionFold, mark: Decimal | None) -> Decimal:
        """A sweep consumes the hedge's profit first and then the buffer; returns the profit part.

        Profit that is not realised yet counts: cash that left against it leaves the realised part negative until it is
        realised. So what is swept is never counted twice, once as a lower debt and once as profit still to come.
        """
        signed, entry = self.position(fold)
        open_profit = signed * (mark - entry) if mark is not None else ZERO
        part = min(usdt, max(ZERO, self.unswept(fold) + open_profit))
        self.swept[action_id], self.touched = part, None
        return part

    def position(self, fold: PositionFold) -> tuple[Decimal, Decimal]:
        """Signed quantity and entry price."""
        if self.venue_position is not None:
            return self.venue_position.signed_qty, self.venue_position.entry_price
        return fold.signed_qty, fold.entry_price

    def hedge_now(self, fold: PositionFold, now_ms: int) -> HedgeChanged | None:
        """A new version of the hedge when it changed, else None."""
        signed, entry = self.position(fold)
        short, unswept = max(ZERO, -signed), self.unswept(fold)
        known = self.hedge
        if known is not None and (short, entry, unswept) == (known.short_qty, known.entry_price, known.unswept_profit):
            return None
        self.hedge = HedgeChanged(
            account=self.account,
            symbol=self.symbol,
            version=1 if known is None else known.version + 1,
            ts_ms=now_ms,
            short_qty=short,
            entry_price=entry,
            unswept_profit=unswept,
        )
        return self.hedge

    # ------------------------------------------------------------ the loan

    def loan_now(self, view: LoanView, now_ms: int) -> LoanChanged | None:
        """A new version of the loan when collateral, debt or haircut changed, else None."""
        self.loan_read_ms = now_ms
        known = self.loan
        haircut = view.haircut
        if known is not None and abs(known.haircut - haircut) < HAIRCUT_NOISE:
            haircut = known.haircut
        if known is not None and (known.collateral, known.debt, known.haircut) == (
            view.collateral,
            view.debt,
            haircut,
        ):
            return None
        self.loan = LoanChanged(
            account=self.account,
            loan_id=view.loan_id,
            version=1 if known is None else known.version + 1,
            ts_ms=now_ms,
            collateral_coin=view.collateral_coin,
            symbol=ASSETS.get(view.collateral_coin, self.symbol),
            collateral=view.collateral,
            debt=view.debt,
            haircut=haircut,
            lender_ltv=min(LTV_MAX, view.lender_ltv),
        )
        return self.loan

    def loan_ended(self, now_ms: int) -> LoanChanged | None:
        """A new version of a loan that is there no more: nothing owed, nothing pledged. None when that is known."""
        self.loan_read_ms = now_ms
        known = self.loan
        if known is None or (known.collateral, known.debt) == (ZERO, ZERO):
            return None
        gone = {"collateral": ZERO, "debt": ZERO, "lender_ltv": 0.0, "ts_ms": now_ms, "version": known.version + 1}
        self.loan = known.model_copy(update=gone)
        return self.loan

    # ------------------------------------------------------------ the money

    def cash(self, fold: PositionFold) -> Decimal | None:
        """Wallet balance now: as read, plus what was realised since. None before the first reading."""
        if self.wallet is None:
            return None
        return self.wallet.view.wallet_usdt + fold.realised_pnl - self.wallet.realised

    def equity(self, fold: PositionFold, mark: Decimal) -> Decimal | None:
        """Cash plus unrealised profit at a mark: wallet pushes do not come for a price that moved."""
        cash = self.cash(fold)
        if cash is None:
            return None
        signed, entry = self.position(fold)
        return cash + signed * (mark - entry)

    def state(
        self, fold: PositionFold, tick: Tick, demand: HedgeDemand | None, target: Decimal, max_loan_age_ms: int
    ) -> AccountState | None:
        """The full state for the treasury; None before wallet was read."""
        cash, equity = self.cash(fold), self.equity(fold, tick.mark)
        if cash is None or equity is None or self.wallet is None:
            return None
        signed, entry = self.position(fold)
        view, price = self.wallet.view, min(tick.last, tick.index)
        return AccountState(
            account=self.account,
            symbol=self.symbol,
            ts_ms=tick.ts_ms,
            wallet_usdt=cash,
            equity_usdt=equity,
            available_usdt=max(ZERO, view.available_usdt + equity - view.equity_usdt),
            maintenance_margin_usdt=view.maintenance_margin_usdt,
            funding_wallet_usdt=self.funding_wallet,
            short_qty=max(ZERO, -signed),
            entry_price=entry,
            mark=tick.mark,
            target_short_qty=target,
            loan=self._loan_at(price) if tick.ts_ms - self.loan_read_ms <= max_loan_age_ms else None,
            level=demand.level if demand is not None else RiskLevel.SAFE,
            lender_price=price,
        )

    def _loan_at(self, price: Decimal) -> LoanChanged | None:
        """The loan with its LTV at today's price: the lender's own word is as old as the last poll."""
        loan = self.loan
        if loan is None:
            return None
        now = ltv(float(loan.debt), float(loan.collateral), float(price), loan.haircut)
        return loan.model_copy(update={"lender_ltv": min(LTV_MAX, now)})

    # ------------------------------------------------------------ the journal

    def replay(self, kind: str, payload: Payload) -> None:
        """Fold one record of the keeper's stream."""
        match kind:
            case "loan":
                self.loan = LoanChanged.model_validate(payload)
            case "hedge":
                self.hedge = HedgeChanged.model_validate(payload)
            case "sweep_told":
                self.touched = LoanTouched.model_validate({k: payload[k] for k in LoanTouched.model_fields})
                self.debt_before = amount(payload, "debt_before")
            case "sweep_booked":
                self.swept[text(payload, "action_id")] = amount(payload, "from_profit")
                self.touched = None
            case _:
                pass


def with_realised(view: WalletView, fold: PositionFold) -> WalletRead:
    """The wallet as read now."""
    return WalletRead(view=replace(view), realised=fold.realised_pnl)
