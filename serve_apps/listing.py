"""From what an actor knows to the rows that the control API lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hedgelock_actors.runtime.control_log import ControlBook
from hedgelock_actors.runtime.operator import rows_in

Snapshot = Mapping[str, object]
Row = Mapping[str, object]
KEPT = 100
Rows = Callable[[Snapshot], Sequence[Row]]


def loans(risk: Snapshot) -> Sequence[Row]:
    """One row per loan: the lender's view, the level, and what its account must hold."""
    demands = _mapping(risk.get("demands"))
    return [_loan(loan, _mapping(demands.get(str(loan.get("account"))))) for loan in rows_in(risk.get("loans"))]


def positions(keeper: Snapshot) -> Sequence[Row]:
    """One row per account: position, money and target."""
    return [{key: value for key, value in keeper.items() if key != "loan"}] if keeper else []


def orders(router: Snapshot) -> Sequence[Row]:
    """One row per order, newest first."""
    account, symbol = router.get("account"), router.get("symbol")
    return [{"account": account, "symbol": symbol, **order} for order in rows_in(router.get("orders"))]


def alerts(notifier: Snapshot) -> Sequence[Row]:
    """One row per alert, newest first."""
    return rows_in(notifier.get("alerts"))


def trades(router: Snapshot) -> Sequence[Row]:
    """One row per trade that was asked for beside the target, newest first."""
    return rows_in(router.get("trades"))


def spreads(keeper: Snapshot) -> Sequence[Row]:
    """One row per spread, those at work first."""
    return rows_in(keeper.get("spreads"))


def restrictions(router: Snapshot) -> Sequence[str]:
    """Why a router opens nothing now."""
    return [f"{cause}: {text}" for cause, text in _mapping(router.get("restrictions")).items()]


def overrides(book: ControlBook, now_ms: int) -> Sequence[Row]:
    """One row per target that a person holds now."""
    held = [book.in_force(account, now_ms) for account in sorted(book.overrides)]
    return [one.model_dump(mode="json", exclude={"kind"}) for one in held if one is not None]


def approvals(book: ControlBook, now_ms: int) -> Sequence[Row]:
    """One row per command that waits or waited for a second person, newest first."""
    return [
        {
            "approval_id": one.approval_id,
            "action": one.action,
            "state": one.state(now_ms),
            "requested_by": one.requested_by,
            "approved_by": one.approved_by,
            "body": one.body,
            "ts_ms": one.ts_ms,
            "expires_ms": one.expires_ms,
        }
        for one in reversed(book.approvals.values())
    ][:KEPT]


def records(book: ControlBook, _now_ms: int) -> Sequence[Row]:
    """The newest records of the control stream, newest first."""
    return [
        {
            "n": one.n,
            "ts_ms": one.entry.ts_ms,
            "kind": one.entry.kind,
            "account": one.entry.account,
            "hash": one.hash,
            "payload": one.entry.payload,
        }
        for one in reversed(book.newest)
    ]


def _loan(loan: Row, demand: Row) -> Row:
    shown = {key: value for key, value in loan.items() if key != "kind"}
    for key in ("net_ltv", "floor_qty", "neutral_qty", "price"):
        shown[key] = demand.get(key)
    return shown


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
