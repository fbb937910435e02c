"""What the HTTP services take and give: strict types, unknown fields refused, no NaN (it is not JSON)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

Asset = Literal["BTC", "ETH", "LTC", "XRP"]
AMOUNT_MAX_USD = 1e12


class HedgeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /hedge."""

    asset: Asset
    amount_usd: Annotated[float, msgspec.Meta(ge=0, le=AMOUNT_MAX_USD)]
    override_score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class HedgeResponse(msgspec.Struct, frozen=True):
    """How much of `amount_usd` to hedge now. `version` names curve and code; `ts_ms` is venue time."""

    hedge_pct: float
    notional_usd: float
    confidence: float
    version: str
    ts_ms: int


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """Every error: a stable code, the field it is about, and what to do."""

    error: str
    detail: str
    field: str = ""


class HttpError(Exception):
    """An answer that is not the wanted one."""

    def __init__(self, status: int, code: str, detail: str, field: str = "") -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.body = ErrorBody(error=code, detail=detail, field=field)


class Reply(msgspec.Struct, frozen=True):
    """What a service answers."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


_FIELD = re.compile(r"`\$\.([\w.\[\]]+)`|field `(\w+)`")
"""Where msgspec names the field: `$.amount_usd` for a bad value, field `amount_usd` for a missing or unknown one."""
_ENCODER = msgspec.json.Encoder(decimal_format="string", enc_hook=str)
_HEDGE = msgspec.json.Decoder(HedgeRequest)


def reply(value: object, status: int = 200) -> Reply:
    """A JSON answer."""
    return Reply(status=status, body=_ENCODER.encode(value))


def hedge_request(body: bytes) -> HedgeRequest:
    """Raises HttpError 422 naming the field."""
    try:
        return _HEDGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unprocessable(error) from None


def unprocessable(error: Exception) -> HttpError:
    """The answer to a body that cannot be read, naming the field."""
    found = _FIELD.search(str(error))
    return HttpError(422, "invalid_input", str(error), (found[1] or found[2]) if found else "")
