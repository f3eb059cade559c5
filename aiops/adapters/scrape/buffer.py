"""Scraped samples in memory: columnar, bounded in number and in age, in chunks by the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aiops.adapters.scrape.matching import Labels, Matcher, matching
from aiops.core.model import F64

Ids: TypeAlias = NDArray[np.int32]
Millis: TypeAlias = NDArray[np.int64]

STALE_BITS = np.uint64(0x7FF0000000000002)
"""The NaN by which Prometheus marks that a series has ended; any other NaN is a value."""

CHUNK = 8192


class BufferFull(Exception):
    """There is no room for more series; the message says how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples in the order in which they came. rows: of their series."""

    rows: Ids
    times_ms: Millis
    values: F64

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The samples of some series, those of one after those of another, each in the order of their times.

    starts: int64[n + 1], where the samples of a series begin. Stale marks are among the values.
    """

    labels: tuple[Labels, ...]
    starts: NDArray[np.int64]
    times_ms: Millis
    values: F64

    def living(self) -> Selected:
        """Return the samples without stale marks, as windows see them."""
        kept = ~stale(self.values)
        if kept.all():
            return self
        before = np.concatenate(([0], np.cumsum(kept)))
        return Selected(
            labels=self.labels,
            starts=before[self.starts],
            times_ms=self.times_ms[kept],
            values=self.values[kept],
        )


def stale(values: F64) -> NDArray[np.bool_]:
    """Return which values are marks of an end."""
    return np.asarray(values.view(np.uint64) == STALE_BITS)


def marks(number: int) -> F64:
    """Return so many stale marks."""
    return np.full(number, STALE_BITS, np.uint64).view(np.float64)


@dataclass(slots=True)
class _Chunk:
    """A stretch of what came. used: how much of it is filled."""

    rows: Ids = field(default_factory=lambda: np.empty(CHUNK, np.int32))
    times_ms: Millis = field(default_factory=lambda: np.empty(CHUNK, np.int64))
    values: F64 = field(default_factory=lambda: np.empty(CHUNK, np.float64))
    used: int = 0
    oldest_ms: int = 1 << 62
    newest_ms: int = -(1 << 62)

    def take(self, batch: Batch, begin: int) -> int:
        """Take what there is room for, from a place of the batch on; return how much that was."""
        count = min(CHUNK - self.used, len(batch) - begin)
        here, there = slice(self.used, self.used + count), slice(begin, begin + count)
        self.rows[here], self.times_ms[here] = batch.rows[there], batch.times_ms[there]
        # as bits: arithmetic registers may turn a stale mark into another NaN
        self.values.view(np.uint64)[here] = batch.values.view(np.uint64)[there]
        self.used += count
        self.oldest_ms = min(self.oldest_ms, int(batch.times_ms[there].min()))
        self.newest_ms = max(self.newest_ms, int(batch.times_ms[there].max()))
        return count

    def between(self, since_ms: int, until_ms: int, rows: Ids) -> Batch:
        """Return the samples of rows (sorted) between two times, both included."""
        times, mine = self.times_ms[: self.used], self.rows[: self.used]
        places = np.minimum(np.searchsorted(rows, mine), len(rows) - 1)
        kept = (rows[places] == mine) & (times >= since_ms) & (times <= until_ms)
        return Batch(rows=places[kept].astype(np.int32), times_ms=times[kept], values=self.values[: self.used][kept])


class Buffer:
    """Series by their labels, and their samples; what is too old or too much is dropped, the oldest first.

    A sample that is not newer than the last of its series is refused, as Prometheus refuses it. Safe for threads.
    """

    def __init__(self, *, max_series: int, max_samples: int, keep_s: float) -> None:
        self._max_series, self._keep_ms = max_series, int(keep_s * 1000)
        self._max_chunks = max(2, max_samples // CHUNK)
        self._lock = threading.Lock()
        self._rows: dict[Labels, int] = {}
        self._labels: dict[int, Labels] = {}
        self._named: dict[str, dict[int, Labels]] = {}
        self._last_ms: dict[int, int] = {}
        self._ended: set[int] = set()
        self._next = 0
        self._chunks: list[_Chunk] = [_Chunk()]
        self._pending: deque[Batch] = deque()
        self._pending_samples = 0
        self._found: dict[tuple[Matcher, ...], tuple[int, ...]] = {}

    # -- writing -----------------------------------------------------------------------------------------

    def add(self, series: Sequence[tuple[Labels, int, float]], *, always: bool = False) -> int:
        """Take samples (labels, time in ms, value); return how many were taken. Raises BufferFull, and takes none.

        always: whether there is room for more series or not.
        """
        with self._lock:
            if not always:
                self._make_room({labels for labels, _, _ in series if labels not in self._rows})
            rows, times, values = [], [], []
            for labels, at_ms, value in series:
                row = self._row(labels)
                if at_ms > self._last_ms.get(row, -(1 << 62)):
                    self._last_ms[row] = at_ms
                    rows.append(row)
                    times.append(at_ms)
                    values.append(value)
            self._ended.difference_update(rows)
            self._append(_batch(rows, times, np.array(values, np.float64)), pending=True)
            return len(rows)

    def end(self, series: Iterable[Labels], at_ms: int) -> None:
        """Mark series as ended: they have no value from now on, until they have one again."""
        with self._lock:
            rows = [row for labels in series if (row := self._rows.get(labels)) is not None]
            rows = [row for row in rows if row not in self._ended and at_ms > self._last_ms.get(row, at_ms)]
            self._last_ms.update(dict.fromkeys(rows, at_ms))
            self._ended.update(rows)
            self._append(_batch(rows, [at_ms] * len(rows), marks(len(rows))), pending=True)

    def restore(self, series: Sequence[Labels], batch: Batch) -> None:
        """Take samples of an earlier process, in the order in which they came. rows: places in `series`.

        Until they are scraped again these series make room for others, as those do that have ended.
        """
        with self._lock:
            rows = np.array([self._row(labels) for labels in series], np.int32)
            mine = rows[batch.rows] if len(batch) else batch.rows
            newest = np.full(len(series), -(1 << 62), np.int64)
            np.maximum.at(newest, batch.rows, batch.times_ms)
            for row, last in zip(rows.tolist(), newest.tolist(), strict=True):
                self._last_ms[row] = max(self._last_ms.get(row, last), last)
            self._ended.update(rows.tolist())
            self._append(Batch(rows=mine, times_ms=batch.times_ms, values=batch.values), pending=False)

    def prune(self, now_ms: int) -> None:
        """Drop what is older than what is kept, and series of which nothing is left."""
        with self._lock:
            oldest = now_ms - self._keep_ms
            while len(self._chunks) > 1 and self._chunks[0].newest_ms < oldest:
                del self._chunks[0]
            first = min(chunk.oldest_ms for chunk in self._chunks)
            self._forget([row for row, last in self._last_ms.items() if last < max(oldest, first)])

    def take_pending(self) -> tuple[dict[int, Labels], list[Batch]]:
        """Return what came since the last call, to be kept elsewhere, with the labels of its series."""
        with self._lock:
            batches, self._pending, self._pending_samples = list(self._pending), deque(), 0
            rows = {int(row) for batch in batches for row in np.unique(batch.rows)}
            return {row: self._labels[row] for row in rows if row in self._labels}, batches

    def _append(self, batch: Batch, *, pending: bool) -> None:
        if not len(batch):
            return
        begin = 0
        while begin < len(batch):
            if self._chunks[-1].used == CHUNK:
                self._chunks.append(_Chunk())
            begin += self._chunks[-1].take(batch, begin)
        del self._chunks[: -self._max_chunks]
        if pending:
            self._pending.append(batch)
            self._pending_samples += len(batch)
            # a disk that takes nothing, or that nobody writes to, must not fill the memory
            while len(self._pending) > 1 and self._pending_samples > self._max_chunks * CHUNK // 4:
                self._pending_samples -= len(self._pending.popleft())

    def _row(self, labels: Labels) -> int:
        row = self._rows.get(labels)
        if row is None:
            row, self._next = self._next, self._next + 1
            self._rows[labels], self._labels[row] = row, labels
            self._named.setdefault(name_of(labels), {})[row] = labels
            self._found.clear()
        return row

    def _make_room(self, fresh: set[Labels]) -> None:
        """Let those go that ended first, when there are too many series; nothing that lives has to go."""
        over = len(self._rows) + len(fresh) - self._max_series
        if over <= 0:
            return
        gone = sorted(self._ended, key=lambda row: self._last_ms[row])[:over]
        if len(gone) < over:
            living = len(self._rows) - len(self._ended)
            raise BufferFull(f"{living} series live and {len(fresh)} are new; at most {self._max_series} are kept")
        self._forget(gone)

    def _forget(self, rows: Sequence[int]) -> None:
        for row in rows:
            labels = self._labels.pop(row)
            del self._rows[labels], self._last_ms[row], self._named[name_of(labels)][row]
            if not self._named[name_of(labels)]:
                del self._named[name_of(labels)]
            self._ended.discard(row)
        if rows:
            self._found.clear()

    # -- reading -----------------------------------------------------------------------------------------

    def select(self, matchers: tuple[Matcher, ...], since_ms: int, until_ms: int) -> Selected:
        """Return the samples between two times, both included, of every series that all matchers match."""
        with self._lock:
            rows = np.array(self._matched(matchers), np.int32)
            labels = tuple(self._labels[int(row)] for row in rows)
            parts = [
                chunk.between(since_ms, until_ms, rows)
                for chunk in self._chunks
                if len(rows) and chunk.newest_ms >= since_ms and chunk.oldest_ms <= until_ms
            ]
        places = np.concatenate([one.rows for one in parts]) if parts else np.empty(0, np.int32)
        times = np.concatenate([one.times_ms for one in parts]) if parts else np.empty(0, np.int64)
        values = np.concatenate([one.values for one in parts]) if parts else np.empty(0)
        # of one series what came later is newer, so an order that keeps equals is the order of times
        order = np.argsort(places, kind="stable")
        starts = np.searchsorted(places[order], np.arange(len(labels) + 1))
        return Selected(labels=labels, starts=starts, times_ms=times[order], values=values[order])

    def extent_ms(self) -> tuple[int, int] | None:
        """Return the times of the oldest and the newest sample, None without any."""
        with self._lock:
            used = [chunk for chunk in self._chunks if chunk.used]
            return (min(one.oldest_ms for one in used), max(one.newest_ms for one in used)) if used else None

    def size(self) -> tuple[int, int]:
        """Return how many series and samples there are."""
        with self._lock:
            return len(self._rows), sum(chunk.used for chunk in self._chunks)

    def _matched(self, matchers: tuple[Matcher, ...]) -> tuple[int, ...]:
        found = self._found.get(matchers)
        if found is None:
            name = next((one.value for one in matchers if one.name == "__name__" and one.op == "="), None)
            among = self._labels if name is None else self._named.get(name, {})
            found = tuple(sorted(row for row, labels in among.items() if matching(matchers, labels)))
            if len(self._found) > 1024:
                self._found.clear()
            self._found[matchers] = found
        return found


def name_of(labels: Labels) -> str:
    """Return a series' metric name, '' without one."""
    return next((value for name, value in labels if name == "__name__"), "")


def _batch(rows: list[int], times_ms: list[int], values: F64) -> Batch:
    return Batch(rows=np.array(rows, np.int32), times_ms=np.array(times_ms, np.int64), values=values)
