"""The venue's front door for one account: rate limits, half-acknowledged orders, lag of queries; then the engine.

An order that is acknowledged and then rejected (a *ghost*) never reaches the engine. It uses up its id, is pushed and
shown as rejected, and has no other effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from hedgelock_actors.domain.order import (
    Accepted,
    CancelOutcome,
    OrderRequest,
    OrderStatus,
    OrderView,
    Rejected,
    SubmitOutcome,
    TimeInForce,
)
from hedgelock_actors.domain.position import Execution
from hedgelock_actors.simulator import api
from tests.simulation.arena.witness import Arrived
from tests.simulation.in_process import execution, order_view, outcome, place_command

if TYPE_CHECKING:
    from tests.simulation.arena.world import SwarmWorld

Answer = tuple[Accepted | Rejected, int]
GHOST_MS = 20


@dataclass(frozen=True, slots=True)
class Ghost:
    """What the venue says of an order that it acknowledged and then refused."""

    view: OrderView
    from_ms: int


class Gateway:
    """See the module."""

    def __init__(self, world: SwarmWorld) -> None:
        self._world, self._exchange, self._uid = world, world.exchange, world.uid
        self._ghosts: dict[str, Ghost] = {}

    # ------------------------------------------------------------ commands

    def create(self, request: OrderRequest) -> Answer:
        """An order arrives."""
        world, now_ms = self._world, self._world.loop.now_ms
        if world.rate_limited_ms > now_ms or world.strikes("rate_limit"):
            world.witness.happened["rate_limited"] += 1
            return self._refuse(request, "10006", "too many visits", retry=True)
        if request.order_link_id in self._ghosts:
            return self._refuse(request, "110072", "OrderLinkedID is duplicate")
        if world.strikes("half_ack", request.order_link_id[:8]):
            return self._half(request, OrderStatus.REJECTED, "EC_Others")
        if request.time_in_force is TimeInForce.POST_ONLY and world.strikes("post_only_reject"):
            return self._half(request, OrderStatus.CANCELLED, "EC_PostOnlyWillTakeLiquidity")
        ack = self._exchange.request(self._uid, place_command(request), now_ms)
        world.arrived(self._arrival(request, str(ack.ret_code)))
        world.poke()
        return outcome(ack, "orderId"), ack.reply_ms

    def cancel(self, symbol: str, link: str) -> tuple[CancelOutcome, int]:
        """A cancel arrives."""
        if link in self._ghosts:
            return Rejected("110001", "order not exists or too late to cancel"), self._world.loop.now_ms
        return self.plain(api.CancelOrder(symbol=symbol, order_link_id=link))

    def transfer(self, transfer_id: str, amount: Decimal) -> tuple[SubmitOutcome, int]:
        """The same id moves money once."""
        if any(one.transfer_id == transfer_id for one in self._exchange.transfers(self._uid)):
            self._world.witness.happened["transfer_repeated"] += 1
            return Accepted(transfer_id), self._world.loop.now_ms
        command = api.Transfer(
            transfer_id=transfer_id, coin="USDT", amount=amount, from_account="UNIFIED", to_account="FUND"
        )
        return self.plain(command, "transferId")

    def plain(self, command: api.Command, id_key: str = "orderId") -> Answer:
        """Anything else."""
        ack = self._exchange.request(self._uid, command, self._world.loop.now_ms)
        self._world.poke()
        return outcome(ack, id_key), ack.reply_ms

    # ------------------------------------------------------------ queries

    def find_order(self, symbol: str, link: str) -> OrderView | None:
        """As the venue shows it, after its lag."""
        ghost = self._ghosts.get(link)
        if ghost is not None:
            return ghost.view if self._world.loop.now_ms >= ghost.from_ms + self._world.query_lag_ms else None
        found = self._exchange.find_order(self._uid, symbol, order_link_id=link)
        return None if found is None else order_view(found)

    def open_orders(self, symbol: str) -> Sequence[OrderView]:
        return [order_view(one) for one in self._exchange.open_orders(self._uid, symbol)]

    def executions(self, symbol: str, since_ms: int) -> Sequence[Execution]:
        until_ms = self._world.loop.now_ms - self._world.executions_lag_ms
        found = self._exchange.executions(self._uid, symbol)
        return [execution(one) for one in reversed(found) if since_ms <= one.exec_ms <= until_ms]

    # ------------------------------------------------------------ helpers

    def _half(self, request: OrderRequest, status: OrderStatus, reason: str) -> Answer:
        world, now_ms = self._world, self._world.loop.now_ms
        view = _ghost_view(request, status, reason, now_ms + GHOST_MS)
        self._ghosts[request.order_link_id] = Ghost(view, now_ms + GHOST_MS)
        world.arrived(self._arrival(request, "ghost"))
        world.loop.at(now_ms + GHOST_MS, world.push, "order", view, context=world.context)
        return Accepted(view.order_id), now_ms + 3

    def _refuse(self, request: OrderRequest, code: str, text: str, *, retry: bool = False) -> Answer:
        self._world.arrived(self._arrival(request, code))
        return Rejected(code, text, retry), self._world.loop.now_ms

    def _arrival(self, request: OrderRequest, code: str) -> Arrived:
        return Arrived(
            ts_ms=self._world.loop.now_ms,
            link=request.order_link_id,
            side=request.side.value,
            qty=request.qty,
            code=code,
        )


def _ghost_view(request: OrderRequest, status: OrderStatus, reason: str, ts_ms: int) -> OrderView:
    return OrderView(
        symbol=request.symbol,
        order_id=f"ghost-{request.order_link_id[3:15]}",
        order_link_id=request.order_link_id,
        status=status,
        side=request.side,
        qty=request.qty,
        price=request.price or Decimal(0),
        cum_qty=Decimal(0),
        cum_value=Decimal(0),
        cum_fee=Decimal(0),
        leaves_qty=Decimal(0),
        reduce_only=request.reduce_only,
        reject_reason=reason,
        cancel_type="UNKNOWN",
        create_type="CreateByUser",
        ts_ms=ts_ms,
    )
