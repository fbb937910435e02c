"""Loans out of CSV and Parquet files, a batch at a time: what is good as a table, what is bad with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hedgelock_actors.domain.errors import InvalidInput
from hedgelock_actors.domain.loan_rows import (
    AHEAD_MS,
    DEFAULT_PRODUCT,
    LARGEST,
    OPTIONAL,
    REQUIRED,
    TEXTS,
    BadRow,
    pattern_of,
    reasons,
)
from hedgelock_actors.runtime.loan_file import SCHEMA, Table

BATCH = 1 << 16
KEPT_REASONS = 100_000
Progress = Callable[[float], None]
"""Told which part of the file has been read, 0 … 1."""
LINE = "line"


@dataclass(slots=True)
class Refused:
    """Rows that were refused, and the first reasons of them."""

    rows: int = 0
    reasons: list[BadRow] = field(default_factory=list)

    def add(self, *reasons: BadRow) -> None:
        """One more row."""
        self.rows += 1
        if len(self.reasons) < KEPT_REASONS:
            self.reasons.extend(reasons)


def read_loans(path: Path, now_ms: int, progress: Progress) -> tuple[Table, Refused]:
    """The good rows (with a column `line`), each loan once, and what was refused.

    Raises:
        InvalidInput: no such file, not CSV or Parquet by its name or content, or a column is missing.
    """
    refused = Refused()
    readers = {".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        raise InvalidInput(str(path), "must end in .csv or .parquet")
    try:
        parts = [_judged(*batch, now_ms, refused) for batch in readers[path.suffix](path, refused, progress)]
    except FileNotFoundError:
        raise InvalidInput(str(path), "no such file") from None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), f"cannot be read as {path.suffix[1:]}: {error}") from error
    table = pa.concat_tables([_FULL.empty_table(), *parts])
    table = _each_once(table, refused)
    refused.reasons.sort(key=lambda one: one.line)
    return table, refused


_FULL = SCHEMA.append(pa.field(LINE, pa.int64()))


def _csv(path: Path, refused: Refused, progress: Progress) -> Iterator[tuple[Table, NDArray[np.int64]]]:
    """Batches of text, and the line of each row. Rows with too few or too many cells are refused here."""
    odd: set[int] = set()

    def odd_row(row: Any) -> str:  # noqa: ANN401 - pyarrow.csv.InvalidRow
        odd.add(row.number)
        if row.text.strip():
            refused.add(BadRow(row.number, "row", f"has {row.actual_columns} cells, not {row.expected_columns}"))
        return "skip"

    size = max(1, path.stat().st_size)
    with path.open("rb") as file:
        reader = pv.open_csv(
            file,
            pv.ReadOptions(use_threads=False, block_size=1 << 22),
            pv.ParseOptions(invalid_row_handler=odd_row, ignore_empty_lines=False),
            pv.ConvertOptions(
                column_types=dict.fromkeys((*REQUIRED, *OPTIONAL), pa.binary()), strings_can_be_null=False
            ),
        )
        _check_columns(reader.schema.names, path)
        line = 2
        for batch in reader:
            last = line + batch.num_rows + len(odd)
            lines = np.array([at for at in range(line, last) if at not in odd] if odd else range(line, last))
            lines = lines[: batch.num_rows].astype(np.int64)
            line = int(lines[-1]) + 1 if lines.size else line
            odd.difference_update([at for at in odd if at < line])
            texts = _texts(pa.table(batch))
            there = ~_blank(texts)
            yield texts.filter(pa.array(there)), lines[there]
            progress(file.tell() / size)


def _parquet(path: Path, _refused: Refused, progress: Progress) -> Iterator[tuple[Table, NDArray[np.int64]]]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_columns(names, path)
        wanted = [name for name in (*REQUIRED, *OPTIONAL) if name in names]
        line, rows = 1, max(1, file.metadata.num_rows)
        for batch in file.iter_batches(BATCH, columns=wanted):
            yield pa.table(batch), np.arange(line, line + batch.num_rows, dtype=np.int64)
            line += batch.num_rows
            progress(line / rows)


def _check_columns(names: list[str], path: Path) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidInput(str(path), f"columns are missing: {', '.join(missing)}; it has {', '.join(names)}")


def _blank(texts: Table) -> NDArray[np.bool_]:
    """Rows without a single letter: the empty lines of a file."""
    blank = np.ones(texts.num_rows, dtype=np.bool_)
    for name in texts.column_names:
        blank &= _mask(pc.equal(texts[name], ""))
    return blank


def _texts(batch: Table) -> Table:
    """Cells that are no UTF-8 become a mark that no field may be."""
    columns = {}
    for name in batch.column_names:
        column = batch[name].combine_chunks()
        try:
            columns[name] = pc.cast(column, pa.string())
        except pa.ArrowInvalid:
            columns[name] = pa.array([cell.decode("utf-8", "replace") for cell in column.to_pylist()], pa.string())
    return pa.table(columns)


def _judged(batch: Table, lines: NDArray[np.int64], now_ms: int, refused: Refused) -> Table:
    """The good rows of a batch, by whole columns; the others are judged one by one for their reasons."""
    count = batch.num_rows
    given = [name for name in SCHEMA.names if name in batch.column_names]
    cells = {name: _text(batch[name]) for name in given}
    good = np.ones(count, dtype=np.bool_)
    for name, column in cells.items():
        good &= _mask(pc.match_substring_regex(column, pattern_of(name)))
    columns: dict[str, Any] = {
        "product": pa.array([DEFAULT_PRODUCT] * count, pa.string()) if "product" not in cells else cells["product"],
        "updated_ms": pa.array(np.full(count, now_ms)),
    } | {name: cells[name] for name in TEXTS if name in cells}
    for name in ("collateral", "debt", "updated_ms"):
        if name in cells:
            kind = SCHEMA.field(name).type
            columns[name] = pc.cast(pc.if_else(pa.array(good), cells[name], "0"), kind)
    collateral, debt, updated = (columns[name].to_numpy(zero_copy_only=False) for name in SCHEMA.names[4:])
    good &= (collateral > 0.0) & (collateral <= LARGEST) & (debt >= 0.0) & (debt <= LARGEST)
    good &= updated <= now_ms + AHEAD_MS
    for at in np.flatnonzero(~good).tolist():
        line = int(lines[at])
        said = reasons(line, {name: column[at].as_py() for name, column in cells.items()}, now_ms)
        refused.add(*(said or (BadRow(line, "row", "cannot be read"),)))
    columns[LINE] = pa.array(lines)
    return pa.table({name: columns[name] for name in _FULL.names}).filter(pa.array(good)).cast(_FULL)


def _text(column: Any) -> Any:  # noqa: ANN401 - pyarrow columns
    """As trimmed text; a Parquet file may hold numbers."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pc.utf8_trim_whitespace(pc.cast(whole, pa.string()))


def _mask(found: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - pyarrow columns
    mask: NDArray[np.bool_] = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return mask


def _each_once(table: Table, refused: Refused) -> Table:
    """The first row of each loan; the others are refused."""
    if not table.num_rows:
        return table
    numbers = table["loan_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    if first.size == table.num_rows:
        return table
    lines, ids = table[LINE].to_numpy(), table["loan_id"]
    again = np.ones(table.num_rows, dtype=np.bool_)
    again[first] = False
    for at in np.flatnonzero(again).tolist():
        where = int(lines[first[which[at]]])
        refused.add(BadRow(int(lines[at]), "loan_id", f"{ids[at].as_py()!r} is in line {where} already"))
    return table.filter(pa.array(~again))
