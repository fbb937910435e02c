"""Refusals, limits, control frames: what a client gets who does not behave."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from tests.integration.exchange_process import Running, Signed, command, eventually, exchange, launch, stop

pytestmark = pytest.mark.integration
ORDER = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "1000"}
LOANS = "/v5/crypto-loan-common/position"


@pytest.fixture(scope="module")
def venue() -> Iterator[Running]:
    with exchange("--accounts", "60") as running:
        yield running


@pytest.fixture
def account(venue: Running) -> Running:
    """An account that no test before has used, so that its limits are fresh."""
    return replace(venue, accounts=[venue.accounts.pop()])


@pytest.fixture
def client(account: Running) -> Iterator[Signed]:
    signed = Signed(account)
    yield signed
    signed.close()


def test_a_wrong_signature_tells_what_was_hashed(client: Signed) -> None:
    answer = client.get_raw(LOANS, secret="wrong").json()
    assert answer["retCode"] == 10004
    assert answer["retMsg"].startswith("error sign! origin_string[")
    tampered = client.headers('{"a":1}')
    assert client.post_raw("/v5/order/create", {"a": 1}, secret="wrong").json()["retCode"] == 10004
    assert tampered["X-BAPI-SIGN"]


def test_a_body_changed_on_the_way_is_refused(venue: Running, client: Signed) -> None:
    headers = client.headers(json.dumps(ORDER))
    answer = requests.post(
        venue.rest + "/v5/order/create", data=json.dumps(ORDER | {"qty": "9"}), headers=headers, timeout=10
    )
    assert answer.json()["retCode"] == 10004


def test_an_old_request_is_refused_unless_its_window_allows_it(client: Signed) -> None:
    old = time.time_ns() // 1_000_000 - 8_000
    answer = client.get_raw(LOANS, stamp=old).json()
    assert answer["retCode"] == 10002
    assert f"req_timestamp[{old}]" in answer["retMsg"]
    assert client.get_raw(LOANS, stamp=old, window=10_000).json()["retCode"] == 0
    assert client.get_raw(LOANS, stamp=old + 10_000).json()["retCode"] == 10002, "two seconds in the future"


def test_an_unknown_key_is_refused(venue: Running) -> None:
    answer = requests.get(venue.rest + LOANS, headers={"X-BAPI-API-KEY": "nobody"}, timeout=10).json()
    assert (answer["retCode"], answer["retMsg"]) == (10003, "API key is invalid.")


def test_limits_are_per_account_and_second_with_their_headers(venue: Running, client: Signed) -> None:
    answers = [client.get_raw(LOANS) for _ in range(6)]
    assert [answer.json()["retCode"] for answer in answers] == [0, 0, 0, 0, 0, 10006]
    assert [answer.headers["X-Bapi-Limit-Status"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert {answer.headers["X-Bapi-Limit"] for answer in answers} == {"5"}
    limited = answers[-1]
    assert 0 < int(limited.headers["X-Bapi-Limit-Reset-Timestamp"]) - limited.json()["time"] <= 1000
    other = Signed(venue)
    assert other.get_raw(LOANS).json()["retCode"] == 0
    other.close()
    assert eventually(lambda: client.get_raw(LOANS).json()["retCode"] == 0)


def test_a_batch_spends_the_limit_per_order(client: Signed) -> None:
    orders = [{**ORDER, "orderLinkId": uuid.uuid4().hex} for _ in range(12)]
    answer = client.post("/v5/order/create-batch", category="linear", request=orders)
    assert [item["code"] for item in answer["retExtInfo"]["list"]].count(10006) == 2
    assert client.post("/v5/order/create-batch", category="linear", request=orders * 2)["retCode"] == 10006


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": "NOPEUSDT"}, 10001),
        ({"side": "Hold"}, 10001),
        ({"qty": "many"}, 10001),
        ({"qty": "NaN"}, 10001),
        ({"qty": "-1"}, 10001),
        ({"qty": ""}, 10001),
        ({"price": "Infinity"}, 10001),
        ({"orderType": "Peg"}, 10001),
        ({"timeInForce": "LATER"}, 10001),
        ({"category": "option"}, 10001),
        ({"category": "nonsense"}, 10001),
        ({"positionIdx": 1}, 10001),
        ({"reduceOnly": "perhaps"}, 10001),
        ({"orderLinkId": "x" * 37}, 10001),
    ],
)
def test_nonsense_orders_are_refused(client: Signed, change: dict[str, object], code: int) -> None:
    answer = client.post("/v5/order/create", **ORDER | change)
    assert answer["retCode"] == code, answer
    assert answer["retMsg"]


def test_unknown_paths_and_untraded_products_say_so(venue: Running, client: Signed) -> None:
    assert client.get("/v5/no/such")["retCode"] == 10404
    for path in (
        "/v5/crypto-loan-fixed/borrow-order-info",
        "/v5/crypto-loan/ongoing-orders",
        "/v5/ins-loan/ltv-convert",
    ):
        answer = client.get(path)
        assert answer["retCode"] == 10001
        assert "not offered" in answer["retMsg"]
    body = requests.get(venue.rest + "/v5/market/time", json={"a": 1}, timeout=10)
    assert body.status_code == 403


def test_an_address_over_its_limit_is_shut_out() -> None:
    with exchange("--ip-limit", "20") as running:
        codes = [requests.get(running.rest + "/v5/market/time", timeout=10).status_code for _ in range(25)]
        assert codes == [200] * 20 + [403] * 5


# --------------------------------------------------------------------------- sockets


@asynccontextmanager
async def connect(venue: Running, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws + path) as socket:
        yield socket


def auth(venue: Running, secret: str = "") -> dict[str, object]:
    expires = time.time_ns() // 1_000_000 + 5_000
    signature = hmac.new(
        (secret or venue.secret).encode(), f"GET/realtime{expires}".encode(), hashlib.sha256
    ).hexdigest()
    return {"op": "auth", "args": [venue.key, expires, signature]}


async def control(socket: aiohttp.ClientWebSocketResponse, frame: Any) -> Any:
    """Send a frame and return the next answer that is no push."""
    await (socket.send_str(frame) if isinstance(frame, str) else socket.send_json(frame))
    while True:
        answer = await socket.receive_json(timeout=5)
        if "topic" not in answer:
            return answer


async def test_public_control_frames(venue: Running) -> None:
    async with connect(venue, "/v5/public/linear") as socket:
        good = await control(socket, {"op": "subscribe", "req_id": "a", "args": ["tickers.BTCUSDT"]})
        assert list(good) == ["success", "ret_msg", "conn_id", "req_id", "op"]
        assert (good["success"], good["req_id"], good["op"]) == (True, "a", "subscribe")
        bad = await control(socket, {"op": "subscribe", "args": ["tickers.ETHUSDT", "tickers.btcusdt"]})
        assert bad["ret_msg"] == "error:handler not found,topic:tickers.btcusdt"
        again = await control(socket, {"op": "subscribe", "args": ["tickers.BTCUSDT"]})
        assert again["ret_msg"] == "error:already subscribed,topic:tickers.BTCUSDT"
        whole = await control(socket, {"op": "subscribe", "req_id": 7, "args": ["tickers.ETHUSDT"]})
        assert (whole["success"], whole["req_id"]) == (True, 7), "the bad batch subscribed nothing; ids keep their type"
        assert (await control(socket, {"op": "dance"}))["ret_msg"] == "error:invalid op"
        assert (await control(socket, "not json"))["ret_msg"].startswith("Failed to decode incoming data")
        pong = await control(socket, {"op": "ping", "req_id": "p"})
        assert (pong["ret_msg"], pong["op"], pong["req_id"]) == ("pong", "ping", "p")
        assert (await control(socket, {"op": "unsubscribe", "args": ["tickers.ETHUSDT"]}))["success"] is True


async def test_spot_takes_ten_topics_at_once(venue: Running) -> None:
    async with connect(venue, "/v5/public/spot") as socket:
        many = await control(socket, {"op": "subscribe", "args": ["tickers.BTCUSDT"] * 11})
        assert (many["success"], many["ret_msg"]) == (False, "args size >10")


async def test_ticker_and_book_begin_with_a_snapshot_and_go_on_with_changes(venue: Running) -> None:
    async with connect(venue, "/v5/public/linear") as socket:
        await socket.send_json(
            {"op": "subscribe", "args": ["tickers.BTCUSDT", "orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"]}
        )
        seen: dict[str, list[Any]] = {}
        while min((len(rows) for rows in seen.values()), default=0) < 3 or len(seen) < 3:
            message = await socket.receive_json(timeout=10)
            if "topic" in message:
                seen.setdefault(message["topic"], []).append(message)
    first, *rest = seen["tickers.BTCUSDT"]
    assert first["type"] == "snapshot"
    known = dict(first["data"])
    for message in rest:
        assert message["type"] == "delta"
        changed = {name for name, value in message["data"].items() if known[name] != value}
        assert changed == message["data"].keys() - {"symbol"}, "only what changed is sent"
        known |= message["data"]
    book = seen["orderbook.50.BTCUSDT"]
    assert [message["type"] for message in book] == ["snapshot", *["delta"] * (len(book) - 1)]
    numbers = [message["data"]["u"] for message in book]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {message["type"] for message in seen["orderbook.1.BTCUSDT"]} == {"snapshot"}


async def test_the_touch_is_repeated_after_three_seconds_with_the_same_number(tmp_path: Path) -> None:
    scenario = tmp_path / "slow.yaml"
    scenario.write_text(
        "name: slow\nstart_ms: 1767225600000\nstart_price: 60000\nnoise: 0.001\nvolume: 40\n"
        "waypoints:\n  - {minute: 60, price: 59000}\n"
    )
    with exchange("--speed", "10", "--ticks-per-minute", "4", "--scenario", str(scenario)) as running:
        async with connect(running, "/v5/public/linear") as socket:
            await socket.send_json({"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]})
            rows = [await socket.receive_json(timeout=5) for _ in range(8)]
    pushes = [(row["ts"], row["data"]["u"]) for row in rows if "topic" in row]
    repeated = [(then, now) for (then, u), (now, v) in pairwise(pushes) if u == v]
    assert repeated
    assert all(now - then >= 3_000 for then, now in repeated)


async def test_the_private_socket_wants_authentication_first(venue: Running) -> None:
    async with connect(venue, "/v5/private") as socket:
        assert (await control(socket, {"op": "subscribe", "args": ["order"]}))["success"] is False
        assert (await control(socket, auth(venue, secret="wrong")))["success"] is False
        assert (await control(socket, auth(venue)))["success"] is True
        assert (await control(socket, {"op": "subscribe", "args": ["order.linear", "nonsense"]}))["success"] is False
        assert (await control(socket, {"op": "subscribe", "args": ["order.linear", "execution.fast"]}))[
            "success"
        ] is True
        pong = await control(socket, {"op": "ping"})
        assert (pong["op"], len(pong["args"])) == ("pong", 1)


def trade(op: str, req_id: str, **order: object) -> dict[str, object]:
    header = {"X-BAPI-TIMESTAMP": str(time.time_ns() // 1_000_000)}
    return {"reqId": req_id, "header": header, "op": op, "args": [order]}


async def test_the_trade_socket_checks_ids_time_and_limits(account: Running, client: Signed) -> None:
    async with connect(account, "/v5/trade") as socket:
        assert (await control(socket, trade("order.create", "0", **ORDER)))["retCode"] == 10005
        assert (await control(socket, auth(account)))["retCode"] == 0
        placed = await control(socket, trade("order.create", "1", **ORDER))
        assert (placed["retCode"], placed["reqId"]) == (0, "1")
        assert placed["header"]["X-Bapi-Limit"] == "10"
        assert list(placed) == ["reqId", "retCode", "retMsg", "op", "data", "retExtInfo", "header", "connId"]
        assert (await control(socket, trade("order.create", "1", **ORDER)))["retCode"] == 20006
        late = trade("order.create", "2", **ORDER) | {"header": {"X-BAPI-TIMESTAMP": "1000"}}
        assert (await control(socket, late))["retCode"] == 10002
        assert (await control(socket, {"op": "order.dance", "reqId": "3"}))["retCode"] == 10404
        codes = [
            (await control(socket, trade("order.create", f"n{number}", **ORDER)))["retCode"] for number in range(11)
        ]
        assert 10006 in codes
        assert (await control(socket, {"op": "ping"}))["op"] == "pong"
    assert client.post("/v5/order/create", **ORDER)["retCode"] == 10006, "REST and socket share the limit"


# --------------------------------------------------------------------------- the process


def test_one_ready_line_and_a_clean_end_on_both_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        running = launch("--uid-base", "900001", "--accounts", "2", "--hold")
        assert [account["uid"] for account in running.accounts] == ["900001", "900002"]
        assert requests.get(running.rest + "/v5/market/time", timeout=10).status_code == 200
        running.process.send_signal(number)
        assert running.process.wait(10) == 0
        assert running.process.stdout is not None
        assert running.process.stdout.read() == b""
        stop(running.process)


def test_keys_differ_from_launch_to_launch_unless_seeded() -> None:
    runs = []
    for arguments in ((), (), ("--uid-base", "5"), ("--uid-base", "5")):
        with exchange("--hold", *arguments) as running:
            runs.append((running.uid, running.key, running.secret))
    assert runs[0] != runs[1]
    assert runs[2] == runs[3]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--speed", "0"), "--speed"),
        (("--prices", "/no/such/file"), "--prices"),
        (("--scenario", "/no/such/file"), "--scenario"),
        (("--accounts", "0"), "--accounts"),
        (("--ltv", "1.5"), "--ltv"),
        (("--prices", "a", "--scenario", "b"), "--prices"),
    ],
)
def test_options_without_sense_are_named(arguments: tuple[str, ...], named: str) -> None:
    done = subprocess.run(command(*arguments), capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert named in done.stderr.decode()
    assert done.stdout == b""


def test_the_exchange_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({command('--hold', '--die-with-parent')!r}, stdout=subprocess.PIPE)\n"
        "sys.stdout.write(child.stdout.readline().decode()); sys.stdout.flush()\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    url = json.loads(parent.stdout.readline())["rest"]
    assert requests.get(url + "/sim/clock", timeout=10).json()["state"] == "held"
    parent.kill()
    parent.wait()
    parent.stdout.close()

    def gone() -> bool:
        try:
            requests.get(url + "/sim/clock", timeout=1)
        except requests.ConnectionError:
            return True
        return False

    assert eventually(gone)
