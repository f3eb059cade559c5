"""A compiled FailoverPolicy: sites, who watches them from where, and how traffic goes from one to another (S8)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiops.core.model import Mode, ShiftTraffic, TargetRef, TrafficLever
from aiops.core.policies import PlanPolicy

LANE_S = 2.0
"""How often groups are judged between two turns of the loop, where the settings say nothing else."""

LEAST_APART_S = 600.0
"""Never two failovers of a group within this time (S8)."""

LEAST_WELL_S = 300.0
"""Nobody is sent home before it has been well for so long (S8)."""

USERS, VOLUME, LAG, SERVED = "users", "volume", "lag", "served"
"""What signals are called: `users/SITE@VANTAGE`, `volume/SITE@VANTAGE`, `lag/SITE`, `served`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place that can serve the users. backend: its name in the object that steers traffic.

    zone: of the cluster in which it lies, '' for all of it: then no other site lies there.
    standby_replicas: how many must be ready before users are sent there. prepares: it is raised to them on suspicion.
    """

    name: str
    cluster: str
    region: str
    backend: str
    target: TargetRef
    standby_replicas: int
    prepares: bool = False
    zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VantagePoint:
    """From where the users' requests are measured. source: the metrics source. site: in which it lies, '' for none."""

    name: str
    source: str
    site: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How a site is judged. bad_above_ratio: the share of failing requests that users must not see.

    window_s: of how long an answer tells: a rate over a range tells of what lies between the first and the last sample
    in it, a scrape less. scrape_s: what was taken for that, infinite where it was said. quorum: how many
    vantage points outside of a site must agree. fail_for_s: failing for so long, as if nothing had been served, is no
    blip. well_for_s: how long a site that failed must be good.
    """

    vantage_points: tuple[VantagePoint, ...]
    bad_above_ratio: float
    window_s: float
    max_age_s: float
    quorum: int
    fail_for_s: float
    well_for_s: float
    scrape_s: float = math.inf

    def span_s(self, step_s: float) -> float:
        """Return of how long an answer tells whose newest sample is `step_s` newer than the one before."""
        return max(self.window_s / 2.0, self.window_s - max(0.0, step_s - self.scrape_s))

    def outside(self, site: str) -> tuple[VantagePoint, ...]:
        """Return the vantage points that do not fail with a site."""
        return tuple(one for one in self.vantage_points if one.site != site)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The object that steers traffic, outside of every site: in a site's cluster only where all are zones of it."""

    lever: TrafficLever
    object: TargetRef
    rule: int = 0

    def shift(self, weights: tuple[tuple[str, int], ...]) -> ShiftTraffic:
        """Return the operation that gives each backend its share. weights: percent by backend."""
        return ShiftTraffic(lever=self.lever, object=self.object, weights=weights, rule=self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """By which shares, in percent, traffic goes over, and how long each of them is watched."""

    percents: tuple[int, ...]
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failback:
    """How traffic goes home. after_s: how long home must have been well. automatic: without asking, in mode enforce."""

    automatic: bool
    after_s: float
    steps: Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverPolicy(PlanPolicy):
    """A compiled FailoverPolicy. sites: in order of preference. primary: home. witness: '' for none.

    rpo_s: how far a copy may lag behind, None where no lag is asked for. allowed_regions: none named is all.
    override_s: how long a weight that a person wrote is respected (S4).
    """

    primary: str
    witness: str
    sites: tuple[Site, ...]
    traffic: Traffic
    watching: Watching
    shift: Steps
    failback: Failback
    rpo_s: float | None = None
    allowed_regions: tuple[str, ...] = ()
    stateful: bool = False
    override_s: float = 3600.0

    @property
    def reach(self) -> Mode:
        """Return how far it may go: without a third place as witness, or with state, a person is always asked (S8)."""
        alone = bool(self.witness) and not self.stateful
        return self.mode if alone else min(self.mode, Mode.APPROVE, key=lambda mode: mode.rank)

    def site(self, name: str) -> Site | None:
        """Return a site by its name."""
        return next((one for one in self.sites if one.name == name), None)


def users(site: str, vantage: str) -> str:
    """Return the name of the signal: which share of a site's requests fails, as seen from a vantage point."""
    return f"{USERS}/{site}@{vantage}"


def volume(site: str, vantage: str) -> str:
    """Return the name of the signal: how many requests a second that share is of."""
    return f"{VOLUME}/{site}@{vantage}"


def lag(site: str) -> str:
    """Return the name of the signal: how many seconds a site's copy of the data lags behind."""
    return f"{LAG}/{site}"
