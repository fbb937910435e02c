"""Margin, funding, liquidation, transfers: the unified account."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from hedgelock_actors.simulator.api import AccountSpec, CancelOrder, FundingSchedule, Liquidation, Transfer
from hedgelock_actors.simulator.instruments import TIERS
from tests.unit.simulator.rig import T0, UID, D, account, exchange, found, order, place, run, run_out

HOUR_MS = 3_600_000


def move(amount: str, ident: str = "t1", source: str = "UNIFIED", target: str = "FUND", coin: str = "USDT") -> Transfer:
    return Transfer(transfer_id=ident, coin=coin, amount=D(amount), from_account=source, to_account=target)


def test_margin_is_taken_at_mark_with_a_closing_fee() -> None:
    venue = exchange()
    place(venue, order("Sell", "0.5"))
    position, wallet, mark = venue.position(UID, "BTCUSDT"), venue.wallet(UID), D("60000.00")
    value = mark * D("0.5")
    fee = value * D("0.00055")
    assert position.position_im == value / 10 + fee
    assert position.position_mm == value * D("0.005") + fee
    assert wallet.total_maintenance_margin == position.position_mm
    assert wallet.account_mm_rate == position.position_mm / wallet.total_margin_balance
    assert wallet.total_available_balance == wallet.total_margin_balance - position.position_im
    assert position.unrealised_pnl == (position.avg_price - mark) * D("0.5")


def test_the_liquidation_price_is_where_the_margin_rate_is_one() -> None:
    """F_liq = (M + hF₀) / (h(1+m+f)) for a short with margin M."""
    venue = exchange()
    place(venue, order("Sell", "1"))
    position, balance = venue.position(UID, "BTCUSDT"), venue.wallet(UID).coins[0].wallet_balance
    expected = (balance + position.avg_price) / (1 + D("0.005") + D("0.00055"))
    assert position.liq_price is not None
    assert abs(position.liq_price - expected) < D("0.01")


def test_tiers_make_the_maintenance_margin_continuous() -> None:
    for below, above in itertools.pairwise(TIERS):
        edge = below.limit_usdt
        assert edge * below.mm_rate - below.mm_deduction == edge * above.mm_rate - above.mm_deduction


def test_open_orders_take_margin_and_give_it_back() -> None:
    venue = exchange()
    order_id, _ = place(venue, order("Sell", "1", "60300"))
    state = venue.wallet(UID)
    assert state.total_initial_margin == 60300 * (D("0.1") + D("0.00055"))
    assert venue.request(UID, order("Sell", "1", "60300"), venue.now_ms).ret_code == 110007
    venue.request(UID, CancelOrder(symbol="BTCUSDT", order_id=order_id), venue.now_ms)
    run(venue, 20)
    assert venue.wallet(UID).total_initial_margin == 0
    assert venue.request(UID, order("Sell", "1", "60300"), venue.now_ms).ret_code == 0


def test_closing_needs_no_free_margin() -> None:
    venue = exchange([60000.0] * 3 + [63000.0] * 3, accounts=[account("6500")])
    place(venue, order("Sell", "1"))
    run(venue, 3500)
    assert venue.wallet(UID).total_available_balance == 0
    assert venue.request(UID, order("Sell", "0.01"), venue.now_ms).ret_code == 110007
    assert venue.request(UID, order("Buy", "1"), venue.now_ms).ret_code == 0


@pytest.mark.parametrize(("side", "rate"), [("Sell", "0.0001"), ("Buy", "0.0001"), ("Sell", "-0.002")])
def test_funding_is_settled_on_the_grid_with_the_rate_of_the_table(side: str, rate: str) -> None:
    due = T0 + 8 * HOUR_MS
    schedule = FundingSchedule(rates={due: D(rate)}, constant=D("0.0005"))
    venue = exchange([60000.0] * 18, step_ms=HOUR_MS, funding={"BTCUSDT": schedule})
    place(venue, order(side, "0.1"))
    before = venue.wallet(UID).coins[0].wallet_balance
    assert venue.ticker("BTCUSDT").funding_rate == D(rate)
    run(venue, 8 * HOUR_MS + 100)
    received = D(6000) * D(rate) * (1 if side == "Sell" else -1)
    assert venue.wallet(UID).coins[0].wallet_balance - before == received
    one = venue.executions(UID)[0]
    assert (one.exec_type, one.exec_fee, one.exec_price, one.side) == ("Funding", -received, 60000, side)
    record = venue.transactions(UID)[0]
    assert (record.type, record.funding, record.change) == ("SETTLEMENT", received, received)
    assert venue.report(UID)["funding_usdt"] == pytest.approx(float(received))
    assert [r.rate for r in venue.funding_history("BTCUSDT")] == [D(rate)]
    assert venue.ticker("BTCUSDT").funding_rate == D("0.0005")


def test_no_position_no_funding() -> None:
    venue = exchange([60000.0] * 18, step_ms=HOUR_MS)
    run_out(venue)
    assert venue.executions(UID) == []
    assert len(venue.funding_history("BTCUSDT")) == 2


def test_a_short_in_a_rally_is_liquidated_in_the_end() -> None:
    prices = [60000.0] * 3 + [60000.0 * (1 + 0.002 * k) for k in range(120)]
    venue = exchange(prices, accounts=[account("7000")])
    place(venue, order("Sell", "1"))
    resting, _ = place(venue, order("Buy", "0.1", "59500"))
    seen = run_out(venue)
    assert venue.position(UID, "BTCUSDT").size < 1
    assert found(venue, resting).cancel_type == "CancelByPrepareLiq"
    report = venue.report(UID)
    assert report["short_liquidated"] is True
    assert venue.wallet(UID).coins[0].wallet_balance >= 0
    assert {one.side for one in seen.of(Liquidation)} == {"Sell"}
    assert {one.create_type for one in venue.executions(UID)} >= {"CreateByUser", "CreateByLiq"}
    assert any(record.type == "LIQUIDATION" for record in venue.transactions(UID))
    assert report["orders"] == 2


def test_liquidation_goes_by_steps_and_stops_when_it_is_safe() -> None:
    prices = [60000.0] * 3 + [65000.0, 65600.0, 65600.0, 65600.0]
    venue = exchange(prices, accounts=[account("6000")])
    place(venue, order("Sell", "1"))
    run_out(venue)
    size = venue.position(UID, "BTCUSDT").size
    assert 0 < size < 1
    assert venue.wallet(UID).account_mm_rate < 1


def test_a_jump_over_the_bankruptcy_price_is_taken_over_and_insured() -> None:
    venue = exchange([60000.0] * 3 + [75000.0] * 3, accounts=[account("7000")])
    place(venue, order("Sell", "1"))
    run_out(venue)
    assert venue.position(UID, "BTCUSDT").size == 0
    last = venue.executions(UID)[0]
    assert (last.exec_type, last.create_type) == ("BustTrade", "CreateByTakeOver_PassThrough")
    assert venue.wallet(UID).coins[0].wallet_balance >= 0


def test_bitcoin_in_the_unified_wallet_is_margin_after_its_ratio() -> None:
    holder = AccountSpec(uid=UID, unified={"USDT": D(1000), "BTC": D(1)})
    venue = exchange(accounts=[holder])
    assert venue.wallet(UID).total_margin_balance == 1000 + D(60000) * D("0.85")
    assert venue.wallet(UID).total_equity == 61000
    place(venue, order("Sell", "1"))
    assert venue.wallet(UID).account_mm_rate < D("0.01")


def test_a_transfer_moves_money_once() -> None:
    venue = exchange()
    ack = venue.request(UID, move("1000"), venue.now_ms)
    assert (ack.ret_code, ack.result) == (0, {"transferId": "t1", "status": "SUCCESS"})
    again = venue.request(UID, move("1000"), venue.now_ms)
    assert (again.ret_code, again.ret_msg) == (131214, "TransferId exists")
    assert venue.transferable(UID, "FUND", "USDT").wallet_balance == 1000
    assert venue.transferable(UID, "UNIFIED", "USDT").wallet_balance == 9000
    assert [t.status for t in venue.transfers(UID)] == ["SUCCESS"]
    assert venue.transactions(UID)[0].type == "TRANSFER_OUT"
    back = venue.request(UID, move("1000.00000001", "t2", "FUND", "UNIFIED"), venue.now_ms)
    assert back.ret_code == 131212
    assert venue.request(UID, move("1000", "t3", "FUND", "UNIFIED"), venue.now_ms).ret_code == 0
    run_out(venue)


def test_margin_in_use_and_unrealised_gains_cannot_leave() -> None:
    venue = exchange([60000.0] * 3 + [50000.0] * 30)
    place(venue, order("Sell", "1"))
    run(venue, 3500)
    wallet = venue.wallet(UID)
    free = venue.transferable(UID, "UNIFIED", "USDT").transfer_balance
    assert free == wallet.coins[0].wallet_balance - wallet.total_initial_margin
    assert venue.request(UID, move(str(free + D("0.00000001"))), venue.now_ms).ret_code == 131228
    assert venue.request(UID, move("20000"), venue.now_ms).ret_code == 131212
    assert venue.request(UID, move(str(free), "t9"), venue.now_ms).ret_code == 0
    assert venue.transferable(UID, "UNIFIED", "USDT").transfer_balance == 0


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "0.000000001"])
def test_absurd_amounts_are_refused(amount: str) -> None:
    venue = exchange()
    assert venue.request(UID, move(amount), venue.now_ms).ret_code == 10001


def test_a_pending_transfer_arrives_later() -> None:
    venue = exchange()
    venue.faults.transfer_pending_ms = 5000
    assert venue.request(UID, move("1000"), venue.now_ms).result["status"] == "PENDING"
    assert venue.transferable(UID, "FUND", "USDT").wallet_balance == 0
    assert venue.transferable(UID, "UNIFIED", "USDT").wallet_balance == 9000
    run(venue, 5100)
    assert venue.transfers(UID)[0].status == "SUCCESS"
    assert venue.transferable(UID, "FUND", "USDT").wallet_balance == 1000


def test_closed_pnl_is_net_of_both_fees() -> None:
    venue = exchange([60000.0] * 3 + [59000.0] * 3)
    place(venue, order("Sell", "0.2"))
    run(venue, 3500)
    place(venue, order("Buy", "0.2"))
    record = venue.closed_pnl(UID)[0]
    gained = venue.wallet(UID).coins[0].wallet_balance - 10000
    assert (record.closed_size, record.side) == (D("0.2"), "Buy")
    assert abs(record.closed_pnl - gained) < D("0.0001")
    report = venue.report(UID)
    assert report["hedge_pnl_usdt"] == pytest.approx(float(gained))
    assert Decimal(str(report["realised_pnl_usdt"])) > gained
