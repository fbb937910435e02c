"""Cross margin of the unified account, at the mark price.

positionIM = size × mark / leverage (at least the tier's rate), positionMM = size × mark × mmr - deduction; each plus
the taker fee of closing at mark. accountIMRate = total IM / margin balance, accountMMRate = total MM / margin balance;
liquidation at 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.instruments import tier_of
from hedgelock_actors.simulator.ledger import unified
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.position import Position
from hedgelock_actors.simulator.words import ZERO, Side

STABLE = ("USDT", "USDC")
OUT_OF_BOUNDS = Decimal(99_999_999)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMargin:
    """Margin of one position, USDT."""

    value: Decimal
    unrealised: Decimal
    initial: Decimal
    maintenance: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMargin:
    """The whole account in USD. `balance` is the margin balance: wallet after collateral ratios + unrealised PnL."""

    wallet_usd: Decimal
    unrealised: Decimal
    balance: Decimal
    position_im: Decimal
    order_im: Decimal
    maintenance: Decimal

    @property
    def initial(self) -> Decimal:
        """Positions and orders."""
        return self.position_im + self.order_im

    @property
    def available(self) -> Decimal:
        """What is free for new margin or withdrawal; never negative."""
        return max(ZERO, self.balance - self.initial)

    @property
    def im_rate(self) -> Decimal:
        """accountIMRate."""
        return _rate(self.initial, self.balance)

    @property
    def mm_rate(self) -> Decimal:
        """accountMMRate: 1 is liquidation."""
        return _rate(self.maintenance, self.balance)


def _rate(margin: Decimal, balance: Decimal) -> Decimal:
    if margin <= 0:
        return ZERO
    return margin / balance if balance > 0 else OUT_OF_BOUNDS


def usd_price(core: Core, coin: str) -> Decimal:
    """Index price of a coin in USD; 1 for stable coins, 0 for a coin without a market."""
    if coin in STABLE:
        return Decimal(1)
    market = core.markets.get(f"{coin}USDT")
    return ZERO if market is None else market.index


def position_margin(core: Core, account: Account, market: Market, position: Position) -> PositionMargin:
    """Value, PnL and margin of one position at mark."""
    if position.lots == 0:
        return PositionMargin(value=ZERO, unrealised=ZERO, initial=ZERO, maintenance=ZERO)
    value = market.units.qty(abs(position.lots)) * market.mark
    tier = tier_of(value)
    closing_fee = value * core.spec.taker_fee
    im_rate = max(1 / account.leverage[market.symbol], tier.im_rate)
    return PositionMargin(
        value=value,
        unrealised=position.unrealised(value),
        initial=value * im_rate + closing_fee,
        maintenance=value * tier.mm_rate - tier.mm_deduction + closing_fee,
    )


def order_margin(
    core: Core, account: Account, market: Market, more: tuple[Side, int, Decimal] | None = None
) -> Decimal:
    """Margin of live opening orders: the dearer side, after the lots that only close the position. `more` is an order
    not yet placed: side, lots, value in USDT.
    """
    wanted: dict[Side, tuple[int, Decimal]] = {"Buy": (0, ZERO), "Sell": (0, ZERO)}
    if more is not None:
        wanted[more[0]] = (more[1], more[2])
    for order in account.live_of(market.symbol):
        if not order.reduce_only:
            lots, value = wanted[order.side]
            wanted[order.side] = (lots + order.left, value + market.units.value(order.price_ticks, order.left))
    held = account.positions[market.symbol].lots
    dearer = max(_opening(*wanted["Buy"], closing=max(0, -held)), _opening(*wanted["Sell"], closing=max(0, held)))
    return dearer * (1 / account.leverage[market.symbol] + core.spec.taker_fee)


def _opening(lots: int, value: Decimal, closing: int) -> Decimal:
    """The part of the orders' value that opens, when the first `closing` lots only close."""
    return value * (lots - closing) / lots if lots > closing else ZERO


def wallet_usd(core: Core, account: Account) -> tuple[Decimal, Decimal]:
    """(value of the unified wallet, the same after collateral ratios) in USD. What is owed counts in full."""
    full, counted = ZERO, ZERO
    for coin in core.ledger.coins(unified(account.uid)):
        value = core.ledger.balance(unified(account.uid), coin) * usd_price(core, coin)
        ratio = core.spec.unified_collateral_ratio.get(coin, ZERO)
        full += value
        counted += value * ratio if value > 0 else value
    return full, counted


def account_margin(core: Core, account: Account) -> AccountMargin:
    """Margin of the account now."""
    full, counted = wallet_usd(core, account)
    upl, initial, maintenance, orders = ZERO, ZERO, ZERO, ZERO
    for symbol, position in account.positions.items():
        market = core.markets[symbol]
        if position.lots:
            one = position_margin(core, account, market, position)
            upl += one.unrealised
            initial += one.initial
            maintenance += one.maintenance
        if account.live:
            orders += order_margin(core, account, market)
    return AccountMargin(
        wallet_usd=full,
        unrealised=upl,
        balance=counted + upl,
        position_im=initial,
        order_im=orders,
        maintenance=maintenance,
    )


def price_where_balance_is(core: Core, account: Account, market: Market, maintained: bool) -> Decimal | None:
    """The mark price at which the margin balance equals the maintenance margin (`maintained`) or the closing fee alone
    (bankruptcy), all else standing still; None when flat or out of bounds.

    Short: F = (B + q·mark + d) / (q (1 + m + f)); long: F = (q·mark - B - d) / (q (1 - m - f)); B without what the
    other positions need.
    """
    position = account.positions[market.symbol]
    if position.lots == 0:
        return None
    state = account_margin(core, account)
    own = position_margin(core, account, market, position)
    tier = tier_of(own.value)
    rate = core.spec.taker_fee + (tier.mm_rate if maintained else ZERO)
    fixed = state.balance + (tier.mm_deduction - (state.maintenance - own.maintenance) if maintained else ZERO)
    size = market.units.qty(abs(position.lots))
    if position.lots < 0:
        price = (fixed + own.value) / (size * (1 + rate))
    else:
        price = (own.value - fixed) / (size * (1 - rate))
    return price if ZERO < price <= market.instrument.max_price else None


def transferable(core: Core, account: Account, coin: str) -> Decimal:
    """What may leave the unified wallet: not more than the balance, and not below the initial margin.

    An unrealised gain cannot leave; an unrealised loss is taken off first.
    """
    balance = core.ledger.balance(unified(account.uid), coin)
    price, ratio = usd_price(core, coin), core.spec.unified_collateral_ratio.get(coin, ZERO)
    if balance <= 0 or price == 0:
        return max(ZERO, balance)
    state = account_margin(core, account)
    if state.initial == 0 and state.unrealised >= 0 and not account.busy():
        return balance
    free = state.balance - max(ZERO, state.unrealised) - state.initial
    return balance if ratio == 0 else min(balance, max(ZERO, free) / (price * ratio))
