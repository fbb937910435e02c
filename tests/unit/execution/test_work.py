"""The shared part: no order beyond what is left, whatever is asked."""

from __future__ import annotations

from decimal import Decimal

from hedgelock_actors.domain.order import OrderState, OrderStatus, TimeInForce
from hedgelock_actors.execution.strategy import Begin, Feedback, OrderSeen
from hedgelock_actors.execution.work import Work
from tests.unit.domain.make import view
from tests.unit.execution.driver import SELL, SETTINGS, book

D = Decimal


def test_an_order_takes_at_most_what_is_left_with_the_worst_case_counted() -> None:
    work = Work(SELL, SETTINGS)
    work.take(Begin(0, book(), Feedback()))
    first = work.place(D("1.5"), None, TimeInForce.IOC)
    assert first is not None
    assert (work.todo, work.left_qty, work.idle) == (D("0.5"), D(2), False)
    second = work.place(D(9), D(60_000), TimeInForce.GTC)
    assert second is not None
    assert second.request.qty == D("0.5")
    assert work.place(D(9), D(60_000), TimeInForce.GTC) is None
    ended = OrderState(request=first.request).apply_view(view(first.request, OrderStatus.CANCELLED, "0.25"))
    work.take(OrderSeen(1, ended))
    assert (work.todo, work.filled_qty, work.committed_qty) == (D("1.25"), D("0.25"), D("0.75"))
    assert len(work.actions()) == 2
    assert work.actions() == []
