"""Series of a CSV file: `timestamp,value`, or a column for each series. What is wrong is said with its place.

Defined results: an empty value, NaN and infinity are no sample; a timestamp that comes again takes the place of the one
before; rows out of order are sorted. Each of these is said in `notes`.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from aiops.core.model import F64
from aiops.errors import InvalidContent

LATEST_S = 253_402_300_800.0
"""The end of the year 9999; greater numbers are milli-, micro- or nanoseconds."""

MOST_SERIES = 1_000
MOST_SAID = 20
_MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "nil"})
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Series on the timestamps of their source. times: float64[t], increasing; values: float64[n, t], NaN is no sample.

    columns: labels of each series. lines: of each timestamp in the file, () where there is none. notes: for people.
    """

    name: str
    times: F64
    values: F64
    columns: tuple[dict[str, str], ...]
    lines: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def read(path: Path) -> Table:
    """Return the series of a file; raise InvalidInput with every problem, `FILE:LINE:COL: what is wrong`."""
    text = _text(path)
    delimiter = _delimiter(text)
    rows = [(number, row) for number, row in _rows(path, text, delimiter) if any(cell.strip() for cell in row)]
    header: Sequence[str] = ()
    if rows and not _is_time(rows[0][1][0]):
        (first, header), rows = rows[0], rows[1:]
        _checked(path, first, header)
    if not rows:
        raise InvalidContent(f"{path}:1:1: there is no sample in this file (wanted: timestamp,value)")
    width = len(header) or len(rows[0][1])
    if width < 2:
        raise InvalidContent(f"{path}:{rows[0][0]}:1: one column only (wanted: timestamp,value)")
    if width - 1 > MOST_SERIES:
        raise InvalidContent(f"{path}:1:1: {width - 1} series, at most {MOST_SERIES} are read from one file")
    names = [name.strip() for name in header[1:]] or [f"value{n or ''}" for n in range(width - 1)]
    parsed = _parsed(path, rows, width)
    return _sorted(path, names, parsed)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = err.object.count(b"\n", 0, err.start) + 1
        raise InvalidContent(f"{path}:{line}:1: this is no text in UTF-8") from err
    except (OSError, EOFError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) and err.strerror else err
        raise InvalidContent(f"{path}:0:0: cannot be read: {reason}") from err


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=first.count)


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as err:
            raise InvalidContent(f"{path}:{line}:1: {err}") from err


def _checked(path: Path, line: int, header: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in (cell.strip() for cell in header[1:]):
        if name in seen:
            raise InvalidContent(f"{path}:{line}:1: two columns are called {name!r}")
        seen.add(name)


def _parsed(path: Path, rows: Sequence[tuple[int, list[str]]], width: int) -> list[tuple[int, float, list[float]]]:
    made: list[tuple[int, float, list[float]]] = []
    problems: list[str] = []
    for line, row in rows:
        try:
            made.append((line, *_parsed_row(row, width)))
        except _Wrong as err:
            problems.append(f"{path}:{line}:{_column(row, err.cell)}: {err}")
    if problems:
        more = [f"and {len(problems) - MOST_SAID} more such lines"] if len(problems) > MOST_SAID else []
        raise InvalidContent("\n".join([*problems[:MOST_SAID], *more]))
    return made


class _Wrong(Exception):
    """A row that cannot be read. cell: its number, from 0."""

    def __init__(self, message: str, cell: int) -> None:
        super().__init__(message)
        self.cell = cell


def _parsed_row(row: Sequence[str], width: int) -> tuple[float, list[float]]:
    if len(row) != width:
        raise _Wrong(f"{len(row)} columns, {width} are wanted", min(len(row), width) - 1)
    return _time(row[0].strip()), [_value(cell.strip(), number) for number, cell in enumerate(row[1:], start=1)]


def _value(text: str, cell: int) -> float:
    if text.lower() in _MISSING:
        return math.nan
    try:
        return float(text)
    except ValueError as err:
        raise _Wrong(f"{text[:40]!r} is no number (a missing value is empty or NaN)", cell) from err


def _is_time(text: str) -> bool:
    try:
        _time(text.strip())
    except _Wrong:
        # what begins like a number is meant as a time, and is refused as one
        return text.strip()[:1].isdigit()
    return True


def _time(text: str) -> float:
    """Return seconds since the epoch; without a zone it is UTC."""
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        while number >= LATEST_S and math.isfinite(number):
            number /= 1000.0
        if not 0.0 <= number < LATEST_S:
            raise _Wrong(f"{text[:40]!r} is no time", 0)
        return number
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as err:
        raise _Wrong(f"{text[:40]!r} is no time (ISO 8601, or seconds since 1970)", 0) from err


def _column(row: Sequence[str], cell: int) -> int:
    return 1 + sum(len(one) + 1 for one in row[: max(cell, 0)])


def _sorted(path: Path, names: Sequence[str], rows: list[tuple[int, float, list[float]]]) -> Table:
    """Return the rows as arrays in order of time, with a note of what was not as one expects it."""
    notes = []
    late = next((place for place in range(1, len(rows)) if rows[place][1] < rows[place - 1][1]), None)
    if late is not None:
        notes.append(f"{path}:{rows[late][0]}: the rows are not in order of time, they were sorted (here first)")
    by_time: dict[float, tuple[int, list[float]]] = {}
    again = []
    for line, at, values in rows:
        if at in by_time:
            again.append(line)
        by_time[at] = (line, values)
    if again:
        said = f"timestamps that come again: {len(again)}, the last row of each counts (here first)"
        notes.append(f"{path}:{again[0]}: {said}")
    times = sorted(by_time)
    grid = np.array([by_time[at][1] for at in times], np.float64).T.reshape(len(names), len(times))
    infinite = int(np.isinf(grid).sum())
    if infinite:
        notes.append(f"{path}: infinite values: {infinite}, taken as no sample")
        grid = np.where(np.isinf(grid), np.nan, grid)
    return Table(
        name=str(path),
        times=np.array(times, np.float64),
        values=grid,
        columns=tuple({"__name__": name} for name in names),
        lines=tuple(by_time[at][0] for at in times),
        notes=tuple(notes),
    )


def rates(table: Table) -> Table:
    """Return counters as rates per second, a reset counting from zero; raise InvalidInput for a negative counter."""
    below = np.argwhere(table.values < 0.0)
    if len(below):
        series, column = (int(place) for place in min(below.tolist(), key=lambda one: one[1]))
        where = f"{table.name}:{table.lines[column]}" if table.lines else table.name
        raise InvalidContent(
            f"{where}: {table.values[series, column]:g} is no value of a counter: they are never negative"
        )
    out = np.full_like(table.values, np.nan)
    for row, values in enumerate(table.values):
        there = np.flatnonzero(np.isfinite(values))
        if len(there) < 2:
            continue
        known, at = values[there], table.times[there]
        grown = np.where(known[1:] >= known[:-1], known[1:] - known[:-1], known[1:])
        out[row, there[1:]] = grown / np.diff(at)
    return Table(
        name=table.name, times=table.times, values=out, columns=table.columns, lines=table.lines, notes=table.notes
    )
