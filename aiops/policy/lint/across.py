"""Rules over all policies at once: what is asked twice, and what names nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aiops.core.model import Mode
from aiops.core.planning.cost_rightsize import RightsizePolicy
from aiops.core.planning.cost_sleep import RestPolicy
from aiops.core.planning.cost_spot import SpotPolicy
from aiops.core.planning.saving import SavingPolicy
from aiops.core.policies import ScalingPolicy
from aiops.policy.lint.asked import Asked, Role
from aiops.policy.lint.rule import Remark, Subject

HEAVY_S = 1800.0

_DOES: Mapping[type[SavingPolicy], str] = {RestPolicy: "let rest", RightsizePolicy: "size", SpotPolicy: "share out"}
"""What cost policies do that one alone may do to a workload."""


def duplicate_signal(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Remark]]:
    """Find two signals of one policy that ask the same."""
    for subject in subjects:
        seen: dict[str, str] = {}
        for one in subject.asked:
            if one.role is Role.PRESENCE or not one.signal:
                continue
            first = seen.setdefault(one.facts.normal, one.signal)
            if first != one.signal:
                message = f"asks what signal {first} asks"
                yield subject, Remark(path=one.path, message=message, hint=f"use {first}")


def same_heavy_query(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Remark]]:
    """Find long windows that several policies ask for."""
    first: dict[str, str] = {}
    for subject, one in _all(subjects):
        if not any(select.range_s + select.subquery_s >= HEAVY_S for select in one.facts.selectors):
            continue
        other = first.setdefault(one.facts.normal, subject.policy.key)
        if other != subject.policy.key:
            message = f"{other} asks the same, over a long window"
            yield subject, Remark(path=one.path, message=message, hint="a recording rule is read once, by all")


def same_in_other_words(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Remark]]:
    """Find queries that are one but for spaces and the like: one text is asked once, two are asked twice."""
    first: dict[str, tuple[str, str]] = {}
    for subject, one in _all(subjects):
        other, expr = first.setdefault(one.facts.normal, (subject.policy.key, one.expr))
        if expr != one.expr and other != subject.policy.key:
            message = f"{other} asks the same in other words, so that it is asked twice"
            yield subject, Remark(path=one.path, message=message, hint=f"write it alike: {expr}")


def candidate_for_nobody(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Remark]]:
    """Find candidates for a policy that is not there."""
    keys = {subject.policy.key for subject in subjects}
    for subject in subjects:
        policy = subject.policy
        if isinstance(policy, ScalingPolicy) and policy.candidate_for and policy.candidate_for not in keys:
            message = f"there is no {policy.candidate_for} among these policies"
            yield (
                subject,
                Remark(path=("spec", "candidateFor"), message=message, hint="a candidate is compared with it"),
            )


def overlapping_savings(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Remark]]:
    """Find two CostPolicies that act and would let the same workload rest, size it, or share it out."""
    acting = [
        (subject, family, subject.policy)
        for subject in subjects
        for family in _DOES
        if isinstance(subject.policy, family) and subject.policy.mode.rank >= Mode.APPROVE.rank
    ]
    for number, (subject, family, policy) in enumerate(acting):
        for _, other_family, other in acting[:number]:
            if family is not other_family or policy.targets is None or other.targets is None:
                continue
            if policy.targets.meets(other.targets):
                message = f"{other.key} may {_DOES[family]} the same workloads"
                yield subject, Remark(path=("spec", "target"), message=message, hint="exclude them in one of the two")


def scaled_share(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Remark]]:
    """Find shares of what a ScalingPolicy scales: it would take a part of the demand for all of it."""
    scaled = {
        (one.policy.target.cluster, one.policy.target.namespace, one.policy.target.name): one.policy.key
        for one in subjects
        if isinstance(one.policy, ScalingPolicy) and one.policy.mode.rank >= Mode.APPROVE.rank
    }
    for subject in subjects:
        policy = subject.policy
        if not isinstance(policy, SpotPolicy) or policy.targets is None or not policy.targets.name:
            continue
        where, base = policy.targets, policy.targets.name
        for name in (base, f"{base}{policy.suffix}"):
            other = scaled.get((where.cluster, where.namespace, name))
            if other is not None:
                message = f"{other} has the replicas of {name}: it would be held"
                yield subject, Remark(path=("spec", "target", "name"), message=message, hint="an HPA on use per pod")


def _all(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Asked]]:
    return ((subject, one) for subject in subjects for one in subject.asked)
