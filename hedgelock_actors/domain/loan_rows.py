"""What a row of a loans file may say. Text in, the reasons why not out.

The patterns are plain enough for any engine of regular expressions, so that a file can be judged column by column; the
rows that fail there are judged here one by one, which gives the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

REQUIRED = ("asset", "account", "loan_id", "collateral", "debt")
OPTIONAL = ("product", "updated_ms")
TEXTS = ("product", "asset", "account", "loan_id")
DEFAULT_PRODUCT = "default"

NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,63}$"
ASSET = r"^[A-Z0-9]{2,10}$"
NUMBER = r"^[+-]?[0-9]{1,20}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?$"
TIME = r"^[0-9]{1,16}$"

LARGEST = 1e15
"""Of coins and of USDT: more than there is."""
AHEAD_MS = 86_400_000
"""How far a row's time may be ahead of our clock."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """Why a row was refused. `line` counts from 1; in a CSV file the header is line 1."""

    line: int
    field: str
    reason: str


def pattern_of(field: str) -> str:
    """What the text of a field must match, whole."""
    return {"asset": ASSET, "collateral": NUMBER, "debt": NUMBER, "updated_ms": TIME}.get(field, NAME)


def reasons(line: int, cells: Mapping[str, str | None], now_ms: int) -> tuple[BadRow, ...]:
    """Everything that is wrong with a row; nothing for a good one. An optional column may be absent, not its cell."""
    fields = (*REQUIRED, *(name for name in OPTIONAL if name in cells))
    found = [(field, _wrong(field, (cells.get(field) or "").strip(), now_ms)) for field in fields]
    return tuple(BadRow(line, field, reason) for field, reason in found if reason)


def _wrong(field: str, cell: str, now_ms: int) -> str:
    """Why this cell cannot be; empty when it can."""
    if not cell:
        return "is missing"
    if re.match(pattern_of(field), cell) is None:
        return f"{_shown(cell)} is not {_MEANING.get(field, 'a name of up to 64 letters, digits and . _ : / @ -')}"
    if field in TEXTS:
        return ""
    value = float(cell)
    if field == "updated_ms":
        return "is more than a day in the future" if value > now_ms + AHEAD_MS else ""
    if field == "collateral" and value <= 0.0:
        return f"must be above 0, not {_shown(cell)}"
    if value < 0.0:
        return f"must be 0 or more, not {_shown(cell)}"
    return f"{_shown(cell)} is more than there is" if value > LARGEST else ""


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


_MEANING = {
    "asset": "a coin such as BTC (2 to 10 capital letters and digits)",
    "collateral": "a plain number such as 1.25",
    "debt": "a plain number such as 30000.00",
    "updated_ms": "a time in milliseconds since 1970",
}
