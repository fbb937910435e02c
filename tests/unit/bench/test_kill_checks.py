"""Each way to lose or to double an order is found by the comparison with the venue's own log."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hedgelock_actors.bench.kill_checks import VenueTruth, compare
from hedgelock_actors.domain.order import Side
from hedgelock_actors.ports.journal import Record
from tests.unit.reporting.records import NOW, Stream

D = Decimal


def told(*rows: tuple[str, str]) -> VenueTruth:
    """Orders that the venue has carried out, each filled wholly by one fill of 1."""
    arrivals = [{"op": "create", "retCode": 0, "order_link_id": link, "uid": uid} for link, uid in rows]
    return VenueTruth(arrivals=arrivals, fills=len(rows), position=D(-len(rows)), duplicate_orders=0)


def journals() -> tuple[VenueTruth, list[Record], list[Record]]:
    """A router and a keeper that know of two sells of 1, as the venue does."""
    router, keeper = Stream(), Stream()
    links = [router.intent(name, "1", "100", NOW, version=n) for n, name in enumerate(("a", "b"), 1)]
    for stream, kind in ((router, "execution"), (keeper, "booked")):
        for link in links:
            stream.fill(link, "1", "100", NOW, exec_id=f"exec-{link}")
            last = stream.records[-1]
            stream.records[-1] = replace(last, entry=replace(last.entry, kind=kind))
    return told(*((link, "1") for link in links)), router.records, keeper.records


def test_nothing_is_wrong_when_all_agree() -> None:
    venue, router, keeper = journals()
    found = compare(venue, router, keeper)
    assert found.clean
    assert (found.orders, found.fills) == (2, 2)


def test_an_opening_position_and_funding_are_no_fills() -> None:
    venue, router, keeper = journals()
    stream = Stream()
    stream.fill("", "3", "100", NOW, exec_id="opening", exec_type="Opening", side=Side.SELL)
    opening = replace(stream.records[0], entry=replace(stream.records[0].entry, kind="opening"))
    stream.fill("", "1", "100", NOW, exec_id="funding", exec_type="Funding")
    funding = stream.records[1]
    booked = replace(funding, entry=replace(funding.entry, kind="booked"))
    held = replace(venue, position=D(-5))
    assert compare(held, [opening, *router, funding], [opening, *keeper, booked]).clean


def test_refused_requests_do_not_count() -> None:
    venue, router, keeper = journals()
    refused = {"op": "create", "retCode": 110072, "order_link_id": venue.arrivals[0]["order_link_id"]}
    cancel = {"op": "cancel", "retCode": 0, "order_link_id": "unknown"}
    assert compare(replace(venue, arrivals=[*venue.arrivals, refused, cancel]), router, keeper).clean


@pytest.mark.parametrize("kind", ["intent", "execution", "booked"])
def test_what_is_missing_on_record_is_lost(kind: str) -> None:
    venue, router, keeper = journals()
    left = [[one for one in stream if one.entry.kind != kind] for stream in (router, keeper)]
    assert compare(venue, *left).lost


def test_a_fill_that_is_counted_twice_is_found() -> None:
    venue, router, keeper = journals()
    found = compare(venue, [*router, router[-1]], keeper)
    assert len(found.lost) == 2
    assert len(found.doubled) == 1  # the intent has more fills than it asked for


def test_an_order_that_was_carried_out_twice_is_doubled() -> None:
    venue, router, keeper = journals()
    twice = replace(venue, arrivals=[*venue.arrivals, venue.arrivals[0]])
    assert compare(twice, router, keeper).doubled == (
        f"order {venue.arrivals[0]['order_link_id']} was carried out 2 times",
    )
    assert compare(replace(venue, duplicate_orders=1), router, keeper).doubled


def test_an_intent_that_was_carried_out_under_two_ids_is_doubled() -> None:
    router = Stream()
    links = [router.intent("a", "1", "100", NOW, attempt=attempt) for attempt in (0, 1)]
    for link in links:
        router.fill(link, "1", "100", NOW)
    fills = [one for one in router.records if one.entry.kind == "execution"]
    keeper = [replace(one, entry=replace(one.entry, kind="booked")) for one in fills]
    found = compare(told(*((link, "1") for link in links)), router.records, keeper)
    assert not found.lost
    assert found.doubled == ("intent main:a: 2 filled of 1",)
