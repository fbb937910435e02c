"""The page of refusals is the one that the code would write, and it says what the checks do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hedgelock_actors.domain.gate_checks import CHECKS
from hedgelock_actors.domain.limits import Refused, approve
from hedgelock_actors.domain.refusal import RefusalCode
from hedgelock_actors.runtime.config import Config
from hedgelock_actors.runtime.refusals_doc import COMMAND, KEYS, PAGE, default_of, main, refusals_page
from tests.unit.domain.test_limits import CASES

ROOT = Path(__file__).resolve().parents[2]


def row(code: RefusalCode) -> list[str]:
    [line] = [line for line in refusals_page().splitlines() if line.startswith(f"| `{code.value}` |")]
    return [cell.strip() for cell in line.split("|")]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == refusals_page(), f"{PAGE} is out of date: run `{COMMAND}`"


def test_the_page_is_written_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / PAGE).parent.mkdir()
    monkeypatch.setattr("sys.argv", ["refusals_doc", str(tmp_path)])
    main()
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == refusals_page()


def test_every_code_has_its_row() -> None:
    for code in RefusalCode:
        assert row(code)[2] == code.doc


@pytest.mark.parametrize("key", sorted({key for keys in KEYS.values() for key in keys}))
def test_the_keys_are_those_of_the_configuration(key: str) -> None:
    assert default_of(key, Config()) is not None


@pytest.mark.parametrize("code", [code for code, _ in CHECKS])
def test_what_the_page_says_a_limit_binds_is_what_it_stops(code: RefusalCode) -> None:
    """The case that a limit refuses, made protective, is stopped by it exactly where the page says."""
    made, ctx, limits = CASES[code]
    if made.reduce_only or code in {RefusalCode.AWAY_FROM_TARGET, RefusalCode.WRONG_DIRECTION}:
        assert row(code)[3] == "all"
        return
    towards = approve(made, replace(ctx, target_short_qty=Decimal(10**6), trade=None), limits)
    stopped = isinstance(towards, Refused) and towards.code is code
    assert stopped is (row(code)[3] in ("all", "opening"))
