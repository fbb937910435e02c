"""Any single edit, removal, swap or insertion in a stream is located; what a chain cannot see, a checkpoint does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgelock_actors.adapters.chain import (
    GENESIS,
    ChainCheck,
    Head,
    Row,
    canonical,
    check_entry,
    row_hash,
    seal,
    to_record,
)
from hedgelock_actors.adapters.memory.journal import MemoryJournal
from hedgelock_actors.ports.journal import ChainBroken, Entry

STREAM = "order-router-a"

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
payloads = st.dictionaries(st.text(max_size=6), values, max_size=3)


@st.composite
def streams(draw: st.DrawFn, least: int = 1) -> list[Row]:
    """The stored rows of a stream, written through the journal."""
    keys = draw(st.lists(text.filter(bool), min_size=least, max_size=8, unique=True))
    entries = [
        Entry(
            kind=draw(st.sampled_from(["intent", "execution"])),
            key=key,
            ts_ms=draw(st.integers(0, 2**62)),
            account=draw(text),
            payload=draw(payloads),
        )
        for key in keys
    ]

    async def write() -> list[Row]:
        journal = MemoryJournal()
        for entry in entries:
            epoch = await journal.open(STREAM)
            await journal.append(STREAM, epoch, [entry])
        return journal.rows(STREAM)

    return asyncio.run(write())


def verify(rows: list[Row], seen: Head | None = None) -> Head:
    check = ChainCheck(STREAM)
    for row in rows:
        check.take(row)
        if seen is not None and row.n == seen.n:
            check.expect(seen)
    if seen is not None and check.head.n < seen.n:
        check.expect(seen)
    return check.head


def located(rows: list[Row], seen: Head | None = None) -> int:
    with pytest.raises(ChainBroken) as caught:
        verify(rows, seen)
    words = str(caught.value)
    assert repr(STREAM) in words
    return int(words.split("record ")[1].split(":")[0])


def restamped(rows: list[Row]) -> list[Row]:
    """What a forger with the code makes: every hash anew."""
    made: list[Row] = []
    head = Head(n=0, hash=GENESIS)
    for row in rows:
        stamped = replace(row, n=head.n + 1, prev_hash=head.hash)
        stamped = replace(stamped, hash=row_hash(stamped))
        made.append(stamped)
        head = Head(n=stamped.n, hash=stamped.hash)
    return made


@given(streams())
def test_an_untouched_stream_verifies(rows: list[Row]) -> None:
    assert verify(rows, Head(n=rows[-1].n, hash=rows[-1].hash)).n == len(rows)


@given(st.data(), streams())
def test_an_edit_of_any_field_is_located(data: st.DataObject, rows: list[Row]) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(sorted(Row.__dataclass_fields__)))
    old = getattr(rows[place], field)
    new = data.draw(
        (st.integers(-(2**63), 2**63 - 1) if isinstance(old, int) else st.text()).filter(lambda v: v != old)
    )
    edited = [*rows]
    edited[place] = replace(rows[place], **{field: new})
    assert located(edited) == place + 1


@given(st.data(), streams())
def test_one_flipped_character_of_the_payload_is_located(data: st.DataObject, rows: list[Row]) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    payload = rows[place].payload
    at = data.draw(st.integers(0, len(payload) - 1))
    edited = [*rows]
    edited[place] = replace(rows[place], payload=payload[:at] + chr(ord(payload[at]) ^ 1) + payload[at + 1 :])
    assert located(edited) == place + 1


@given(st.data(), streams(least=2))
def test_a_removal_is_located(data: st.DataObject, rows: list[Row]) -> None:
    place = data.draw(st.integers(0, len(rows) - 2))
    assert located(rows[:place] + rows[place + 1 :]) == place + 1


@given(st.data(), streams(least=2))
def test_a_removal_with_the_rest_renumbered_is_located(data: st.DataObject, rows: list[Row]) -> None:
    place = data.draw(st.integers(0, len(rows) - 2))
    moved = [replace(row, n=row.n - 1) for row in rows[place + 1 :]]
    assert located(rows[:place] + moved) == place + 1


@given(st.data(), streams(least=2))
def test_a_swap_is_located(data: st.DataObject, rows: list[Row]) -> None:
    first = data.draw(st.integers(0, len(rows) - 2))
    second = data.draw(st.integers(first + 1, len(rows) - 1))
    swapped = [*rows]
    swapped[first] = replace(rows[second], n=rows[first].n)
    swapped[second] = replace(rows[first], n=rows[second].n)
    assert located(swapped) == first + 1


@given(st.data(), streams())
def test_an_insertion_that_fits_what_is_before_is_located_by_what_comes_after(
    data: st.DataObject, rows: list[Row]
) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    before = Head(n=place, hash=rows[place - 1].hash if place else GENESIS)
    entry = Entry(kind="execution", key="forged\1", ts_ms=0, account="", payload={})
    forged = seal(STREAM, rows[place].epoch, entry, check_entry(entry), before)
    moved = [replace(row, n=row.n + 1) for row in rows[place:]]
    assert located([*rows[:place], forged, *moved]) == place + 2


@given(st.data(), streams(least=2))
def test_a_cut_tail_is_seen_by_a_checkpoint_alone(data: st.DataObject, rows: list[Row]) -> None:
    kept = data.draw(st.integers(0, len(rows) - 1))
    seen = Head(n=rows[-1].n, hash=rows[-1].hash)
    verify(rows[:kept])
    assert located(rows[:kept], seen) == kept + 1


@given(st.data(), streams())
def test_a_stream_written_anew_is_seen_by_a_checkpoint_alone(data: st.DataObject, rows: list[Row]) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    edited = [*rows]
    edited[place] = replace(rows[place], account=rows[place].account + "x")
    forged = restamped(edited)
    verify(forged)
    seen_place = data.draw(st.integers(place, len(rows) - 1))
    assert located(forged, Head(n=rows[seen_place].n, hash=rows[seen_place].hash)) == seen_place + 1


@given(streams(least=2))
def test_a_stream_that_a_stale_writer_stamped_correctly_is_located(rows: list[Row]) -> None:
    stale = restamped([*rows[:-1], replace(rows[-1], epoch=rows[0].epoch - 1)])
    assert located(stale) == len(rows)


@given(streams(least=2))
def test_a_key_used_twice_is_located_even_if_stamped_correctly(rows: list[Row]) -> None:
    assert located(restamped([*rows[:-1], replace(rows[-1], key=rows[0].key)])) == len(rows)


@given(payloads)
def test_canonical_text_is_one_text_and_loses_nothing(payload: dict[str, object]) -> None:
    entry = Entry(kind="k", key="k", ts_ms=0, account="", payload=payload)  # type: ignore[arg-type]
    written = check_entry(entry)
    back = to_record(seal(STREAM, 1, entry, written, Head(n=0, hash=GENESIS))).entry.payload
    assert back == payload
    assert canonical(back) == written
    assert check_entry(replace(entry, payload=dict(reversed(list(payload.items()))))) == written  # type: ignore[arg-type]
    assert written.isascii()
