"""What commands answer, as Rich renderables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Answer = Mapping[str, Any]


def mode(answer: Answer) -> RenderableType:
    """`hedgelock halt`, `reduce-only` and `resume`."""
    if "approval_id" in answer:
        return waiting(answer)
    text = Text(f"{answer['mode']} in epoch {answer['epoch']}: ", style="bold")
    text.append("recorded; " if answer["recorded"] else "NOT on record yet (no journal); ")
    if answer["confirmed"]:
        took = f", after {answer['took_ms']} ms" if "took_ms" in answer else ""
        text.append(f"latched in the process of every order router{took}", style="green")
    else:
        missing = ", ".join(answer["routers_not_confirmed"]) or "any router: none was reached"
        text.append(f"NOT CONFIRMED by {missing}; they read it from the record", style="bold red")
    flying = answer.get("orders_in_flight", [])
    rows = [Text(f"in flight: {_order(order)}", style="yellow") for order in flying]
    unknown = answer.get("in_flight_unknown", [])
    if unknown:
        rows.append(Text(f"which orders are in flight is not known of {', '.join(unknown)}", style="yellow"))
    return Group(text, *rows)


def taken(answer: Answer) -> RenderableType:
    """Commands that actors take in."""
    if "approval_id" in answer:
        return waiting(answer)
    text = Text(f"{answer['action']} by {answer['who']}: recorded; ", style="bold")
    if answer["taken"]:
        text.append(f"taken in by {', '.join(answer['taken_by'])}", style="green")
    else:
        # An acknowledgement is of what has been seen: one that is late could be taken for one of what came since.
        later = "repeat it" if answer["action"] == "acknowledge" else "it is read from the record"
        text.append(f"not taken in yet: {'; '.join(answer['not_taken_by'])}; {later}", style="red")
    return text.append(f"\n{answer['note']}", style="bold yellow") if answer.get("note") else text


def waiting(answer: Answer) -> RenderableType:
    """A command that needs a second person."""
    if answer["state"] != "waiting":
        return Text(f"{answer['action']}: {answer['state']} {answer['approved_by']}".strip())
    return Text(
        f"{answer['action']} waits for a second person until {_time(answer['expires_ms'])}: "
        f"hedgelock approve {answer['approval_id']}",
        style="yellow",
    )


def carried_out(answer: Answer) -> RenderableType:
    """`hedgelock approve`: whatever the approved command answers."""
    return mode(answer) if "epoch" in answer else taken(answer)


def trade(answer: Answer) -> RenderableType:
    """`hedgelock trade`: the report."""
    if "approval_id" in answer or not answer["taken"]:
        return taken(answer)
    report = answer["detail"]
    if not report.get("final"):
        return Text(f"trade {report['trade_id']} goes on; `hedgelock trades` shows it", style="yellow")
    filled = f"{report.get('side')} {report.get('filled_qty')} of {report.get('qty')}"
    price = f" at {report['average_price']} by {report.get('mode')}" if report.get("average_price") else ""
    style = "green" if report.get("success") else "bold red"
    return Text(f"trade {report['trade_id']}: {filled}{price} {report.get('error', '')}".rstrip(), style=style)


def trades(answer: Answer) -> RenderableType:
    """`hedgelock trades`."""
    columns = ("trade_id", "account", "side", "qty", "filled_qty", "average_price", "mode", "final", "error")
    return _rows("Trades", columns, answer["trades"])


def spreads(answer: Answer) -> RenderableType:
    """`hedgelock spreads`."""
    columns = ("spread_id", "phase", "trigger", "success", "rolled_back", "detail", "error")
    return _rows("Spreads", columns, answer["spreads"])


def overrides(answer: Answer) -> RenderableType:
    """`hedgelock overrides`."""
    return held(answer["overrides"]) or Text("no target is overridden")


def held(rows: Sequence[Answer]) -> Table | None:
    """Targets that persons hold; None when there are none."""
    table = _table("Overrides", "account", "short", "by", "until", "reason")
    for one in rows:
        until = _time(one["expires_ms"])
        table.add_row(str(one["account"]), str(one["target_short_qty"]), str(one["who"]), until, str(one["reason"]))
    return table if rows else None


def approvals(answer: Answer) -> RenderableType:
    """`hedgelock approvals`."""
    table = _table("Approvals", "id", "action", "state", "asked by", "approved by", "until", "what")
    for one in answer["approvals"]:
        body = " ".join(f"{key}={value}" for key, value in one["body"].items())
        names = (one["requested_by"], one["approved_by"])
        table.add_row(one["approval_id"], one["action"], one["state"], *names, _time(one["expires_ms"]), body)
    return table


def commands(answer: Answer) -> RenderableType:
    """`hedgelock commands`."""
    table = _table("Commands on record", "n", "time", "kind", "by", "from", "what")
    for one in answer["records"]:
        payload = one["payload"]
        request = payload.get("request", {})
        said = {key: value for key, value in payload.items() if key not in ("request", "approval", "before")}
        by = f"{request.get('who', '')} {payload.get('approval', {}).get('who', '')}".strip()
        table.add_row(str(one["n"]), _time(one["ts_ms"]), one["kind"], by, str(request.get("origin", "")), str(said))
    return table


def _order(order: Answer) -> str:
    words = (order.get(key) for key in ("account", "side", "qty", "order_link_id", "status"))
    return " ".join(str(word) for word in words if word is not None)


def _rows(title: str, columns: Sequence[str], rows: Sequence[Answer]) -> Table:
    table = _table(title, *(column.replace("_", " ") for column in columns))
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(column)
    return table


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
