"""The switches of a rehearsal on a server in this process, met by the real adapter over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hedgelock_actors.adapters.bybit.endpoints import Endpoints
from hedgelock_actors.adapters.bybit.rest import RestClient
from hedgelock_actors.adapters.bybit.secret import Credentials, Secret
from hedgelock_actors.adapters.bybit.trade_socket import TradeSocket
from hedgelock_actors.adapters.venue_clock.replay import ReplayClock
from hedgelock_actors.simulator.launch import ExchangeOptions, build
from hedgelock_actors.simulator.maintenance import MaintenancePlan, Window

SYMBOL = "BTCUSDT"
NOW = 1_700_000_000_000


class Venue:
    """A served exchange and a client of its first account."""

    def __init__(self, url: str, uid: str, keys: Credentials, clock: ReplayClock) -> None:
        self.url, self.uid = url, uid
        endpoints = Endpoints.local(url)
        self.rest = RestClient(endpoints, keys, clock)
        self.socket = TradeSocket(endpoints, keys, clock.now_ms, lambda: 5_000)
        self._http = aiohttp.ClientSession()
        self._orders = 0

    async def close(self) -> None:
        await self.socket.stop()
        self.rest.close()
        await self._http.close()

    async def post(self, where: str, /, **body: object) -> tuple[int, Any]:
        async with self._http.post(f"{self.url}/sim/{where}", json=body) as answer:
            return answer.status, (await answer.json() if answer.content_type == "application/json" else None)

    async def fault(self, **spec: object) -> None:
        status, _ = await self.post("fault", **spec)
        assert status == 200

    def order(self, **changes: object) -> dict[str, Any]:
        self._orders += 1
        plain = {"symbol": SYMBOL, "side": "Sell", "orderType": "Market", "qty": "0.01"}
        return {"category": "linear", **plain, "orderLinkId": f"own-{self._orders}", **changes}

    async def code(self, **changes: object) -> int | str:
        """The venue's code for an order by the trade socket."""
        reply: Any = await self.socket.request("order.create", self.order(**changes))
        return int(reply.code)

    async def rows(self, method: str, **params: Any) -> list[dict[str, Any]]:
        listed = (await self.rest.query(method, **params)).result["list"]
        assert isinstance(listed, list)
        return listed


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    launched = build(ExchangeOptions(ip_limit=0, order_limit=1_000))
    runner = web.AppRunner(launched.server.application(), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    driving = asyncio.create_task(launched.gateway.driver.run())
    url, key = f"http://127.0.0.1:{runner.addresses[0][1]}", launched.gateway.keys[0]
    clock = ReplayClock(url, "test")
    await clock.prepare()
    client = Venue(url, key.uid, Credentials(key.key, Secret(key.secret)), clock)
    await client.socket.start()
    yield client
    await client.close()
    driving.cancel()
    await runner.cleanup()


async def until(check: Any, timeout_s: float = 8.0) -> Any:
    async with asyncio.timeout(timeout_s):
        while not (found := await check()):  # noqa: ASYNC110 (the check asks the venue)
            await asyncio.sleep(0.02)
    return found


async def test_scripted_answers_are_used_up_in_order(venue: Venue) -> None:
    await venue.fault(kind="refuse_orders", code=10006)
    await venue.fault(kind="refuse_orders", code=110007, text="ab not enough for new order")
    assert [await venue.code(), await venue.code(), await venue.code()] == [10006, 110007, 0]
    await venue.fault(kind="answer_orders", code=10016)
    told = venue.order()
    reply: Any = await venue.rest.call("place_order", **told)
    assert reply.code == 10016
    again: Any = await venue.rest.call("place_order", **told)
    assert again.code == 110072, "it was carried out all the same"


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"kind": "refuse_orders", "code": 1, "op": "dance"}, 400),
        ({"kind": "refuse_orders"}, 400),
        ({"kind": "split", "qty": "many"}, 400),
        ({"kind": "instrument", "symbol": SYMBOL, "base_coin": "ETH"}, 400),
        ({"kind": "instrument", "symbol": SYMBOL, "tick_size": "0.15"}, 400),
        ({"kind": "instrument", "symbol": SYMBOL, "tick_size": "wide"}, 400),
        ({"kind": "take_position", "uid": "UID", "symbol": SYMBOL, "how": "magic"}, 400),
        ({"kind": "take_position", "uid": "UID", "symbol": SYMBOL, "qty": "1"}, 400),
        ({"kind": "maintenance", "state": "meteor"}, 400),
        ({"kind": "settings", "uid": "nobody"}, 400),
    ],
)
async def test_a_switch_that_makes_no_sense_is_refused(venue: Venue, spec: dict[str, object], status: int) -> None:
    filled = {name: venue.uid if value == "UID" else value for name, value in spec.items()}
    assert (await venue.post("fault", **filled))[0] == status


async def test_maintenance_refuses_every_order_until_it_ends(venue: Venue) -> None:
    await venue.fault(kind="maintenance", title="now", seconds=None)
    (row,) = await venue.rows("get_system_status")
    assert (row["state"], row["end"], row["title"]) == ("ongoing", "", "now")
    assert await venue.code() == 110066
    cancelled: Any = await venue.rest.call("cancel_batch_order", category="linear", request=[{"symbol": SYMBOL}])
    assert cancelled.code == 110066
    await venue.fault(kind="end_maintenance")
    assert (await venue.rows("get_system_status"))[0]["state"] == "completed"
    assert await venue.code() == 0


async def test_settings_and_filters_change_under_the_client(venue: Venue) -> None:
    await venue.fault(kind="settings", uid=venue.uid, reduce_only=True, leverage="25")
    (position,) = await venue.rows("get_positions", category="linear", symbol=SYMBOL)
    assert (position["isReduceOnly"], position["leverage"]) == (True, "25")
    assert await venue.code() == 110023
    await venue.fault(kind="settings", uid=venue.uid, reduce_only=False, position_mode=3)
    assert {row["positionIdx"] for row in await venue.rows("get_positions", category="linear", symbol=SYMBOL)} == {1, 2}
    assert await venue.code() == 10001
    await venue.fault(kind="settings", uid=venue.uid, position_mode=0)
    for status, code in (("Settling", 110063), ("Closed", 110066), ("Delivering", 30228)):
        await venue.fault(kind="instrument", symbol=SYMBOL, status=status)
        assert await venue.code() == code
    await venue.fault(kind="instrument", symbol=SYMBOL, status="Trading", qty_step="0.005")
    assert [await venue.code(qty="0.006"), await venue.code(qty="0.01")] == [10001, 0]


async def test_positions_are_taken_and_traded_by_hand(venue: Venue) -> None:
    status, told = await venue.post("trade", uid=venue.uid, side="Sell", qty="0.05")
    assert (status, told["retCode"]) == (200, 0)

    async def held() -> str:
        return str((await venue.rows("get_positions", category="linear", symbol=SYMBOL))[0]["size"])

    async def sold() -> bool:
        return await held() == "0.050"

    await until(sold)
    await venue.fault(kind="take_position", uid=venue.uid, symbol=SYMBOL, qty="0.02", how="adl")
    assert await held() == "0.030"
    await venue.fault(kind="take_position", uid=venue.uid, symbol=SYMBOL, how="takeover")
    assert Decimal(await held()) == 0
    kinds = [row["execType"] for row in await venue.rows("get_executions", category="linear", symbol=SYMBOL)]
    assert kinds[:2] == ["BustTrade", "AdlTrade"]
    assert set(kinds[2:]) == {"Trade"}
    for bad, expected in (({"uid": "nobody", "qty": "1"}, 404), ({"uid": venue.uid}, 400)):
        assert (await venue.post("trade", **bad))[0] == expected
    assert (await venue.post("trade", uid=venue.uid, qty="1", side="Up"))[0] == 400


async def test_orders_half_acknowledged_split_out_of_range_and_forgotten(venue: Venue) -> None:
    async def listed(link: str, which: int = 0) -> list[dict[str, Any]]:
        rows = await venue.rows("get_open_orders", category="linear", symbol=SYMBOL, openOnly=which)
        return [row for row in rows if row["orderLinkId"] == link]

    async def closed(link: str) -> list[dict[str, Any]]:
        return [row for row in await listed(link, 1) if row["orderStatus"] != "New"]

    await venue.fault(kind="half_ack")
    assert await venue.code(orderLinkId="half") == 0
    assert (await until(lambda: closed("half")))[0]["orderStatus"] == "Rejected"
    await venue.fault(kind="no_market")
    assert await venue.code(orderLinkId="nobody-there") == 0
    assert (await until(lambda: closed("nobody-there")))[0]["cumExecQty"] == "0.000"
    await venue.fault(kind="no_market", on=False)
    await venue.fault(kind="split", qty="0.01")
    assert await venue.code(qty="0.025", orderLinkId="open") == 0
    await until(lambda: closed("open"))
    assert await venue.code(side="Buy", qty="0.025", reduceOnly=True, orderLinkId="parts") == 0

    async def all_parts() -> bool:
        return len(await closed("parts")) == 3

    await until(all_parts)
    await venue.fault(kind="query_lag", ms=60_000)
    assert await venue.code(orderLinkId="unseen") == 0
    await venue.fault(kind="query_lag")
    await venue.fault(kind="forget_closed")
    assert await closed("open") == []
    assert await venue.rows("get_open_orders", category="linear", symbol=SYMBOL, orderLinkId="open") == []
    history = await venue.rows("get_order_history", category="linear", symbol=SYMBOL)
    links = [row["orderLinkId"] for row in history]
    assert links.count("parts") == 3
    assert {"half", "open"} <= set(links)
    assert "unseen" not in links


@pytest.mark.parametrize(("fault", "kind"), [("429", "HttpFailure"), ("503", "HttpFailure"), ("truncated", "NoAnswer")])
async def test_broken_answers_by_rest(venue: Venue, fault: str, kind: str) -> None:
    await venue.fault(kind="rest", fault=fault, path="/v5/order/create")
    told = venue.order()
    assert type(await venue.rest.call("place_order", **told)).__name__ == kind
    again: Any = await venue.rest.call("place_order", **told)
    assert again.code == (0 if fault == "429" else 110072)


async def test_answers_by_rest_may_be_late(venue: Venue) -> None:
    await venue.fault(kind="delay_acks", channel="rest", seconds=0.3)
    began = asyncio.get_running_loop().time()
    reply: Any = await venue.rest.call("place_order", **venue.order())
    assert reply.code == 0
    assert asyncio.get_running_loop().time() - began >= 0.3


def test_windows_follow_the_time_unless_told_otherwise() -> None:
    plan = MaintenancePlan()
    plan.announce(Window("1", "later", NOW + 100, NOW + 200))
    plan.announce(Window("2", "fixed", NOW, None, "ongoing"))
    assert [row["state"] for row in plan.rows(NOW)] == ["ongoing", "scheduled"]
    assert [row["state"] for row in plan.rows(NOW + 100)] == ["ongoing", "ongoing"]
    assert [row["state"] for row in plan.rows(NOW + 200)] == ["ongoing", "completed"]
    assert [window.title for window in plan.end(NOW + 50)] == ["fixed", "later"]
    assert [row["state"] for row in plan.rows(NOW + 150)] == ["completed", "canceled"]
    assert not plan.ongoing(NOW + 150)
