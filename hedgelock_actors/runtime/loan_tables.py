"""The loans commands for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

SHOWN_REASONS = 20


def imported(answer: Mapping[str, Any]) -> RenderableType:
    """`hedgelock loans import`."""
    reasons: Sequence[Mapping[str, Any]] = answer["reasons"]
    lines: list[RenderableType] = []
    if reasons:
        table = _table("Refused rows", "line", "field", "reason")
        for one in reasons[:SHOWN_REASONS]:
            table.add_row(str(one["line"]), Text(one["field"]), Text(one["reason"]))
        lines.append(table)
        left = len(reasons) - SHOWN_REASONS
        if left > 0:
            lines.append(Text(f"… and {left:,} more (--json lists {'many of ' * answer['reasons_left_off']}them)"))
    if answer["written"]:
        done = f"{answer['new']:,} loans new, {answer['changed']:,} changed; the book holds {answer['loans']:,}"
    elif answer["refused"]:
        done = "nothing was taken into the book"
    else:
        done = "the file holds no loans; nothing was changed"
    lines.append(Text(f"{answer['refused']:,} rows refused; {done}"))
    return Group(*lines)


def exported(answer: Mapping[str, Any]) -> RenderableType:
    """`hedgelock loans export` and `generate`."""
    return Text(f"{answer['loans']:,} loans written to {answer['file']}")


def shown(answer: Mapping[str, Any]) -> RenderableType:
    """`hedgelock loans show`."""
    if not answer["loans"]:
        return Text("the book holds no loans; `hedgelock loans import FILE` takes some in")
    groups = _table("The book", "product", "asset", "loans", "accounts", "collateral", "debt USDT", "LTV")
    for one in answer["groups"]:
        groups.add_row(
            Text(one["product"]),
            one["asset"],
            f"{one['loans']:,}",
            f"{one['accounts']:,}",
            f"{one['collateral']:,.4f}",
            f"{one['debt']:,.2f}",
            _ratio(one["ltv"]),
        )
    loans = _table("Most debt per coin first", "loan", "account", "asset", "collateral", "debt USDT", "LTV")
    for one in answer["shown"]:
        loans.add_row(
            Text(one["loan_id"]),
            Text(one["account"]),
            one["asset"],
            f"{one['collateral']:,.8f}",
            f"{one['debt']:,.2f}",
            _ratio(one["ltv"]),
        )
    return Group(groups, Text(), loans)


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(
            column, justify="right" if column in {"loans", "accounts", "collateral", "debt USDT"} else "left"
        )
    return table
