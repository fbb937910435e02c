"""What an answer, or its absence, says about an order: one table, and `Unknown` is what remains.

Source: the venue's error table. A code that is not listed says nothing about the effect, so it is Unknown; so is every
time-out, lost connection, HTTP error and body that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from hedgelock_actors.adapters.bybit.pace import Allowance
from hedgelock_actors.domain.order import Accepted, AmendOutcome, CancelOutcome, Rejected, SubmitOutcome, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A well-formed envelope. `result` is the venue's object, `time_ms` its time when it answered.

    `ext` is `retExtInfo`: in the answer to a batch, one code for each order. `allowance` is what is left of the limit.
    """

    code: int
    text: str
    time_ms: int
    result: Mapping[str, object]
    ext: Mapping[str, object] = field(default_factory=dict)
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFailure:
    """An HTTP status other than 200."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Time-out, lost connection, or a body that is not the venue's envelope; `cause` says which."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """We did not send it, certainly: nothing has left us. `code` is ours."""

    code: str
    text: str


Reply = Answer | HttpFailure | NoAnswer | NotSent


class Meaning(StrEnum):
    """What a code means for the effect of the request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Before any effect; the same request would be refused again."""
    REFUSED_FOR_NOW = "refused for now"
    """Before any effect; the same id may be sent again later."""
    EXISTS = "exists"
    """The id has been used: an earlier attempt arrived."""
    UNKNOWN = "unknown"


def _table(rows: Mapping[Meaning, tuple[int, ...]]) -> Mapping[int, Meaning]:
    return MappingProxyType({code: meaning for meaning, codes in rows.items() for code in codes})


# 10010: the key is not bound to our address; 33004: it has expired.
_COMMON_REFUSED = (10001, 10003, 10004, 10005, 10010, 10024, 10027, 33004)
# 10403: too many requests from our address on the trade socket.
_COMMON_LATER = (10002, 10006, 10019, 10403, 10429)
_COMMON_UNKNOWN = (10000, 10014, 10016, 20006, 40004, 3400214)

CREATE = _table(
    {
        Meaning.ACCEPTED: (0,),
        Meaning.REFUSED: (
            *_COMMON_REFUSED,
            *(110003, 110004, 110006, 110007, 110012, 110017, 110020, 110021, 110066, 110090, 110094),
            *(110023, 110063, 30228),  # may only reduce; being settled; being delisted
        ),
        Meaning.REFUSED_FOR_NOW: _COMMON_LATER,
        Meaning.EXISTS: (110072,),
        Meaning.UNKNOWN: _COMMON_UNKNOWN,
    }
)
# A cancel or an amendment that meets a venue which does not trade (110066, 110063) may be sent again when it does.
_NOT_TRADING = (110063, 110066)
# 110001 may mean "not visible yet"; 110008 and 110010 mean that the order has ended and may have fills.
CANCEL = _table(
    {
        Meaning.ACCEPTED: (0,),
        Meaning.REFUSED: (*_COMMON_REFUSED, 110008, 110010),
        Meaning.REFUSED_FOR_NOW: (*_COMMON_LATER, *_NOT_TRADING, 110079),
        Meaning.UNKNOWN: (*_COMMON_UNKNOWN, 110001),
    }
)
# An amendment that finds no order changed nothing, whatever became of the order; 110079: being processed, try later.
AMEND = _table(
    {
        Meaning.ACCEPTED: (0,),
        Meaning.REFUSED: (*_COMMON_REFUSED, 110001, 110003, 110004, 110006, 110007, 110008, 110010, 110012, 110094),
        Meaning.REFUSED_FOR_NOW: (*_COMMON_LATER, *_NOT_TRADING, 110079),
        Meaning.UNKNOWN: _COMMON_UNKNOWN,
    }
)
# 131212, 131228: not enough; 131214: the transfer id exists.
TRANSFER = _table(
    {
        Meaning.ACCEPTED: (0,),
        Meaning.REFUSED: (*_COMMON_REFUSED, 131212, 131228),
        Meaning.REFUSED_FOR_NOW: _COMMON_LATER,
        Meaning.EXISTS: (131214,),
        Meaning.UNKNOWN: _COMMON_UNKNOWN,
    }
)
# 148019, 148021, 148034, 148035: busy or in conflict; 148029: too little in the Funding wallet;
# 148031: being liquidated; 148038: more than the debt.
REPAY = _table(
    {
        Meaning.ACCEPTED: (0,),
        Meaning.REFUSED: (*_COMMON_REFUSED, 148029, 148031, 148038),
        Meaning.REFUSED_FOR_NOW: (*_COMMON_LATER, 148019, 148021, 148034, 148035),
        Meaning.UNKNOWN: _COMMON_UNKNOWN,
    }
)

TOO_MANY_REQUESTS = 429
FORBIDDEN = 403
# The venue itself is in trouble: it says nothing about the request, and something about the venue.
_TROUBLED = frozenset({10000, 10014, 10016, 40004, 3400214})


def meaning(code: int, table: Mapping[int, Meaning] = CREATE) -> Meaning:
    """What `code` says by `table`; Unknown when it is not there."""
    return table.get(code, Meaning.UNKNOWN)


def submit_outcome(reply: Reply, table: Mapping[int, Meaning] = CREATE, id_key: str = "orderId") -> SubmitOutcome:
    """The outcome of a request that has an effect. An id that exists is adopted: Accepted, with an empty venue id."""
    if isinstance(reply, NotSent):
        return Rejected(reply.code, reply.text, retry=True)
    if isinstance(reply, NoAnswer):
        return Unknown(reply.cause)
    if isinstance(reply, HttpFailure):
        if reply.status == TOO_MANY_REQUESTS:
            return Rejected(str(reply.status), "HTTP 429: system protection", retry=True)
        return Unknown(f"HTTP {reply.status}")
    match meaning(reply.code, table):
        case Meaning.ACCEPTED:
            return Accepted(str(reply.result.get(id_key, "")))
        case Meaning.EXISTS:
            return Accepted("")
        case Meaning.REFUSED:
            return Rejected(str(reply.code), reply.text, retry=False)
        case Meaning.REFUSED_FOR_NOW:
            return Rejected(str(reply.code), reply.text, retry=True)
        case Meaning.UNKNOWN:
            return Unknown(f"{reply.code} {reply.text}")


def cancel_outcome(reply: Reply) -> CancelOutcome:
    """The outcome of a cancel request; Rejected 110008 or 110010 means that the order has ended: query it for fills."""
    return submit_outcome(reply, CANCEL)


def amend_outcome(reply: Reply) -> AmendOutcome:
    """The outcome of an amendment; Rejected means that the order is as it was, or has ended."""
    return submit_outcome(reply, AMEND)


def batch_outcomes(reply: Reply, count: int, table: Mapping[int, Meaning]) -> Sequence[SubmitOutcome]:
    """The outcomes of a batch of `count`, in its order. What the answer does not say about one of them is Unknown."""
    if not isinstance(reply, Answer) or reply.code != 0:
        return [submit_outcome(reply, table)] * count
    rows, codes = reply.result.get("list"), reply.ext.get("list")
    if not isinstance(rows, list) or not isinstance(codes, list) or len(rows) != count or len(codes) != count:
        return [Unknown("the answer does not name every order of the batch")] * count
    return [_batch_item(row, code, reply, table) for row, code in zip(rows, codes, strict=True)]


def _batch_item(row: object, code: object, reply: Answer, table: Mapping[int, Meaning]) -> SubmitOutcome:
    if not isinstance(row, dict) or not isinstance(code, dict) or not isinstance(code.get("code"), int):
        return Unknown("the answer does not say what became of this order")
    one = Answer(code=code["code"], text=str(code.get("msg", "")), time_ms=reply.time_ms, result=row)
    return submit_outcome(one, table)


def in_trouble(reply: Reply) -> bool:
    """The dependency failed, whatever became of the request: a circuit breaker counts it."""
    match reply:
        case Answer(code=code):
            return code in _TROUBLED
        case NotSent():
            return False
        case _:
            return True
