"""The fold of executions, on a ledger worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hedgelock_actors.domain.errors import InvalidInput, InvariantBroken
from hedgelock_actors.domain.order import Side
from hedgelock_actors.domain.position import Execution, PositionFold
from tests.unit.domain.make import NOW, execution

D = Decimal
SELL, BUY = Side.SELL, Side.BUY
EMPTY = PositionFold("BTCUSDT")


def test_a_short_earns_in_a_fall() -> None:
    fold = EMPTY.apply_all(
        [
            execution("a", SELL, "1", "60000", fee="33", ts_ms=NOW),
            execution("b", SELL, "1", "50000", fee="27", ts_ms=NOW + 1),
            execution("f", SELL, "2", "50000", fee="-10", ts_ms=NOW + 2, exec_type="Funding"),
            execution("c", BUY, "0.5", "45000", fee="12", ts_ms=NOW + 3),
        ]
    )
    assert (fold.signed_qty, fold.short_qty, fold.entry_price) == (D("-1.5"), D("1.5"), D(55_000))
    assert fold.gross_pnl == D(5_000)
    assert (fold.fees, fold.funding) == (D(72), D(10))
    assert fold.realised_pnl == D(5_000) - 72 + 10
    assert fold.unrealised(D(50_000)) == D(7_500)


def test_a_reversal_closes_at_the_old_entry_and_opens_at_the_new_price() -> None:
    fold = EMPTY.apply(execution("a", SELL, "1", "60000")).apply(execution("b", BUY, "3", "61000", ts_ms=NOW + 1))
    assert (fold.signed_qty, fold.short_qty, fold.entry_price) == (D(2), D(0), D(61_000))
    assert fold.gross_pnl == D(-1_000)


def test_closing_wholly_leaves_no_entry() -> None:
    fold = EMPTY.apply(execution("a", SELL, "1", "60000")).apply(execution("b", BUY, "1", "59000", ts_ms=NOW + 1))
    assert (fold.signed_qty, fold.entry_price, fold.gross_pnl) == (D(0), D(0), D(1_000))


def test_f40_fees_rebates_and_funding_of_either_sign_are_what_the_wallet_shows() -> None:
    fold = EMPTY.apply_all(
        [
            execution("a", SELL, "1", "60000", fee="33", ts_ms=NOW),
            execution("b", BUY, "0.5", "58000", fee="-4", ts_ms=NOW + 1),
            execution("f", SELL, "0.5", "58000", fee="3", ts_ms=NOW + 2, exec_type="Funding"),
            execution("g", SELL, "0.5", "58000", fee="-5", ts_ms=NOW + 3, exec_type="Funding"),
        ]
    )
    wallet = D(1_000) + D("0.5") * 2_000 - 33 + 4 - 3 + 5
    assert D(1_000) + fold.realised_pnl == wallet
    assert (fold.signed_qty, fold.fees, fold.funding) == (D("-0.5"), D(29), D(2))


def test_f33_a_repeated_execution_changes_nothing() -> None:
    once = EMPTY.apply(execution("a"))
    assert once.apply(execution("a")) is once
    assert once.apply_all([execution("a"), execution("a")]) is once


def test_f34_a_late_execution_is_put_in_its_place() -> None:
    first, second, third = (
        execution("a", SELL, "1", "60000", ts_ms=NOW),
        execution("b", SELL, "1", "50000", ts_ms=NOW + 1),
        execution("c", BUY, "1", "40000", ts_ms=NOW + 2),
    )
    in_order = EMPTY.apply_all([first, second, third])
    assert EMPTY.apply_all([third, second, first]) == in_order
    assert EMPTY.apply(third).apply(first).apply(second) == in_order
    assert in_order.gross_pnl == D(15_000)


def test_liquidation_and_adl_move_the_position() -> None:
    fold = EMPTY.apply(execution("a", SELL, "2")).apply(
        execution("b", BUY, "2", "70000", ts_ms=NOW + 1, exec_type="BustTrade")
    )
    assert (fold.signed_qty, fold.gross_pnl) == (D(0), D(-20_000))


def test_another_symbol_or_a_negative_quantity_is_not_folded() -> None:
    with pytest.raises(InvariantBroken):
        PositionFold("ETHUSDT").apply(execution("a"))
    with pytest.raises(InvalidInput):
        EMPTY.apply(execution("a", qty="-1"))


def test_identity_is_symbol_and_id() -> None:
    made: Execution = execution("a")
    assert made.key == ("BTCUSDT", "a")
    assert made.order_key == (NOW, "a", "venue-1")


def test_what_is_settled_is_forgotten_and_its_sum_stays() -> None:
    executions = [execution(f"e{n}", Side.SELL if n % 3 else Side.BUY, "1", str(60_000 + n), fee="0.5", ts_ms=NOW + n)
                  for n in range(10)]  # fmt: skip
    whole = PositionFold("BTCUSDT").apply_all(executions)
    settled = whole.settle(NOW + 6)
    assert settled.state == whole.state
    assert [one.exec_id for one in settled.executions] == ["e6", "e7", "e8", "e9"]
    assert settled.keys == {"e6", "e7", "e8", "e9"}
    assert settled.settled == PositionFold("BTCUSDT").apply_all(executions[:6]).state
    assert settled.settled_ms == NOW + 6
    assert settled.settle(NOW + 6) is settled
    late = [execution("late", Side.BUY, "2", "59000", ts_ms=NOW + 7), execution("new", ts_ms=NOW + 20)]
    assert settled.apply_all(late).state == whole.apply_all(late).state
