"""Fault switches: what a rehearsal can break on the running exchange."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import requests

from tests.integration.exchange_process import Running, Signed, eventually, exchange

pytestmark = pytest.mark.integration
MARKET = {"category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "0.01"}


@pytest.fixture(scope="module")
def everyone() -> Iterator[Running]:
    with exchange("--accounts", "40") as running:
        yield running


@pytest.fixture
def venue(everyone: Running) -> Running:
    """The venue with an account that no test before has used, so that its limits are fresh."""
    return replace(everyone, accounts=[everyone.accounts.pop()])


@pytest.fixture
def client(venue: Running) -> Iterator[Signed]:
    signed = Signed(venue)
    yield signed
    signed.close()


def executed(client: Signed, link_id: str) -> Any:
    rows = client.get("/v5/execution/list", category="linear", symbol="BTCUSDT", orderLinkId=link_id)["result"]["list"]
    return [row for row in rows if row["orderLinkId"] == link_id]


@pytest.mark.parametrize("fault", ["10016", "10000", "html", "reset"])
def test_an_order_whose_answer_is_lost_was_executed(venue: Running, client: Signed, fault: str) -> None:
    venue.fault(kind="rest", fault=fault, path="/v5/order/create")
    link_id = uuid.uuid4().hex
    if fault == "reset":
        with pytest.raises(requests.ConnectionError):
            client.post_raw("/v5/order/create", MARKET | {"orderLinkId": link_id})
    else:
        answer = client.post_raw("/v5/order/create", MARKET | {"orderLinkId": link_id})
        assert "html" in answer.headers["Content-Type"] if fault == "html" else answer.json()["retCode"] == int(fault)
    assert len(eventually(lambda: executed(client, link_id))) >= 1
    assert client.post("/v5/order/create", **MARKET, orderLinkId=link_id)["retCode"] == 110072


@pytest.mark.parametrize(("fault", "past"), [("10002", False), ("10006", False), ("10006", True)])
def test_a_refused_order_was_not_executed(venue: Running, client: Signed, fault: str, past: bool) -> None:
    venue.fault(kind="rest", fault=fault, path="/v5/order/create", reset_past=past)
    link_id = uuid.uuid4().hex
    answer = client.post_raw("/v5/order/create", MARKET | {"orderLinkId": link_id})
    assert answer.json()["retCode"] == int(fault)
    if fault == "10006":
        ahead = int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) - answer.json()["time"]
        assert ahead < 0 if past else ahead > 0
    assert client.post("/v5/order/create", **MARKET, orderLinkId=link_id)["retCode"] == 0
    assert eventually(lambda: executed(client, link_id))


async def first(socket: aiohttp.ClientWebSocketResponse, wanted: Any, timeout_s: float = 6) -> Any:
    async with asyncio.timeout(timeout_s):
        while True:
            message = await socket.receive_json()
            if wanted(message):
                return message


def auth(venue: Running) -> dict[str, object]:
    expires = time.time_ns() // 1_000_000 + 5_000
    signature = hmac.new(venue.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    return {"op": "auth", "args": [venue.key, expires, signature]}


async def test_a_silent_channel_says_nothing_until_it_is_heard_again(venue: Running) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws + "/v5/public/linear") as socket:
        await socket.send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
        await first(socket, lambda m: m.get("type") == "delta")
        await asyncio.to_thread(venue.fault, kind="silence", channel="linear")
        with pytest.raises(TimeoutError):
            await first(socket, lambda m: m.get("type") == "delta", 2.5)
        assert not socket.closed


@pytest.mark.parametrize("kind", ["close", "reset"])
async def test_a_channel_is_cut(venue: Running, kind: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws + "/v5/private") as socket:
        await socket.send_json(auth(venue))
        await first(socket, lambda m: m.get("op") == "auth")
        await asyncio.to_thread(venue.fault, kind=kind, channel="private")
        message = await socket.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_connections_are_refused_for_a_while(venue: Running) -> None:
    await asyncio.to_thread(venue.fault, kind="refuse", seconds=1)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(venue.ws + "/v5/private")
        assert refused.value.status == 503
        await asyncio.sleep(1.1)
        async with session.ws_connect(venue.ws + "/v5/private") as socket:
            assert not socket.closed


async def test_a_trade_answer_is_dropped_though_the_order_trades(venue: Running, client: Signed) -> None:
    await asyncio.to_thread(venue.fault, kind="drop_acks", count=1)
    link_id = uuid.uuid4().hex
    async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws + "/v5/trade") as socket:
        await socket.send_json(auth(venue))
        await first(socket, lambda m: m.get("op") == "auth")
        header = {"X-BAPI-TIMESTAMP": str(time.time_ns() // 1_000_000)}
        order = {"op": "order.create", "header": header, "args": [MARKET | {"orderLinkId": link_id}]}
        await socket.send_json(order | {"reqId": "lost"})
        await socket.send_json({"op": "ping"})
        answer = await first(socket, lambda m: m.get("op") in ("pong", "order.create"))
        assert answer["op"] == "pong"
        assert await asyncio.to_thread(eventually, lambda: executed(client, link_id))


async def test_books_restart_with_u_1_and_private_pushes_come_twice(venue: Running, client: Signed) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(venue.ws + "/v5/public/linear") as socket:
            await socket.send_json({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
            await first(socket, lambda m: m.get("type") == "delta")
            await asyncio.to_thread(venue.fault, kind="restart_book")
            again = await first(socket, lambda m: m.get("type") == "snapshot")
            assert again["data"]["u"] == 1
        await asyncio.to_thread(venue.fault, kind="duplicate_private")
        async with session.ws_connect(venue.ws + "/v5/private") as socket:
            await socket.send_json(auth(venue))
            await socket.send_json({"op": "subscribe", "args": ["execution"]})
            await first(socket, lambda m: m.get("op") == "subscribe")
            await asyncio.to_thread(client.post, "/v5/order/create", **MARKET)
            one = await first(socket, lambda m: m.get("topic") == "execution")
            two = await first(socket, lambda m: m.get("topic") == "execution")
            assert one["data"][0]["execId"] == two["data"][0]["execId"]
        await asyncio.to_thread(venue.fault, kind="duplicate_private", on=False)


def test_loan_adjustments_fail_and_transfers_hang(venue: Running, client: Signed) -> None:
    venue.fault(kind="transfer_pending", ms=600)
    body = {
        "transferId": str(uuid.uuid4()),
        "coin": "USDT",
        "amount": "10",
        "fromAccountType": "UNIFIED",
        "toAccountType": "FUND",
    }
    assert client.post("/v5/asset/transfer/inter-transfer", **body)["result"]["status"] == "PENDING"
    rows = {"transferId": body["transferId"]}
    eventually(
        lambda: (
            client.get("/v5/asset/transfer/query-inter-transfer-list", **rows)["result"]["list"][0]["status"]
            == "SUCCESS"
        )
    )
    venue.fault(kind="adjust_fails")
    adjust_id = client.post("/v5/crypto-loan-common/adjust-ltv", currency="BTC", amount="0.1", direction="1")["result"][
        "adjustId"
    ]
    time.sleep(1)
    shown = client.get("/v5/crypto-loan-common/adjustment-history", adjustId=adjust_id)["result"]["list"][0]
    assert shown["status"] == 3
    venue.fault(kind="adjust_fails", on=False)


def test_disconnect_protection_cancels_what_rests(client: Signed, venue: Running) -> None:
    last = float(
        client.get("/v5/market/tickers", category="linear", symbol="BTCUSDT")["result"]["list"][0]["lastPrice"]
    )
    resting = MARKET | {"orderType": "Limit", "side": "Buy", "price": str(round(last * 0.99, 1))}
    assert client.post("/v5/order/disconnected-cancel-all", timeWindow=3, product="DERIVATIVES")["retCode"] == 0

    async def arm_and_die() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws + "/v5/private") as socket:
            await socket.send_json(auth(venue))
            await socket.send_json({"op": "subscribe", "args": ["dcp.future"]})
            await first(socket, lambda m: m.get("op") == "subscribe")

    order_id = client.post("/v5/order/create", **resting)["result"]["orderId"]
    asyncio.run(arm_and_die())
    began = time.monotonic()

    def shown() -> Any:
        return client.get("/v5/order/realtime", category="linear", symbol="BTCUSDT", orderId=order_id)["result"][
            "list"
        ][0]

    eventually(lambda: shown()["orderStatus"] == "Cancelled", 10)
    assert shown()["cancelType"] == "CancelByDCP"
    assert time.monotonic() - began >= 2.5


async def test_authentication_and_the_trade_service_fail_when_told(venue: Running) -> None:
    await asyncio.to_thread(venue.fault, kind="refuse_auth", count=1)
    await asyncio.to_thread(venue.fault, kind="trade_restart", count=1)
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(venue.ws + "/v5/private") as socket:
            await socket.send_json(auth(venue))
            assert (await first(socket, lambda m: m["op"] == "auth"))["success"] is False
        async with session.ws_connect(venue.ws + "/v5/trade") as socket:
            await socket.send_json(auth(venue))
            assert (await first(socket, lambda m: m["op"] == "auth"))["retCode"] == 0
            header = {"X-BAPI-TIMESTAMP": str(time.time_ns() // 1_000_000)}
            await socket.send_json({"reqId": "1", "op": "order.create", "header": header, "args": [MARKET]})
            assert (await first(socket, lambda m: m.get("reqId") == "1"))["retCode"] == 10019


async def test_a_delta_may_come_before_its_snapshot_when_told(venue: Running) -> None:
    await asyncio.to_thread(venue.fault, kind="delta_first")
    async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws + "/v5/public/linear") as socket:
        await socket.send_json({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
        assert (await first(socket, lambda m: "topic" in m))["type"] == "delta"
    await asyncio.to_thread(venue.fault, kind="delta_first", on=False)


async def test_maintenance_is_announced_by_socket_and_rest(venue: Running, client: Signed) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws + "/v5/public/misc/status") as socket:
        await socket.send_json({"op": "subscribe", "args": ["system.status"]})
        await first(socket, lambda m: m.get("op") == "subscribe")
        await asyncio.to_thread(venue.fault, kind="maintenance", state="scheduled", seconds=60)
        pushed = (await first(socket, lambda m: "topic" in m))["data"][0]
    assert pushed["state"] == "scheduled"
    assert client.get("/v5/system/status")["result"]["list"][0]["id"] == pushed["id"]


def test_an_unknown_switch_is_refused(venue: Running) -> None:
    answer = requests.post(venue.rest + "/sim/fault", json={"kind": "meteor"}, timeout=10)
    assert answer.status_code == 400
    assert "silence" in answer.text
    assert (
        requests.post(venue.rest + "/sim/fault", json={"kind": "rest", "fault": "meteor"}, timeout=10).status_code
        == 400
    )


def test_the_arrival_log_tells_every_request(venue: Running, client: Signed) -> None:
    link_id = uuid.uuid4().hex
    client.post("/v5/order/create", **MARKET, orderLinkId=link_id)
    client.post("/v5/order/create", **MARKET, orderLinkId=link_id)
    rows = [row for row in venue.sim("orders", uid=venue.uid)["list"] if row["order_link_id"] == link_id]
    assert [row["retCode"] for row in rows] == [0, 110072]
    assert (rows[0]["via"], rows[0]["op"], rows[0]["qty"]) == ("rest", "create", "0.01")
