"""One order inside the exchange, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hedgelock_actors.simulator.commands import PlaceOrder
from hedgelock_actors.simulator.matching import Resting
from hedgelock_actors.simulator.units import Units
from hedgelock_actors.simulator.views import OrderView
from hedgelock_actors.simulator.words import ZERO, Side

IN_FLIGHT = "Created"
LIVE = (IN_FLIGHT, "New", "PartiallyFilled", "Untriggered")
SHOWN_OPEN = ("New", "PartiallyFilled", "Untriggered")


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """`status` is the venue's word, or `IN_FLIGHT` until the request has reached the matching engine."""

    uid: str
    order_id: str
    command: PlaceOrder
    side: Side
    lots: int
    price_ticks: int
    trigger_ticks: int | None
    create_type: str
    created_ms: int
    updated_ms: int
    visible_ms: int
    last_on_created: Decimal
    reduce_only: bool
    status: str = IN_FLIGHT
    filled: int = 0
    value: Decimal = ZERO
    fee: Decimal = ZERO
    closed_pnl: Decimal = ZERO
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    is_part: bool = False
    """One of the further parts of a reduce-only order that the venue split."""
    resting: Resting | None = field(default=None, repr=False)

    @property
    def symbol(self) -> str:
        """Its symbol."""
        return self.command.symbol

    @property
    def link_id(self) -> str:
        """The client's id, "" for none."""
        return self.command.order_link_id

    @property
    def is_market(self) -> bool:
        """A Market order: IOC at a protection price."""
        return self.command.order_type == "Market"

    @property
    def time_in_force(self) -> str:
        """Market is always IOC."""
        return "IOC" if self.is_market else self.command.time_in_force

    @property
    def live(self) -> bool:
        """It may still trade, in the book or on its way."""
        return self.status in LIVE

    @property
    def shown_open(self) -> bool:
        """It is in the venue's list of open orders."""
        return self.status in SHOWN_OPEN

    @property
    def left(self) -> int:
        """Lots that may still trade."""
        return self.lots - self.filled if self.live else 0

    def close(self, status: str, now_ms: int, cancel_type: str = "UNKNOWN", reason: str = "EC_NoError") -> None:
        """End its life."""
        self.status, self.cancel_type, self.reject_reason, self.updated_ms = status, cancel_type, reason, now_ms
        self.resting = None

    def view(self, units: Units) -> OrderView:
        """As pushed and as queried."""
        command, left = self.command, self.left
        quantity = units.qty(self.filled)
        return OrderView(
            uid=self.uid,
            symbol=self.symbol,
            order_id=self.order_id,
            order_link_id=self.link_id,
            side=self.side,
            order_type=command.order_type,
            time_in_force=self.time_in_force,
            price=units.price(self.price_ticks),
            qty=units.qty(self.lots),
            leaves_qty=units.qty(left),
            leaves_value=units.value(self.price_ticks, left),
            cum_exec_qty=quantity,
            cum_exec_value=self.value,
            cum_exec_fee=self.fee,
            avg_price=self.value / quantity if self.filled else None,
            order_status=self.status,
            cancel_type=self.cancel_type,
            reject_reason=self.reject_reason,
            create_type=self.create_type,
            reduce_only=self.reduce_only,
            close_on_trigger=command.close_on_trigger,
            trigger_price=None if self.trigger_ticks is None else units.price(self.trigger_ticks),
            trigger_direction=command.trigger_direction,
            trigger_by=command.trigger_by,
            stop_order_type="" if self.trigger_ticks is None else "Stop",
            smp_type=command.smp_type or "None",
            last_price_on_created=self.last_on_created,
            closed_pnl=self.closed_pnl,
            created_ms=self.created_ms,
            updated_ms=self.updated_ms,
            slippage_tolerance_type=command.slippage_tolerance_type,
            slippage_tolerance=command.slippage_tolerance,
        )
