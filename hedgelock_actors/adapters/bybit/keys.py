"""What the venue says about the API key itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from hedgelock_actors.adapters.bybit import fields as f
from hedgelock_actors.adapters.bybit.fields import BadData
from hedgelock_actors.adapters.bybit.outcome import Answer

_EARLIEST_MS = 1_420_070_400_000


class Asks(Protocol):
    """The part of a RestClient that is needed here."""

    async def query(self, method: str) -> Answer: ...


async def key_expires_ms(rest: Asks) -> int | None:
    """When the key ends, in ms; None for one that does not (bound to addresses, its end is the beginning of time).

    Raises:
        VenueError: no usable answer.
    """
    answer = await rest.query("get_api_key_information")
    said = f.text_or_empty(answer.result, "expiredAt")
    if not said:
        return None
    try:
        end = datetime.fromisoformat(said)
    except ValueError:
        raise BadData("expiredAt", said, "is not a time") from None
    ms = round((end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() * 1_000)
    return ms if ms > _EARLIEST_MS else None
