"""A crew of shards in this process, a thread for each; and a source that answers parted queries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np

from aiops.core.model import Frame, SeriesIndex
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.engine.crew import ShardFailed
from aiops.engine.placing import Place
from aiops.engine.shard import Means, Shard
from aiops.errors import SourceUnavailable
from aiops.ports import Matrix, Observation


@dataclass(slots=True)
class Threads:
    """Shards that live in threads. make: how a shard is made."""

    count: int
    means: Means
    make: Callable[[Place, Means, str], Shard] = Shard
    _pools: list[ThreadPoolExecutor] = field(init=False)
    _shards: list[Shard] = field(init=False)
    _lives: int = 0

    def __post_init__(self) -> None:
        self._pools = [ThreadPoolExecutor(1, thread_name_prefix=f"shard-{one}") for one in range(self.count)]
        self._shards = [self._new(number) for number in range(self.count)]

    def ask(self, shard: int, method: str, *given: Any) -> Future[Any]:
        """Ask a shard in its thread."""
        return self._pools[shard].submit(lambda: getattr(self._shards[shard], method)(*given))

    def wait(self, handles: Sequence[Future[Any]], timeout_s: float) -> None:
        """Wait for all of them, or as long as is said."""
        if handles:
            wait(handles, timeout=timeout_s)
        else:
            Event().wait(timeout_s)

    def done(self, handle: Future[Any]) -> bool:
        """Return whether it has run."""
        return handle.done()

    def answer(self, handle: Future[Any]) -> Any:
        """Return the answer, or raise ShardFailed for what the shard raised."""
        err = handle.exception()
        if err is None:
            return handle.result()
        raise ShardFailed(f"{type(err).__name__}: {err}", gone=isinstance(err, ConnectionError)) from err

    def renew(self, shard: int) -> None:
        """Make a shard anew, in a thread of its own: the old one may be stuck."""
        self._pools[shard].shutdown(wait=False, cancel_futures=True)
        self._pools[shard] = ThreadPoolExecutor(1, thread_name_prefix=f"shard-{shard}")
        self._shards[shard] = self._new(shard)

    def pending(self, shard: int) -> str:
        """Return nothing: a thread waits for no room."""
        return ""

    def close(self) -> None:
        """End the threads."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)

    def _new(self, number: int) -> Shard:
        self._lives += 1
        return self.make(Place(number=number, of=self.count), self.means, f"life-{self._lives}")


_LISTING = re.compile(r"count by \((\w+)\) \((.*)\)")
_NARROWED = re.compile(r'(\w+)\{(\w+)=~"(.*)"\}')


@dataclass(slots=True)
class Series:
    """Answers `metric`, parts of it, and which values a label has, from a table of labels and a function of time."""

    labels: Mapping[str, Sequence[Mapping[str, str]]]
    value: Callable[[str, Mapping[str, str], float], float]
    asked: list[str] = field(default_factory=list)
    down: bool = False
    gone: set[str] = field(default_factory=set)
    _indexes: dict[tuple[str, ...], SeriesIndex] = field(default_factory=dict)

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: float) -> Observation:
        if self.down:
            raise SourceUnavailable("the source is down")
        keys: list[str] = []
        labels: list[Mapping[str, str]] = []
        values: list[float] = []
        for query in watches:
            self.asked.append(query.expr)
            for key, one, value in self._rows(query, at):
                keys.append(key)
                labels.append(one)
                values.append(value)
        index = self._indexes.setdefault(tuple(keys), SeriesIndex(keys=tuple(keys), labels=tuple(labels)))
        frame = Frame(at=at, index=index, values=np.array(values), learn=np.ones(len(keys), np.bool_))
        return Observation(answers={}, frame=frame)

    def range(self, query: SignalQuery | WatchQuery, start: float, end: float, step_s: float) -> Matrix:
        times = np.arange(start, end, step_s)
        assert isinstance(query, WatchQuery)
        rows = self._chosen(query.expr)
        index = SeriesIndex(keys=tuple(_key(query, one) for one in rows), labels=tuple(rows))
        metric = query.expr.partition("{")[0]
        values = np.array([[self.value(metric, one, at) for at in times.tolist()] for one in rows])
        return Matrix(times=times, values=values.reshape(len(rows), len(times)), index=index)

    def _rows(self, query: WatchQuery, at: float) -> list[tuple[str, Mapping[str, str], float]]:
        listed = _LISTING.fullmatch(query.expr)
        if listed:
            counts = Counter(one.get(listed[1], "") for one in self._chosen(listed[2]))
            found = [({listed[1]: value}, float(count)) for value, count in counts.items()]
            return [(_key(query, one), one, count) for one, count in sorted(found, key=str)]
        metric = query.expr.partition("{")[0]
        rows = [(_key(query, one), one, self.value(metric, one, at)) for one in self._chosen(query.expr)]
        return sorted(rows, key=lambda row: row[0])

    def _chosen(self, expr: str) -> list[Mapping[str, str]]:
        narrowed = _NARROWED.fullmatch(expr)
        rows = self.labels[expr.partition("{")[0]]
        if narrowed:
            rows = [one for one in rows if re.fullmatch(narrowed[3], one.get(narrowed[2], ""))]
        return [one for one in rows if not self.gone & set(one.values())]


def _key(query: WatchQuery, labels: Mapping[str, str]) -> str:
    names = query.identity or sorted(labels)
    return f"{query.policy}#" + ",".join(f"{name}={labels.get(name, '')}" for name in names)
