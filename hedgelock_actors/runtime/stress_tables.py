"""`hedgelock stress` for a terminal: what happens first, every shock on both sides, and a small plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

HEIGHT, WIDTH = 12, 72


def stress(answer: Mapping[str, Any]) -> RenderableType:
    """All of it."""
    if answer["subject"] == "loan":
        return _loan(answer)
    return Group(*(part for group in answer["groups"] for part in _group(group, answer)))


def _loan(answer: Mapping[str, Any]) -> RenderableType:
    hedge = answer["hedge"]
    said = "assumed: what the ladder requires now" if hedge["assumed"] else "as stated"
    head = (
        f"lender LTV {answer['ltv']:.4f} ({answer['level']}), net {answer['net_ltv']:.4f}; "
        f"short {hedge['short']:.6f} at {hedge['entry']:,.2f} with {hedge['margin']:,.2f} USDT ({said})"
    )
    first = _table("What breaks, the nearest first", "", "price", "move", f"touched in {answer['horizon_days']:g} days")
    for one in answer["breaches"]:
        first.add_row(one["what"], f"{one['price']:,.2f}", f"{one['move']:+.1%}", f"{one['probability']:.2%}")
    table = _table("After a shock", *_SHOCK, "LTV", "net", "level", "hedge", "short of USDT", "coins", *_HEDGE)
    for one in answer["scenarios"]:
        loan, account = one["loan"], one["hedge"]
        level = "LIQUIDATED" if loan["liquidated"] else "margin call" if loan["margin_called"] else loan["level"]
        table.add_row(
            one["name"],
            f"{loan['price']:,.0f}",
            _ratio(loan["ltv"]),
            _ratio(loan["net_ltv"]),
            Text(level, _style(level)),
            f"{loan['required_hedge']:.4f}",
            f"{loan['shortfall_usdt']:,.0f}",
            f"{loan['shortfall_coin']:.4f}",
            *_account(account),
        )
    curve = answer["curve"]
    lines = [("·", "lender LTV, nothing swept", curve["ltv_unswept"]), ("*", "profit swept", curve["net_ltv"])]
    return Group(Text(head), Text(), first, Text(), table, Text(), Text(plot(curve["prices"], lines, top=1.2)))


def _group(group: Mapping[str, Any], answer: Mapping[str, Any]) -> list[RenderableType]:
    first = group["first_breach"]
    head = (
        f"{group['loans']:,} loans of {group['product']} against {group['asset']} at {group['price']:,.2f}: "
        f"{group['collateral']:,.2f} coins, {group['debt']:,.0f} USDT, LTV {group['ltv']:.4f}, "
        f"required hedge {group['required_hedge']:,.4f}\n"
        f"{first['what']}: at {first['price']:,.2f} ({first['move']:+.1%}), "
        f"touched within {answer['horizon_days']:g} days with {first['probability']:.2%}"
    )
    columns = ("CAUTION", "DANGER", "CRITICAL", "liquidated", "hedge", "short of USDT", "coins")
    table = _table("After a shock, nothing swept", *_SHOCK, *columns, *_HEDGE)
    for one in group["scenarios"]:
        loan = one["loan"]
        table.add_row(
            one["name"],
            f"{loan['price']:,.2f}",
            *(f"{loan['levels'][level]:,}" for level in ("CAUTION", "DANGER", "CRITICAL")),
            Text(f"{loan['liquidated']:,}", "bold red" if loan["liquidated"] else ""),
            f"{loan['required_hedge']:,.2f}",
            f"{loan['shortfall_usdt']:,.0f}",
            f"{loan['shortfall_coin']:,.2f}",
            *_account(one["hedge"]),
        )
    curve = group["curve"]
    lines = [("*", f"required hedge, {group['asset']}", curve["required_hedge"])]
    return [Text(head), Text(), table, Text(), Text(plot(curve["prices"], lines)), Text()]


_SHOCK = ("shock", "price")
_HEDGE = ("margin", "needs")


def _account(account: Mapping[str, Any]) -> tuple[Text, str]:
    left = Text("LIQUIDATED", "bold red") if account["liquidated"] else Text(f"{account['equity']:,.0f}")
    return left, f"{account['margin_needed']:,.0f}"


def _style(level: str) -> str:
    return {"LIQUIDATED": "bold red", "margin call": "red", "CRITICAL": "red", "DANGER": "yellow"}.get(level, "")


def _ratio(value: float | None) -> str:
    return "∞" if value is None else f"{value:.4f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number and column != "level" else "left")
    return table


def plot(xs: Sequence[float], lines: Sequence[tuple[str, str, Sequence[float]]], top: float = math.inf) -> str:
    """Lines over rising x in plain characters, later ones on earlier ones; what is above `top` is cut off there."""
    highest = min(top, max(value for _, _, values in lines for value in values) or 1.0)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark, _, values in lines:
        for column in range(WIDTH):
            at = round(column * (len(xs) - 1) / (WIDTH - 1))
            row = round(min(values[at], highest) / highest * (HEIGHT - 1))
            grid[HEIGHT - 1 - row][column] = mark
    labels = [f"{highest * (HEIGHT - 1 - row) / (HEIGHT - 1):>12,.2f} │" for row in range(HEIGHT)]
    rows = [label + "".join(cells).rstrip() for label, cells in zip(labels, grid, strict=True)]
    low, high = f"{xs[0]:,.2f}", f"{xs[-1]:,.2f}"
    axis = " " * 13 + "└" + "─" * WIDTH
    scale = " " * 14 + low + " " * max(1, WIDTH - len(low) - len(high)) + high
    legend = " " * 14 + "   ".join(f"{mark} {name}" for mark, name, _ in lines)
    return "\n".join([*rows, axis, scale, legend])
