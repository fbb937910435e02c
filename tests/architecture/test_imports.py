"""The layers hold, and the contracts that say so would notice if they did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = ("hedgelock_actors.domain", "hedgelock_actors.execution", "hedgelock_actors.ports")
HEAVY = ("ray", "aiohttp", "asyncpg", "sqlalchemy", "redis", "pybit", "websocket", "requests", "starlette")


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_import_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("hedgelock_actors/domain/money.py", "import time", "Decisions are pure"),
        ("hedgelock_actors/domain/money.py", "import hedgelock_actors.ports", "Imports point one way"),
        ("hedgelock_actors/treasury.py", "import ray", "Actors are plain classes"),
        ("hedgelock_actors/treasury.py", "import hedgelock_actors.notifier", "Actors talk by messages"),
        ("hedgelock_actors/simulator/__init__.py", "import hedgelock_actors.adapters.bybit", "The exchange shares no"),
        ("hedgelock_actors/simulator/__init__.py", "import hedgelock_actors.domain.messages", "The exchange borrows"),
        ("hedgelock_actors/adapters/__init__.py", "import ray", "Only runtime and serve_apps"),
    ],
)
def test_a_forbidden_import_is_noticed(tmp_path: Path, file: str, line: str, contract: str) -> None:
    skip = shutil.ignore_patterns("__pycache__")
    for package in ("hedgelock_actors", "serve_apps"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a", encoding="utf-8") as target:
        target.write(f"\n{line}\n")
    done = lint(tmp_path)
    broken = [row for row in done.stdout.splitlines() if row.startswith(contract) and "BROKEN" in row]
    assert done.returncode != 0
    assert broken, done.stdout


@pytest.mark.parametrize("package", PURE)
def test_importing_the_core_imports_no_ray_and_no_client_library(package: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module({package!r})\n"
        "for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
        f"sys.exit(', '.join(name for name in {HEAVY!r} if name in sys.modules) or None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{package} drags in: {done.stderr}"
