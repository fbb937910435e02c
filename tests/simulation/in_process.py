"""The simulated exchange's engine behind the same ports that the Bybit adapter implements: no wire, one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.domain.limits import Approved
from hedgelock_actors.domain.market import Instrument
from hedgelock_actors.domain.order import (
    Accepted,
    AmendOutcome,
    AmendRequest,
    CancelOutcome,
    OrderRequest,
    OrderStatus,
    OrderView,
    Rejected,
    Side,
    SubmitOutcome,
    Unknown,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.ports.market_data import BookView, MarketEvent, MarketHandler, TickerView
from hedgelock_actors.ports.venue import (
    LoanView,
    Maintenance,
    PositionView,
    PrivateEvent,
    PrivateHandler,
    VenueError,
    WalletView,
)
from hedgelock_actors.simulator import api
from hedgelock_actors.simulator.engine import Exchange

STATUS = {
    "New": OrderStatus.NEW,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "PartiallyFilledCanceled": OrderStatus.CANCELLED,
    "Rejected": OrderStatus.REJECTED,
    "Untriggered": OrderStatus.UNTRIGGERED,
    "Triggered": OrderStatus.TRIGGERED,
    "Deactivated": OrderStatus.DEACTIVATED,
}
RETRY_CODES = frozenset({10002, 10006, 10019, 10429})
Now = Callable[[], int]


@dataclass(slots=True)
class Faults:
    """What goes wrong between us and the venue. Each is a number of times it still does."""

    lose_request: int = 0
    lose_answer: int = 0
    fail_query: int = 0
    happened: dict[str, int] = field(default_factory=dict)

    def strike(self, name: str) -> bool:
        """True once per remaining count."""
        left: int = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        self.happened[name] = self.happened.get(name, 0) + 1
        return True


class SimMarketData:
    """Implements MarketData; the world hands events in."""

    def __init__(self) -> None:
        self.handler: MarketHandler | None = None

    async def start(self, symbols: Sequence[str], handler: MarketHandler) -> None:
        self.handler = handler

    async def stop(self) -> None:
        self.handler = None

    async def give(self, event: MarketEvent) -> None:
        if self.handler is not None:
            await self.handler(event)


class SimVenue:
    """Implements Venue for one account."""

    def __init__(self, exchange: Exchange, uid: str, now: Now, faults: Faults) -> None:
        self._exchange, self._uid, self._now, self._faults = exchange, uid, now, faults
        self._topics: frozenset[str] = frozenset()
        self._handler: PrivateHandler | None = None

    async def start(self, topics: Sequence[str], handler: PrivateHandler) -> None:
        self._topics, self._handler = frozenset(topics), handler

    async def stop(self) -> None:
        self._handler = None

    async def give(self, topic: str, event: PrivateEvent) -> None:
        if self._handler is not None and (topic in self._topics or topic == "stream"):
            await self._handler(event)

    async def instrument(self, symbol: str) -> Instrument:
        self._query("instrument")
        return instrument(self._exchange, symbol)

    async def place(self, order: Approved[OrderRequest]) -> SubmitOutcome:
        if self._faults.strike("lose_request"):
            return Unknown("lost on the way there")
        ack = self._exchange.request(self._uid, place_command(order.request), self._now())
        if self._faults.strike("lose_answer"):
            return Unknown("lost on the way back")
        return outcome(ack, "orderId")

    async def amend(self, order: Approved[AmendRequest]) -> AmendOutcome:
        return outcome(self._exchange.request(self._uid, amend_command(order.request), self._now()), "orderId")

    async def cancel(self, symbol: str, order_link_id: str) -> CancelOutcome:
        command = api.CancelOrder(symbol=symbol, order_link_id=order_link_id)
        return outcome(self._exchange.request(self._uid, command, self._now()), "orderId")

    async def cancel_many(self, symbol: str, order_link_ids: Sequence[str]) -> Sequence[CancelOutcome]:
        return [await self.cancel(symbol, one) for one in order_link_ids]

    async def maintenance(self) -> Sequence[Maintenance]:
        self._query("maintenance")
        return ()

    async def account_faults(self, symbol: str) -> Sequence[str]:
        self._query("account_faults")
        return ()

    async def open_orders(self, symbol: str) -> Sequence[OrderView]:
        self._query("open_orders")
        return [order_view(one) for one in self._exchange.open_orders(self._uid, symbol)]

    async def find_order(self, symbol: str, order_link_id: str) -> OrderView | None:
        self._query("find_order")
        found = self._exchange.find_order(self._uid, symbol, order_link_id=order_link_id)
        return None if found is None else order_view(found)

    async def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        self._query("executions")
        found = [one for one in self._exchange.executions(self._uid, symbol) if one.exec_ms >= since_ms]
        return [execution(one) for one in reversed(found)]

    async def position(self, symbol: str) -> PositionView:
        self._query("position")
        return position_view(self._exchange.position(self._uid, symbol), self._now())

    async def wallet(self) -> WalletView:
        self._query("wallet")
        return wallet_view(self._exchange.wallet(self._uid), self._now())

    def _query(self, name: str) -> None:
        if self._faults.strike("fail_query"):
            raise VenueError(f"{name}: no answer")


class SimLoans:
    """Implements Loans for one account."""

    def __init__(self, exchange: Exchange, uid: str, now: Now, faults: Faults) -> None:
        self._exchange, self._uid, self._now, self._faults = exchange, uid, now, faults

    async def loans(self) -> Sequence[LoanView]:
        return loan_views(self._exchange, self._uid, self._now())

    async def funding_wallet_usdt(self) -> Decimal:
        return self._exchange.transferable(self._uid, "FUND", "USDT").wallet_balance

    async def transferable_usdt(self) -> Decimal:
        return self._exchange.transferable(self._uid, "UNIFIED", "USDT").transfer_balance

    async def transfer_to_funding(self, transfer_id: str, amount: Decimal) -> SubmitOutcome:
        known = await self.find_transfer(transfer_id)
        if known is not None:
            return Accepted(transfer_id)
        command = api.Transfer(
            transfer_id=transfer_id, coin="USDT", amount=amount, from_account="UNIFIED", to_account="FUND"
        )
        return self._answer(self._exchange.request(self._uid, command, self._now()))

    async def find_transfer(self, transfer_id: str) -> str | None:
        found = [one for one in self._exchange.transfers(self._uid) if one.transfer_id == transfer_id]
        return found[0].status if found else None

    async def repay(self, amount: Decimal) -> SubmitOutcome:
        command = api.Repay(loan_currency="USDT", amount=amount)
        return self._answer(self._exchange.request(self._uid, command, self._now()))

    def _answer(self, ack: api.Ack) -> SubmitOutcome:
        if self._faults.strike("lose_answer"):
            return Unknown("lost on the way back")
        return outcome(ack, "transferId")


def instrument(exchange: Exchange, symbol: str) -> Instrument:
    """The engine's instrument as ours."""
    found = next(one for one in exchange.instruments() if one.symbol == symbol)
    return Instrument(
        symbol=symbol,
        base_coin=found.base_coin,
        tick_size=found.tick_size,
        qty_step=found.qty_step,
        min_qty=found.min_order_qty,
        max_qty=found.max_order_qty,
        max_market_qty=found.max_market_qty,
        min_notional=found.min_notional,
        funding_interval_min=found.funding_interval_min,
        max_leverage=found.max_leverage,
        price_limit_ratio=found.price_limit_x,
    )


def place_command(request: OrderRequest) -> api.PlaceOrder:
    """Our order as the engine takes it."""
    return api.PlaceOrder(
        symbol=request.symbol,
        side="Buy" if request.side is Side.BUY else "Sell",
        order_type="Limit" if request.price is not None else "Market",
        qty=request.qty,
        price=request.price,
        time_in_force=request.time_in_force.value,
        reduce_only=request.reduce_only,
        order_link_id=request.order_link_id,
    )


def amend_command(request: AmendRequest) -> api.AmendOrder:
    """Our amendment as the engine takes it."""
    return api.AmendOrder(symbol=request.symbol, order_link_id=request.order_link_id, price=request.price)


def loan_views(exchange: Exchange, uid: str, now_ms: int) -> list[LoanView]:
    """The engine's loan as ours, one view per collateral."""
    loan = exchange.loan(uid)
    owed = sum((one.total for one in loan.debts if one.currency == "USDT"), Decimal(0))
    return [
        LoanView(
            loan_id=f"{uid}-{one.currency}",
            ts_ms=now_ms,
            collateral_coin=one.currency,
            collateral=one.amount,
            collateral_value_usd=one.amount_usd,
            debt=owed,
            lender_ltv=float(loan.ltv) if loan.ltv is not None else float("inf"),
            haircut=1.0,
        )
        for one in loan.collaterals
    ]


def outcome(ack: api.Ack, id_key: str) -> Accepted | Rejected:
    """The venue's answer as our outcome."""
    if ack.ret_code == 0:
        return Accepted(str(ack.result.get(id_key, "")))
    return Rejected(str(ack.ret_code), ack.ret_msg, ack.ret_code in RETRY_CODES)


def order_view(view: api.OrderView) -> OrderView:
    """The engine's order as ours."""
    return OrderView(
        symbol=view.symbol,
        order_id=view.order_id,
        order_link_id=view.order_link_id,
        status=STATUS[view.order_status],
        side=Side(view.side),
        qty=view.qty,
        price=view.price,
        cum_qty=view.cum_exec_qty,
        cum_value=view.cum_exec_value,
        cum_fee=view.cum_exec_fee,
        leaves_qty=view.leaves_qty,
        reduce_only=view.reduce_only,
        reject_reason=view.reject_reason,
        cancel_type=view.cancel_type,
        create_type=view.create_type,
        ts_ms=view.updated_ms,
    )


def execution(view: api.ExecutionView) -> Execution:
    """The engine's execution as ours."""
    return Execution(
        symbol=view.symbol,
        exec_id=view.exec_id,
        order_id=view.order_id,
        order_link_id=view.order_link_id,
        side=Side(view.side),
        qty=view.exec_qty,
        price=view.exec_price,
        fee=view.exec_fee,
        exec_type=view.exec_type,
        is_maker=view.is_maker,
        ts_ms=view.exec_ms,
        closed_size=view.closed_size,
        create_type=view.create_type,
    )


def position_view(view: api.PositionView, now_ms: int) -> PositionView:
    """The engine's position as ours."""
    return PositionView(
        symbol=view.symbol,
        ts_ms=now_ms,
        signed_qty=-view.size if view.side == "Sell" else view.size,
        entry_price=view.avg_price,
        mark=view.mark_price,
        unrealised_pnl=view.unrealised_pnl,
        liquidation_price=view.liq_price,
    )


def wallet_view(view: api.WalletView, now_ms: int) -> WalletView:
    """The engine's wallet as ours."""
    return WalletView(
        ts_ms=now_ms,
        wallet_usdt=view.total_wallet_balance,
        equity_usdt=view.total_equity,
        available_usdt=view.total_available_balance,
        initial_margin_usdt=view.total_initial_margin,
        maintenance_margin_usdt=view.total_maintenance_margin,
    )


def market_event(payload: api.Payload) -> MarketEvent | None:
    """The engine's public event as ours; None for what the feed does not read."""
    match payload:
        case api.BookChanged(book=book):
            return BookView(
                symbol=book.symbol,
                ts_ms=book.ts_ms,
                update_id=book.u,
                bids=[(Decimal(price), Decimal(size)) for price, size in book.bids],
                asks=[(Decimal(price), Decimal(size)) for price, size in book.asks],
            )
        case api.TickerChanged(ticker=ticker):
            return TickerView(
                symbol=ticker.symbol,
                ts_ms=ticker.ts_ms,
                last=ticker.last_price,
                mark=ticker.mark_price,
                index=ticker.index_price,
                funding_rate=ticker.funding_rate,
                next_funding_ms=ticker.next_funding_ms,
            )
        case _:
            return None


def private_event(payload: api.Payload, now_ms: int) -> tuple[str, PrivateEvent] | None:
    """Topic and event of the engine's private push."""
    match payload:
        case api.OrderUpdate(order=order):
            return "order", order_view(order)
        case api.Execution(execution=done):
            return "execution", execution(done)
        case api.PositionUpdate(position=position):
            return "position", position_view(position, now_ms)
        case api.WalletUpdate(wallet=wallet):
            return "wallet", wallet_view(wallet, now_ms)
        case _:
            return None
