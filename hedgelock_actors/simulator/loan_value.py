"""The lender's arithmetic: tiered collateral value, debt value and LTV. Pure functions over core and account."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.ledger import CENT, debt, fund, pledged, transit, unified
from hedgelock_actors.simulator.margin import STABLE, position_margin
from hedgelock_actors.simulator.spec import CollateralTier
from hedgelock_actors.simulator.views import CollateralView, DebtView, LoanPosition
from hedgelock_actors.simulator.words import ZERO

NO_VALUE = Decimal("Infinity")


def collateral_price(core: Core, coin: str) -> Decimal:
    """min(last, index) in USD; 1 for stable coins; 0 for a coin without a market."""
    if coin in STABLE:
        return Decimal(1)
    market = core.markets.get(f"{coin}USDT")
    return ZERO if market is None else market.collateral_price


def debt_price(core: Core, coin: str) -> Decimal:
    """Index price of a borrowed coin in USD."""
    if coin in STABLE:
        return Decimal(1)
    market = core.markets.get(f"{coin}USDT")
    return ZERO if market is None else market.index


def tiered(value_usd: Decimal, tiers: tuple[CollateralTier, ...]) -> Decimal:
    """Value after ratios: each tier's ratio counts for the part of the value that lies in it.

    The venue's own numbers: 12,757 USD of BTC with 0.8 to 10,000 and 0.7 above count as 8,000 + 0.7 × 2,757.
    """
    total = ZERO
    for tier in tiers:
        upper = value_usd if tier.max_value is None else min(value_usd, tier.max_value)
        if upper > tier.min_value:
            total += (upper - tier.min_value) * tier.ratio
    return total


def inverse_tiered(counted_usd: Decimal, tiers: tuple[CollateralTier, ...]) -> Decimal:
    """The smallest value that counts as `counted_usd`; infinite when no value does."""
    left = counted_usd
    for tier in tiers:
        if tier.ratio > 0:
            width = None if tier.max_value is None else (tier.max_value - tier.min_value) * tier.ratio
            if width is None or left <= width:
                return tier.min_value + left / tier.ratio
            left -= width
    return NO_VALUE


def counted_collateral(core: Core, account: Account, extra: dict[str, Decimal] | None = None) -> Decimal:
    """Σ tiered value of what is pledged, plus `extra` coins (negative: taken away)."""
    book, more = pledged(account.uid), extra or {}
    total = ZERO
    for coin in {*core.ledger.coins(book), *more}:
        amount = core.ledger.balance(book, coin) + more.get(coin, ZERO)
        tiers = core.spec.loan.collateral_tiers.get(coin, ())
        total += tiered(max(ZERO, amount) * collateral_price(core, coin), tiers)
    return total


def total_debt(core: Core, account: Account) -> Decimal:
    """Σ debt in USD, interest included."""
    book = debt(account.uid)
    return sum((-core.ledger.balance(book, coin) * debt_price(core, coin) for coin in core.ledger.coins(book)), ZERO)


def ltv(owed: Decimal, collateral: Decimal) -> Decimal:
    """Debt over collateral value: 0 without debt, infinite without collateral."""
    if owed <= 0:
        return ZERO
    return owed / collateral if collateral > 0 else NO_VALUE


def loan_ltv(core: Core, account: Account) -> Decimal:
    """The LTV of the pooled loan as the lender sees it."""
    return ltv(total_debt(core, account), counted_collateral(core, account))


def cash_and_pnl(core: Core, account: Account) -> Decimal:
    """USDT in all wallets and in transit, plus unrealised PnL."""
    books = (unified(account.uid), fund(account.uid), transit(account.uid))
    return sum((core.ledger.balance(book, "USDT") for book in books), unrealised(core, account))


def unrealised(core: Core, account: Account) -> Decimal:
    """Unrealised PnL of all positions, USDT."""
    return sum(
        (
            position_margin(core, account, core.markets[symbol], position).unrealised
            for symbol, position in account.positions.items()
            if position.lots
        ),
        ZERO,
    )


def reducible(core: Core, account: Account, coin: str) -> Decimal:
    """How much of a pledged coin may be taken back: the LTV stays at or below the cap."""
    held = core.ledger.balance(pledged(account.uid), coin)
    owed = total_debt(core, account)
    price = collateral_price(core, coin)
    if owed == 0 or held == 0 or price == 0:
        return held
    tiers = core.spec.loan.collateral_tiers.get(coin, ())
    others = counted_collateral(core, account) - tiered(held * price, tiers)
    needed = max(ZERO, owed / core.spec.loan.reduce_cap_ltv - others)
    keep = inverse_tiered(needed, tiers) / price
    return max(ZERO, held - keep).quantize(CENT, rounding=ROUND_DOWN) if keep.is_finite() else ZERO


def loan_view(core: Core, account: Account) -> LoanPosition:
    """The loan as the lender shows it."""
    owed, value = total_debt(core, account), counted_collateral(core, account)
    ratio = ltv(owed, value)
    return LoanPosition(
        uid=account.uid,
        debts=tuple(debt_view(core, account, coin) for coin in core.ledger.coins(debt(account.uid))),
        collaterals=tuple(_collateral(core, account, coin) for coin in core.ledger.coins(pledged(account.uid))),
        total_debt=owed,
        total_collateral=value,
        ltv=ratio if ratio.is_finite() else None,
        col_res=core.faults.col_res or core.spec.loan.col_res,
        status=account.loan.status,
    )


def debt_view(core: Core, account: Account, coin: str) -> DebtView:
    """What is owed in one currency."""
    total = -core.ledger.balance(debt(account.uid), coin)
    interest = account.loan.interest.get(coin, ZERO)
    return DebtView(
        currency=coin,
        total=total,
        principal=total - interest,
        interest=interest,
        total_usd=total * debt_price(core, coin),
        hourly_rate=core.spec.loan.hourly_rate,
    )


def _collateral(core: Core, account: Account, coin: str) -> CollateralView:
    amount = core.ledger.balance(pledged(account.uid), coin)
    tiers = core.spec.loan.collateral_tiers.get(coin, ())
    return CollateralView(currency=coin, amount=amount, amount_usd=tiered(amount * collateral_price(core, coin), tiers))
