"""The limits in force, on record at every start; where raising one takes two persons, a start does not do it alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal

from hedgelock_actors.ports.journal import Entry, Journal, Json, Record
from hedgelock_actors.runtime.config import Config, LimitsConfig
from hedgelock_actors.runtime.control_log import LIMITS, Asked, ControlBook, ControlLog, entry_of

LOOSER_WHEN_SMALLER = frozenset({"initial_margin", "min_liquidation_distance", "duplicate_window_s", "min_order_qty"})
"""All other limits allow more when they are larger."""


class LimitsRaised(Exception):
    """The configuration allows more than what is on record, and nobody approved that; the message says what to do."""


def limits_payload(limits: LimitsConfig) -> dict[str, Json]:
    """Limits as they go on record, amounts as decimal strings, with their hash."""
    values: dict[str, Json] = limits.model_dump(mode="json")
    said = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return {"limits": values, "hash": hashlib.sha256(said.encode()).hexdigest()[:16]}


def loosened(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """Which limits allow more than before, in words. A limit that is new, or gone, loosens nothing."""
    found = []
    for name in sorted(before.keys() & now.keys()):
        was, becomes = Decimal(str(before[name])), Decimal(str(now[name]))
        if becomes < was if name in LOOSER_WHEN_SMALLER else becomes > was:
            found.append(f"limits.{name} from {was} to {becomes}")
    return found


async def put_limits_on_record(journal: Journal, config: Config, now_ms: int) -> Record | None:
    """Record the limits of this start when they differ from those on record; None when they do not.

    Raises:
        LimitsRaised: some allow more, which takes two persons, and two persons have not said so.
        StaleEpoch, JournalUnavailable: nothing was recorded.
    """
    log, wanted = ControlLog(journal), limits_payload(config.limits)
    if (await log.read()).limits_hash == wanted["hash"]:
        return None

    def decide(book: ControlBook) -> Entry:
        changes = loosened(book.limits, config.limits.model_dump(mode="json"))
        if changes and "raise_limit" in config.control.two_person and wanted["hash"] not in book.approved_limits:
            raise LimitsRaised(
                f"{'; '.join(changes)}: this takes two persons. Start with the limits as they were, ask for these with "
                "`hedgelock raise-limits --config FILE --reason WHY`, and let another person `hedgelock approve` it"
            )
        asked = Asked(who="start", key=f"limits:{book.n}", action="start", body={}, origin="hedgelock up")
        return entry_of(LIMITS, asked, {**wanted, "before": book.limits_hash, "loosened": changes}, now_ms)

    return await log.write(decide)
