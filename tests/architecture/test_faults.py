"""Every fault of the catalogue has a test that is named for it, or a written reason why not."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "docs" / "FAULTS.md"
WANTED = [f"F{number:02}" for number in (*range(1, 55), *range(65, 73))]
"""F55–F64 are of services that are not there yet, but for those that are listed all the same."""


@cache
def rows() -> dict[str, str]:
    """Number → the cell that says what holds it."""
    found: dict[str, str] = {}
    for line in CATALOGUE.read_text(encoding="utf-8").splitlines():
        row = re.fullmatch(r"\| (F\d\d) \|(.*)\|(.*)\|", line)
        if row:
            found[row[1]] = row[3].strip()
    return found


@cache
def named_by_fault() -> dict[str, list[str]]:
    """Number → tests whose name carries it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for number in re.findall(r"_(f\d\d)(?=_)", node.name):
                    found.setdefault(number.upper(), []).append(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return found


@pytest.mark.parametrize("number", WANTED)
def test_each_fault_has_a_test_or_a_reason(number: str) -> None:
    cell = rows().get(number, "")
    named = re.findall(r"`(tests/[\w/.]+::\w+)`", cell)
    known = named_by_fault().get(number, [])
    if cell.startswith("Not tested:"):
        assert len(cell) > 40, f"{number}: say why"
        assert not known, f"{number}: there are tests: {known}"
        return
    assert named, f"{number}: name a test or say 'Not tested: why'"
    assert set(named) <= set(known), f"{number}: {set(named) - set(known)} are not there or not named for it"


def test_no_test_is_named_for_a_fault_that_is_not_in_the_catalogue() -> None:
    assert set(named_by_fault()) <= set(rows())
