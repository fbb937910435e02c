"""Reading what other programs wrote: a JSON object or nothing."""

from __future__ import annotations

import json


def parse_object(text: str | bytes) -> dict[str, object] | None:
    """The object, or None for anything else: not JSON, not an object, NaN or infinity inside, nested without end."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
