"""Chance that is the same every time: a function of the intent, so that a replay decides as the first run did."""

from __future__ import annotations

import hashlib
from decimal import Decimal

_PARTS = 2**48


def unit(*parts: str | int) -> Decimal:
    """A number in [0, 1) that looks random and is a pure function of the parts."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return Decimal(int.from_bytes(digest[:6], "big")) / _PARTS
