"""The venue's JSON becomes values, or a typed refusal; never a wrong number."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.adapters.bybit import codec, loans
from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.fields import BadData
from hedgelock_actors.domain.order import OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from hedgelock_actors.ports.venue import VenueError
from tests.unit.bybit.fake_venue import NOW_MS, execution_row, order_row

Example = Callable[[str], Any]


@pytest.fixture
def example(shared_file: Callable[[str], Path]) -> Example:
    """A message of the venue's own documentation."""
    return lambda name: json.loads(shared_file(f"bybit/examples/{name}.json").read_text(encoding="utf-8"))


# ------------------------------------------------------------------ the documentation's own messages


def test_documented_order_of_realtime(example: Example) -> None:
    view = codec.order(example("GET_v5_order_realtime__response")["result"]["list"][0])
    assert (view.status, view.side, view.qty, view.leaves_qty) == (
        OrderStatus.NEW,
        Side.BUY,
        Decimal("0.10"),
        Decimal("0.10"),
    )
    assert view.order_link_id == "test-000005"
    # The fee was paid in another coin: cumExecFee stands, the other coin's number is not USDT.
    assert view.cum_fee == 0


def test_documented_order_push(example: Example) -> None:
    view = codec.order(example("WS_private_order__ws_push")["data"][0])
    assert (view.status, view.cum_qty, view.cum_fee) == (OrderStatus.FILLED, Decimal(1), Decimal("0.358635"))
    assert view.leaves_qty == 0


def test_documented_execution_push(example: Example) -> None:
    execution = codec.execution(example("WS_private_execution__ws_push")["data"][0])
    assert execution.fee == Decimal("26.3725275")
    assert (execution.side, execution.qty, execution.closed_size) == (Side.SELL, Decimal("0.5"), Decimal("0.5"))
    assert execution.ts_ms == 1746270400353


def test_documented_execution_list(example: Example) -> None:
    execution = codec.execution(example("GET_v5_execution_list__response")["result"]["list"][0])
    assert (execution.price, execution.closed_size) == (Decimal("1190.15"), 0)


def test_documented_positions(example: Example) -> None:
    listed = codec.position(example("GET_v5_position_list__response")["result"]["list"][0], NOW_MS)
    assert (listed.signed_qty, listed.entry_price) == (Decimal(-300), Decimal("27464.50441675"))
    assert listed.liquidation_price is None
    pushed = codec.position(example("WS_private_position__ws_push")["data"][0], NOW_MS)
    assert (pushed.signed_qty, pushed.entry_price) == (0, 0)


def test_documented_wallets(example: Example) -> None:
    push = example("WS_private_wallet__ws_push")["data"][0]
    assert codec.wallet(push, NOW_MS, complete=False) is None  # it names BTC only: USDT did not change
    whole = codec.wallet(push, NOW_MS, complete=True)
    assert whole is not None
    assert (whole.wallet_usdt, whole.available_usdt) == (0, Decimal("9556.6056555"))


def test_documented_instrument(example: Example) -> None:
    found = codec.instrument(example("GET_v5_market_instruments-info__response__linear")["result"]["list"][0])
    assert (found.tick_size, found.qty_step, found.max_qty) == (Decimal("0.10"), Decimal("0.001"), Decimal("1190.000"))
    assert (found.funding_interval_min, found.min_notional) == (480, Decimal(5))


def test_documented_loan_is_refused_for_its_many_coins(example: Example) -> None:
    result = example("GET_v5_crypto-loan-common_position__response")["result"]
    with pytest.raises(VenueError, match="BTC, ETH, USDT, USDC"):
        loans.pledged_coin(result)
    with pytest.raises(VenueError, match="only USDT"):
        loans.usdt_debt(result)


# ------------------------------------------------------------------ orders


@pytest.mark.parametrize(("named", "status"), sorted(codec.STATUSES.items()))
def test_every_documented_status_is_known(named: str, status: OrderStatus) -> None:
    assert codec.order(order_row(orderStatus=named)).status is status
    assert not status.of_outcome


def test_a_cancelled_order_may_carry_fills() -> None:
    view = codec.order(order_row(orderStatus="Cancelled", cumExecQty="0.2", leavesQty="0"))
    assert (view.status, view.cum_qty, view.leaves_qty) == (OrderStatus.CANCELLED, Decimal("0.2"), 0)


@pytest.mark.parametrize(
    ("detail", "fee"),
    [
        ({"USDT": "6.6"}, "6.6"),
        ({"USDT": "-1.2", "USDC": "0.2"}, "-1.0"),
        ({"MNT": "0.002"}, "9.9"),
        ({}, "9.9"),
        (None, "9.9"),
    ],
)
def test_fees_are_usdt(detail: object, fee: str) -> None:
    assert codec.order_fee({"cumFeeDetail": detail, "cumExecFee": "9.9"}) == Decimal(fee)


@pytest.mark.parametrize(
    "changes",
    [
        {"orderStatus": "Brandnew"},
        {"side": "Short"},
        {"side": None},
        {"qty": "NaN"},
        {"qty": "-1"},
        {"qty": "Infinity"},
        {"qty": 0.5},
        {"qty": True},
        {"qty": ""},
        {"qty": "1e99"},
        {"cumExecQty": "0.6"},
        {"orderId": ""},
        {"updatedTime": "0"},
        {"updatedTime": "soon"},
        {"reduceOnly": "false"},
    ],
)
def test_an_impossible_order_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadData) as caught:
        codec.order(order_row(**changes))
    assert caught.value.field in changes


# ------------------------------------------------------------------ executions


@pytest.mark.parametrize("kind", ["Trade", "Funding", "BustTrade", "AdlTrade", "Settle", "Delivery"])
def test_executions_of_every_kind(kind: str) -> None:
    execution = codec.execution(execution_row(execType=kind, orderLinkId="", execFee="-1.5"))
    assert (execution.exec_type, execution.fee) == (kind, Decimal("-1.5"))
    assert execution.is_funding is (kind == "Funding")


@pytest.mark.parametrize(("coin", "fee"), [("", "33"), ("USDT", "33"), ("USDC", "33"), ("MNT", "0"), ("BTC", "0")])
def test_f40_a_fee_in_another_coin_is_no_number_of_usdt(coin: str, fee: str) -> None:
    assert codec.execution(execution_row(execFee="33", feeCurrency=coin)).fee == Decimal(fee)


def test_f40_a_fee_in_another_coin_must_be_a_number_all_the_same() -> None:
    with pytest.raises(BadData, match="execFee"):
        codec.execution(execution_row(execFee="NaN", feeCurrency="MNT"))


@pytest.mark.parametrize(
    "changes",
    [
        {"execPrice": "0"},
        {"execPrice": "nan"},
        {"execPrice": "-5"},
        {"execPrice": "1e12"},
        {"execQty": "-0.1"},
        {"execId": None},
        {"execTime": "12"},
        {"execFee": "x"},
    ],
)
def test_an_impossible_execution_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadData) as caught:
        codec.execution(execution_row(**changes))
    assert caught.value.field in changes


# ------------------------------------------------------------------ position, wallet, requests


def test_a_position_has_a_side_when_it_has_a_size() -> None:
    row = {"symbol": "BTCUSDT", "side": "", "size": "0.5", "avgPrice": "60000", "liqPrice": ""}
    with pytest.raises(BadData, match="side"):
        codec.position(row, NOW_MS)
    assert codec.position({**row, "side": "Sell"}, NOW_MS).signed_qty == Decimal("-0.5")
    with pytest.raises(BadData, match="avgPrice"):
        codec.position({**row, "side": "Buy", "avgPrice": "0"}, NOW_MS)


def test_a_wallet_without_its_numbers_is_refused() -> None:
    coin = [{"coin": "USDT", "walletBalance": "10"}]
    with pytest.raises(BadData, match="totalMarginBalance"):
        codec.wallet({"coin": coin, "totalMarginBalance": ""}, NOW_MS, complete=True)


def test_a_request_is_made_of_plain_decimal_texts() -> None:
    order = OrderRequest(
        account="main",
        symbol="BTCUSDT",
        side=Side.SELL,
        qty=Decimal("1E-3"),
        order_type=OrderType.LIMIT,
        price=Decimal("6E+4"),
        time_in_force=TimeInForce.IOC,
        reduce_only=False,
        order_link_id="hl-abc",
        intent_id="i",
        attempt=0,
    )
    body = codec.create_params(order)
    assert (body["qty"], body["price"], body["side"]) == ("0.001", "60000", "Sell")
    assert (body["timeInForce"], body["positionIdx"], body["reduceOnly"]) == ("IOC", 0, False)


def test_a_market_order_is_sent_without_a_price() -> None:
    order = OrderRequest(
        account="main",
        symbol="BTCUSDT",
        side=Side.BUY,
        qty=Decimal(2),
        order_type=OrderType.MARKET,
        price=None,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        order_link_id="hl-abc",
        intent_id="i",
        attempt=4,
    )
    body = codec.create_params(order)
    assert (body["orderType"], body["timeInForce"], body["reduceOnly"]) == ("Market", "IOC", True)
    assert "price" not in body


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**12, places=8))
def test_plain_texts_keep_the_value_and_have_no_exponent(value: Decimal) -> None:
    shown = f.plain(value)
    assert Decimal(shown) == value
    assert "e" not in shown.lower()


@given(st.one_of(st.text(max_size=12), st.floats(), st.none(), st.booleans(), st.lists(st.integers())))
def test_whatever_is_read_is_finite_or_refused(value: object) -> None:
    try:
        found = f.decimal(value, "x")
    except BadData:
        return
    assert found.is_finite()
