"""The page and the table: complete, well-formed, loading nothing, and safe against what names say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree

import pytest
from rich.console import Console

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.reporting.execution_table import as_table, as_values
from hedgelock_actors.reporting.svg import nice_ticks
from hedgelock_actors.runtime.execution_report import Asked, Found, report_of
from tests.unit.reporting.records import NOW, Stream

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Balance(HTMLParser):
    """Fails on a tag that closes another one's."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def sample(strategy: str = "passive", variant: str = "b") -> Found:
    stream = Stream()
    for n in range(30):
        one = ("aggressive", "") if n % 3 == 0 else (strategy, "a" if n % 3 == 1 else variant)
        link = stream.intent(f"i{n}", "1", "60000", NOW + n * 60_000, strategy=one[0], variant=one[1], version=n)
        mids = {1_000: str(60_010 - n), 10_000: str(60_020 + n), 60_000: "59990"}
        stream.fill(link, "0.9" if n == 7 else "1", str(59_995 + n), NOW + n * 60_000 + 80 + n, fee="33", mids=mids)
    return report_of([stream.records], Asked(), "a test")


def test_the_page_is_whole_and_loads_nothing() -> None:
    page = sample().page()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)  # noqa: S314 - our own drawing
        assert "nan" not in drawing
    assert not re.search(r"<script|<link|<img|https?://|@import|url\(", page)
    for said in ("passive / a", "29 of 30", "95 % band; known of 30 of 30", "p (Welch)", "b against a"):
        assert said in page


def test_names_cannot_write_markup() -> None:
    page = sample('<script>alert("x")</script>', "<b>").page()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_an_empty_report_is_a_page_too() -> None:
    empty = report_of([], Asked(), "nothing")
    page = empty.page()
    parser = Balance()
    parser.feed(page)
    assert page.count("Nothing to show yet.") == 4
    assert "No markouts yet" in page
    Console(width=100, file=StringIO()).print(as_table(empty.quality, empty.comparisons))


def test_one_intent_without_a_fill_is_drawn() -> None:
    stream = Stream()
    stream.intent("one", "1", "60000")
    page = report_of([stream.records], Asked(), "one").page()
    assert page.count("<svg") == 2
    assert "nan" not in page


def test_the_table_and_the_values_say_the_same() -> None:
    found = sample()
    written = StringIO()
    Console(width=200, file=written).print(as_table(found.quality, found.comparisons))
    shown = written.getvalue()
    values = json.loads(json.dumps(as_values(found.quality, found.comparisons), allow_nan=False))
    overall = values["overall"]
    assert f"{overall['shortfall_bps']:.2f}" in shown
    assert f"{overall['targets_filled']} of {overall['targets']}" in shown
    assert "p = " in shown
    assert [one["strategy"] for one in values["strategies"]] == ["aggressive", "passive"]
    assert values["experiments"][0]["a"] == "a"


def test_only_what_was_asked_for() -> None:
    stream = Stream()
    for n in range(5):
        stream.intent(f"i{n}", "1", "60000", NOW + n, version=n + 1)
    assert report_of([stream.records], Asked(since_ms=NOW + 3), "x").quality.overall.intents == 2


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-3.1, 9, [-5, -2.5, 0, 2.5, 5, 7.5, 10]), (5, 5, [5, 5.2, 5.4, 5.6, 5.8, 6])],
)
def test_ticks_are_round_and_cover_the_values(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_since_is_read_as_utc() -> None:
    from hedgelock_actors.cli_execution import since_ms

    assert since_ms(None) is None
    assert since_ms("2020-03-12T00:00") == since_ms("2020-03-12T00:00Z") == 1_583_971_200_000
    with pytest.raises(InvalidInput, match="since"):
        since_ms("yesterday")
