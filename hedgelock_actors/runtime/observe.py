"""One look at a running system: the few numbers that a person watches, gathered from the actors' snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hedgelock_actors.runtime.operator import Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One hedge account. Ratios as ratios, quantities in coin; None where nothing is known yet."""

    account: str
    symbol: str
    price: float | None
    lender_ltv: float | None
    bare_ltv: float | None
    """What the lender LTV would be now had nothing been repaid: the loan as it was, at this price."""
    net_ltv: float | None
    level: str
    debt: float | None
    floor: float | None
    target: float | None
    short: float | None
    entry: float | None
    sweeps: int
    swept_usdt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything at one moment."""

    venue_ms: int | None = None
    state: str = "running"
    accounts: Sequence[AccountView] = ()
    actors: Mapping[str, str] = field(default_factory=dict)
    recoveries: Sequence[Mapping[str, Any]] = ()
    alerts: Sequence[Mapping[str, Any]] = ()
    alert_count: int = 0


async def look(operator: Operator, venue: Mapping[str, Any] | None, debts: Mapping[str, float]) -> Look:
    """Ask everybody at once; who does not answer is missing, not waited for. `debts`: USDT owed at the start."""
    supervisor, feed, risk, routers, treasury, notifier = await asyncio.gather(
        operator.actors(),
        operator.snapshots("market-feed"),
        operator.snapshots("risk-calculator"),
        operator.snapshots("order-router"),
        operator.snapshots("treasury"),
        operator.snapshots("notifier"),
    )
    prices = {symbol: shown for snapshot in feed.values() for symbol, shown in _dicts(snapshot).items()}
    demands = {name: one for snapshot in risk.values() for name, one in _dicts(snapshot.get("demands")).items()}
    sweeps = {name: one for snapshot in treasury.values() for name, one in _dicts(snapshot).items()}
    told = next(iter(notifier.values()), {})
    actors = _dicts(supervisor.get("actors"))
    return Look(
        venue_ms=int(venue["venue_ms"]) if venue else None,
        state=str(venue["state"]) if venue else "running",
        accounts=[
            _account(router, prices, demands, sweeps, debts.get(str(router["account"])))
            for router in routers.values()
            if "account" in router
        ],
        actors={name: _status(health) for name, health in actors.items()},
        recoveries=_list(supervisor.get("recoveries")),
        alerts=_list(told.get("alerts"))[:6],
        alert_count=int(_dicts(actors.get("notifier")).get("counters", {}).get("alerts", 0)) if actors else 0,
    )


def _account(
    router: Mapping[str, Any],
    prices: Mapping[str, Any],
    demands: Mapping[str, Any],
    sweeps: Mapping[str, Any],
    start_debt: float | None,
) -> AccountView:
    name, symbol = str(router["account"]), str(router["symbol"])
    demand, price = demands.get(name, {}), prices.get(symbol, {})
    swept = sweeps.get(name, {})
    position, debt = _float(router.get("position_qty")), _float(demand.get("debt"))
    lender_ltv = _float(demand.get("lender_ltv"))
    return AccountView(
        account=name,
        symbol=symbol,
        price=_float(price.get("last", demand.get("price"))),
        lender_ltv=lender_ltv,
        bare_ltv=lender_ltv * start_debt / debt if lender_ltv and start_debt and debt else None,
        net_ltv=_float(demand.get("net_ltv")),
        level=str(demand.get("level", "?")),
        debt=debt,
        floor=_float(demand.get("floor_qty")),
        target=_float(router.get("target_short_qty")),
        short=0.0 - position if position is not None else None,
        entry=_float(router.get("entry_price")),
        sweeps=int(swept.get("sweeps", 0)),
        swept_usdt=_float(swept.get("swept_usdt")) or 0.0,
    )


def _status(health: Mapping[str, Any]) -> str:
    return "down" if health.get("down") else str(health.get("status", "starting"))


def _dicts(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Mapping[str, Any]]:
    return list(value) if isinstance(value, list) else []


def _float(value: object) -> float | None:
    try:
        return float(str(value)) if value is not None else None
    except ValueError:
        return None
