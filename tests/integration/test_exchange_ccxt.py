"""A stock ccxt client against the exchange process: only the base URLs are replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tests.integration.exchange_process import Running, eventually, exchange

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ccxt.*"),
]
SYMBOL = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def venue() -> Iterator[Running]:
    with exchange() as running:
        yield running


def pointed(urls: Any, rest: str, ws: str) -> Any:
    """The client's own table of URLs with hosts exchanged for ours."""
    if isinstance(urls, dict):
        return {name: pointed(value, rest, ws) for name, value in urls.items()}
    if isinstance(urls, str) and urls.startswith("wss://"):
        return ws + "/" + urls.split("/", 3)[3]
    return rest if isinstance(urls, str) else urls


def settings(venue: Running) -> dict[str, Any]:
    return {
        "apiKey": venue.key,
        "secret": venue.secret,
        "enableRateLimit": False,
        "options": {"defaultType": "swap", "loadAllOptions": False},
    }


@pytest.fixture
async def client(venue: Running) -> AsyncIterator[Any]:
    exchange_client = ccxt.pro.bybit(settings(venue))
    exchange_client.urls["api"] = pointed(exchange_client.urls["api"], venue.rest, venue.ws)
    try:
        yield exchange_client
    finally:
        await exchange_client.close()


def test_the_synchronous_client_trades(venue: Running) -> None:
    client = ccxt.bybit(settings(venue))
    client.session.trust_env = False
    client.urls["api"] = pointed(client.urls["api"], venue.rest, venue.ws)
    markets = client.load_markets()
    assert markets[SYMBOL]["precision"]["price"] == 0.1
    last = client.fetch_ticker(SYMBOL)["last"]
    assert client.fetch_balance()["USDT"]["total"] > 0
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, round(last * 0.995, 1))
    assert eventually(lambda: client.fetch_open_orders(SYMBOL))[0]["id"] == order["id"]
    amended = client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, round(last * 0.994, 1))
    assert amended["id"] == order["id"]
    client.cancel_order(order["id"], SYMBOL)
    client.create_order(SYMBOL, "market", "sell", 0.01)
    assert eventually(lambda: client.fetch_my_trades(SYMBOL))[-1]["side"] == "sell"
    held = eventually(lambda: [row for row in client.fetch_positions([SYMBOL]) if row["contracts"]])
    assert held[0]["side"] == "short"
    assert client.fetch_order_book(SYMBOL)["bids"][0][0] < client.fetch_order_book(SYMBOL)["asks"][0][0]
    assert len(client.fetch_ohlcv(SYMBOL, "1m")) >= 1
    client.session.close()


async def follow(client: Any) -> None:
    """Watch for ever. Two updates in one breath wake a watcher once; both are in the client's own cache."""
    while True:
        await client.watch_orders(SYMBOL)


async def seen(client: Any, order_id: str, status: str, amount: float) -> Any:
    """The order as the client has it from its stream, once it is as expected."""
    async with asyncio.timeout(15):
        while True:
            for order in client.orders or []:
                if (order["id"], order["status"], order["amount"]) == (order_id, status, amount):
                    return order
            await asyncio.sleep(0.02)


async def test_the_streaming_client_watches_its_orders_from_placing_to_the_end(venue: Running, client: Any) -> None:
    await client.load_markets()
    watching = asyncio.create_task(follow(client))
    await asyncio.to_thread(venue.heard, "order")
    last = (await client.fetch_ticker(SYMBOL))["last"]
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, round(last * 0.995, 1))
    await seen(client, order["id"], "open", 0.01)
    await client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, round(last * 0.995, 1))
    await seen(client, order["id"], "open", 0.02)
    await client.cancel_order(order["id"], SYMBOL)
    await seen(client, order["id"], "canceled", 0.02)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_the_streaming_client_watches_book_and_ticker(client: Any) -> None:
    await client.load_markets()
    for _ in range(3):
        book = await asyncio.wait_for(client.watch_order_book(SYMBOL), 10)
        assert book["bids"][0][0] < book["asks"][0][0]
    ticker = await asyncio.wait_for(client.watch_ticker(SYMBOL), 10)
    assert ticker["bid"] < ticker["ask"]
