"""Commands to the cluster: all routers at once, nobody waited for beyond a bound, messages taken in as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from hedgelock_actors.domain.messages import ENVELOPE, AnyMessage, HedgeTrade, TargetOverridden
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.trading_state import TradingMode, TradingState
from hedgelock_actors.runtime import operator as operator_module
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.handles import Cluster, Unreachable
from hedgelock_actors.runtime.operator import Operator
from hedgelock_actors.runtime.receiver import Receiver
from hedgelock_actors.runtime.transport import Undelivered

HALTED = TradingState(TradingMode.HALTED, 5, "drill")
CONFIG = Config.model_validate({"venue": {"accounts": [{"name": "a"}, {"name": "b", "symbol": "ETHUSDT"}]}})


class SlowCluster(Cluster):
    """Every actor answers after its own time; a silent one after nobody waits any more."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: dict[str, float] = {}
        self.calls: list[tuple[str, str]] = []
        self.receiver = Receiver()

    async def call(self, to: str, method: str, *args: object, wait_s: float) -> object:
        self.calls.append((to, method))
        delay = self.delays.get(to, 0.0)
        await asyncio.sleep(min(delay, wait_s))
        if delay > wait_s:
            raise Unreachable(f"{to}: no answer")
        return {"orders": []} if method == "snapshot" else (args[0], args[1]) if args else {"actors": {}}

    async def deliver(self, to: str, batch: Sequence[bytes], wait_s: float) -> Sequence[str]:
        if to in self.delays:
            raise Undelivered(f"{to}: no answer")
        return await self.receiver.take(batch)


@pytest.fixture
def cluster() -> SlowCluster:
    return SlowCluster()


async def test_routers_are_told_side_by_side_and_a_silent_one_holds_up_nobody(cluster: SlowCluster) -> None:
    cluster.delays = {"order-router-a": 0.2, "order-router-b": 9.0, "supervisor": 9.0}
    began = time.monotonic()
    held = await Operator(CONFIG, cluster).apply(HALTED)
    assert time.monotonic() - began < operator_module.APPLY_S + 0.2
    assert held == {"order-router-a": TradingState(TradingMode.HALTED, 5), "order-router-b": None}
    assert ("supervisor", "set_trading_state") in cluster.calls, "who tells the others and the silent ones later"


async def test_all_that_are_asked_at_once_take_as_long_as_the_slowest(cluster: SlowCluster) -> None:
    cluster.delays = {"order-router-a": 0.2, "order-router-b": 0.2}
    began = time.monotonic()
    held = await Operator(CONFIG, cluster).apply(HALTED)
    assert all(held.values())
    assert time.monotonic() - began < 0.35


async def test_what_nobody_knows_is_said(cluster: SlowCluster) -> None:
    cluster.delays = {"order-router-b": 9.0, "supervisor": 9.0}
    operator = Operator(CONFIG, cluster)
    assert await operator.actors(0.01) == {}
    found: Mapping[str, Mapping[str, object]] = await operator.snapshots("order-router", 0.01)
    assert found["order-router-a"] == {"orders": []}
    assert "no answer" in str(found["order-router-b"]["error"])


def trade(number: int) -> HedgeTrade:
    return HedgeTrade(
        account="a",
        symbol="BTCUSDT",
        trade_id=str(number),
        ts_ms=number,
        side=Side.SELL,
        qty=Decimal(1),
        reason="x",
        reply_to="notifier",
    )


async def test_messages_are_taken_in_by_a_receiver_each_once(cluster: SlowCluster) -> None:
    got: list[AnyMessage] = []

    async def receive(message: AnyMessage) -> None:
        if isinstance(message, TargetOverridden):
            raise RuntimeError("not now")
        got.append(message)

    await cluster.receiver.open(receive)
    operator = Operator(CONFIG, cluster)
    assert [await operator.deliver("order-router-a", trade(n), 1.0) for n in (1, 2)] == ["", ""]
    assert got == [trade(1), trade(2)]
    override = TargetOverridden(
        account="a",
        symbol="BTCUSDT",
        override_id="o",
        version=1,
        ts_ms=1,
        target_short_qty=None,
        expires_ms=1,
        who="ada",
        reason="x",
    )
    assert "not now" in await operator.deliver("position-keeper-a", override, 1.0)
    cluster.delays = {"order-router-a": 9.0}
    assert "no answer" in await operator.deliver("order-router-a", trade(3), 0.1)
    assert ENVELOPE.validate_json(operator._wrap(trade(4))).sender == "control"
