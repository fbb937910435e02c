"""The crypto loan: valuation, repayment, collateral, thresholds, and the truth about both LTVs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hedgelock_actors.simulator.api import (
    AccountSpec,
    AdjustLtv,
    Borrow,
    CollateralTier,
    InitialLoan,
    LoanEvent,
    LoanTerms,
    Repay,
    RepayCollateral,
    Transfer,
)
from hedgelock_actors.simulator.engine import Exchange
from hedgelock_actors.simulator.loan_value import inverse_tiered, tiered
from tests.unit.simulator.rig import UID, D, exchange, order, place, run, run_out

HOUR_MS = 3_600_000
DOC_TIERS = (
    CollateralTier(min_value=D(0), max_value=D(10000), ratio=D("0.8")),
    CollateralTier(min_value=D(10000), max_value=D(20000), ratio=D("0.7")),
    CollateralTier(min_value=D(20000), max_value=D(30000), ratio=D("0.5")),
    CollateralTier(min_value=D(30000), max_value=None, ratio=D("0.4")),
)


def borrower(ltv: str = "0.40", fund: str = "0", btc: str = "0", reserve: str = "0.35") -> AccountSpec:
    return AccountSpec(
        uid=UID,
        fund={"USDT": D(fund), "BTC": D(btc)},
        loan=InitialLoan(collateral={"BTC": D(10)}, ltv=D(ltv)),
        reserve_fraction=D(reserve),
    )


def lender(prices: list[float] | None = None, spec: AccountSpec | None = None, **changes: object) -> Exchange:
    return exchange(prices or [60000.0] * 60, accounts=[spec or borrower()], **changes)


def ltv(venue: Exchange) -> float:
    value = venue.loan(UID).ltv
    assert value is not None
    return float(value)


def test_the_initial_loan_has_the_asked_ltv_and_reserve() -> None:
    venue = lender()
    assert ltv(venue) == pytest.approx(0.40, abs=1e-6)
    debt = venue.loan(UID).total_debt
    assert venue.wallet(UID).total_equity == round(debt * D("0.35"), 2)


def test_collateral_is_valued_at_the_lower_of_last_and_index() -> None:
    venue = lender()
    ticker = venue.ticker("BTCUSDT")
    lower = min(ticker.last_price, ticker.index_price)
    assert venue.loan(UID).total_collateral == 10 * lower
    place(venue, order("Sell", "1"))
    assert venue.ticker("BTCUSDT").last_price < ticker.index_price
    assert venue.loan(UID).total_collateral == 10 * venue.ticker("BTCUSDT").last_price


def test_tiers_reproduce_the_venues_example() -> None:
    assert tiered(D(12757), DOC_TIERS) == D("9929.9")
    assert tiered(D(35000), DOC_TIERS) == 8000 + 7000 + 5000 + 2000


@pytest.mark.parametrize("value", ["0", "500", "10000", "12757", "29999", "100000"])
def test_the_inverse_of_the_tiers(value: str) -> None:
    assert inverse_tiered(tiered(D(value), DOC_TIERS), DOC_TIERS) == D(value)


def test_tiers_lower_the_collateral_value() -> None:
    venue = lender(loan=LoanTerms(collateral_tiers={"BTC": DOC_TIERS}))
    full = 10 * min(venue.ticker("BTCUSDT").last_price, venue.ticker("BTCUSDT").index_price)
    assert venue.loan(UID).total_collateral == 20000 + (full - 30000) * D("0.4")
    assert ltv(venue) == pytest.approx(0.40, abs=1e-6)


def test_interest_accrues_every_hour_and_is_repaid_first() -> None:
    venue = lender([60000.0] * 10, borrower(fund="5000"), step_ms=HOUR_MS // 2)
    start = venue.loan(UID).debts[0]
    run(venue, 2 * HOUR_MS + 10)
    grown = venue.loan(UID).debts[0]
    rate = D("0.0000057")
    assert grown.interest == pytest.approx(start.total * rate * 2, rel=D("0.0001"))
    assert grown.principal == start.total
    venue.request(UID, Repay(loan_currency="USDT", amount=D(1000)), venue.now_ms)
    run(venue, 100)
    after = venue.loan(UID).debts[0]
    assert (after.interest, after.total) == (0, grown.total - 1000)
    assert after.principal == grown.principal - (1000 - grown.interest)


def test_repayment_is_processed_and_recorded() -> None:
    venue = lender(spec=borrower(fund="5000"))
    before = venue.loan(UID).total_debt
    ack = venue.request(UID, Repay(loan_currency="USDT", amount=D(5000)), venue.now_ms)
    assert ack.ret_code == 0
    assert [(r.status, r.repay_type) for r in venue.repay_history(UID)] == [(2, 1)]
    assert venue.transferable(UID, "FUND", "USDT").wallet_balance == 0
    run(venue, 100)
    record = venue.repay_history(UID)[0]
    assert (record.repay_id, record.status, record.amount) == (ack.result["repayId"], 1, 5000)
    assert venue.loan(UID).total_debt == before - 5000
    assert venue.report(UID)["repaid_usdt"] == 5000


@pytest.mark.parametrize(
    ("amount", "fund", "code"),
    [("1", "0", 148029), ("300000", "400000", 148038), ("0", "5", 148001), ("-5", "5", 148001)],
)
def test_repayments_that_cannot_be(amount: str, fund: str, code: int) -> None:
    venue = lender(spec=borrower(fund=fund))
    assert venue.request(UID, Repay(loan_currency="USDT", amount=D(amount)), venue.now_ms).ret_code == code


def test_full_repayment_frees_the_collateral() -> None:
    venue = lender(spec=borrower(fund="300000"))
    venue.request(UID, Repay(loan_currency="USDT", amount=venue.loan(UID).total_debt), venue.now_ms)
    run(venue, 100)
    assert (venue.loan(UID).total_debt, ltv(venue)) == (0, 0)
    assert [b.status for b in venue.borrow_history(UID)] == [1]
    assert venue.max_collateral_reduction(UID, "BTC") == 10
    venue.request(UID, AdjustLtv(currency="BTC", amount=D(10), direction="1"), venue.now_ms)
    run(venue, 1000)
    assert venue.transferable(UID, "FUND", "BTC").wallet_balance == 10
    assert venue.loan(UID).collaterals == ()


def test_repaying_with_collateral() -> None:
    venue = lender()
    before = venue.loan(UID)
    command = RepayCollateral(loan_currency="USDT", collateral_coin="BTC", amount=D(60000))
    assert venue.request(UID, command, venue.now_ms).ret_code == 0
    after = venue.loan(UID)
    assert after.total_debt == before.total_debt - 60000
    assert after.collaterals[0].amount == pytest.approx(D(9), rel=D("0.001"))
    assert venue.repay_history(UID)[0].repay_type == 7
    much = replace(command, amount=D(300001))
    assert venue.request(UID, much, venue.now_ms).ret_code == 148038


def test_adding_collateral_is_asynchronous() -> None:
    venue = lender(spec=borrower(btc="2"))
    ack = venue.request(UID, AdjustLtv(currency="BTC", amount=D(2), direction="0"), venue.now_ms)
    assert venue.adjust_history(UID)[0].status == 2
    busy = venue.request(UID, AdjustLtv(currency="BTC", amount=D(1), direction="1"), venue.now_ms)
    assert busy.ret_code == 148019
    run(venue, 500)
    record = venue.adjust_history(UID)[0]
    assert (record.adjust_id, record.status, record.direction) == (ack.result["adjustId"], 1, 0)
    assert record.after_ltv < record.pre_ltv
    assert venue.loan(UID).collaterals[0].amount == 12


def test_a_failed_adjustment_gives_the_coin_back() -> None:
    venue = lender(spec=borrower(btc="2"))
    venue.faults.adjust_fails = True
    venue.request(UID, AdjustLtv(currency="BTC", amount=D(2), direction="0"), venue.now_ms)
    run(venue, 500)
    assert venue.adjust_history(UID)[0].status == 3
    assert venue.transferable(UID, "FUND", "BTC").wallet_balance == 2
    assert venue.loan(UID).collaterals[0].amount == 10


def test_reducing_collateral_is_capped() -> None:
    venue = lender()
    most = venue.max_collateral_reduction(UID, "BTC")
    over = AdjustLtv(currency="BTC", amount=most + D("0.00000001"), direction="1")
    assert venue.request(UID, over, venue.now_ms).ret_code == 148037
    assert venue.request(UID, replace(over, amount=most), venue.now_ms).ret_code == 0
    run(venue, 500)
    assert ltv(venue) == pytest.approx(0.85, abs=1e-4)


def test_the_platforms_collateral_limit_refuses_more() -> None:
    venue = lender(spec=borrower(btc="2"))
    venue.faults.col_res = "2"
    assert venue.loan(UID).col_res == "2"
    ack = venue.request(UID, AdjustLtv(currency="BTC", amount=D(1), direction="0"), venue.now_ms)
    assert ack.ret_code == 148048


def test_borrowing_stops_at_the_initial_ltv() -> None:
    venue = lender(spec=borrower(btc="1"))
    most = venue.max_loan(UID, "USDT")
    assert venue.request(UID, Borrow(loan_currency="USDT", loan_amount=most + 1), venue.now_ms).ret_code == 148009
    more = venue.max_loan(UID, "USDT", (("BTC", D(1)),))
    assert more > most
    assert venue.request(UID, Borrow(loan_currency="USDT", loan_amount=most), venue.now_ms).ret_code == 0
    assert ltv(venue) == pytest.approx(0.80, abs=1e-6)
    assert venue.transferable(UID, "FUND", "USDT").wallet_balance == most
    lacking = Borrow(loan_currency="USDT", loan_amount=D(1), collateral=(("BTC", D(2)),))
    assert venue.request(UID, lacking, venue.now_ms).ret_code == 148012


def test_margin_call_recovery_and_liquidation() -> None:
    prices = [60000.0, 60000.0, 28000.0, 30000.0, 25000.0, 25000.0, 25000.0]
    venue = lender(prices)
    kinds = [event.kind for event in run_out(venue).of(LoanEvent)]
    assert kinds == ["margin_call", "recovered", "liquidated"]
    report = venue.report(UID)
    assert (report["loan_liquidated"], report["margin_calls"]) == (True, 1)
    assert venue.loan(UID).total_debt == 0
    assert venue.repay_history(UID)[0].repay_type == 2
    left = venue.transferable(UID, "FUND", "BTC").wallet_balance
    debt = D(str(report["start_debt_usdt"]))
    assert float(left) == pytest.approx(10 - float(debt) * 1.02 / 25000, abs=0.01)


def test_a_fall_through_everything_leaves_the_loss_with_the_lender() -> None:
    venue = lender([60000.0, 60000.0, 20000.0, 20000.0])
    run_out(venue)
    assert venue.loan(UID).total_debt == 0
    assert venue.loan(UID).collaterals == ()
    assert venue.transferable(UID, "FUND", "BTC").wallet_balance == 0


def test_a_hedge_gain_lowers_the_net_ltv_and_not_the_lenders() -> None:
    venue = lender([60000.0] * 3 + [42000.0] * 10)
    place(venue, order("Sell", "4"))
    run(venue, 4000)
    report = venue.report(UID)
    debt, value = float(venue.loan(UID).total_debt), float(venue.loan(UID).total_collateral)
    assert report["end_lender_ltv"] == pytest.approx(debt / value)
    gain = float(str(report["hedge_pnl_usdt"]))
    assert gain > 70000
    assert report["end_net_ltv"] == pytest.approx((debt - gain) / value, abs=1e-6)
    assert float(str(report["max_lender_ltv"])) > 0.56


def test_own_cash_repaid_lowers_both_ltvs_by_as_much() -> None:
    venue = lender()
    run(venue, 1500)
    before = venue.report(UID)
    sweep(venue, 50000)
    for _ in range(4):
        run(venue, 1000)
    after = venue.report(UID)
    fall = float(str(before["end_lender_ltv"])) - float(str(after["end_lender_ltv"]))
    assert fall > 0.08
    assert float(str(before["end_net_ltv"])) - float(str(after["end_net_ltv"])) == pytest.approx(fall, abs=1e-4)


def test_profit_repaid_lowers_the_lenders_ltv_and_leaves_the_net_ltv_where_it_is() -> None:
    venue = lender([60000.0] * 3 + [42000.0] * 20)
    place(venue, order("Sell", "4"))
    run(venue, 4000)
    before = venue.report(UID)
    sweep(venue, 50000)
    for _ in range(4):
        run(venue, 1000)
    after = venue.report(UID)
    assert float(str(after["end_lender_ltv"])) < float(str(before["end_lender_ltv"])) - 0.1
    assert after["end_net_ltv"] == pytest.approx(before["end_net_ltv"], abs=1e-3)


def sweep(venue: Exchange, usdt: int) -> None:
    cash = D(usdt)
    out = Transfer(transfer_id="s", coin="USDT", amount=cash, from_account="UNIFIED", to_account="FUND")
    assert venue.request(UID, out, venue.now_ms).ret_code == 0
    assert venue.request(UID, Repay(loan_currency="USDT", amount=cash), venue.now_ms).ret_code == 0
