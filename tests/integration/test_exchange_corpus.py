"""Every answer and push against the venue's documented examples: the same keys with the same types.

A key that the example lacks must at least be in the venue's table of fields. Skips where the corpus is not at hand.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.exchange_process import ROOT, Running, Signed, eventually, exchange

CORPUS = ROOT.parent / "shared" / "bybit"
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the documented examples are not at {CORPUS}"),
]

GETS = {
    "/v5/market/time": {},
    "/v5/market/instruments-info": {"category": "linear"},
    "/v5/market/instruments-info#spot": {"category": "spot"},
    "/v5/market/tickers#spot": {"category": "spot"},
    "/v5/market/tickers#inverse": {"category": "linear"},
    "/v5/market/orderbook": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/market/kline": {"category": "linear", "symbol": "BTCUSDT", "interval": "1"},
    "/v5/market/mark-price-kline": {"category": "linear", "symbol": "BTCUSDT", "interval": "1"},
    "/v5/market/funding/history": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/market/risk-limit": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/market/recent-trade": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/market/price-limit": {"symbol": "BTCUSDT"},
    "/v5/market/open-interest": {"category": "linear", "symbol": "BTCUSDT", "intervalTime": "1h"},
    "/v5/system/status": {},
    "/v5/order/realtime": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/order/history": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/execution/list": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/position/list": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/position/closed-pnl": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/account/wallet-balance": {"accountType": "UNIFIED"},
    "/v5/account/info": {},
    "/v5/account/fee-rate": {"category": "linear", "symbol": "BTCUSDT"},
    "/v5/account/collateral-info": {"currency": "USDT"},
    "/v5/account/transaction-log": {},
    "/v5/account/withdrawal": {"coinName": "USDT"},
    "/v5/account/query-dcp-info": {},
    "/v5/spot-margin-trade/collateral": {"currency": "BTC"},
    "/v5/user/query-api": {},
    "/v5/asset/transfer/query-inter-transfer-list": {},
    "/v5/asset/transfer/query-account-coin-balance": {"accountType": "UNIFIED", "coin": "USDT"},
    "/v5/asset/transfer/query-account-coins-balance": {"accountType": "FUND"},
    "/v5/asset/transfer/query-transfer-coin-list": {"fromAccountType": "UNIFIED", "toAccountType": "FUND"},
    "/v5/asset/coin/query-info": {"coin": "USDT"},
    "/v5/crypto-loan-common/collateral-data": {},
    "/v5/crypto-loan-common/position": {},
    "/v5/crypto-loan-common/loanable-data": {},
    "/v5/crypto-loan-common/adjustment-history": {},
    "/v5/crypto-loan-common/max-collateral-amount": {"currency": "BTC"},
    "/v5/crypto-loan-flexible/borrow-history": {},
    "/v5/crypto-loan-flexible/repayment-history": {},
    "/v5/crypto-loan-flexible/ongoing-coin": {},
}
# Lists that are rightly empty here, so that no row can be compared.
EMPTY = {
    ("/v5/system/status", "list"),
    ("/v5/market/funding/history", "list"),
    ("/v5/crypto-loan-flexible/borrow-history", "list"),
    ("/v5/crypto-loan-common/position", "supplyList"),
}


@cache
def fields(path: str) -> frozenset[str]:
    """Names in the venue's table of an endpoint."""
    entries = json.loads((CORPUS / "endpoints.json").read_text())["entries"]
    return frozenset(
        row["name"].split("[")[0] for entry in entries if entry["path"].startswith(path) for row in entry["response"]
    )


@cache
def example(name: str) -> Any:
    return json.loads((CORPUS / "examples" / f"{name}.json").read_text())


def kind(value: Any) -> str:
    return type(value).__name__


def differences(ours: Any, theirs: Any, known: frozenset[str], where: str = "") -> Iterator[str]:
    """What our value lacks, has too much, or types otherwise than the example."""
    if ours is None or theirs is None:
        return
    if kind(ours) != kind(theirs):
        yield f"{where}: {kind(ours)} instead of {kind(theirs)}"
    elif isinstance(theirs, dict) and not where.endswith(("cumFeeDetail", "permissions", "availableWithdrawalMap")):
        yield from (f"{where}.{name} is missing" for name in theirs.keys() - ours.keys())
        yield from (f"{where}.{name} is unknown" for name in ours.keys() - theirs.keys() - known)
        for name in theirs.keys() & ours.keys():
            yield from differences(ours[name], theirs[name], known, f"{where}.{name}")
    elif isinstance(theirs, list) and theirs and ours:
        yield from differences(ours[0], theirs[0], known, f"{where}[0]")


@pytest.fixture(scope="module")
def venue() -> Iterator[Running]:
    with exchange() as running:
        yield running


@pytest.fixture(scope="module")
def client(venue: Running) -> Iterator[Signed]:
    """An account with a bit of everything in its history."""
    signed = Signed(venue)
    order = {"category": "linear", "symbol": "BTCUSDT", "orderType": "Market", "qty": "0.05"}
    assert signed.post("/v5/order/create", **order, side="Sell")["retCode"] == 0
    assert signed.post("/v5/order/create", **order | {"qty": "0.02"}, side="Buy")["retCode"] == 0
    last = float(
        signed.get("/v5/market/tickers", category="linear", symbol="BTCUSDT")["result"]["list"][0]["lastPrice"]
    )
    resting = order | {"orderType": "Limit", "side": "Buy", "price": str(round(last * 0.995, 1))}
    assert signed.post("/v5/order/create", **resting)["retCode"] == 0
    moved = signed.post(
        "/v5/asset/transfer/inter-transfer",
        transferId=str(uuid.uuid4()), coin="USDT", amount="2000", fromAccountType="UNIFIED", toAccountType="FUND",
    )  # fmt: skip
    assert moved["retCode"] == 0, moved
    eventually(lambda: signed.post("/v5/crypto-loan-flexible/repay", loanCurrency="USDT", amount="500")["retCode"] == 0)
    adjusted = signed.post("/v5/crypto-loan-common/adjust-ltv", currency="BTC", amount="0.1", direction="1")
    assert adjusted["retCode"] == 0, adjusted
    assert signed.post("/v5/order/disconnected-cancel-all", timeWindow=40, product="DERIVATIVES")["retCode"] == 0
    eventually(lambda: signed.get("/v5/crypto-loan-common/adjustment-history")["result"]["list"])
    eventually(lambda: signed.get("/v5/position/closed-pnl", category="linear")["result"]["list"])
    yield signed
    signed.close()


@pytest.mark.parametrize("name", GETS)
def test_an_answer_has_the_documented_keys_and_types(client: Signed, name: str) -> None:
    path, _, variant = name.partition("#")
    suffix = "__" + variant if variant else ("__linear" if path.endswith("instruments-info") else "")
    answer = client.get(path, **GETS[name])
    assert answer["retCode"] == 0, answer
    assert list(answer) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
    theirs = example(f"GET{path.replace('/', '_')}__response{suffix}")["result"]
    assert list(differences(answer["result"], theirs, fields(path))) == []
    for key, value in theirs.items():
        if isinstance(value, list) and value and (path, key) not in EMPTY:
            assert answer["result"][key], f"{key} is empty: nothing was compared"


def test_the_comparison_itself_notices() -> None:
    assert set(differences({"a": 1, "b": {}, "d": 1}, {"a": "1", "b": {"c": 1}}, frozenset())) == {
        ".a: int instead of str",
        ".b.c is missing",
        ".d is unknown",
    }


async def collect(venue: Running, kind_of_socket: str, topics: list[str], act: Any = None) -> dict[str, Any]:
    """The first push of every topic."""
    found: dict[str, Any] = {}
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.ws}/v5/{kind_of_socket}") as socket:
        if kind_of_socket == "private":
            expires = time.time_ns() // 1_000_000 + 5_000
            signature = hmac.new(venue.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
            await socket.send_json({"op": "auth", "args": [venue.key, expires, signature]})
            assert (await socket.receive_json())["success"] is True
        await socket.send_json({"op": "subscribe", "args": topics})
        async with asyncio.timeout(15):
            while len(found) < len(topics):
                message = await socket.receive_json()
                if "topic" in message:
                    found.setdefault(message["topic"], message)
                elif act is not None:
                    assert message["success"] is True
                    await asyncio.to_thread(act)
    return found


PUBLIC = {
    "orderbook.50.BTCUSDT": "WS_public_orderbook__ws_push__snapshot__snapshot",
    "tickers.BTCUSDT": "WS_public_tickers__ws_push__snapshot__linear",
    "publicTrade.BTCUSDT": "WS_public_publicTrade__ws_push__snapshot",
    "kline.1.BTCUSDT": "WS_public_kline__ws_push__snapshot",
    "priceLimit.BTCUSDT": "WS_public_priceLimit__ws_push",
}


async def test_public_pushes_have_the_documented_keys_and_types(venue: Running) -> None:
    found = await collect(venue, "public/linear", list(PUBLIC))
    for topic, name in PUBLIC.items():
        assert list(differences(found[topic], example(name), frozenset({"RPI"}))) == [], topic
    spot = await collect(venue, "public/spot", ["tickers.BTCUSDT"])
    assert (
        list(differences(spot["tickers.BTCUSDT"], example("WS_public_tickers__ws_push__snapshot__spot"), frozenset()))
        == []
    )


async def test_private_pushes_have_the_documented_keys_and_types(venue: Running, client: Signed) -> None:
    order = {"category": "linear", "symbol": "BTCUSDT", "orderType": "Market", "qty": "0.05", "side": "Sell"}
    topics = ["order", "execution", "execution.fast", "position", "wallet"]
    found = await collect(venue, "private", topics, lambda: client.post("/v5/order/create", **order))
    for topic in topics:
        theirs = example(f"WS_private_{topic}__ws_push")
        assert list(differences(found[topic], theirs, fields("/v5/order/realtime"))) == [], topic


def test_order_answers_have_the_documented_form(client: Signed) -> None:
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "1"}
    created = client.post("/v5/order/create-batch", category="linear", request=[good])
    theirs = example("POST_v5_order_create-batch__response")
    assert list(differences(created, theirs, frozenset())) == []
    cancelled = client.post("/v5/order/cancel-all", category="linear", symbol="BTCUSDT")
    assert list(differences(cancelled, example("POST_v5_order_cancel-all__response"), frozenset())) == []


def test_the_corpus_is_the_one_expected() -> None:
    assert len(list(Path(CORPUS / "examples").glob("*.json"))) > 300
