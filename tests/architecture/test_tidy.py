"""House rules that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hedgelock_actors", "serve_apps")
LINES_MAX = 500
# A ratchet: files that were longer when the rule came may shrink, never grow. Nothing is added here.
LONGER: dict[str, int] = {}
# The packages whose code may be at the edge of the process, where the last resort is caught and reported.
CORE = ("hedgelock_actors/domain", "hedgelock_actors/execution", "hedgelock_actors/ports")


def sources(*roots: str) -> list[Path]:
    return sorted(path for root in roots for path in (ROOT / root).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    target = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""


def matches(pattern: str, paths: list[Path]) -> list[str]:
    find = re.compile(pattern)
    return [
        f"{name(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if find.search(line)
    ]


def test_there_is_code_to_check() -> None:
    assert len(sources(*PACKAGES)) > 20


def test_only_the_command_line_prints() -> None:
    found = [
        f"{name(path)}:{call.lineno}"
        for path in sources(*PACKAGES)
        if not path.name.startswith("cli")
        for call in calls(path)
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]
    assert not found, found


def test_every_suppression_names_its_code() -> None:
    found = matches(r"#\s*type:\s*ignore(?!\[)|#\s*noqa(?!:)", sources(*PACKAGES, "tests"))
    assert not found, found


def test_no_work_is_left_for_later() -> None:
    words = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"))
    assert not (found := matches(rf"\b({words})\b", sources(*PACKAGES, "tests"))), found


def test_files_stay_short() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*PACKAGES)}
    too_long = {path: lines for path, lines in lengths.items() if lines > LONGER.get(path, LINES_MAX)}
    assert not too_long, too_long
    shrunk = {path: lengths.get(path, 0) for path, lines in LONGER.items() if lengths.get(path, 0) < lines}
    assert not shrunk, f"lower the ratchet to {shrunk}"


def test_package_inits_are_empty() -> None:
    found = [name(path) for path in sources(*PACKAGES) if path.name == "__init__.py" and path.read_text().strip()]
    assert not found, found


def test_the_package_knows_no_path_of_a_machine() -> None:
    found = matches(r"\.\./shared|/wo" + r"rk/|/ro" + r"ot/|/ho" + r"me/", sources(*PACKAGES))
    assert not found, found


def test_the_core_never_catches_everything() -> None:
    found = matches(r"except\s*(BaseException|Exception)?\s*(as \w+)?:", sources(*CORE))
    assert not found, found


def test_only_the_limits_approve() -> None:
    made = {name(path) for path in sources(*PACKAGES) for call in calls(path) if called(call) == "Approved"}
    assert made <= {"hedgelock_actors/domain/limits.py"}, made


LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
BLOCKS = [block for block in re.split(r"\n(?=\S)", LOCK) if not block.startswith("#")]


def test_every_locked_package_is_pinned_and_hashed() -> None:
    assert len(BLOCKS) > 50
    loose = [
        block.splitlines()[0]
        for block in BLOCKS
        if not re.match(r"[a-z0-9._\[\],-]+==\S+", block) or "--hash=sha256:" not in block
    ]
    assert not loose, loose


@pytest.mark.parametrize("pattern", ["://", "--index-url", "--find-links", "--trusted-host", r"\s/\w+/"])
def test_the_lock_names_no_host_and_no_path(pattern: str) -> None:
    assert not re.search(pattern, LOCK)


@pytest.mark.parametrize(("package", "floor"), [("starlette", (0, 49, 1)), ("h11", (0, 16)), ("ray", (2, 54))])
def test_the_lock_is_above_the_security_floors(package: str, floor: tuple[int, ...]) -> None:
    found = re.search(rf"^{package}(?:\[\w+\])?==([0-9.]+)", LOCK, re.MULTILINE)
    assert found, f"{package} is not in the lock"
    assert tuple(int(part) for part in found[1].split(".")) >= floor
