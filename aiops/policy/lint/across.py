"""Rules over all policies at once: what is asked twice, and what names nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiops.core.model import Mode
from aiops.core.planning.cost_rightsize import RightsizePolicy
from aiops.core.planning.cost_sleep import RestPolicy
from aiops.core.policies import ScalingPolicy
from aiops.policy.lint.asked import Asked, Role
from aiops.policy.lint.rule import Remark, Subject

HEAVY_S = 1800.0


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
    """Find two CostPolicies that act and would let the same workload rest, or size it."""
    acting = [
        (subject, family, subject.policy)
        for subject in subjects
        for family in (RestPolicy, RightsizePolicy)
        if isinstance(subject.policy, family) and subject.policy.mode.rank >= Mode.APPROVE.rank
    ]
    for number, (subject, family, policy) in enumerate(acting):
        for _, other_family, other in acting[:number]:
            if family is not other_family or policy.targets is None or other.targets is None:
                continue
            if policy.targets.meets(other.targets):
                does = "let rest" if family is RestPolicy else "size"
                message = f"{other.key} may {does} the same workloads"
                yield subject, Remark(path=("spec", "target"), message=message, hint="exclude them in one of the two")


def _all(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Asked]]:
    return ((subject, one) for subject in subjects for one in subject.asked)
