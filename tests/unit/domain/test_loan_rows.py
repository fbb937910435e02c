"""What a row of a loans file may say, and what is told about one that may not be."""

from __future__ import annotations

import pytest

from hedgelock_actors.domain.loan_rows import AHEAD_MS, BadRow, reasons

NOW = 1_700_000_000_000
GOOD = {"asset": "BTC", "account": "a-1", "loan_id": "X:1", "collateral": "1.5", "debt": "3e4"}


def test_a_good_row_needs_no_optional_columns() -> None:
    assert reasons(2, GOOD, NOW) == ()
    assert reasons(2, GOOD | {"product": "flexible", "updated_ms": str(NOW + AHEAD_MS)}, NOW) == ()
    assert reasons(2, GOOD | {"debt": "0", "collateral": " 1. "}, NOW) == ()


@pytest.mark.parametrize(
    ("field", "cell", "said"),
    [
        ("asset", "btc", "capital letters"),
        ("asset", None, "missing"),
        ("account", "  ", "missing"),
        ("account", "a b", "a name of up to 64"),
        ("loan_id", "=cmd()", "a name of up to 64"),
        ("loan_id", "x" * 65, "..."),
        ("product", "", "missing"),
        ("collateral", "0", "above 0"),
        ("collateral", "-1", "above 0"),
        ("collateral", "nan", "plain number"),
        ("collateral", "1e16", "more than there is"),
        ("debt", "-0.01", "0 or more"),
        ("debt", "inf", "plain number"),
        ("debt", "1,000", "plain number"),
        ("debt", "1_000", "plain number"),
        ("updated_ms", "yesterday", "milliseconds"),
        ("updated_ms", str(NOW + AHEAD_MS + 1), "future"),
    ],
)
def test_a_bad_cell_is_named_with_its_reason(field: str, cell: str | None, said: str) -> None:
    found = reasons(7, GOOD | {field: cell}, NOW)
    assert [(one.line, one.field) for one in found] == [(7, field)]
    assert said in found[0].reason


def test_everything_that_is_wrong_is_told() -> None:
    found = reasons(3, {"asset": "BTC"}, NOW)
    assert found == tuple(BadRow(3, field, "is missing") for field in ("account", "loan_id", "collateral", "debt"))
