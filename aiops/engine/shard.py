"""A shard: a part of the fleet's models with the means to read what it watches. It runs anywhere; Ray is one place.

It is asked by one driver at a time: the one with the highest epoch, of these the one that was heard last. A question
that was answered already is answered by the same words, so that one that is asked again changes nothing.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.fleet import Fleet, Learnt
from aiops.core.detect.sight import Look
from aiops.core.detect.together import Pair
from aiops.core.model import Frame, Instant, PolicyKey, Rows, SeriesIndex
from aiops.core.policies import WatchPolicy, WatchQuery
from aiops.engine.part import Part, Remembered
from aiops.engine.placing import Place
from aiops.engine.told import Ask, Chances, Columns, Driver, Told
from aiops.engine.vault import Vault, layout
from aiops.errors import PortError, SourceUnavailable
from aiops.ports import History, Source

_LOG = logging.getLogger("aiops.shard")
FORMAT = 1
RESTORE_TRIES = 2
HISTORY_STEP_S = 60.0
SILENT_S = 40.0
"""A driver of the same epoch takes over from one that was not heard for so long."""


class Readable(Source, History, Protocol):
    """What a shard reads: what is true now, and what was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a shard stands on; it travels to its process. source: opens what it reads, once for each use.

    code: the version of the program; shards of another version are made anew.
    """

    source: Callable[[], Readable]
    vault: Vault
    code: str = ""


class Shard:
    """One shard's process. born: names this life of it."""

    def __init__(self, place: Place, means: Means, born: str) -> None:
        self._place, self._means, self._born = place, means, born
        self._source, self._lister = means.source(), means.source()
        self._fleet = Fleet()
        self._part = Part(place, (), "")
        self._rows = Remembered()
        self._digest: str | None = None
        self._driver = Driver(epoch=0, name="")
        self._heard_at: Instant = -math.inf
        self._last: Told | None = None
        self._version = 0
        self._owners = _Owners()
        self._restored, self._tries = False, 0
        self._lock = threading.RLock()
        self._learnt_to: Instant = 0.0

    # -- asked by the driver ---------------------------------------------------------------------------

    def turn(self, ask: Ask) -> Told:
        """Look at the shard's part at one instant, once."""
        began = time.perf_counter()
        with self._lock:
            why = self._refusal(ask.driver, ask.at)
            if why:
                return Told(at=ask.at, born=self._born, refused=why)
            if self._last is not None and self._last.at == ask.at:
                return self._last
            if ask.watches is None and self._digest != ask.digest:
                return Told(at=ask.at, born=self._born, unknown=True)
            if ask.watches is not None and self._digest != ask.digest:
                self._follow(ask.watches, ask)
            told = self._look(ask, began)
            self._last = told
            return told

    def chances(self, pairs: Sequence[Pair]) -> Chances:
        """Return how often chance opens findings with some labels here."""
        with self._lock:
            known = self._fleet.chances()
            return Chances(version=self._version, per_s={pair: known[pair] for pair in pairs if pair in known})

    def look(self, key: str) -> Look | None:
        """Return what was said of one series at the last turn, None of one that is not here."""
        with self._lock:
            return self._fleet.look(key)

    def keep(self, driver: Driver | None) -> float:
        """Keep what was learnt, and return how many seconds that took; raise OSError when it cannot be kept.

        driver: None where nobody's turn is at stake, as before a shard is ended.
        """
        began = time.perf_counter()
        with self._lock:
            if (driver is not None and driver.epoch < self._driver.epoch) or self._last is None:
                return 0.0
            arrays = {name: array.copy() for name, array in self._arrays().items()}
            who, at = driver or self._driver, self._fleet.at
        # whatever has been kept since, by whom: the vault knows who may put something in its place
        self._means.vault.keep(self._place.name, arrays, who.epoch if who.elected else None, at)
        return time.perf_counter() - began

    def tidy(self) -> None:
        """Drop what shards of another number of shards have kept: all of this one have kept theirs."""
        for name in self._means.vault.names():
            if layout(name) != self._place.of:
                self._means.vault.drop(name)

    def release(self, driver: Driver) -> None:
        """Let the next driver take over at once: this one has stopped."""
        if driver == self._driver:
            self._heard_at = -math.inf

    def code(self) -> str:
        """Return the version of the program that runs here."""
        return self._means.code

    def learn(self, driver: Driver, now: Instant) -> None:
        """Learn from history what the shard has not lived through, beside its turns."""
        since = self._learnt_to
        threading.Thread(target=self._learn, args=(since, now), name="learn", daemon=True).start()

    # -- one turn --------------------------------------------------------------------------------------

    def _refusal(self, driver: Driver, at: Instant) -> str:
        """Return why a driver is not answered; one that is, is the driver from now on."""
        known = self._driver
        if driver.epoch < known.epoch:
            return f"{known.name} leads with epoch {known.epoch}, after {driver.name} with {driver.epoch}"
        if driver.epoch == known.epoch and driver.name != known.name and abs(at - self._heard_at) < SILENT_S:
            ago = max(0.0, at - self._heard_at)
            return f"{known.name} asks this shard, too (heard {ago:.0f} s ago): give each daemon its own namespace"
        self._driver, self._heard_at = driver, at
        return ""

    def _follow(self, watches: Sequence[WatchPolicy], ask: Ask) -> None:
        self._part.follow(watches, ask.label)
        self._fleet.follow(self._part.watches)
        if not self._restored:
            self._restore()
            self._restored = True
        self._digest = ask.digest

    def _look(self, ask: Ask, began: float) -> Told:
        queries = self._part.queries(self._lister, ask.at)
        standing = ask.standing if self._last is None else None
        if standing is not None:
            self._rows.expect(dict(zip(standing.series, standing.labels, strict=True)), ask.at)
        frame, errors = self._read(queries, ask.at)
        read_s = time.perf_counter() - began
        if frame.index is not self._fleet.index:
            self._version += 1
            self._fleet.seat(frame.index, ask.at)
            self._owners = _Owners.of(frame.index)
        if standing is not None:
            self._fleet.stand(standing.findings())
        found = self._fleet.find(frame, ask.changed)
        for policy, trace in self._fleet.bugs.items():
            _LOG.error("policy_failed", extra={"policy": policy, "traceback": trace})
        return Told(
            at=ask.at,
            born=self._born,
            findings=Columns.of(found),
            live=self._owners.live(frame),
            errors={**errors, **self._fleet.unseen},
            series=len(frame.index),
            version=self._version,
            took_s=time.perf_counter() - began,
            read_s=read_s,
        )

    def _read(self, queries: Sequence[WatchQuery], at: Instant) -> tuple[Frame, dict[PolicyKey, str]]:
        """Return what there is to see, with rows for what is away; and why something is not seen."""
        try:
            found = self._source.read((), queries, at)
        except SourceUnavailable as err:
            rows = len(self._fleet.index)
            nothing, learn = np.full(rows, np.nan), np.zeros(rows, np.bool_)
            errors = {query.policy: str(err) for query in queries}
            return Frame(at=at, index=self._fleet.index, values=nothing, learn=learn), errors | self._part.errors
        errors = {**found.watch_errors, **self._part.errors}
        watched = frozenset(one.key for one in self._part.watches)
        return self._rows.padded(found.frame, watched, errors), errors

    # -- what was learnt -------------------------------------------------------------------------------

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        fleet = self._fleet
        about = {"format": FORMAT, "at": fleet.at if math.isfinite(fleet.at) else None, **fleet.about()}
        # the policies' own queries, though only a part of each is asked here
        return {"about": np.frombuffer(json.dumps(about).encode(), np.uint8), **fleet.arrays()}

    def _restore(self) -> None:
        """Take the shard's rows out of what is kept: its own, and what shards of another number have left.

        Raises OSError the first times that it cannot be read: whoever began without it would soon keep nothing in its
        place. A shard that can read nothing for longer learns from history.
        """
        place = self._place
        self._tries += 1
        try:
            self._take_kept()
        except OSError as err:
            if self._tries <= RESTORE_TRIES:
                raise
            _LOG.warning("shard_not_restored", extra={"shard": place.name, "reason": str(err)})

    def _take_kept(self) -> None:
        vault, place = self._means.vault, self._place
        names = [name for name in vault.names() if name == place.name or layout(name) != place.of]
        parts = []
        for name in names:
            try:
                parts.append(_opened(vault.load(name)))
            except (LookupError, ValueError) as err:
                _LOG.warning("shard_not_restored", extra={"shard": place.name, "reason": str(err)})
        if parts:
            self._fleet.rejoin(parts, self._part.owned)
            at = self._fleet.at
            self._learnt_to = at if math.isfinite(at) else 0.0
            _LOG.info("shard_restored", extra={"shard": place.name, "from": list(names), "at": at})

    def _learn(self, since: Instant, now: Instant) -> None:
        with self._lock:
            queries = {query.policy: query for query in self._part.queries(self._lister, now)}
            asked = [(one, queries[one.key]) for one in self._part.watches if one.key in queries]
        for policy, query in asked:
            try:
                past = self._source.range(query, max(since, now - policy.history_s), now, HISTORY_STEP_S)
            except PortError as err:
                _LOG.warning("history_missed", extra={"policy": policy.key, "reason": str(err)})
                continue
            with self._lock:
                self._fleet.learn_history(past.times, past.values, past.index)
        self._learnt_to = now


@dataclass(frozen=True, slots=True, eq=False)
class _Owners:
    """Whose rows are in the frame: rows[i] belongs to `policies[rows[i]]`."""

    policies: tuple[PolicyKey, ...] = ()
    rows: Rows = field(default_factory=lambda: np.zeros(0, np.intp))

    @classmethod
    def of(cls, index: SeriesIndex) -> _Owners:
        places: dict[PolicyKey, int] = {}
        rows = [places.setdefault(key.partition("#")[0], len(places)) for key in index.keys]
        return cls(tuple(places), np.array(rows, np.intp))

    def live(self, frame: Frame) -> dict[PolicyKey, int]:
        """Return how many series of each policy have a value now."""
        counts = np.bincount(self.rows[np.isfinite(frame.values)], minlength=len(self.policies))
        return dict(zip(self.policies, counts.tolist(), strict=True))


def _opened(arrays: Learnt) -> tuple[Learnt, Mapping[str, Any]]:
    try:
        about: dict[str, Any] = json.loads(bytes(arrays["about"].astype(np.uint8)))
    except (KeyError, ValueError) as err:
        raise ValueError("this is no checkpoint of a shard") from err
    if about.get("format") != FORMAT:
        raise ValueError(f"the checkpoint is of format {about.get('format')}, this program knows {FORMAT}")
    return arrays, about
