"""`hedgelock loans`: files in and out of the book, and what is said about rows that cannot be."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hedgelock_actors.cli import app
from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan_rows import reasons
from hedgelock_actors.runtime import loan_file
from hedgelock_actors.runtime.loan_read import read_loans

HEADER = "asset,account,loan_id,collateral,debt,updated_ms\n"
NOW = 1_700_000_000_000
BAD = (
    HEADER + "BTC,A1,X1,1.5,30000,1700000000000\n"
    "btc,A1,X2,1.5,30000,1700000000000\n"
    "\n"
    "BTC,A1,X4,1\n"
    'BTC,A1,X5,1.0,"1,000",1700000000000\n'
    "ETH,A2,X1,1,1,1700000000000\n"
    "ETH,A2,X7,1e3,0,1700000000000\n"
)
REASONS = [(3, "asset"), (5, "row"), (6, "debt"), (7, "loan_id")]


def loans(state: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["loans", *arguments, "--state-dir", str(state), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def held(state: Path) -> list[dict[str, Any]]:
    return sorted(loan_file.read_book(state).to_pylist(), key=lambda one: one["loan_id"])


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    path.write_text(BAD, encoding="utf-8")
    return path


def test_good_rows_are_kept_and_bad_ones_told_with_line_field_and_reason(tmp_path: Path, bad: Path) -> None:
    answer = loans(tmp_path, "import", str(bad))
    assert (answer["good"], answer["refused"], answer["written"]) == (2, 4, True)
    assert [(one["line"], one["field"]) for one in answer["reasons"]] == REASONS
    assert "line 2" in answer["reasons"][3]["reason"]
    assert [(one["loan_id"], one["product"], one["collateral"]) for one in held(tmp_path)] == [
        ("X1", "default", 1.5),
        ("X7", "default", 1000.0),
    ]


def test_strict_takes_nothing_and_fails(tmp_path: Path, bad: Path) -> None:
    answer = loans(tmp_path, "import", str(bad), "--strict", code=1)
    assert answer["written"] is False
    assert held(tmp_path) == []


def test_known_loans_are_changed_others_stay_and_older_rows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "BTC,A1,X1,1,100,2000\nBTC,A1,X2,1,100,2000\n", encoding="utf-8")
    loans(tmp_path, "import", str(path))
    path.write_text(HEADER + "BTC,A1,X1,2,50,3000\nBTC,A1,X2,9,9,1999\nBTC,A9,X3,1,1,1\n", encoding="utf-8")
    answer = loans(tmp_path, "import", str(path))
    assert (answer["new"], answer["changed"], answer["loans"]) == (1, 1, 3)
    assert [(one["line"], one["field"]) for one in answer["reasons"]] == [(3, "updated_ms")]
    assert [(one["loan_id"], one["collateral"]) for one in held(tmp_path)] == [("X1", 2.0), ("X2", 1.0), ("X3", 1.0)]
    answer = loans(tmp_path, "import", str(path), "--replace")
    assert answer["loans"] == 3
    assert [one["collateral"] for one in held(tmp_path)] == [2.0, 9.0, 1.0]


def test_what_is_exported_can_be_imported_again(tmp_path: Path) -> None:
    made = tmp_path / "made.csv"
    CliRunner().invoke(app, ["loans", "generate", str(made), "--count", "500", "--seed", "4"])
    loans(tmp_path / "one", "import", str(made))
    for name in ("book.parquet", "book.csv"):
        loans(tmp_path / "one", "export", str(tmp_path / name))
        answer = loans(tmp_path / name[5:], "import", str(tmp_path / name))
        assert (answer["new"], answer["refused"]) == (500, 0)
        assert held(tmp_path / name[5:]) == held(tmp_path / "one")


def test_the_same_seed_makes_the_same_loans(tmp_path: Path) -> None:
    files = [tmp_path / "1.csv", tmp_path / "2.csv", tmp_path / "3.csv"]
    for path, seed in zip(files, ("5", "5", "6"), strict=True):
        CliRunner().invoke(app, ["loans", "generate", str(path), "--count", "50", "--seed", seed])
    one, two, three = (path.read_bytes() for path in files)
    assert one == two
    assert one != three


def test_lines_are_right_far_into_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    rows = [f"BTC,account-number-{at},loan-number-{at},1.25,30000,1700000000000" for at in range(200_000)]
    rows[150_000], rows[180_000], rows[199_999] = "BTC,A1", "BTC,A1,late,0,1,1", "BTC,A1,last,1,x,1"
    path.write_text(HEADER + "\n".join(rows), encoding="utf-8")
    told: list[float] = []
    table, refused = read_loans(path, NOW, told.append)
    assert table.num_rows == 199_997
    assert [one.line for one in refused.reasons] == [150_002, 180_002, 200_001]
    assert table["line"][-1].as_py() == 200_000
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_text_that_is_no_text_is_a_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + b"BTC,\xff\xfe,X1,1,1,1\nBTC,A1,X2,1,1,1\n")
    table, refused = read_loans(path, NOW, lambda _: None)
    assert table["loan_id"].to_pylist() == ["X2"]
    assert [(one.line, one.field) for one in refused.reasons] == [(2, "account")]


def test_a_parquet_file_may_hold_numbers_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {"asset": ["BTC", "BTC", None], "account": [1, 2, 3], "loan_id": [7, 8, 9]}
    pq.write_table(pa.table(columns | {"collateral": [1.0, float("nan"), 1.0], "debt": [1, 2, 3]}), path)
    table, refused = read_loans(path, NOW, lambda _: None)
    assert table.drop_columns(["line"]).to_pylist() == [
        {
            "product": "default",
            "asset": "BTC",
            "account": "1",
            "loan_id": "7",
            "collateral": 1.0,
            "debt": 1.0,
            "updated_ms": NOW,
        }
    ]
    assert [(one.line, one.field) for one in refused.reasons] == [(2, "collateral"), (3, "asset")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "cannot be read as csv"),
        ("a.csv", b"asset,account\nBTC,A1\n", "columns are missing: loan_id, collateral, debt"),
        ("a.parquet", b"no parquet", "cannot be read as parquet"),
        ("a.xlsx", b"", "must end in"),
        ("none.csv", None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        loans(tmp_path, "import", str(tmp_path / name))
    assert said in caught.value.remedy


def test_a_crash_while_writing_leaves_the_old_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "BTC,A1,X1,1,100,2000\n", encoding="utf-8")
    loans(tmp_path, "import", str(path))

    def half(_table: object, out: Any, **_options: object) -> None:
        out.write(b"PAR1 half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(pq, "write_table", half)
    path.write_text(HEADER + "BTC,A1,X2,1,100,2000\n", encoding="utf-8")
    with pytest.raises(OSError, match="no space"):
        loans(tmp_path, "import", str(path))
    assert [one["loan_id"] for one in held(tmp_path)] == ["X1"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.csv", "loans.lock", "loans.parquet"]
    assert (tmp_path / "loans.parquet").stat().st_mode & 0o077 == 0


def test_a_killed_writer_leaves_a_whole_book_and_the_next_one_writes(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from hedgelock_actors.runtime.loan_file import write_book\n"
        "from hedgelock_actors.runtime.loan_generate import made_up\n"
        "books = [made_up(count, 1, 9) for count in (20_000, 50_000)]\n"
        "while True:\n"
        "    for book in books:\n"
        "        write_book(pathlib.Path(sys.argv[1]), book)\n"
        "        print(book.num_rows, flush=True)\n"
    )
    for written in (1, 2, 5):
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(written):
                writer.stdout.readline()
            writer.kill()
        assert loan_file.read_book(tmp_path).num_rows in {20_000, 50_000}
    loan_file.write_book(tmp_path, loan_file.read_book(tmp_path).slice(0, 3))
    assert loan_file.read_book(tmp_path, ("debt",)).shape == (3, 1)
    assert [one.name for one in tmp_path.iterdir()] == ["loans.parquet"]


def test_two_imports_at_once_are_refused_and_a_broken_book_is_said(tmp_path: Path, bad: Path) -> None:
    with loan_file.book_lock(tmp_path), pytest.raises(InvalidInput, match="under way"):
        loans(tmp_path, "import", str(bad))
    (tmp_path / "loans.parquet").write_bytes(b"junk")
    with pytest.raises(InvalidInput, match="is not a book"):
        loans(tmp_path, "show")


def test_show_sums_by_product_and_coin(tmp_path: Path) -> None:
    assert loans(tmp_path, "show")["loans"] == 0
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "BTC,A1,X1,1,30000,1\nBTC,A2,X2,1,45000,1\nETH,A1,X3,10,3000,1\n", encoding="utf-8")
    loans(tmp_path, "import", str(path))
    answer = loans(tmp_path, "show", "--price", "BTC=60000", "--limit", "2")
    assert [(one["asset"], one["loans"], one["debt"], one["ltv"]) for one in answer["groups"]] == [
        ("BTC", 2, 75_000.0, 0.625),
        ("ETH", 1, 3_000.0, None),
    ]
    assert [(one["loan_id"], one["ltv"]) for one in answer["shown"]] == [("X2", 0.75), ("X1", 0.5)]
    assert [one["loan_id"] for one in loans(tmp_path, "show", "--account", "A1")["shown"]] == ["X1", "X3"]
    with pytest.raises(InvalidInput, match="no such loan"):
        loans(tmp_path, "show", "--loan", "X9")
    with pytest.raises(InvalidInput, match="BTC=60000"):
        loans(tmp_path, "show", "--price", "BTC")


@pytest.mark.parametrize(("name", "count", "said"), [("a.csv", "0", "at least one"), ("a.txt", "1", "must end in")])
def test_what_cannot_be_generated_is_said(tmp_path: Path, name: str, count: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        CliRunner().invoke(app, ["loans", "generate", str(tmp_path / name), "--count", count], catch_exceptions=False)


def test_the_tables_say_it_for_people(tmp_path: Path, bad: Path) -> None:
    runner, where = CliRunner(), ["--state-dir", str(tmp_path)]
    assert "holds no loans" in runner.invoke(app, ["loans", "show", *where]).stdout
    shown = runner.invoke(app, ["loans", "import", str(bad), *where]).stdout
    assert "4 rows refused; 2 loans new" in shown
    shown = runner.invoke(app, ["loans", "show", *where, "--price", "BTC=60000"], env={"COLUMNS": "200"}).stdout
    assert "0.3333" in shown
    assert "nothing was taken" in runner.invoke(app, ["loans", "import", str(bad), "--strict", *where]).stdout
    bad.write_text(HEADER, encoding="utf-8")
    assert "holds no loans" in runner.invoke(app, ["loans", "import", str(bad), *where]).stdout
    bad.write_text(HEADER + "x,x,x,x,x,x\n" * 9, encoding="utf-8")
    assert "and 16 more" in runner.invoke(app, ["loans", "import", str(bad), *where]).stdout


CELLS = st.one_of(
    st.sampled_from(
        ["BTC", "1", "1.5", "0", "-1", "1e3", "1e99", "1e999", ".5", "5.", "nan", "", " 2 ", "٣", "1e", "+7"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=6),
)


@given(rows=st.lists(st.tuples(*[CELLS] * 7), min_size=1, max_size=20))
def test_columns_are_judged_as_rows_are(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    names = ("product", "asset", "account", "loan_id", "collateral", "debt", "updated_ms")
    rows = [(*row[:3], f"{row[3]}{at}", *row[4:]) for at, row in enumerate(rows)]
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    table, refused = read_loans(path, NOW, lambda _: None)
    good = [at + 2 for at, row in enumerate(rows) if not reasons(at + 2, dict(zip(names, row, strict=True)), NOW)]
    ids = [row[3].strip() for row in rows]
    assert len(set(ids)) < len(ids) or table["line"].to_pylist() == good
    assert refused.rows == len(rows) - table.num_rows
