"""What every REST endpoint shares: the call, the answer, the envelope, and reading parameters strictly."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from hedgelock_actors.simulator.api import Ack
from hedgelock_actors.simulator.gateway import Gateway

Row = TypeVar("Row")
PARAMETER_ERROR = 10001


class Refusal(Exception):
    """The venue says no; becomes an envelope with this code and text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Answer:
    """The variable part of an envelope."""

    result: object = field(default_factory=dict)
    ret_code: int = 0
    ret_msg: str = "OK"
    ext: object = field(default_factory=dict)

    def envelope(self, now_ms: int) -> dict[str, object]:
        """The JSON body."""
        return {
            "retCode": self.ret_code,
            "retMsg": self.ret_msg,
            "result": self.result,
            "retExtInfo": self.ext,
            "time": now_ms,
        }


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `uid` is "" for unsigned endpoints, `args` the query (texts) or the JSON body; of a batch, the first
    `allowed` orders are within the rate limit."""

    gateway: Gateway
    uid: str
    args: Mapping[str, object]
    via: str = "rest"
    allowed: int = 1

    def text(self, name: str, default: str | None = None) -> str:
        """A text parameter; required when there is no default."""
        value = self.args.get(name)
        if value is None or value == "":
            if default is None:
                raise Refusal(PARAMETER_ERROR, f"params error: {name} is required")
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refusal(PARAMETER_ERROR, f"params error: {name} invalid")
        return str(value)

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer parameter, as number or text."""
        written = self.text(name, "" if default is not None else None)
        if written == "" and default is not None:
            return default
        try:
            return int(written)
        except ValueError:
            raise Refusal(PARAMETER_ERROR, f"params error: {name} invalid") from None

    def decimal(self, name: str) -> Decimal:
        """A required finite decimal."""
        return parse_decimal(name, self.text(name))

    def optional_decimal(self, name: str) -> Decimal | None:
        """A decimal or None when absent or empty."""
        written = self.text(name, "")
        return parse_decimal(name, written) if written else None

    def flag(self, name: str) -> bool:
        """A boolean, absent = false; texts "true" and "false" pass as the venue lets them."""
        value = self.args.get(name)
        if value is None or value == "":
            return False
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise Refusal(PARAMETER_ERROR, f"params error: {name} invalid")

    def category(self, *allowed: str) -> str:
        """The product; categories that this venue does not trade are refused honestly."""
        value = self.text("category")
        if value not in ("linear", "spot", "inverse", "option"):
            raise Refusal(PARAMETER_ERROR, "params error: Category is invalid")
        if value not in allowed:
            raise Refusal(PARAMETER_ERROR, f"category {value} is not supported by this simulated exchange")
        return value

    def symbol(self, required: bool = True) -> str | None:
        """A known symbol, or None when it may be left out."""
        value = self.text("symbol", None if required else "")
        if not value:
            return None
        if value not in self.gateway.symbols:
            raise Refusal(PARAMETER_ERROR, "Not supported symbols")
        return value

    def known_symbol(self) -> str:
        """A required known symbol."""
        return self.symbol() or ""


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: `signed` ones need a key. A handler that spends the limit per order says so by `batch`."""

    handler: Handler
    signed: bool = True
    batch: bool = False


def parse_decimal(name: str, written: str) -> Decimal:
    """A finite decimal from text."""
    try:
        value = Decimal(written)
    except InvalidOperation:
        raise Refusal(PARAMETER_ERROR, f"params error: {name} invalid") from None
    if not value.is_finite():
        raise Refusal(PARAMETER_ERROR, f"params error: {name} invalid")
    return value


def from_ack(ack: Ack, ret_msg: str = "OK") -> Answer:
    """An engine acknowledgement as an answer."""
    if ack.ret_code:
        return Answer(ret_code=ack.ret_code, ret_msg=ack.ret_msg)
    return Answer(result=dict(ack.result), ret_msg=ret_msg)


def page(
    call: Call, rows: list[Row], stamp: Callable[[Row], int] | None = None, default: int = 20
) -> tuple[list[Row], str]:
    """One page of newest-first rows within startTime..endTime; the cursor is an offset into them."""
    start, end = call.integer("startTime", 0), call.integer("endTime", 0)
    if stamp is not None and (start or end):
        rows = [row for row in rows if (not start or stamp(row) >= start) and (not end or stamp(row) <= end)]
    limit = min(max(call.integer("limit", default), 1), 200)
    cursor = call.text("cursor", "")
    try:
        offset = int(cursor.rsplit("-", 1)[-1]) if cursor else 0
    except ValueError:
        raise Refusal(PARAMETER_ERROR, "params error: cursor invalid") from None
    following = f"page-{offset + limit}" if offset + limit < len(rows) else ""
    return rows[offset : offset + limit], following
