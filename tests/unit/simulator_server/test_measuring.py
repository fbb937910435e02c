"""What a benchmark reads from the exchange: lifted limits, and when prices left and orders arrived."""

from __future__ import annotations

from hedgelock_actors.simulator.api import Ack, PlaceOrder
from hedgelock_actors.simulator.gateway import ArrivalLog
from hedgelock_actors.simulator.launch import ExchangeOptions, build
from hedgelock_actors.simulator.rate_limit import AccountLimiter


def granted(limiter: AccountLimiter, path: str, tries: int) -> int:
    return sum(limiter.take("1", path, "linear", 0).allowed for _ in range(tries))


def test_a_lifted_limit_holds_for_orders_alone() -> None:
    assert granted(AccountLimiter(), "/v5/order/create", 100) == 10
    assert granted(AccountLimiter(60), "/v5/order/create", 100) == 60
    assert granted(AccountLimiter(60), "/v5/position/set-leverage", 100) == 10
    gateway = build(ExchangeOptions(order_limit=7)).gateway
    assert gateway.spend("1", "/v5/order/cancel", "linear", 9)[0] == 7


def test_price_steps_are_stamped_before_they_are_told() -> None:
    launched = build(ExchangeOptions(hold=True))
    gateway, engine = launched.gateway, launched.gateway.exchange
    market_ms = engine.next_market_ms()
    assert market_ms is not None
    launched.server.on_events(engine.advance(market_ms))
    (ts_ms, stamp_ns), *_ = gateway.published
    assert ts_ms == market_ms
    assert stamp_ns > 0


def test_arrivals_carry_their_stamp() -> None:
    log = ArrivalLog()
    order = PlaceOrder(symbol="BTCUSDT", side="Sell", order_type="Market", qty=1, order_link_id="a")  # type: ignore[arg-type]
    ack = Ack(ret_code=0, ret_msg="OK", reply_ms=0)
    log.record(1, "8", "ws", "create", order, ack, 42)
    log.record(2, "8", "ws", "create", order, ack)
    assert [row["monotonic_ns"] for row in log.of("8")] == [42, 0]
