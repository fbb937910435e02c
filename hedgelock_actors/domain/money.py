"""Exact money and quantities, and rounding that always says which way.

This module imports nothing of ours: the simulated exchange shares it, and nothing else, with the client.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Literal

ZERO = Decimal(0)
ONE = Decimal(1)

Direction = Literal["up", "down"]


def dec(x: str | int | float | Decimal) -> Decimal:
    """An exact Decimal; a float is taken by its shortest decimal form (0.1 is 0.1).

    Raises:
        ValueError: not a number, NaN or infinite.
    """
    try:
        value = Decimal(repr(x)) if isinstance(x, float) else Decimal(x)
    except InvalidOperation:
        raise ValueError(f"{x!r} is not a decimal number") from None
    if not value.is_finite():
        raise ValueError(f"{x!r} is not a finite number")
    return value


def round_to_step(value: Decimal, step: Decimal, direction: Direction) -> Decimal:
    """The multiple of `step` next to `value`: at or above it ("up"), or at or below it ("down").

    The result has the exponent of `step`, so that it prints as the venue writes it.

    Raises:
        ValueError: `step` is not positive, or a number is not finite.
    """
    if not (value.is_finite() and step.is_finite()) or step <= ZERO:
        raise ValueError(f"cannot round {value} to a step of {step}")
    mode = ROUND_CEILING if direction == "up" else ROUND_FLOOR
    steps = (value / step).to_integral_value(rounding=mode)
    # The division is inexact for some steps: one step too far or too short is put right here.
    if direction == "up":
        steps += 1 if steps * step < value else 0
        steps -= 1 if (steps - 1) * step >= value else 0
    else:
        steps -= 1 if steps * step > value else 0
        steps += 1 if (steps + 1) * step <= value else 0
    return steps * step


def round_price(price: Decimal, tick: Decimal, direction: Direction) -> Decimal:
    """The price on the venue's grid, rounded the stated way. Raises ValueError as `round_to_step`."""
    return round_to_step(price, tick, direction)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` lies on the grid of `step`."""
    return value == round_to_step(value, step, "down")
