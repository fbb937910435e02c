"""What can go wrong in a decision, and whose fault it is.

    HedgeLockError
    ├── InvalidInput        the caller gave nonsense: names the field and the remedy (also a ValueError)
    ├── StaleInput          the input was good once: names it, its age and the bound
    └── InvariantBroken     we have a bug: nothing may be decided on what we believe

None of them is raised after an effect: the domain has no effects.
"""

from __future__ import annotations

import math


class HedgeLockError(Exception):
    """Base of all errors of the domain."""


class InvalidInput(HedgeLockError, ValueError):
    """A value that no decision can be made on. `field` names it, `remedy` says what would be accepted."""

    def __init__(self, field: str, remedy: str) -> None:
        super().__init__(field, remedy)
        self.field = field
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.field}: {self.remedy}"


class StaleInput(HedgeLockError):
    """An input older than its bound; never decide on it."""

    def __init__(self, field: str, age_ms: int, max_age_ms: int) -> None:
        super().__init__(field, age_ms, max_age_ms)
        self.field = field
        self.age_ms = age_ms
        self.max_age_ms = max_age_ms

    def __str__(self) -> str:
        return f"{self.field} is {self.age_ms} ms old; at most {self.max_age_ms} ms is allowed"


class InvariantBroken(HedgeLockError):
    """Something that cannot be is. The message says what was expected."""


def require(cond: bool, why: str) -> None:
    """Check an invariant also where plain asserts are optimised away.

    Raises:
        InvariantBroken: `cond` is false.
    """
    if not cond:
        raise InvariantBroken(why)


def finite(field: str, value: float) -> float:
    """The value, or InvalidInput when it is NaN or infinite."""
    if not math.isfinite(value):
        raise InvalidInput(field, f"must be a finite number, not {value}")
    return value


def positive(field: str, value: float) -> float:
    """The value, or InvalidInput unless it is finite and > 0."""
    if finite(field, value) <= 0.0:
        raise InvalidInput(field, f"must be greater than 0, not {value:g}")
    return value


def not_negative(field: str, value: float) -> float:
    """The value, or InvalidInput unless it is finite and ≥ 0."""
    if finite(field, value) < 0.0:
        raise InvalidInput(field, f"must be 0 or more, not {value:g}")
    return value


def fraction(field: str, value: float) -> float:
    """The value, or InvalidInput unless 0 < value < 1."""
    if not 0.0 < finite(field, value) < 1.0:
        raise InvalidInput(field, f"must be between 0 and 1 as a ratio (0.3, not 30), not {value:g}")
    return value
