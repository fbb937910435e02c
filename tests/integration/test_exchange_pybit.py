"""A stock pybit client against the exchange process: only the base URL is changed."""

from __future__ import annotations

import queue
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pybit._websocket_stream import _V5WebSocketManager
from pybit.exceptions import InvalidRequestError
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

from tests.integration.exchange_process import Running, eventually, exchange

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def venue() -> Iterator[Running]:
    with exchange() as running:
        yield running


@pytest.fixture
def http(venue: Running) -> HTTP:
    client = HTTP(api_key=venue.key, api_secret=venue.secret)
    client.endpoint = venue.rest
    client.client.trust_env = False
    return client


@pytest.fixture
def local(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybit.unified_trading.PUBLIC_WSS", venue.ws + "/v5/public/{CHANNEL_TYPE}")
    monkeypatch.setattr("pybit.unified_trading.PRIVATE_WSS", venue.ws + "/v5/private")
    monkeypatch.setattr("pybit._websocket_trading.TRADE_WSS", venue.ws + "/v5/trade")


def close(socket: _V5WebSocketManager) -> None:
    socket.exit()
    socket.wst.join(5)


def take(pushes: queue.Queue[Any], wanted: Any, timeout_s: float = 8.0) -> Any:
    """The first pushed row that `wanted` accepts."""
    while True:
        message = pushes.get(timeout=timeout_s)
        for row in message["data"]:
            if wanted(row):
                return row


def link() -> str:
    return f"t-{uuid.uuid4().hex[:20]}"


def test_the_life_of_an_order_over_rest(http: HTTP) -> None:
    ticker = http.get_tickers(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    price = str(round(float(ticker["lastPrice"]) * 0.995, 1))
    link_id = link()
    placed = http.place_order(
        category="linear", symbol="BTCUSDT", side="Buy", orderType="Limit", qty="0.01", price=price, orderLinkId=link_id
    )
    order_id = placed["result"]["orderId"]
    assert placed["result"]["orderLinkId"] == link_id

    def shown() -> Any:
        return http.get_open_orders(category="linear", symbol="BTCUSDT", orderId=order_id)["result"]["list"]

    assert eventually(lambda: shown() and shown()[0]["orderStatus"] == "New")
    amended = http.amend_order(category="linear", symbol="BTCUSDT", orderLinkId=link_id, qty="0.02")
    assert amended["result"]["orderId"] == order_id
    assert eventually(lambda: float(shown()[0]["qty"]) == 0.02)
    http.cancel_order(category="linear", symbol="BTCUSDT", orderId=order_id)
    assert eventually(lambda: shown()[0]["orderStatus"] == "Cancelled")
    with pytest.raises(InvalidRequestError) as late:
        http.cancel_order(category="linear", symbol="BTCUSDT", orderId=order_id)
    assert late.value.status_code == 110001


def test_a_link_id_is_used_once(http: HTTP) -> None:
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Sell", "orderType": "Market", "qty": "0.001"}
    link_id = link()
    http.place_order(**order, orderLinkId=link_id)
    with pytest.raises(InvalidRequestError) as again:
        http.place_order(**order, orderLinkId=link_id)
    assert again.value.status_code == 110072


def test_batches_answer_per_order(http: HTTP) -> None:
    ticker = http.get_tickers(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    price = str(round(float(ticker["lastPrice"]) * 0.995, 1))
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    answer = http.place_batch_order(
        category="linear", request=[{**good, "orderLinkId": link()}, {**good, "qty": "0.00001", "orderLinkId": link()}]
    )
    codes = [item["code"] for item in answer["retExtInfo"]["list"]]
    assert codes[0] == 0
    assert codes[1] == 10001
    assert answer["result"]["list"][0]["orderId"]
    cancelled = http.cancel_all_orders(category="linear", symbol="BTCUSDT")
    assert answer["result"]["list"][0]["orderId"] in [row["orderId"] for row in cancelled["result"]["list"]]


def test_the_private_stream_tells_of_orders_executions_position_and_wallet(
    venue: Running, http: HTTP, local: None
) -> None:
    socket = WebSocket(testnet=False, channel_type="private", api_key=venue.key, api_secret=venue.secret)
    try:
        pushes = {name: queue.Queue[Any]() for name in ("order", "execution", "position", "wallet")}
        socket.order_stream(pushes["order"].put)
        socket.execution_stream(pushes["execution"].put)
        socket.position_stream(pushes["position"].put)
        socket.wallet_stream(pushes["wallet"].put)
        venue.heard(*pushes)
        link_id = link()
        order_id = http.place_order(
            category="linear", symbol="BTCUSDT", side="Sell", orderType="Market", qty="0.05", orderLinkId=link_id
        )["result"]["orderId"]
        filled = take(pushes["order"], lambda row: row["orderId"] == order_id and row["orderStatus"] == "Filled")
        assert filled["orderLinkId"] == link_id
        execution = take(pushes["execution"], lambda row: row["orderId"] == order_id)
        assert (execution["execType"], execution["side"], execution["isMaker"]) == ("Trade", "Sell", False)
        assert take(pushes["position"], lambda row: row["symbol"] == "BTCUSDT" and float(row["size"]) >= 0.05)
        assert take(pushes["wallet"], lambda row: row["coin"] and row["coin"][0]["coin"] == "USDT")
        position = http.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"][0]
        assert position["side"] == "Sell"
    finally:
        close(socket)


def test_public_streams_feed_pybits_own_book_and_ticker(local: None) -> None:
    socket = WebSocket(testnet=False, channel_type="linear")
    try:
        books, tickers, trades = queue.Queue[Any](), queue.Queue[Any](), queue.Queue[Any]()
        socket.orderbook_stream(50, "BTCUSDT", books.put)
        socket.ticker_stream("BTCUSDT", tickers.put)
        socket.trade_stream("BTCUSDT", trades.put)
        for _ in range(3):
            book = books.get(timeout=8)["data"]
            assert float(min(book["a"], key=lambda row: float(row[0]))[0]) > float(
                max(book["b"], key=lambda row: float(row[0]))[0]
            )
            ticker = tickers.get(timeout=8)["data"]
            assert float(ticker["markPrice"]) > 0
            assert float(ticker["bid1Price"]) < float(ticker["ask1Price"])
        assert trades.get(timeout=8)["data"][0]["s"] == "BTCUSDT"
    finally:
        close(socket)


def test_the_trade_socket_places_amends_and_cancels(venue: Running, http: HTTP, local: None) -> None:
    price = str(
        round(float(http.get_tickers(category="linear", symbol="ETHUSDT")["result"]["list"][0]["lastPrice"]) * 0.995, 2)
    )
    socket = WebSocketTrading(testnet=False, api_key=venue.key, api_secret=venue.secret)
    try:
        answers: queue.Queue[Any] = queue.Queue()
        names = {"category": "linear", "symbol": "ETHUSDT"}
        socket.place_order(answers.put, **names, side="Buy", orderType="Limit", qty="0.1", price=price)
        placed = answers.get(timeout=8)
        assert (placed["retCode"], placed["op"]) == (0, "order.create")
        assert int(placed["header"]["X-Bapi-Limit"]) == 10
        order_id = placed["data"]["orderId"]
        eventually(lambda: http.get_open_orders(**names, orderId=order_id)["result"]["list"][0]["orderStatus"] == "New")
        socket.amend_order(answers.put, **names, orderId=order_id, qty="0.2")
        assert answers.get(timeout=8)["retCode"] == 0
        socket.cancel_order(answers.put, **names, orderId=order_id)
        assert answers.get(timeout=8)["retCode"] == 0
        eventually(
            lambda: http.get_open_orders(**names, orderId=order_id)["result"]["list"][0]["orderStatus"] == "Cancelled"
        )
    finally:
        close(socket)


def test_the_loan_and_the_wallets(http: HTTP) -> None:
    loan = http.get_position_new_crypto_loan()["result"]
    assert float(loan["ltv"]) == pytest.approx(0.40, abs=0.02)
    assert loan["borrowList"][0]["loanCurrency"] == "USDT"
    transfer_id = str(uuid.uuid4())
    moved = http.create_internal_transfer(
        transferId=transfer_id, coin="USDT", amount="1000", fromAccountType="UNIFIED", toAccountType="FUND"
    )
    assert moved["result"]["transferId"] == transfer_id
    eventually(
        lambda: http.get_internal_transfer_records(transferId=transfer_id)["result"]["list"][0]["status"] == "SUCCESS"
    )
    with pytest.raises(InvalidRequestError) as again:
        http.create_internal_transfer(
            transferId=transfer_id, coin="USDT", amount="1000", fromAccountType="UNIFIED", toAccountType="FUND"
        )
    assert again.value.status_code == 131214
    repaid = http.repay_flexible_crypto_loan(loanCurrency="USDT", amount="1000")
    repay_id = repaid["result"]["repayId"]
    eventually(
        lambda: (
            http.get_repayment_history_flexible_crypto_loan(repayId=repay_id)["result"]["list"][0]["repayStatus"] == 1
        )
    )
    after = http.get_position_new_crypto_loan()["result"]
    assert float(after["totalDebt"]) == pytest.approx(float(loan["totalDebt"]) - 1000, abs=1)
