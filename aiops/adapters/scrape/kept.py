"""Scraped samples on disk, in a small SQLite file, so that a restart keeps its past; bounded like those in memory."""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import orjson

from aiops.adapters.scrape.buffer import Batch, Ids, Millis
from aiops.adapters.scrape.matching import Labels
from aiops.core.model import F64
from aiops.errors import ConfigurationError

_LOG = logging.getLogger("aiops.scrape")
VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, labels BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, newest_ms INTEGER NOT NULL, samples INTEGER NOT NULL, body BLOB NOT NULL
);
"""


class Kept:
    """One file, of one process. What cannot be written is said once, and lost: memory has it all the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Labels, int] = {}
        self._used: dict[int, int] = {}
        self._well = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _opened_or_new(path)
        except sqlite3.OperationalError as err:  # nothing is wrong with what it holds
            why = " is used by another process" if "locked" in str(err) else f": {err}"
            raise ConfigurationError(f"scrape.file: {path}{why}") from err
        except OSError as err:
            raise ConfigurationError(f"scrape.file: {path}: {err.strerror}") from err

    def load(self, since_ms: int) -> Iterator[tuple[tuple[Labels, ...], Batch]]:
        """Yield what was kept, the oldest first, in pieces: series, and samples whose rows are places among them.

        What cannot be read is left out, and said.
        """
        try:
            labels, chunks = self._read(since_ms)
        except (sqlite3.DatabaseError, ValueError, TypeError) as err:  # power that failed leaves broken pages
            self._db.close()
            _aside(self._path, err)
            self._db = _opened(self._path)
            return
        self._known = {one: row for row, one in labels.items()}
        for chunk, number, body in chunks:
            try:
                rows, times, values = _unpacked(body, number)
                ids, places = np.unique(rows, return_inverse=True)
                series = tuple(labels[row] for row in ids.tolist())
            except (ValueError, KeyError, zlib.error) as err:
                _LOG.warning("scraped_past_unreadable", extra={"file": str(self._path), "error": repr(err)})
                continue
            self._used.update(dict.fromkeys(ids.tolist(), chunk))
            yield series, Batch(rows=places.astype(np.int32), times_ms=times, values=values)

    def _read(self, since_ms: int) -> tuple[dict[int, Labels], list[tuple[int, int, bytes]]]:
        rows = self._db.execute("SELECT id, labels FROM series")
        labels = {row: tuple((name, value) for name, value in orjson.loads(text)) for row, text in rows}
        query = "SELECT id, samples, body FROM chunks WHERE newest_ms >= ? ORDER BY id"
        return labels, self._db.execute(query, (since_ms,)).fetchall()

    def write(self, labels: Mapping[int, Labels], batches: Sequence[Batch]) -> None:
        """Add samples. labels: by the rows of the batches; samples of a row without any are left out."""
        batch = _together(batches)
        if not len(batch):
            return
        try:
            with self._db:
                ids = {row: self._id(one) for row, one in labels.items()}
                mine = np.array([ids.get(row, -1) for row in batch.rows.tolist()], np.int32)
                known = mine >= 0
                body = _packed(Batch(rows=mine[known], times_ms=batch.times_ms[known], values=batch.values[known]))
                newest, number = int(batch.times_ms.max()), int(known.sum())
                made = self._db.execute(
                    "INSERT INTO chunks (newest_ms, samples, body) VALUES (?, ?, ?)", (newest, number, body)
                )
        except sqlite3.Error as err:
            # what was rolled back is unknown again
            self._known = {one: row for one, row in self._known.items() if row in self._used}
            self._said(err)
            return
        self._used.update(dict.fromkeys(ids.values(), made.lastrowid or 0))
        self._said(None)

    def prune(self, since_ms: int, max_samples: int) -> None:
        """Drop what is too old or too much, the oldest first, and series of which nothing is left."""
        try:
            with self._db:
                self._db.execute("DELETE FROM chunks WHERE newest_ms < ?", (since_ms,))
                total = 0
                for chunk, number in self._db.execute("SELECT id, samples FROM chunks ORDER BY id DESC").fetchall():
                    total += number
                    if total > max_samples:
                        self._db.execute("DELETE FROM chunks WHERE id <= ?", (chunk,))
                        break
                first = self._db.execute("SELECT min(id) FROM chunks").fetchone()[0]
                gone = [row for row in self._known.values() if self._used.get(row, -1) < (first or 1 << 62)]
                self._db.executemany("DELETE FROM series WHERE id = ?", [(row,) for row in gone])
        except sqlite3.Error as err:
            self._said(err)
            return
        lost = set(gone)
        self._known = {one: row for one, row in self._known.items() if row not in lost}
        self._used = {row: chunk for row, chunk in self._used.items() if row not in lost}

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _id(self, labels: Labels) -> int:
        row = self._known.get(labels)
        if row is None:
            text = orjson.dumps(labels)
            row = self._db.execute("INSERT INTO series (labels) VALUES (?)", (text,)).lastrowid or 0
            self._known[labels] = row
        return row

    def _said(self, err: sqlite3.Error | None) -> None:
        if err is not None and self._well:
            _LOG.warning("scraped_past_not_written", extra={"file": str(self._path), "error": str(err)})
        self._well = err is None


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=2.0, check_same_thread=False)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA journal_size_limit = 1000000")
    db.execute("PRAGMA cache_size = -256")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, VERSION):
        db.close()
        raise sqlite3.DatabaseError(f"version {found}, and not {VERSION}")
    with db:
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {VERSION}")
    return db


def _opened_or_new(path: Path) -> sqlite3.Connection:
    """Return the file, or a new one in the place of one that is no database of ours."""
    try:
        return _opened(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as err:
        _aside(path, err)
        return _opened(path)


def _aside(path: Path, err: Exception) -> None:
    """Put a file that cannot be read aside: what it held is relearnt from now on."""
    broken = path.with_name(path.name + ".broken")
    path.replace(broken)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    _LOG.warning("scraped_past_broken", extra={"file": str(path), "aside": str(broken), "error": str(err)})


def _together(batches: Sequence[Batch]) -> Batch:
    return Batch(
        rows=np.concatenate([one.rows for one in batches]) if batches else np.empty(0, np.int32),
        times_ms=np.concatenate([one.times_ms for one in batches]) if batches else np.empty(0, np.int64),
        values=np.concatenate([one.values.view(np.uint64) for one in batches]).view(np.float64)
        if batches
        else np.empty(0),
    )


def _packed(batch: Batch) -> bytes:
    """Return samples as bytes: series, differences of times, bits of values; little-endian."""
    gaps = np.diff(batch.times_ms, prepend=np.int64(0))
    parts = (batch.rows.astype("<i4"), gaps.astype("<i8"), batch.values.view(np.uint64).astype("<u8"))
    return zlib.compress(b"".join(one.tobytes() for one in parts), 6)


def _unpacked(body: bytes, number: int) -> tuple[Ids, Millis, F64]:
    raw = zlib.decompress(body)
    if len(raw) != 20 * number:
        raise ValueError(f"{len(raw)} bytes for {number} samples")
    rows = np.frombuffer(raw, "<i4", number).astype(np.int32)
    gaps = np.frombuffer(raw, "<i8", number, 4 * number)
    bits = np.frombuffer(raw, "<u8", number, 12 * number)
    return rows, np.cumsum(gaps, dtype=np.int64), bits.astype(np.uint64).view(np.float64)
