"""What must hold of every run, judged by the venue's own record, the journal and the order in which things happened."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hedgelock_actors.domain.order import Side
from tests.crash.router_world import ROUTER, RouterWorld

ZERO = Decimal(0)


async def judge(world: RouterWorld) -> list[str]:
    """Everything that is wrong with a run."""
    found = [*world.wrong, *effects(world), *ids(world), *journal_before_effect(world), *books(world)]
    found += [*start_gate(world), *closed(world), *position(world), *trades(world)]
    if await world.journal.verify(ROUTER) != len(world.journal.rows(ROUTER)):
        found.append("the journal's chain is broken")
    return found


def records(world: RouterWorld, kind: str) -> list[dict[str, Any]]:
    return [json.loads(row.payload) for row in world.journal.rows(ROUTER) if row.kind == kind]


def effects(world: RouterWorld) -> Iterator[str]:
    """Each intent has one effect: no more than it asked, not even if all its live orders had filled at once."""
    asked = {one["intent_id"]: Decimal(one["intent_qty"]) for one in records(world, "intent")}
    intent_of = {link: held.request.intent_id for link, held in world.venue.orders.items()}
    done: Counter[str] = Counter()
    for execution in world.venue.executed:
        done[intent_of[execution.order_link_id]] += execution.qty  # type: ignore[assignment]
    for intent, qty in done.items():
        if qty > asked.get(intent, ZERO):
            yield f"intent {intent} asked {asked.get(intent, ZERO)} and had an effect of {qty}"
    for intent, qty in world.venue.worst.items():
        if qty > asked.get(intent, ZERO):
            yield f"intent {intent} asked {asked.get(intent, ZERO)} and could have come to {qty}"


def ids(world: RouterWorld) -> Iterator[str]:
    """The venue knows an attempt by an id that anybody can compute from the intent."""
    for link, held in world.venue.orders.items():
        request = held.request
        digest = hashlib.sha256(f"{request.intent_id}\x1f{request.attempt}".encode()).hexdigest()
        if link != f"hl-{digest[:32]}":
            yield f"order {link} is not named after attempt {request.attempt} of {request.intent_id}"


def journal_before_effect(world: RouterWorld) -> Iterator[str]:
    """When an order arrives, the journal has had the decision to send it, this time too."""
    kept: Counter[str] = Counter()
    arrived: Counter[str] = Counter()
    for one in world.tape.happened:
        if one.what in ("keeps intent", "keeps resend"):
            kept[one.link] += 1
        elif one.what == "arrives":
            arrived[one.link] += 1
            if arrived[one.link] > kept[one.link]:
                yield f"order {one.link} arrived {arrived[one.link]} times, {kept[one.link]} sends were journalled"


def books(world: RouterWorld) -> Iterator[str]:
    """Every execution is journalled, once, as it was; and the router's own count is the venue's."""
    kept = [(one["exec_id"], one["side"], Decimal(one["qty"])) for one in records(world, "execution")]
    true = [(one.exec_id, one.side.value, one.qty) for one in world.venue.executed]
    if sorted(kept) != sorted(true):
        yield f"executions journalled: {sorted(kept)}, of the venue: {sorted(true)}"
    said = Decimal(str(world.actor.snapshot()["position_qty"]))
    if said != world.venue.signed_qty:
        yield f"the router counts {said}, the venue {world.venue.signed_qty}"


def start_gate(world: RouterWorld) -> Iterator[str]:
    """No life sends before it has read executions and position."""
    read: set[tuple[int, str]] = set()
    for one in world.tape.happened:
        if one.what.endswith(" read"):
            read.add((one.life, one.what))
        elif one.what == "arrives" and not {(one.life, "executions read"), (one.life, "position read")} <= read:
            yield f"life {one.life} sent {one.link} before it had reconciled"


def closed(world: RouterWorld) -> Iterator[str]:
    """Nothing arrives while trading is halted, or the lease is not held."""
    shut = False
    for one in world.tape.happened:
        shut = one.what == "closed" or (shut and one.what != "open")
        if shut and one.what == "arrives":
            yield f"order {one.link} arrived while nothing may be sent"


def trades(world: RouterWorld) -> Iterator[str]:
    """Whoever asked for a trade heard of its end, and of the same end each time."""
    for trade_id, qty in world.trades.items():
        heard = {(one.success, one.filled_qty) for one in world.reports(trade_id)}
        if heard != {(True, qty)}:
            yield f"trade {trade_id} of {qty} was reported as {heard}"


def position(world: RouterWorld) -> Iterator[str]:
    """The last target is held; nothing was traded beyond what the story asked."""
    venue, most = world.venue, max(world.targets) + sum(world.trades.values(), ZERO)
    if venue.signed_qty != -(world.targets[-1] + world.beside):
        yield f"position {venue.signed_qty}, last target {world.targets[-1]}, beside it {world.beside}"
    if venue.worst_short > most:
        yield f"short {venue.worst_short} at worst, never more than {most} was wanted"
    if not world.bought <= venue.filled(Side.BUY) <= world.bought + world.or_more:
        yield f"bought {venue.filled(Side.BUY)}, the story asked {world.bought}"
