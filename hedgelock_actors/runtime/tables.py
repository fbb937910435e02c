"""Answers as Rich tables, for people. Every number has its unit beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hedgelock_actors.runtime import control_tables
from hedgelock_actors.runtime.loan_plan import Plan, PlanInput

Answer = Mapping[str, object]


def plan(given: PlanInput, made: Plan) -> RenderableType:
    """`hedgelock plan`."""
    table = _table("What this loan needs", "", "value", "meaning")
    rows = [
        (
            "lender LTV",
            f"{made.ltv:.4f}",
            "debt over what the lender counts of the collateral; what triggers liquidation",
        ),
        (
            "net LTV",
            f"{made.net_ltv:.4f}",
            "the same with the hedge's profit set against the debt; the lender does not see it",
        ),
        ("liquidation price", _usdt(made.liquidation_price), f"where the lender LTV reaches {given.liquidation_ltv:g}"),
        ("fall until then", f"{made.drop_to_liquidation:.2%}", "from the price given"),
        (
            "required hedge",
            _coin(made.required_hedge),
            "total short so that every rung of the ladder holds: " + _ladder(given),
        ),
        (
            "neutral hedge",
            _coin(made.neutral_hedge),
            "with this short the net LTV is the same at every price; more is too much",
        ),
        ("order", _coin(made.order, sign=True), _order_meaning(given, made)),
        (
            "net liquidation price",
            _or_none(made.net_liquidation_price),
            "with the required hedge, its profit swept in time",
        ),
        ("short's liquidation price", _short_price(given, made), "the short has a liquidation of its own: in a rally"),
        (
            "rally margin",
            _usdt(made.rally_margin),
            f"USDT that the short needs to survive a rally of {given.rally:.0%}",
        ),
        ("sweep at lender LTV", f"{made.sweep_ltv:.4f}", "then hedge profit is turned into repayment"),
        ("sweep cash", _usdt(made.sweep_cash), f"repaying this now brings the lender LTV to {given.sweep_target:g}"),
    ]
    for row in rows:
        table.add_row(*row)
    return Group(table, _joint(given, made), *_breaches(made))


def _joint(given: PlanInput, made: Plan) -> Text:
    joint = made.joint
    within = "with unlimited reserve" if given.reserve is None else f"within the reserve of {given.reserve:,.2f} USDT"
    cost = "the least cash tied up" if given.costs is None else "the stated costs"
    if joint.feasible:
        mix = f"repay {joint.repay:,.2f} USDT and hold a short of {joint.hedge:,.6f}."
        return Text(f"Repay or hedge? By {cost}, {within}: {mix}", style="green")
    return Text(
        f"Repay or hedge? Not possible {within}: {joint.shortfall:,.2f} USDT are missing. The mix that needs least "
        f"cash is to repay {joint.repay:,.2f} USDT and hold a short of {joint.hedge:,.6f}.",
        style="bold red",
    )


def _breaches(made: Plan) -> list[Text]:
    return [
        Text(
            f"A hedge cannot cure this: the net LTV {made.net_ltv:.4f} is above the target {rung.target_ltv:g}. "
            f"Only repaying {missing.usdt:,.2f} USDT or adding {missing.coin:,.6f} coins does.",
            style="bold red",
        )
        for rung, missing in made.breaches
    ]


def _ladder(given: PlanInput) -> str:
    return ", ".join(f"fall {rung.drop:.0%} → net LTV ≤ {rung.target_ltv:g}" for rung in given.rungs)


def _order_meaning(given: PlanInput, made: Plan) -> str:
    held = f"held {given.short_qty or 0.0:,.6f}; "
    if abs(made.order) < 1e-12:
        return held + "nothing to do"
    return held + ("sell this much more" if made.order > 0 else "buy this much back")


def _short_price(given: PlanInput, made: Plan) -> str:
    return "give --margin" if given.margin is None else _or_none(made.short_liquidation_price)


def status(answer: Answer) -> RenderableType:
    """`hedgelock status`."""
    state = _mapping(answer.get("trading_state"))
    head = Text(
        f"trading {state.get('mode', '?')}", style="bold green" if state.get("mode") == "ACTIVE" else "bold red"
    )
    head.append(f"  epoch {state.get('epoch', '?')}  {state.get('reason', '')}", style="dim")
    loans = _table("Loans", "account", "level", "collateral", "debt USDT", "lender LTV", "net LTV", "must hold")
    for snapshot in _mapping(answer.get("risk")).values():
        demands = _mapping(_mapping(snapshot).get("demands"))
        for loan in _sequence(_mapping(snapshot).get("loans")):
            demand = _mapping(demands.get(loan.get("account")))
            loans.add_row(
                str(loan.get("account")),
                str(loan.get("level")),
                f"{loan.get('collateral')} {loan.get('collateral_coin')}",
                f"{float(loan.get('debt', 0)):,.2f}",
                _ratio(demand.get("lender_ltv")),
                _ratio(demand.get("net_ltv")),
                str(demand.get("floor_qty", "-")),
            )
    actors = _table("Actors", "name", "status", "pid", "detail")
    for name, health in _mapping(answer.get("actors")).items():
        actors.add_row(name, str(health.get("status")), str(health.get("pid", "")), str(health.get("detail", "")))
    return Group(head, *_held(answer), loans, actors)


def _held(answer: Answer) -> list[RenderableType]:
    """What people hold or were asked for, and what routers do not do."""
    shown: list[RenderableType] = []
    overrides = control_tables.held(_sequence(answer.get("overrides")))
    if overrides is not None:
        shown.append(overrides)
    waiting = [f"{one['action']} ({one['approval_id']})" for one in _sequence(answer.get("approvals_waiting"))]
    if waiting:
        shown.append(Text(f"waiting for a second person: {', '.join(waiting)}", style="yellow"))
    for router, reasons in _mapping(answer.get("restrictions")).items():
        if reasons:
            shown.append(Text(f"{router} opens nothing: {'; '.join(map(str, reasons))}", style="bold red"))
    return shown


def down(answer: Answer) -> RenderableType:
    """`hedgelock down`."""
    return Text(str(answer.get("detail", "")))


def size(answer: Answer) -> RenderableType:
    """`hedgelock size`."""
    table = _table("Sizing", "", "value")
    for key, value in answer.items():
        table.add_row(key, f"{value:.6g}" if isinstance(value, float) else str(value))
    return table


def doctor(answer: Answer) -> RenderableType:
    """`hedgelock doctor`."""
    table = _table("Doctor", "check", "", "found", "what to do")
    for check in _sequence(answer["checks"]):
        mark = Text("ok", style="green") if check["ok"] else Text("no", style="bold red")
        table.add_row(str(check["name"]), mark, str(check["found"]), str(check.get("remedy", "")))
    return table


def audit(answer: Answer) -> RenderableType:
    """`hedgelock audit`."""
    text = Text(f"{answer['records']} records in {answer['streams']} streams: ")
    if answer["ok"]:
        return text.append("every chain verifies", style="bold green")
    return text.append("BROKEN: " + "; ".join(map(str, _sequence(answer["broken"]))), style="bold red")


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(column)
    return table


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _usdt(value: float) -> str:
    return f"{value:,.2f} USDT"


def _coin(value: float, *, sign: bool = False) -> str:
    return f"{value:+,.6f} coin" if sign else f"{value:,.6f} coin"


def _or_none(value: float | None) -> str:
    return "none" if value is None else _usdt(value)


def _ratio(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-"
