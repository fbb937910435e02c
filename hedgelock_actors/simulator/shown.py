"""Account state as the exchange shows it: position, wallet and loan views."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.instruments import TIERS, tier_of
from hedgelock_actors.simulator.ledger import unified
from hedgelock_actors.simulator.margin import account_margin, position_margin, price_where_balance_is, usd_price
from hedgelock_actors.simulator.views import CoinBalance, PositionView, WalletView
from hedgelock_actors.simulator.words import ZERO


def position_view(core: Core, account: Account, symbol: str) -> PositionView:
    """A position with its margin and liquidation price."""
    market, position = core.markets[symbol], account.positions[symbol]
    size = market.units.qty(abs(position.lots))
    margin = position_margin(core, account, market, position)
    average = position.cost / size if position.lots else ZERO
    tier = tier_of(margin.value) if position.lots else TIERS[0]
    liquidation = price_where_balance_is(core, account, market, maintained=True)
    bankruptcy = price_where_balance_is(core, account, market, maintained=False)
    return PositionView(
        uid=account.uid,
        symbol=symbol,
        side=position.side or "",
        size=size,
        avg_price=average,
        position_value=position.cost,
        leverage=account.leverage[symbol],
        mark_price=market.mark,
        liq_price=None if liquidation is None else round(liquidation, 2),
        bust_price=None if bankruptcy is None else round(bankruptcy, 2),
        break_even_price=_break_even(average, position.side, core.spec.taker_fee),
        position_im=margin.initial,
        position_mm=margin.maintenance,
        unrealised_pnl=margin.unrealised,
        cur_realised_pnl=position.cur_realised,
        cum_realised_pnl=position.cum_realised,
        position_status=position.status,
        risk_id=tier.id,
        risk_limit_value=tier.limit_usdt,
        reduce_only=account.settings.reduce_only,
        created_ms=position.created_ms,
        updated_ms=position.updated_ms,
        open_ms=position.open_ms,
        seq=market.seq,
    )


def _break_even(average: Decimal, side: str | None, fee: Decimal) -> Decimal | None:
    """Where closing pays for both fees."""
    if side is None:
        return None
    return average * (1 + fee) / (1 - fee) if side == "Buy" else average * (1 - fee) / (1 + fee)


def wallet_view(core: Core, account: Account) -> WalletView:
    """The unified account: totals in USD and one row a coin."""
    state = account_margin(core, account)
    coins = sorted({"USDT", *core.ledger.coins(unified(account.uid))}, reverse=True)
    return WalletView(
        uid=account.uid,
        account_im_rate=state.im_rate,
        account_mm_rate=state.mm_rate,
        total_equity=state.wallet_usd + state.unrealised,
        total_wallet_balance=state.wallet_usd,
        total_margin_balance=state.balance,
        total_available_balance=state.available,
        total_perp_upl=state.unrealised,
        total_initial_margin=state.initial,
        total_maintenance_margin=state.maintenance,
        coins=tuple(_coin(core, account, coin) for coin in coins),
    )


def _coin(core: Core, account: Account, coin: str) -> CoinBalance:
    balance = core.ledger.balance(unified(account.uid), coin)
    in_usdt = coin == "USDT"
    state = account_margin(core, account) if in_usdt else None
    upl = state.unrealised if state is not None else ZERO
    counted = coin in core.spec.unified_collateral_ratio
    return CoinBalance(
        coin=coin,
        equity=balance + upl,
        usd_value=(balance + upl) * usd_price(core, coin),
        wallet_balance=balance,
        locked=ZERO,
        borrow_amount=max(ZERO, -balance),
        accrued_interest=ZERO,
        total_order_im=state.order_im if state is not None else ZERO,
        total_position_im=state.position_im if state is not None else ZERO,
        total_position_mm=state.maintenance if state is not None else ZERO,
        unrealised_pnl=upl,
        cum_realised_pnl=sum((p.cum_realised for p in account.positions.values()), ZERO) if in_usdt else ZERO,
        margin_collateral=counted,
        collateral_switch=counted,
    )
