"""From one turn of the loop to meters: what each target runs, what it costs, and what it would run otherwise.

The reference of a ScalingPolicy that acts is an autoscaler without foresight: the reactive need of the decision's own
record, within the policy's bounds, at its most within the scale-down window (as an HPA has it). Its interval follows
from how well it is known what a replica carries. What sleeps is compared with the replicas that it had before, what
has other requests with the price that those of before would have.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiops.core.model import (
    Capacity,
    Decision,
    Instant,
    LoopState,
    Mode,
    PolicyKey,
    Snapshot,
    TargetRef,
    Tick,
)
from aiops.core.model.swift import swift
from aiops.core.money.chains import Link, Sight, brought, layers, under_way
from aiops.core.money.ledger import Ledger, name_in
from aiops.core.money.spend import Meter, Reference, Share, Subject, nano
from aiops.core.money.standing import Rested, Standing, standing
from aiops.core.policies import PolicySet, ScalingPolicy

Z80 = 1.2815515655446004
"""Of the normal distribution: 80 % lie between minus and plus so many standard deviations."""

VERSION, JOINT = "@", "_"
"""What stands in the keys of versions and of members, see `aiops.core.versions`."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """One turn of the loop, as money sees it. costed: by target, which cost policy sees it, and how many replicas."""

    snapshot: Snapshot
    tick: Tick
    policies: PolicySet
    state: LoopState
    capacities: Mapping[PolicyKey, Capacity] = field(default_factory=dict)
    costed: Mapping[str, tuple[PolicyKey, int]] = field(default_factory=dict)


@dataclass(slots=True)
class References:
    """Remembers the reactive need of each policy as long as its scale-down window is."""

    _wishes: dict[PolicyKey, deque[tuple[Instant, int]]] = field(default_factory=dict)

    def of(self, policy: ScalingPolicy, decision: Decision, now: Instant, doubt_ratio: float) -> Reference | None:
        """Return what a policy's target would run without foresight, None while its need is not known."""
        verdict = decision.verdict
        need = None if verdict is None else verdict.proposal.need
        if need is None or need.reactive is None:
            return None
        kept = self._wishes.setdefault(policy.key, deque())
        while kept and kept[0][0] <= now - policy.down.stabilisation_s:
            kept.popleft()
        while kept and kept[-1][1] <= need.reactive:
            kept.pop()  # only what may still be the greatest is kept
        kept.append((now, need.reactive))
        low, high, _ = policy.bounds.at(now)
        wanted = kept[0][1]
        spread = Z80 * doubt_ratio if need.capacity_learned else 0.0
        levels = (wanted / (1.0 + spread), wanted, wanted / max(1.0 - spread, 0.1))
        least, middle, most = (min(max(math.ceil(one - 1e-9), low), high) for one in levels)
        return Reference(low=least, middle=middle, high=most)

    def forget(self, known: set[PolicyKey]) -> None:
        """Forget policies that are gone."""
        self._wishes = {key: one for key, one in self._wishes.items() if key in known}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What is true now. meters: None of what should be seen and is not. standing: plans that save something."""

    meters: dict[Subject, Meter | None]
    subjects: Mapping[PolicyKey, Subject]
    standing: tuple[Standing, ...]


def metered(turned: Turned, references: References, ledger: Ledger) -> Metered:
    """Return the meters of every target that policies name, each on the account of one policy."""
    plans = standing(turned.state.plans.values(), turned.snapshot)
    by_target = rested_by_target(plans)
    meters: dict[Subject, Meter | None] = {}
    subjects: dict[PolicyKey, Subject] = {}
    decisions = {one.policy: one for one in turned.tick.decisions}
    taken: set[str] = set()
    for policy in sorted(turned.policies.scaling, key=_rank):
        if policy.candidate_for or VERSION in policy.key or policy.target.key in taken:
            continue
        taken.add(policy.target.key)
        meter = _running(policy.target.key, turned.snapshot)
        if meter is None and not _unseen(policy.target, turned.snapshot):
            continue  # it is not there, and costs nothing
        subject = subjects[policy.key] = subject_of(policy.target.key, policy.key, turned.policies)
        decision = decisions.get(policy.key)
        if meter is not None and decision is not None:
            meter = _judged(meter, policy, decision, (turned, references))
        meters[subject] = meter
    for key, target, replicas in _others(turned):
        if target not in taken:
            taken.add(target)
            meters[subject_of(target, key, turned.policies)] = _priced(target, replicas, turned.snapshot)
    references.forget({policy.key for policy in turned.policies.scaling})
    chains = _Chains.of(turned, ledger, plans)
    linked = bool(chains.by_target) or any(one.links for one in ledger.standing.values())
    sight = Sight.of(turned.snapshot) if linked else Sight({}, {})
    for subject, one in list(meters.items()):
        rested = by_target.get(subject.target)
        if one is not None:
            compared = one if rested is None else _against(one, rested)
            meters[subject] = chains.layered(compared, subject, sight)
    return Metered(meters=meters, subjects=subjects, standing=plans)


def rested_by_target(plans: Sequence[Standing]) -> dict[str, Rested]:
    """Return what targets were before all that stands of them: of rests on top of each other, before the first.

    With who did how much of it: of changes that follow each other each its own.
    """
    found: dict[str, Rested] = {}
    for one in plans:
        for target, rested in one.rested.items():
            if not rested.links:
                found[target] = _on_top(found.get(target), rested, name_in(one.plan.id, target))
    return found


def _on_top(below: Rested | None, rested: Rested, entry: str) -> Rested:
    """Return what there was before both, with the shares of both; of the newer alone, where it does not follow."""
    now = rested.change
    if now is None:
        return rested
    own = Share(entry=entry, replicas=now[1] - now[0] if rested.replicas is None else now[0] - now[1])
    before = None if below is None else below.change
    same_kind = below is not None and (below.replicas is None) is (rested.replicas is None)
    if below is None or before is None or not same_kind or before[1] != now[0]:
        return replace(rested, shares=(own,))
    return replace(rested, replicas=below.replicas, shares=(*below.shares, own))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chains:
    """Who changed requests. by_target: the entry, since when and what, of plans that stand; known: plans by id."""

    turned: Turned
    ledger: Ledger
    by_target: Mapping[str, Mapping[str, tuple[Instant, tuple[Link, ...]]]]
    known: frozenset[str]

    @classmethod
    def of(cls, turned: Turned, ledger: Ledger, plans: Sequence[Standing]) -> _Chains:
        """Return those of the plans that stand."""
        made: dict[str, dict[str, tuple[Instant, tuple[Link, ...]]]] = {}
        for one in plans:
            for target, rested in one.rested.items():
                if rested.links:
                    made.setdefault(target, {})[name_in(one.plan.id, target)] = (one.since, rested.links)
        return cls(turned=turned, ledger=ledger, by_target=made, known=frozenset(turned.state.plans))

    def layered(self, meter: Meter, subject: Subject, sight: Sight) -> Meter:
        """Return the meter with who brought its price down by smaller requests, and what it was before all of them."""
        linked = dict(self.by_target.get(subject.target, {}))
        # a plan that is forgotten was not taken back: what it changed may stand below what came after
        for entry in self.ledger.of(subject):
            if entry.links and entry.id not in linked and entry.id.partition("/")[0] not in self.known:
                linked[entry.id] = (entry.opened_at, entry.links)
        if not linked or meter.price is None:
            return meter
        snapshot = self.turned.snapshot
        chain = [(name, links) for name, (_, links) in sorted(linked.items(), key=lambda one: (one[1][0], one[0]))]
        chain.append(("", under_way(self.turned.state.plans.values(), subject.target)))
        found = brought(chain, sight.now(subject.target, (link for _, links in chain for link in links)))
        made = layers(found, snapshot.prices.units(subject.target), meter.replicas)
        was = (meter.price if meter.was_price is None else meter.was_price) + sum(one.extra for one in made)
        same = meter.reference or Reference(low=meter.replicas, middle=meter.replicas, high=meter.replicas)
        return replace(meter, was_price=was, reference=same, layers=made)


def subject_of(target: str, key: PolicyKey, policies: PolicySet) -> Subject:
    """Return on whose account a target is: of a policy, with the labels that its metadata have."""
    labels = labels_of(key, policies)
    namespace = key.split("/", 2)[1]
    return Subject(target=target, policy=key, namespace=namespace, labels=tuple(sorted(labels.items())))


def labels_of(key: PolicyKey, policies: PolicySet) -> Mapping[str, str]:
    """Return the labels of a policy's metadata; a member of a template has those of the template."""
    own = policies.labels.get(key)
    return policies.labels.get(key.partition(VERSION)[0].partition(JOINT)[0], {}) if own is None else own


def _rank(policy: ScalingPolicy) -> tuple[bool, str]:
    return policy.mode is Mode.OBSERVE, policy.key


def _others(turned: Turned) -> Iterator[tuple[PolicyKey, str, int]]:
    """Yield what no ScalingPolicy is for: what cost policies see, and then what other plans count on."""
    for target, (key, replicas) in turned.costed.items():
        yield key, target, replicas
    for policy in turned.policies.plans:
        for ref in policy.workloads:
            workload = turned.snapshot.workloads.get(ref.key)
            if workload is not None:
                yield policy.key, ref.key, workload.replicas


def _running(target: str, snapshot: Snapshot) -> Meter | None:
    workload = snapshot.workloads.get(target)
    return None if workload is None else _priced(target, workload.replicas, snapshot)


def _unseen(target: TargetRef, snapshot: Snapshot) -> bool:
    """Return whether a target may run all the same: what would show it did not answer."""
    return target.cluster in snapshot.cluster_errors or target.key in snapshot.target_errors


def _priced(target: str, replicas: int, snapshot: Snapshot) -> Meter:
    price = snapshot.replica_usd_per_hour.get(target)
    # a price of zero or less is none: what is not known is never nothing
    known = price is not None and math.isfinite(price) and price > 0.0
    return Meter(replicas=replicas, price=nano(price) if known and price is not None else None)


def _judged(meter: Meter, policy: ScalingPolicy, decision: Decision, around: tuple[Turned, References]) -> Meter:
    """Return the meter with what the decision's record says: the reference, the use, and whether the SLO holds."""
    turned, references = around
    verdict, now = decision.verdict, turned.snapshot.at
    if verdict is None:
        return meter
    capacity = turned.capacities.get(policy.key)
    reference = references.of(policy, decision, now, 0.0 if capacity is None else capacity.doubt_ratio)
    acts = min(policy.reach.rank, turned.snapshot.scope.ceiling.rank) >= Mode.APPROVE.rank
    need = verdict.proposal.need
    full = meter.replicas * need.capacity
    use = need.demand / full if need.demand is not None and full > 0.0 else None
    return replace(
        meter,
        # what it does not steer it saves nothing of
        reference=reference if acts else None,
        use_ratio=use,
        idle=need.demand == 0.0,
        slo_broken=need.slo_broken,
        late=need.demand or 0.0,
    )


def _against(meter: Meter, rested: Rested) -> Meter:
    """Return the meter against what there was before a plan took it away."""
    if rested.replicas is not None:
        floor = min(rested.replicas, meter.replicas)
        # at least what runs would have run, at most what ran before; what people keep asleep by hand is not known
        reference = Reference(low=max(floor, rested.least), middle=rested.replicas, high=rested.replicas)
        return replace(meter, reference=reference, shares=rested.shares)
    if meter.price is None:
        return meter
    same = meter.reference or Reference(low=meter.replicas, middle=meter.replicas, high=meter.replicas)
    was = None if rested.extra is None else meter.price + rested.extra
    return replace(meter, reference=same, was_price=was, shares=rested.shares, moved=rested.moved is not None)
