"""What the documents point at is there: links, files, tests and commands."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TOP = ("hedgelock_actors", "serve_apps", "tests", "configs", "docs")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def spans(text: str) -> list[str]:
    """Inline code and the lines of fenced code."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [*inline, *(line for block in fenced for line in block.splitlines())]


@cache
def defined_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


@cache
def commands() -> frozenset[str]:
    import typer

    from hedgelock_actors.cli import app

    return frozenset(getattr(typer.main.get_command(app), "commands", {}))


@pytest.mark.parametrize("doc", DOCS, ids=relative)
def test_links_lead_somewhere(doc: Path) -> None:
    text = doc.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [target for target in targets if "://" not in target and not (doc.parent / target).exists()]
    assert not missing, missing


@pytest.mark.parametrize("doc", DOCS, ids=relative)
def test_files_and_tests_that_are_named_exist(doc: Path) -> None:
    missing = []
    for span in spans(doc.read_text(encoding="utf-8")):
        for found in re.finditer(rf"\b((?:{'|'.join(TOP)})/[\w./-]*\w)(?:::(\w+))?", span):
            path, test = ROOT / found[1], found[2]
            if not path.exists() or (test and test not in defined_in(path)):
                missing.append(found[0])
    assert not missing, missing


@pytest.mark.parametrize("doc", DOCS, ids=relative)
def test_commands_that_are_named_exist(doc: Path) -> None:
    named = {
        found[1]
        for span in spans(doc.read_text(encoding="utf-8"))
        if (found := re.match(r"(?:\$ )?(?:\.venv/bin/)?hedgelock ([a-z]+(?:-[a-z]+)*)\b", span.strip()))
    }
    assert named <= commands(), named - commands()


@pytest.mark.parametrize("doc", DOCS, ids=relative)
def test_make_targets_that_are_named_exist(doc: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        found[1] for span in spans(doc.read_text(encoding="utf-8")) if (found := re.match(r"make ([a-z]+)\b", span))
    }
    assert named <= known, named - known
