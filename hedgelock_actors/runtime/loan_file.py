"""The book of imported loans: one Parquet file in the state directory, always whole.

A change writes a new file beside it, forces it to the disk and renames it over the old one, so that a crash leaves
either. Changes take turns by a lock that dies with its holder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hedgelock_actors.domain.errors import InvalidInput

Table = Any
"""A pyarrow.Table: pyarrow ships no types."""
BOOK_FILE, LOCK_FILE = "loans.parquet", "loans.lock"
SCHEMA = pa.schema(
    [
        ("product", pa.string()),
        ("asset", pa.string()),
        ("account", pa.string()),
        ("loan_id", pa.string()),
        ("collateral", pa.float64()),
        ("debt", pa.float64()),
        ("updated_ms", pa.int64()),
    ]
)


def read_book(state: Path, columns: Sequence[str] = tuple(SCHEMA.names)) -> Table:
    """All loans, of them these columns; none when nothing was imported.

    Raises:
        InvalidInput: the file is there and cannot be read.
    """
    path = state / BOOK_FILE
    if not path.exists():
        return SCHEMA.empty_table().select(columns)
    try:
        return pq.read_table(path, columns=list(columns)).select(columns).cast(_schema(columns))
    except (pa.ArrowException, KeyError) as error:
        raise InvalidInput(str(path), f"is not a book of loans ({error}); import the loans anew") from error


def _schema(columns: Sequence[str]) -> Any:  # noqa: ANN401 - a pyarrow.Schema
    return pa.schema([SCHEMA.field(name) for name in columns])


def write_book(state: Path, table: Table) -> None:
    """Put this in place of the book, whole or not at all. Readable by its owner alone. The lock is held."""
    for left in state.glob(f".{BOOK_FILE}.*"):  # by a writer that was killed
        left.unlink(missing_ok=True)
    replace_file(state / BOOK_FILE, lambda out: pq.write_table(table, out, compression="zstd"))


def replace_file(path: Path, write: Any) -> None:  # noqa: ANN401 - writes to what pyarrow takes as a file
    """Write a file, force it to the disk and rename it over the old one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def book_lock(state: Path) -> Iterator[None]:
    """One change of the book at a time.

    Raises:
        InvalidInput: another import is under way.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / LOCK_FILE).open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput("--state-dir", "another import into this book is under way; wait for its end") from None
        yield


def chosen(table: Table, *, loan: str | None = None, account: str | None = None) -> Table:
    """The loans asked for.

    Raises:
        InvalidInput: there is none.
    """
    for field, wanted, option in (("loan_id", loan, "--loan"), ("account", account, "--account")):
        if wanted is not None:
            table = table.filter(pc.equal(table[field], wanted))
            if not table.num_rows:
                raise InvalidInput(option, f"the book holds no such loan: {wanted}; `hedgelock loans show` lists it")
    return table
