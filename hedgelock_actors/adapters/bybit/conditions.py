"""Whether the venue trades and the account may: announced maintenance, and settings that somebody else changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.endpoints import Endpoints, Environment
from hedgelock_actors.adapters.bybit.fields import BadData, Row
from hedgelock_actors.ports.venue import Maintenance

_OVER = frozenset({"completed", "canceled"})
_KNOWN_STATES = frozenset({"scheduled", "ongoing", *_OVER})
_DERIVATIVES = 1
# Market data alone (5) does not stop order entry; everything else does.
_ORDER_SERVICES = frozenset({1, 2, 3, 4})
_PRODUCTION, _DEMO = 1, 2
_UNIFIED = frozenset({3, 4, 5, 6})
_CROSS = "REGULAR_MARGIN"


def maintenance(listed: Sequence[Row], endpoints: Endpoints) -> list[Maintenance]:
    """Windows that are not over and touch the trading of derivatives, soonest first.

    An entry for some accounts only is taken for ours: better to stand still for nothing.

    Raises:
        BadData: an entry cannot be read.
    """
    wanted = _DEMO if endpoints.environment is Environment.DEMO else _PRODUCTION
    found = [_window(row) for row in listed if _touches(row, wanted)]
    return sorted(found, key=lambda window: (window.begin_ms, window.title))


def _touches(row: Row, environment: int) -> bool:
    state = f.text(row, "state").lower()
    if state not in _KNOWN_STATES:
        raise BadData("state", state, "is not a known state of maintenance")
    return (
        state not in _OVER
        and row.get("env", environment) == environment
        and _names(row, "product", frozenset({_DERIVATIVES}))
        and _names(row, "serviceTypes", _ORDER_SERVICES)
    )


def _names(row: Row, field: str, wanted: frozenset[int]) -> bool:
    """True when the list names one of `wanted`, or names nothing, which means all."""
    listed = row.get(field) or []
    if not isinstance(listed, list):
        raise BadData(field, listed, "is not a list")
    return not listed or not wanted.isdisjoint(listed)


def _window(row: Row) -> Maintenance:
    end = f.text_or_empty(row, "end")
    return Maintenance(
        title=f.text_or_empty(row, "title"),
        begin_ms=f.time_ms(row, "begin"),
        end_ms=f.time_ms(row, "end") if end not in ("", "0") else None,
        ongoing=f.text(row, "state").lower() == "ongoing",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What the venue says about how a symbol may be traded."""

    hedge_mode: bool
    reduce_only: bool
    leverage: Decimal | None
    risk_limit: Decimal | None
    position_value: Decimal
    margin_mode: str
    unified: bool


def settings(positions: Sequence[Row], symbol: str, account: Row) -> Settings:
    """Read from the answers of the position list and the account info. Raises BadData."""
    rows = [row for row in positions if row.get("symbol") == symbol]
    row: Row = rows[0] if rows else {}
    return Settings(
        hedge_mode=any(f.integer(one, "positionIdx") != 0 for one in rows if "positionIdx" in one),
        reduce_only=any(f.flag(one, "isReduceOnly") for one in rows),
        leverage=f.amount_or_zero(row, "leverage") or None,
        risk_limit=f.amount_or_zero(row, "riskLimitValue") or None,
        position_value=f.amount_or_zero(row, "positionValue"),
        margin_mode=f.text(account, "marginMode"),
        unified=f.integer(account, "unifiedMarginStatus") in _UNIFIED,
    )


def faults(now: Settings, first: Settings) -> list[str]:
    """What forbids new orders, in words; `first` is what was found when the account was first looked at.

    The venue raises and lowers the risk limit by itself with the size of the position, so a changed limit is a fault
    only when the position has outgrown it.
    """
    found: list[str] = []
    if now.hedge_mode:
        found.append("the account is in hedge mode; one-way mode is needed")
    if now.reduce_only:
        found.append("the venue allows only reducing orders (isReduceOnly)")
    if not now.unified:
        found.append("the account is not a unified trading account")
    if now.margin_mode != _CROSS:
        found.append(f"the margin mode is {now.margin_mode}; {_CROSS} is needed")
    if now.leverage is not None and first.leverage is not None and now.leverage != first.leverage:
        found.append(f"the leverage was changed from {first.leverage} to {now.leverage}")
    if now.risk_limit is not None and now.position_value > now.risk_limit:
        found.append(f"the position of {now.position_value} USDT is over the risk limit of {now.risk_limit}")
    return found
