"""Was anything lost, was anything doubled? The venue's own log against the journal. Pure.

An order is *lost* when the venue carried it out and our record does not know of it or of its fills, and *doubled* when
the venue carried out the same intent, or the same order, more than once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hedgelock_actors.codec import amount, execution_from, text
from hedgelock_actors.domain.money import ZERO
from hedgelock_actors.ports.journal import Record

TRADE = "Trade"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTruth:
    """One account, as the exchange itself tells it."""

    arrivals: Sequence[Mapping[str, Any]]
    """Order requests in order of arrival (`/sim/orders`)."""
    fills: int
    position: Decimal
    duplicate_orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What does not fit; all empty when nothing was lost and nothing was doubled."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    orders: int
    fills: int

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled."""
        return not self.lost and not self.doubled


def compare(venue: VenueTruth, router: Sequence[Record], keeper: Sequence[Record]) -> Verdict:
    """Hold the journal streams of an account's router and keeper against the venue."""
    accepted = [row for row in venue.arrivals if row["op"] in ("create", "create-batch") and row["retCode"] == 0]
    intents = {
        text(record.entry.payload, "order_link_id"): record.entry.payload
        for record in router
        if record.entry.kind == "intent"
    }
    lost = [f"order {row['order_link_id']} is not on record" for row in accepted if row["order_link_id"] not in intents]
    lost += _fills("the router", _executions(router, "execution"), venue)
    lost += _fills("the keeper", _executions(keeper, "booked"), venue)
    sent = Counter(str(row["order_link_id"]) for row in accepted)
    doubled = [f"order {link} was carried out {count} times" for link, count in sent.items() if count > 1]
    if venue.duplicate_orders:
        doubled.append(f"the venue counts {venue.duplicate_orders} duplicates")
    doubled += _overfilled(intents, _executions(router, "execution"))
    return Verdict(lost=tuple(lost), doubled=tuple(doubled), orders=len(accepted), fills=venue.fills)


def _executions(records: Iterable[Record], kind: str) -> list[tuple[str, str, Decimal, str]]:
    """(exec id, order link, signed quantity, type) of each execution on record."""
    found = []
    for record in records:
        if record.entry.kind in (kind, "opening"):
            one = execution_from(record.entry.payload)
            found.append((one.exec_id, one.order_link_id, one.side.sign * one.qty, one.exec_type))
    return found


def _fills(who: str, executions: Sequence[tuple[str, str, Decimal, str]], venue: VenueTruth) -> list[str]:
    trades = [one for one in executions if one[3] == TRADE]
    moved = sum((qty for _, _, qty, kind in executions if kind != "Funding"), ZERO)
    wrong = []
    if len(trades) != venue.fills:
        wrong.append(f"{who} has {len(trades)} fills on record, the venue made {venue.fills}")
    if moved != venue.position:
        wrong.append(f"{who}'s fills add up to {moved}, the venue's position is {venue.position}")
    return wrong


def _overfilled(
    intents: Mapping[str, Mapping[str, Any]], executions: Sequence[tuple[str, str, Decimal, str]]
) -> list[str]:
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for _, link, qty, kind in executions:
        if kind == TRADE and link in intents:
            filled[text(intents[link], "intent_id")] += abs(qty)
    asked: dict[str, Decimal] = {}
    for payload in intents.values():
        asked[text(payload, "intent_id")] = max(
            asked.get(text(payload, "intent_id"), ZERO), amount(payload, "intent_qty")
        )
    return [f"intent {name}: {qty} filled of {asked[name]}" for name, qty in filled.items() if qty > asked[name]]
