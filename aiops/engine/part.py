"""The part of what is watched that one shard asks the source for, and the rows that it remembers of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aiops.core.model import Frame, Instant, PolicyKey, SeriesIndex
from aiops.core.policies import WatchPolicy, WatchQuery
from aiops.engine.placing import Place
from aiops.errors import SourceUnavailable
from aiops.policy.slicing import label_of, listing, narrowed
from aiops.ports import Source

RELIST_S = 60.0
"""How often it is looked which values the labels have by which queries are parted."""

FORGET_S = 3600.0
"""A value, and a series, that has been away for so long is asked for no more; as the source has it."""

VALUES = "$values"
_MOST_VALUES = 1_000_000


def whole(policy: WatchPolicy) -> str:
    """Return what is hashed of a policy whose series all go to one shard."""
    return f"policy {policy.key}"


def parted_by(policy: WatchPolicy, preferred: str) -> str:
    """Return the label by which a policy's series go to shards, '' when they all go to one.

    A budget for all series of a policy is spent by looking at them together, so these stay together; so do series whose
    joint behaviour or distribution is watched.
    """
    if policy.budget_per_week is not None or policy.joint is not None or policy.distribution is not None:
        return ""
    return label_of(policy.query.expr, policy.query.identity, preferred)


@dataclass(slots=True)
class _Known:
    """The values of a label that are there: when each was last, and how many series all have."""

    seen: dict[str, Instant] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    error: str = "it is not known yet which values its label has"


class Part:
    """Which queries a shard asks for some policies. errors: why nothing is asked for a policy that it should."""

    def __init__(self, place: Place, watches: Sequence[WatchPolicy], preferred: str) -> None:
        self._place, self._preferred = place, preferred
        self._watches: tuple[WatchPolicy, ...] = ()
        self._label: dict[PolicyKey, str] = {}
        self._by_key: dict[PolicyKey, WatchPolicy] = {}
        self._known: dict[PolicyKey, _Known] = {}
        self._listed_at: Instant = -np.inf
        self.errors: dict[PolicyKey, str] = {}
        self.follow(watches, preferred)

    def follow(self, watches: Sequence[WatchPolicy], preferred: str) -> None:
        """Part other policies from now on; what is known of the values of those that stay is kept."""
        exprs = {one.key: one.query.expr for one in self._watches}
        self._watches, self._preferred = tuple(watches), preferred
        self._by_key = {one.key: one for one in watches}
        self._label = {one.key: parted_by(one, preferred) for one in watches}
        same = [one.key for one in watches if exprs.get(one.key) == one.query.expr]
        self._known = {key: self._known[key] for key in same if key in self._known}
        self._listed_at = -np.inf

    @property
    def watches(self) -> tuple[WatchPolicy, ...]:
        """Return the policies of which this shard has, or may have, series; the queries are those of the policies."""
        return tuple(one for one in self._watches if self._label[one.key] or self._place.owns(whole(one)))

    def queries(self, source: Source, at: Instant) -> tuple[WatchQuery, ...]:
        """Return what is asked at `at`, after a look at the values of labels when that is due."""
        parted = [one for one in self.watches if self._label[one.key]]
        if parted and not 0.0 <= at - self._listed_at < RELIST_S:
            self._list(parted, source, at)
        self.errors, asked = {}, []
        for one in self.watches:
            label = self._label[one.key]
            try:
                query = self._narrowed(one, label) if label else one.query
            except ValueError as err:
                self.errors[one.key] = str(err)
                continue
            if query is not None:
                asked.append(query)
        return tuple(asked)

    def owned(self, key: str) -> bool:
        """Return whether a series is this shard's, by its key; one whose policy is not known is not."""
        policy, _, identity = key.partition("#")
        one, label = self._by_key.get(policy), self._label.get(policy, "")
        if one is None:
            return False
        if not label:
            return self._place.owns(whole(one))
        value = _value(identity, label, one.query.identity)
        return value is not None and self._place.owns(f"{label}={value}")

    # -- inner ---------------------------------------------------------------------------------------

    def _narrowed(self, policy: WatchPolicy, label: str) -> WatchQuery | None:
        """Return the query of the shard's own values, None when it has none; raise ValueError when they are unknown."""
        known = self._known.get(policy.key, _Known())
        if known.error:
            raise ValueError(known.error)
        if not known.own:
            return None
        return replace(policy.query, expr=narrowed(policy.query.expr, label, known.own))

    def _list(self, parted: Sequence[WatchPolicy], source: Source, at: Instant) -> None:
        """Ask which values there are; of a policy whose question fails, what was known stays."""
        asked = {f"{one.key}{VALUES}": one for one in parted}
        queries = [
            WatchQuery(
                policy=key,
                expr=listing(one.query.expr, self._label[one.key]),
                identity=(self._label[one.key],),
                max_series=_MOST_VALUES,
            )
            for key, one in asked.items()
        ]
        try:
            found = source.read((), queries, at)
        except SourceUnavailable as err:
            for one in parted:
                self._failed(one.key, str(err))
            return
        self._listed_at = at
        counts: dict[str, dict[str, float]] = {key: {} for key in asked}
        rows = zip(found.frame.index.keys, found.frame.index.labels, found.frame.values.tolist(), strict=True)
        for key, labels, value in rows:
            if np.isfinite(value):
                counts[key.partition("#")[0]][labels.get(self._label[asked[key.partition("#")[0]].key], "")] = value
        for key, one in asked.items():
            if key in found.watch_errors:
                self._failed(one.key, found.watch_errors[key])
            else:
                self._note(one, counts[key], at)

    def _failed(self, policy: PolicyKey, why: str) -> None:
        known = self._known.setdefault(policy, _Known())
        if not known.seen:
            known.error = why

    def _note(self, policy: WatchPolicy, counts: Mapping[str, float], at: Instant) -> None:
        known, label = self._known.setdefault(policy.key, _Known()), self._label[policy.key]
        known.seen.update(dict.fromkeys(counts, at))
        known.seen = {value: seen for value, seen in known.seen.items() if at - seen <= FORGET_S}
        known.own = frozenset(value for value in known.seen if self._place.owns(f"{label}={value}"))
        every, most = int(sum(counts.values())), policy.query.max_series
        known.error = f"{every} series, at most {most} (maxSeries)" if every > most else ""


def _value(identity: str, label: str, names: Sequence[str]) -> str | None:
    """Return a label's value out of a series' identity, `a=1,b=2`, None when it is not in it."""
    if label not in names:
        found = re.search(rf"(?:^|,){re.escape(label)}=([^,]*)", identity)
        return None if found is None else found[1]
    found = re.fullmatch(",".join(f"{re.escape(name)}=(.*)" for name in names), identity, re.S)
    return None if found is None else found[list(names).index(label) + 1]


class Remembered:
    """Rows of series that are not in an answer because another query was asked: away, and not yet gone."""

    def __init__(self) -> None:
        self._away: dict[str, tuple[Mapping[str, str], Instant]] = {}
        self._inner = self._outer = SeriesIndex(keys=(), labels=())

    def expect(self, rows: Mapping[str, Mapping[str, str]], at: Instant) -> None:
        """Take series for away that are not seen yet; by key, with their labels."""
        self._away.update({key: (labels, at) for key, labels in rows.items()})
        self._inner = SeriesIndex(keys=(), labels=())

    def padded(self, frame: Frame, asked: frozenset[PolicyKey], blind: Mapping[PolicyKey, str]) -> Frame:
        """Return a frame with rows for what is away. asked: the policies that still watch something here.

        blind: those whose query failed: what they do not see is not away.
        """
        if frame.index is not self._inner:
            self._follow(frame.index, frame.at, asked)
        more = len(self._outer) - len(frame.index)
        if not more:
            return replace(frame, index=self._outer)
        known = np.array([key.partition("#")[0] not in blind for key in self._away], np.bool_)
        values, learn = np.concatenate([frame.values, np.full(more, np.nan)]), np.concatenate([frame.learn, known])
        return replace(frame, index=self._outer, values=values, learn=learn)

    def _follow(self, index: SeriesIndex, at: Instant, asked: frozenset[PolicyKey]) -> None:
        there = set(index.keys)
        for key, labels in zip(self._outer.keys, self._outer.labels, strict=True):
            if key not in there:
                self._away.setdefault(key, (labels, at))
        self._away = {
            key: (labels, since)
            for key, (labels, since) in self._away.items()
            if key not in there and at - since <= FORGET_S and key.partition("#")[0] in asked
        }
        self._inner = index
        self._outer = SeriesIndex(
            keys=(*index.keys, *self._away), labels=(*index.labels, *(labels for labels, _ in self._away.values()))
        )
