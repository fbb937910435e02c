"""The read side of the exchange: what a client may ask about itself and about the markets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from hedgelock_actors.simulator.account import Account, AccountSettings
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import PriceLimit
from hedgelock_actors.simulator.instruments import TIERS
from hedgelock_actors.simulator.klines import bars_view
from hedgelock_actors.simulator.ledger import CENT, fund, unified
from hedgelock_actors.simulator.loan_value import (
    counted_collateral,
    debt_price,
    loan_view,
    reducible,
    total_debt,
)
from hedgelock_actors.simulator.margin import transferable
from hedgelock_actors.simulator.market_views import BookView, FundingRecord, KlineView, TickerView, TradeView
from hedgelock_actors.simulator.order import IN_FLIGHT, Order
from hedgelock_actors.simulator.shown import position_view, wallet_view
from hedgelock_actors.simulator.spec import CollateralTier, Instrument, RiskTier
from hedgelock_actors.simulator.views import (
    AdjustRecord,
    BorrowRecord,
    ClosedPnlRecord,
    CoinTransferable,
    ExecutionView,
    LoanPosition,
    OrderView,
    PositionView,
    RepayRecord,
    TransactionRecord,
    TransferRecord,
    WalletView,
)
from hedgelock_actors.simulator.words import ZERO

DAY_MS = 86_400_000


class Queries:
    """Queries over a `Core`; `engine.Exchange` adds the commands and time. Unknown uid or symbol: KeyError."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def _account(self, uid: str) -> Account:
        return self._core.accounts[uid]

    def _view(self, order: Order) -> OrderView:
        return order.view(self._core.markets[order.symbol].units)

    # -- orders and positions

    def open_orders(self, uid: str, symbol: str | None = None) -> list[OrderView]:
        """Live orders, newest first."""
        live = self._account(uid).live.values()
        shown = [o for o in live if o.shown_open and o.visible_ms <= self._core.now_ms and symbol in (None, o.symbol)]
        return [self._view(order) for order in reversed(shown)]

    def find_order(
        self, uid: str, symbol: str | None = None, order_id: str = "", order_link_id: str = ""
    ) -> OrderView | None:
        """An order in any state, by id (wins) or link id; None if the venue does not show it (yet or any more)."""
        order = self._account(uid).lookup(symbol, order_id, order_link_id)
        return self._view(order) if order is not None and self._visible(order) else None

    def _visible(self, order: Order) -> bool:
        now = self._core.now_ms
        if order.status == IN_FLIGHT or order.visible_ms > now:
            return False
        return order.shown_open or now - order.updated_ms < (7 if order.filled else 1) * DAY_MS

    def order_history(self, uid: str, symbol: str | None = None) -> list[OrderView]:
        """Closed orders within retention (a day without fills, a week with), newest first."""
        orders = [o for o in self._account(uid).orders.values() if not o.live and symbol in (None, o.symbol)]
        return [self._view(order) for order in reversed(orders) if self._visible(order)]

    def executions(
        self, uid: str, symbol: str | None = None, order_id: str = "", order_link_id: str = ""
    ) -> list[ExecutionView]:
        """Executions, newest first."""
        return [
            one
            for one in reversed(self._account(uid).executions)
            if symbol in (None, one.symbol)
            and order_id in ("", one.order_id)
            and (order_id or order_link_id in ("", one.order_link_id))
        ]

    def settings(self, uid: str) -> AccountSettings:
        """How the account is set up."""
        return self._account(uid).settings

    def position(self, uid: str, symbol: str) -> PositionView:
        """The position, flat or not."""
        return position_view(self._core, self._account(uid), symbol)

    def closed_pnl(self, uid: str, symbol: str | None = None) -> list[ClosedPnlRecord]:
        """Closed PnL, newest first."""
        return [one for one in reversed(self._account(uid).closed) if symbol in (None, one.symbol)]

    # -- money

    def wallet(self, uid: str) -> WalletView:
        """The unified account."""
        return wallet_view(self._core, self._account(uid))

    def balances(self, uid: str, account: str) -> list[CoinTransferable]:
        """All coins of "UNIFIED" or "FUND"."""
        book = unified(uid) if account == "UNIFIED" else fund(uid)
        return [self.transferable(uid, account, coin) for coin in self._core.ledger.coins(book)]

    def transferable(self, uid: str, account: str, coin: str) -> CoinTransferable:
        """One coin of a wallet, zero when absent."""
        if account == "UNIFIED":
            balance = self._core.ledger.balance(unified(uid), coin)
            free = transferable(self._core, self._account(uid), coin).quantize(CENT, rounding=ROUND_DOWN)
        else:
            balance = free = self._core.ledger.balance(fund(uid), coin)
        return CoinTransferable(coin=coin, wallet_balance=balance, transfer_balance=free)

    def transfers(self, uid: str) -> list[TransferRecord]:
        """Transfers, newest first."""
        return list(reversed(self._account(uid).transfers.values()))

    def transactions(self, uid: str) -> list[TransactionRecord]:
        """Transaction log of the unified account, newest first."""
        return list(reversed(self._account(uid).transactions))

    # -- loan

    def loan(self, uid: str) -> LoanPosition:
        """The loan as the lender sees it now."""
        return loan_view(self._core, self._account(uid))

    def borrow_history(self, uid: str) -> list[BorrowRecord]:
        """Newest first."""
        return list(reversed(self._account(uid).borrows))

    def repay_history(self, uid: str) -> list[RepayRecord]:
        """Newest first."""
        return list(reversed(self._account(uid).repays))

    def adjust_history(self, uid: str) -> list[AdjustRecord]:
        """Newest first."""
        return list(reversed(self._account(uid).adjusts))

    def max_loan(self, uid: str, currency: str, collateral: tuple[tuple[str, Decimal], ...] = ()) -> Decimal:
        """What may still be borrowed at the initial LTV against the pledged and the named extra collateral."""
        account, core = self._account(uid), self._core
        room = counted_collateral(core, account, dict(collateral)) * core.spec.loan.initial_ltv
        price = debt_price(core, currency)
        if price == 0:
            return ZERO
        return (max(ZERO, room - total_debt(core, account)) / price).quantize(CENT, rounding=ROUND_DOWN)

    def max_collateral_reduction(self, uid: str, currency: str) -> Decimal:
        """What may be taken back now."""
        return reducible(self._core, self._account(uid), currency)

    def collateral_tiers(self) -> Mapping[str, tuple[CollateralTier, ...]]:
        """Loan collateral ratios by coin."""
        return self._core.spec.loan.collateral_tiers

    # -- markets

    def ticker(self, symbol: str) -> TickerView:
        """The ticker now."""
        return self._core.markets[symbol].ticker()

    def book(self, symbol: str) -> BookView:
        """The book now, with our resting orders in it."""
        return self._core.markets[symbol].book_view()

    def price_limit(self, symbol: str) -> PriceLimit:
        """Highest buy and lowest sell price now."""
        return self._core.markets[symbol].price_limit()

    def klines(
        self, symbol: str, interval: str, start_ms: int | None = None, end_ms: int | None = None, limit: int = 200
    ) -> list[KlineView]:
        """Bars, newest first. Unknown interval: ValueError."""
        return bars_view(self._core.markets[symbol], interval, self._core.now_ms, start_ms, end_ms, limit)

    def trades(self, symbol: str, limit: int = 500) -> list[TradeView]:
        """Recent public trades, newest first."""
        return list(reversed(self._core.markets[symbol].trades))[:limit]

    def funding_history(self, symbol: str) -> list[FundingRecord]:
        """Settled rates, newest first."""
        return list(reversed(self._core.markets[symbol].settled))

    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments that trade."""
        return tuple(market.instrument for market in self._core.markets.values())

    def risk_tiers(self, symbol: str) -> tuple[RiskTier, ...]:
        """Risk-limit tiers, lowest first."""
        return TIERS if symbol in self._core.markets else ()
