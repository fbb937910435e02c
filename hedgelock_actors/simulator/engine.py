"""The exchange: a pure, seeded discrete-event simulation of the venue. No I/O, no clock: time is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from hedgelock_actors.simulator.account import Account
from hedgelock_actors.simulator.clearing import Clearing
from hedgelock_actors.simulator.commands import (
    Ack,
    AdjustLtv,
    AmendBatch,
    AmendOrder,
    Borrow,
    CancelAll,
    CancelBatch,
    CancelOrder,
    Command,
    PlaceBatch,
    PlaceOrder,
    Repay,
    RepayCollateral,
    SetLeverage,
    SwitchMode,
    Transfer,
)
from hedgelock_actors.simulator.core import Core
from hedgelock_actors.simulator.events import BookChanged, Event, KlineChanged, PublicTrades, TickerChanged
from hedgelock_actors.simulator.funding import FundingDesk
from hedgelock_actors.simulator.interventions import Interventions
from hedgelock_actors.simulator.klines import bars_view
from hedgelock_actors.simulator.ledger import OUTSIDE, debt, fund, pledged, require, transit, unified
from hedgelock_actors.simulator.liquidation import Liquidator
from hedgelock_actors.simulator.loan_value import cash_and_pnl, counted_collateral, debt_price, loan_ltv
from hedgelock_actors.simulator.loans import HOUR_MS, LoanDesk
from hedgelock_actors.simulator.margin import account_margin
from hedgelock_actors.simulator.market import Market
from hedgelock_actors.simulator.orders import OrderDesk
from hedgelock_actors.simulator.position import Position
from hedgelock_actors.simulator.queries import Queries
from hedgelock_actors.simulator.spec import AccountSpec, ExchangeSpec, Faults, FundingSchedule, PricePath, PriceTick
from hedgelock_actors.simulator.trading import TradingDesk
from hedgelock_actors.simulator.transfers import TransferDesk
from hedgelock_actors.simulator.truth import Truth
from hedgelock_actors.simulator.words import ZERO


class Exchange(Queries):
    """`api.ExchangeApi`. Symbols are those of `price_paths`; each needs an instrument in the specification.

    The first tick of every path is taken at construction, so there is always a price. Equal arguments and equal calls
    give equal events.
    """

    def __init__(
        self,
        spec: ExchangeSpec,
        price_paths: Mapping[str, PricePath],
        funding: Mapping[str, FundingSchedule],
        seed: int,
    ) -> None:
        core = Core(spec, seed)
        super().__init__(core)
        self.spec = spec
        self._paths = dict(price_paths)
        self._clearing = Clearing(core)
        self._orders = OrderDesk(core, self._clearing)
        self._trading = TradingDesk(core, self._orders)
        self._transfers = TransferDesk(core, self._clearing)
        self._loans = LoanDesk(core)
        self.interventions = Interventions(core, self._clearing, self._trading)
        self._funding = FundingDesk(core, self._clearing)
        self._liquidator = Liquidator(core, self._clearing, self._orders, self._trading)
        self._open_markets(funding, seed)
        self._start_ms = core.now_ms
        self._next_hour_ms = (core.now_ms // HOUR_MS + 1) * HOUR_MS
        self._next_funding_ms = {symbol: market.next_funding_ms() for symbol, market in core.markets.items()}
        for account in spec.accounts:
            self._open_account(account)

    # -- the start

    def _open_markets(self, funding: Mapping[str, FundingSchedule], seed: int) -> None:
        instruments = {one.symbol: one for one in self.spec.instruments}
        require(bool(self._paths), "the exchange needs at least one price path")
        for symbol in sorted(self._paths):
            schedule = funding.get(symbol, FundingSchedule())
            market = Market(self.spec, instruments[symbol], schedule, seed)
            self._core.markets[symbol] = market
            tick = self._paths[symbol].take()
            self._core.now_ms = max(self._core.now_ms, tick.ts_ms)
            market.step(tick, self._orders.maker_filled)
        for symbol, market in self._core.markets.items():
            # Paths that begin earlier catch up with the latest one, so that all markets start together.
            while (due := self._paths[symbol].next_ms()) is not None and due <= self._core.now_ms:
                market.step(self._paths[symbol].take(), self._orders.maker_filled)
            market.now_ms = self._core.now_ms

    def _open_account(self, spec: AccountSpec) -> None:
        core, uid = self._core, spec.uid
        symbols = list(core.markets)
        account = Account(
            uid=uid,
            leverage=dict.fromkeys(symbols, spec.leverage),
            positions={symbol: Position(symbol=symbol) for symbol in symbols},
            truth=Truth(),
        )
        core.accounts[uid] = account
        for coin, amount in spec.unified.items():
            core.ledger.move(coin, amount, OUTSIDE, unified(uid))
        for coin, amount in spec.fund.items():
            core.ledger.move(coin, amount, OUTSIDE, fund(uid))
        if spec.loan is not None:
            self._open_loan(account, spec)
        account.truth.unified_start = core.ledger.balance(unified(uid), "USDT")
        account.truth.fund_start = core.ledger.balance(fund(uid), "USDT")
        account.truth.cash_start = cash_and_pnl(core, account)
        self._loans.observe(account)

    def _open_loan(self, account: Account, spec: AccountSpec) -> None:
        core, loan = self._core, spec.loan
        if loan is None:
            return
        for coin, amount in loan.collateral.items():
            core.ledger.move(coin, amount, OUTSIDE, pledged(account.uid))
        owed = loan.debt
        if owed is None:
            value = counted_collateral(core, account)
            owed = (loan.ltv or ZERO) * value / debt_price(core, loan.currency)
        self._loans.open_initial(account, loan.currency, round(owed, 2))
        account.truth.start_debt = -core.ledger.balance(debt(account.uid), loan.currency)
        reserve = round(account.truth.start_debt * debt_price(core, loan.currency) * spec.reserve_fraction, 2)
        core.ledger.move("USDT", reserve, OUTSIDE, unified(account.uid))

    # -- time

    @property
    def now_ms(self) -> int:
        """Venue time."""
        return self._core.now_ms

    @property
    def start_ms(self) -> int:
        """Venue time at the start."""
        return self._start_ms

    @property
    def ticks(self) -> int:
        """Market steps taken since the start."""
        return self._core.ticks

    @property
    def faults(self) -> Faults:
        """Switches of a rehearsal."""
        return self._core.faults

    def next_internal_ms(self) -> int | None:
        """Time of the next thing the venue does by itself: arrivals after latency, replies, pushes."""
        return self._core.next_due_ms()

    def next_market_ms(self) -> int | None:
        """Time of the next price tick or scheduled settlement; None when all paths have ended."""
        ticks = [due for path in self._paths.values() if (due := path.next_ms()) is not None]
        if not ticks:
            return None
        return min(*ticks, self._next_hour_ms, *self._next_funding_ms.values())

    def advance(self, to_ms: int) -> list[Event]:
        """Process everything due up to and including `to_ms` in time order and return the events in order."""
        self._run(to_ms)
        return self._core.take_events()

    def _run(self, to_ms: int) -> None:
        while True:
            internal, market = self._core.next_due_ms(), self.next_market_ms()
            if internal is not None and internal <= to_ms and (market is None or internal <= market):
                self._core.run_next()
            elif market is not None and market <= to_ms:
                self._market_step(market)
            else:
                break
        self._core.now_ms = max(self._core.now_ms, to_ms)

    def _market_step(self, ts_ms: int) -> None:
        """Ticks that are due, then settlements, then the watch over margin and loans."""
        core = self._core
        core.now_ms = max(core.now_ms, ts_ms)
        ticked = False
        for market in core.markets.values():
            market.now_ms = core.now_ms
        for symbol, path in self._paths.items():
            due = path.next_ms()
            if due is not None and due <= ts_ms:
                self._tick(core.markets[symbol], path.take())
                ticked = True
        core.ticks += ticked
        if self._next_hour_ms <= ts_ms:
            self._next_hour_ms += HOUR_MS
            self._loans.accrue()
        for symbol, due in self._next_funding_ms.items():
            if due <= ts_ms:
                market = core.markets[symbol]
                self._next_funding_ms[symbol] = due + market.funding.interval_ms
                self._funding.settle(market, due)
        self._liquidator.watch()
        self._loans.watch()
        self._check()

    def _tick(self, market: Market, tick: PriceTick) -> None:
        core = self._core
        trades = market.step(tick, self._orders.maker_filled)
        self._orders.trigger_due(market)
        core.publish(market.symbol, BookChanged(book=market.book_view()))
        core.publish(market.symbol, TickerChanged(ticker=market.ticker()))
        if trades:
            core.publish(market.symbol, PublicTrades(trades=tuple(trades)))
        core.publish(market.symbol, market.price_limit())
        for bar in bars_view(market, "1", core.now_ms, None, None, 1):
            core.publish(market.symbol, KlineChanged(kline=bar))

    def _check(self) -> None:
        """The books must close: money, positions, and every account's own tally against the ledger."""
        core = self._core
        core.ledger.check()
        for symbol in core.markets:
            lots = sum(account.positions[symbol].lots for account in core.accounts.values())
            require(lots + core.clearing_lots.get(symbol, 0) == 0, f"{symbol} positions do not sum to zero")
        for account in core.accounts.values():
            self._check_tally(account)

    def _check_tally(self, account: Account) -> None:
        """What the account's own counters say its wallets hold, against the ledger."""
        ledger, uid = self._core.ledger, account.uid
        found, expected = ledger.balance(unified(uid), "USDT"), account.truth.unified_expected()
        require(found == expected, f"{uid}: UNIFIED is {found}, its tally says {expected}")
        found = ledger.balance(fund(uid), "USDT") + ledger.balance(transit(uid), "USDT")
        expected = account.truth.fund_expected()
        require(found == expected, f"{uid}: FUND and transit are {found}, their tally says {expected}")

    # -- commands

    def request(self, uid: str, command: Command, at_ms: int) -> Ack:
        """Check `command` as the venue does at once and schedule its effect. Raises KeyError for an unknown uid."""
        account = self._core.accounts[uid]
        if at_ms > self._core.now_ms:
            self._run(at_ms)
        return self._dispatch(account, command)

    def _dispatch(self, account: Account, command: Command) -> Ack:  # noqa: C901 - one line per command
        match command:
            case PlaceOrder():
                return self._trading.place(account, command)
            case AmendOrder():
                return self._trading.amend(account, command)
            case CancelOrder():
                return self._trading.cancel(account, command)
            case CancelAll():
                return self._trading.cancel_all(account, command)
            case PlaceBatch():
                return self._trading.place_batch(account, command)
            case AmendBatch():
                return self._trading.amend_batch(account, command)
            case CancelBatch():
                return self._trading.cancel_batch(account, command)
            case SetLeverage():
                return self._trading.set_leverage(account, command)
            case SwitchMode():
                return self._trading.switch_mode(account, command)
            case Transfer():
                return self._transfers.transfer(account, command)
            case Borrow():
                return self._loans.borrow(account, command)
            case Repay():
                return self._loans.repay(account, command)
            case RepayCollateral():
                return self._loans.repay_collateral(account, command)
            case AdjustLtv():
                return self._loans.adjust(account, command)
        assert_never(command)

    # -- the truth

    def report(self, uid: str) -> dict[str, object]:
        """The venue's own truth about one account; JSON-ready."""
        core = self._core
        account = core.accounts[uid]
        margin = account_margin(core, account)
        truth = account.truth
        ratio = loan_ltv(core, account)
        cash = cash_and_pnl(core, account)
        return {
            **truth.figures(),
            "uid": uid,
            "start_ms": self._start_ms,
            "venue_ms": core.now_ms,
            "ticks": core.ticks,
            "end_lender_ltv": float(ratio) if ratio.is_finite() else None,
            "loan_status": account.loan.status,
            "debt_usdt": float(-core.ledger.balance(debt(uid), "USDT")),
            "collateral": {one.currency: float(one.amount) for one in self.loan(uid).collaterals},
            "unified_usdt": float(core.ledger.balance(unified(uid), "USDT")),
            "fund_usdt": float(core.ledger.balance(fund(uid), "USDT")),
            "cash_start_usdt": float(truth.cash_start),
            "cash_usdt": float(cash),
            "positions": {
                symbol: float(core.markets[symbol].units.qty(position.lots))
                for symbol, position in account.positions.items()
                if position.lots
            },
            "open_orders": sum(order.shown_open for order in account.live.values()),
            "unrealised_pnl_usdt": float(margin.unrealised),
            "hedge_pnl_usdt": float(truth.realised + margin.unrealised - truth.fees + truth.funding),
        }
