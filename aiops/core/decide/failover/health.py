"""How each site is: a quorum of vantage points outside of it, each sure for itself (S8).

What a vantage point does not say is neither good nor bad (S1). One that lies in a site which most others find failing
is not heard, since it lies in the failed domain: cut off, it sees every other site fail.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiops.core.decide.failover import evidence
from aiops.core.model import GroupState, Health, Instant, Signal, SiteState, View
from aiops.core.model.swift import changed, swift
from aiops.core.planning.failover import FailoverPolicy, Site, VantagePoint, Watching, users, volume


class Opinion(StrEnum):
    """What one vantage point says of one site; `blurred`: it fails, and no worse than the others do from there."""

    GOOD = "good"
    SUSPECT = "suspect"
    BAD = "bad"
    BLURRED = "blurred"
    UNKNOWN = "unknown"


_UNSEEN, _UNKNOWN = View(), SiteState()
_FAILING = (Opinion.SUSPECT, Opinion.BAD)
Opinions = Mapping[str, Mapping[str, Opinion]]
"""By site, then by vantage point."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What is known at one instant. heard: the vantage points that answer, of `total`. why: by site, in sentences."""

    views: Mapping[str, View]
    sites: Mapping[str, SiteState]
    opinions: Opinions
    why: Mapping[str, tuple[str, ...]]
    heard: tuple[str, ...]
    total: int

    @property
    def partitioned(self) -> bool:
        """Return whether no majority of the vantage points is heard: then this side may be the one that is cut off."""
        return 2 * len(self.heard) <= self.total

    @property
    def all_failing(self) -> bool:
        """Return whether every site fails for somebody and is good for nobody."""
        every = [tuple(said.values()) for said in self.opinions.values()]
        failing = (*_FAILING, Opinion.BLURRED)
        return all(any(one in failing for one in said) and Opinion.GOOD not in said for said in every)

    def troubled(self, policy: FailoverPolicy, site: str) -> bool:
        """Return whether anybody outside of a site sees it fail."""
        return any(self.opinions[site][one.name] in _FAILING for one in policy.watching.outside(site))

    def suspected(self, policy: FailoverPolicy, site: str) -> tuple[str, ...]:
        """Return the vantage points outside of a site that see it fail, sure or not."""
        return tuple(one.name for one in policy.watching.outside(site) if self.opinions[site][one.name] in _FAILING)

    def failing(self, policy: FailoverPolicy, site: str) -> tuple[str, ...]:
        """Return the keys of the views from which a site surely fails."""
        outside = policy.watching.outside(site)
        return tuple(_key(site, one.name) for one in outside if self.opinions[site][one.name] is Opinion.BAD)


def assessed(policy: FailoverPolicy, signals: Mapping[str, Signal], memory: GroupState, now: Instant) -> Assessment:
    """Return how each site is at `now`, from the signals and what is remembered."""
    watching, points = policy.watching, policy.watching.vantage_points
    views, known = _viewed(policy, signals, memory.views, now)
    opinions: dict[str, dict[str, Opinion]] = {}
    why = {}
    for site in policy.sites:
        keys = {point.name: _key(site.name, point.name) for point in points}
        said = {name: _opinion(views[key]) if key in known else Opinion.UNKNOWN for name, key in keys.items()}
        opinions[site.name] = said
        why[site.name] = tuple(_line(site, one, said[one.name], views[keys[one.name]], signals) for one in points)
    doubted = frozenset(site.name for site in policy.sites if _doubted(watching, site.name, opinions))
    sites = {}
    for site in policy.sites:
        votes = _votes(watching, site.name, opinions, doubted)
        sites[site.name] = _next(memory.sites.get(site.name, _UNKNOWN), votes, watching, now)
    heard = tuple(
        one.name for one in points if any(said[one.name] is not Opinion.UNKNOWN for said in opinions.values())
    )
    return Assessment(views=views, sites=sites, opinions=opinions, why=why, heard=heard, total=len(points))


# -- one vantage point ---------------------------------------------------------------------------------


def _viewed(
    policy: FailoverPolicy, signals: Mapping[str, Signal], before: Mapping[str, View], now: Instant
) -> tuple[dict[str, View], frozenset[str]]:
    """Return every view after this tick's answers, and the keys of those that are known now."""
    watching = policy.watching
    fresh_s = watching.max_age_s + watching.window_s
    views: dict[str, View] = {}
    news: dict[str, evidence.News] = {}
    known: set[str] = set()
    pairs = [(site, point) for site in policy.sites for point in watching.vantage_points]
    for site, point in pairs:
        key = _key(site.name, point.name)
        view, reading = before.get(key, _UNSEEN), _reading(site, point, signals, now)
        if reading is not None:
            view, told = evidence.heard(view, reading, watching)
            if told is not None:
                news[key] = told
            if now - view.informed_at <= fresh_s:
                known.add(key)
        views[key] = view
    after = dict(views)
    for site, point in pairs:
        key = _key(site.name, point.name)
        if key in news:
            others = [_key(one.name, point.name) for one in policy.sites if one is not site]
            common = evidence.common([views[one] for one in others if one in known], watching)
            after[key] = evidence.judged(views[key], news[key], common, watching)
    return after, frozenset(known)


def _reading(site: Site, point: VantagePoint, signals: Mapping[str, Signal], now: Instant) -> evidence.Reading | None:
    """Return what a vantage point says now, None when any of it is missing, stale or no number (S1)."""
    share, rate = signals.get(users(site.name, point.name)), signals.get(volume(site.name, point.name))
    if share is None or rate is None or not share.usable or not rate.usable or rate.value <= 0.0:
        return None
    return evidence.Reading(at=now - max(share.age_s, rate.age_s), share=share.value, rate_rps=rate.value)


def _opinion(view: View) -> Opinion:
    if view.bad:
        return Opinion.BAD
    if not evidence.failing(view):
        return Opinion.GOOD
    return Opinion.SUSPECT if evidence.apart(view) else Opinion.BLURRED


def _key(site: str, point: str) -> str:
    return f"{site}@{point}"


def _line(site: Site, point: VantagePoint, said: Opinion, view: View, signals: Mapping[str, Signal]) -> str:
    where = f"{site.name} from {point.name}"
    if said is Opinion.UNKNOWN:
        names = (users(site.name, point.name), volume(site.name, point.name))
        missing = [signals[name] for name in names if name in signals and not signals[name].usable]
        return f"{where}: not known ({missing[0].detail or missing[0].state.value if missing else 'no requests'})"
    now = "" if math.isnan(view.share) else f", {view.share:.0%} of the newest requests fail"
    lasted = f", {view.failed_s:.0f} s of failure" if view.failed_s >= 1.0 else ""
    return f"{where}: {said.value}{now}{lasted}"


# -- one site ------------------------------------------------------------------------------------------


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class _Votes:
    """What is said of a site. sick, good: whether a quorum says so; failing: whether anybody who is heard says so."""

    sick: bool
    good: bool
    failing: bool


def _doubted(watching: Watching, site: str, opinions: Opinions) -> bool:
    """Return whether more of those outside of a site see it fail than see it well."""
    said = [opinions[site][one.name] for one in watching.outside(site)]
    return sum(one in _FAILING for one in said) > said.count(Opinion.GOOD)


def _votes(watching: Watching, site: str, opinions: Opinions, doubted: frozenset[str]) -> _Votes:
    """Return what is said of a site. A vantage point in it may say that it is good, never that it fails.

    Whoever sees it fail ends that it is good, at once, unless somebody else sees the site fail from which that is seen:
    in the seconds before that is known for sure, a site that is cut off sees every other one fail.
    """
    said = opinions[site]
    trusted = [one for one in watching.outside(site) if one.site not in doubted]
    inside = [said[one.name] for one in watching.vantage_points if one.site == site]
    outside = [said[one.name] for one in trusted]
    bad, good = outside.count(Opinion.BAD), outside.count(Opinion.GOOD)
    failing = any(said[one.name] in _FAILING for one in trusted if not _accused(watching, one.site, opinions))
    return _Votes(
        sick=bad >= watching.quorum and bad > good,
        good=not failing and good >= 1 and good + inside.count(Opinion.GOOD) >= watching.quorum,
        failing=failing,
    )


def _accused(watching: Watching, site: str, opinions: Opinions) -> bool:
    """Return whether anybody outside of a site sees it fail; nobody says so of the place outside of all sites."""
    return bool(site) and any(opinions[site][one.name] in _FAILING for one in watching.outside(site))


def _next(before: SiteState, votes: _Votes, watching: Watching, now: Instant) -> SiteState:
    """Return the health of a site one tick later: sick at once, well only after it has been good for a while."""
    if votes.sick:
        after = changed(before, health=Health.SICK, sick_at=now, good_since=math.inf, well_since=math.inf)
    elif votes.good:
        after = _good(before, watching, now)
    else:
        broken = math.inf if votes.failing else before.good_since
        after = changed(before, health=Health.INCONCLUSIVE, good_since=broken, well_since=math.inf)
    same = after.health is before.health and math.isfinite(before.since)
    return after if same else changed(after, since=now)


def _good(before: SiteState, watching: Watching, now: Instant) -> SiteState:
    unbroken = math.isfinite(before.good_since) and now - before.good_at <= watching.max_age_s
    since = before.good_since if unbroken else now
    well = now - since >= (watching.well_for_s if math.isfinite(before.sick_at) else watching.fail_for_s)
    return changed(
        before,
        health=Health.WELL if well else Health.INCONCLUSIVE,
        good_since=since,
        good_at=now,
        well_since=since if well else math.inf,
        sick_at=-math.inf if well else before.sick_at,
    )
