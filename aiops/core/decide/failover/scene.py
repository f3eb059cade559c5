"""One instant of a failover group: how its sites are, where traffic goes, and what stands in the way of moving it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.decide.failover.health import Assessment
from aiops.core.model import (
    GroupState,
    Health,
    Instant,
    Looked,
    Plan,
    PlanKind,
    PlanStatus,
    Reason,
    ShiftTraffic,
    SiteState,
    Snapshot,
)
from aiops.core.model.swift import swift
from aiops.core.planning.failover import LEAST_APART_S, FailoverPolicy, Site, lag
from aiops.core.planning.situation import Situation
from aiops.core.planning.weights import Weights, percents

SETTLE_S = 60.0
"""How long after the end of a plan the weights may still change on its account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why traffic is not sent to a site."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A site that traffic can be sent to. asks: what a person has to answer for. ready: replicas, None if unknown."""

    site: Site
    asks: tuple[str, ...] = ()
    ready: int | None = None

    @property
    def small(self) -> bool:
        """Return whether fewer replicas are ready than users need."""
        return self.ready is not None and self.ready < self.site.standby_replicas


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One instant. memory: of this instant already. weights: percent by backend, () while that is not known."""

    policy: FailoverPolicy
    situation: Situation
    memory: GroupState
    known: Assessment
    weights: Weights

    @property
    def now(self) -> Instant:
        """Return the instant."""
        return self.situation.now

    @property
    def snapshot(self) -> Snapshot:
        """Return what was seen of the world."""
        return self.situation.snapshot

    @property
    def own(self) -> tuple[Plan, ...]:
        """Return the group's plans, those that were only told left out."""
        plans = self.situation.plans
        return tuple(one for one in plans if one.subject == self.policy.key and not one.dry_run)

    @property
    def standing(self) -> Plan | None:
        """Return the plan at work, or that a person ordered; the policy makes its own proposals anew each tick."""
        for plan in self.own:
            proposed = plan.status is PlanStatus.PROPOSED and plan.by == plan.policy
            if not plan.status.ended and not proposed:
                return plan
        return None

    def proposed(self, kind: PlanKind) -> Plan | None:
        """Return the policy's own proposal of a kind that waits for people."""
        waiting = (one for one in self.own if one.status is PlanStatus.PROPOSED and one.by == one.policy)
        return next((one for one in waiting if one.kind is kind), None)

    @property
    def active(self) -> Site | None:
        """Return the site that gets most of the traffic, None while that is not known."""
        if not self.weights:
            return None
        backend = max(self.weights, key=lambda one: one[1])[0]
        return next(site for site in self.policy.sites if site.backend == backend)

    def state(self, site: Site) -> SiteState:
        """Return how a site is."""
        return self.memory.sites[site.name]

    def api_error(self, cluster: str) -> str:
        """Return why a cluster's API cannot be asked, as a whole or of a site's workload there, '' when it can."""
        if cluster in self.snapshot.cluster_errors:
            return self.snapshot.cluster_errors[cluster]
        errors = self.snapshot.target_errors
        known = (errors.get(one.target.key) for one in self.policy.sites if one.cluster == cluster)
        return next((why for reason, why in filter(None, known) if reason is Reason.CLUSTER_UNAVAILABLE), "")

    def away_by_us(self) -> bool:
        """Return whether traffic is away because a failover of ours, and nobody since, sent it there."""
        ended = [one for one in self.own if one.status is PlanStatus.DONE and one.kind in _MOVES]
        if not ended:
            return False
        last = max(ended, key=lambda one: one.ended_at)
        return last.kind is PlanKind.FAILOVER and _aim(last) == self.weights

    def way(self, site: Site) -> Way | Refusal:
        """Return the way to a site, or the first reason why there is none (S8)."""
        refused = self._unfit(site) or self._stale(site)
        if refused is not None:
            return refused
        since_s = self.now - self.memory.moved_at
        if since_s < LEAST_APART_S:
            detail = f"the last failover was {since_s:.0f} s ago, and two are at least {LEAST_APART_S:.0f} s apart"
            return Refusal(reason=Reason.MOVED_LATELY, detail=detail)
        return self._ready(site)

    def _unfit(self, site: Site) -> Refusal | None:
        allowed = self.policy.allowed_regions
        if allowed and site.region not in allowed:
            detail = f"region {site.region or '(none)'} of {site.name} is not one of {', '.join(allowed)}"
            return Refusal(reason=Reason.REGION_NOT_ALLOWED, detail=detail)
        health = self.state(site).health
        if health is Health.WELL:
            return None
        said = "sick" if health is Health.SICK else "not known to be well"
        return Refusal(reason=Reason.STANDBY_SICK, detail=f"{site.name} is {said}")

    def _stale(self, site: Site) -> Refusal | None:
        signal, most_s = self.situation.signals.get(lag(site.name)), self.policy.rpo_s
        if most_s is None or signal is None or not signal.usable or signal.value <= most_s:
            return None
        detail = f"the copy in {site.name} lags {signal.value:.0f} s behind, more than the RPO of {most_s:.0f} s"
        return Refusal(reason=Reason.REPLICATION_LAG, detail=detail)

    def _ready(self, site: Site) -> Way | Refusal:
        asks = []
        signal = self.situation.signals.get(lag(site.name))
        if self.policy.rpo_s is not None and (signal is None or not signal.usable):
            why = "not asked" if signal is None else signal.detail or signal.state.value
            asks.append(f"how far {site.name} lags behind is not known ({why})")
        workload = self.snapshot.workloads.get(site.target.key)
        error = self.snapshot.cluster_errors.get(site.cluster, "")
        if site.target.key in self.snapshot.target_errors:
            error = self.snapshot.target_errors[site.target.key][1]
        if error:
            asks.append(f"how many replicas are ready in {site.name} is not known ({error})")
        elif workload is None:
            detail = f"there is no {site.target.kind} {site.target} in cluster {site.cluster}"
            return Refusal(reason=Reason.UNKNOWN_TARGET, detail=detail)
        if self.now < self.memory.override_until:
            asks.append("somebody else moved traffic lately")
        ready = None if error or workload is None else workload.ready
        return Way(site=site, asks=tuple(asks), ready=ready)


_MOVES = (PlanKind.FAILOVER, PlanKind.FAILBACK)


def _aim(plan: Plan) -> Weights:
    shifts = [step.operation for step in plan.steps if isinstance(step.operation, ShiftTraffic)]
    return shifts[-1].weights if shifts else ()


def weights_seen(policy: FailoverPolicy, looked: Looked) -> Weights:
    """Return the share of each backend, () while that is not known."""
    seen = looked.objects.get(policy.traffic.object.key)
    found = None if seen is None else percents(policy.traffic, [site.backend for site in policy.sites], seen)
    return found or ()


def moved_at(plans: Mapping[str, Plan] | tuple[Plan, ...], subject: str, before: Instant) -> Instant:
    """Return when a failover of the group last sent a request to the object that steers traffic."""
    every = plans.values() if isinstance(plans, Mapping) else plans
    times = [
        step.sent_at
        for plan in every
        if plan.subject == subject and plan.kind is PlanKind.FAILOVER and not plan.dry_run
        for step in plan.steps
        if step.sent and isinstance(step.operation, ShiftTraffic)
    ]
    return max([before, *times])
