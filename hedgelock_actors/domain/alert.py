"""How loud to be."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """LOW: for the record. MEDIUM: look today. HIGH: look now. CRITICAL: money is at risk, act."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for LOW … 3 for CRITICAL."""
        return list(Severity).index(self)
