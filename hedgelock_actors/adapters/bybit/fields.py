"""Reading single fields of the venue's JSON: numbers come as strings, absent ones as "", none is believed unchecked."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from hedgelock_actors.ports.venue import VenueError

Row = Mapping[str, object]

ZERO = Decimal(0)
# Beyond these nothing real is traded or owed: a value outside them is a wrong scale or a corrupt message.
MAX_PRICE = Decimal("1e9")
MIN_PRICE = Decimal("1e-9")
MAX_AMOUNT = Decimal("1e15")
# Venue times between 2015 and 2100.
_MIN_MS, _MAX_MS = 1_420_070_400_000, 4_102_444_800_000


class BadData(VenueError):
    """The venue said something that cannot be: `field` names it and `why` says what is wrong with `value`."""

    def __init__(self, field: str, value: object, why: str) -> None:
        super().__init__(f"{field} = {str(value)[:60]!r}: {why}")
        self.field = field
        self.value = value
        self.why = why


def text(row: Row, field: str) -> str:
    """A string that must be there and not be empty."""
    value = row.get(field)
    if not isinstance(value, str) or not value:
        raise BadData(field, value, "is not a text")
    return value


def text_or_empty(row: Row, field: str) -> str:
    """A string; absent is ""."""
    value = row.get(field, "")
    if not isinstance(value, str):
        raise BadData(field, value, "is not a text")
    return value


def flag(row: Row, field: str) -> bool:
    """A boolean; absent is False."""
    value = row.get(field, False)
    if not isinstance(value, bool):
        raise BadData(field, value, "is not true or false")
    return value


def integer(row: Row, field: str) -> int:
    """A whole number, as a number or as a string."""
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise BadData(field, value, "is not a whole number")
    try:
        return int(value)
    except ValueError:
        raise BadData(field, value, "is not a whole number") from None


def time_ms(row: Row, field: str) -> int:
    """A venue time in ms."""
    value = integer(row, field)
    if not _MIN_MS <= value <= _MAX_MS:
        raise BadData(field, value, "is not a time in milliseconds")
    return value


def number(row: Row, field: str) -> Decimal:
    """A finite decimal of either sign that must be there."""
    value = decimal(row.get(field), field)
    if abs(value) > MAX_AMOUNT:
        raise BadData(field, value, "is absurdly large")
    return value


def number_or_zero(row: Row, field: str) -> Decimal:
    """As `number`; absent and "" are 0."""
    return ZERO if row.get(field) in (None, "") else number(row, field)


def amount(row: Row, field: str) -> Decimal:
    """A quantity or value: 0 or more."""
    value = number(row, field)
    if value < ZERO:
        raise BadData(field, value, "is negative")
    return value


def amount_or_zero(row: Row, field: str) -> Decimal:
    """As `amount`; absent and "" are 0."""
    return ZERO if row.get(field) in (None, "") else amount(row, field)


def positive(row: Row, field: str) -> Decimal:
    """More than 0."""
    value = amount(row, field)
    if value == ZERO:
        raise BadData(field, value, "is zero")
    return value


def price(row: Row, field: str) -> Decimal:
    """A price: more than 0 and of a believable size."""
    return checked_price(row.get(field), field)


def checked_price(value: object, field: str) -> Decimal:
    """`value` as a price."""
    found = decimal(value, field)
    if not MIN_PRICE <= found <= MAX_PRICE:
        raise BadData(field, value, "is not a believable price")
    return found


def decimal(value: object, field: str) -> Decimal:
    """`value` as a finite Decimal; JSON floats are refused, because they have lost digits."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise BadData(field, value, "is not a number in a text")
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise BadData(field, value, "is not a number") from None
    if not found.is_finite():
        raise BadData(field, value, "is not finite")
    return found


def rows(value: object, field: str) -> list[Row]:
    """A list of objects."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BadData(field, value, "is not a list of objects")
    return value


def plain(value: Decimal) -> str:
    """A decimal as the venue wants it: without exponent and without trailing zeros."""
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
