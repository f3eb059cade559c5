"""Several metrics sources by name, such as vantage points of a failover: each is asked beside the others (S8)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from aiops.adapters.prometheus.frames import Frames
from aiops.adapters.prometheus.source import Plan, PrometheusSource
from aiops.core.model import Answer, Failed, Frame, Instant, PolicyKey
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.errors import SourceUnavailable
from aiops.ports import Matrix, Observation

GRACE_S = 0.5
"""What a source gets beyond its own time-out, before its answers count as failed."""


@dataclass(slots=True)
class _Part:
    """What one source is asked."""

    signals: list[SignalQuery] = field(default_factory=list)
    watches: list[WatchQuery] = field(default_factory=list)


@dataclass(slots=True)
class NamedSources:
    """The source that all policies ask, and others by name.

    One that hangs costs its own time-out, and while it hangs it is not asked again: it delays no other and nothing
    piles up behind it. named, limits_s: by the same names.
    """

    default: PrometheusSource
    named: Mapping[str, PrometheusSource]
    limits_s: Mapping[str, float]
    _pool: ThreadPoolExecutor = field(init=False)
    _asked: dict[str, Future[Observation]] = field(init=False, default_factory=dict)
    _frames: Frames = field(init=False, default_factory=Frames)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(max(1, len(self.named)), thread_name_prefix="source")

    @property
    def plan(self) -> Plan:
        """Return what all of them were asked for in the last turn."""
        plans = [source.plan for source in (self.default, *self.named.values())]
        return Plan(
            queries=tuple(query for one in plans for query in one.queries),
            many=frozenset().union(*(one.many for one in plans)),
            wanted=sum(one.wanted for one in plans),
        )

    # -- ports.Source ----------------------------------------------------------------------------------

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Ask every source for what is its own; raise SourceUnavailable when none of them answered anything."""
        parts: dict[str, _Part] = {"": _Part()}
        for query in signals:
            parts.setdefault(query.source, _Part()).signals.append(query)
        for watch in watches:
            parts.setdefault(watch.source, _Part()).watches.append(watch)
        own = parts.pop("")
        if not parts:
            return self.default.read(own.signals, own.watches, at)
        began = time.monotonic()
        asked = {name: self._ask(name, part, at) for name, part in parts.items()}
        answered: dict[str, Observation | str] = {"": self._default(own, at)} if own.signals or own.watches else {}
        answered |= {name: self._settled(name, future, began) for name, future in asked.items()}
        failures = [one for one in answered.values() if isinstance(one, str)]
        if len(failures) == len(answered):
            raise SourceUnavailable("; ".join(failures))
        return self._joined({"": own, **parts}, answered, at)

    def _joined(
        self, parts: Mapping[str, _Part], answered: Mapping[str, Observation | str], at: Instant
    ) -> Observation:
        answers: dict[PolicyKey, dict[str, Answer]] = {}
        errors: dict[PolicyKey, str] = {}
        notes: dict[PolicyKey, str] = {}
        frames: dict[str, Frame | None] = {}
        for name, found in answered.items():
            part = parts[name]
            if part.watches:
                frames[name] = None if isinstance(found, str) else found.frame
            if isinstance(found, str):
                _fail(answers, part.signals, found)
                errors |= {query.policy: found for query in part.watches}
                continue
            for policy, some in found.answers.items():
                answers.setdefault(policy, {}).update(some)
            errors |= found.watch_errors
            notes |= found.watch_notes
        frame = self._frames.joined(frames, at)
        return Observation(answers=answers, frame=frame, watch_errors=errors, watch_notes=notes)

    def _default(self, own: _Part, at: Instant) -> Observation | str:
        try:
            return self.default.read(own.signals, own.watches, at)
        except SourceUnavailable as err:
            return str(err)

    def _ask(self, name: str, part: _Part, at: Instant) -> Future[Observation] | str:
        source = self.named.get(name)
        if source is None:
            known = ", ".join(sorted(self.named)) or "none"
            return f"the settings have no source {name!r} (sources: {known})"
        before = self._asked.get(name)
        if before is not None and not before.done():
            return f"source {name} has not answered what it was asked before"
        future = self._asked[name] = self._pool.submit(source.read, part.signals, part.watches, at)
        return future

    def _settled(self, name: str, future: Future[Observation] | str, began: float) -> Observation | str:
        """Return what a source said within its time, or why there is nothing."""
        if isinstance(future, str):
            return future
        limit_s = self.limits_s[name] + GRACE_S
        wait([future], timeout=max(0.0, began + limit_s - time.monotonic()))
        if not future.done():
            return f"source {name} did not answer within {limit_s:g} s"
        err = future.exception()
        if err is None:
            return future.result()
        if isinstance(err, SourceUnavailable):
            return f"source {name}: {err}"
        raise err

    # -- ports.History ---------------------------------------------------------------------------------

    def range(self, query: SignalQuery | WatchQuery, start: Instant, end: Instant, step_s: float) -> Matrix:
        """Return the series of a query from the source that it names; raise SourceUnavailable."""
        name = query.source
        source = self.named.get(name) if name else self.default
        if source is None:
            raise SourceUnavailable(f"the settings have no source {name!r}")
        return source.range(query, start, end, step_s)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for source in (self.default, *self.named.values()):
            source.close()


def _fail(answers: dict[PolicyKey, dict[str, Answer]], queries: Sequence[SignalQuery], why: str) -> None:
    for query in queries:
        answers.setdefault(query.policy, {})[query.name] = Failed(error=why)
