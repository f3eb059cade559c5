"""The world of a failover group: two sites and the edge, links between them, users, and who measures how they fare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from aiops.core.model import Instant

EDGE, WEST, NORTH = "edge", "west", "north"
PLACES, SITES = (EDGE, WEST, NORTH), (WEST, NORTH)
LENGTH_S = 900
BACKGROUND = 0.005
"""Share of requests that fail at any time."""

FAILING = 0.05
"""Users suffer while more than this share of all requests fails."""

PROPAGATION_MEDIAN_S, PROPAGATION_P95_S = 5.0, 15.0
"""How long new weights take to reach users, lognormal."""

STARTUP_S = 20.0

PROBES = 10
"""Requests a second that each observer asks of each site, where nothing else is said."""

UNHEARD_S = 50.0
"""Pods of nodes that are unheard for so long are not ready: `--node-monitor-grace-period` of Kubernetes."""

CARRIES = 0.35
"""The share of all users that one replica carries; what is beyond it fails, and comes again."""

RETRIES = 0.4
"""The share of failed requests that come again."""


class Kind(StrEnum):
    """What goes wrong. share: that fails (grey), that is lost (probe-loss, pods-lost), that is told (lies: of west).

    lag: north's copy falls behind by a second each second. load: so many times the users. slow-start: so many times the
    time to start; no-start: new pods of a site find no room.
    """

    CRASH = "crash"
    GREY = "grey"
    ISOLATION = "isolation"
    BLIP = "blip"
    CUT = "cut"
    PROBE_LOSS = "probe-loss"
    METRICS_LOST = "metrics-lost"
    API_DOWN = "api-down"
    DAEMON_DIES = "daemon-dies"
    PODS_LOST = "pods-lost"
    NO_START = "no-start"
    SLOW_START = "slow-start"
    LIES = "lies"
    LAG = "lag"
    LOAD = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """From `at_s` until `until_s`. place: which site, or the first end of a cut link; other: its second end.

    share: of requests that fail, or of probes that are lost.
    """

    kind: Kind
    place: str
    at_s: float
    until_s: float = math.inf
    other: str = ""
    share: float = 1.0

    def at(self, now: float) -> bool:
        """Return whether it is in force."""
        return self.at_s <= now < self.until_s


@dataclass
class SitesWorld:
    """The world at one second. weights: of the route, as written; `carried`: as users feel them.

    probes: requests a second that each observer asks of each site.
    """

    faults: Sequence[Fault]
    dice: np.random.Generator
    probes: int = PROBES
    now: Instant = 0.0
    weights: dict[str, int] = field(default_factory=lambda: {WEST: 100, NORTH: 0})
    carried: dict[str, int] = field(default_factory=lambda: {WEST: 100, NORTH: 0})
    version: int = 1
    writes: list[tuple[float, int, str, dict[str, int]]] = field(default_factory=list)
    ready: dict[str, int] = field(default_factory=lambda: {WEST: 4, NORTH: 4})
    replicas: dict[str, int] = field(default_factory=lambda: {WEST: 4, NORTH: 4})
    lost_s: float = 0.0
    last_bad_s: float = -math.inf
    _landing: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    _growing: list[tuple[float, str, int]] = field(default_factory=list)
    _counted: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # by site and vantage point: how many requests failed, and were asked, before each second
        self._counted = {(site, point): [(0, 0)] for site in SITES for point in PLACES}

    # -- what is so --------------------------------------------------------------------------------------

    def _any(self, place: str, *kinds: Kind) -> Fault | None:
        now = self.now
        for one in self.faults:
            if one.place == place and one.kind in kinds and one.at_s <= now < one.until_s:
                return one
        return None

    def alive(self, place: str) -> bool:
        """Return whether machines of a place run: its daemon, its API server, its metrics."""
        return self._any(place, Kind.CRASH) is None

    def daemon_runs(self, place: str) -> bool:
        """Return whether the daemon of a place runs."""
        return self.alive(place) and self._any(place, Kind.DAEMON_DIES) is None

    def reaches(self, one: str, other: str) -> bool:
        """Return whether one place hears another."""
        if not (self.alive(one) and self.alive(other)):
            return False
        if one == other:
            return True
        if self._any(one, Kind.ISOLATION) or self._any(other, Kind.ISOLATION):
            return False
        ends = {one, other}
        return not any(f.kind is Kind.CUT and {f.place, f.other} == ends and f.at(self.now) for f in self.faults)

    def api_answers(self, daemon: str, place: str) -> bool:
        """Return whether a daemon hears the API server of a place."""
        return self.reaches(daemon, place) and self._any(place, Kind.API_DOWN) is None

    def common_api_answers(self, daemon: str) -> bool:
        """Return whether a daemon hears the API server of a cluster whose zones the sites are: it outlives each.

        A zone that is isolated is so from the control plane, too, which has no majority there.
        """
        away = not self.alive(daemon) or self._any(daemon, Kind.ISOLATION) is not None
        return not away and not any(self._any(site, Kind.API_DOWN) for site in SITES)

    def metrics_answer(self, daemon: str, point: str) -> bool:
        """Return whether a daemon hears the metrics of a vantage point."""
        return self.reaches(daemon, point) and self._any(point, Kind.METRICS_LOST) is None

    def fails(self, site: str) -> float:
        """Return the share of users' requests that a site fails now."""
        if self._any(site, Kind.CRASH, Kind.ISOLATION):
            return 1.0
        worst = self._any(site, Kind.GREY, Kind.BLIP)
        own = BACKGROUND if worst is None else max(BACKGROUND, worst.share)
        return 1.0 - (1.0 - own) * (1.0 - self._refused(site))

    def _refused(self, site: str) -> float:
        """Return the share of requests that find no pod: users and those who come again, beyond what pods carry."""
        pods = self.ready[site] * self._kept(site, self.now)
        crowd = self._any(site, Kind.LOAD)
        asked = self.carried[site] / (sum(self.carried.values()) or 1) * (1.0 if crowd is None else crowd.share)
        room = pods * CARRIES
        if asked <= room:
            return 0.0
        # of x requests in all, users' and those that come again, `room` are served: x = asked + RETRIES (x - room)
        return 1.0 - room * (1.0 - RETRIES) / (asked - RETRIES * room)

    def _kept(self, site: str, at: Instant) -> float:
        """Return the share of a site's pods that are there, of those that were lost by then."""
        lost = (one for one in self.faults if one.kind in (Kind.PODS_LOST, Kind.CRASH) and one.place == site)
        return math.prod(0.0 if one.kind is Kind.CRASH else 1.0 - one.share for one in lost if one.at(at))

    def said_ready(self, site: str) -> int:
        """Return how many pods a cluster calls ready; those of a lost zone are for a while."""
        return round(self.ready[site] * self._kept(site, self.now - UNHEARD_S))

    def lag_s(self) -> float:
        """Return how far north's copy of the data lags behind."""
        behind = self._any(NORTH, Kind.LAG)
        return 1.0 if behind is None else 1.0 + self.now - behind.at_s

    def _seen_failing(self, site: str, point: str) -> float:
        """Return the share of an observer's requests to a site that fail now."""
        if site == point:
            own = self._any(site, Kind.GREY, Kind.BLIP)  # from inside, an isolated site looks well
            share = max(BACKGROUND if own is None else own.share, self._refused(site))
        else:
            share = self.fails(site) if self.reaches(point, site) else 1.0
        lie = self._any(point, Kind.LIES)
        if lie is not None and site == WEST:
            return lie.share
        loss = self._any(point, Kind.PROBE_LOSS)
        return share if loss is None else 1.0 - (1.0 - share) * (1.0 - loss.share)

    # -- what is measured --------------------------------------------------------------------------------

    def measured(self, site: str, point: str, window_s: int) -> tuple[float, float]:
        """Return the share of failing requests and requests a second over the last window, as an observer counts."""
        counted = self._counted[site, point]
        before, after = counted[max(0, len(counted) - 1 - window_s)], counted[-1]
        failed, asked = after[0] - before[0], after[1] - before[1]
        return (failed / asked if asked else math.nan), asked / window_s

    # -- time --------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Let one second go by."""
        for (site, point), counted in self._counted.items():
            failed, asked = counted[-1]
            if self.alive(point):
                failed += int(self.dice.binomial(self.probes, self._seen_failing(site, point)))
                asked += self.probes
            counted.append((failed, asked))
        for at, weights in [one for one in self._landing if one[0] <= self.now]:
            self.carried = weights
            self._landing.remove((at, weights))
        for at, site, count in [one for one in self._growing if one[0] <= self.now]:
            if self._any(site, Kind.NO_START):
                continue
            self.ready[site] = count
            self._growing.remove((at, site, count))
        share = self.suffering()
        self.lost_s += share - BACKGROUND
        if share > FAILING:
            self.last_bad_s = self.now
        self.now += 1.0

    def suffering(self) -> float:
        """Return the share of all users' requests that fail now."""
        whole = sum(self.carried.values()) or 1
        return sum(weight / whole * self.fails(site) for site, weight in self.carried.items())

    # -- what is written ---------------------------------------------------------------------------------

    def write(self, weights: dict[str, int], epoch: int, by: str) -> None:
        """Take new weights; users feel them after a while."""
        self.weights, self.version = dict(weights), self.version + 1
        self.writes.append((self.now, epoch, by, dict(weights)))
        sigma = math.log(PROPAGATION_P95_S / PROPAGATION_MEDIAN_S) / 1.645
        delay_s = float(self.dice.lognormal(math.log(PROPAGATION_MEDIAN_S), sigma))
        # a later write is never overtaken by an earlier one
        lands = max([self.now + delay_s, *(at for at, _ in self._landing)])
        self._landing.append((lands, dict(weights)))

    def scale(self, site: str, replicas: int) -> None:
        """Take a number of replicas; they are ready after a while."""
        self.replicas[site] = replicas
        slow = self._any(site, Kind.SLOW_START)
        takes_s = STARTUP_S * (1.0 if slow is None else slow.share)
        self._growing.append((self.now + takes_s, site, replicas))

    def route(self) -> dict[str, Any]:
        """Return the route as its API server shows it."""
        refs = [{"name": f"storefront-{site}", "port": 80, "weight": self.weights[site]} for site in SITES]
        return {"metadata": {"name": "storefront", "namespace": "edge"}, "spec": {"rules": [{"backendRefs": refs}]}}
