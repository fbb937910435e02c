"""From what an actor knows to the rows that the control API lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Snapshot = Mapping[str, object]
Row = Mapping[str, object]
Rows = Callable[[Snapshot], Sequence[Row]]


def loans(risk: Snapshot) -> Sequence[Row]:
    """One row per loan: the lender's view, the level, and what its account must hold."""
    demands = _mapping(risk.get("demands"))
    return [_loan(loan, _mapping(demands.get(str(loan.get("account"))))) for loan in _rows(risk.get("loans"))]


def positions(keeper: Snapshot) -> Sequence[Row]:
    """One row per account: position, money and target."""
    return [{key: value for key, value in keeper.items() if key != "loan"}] if keeper else []


def orders(router: Snapshot) -> Sequence[Row]:
    """One row per order, newest first."""
    account, symbol = router.get("account"), router.get("symbol")
    return [{"account": account, "symbol": symbol, **order} for order in _rows(router.get("orders"))]


def alerts(notifier: Snapshot) -> Sequence[Row]:
    """One row per alert, newest first."""
    return _rows(notifier.get("alerts"))


def _loan(loan: Row, demand: Row) -> Row:
    shown = {key: value for key, value in loan.items() if key != "kind"}
    for key in ("net_ltv", "floor_qty", "neutral_qty", "price"):
        shown[key] = demand.get(key)
    return shown


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: object) -> Sequence[Row]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list | tuple) else []
