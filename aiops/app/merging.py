"""One set of policies out of files and resources; who claims the same thing twice, holds (S4).

Two policies of one name, or two of one kind that act on one target, are an error on all of them. None of them acts
newly: what was in force of them before stays as it was, changes nothing and hands nothing back, until that is mended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from aiops.core.ids import digest
from aiops.core.model import Mode, PolicyKey
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.policies import AnyPolicy, CostBudget, PlanPolicy, PolicySet, ScalingPolicy, WatchPolicy
from aiops.core.versions import template_key
from aiops.errors import Problem

Policy: TypeAlias = AnyPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What is in force. held: policies that may change nothing now, and why. conflicts: by the origin of each claim."""

    policies: PolicySet
    held: Mapping[PolicyKey, str] = field(default_factory=dict)
    conflicts: Mapping[tuple[str, PolicyKey], Problem] = field(default_factory=dict)


def merged(files: PolicySet, resources: Iterable[PolicySet], before: Mapping[PolicyKey, Policy]) -> Merged:
    """Return the set of all of them. before: what was in force of each key until now."""
    sets = [files, *resources]
    claims = [policy for one in sets for policy in one.every]
    labels = {key: said for one in sets for key, said in one.labels.items()}
    disputed: dict[str, list[Policy]] = defaultdict(list)
    for policy in claims:
        for what in _claimed(policy):
            disputed[what].append(policy)
    quarrels = [group for group in disputed.values() if len(group) > 1]
    conflicts = {(policy.origin, policy.key): _problem(policy, group) for group in quarrels for policy in group}
    clean = {p.key: p for p in claims if (p.origin, p.key) not in conflicts}
    kept, held = dict(clean), {}
    taken = {policy.target.key for policy in clean.values() if isinstance(policy, ScalingPolicy) and acting(policy)}
    for (_, key), problem in conflicts.items():
        old = before.get(key)
        # a target that it left by its newest version, and that somebody else has taken, is no longer its own
        if old is not None and key not in clean and not (isinstance(old, ScalingPolicy) and old.target.key in taken):
            kept[key], held[key] = old, problem.message
    return Merged(policies=_set(files, kept.values(), labels), held=held, conflicts=conflicts)


def standing(made: Merged, stood: Mapping[PolicyKey, Policy], why: Mapping[str, str]) -> Merged:
    """Return the set with what stood of kinds that nobody can read now: held, so that its work is kept (S9).

    why: by kind. A target that somebody else has taken meanwhile is no longer its own.
    """
    have = in_force(made.policies)
    taken = {policy.target.key for policy in made.policies.scaling if acting(policy)}
    mine = {
        key: policy
        for key, policy in stood.items()
        if policy.key.partition("/")[0] in why
        and not have.keys() & {key, template_key(key)}
        and not (isinstance(policy, ScalingPolicy) and policy.target.key in taken)
    }
    if not mine:
        return made
    policies = _set(made.policies, [*have.values(), *mine.values()], made.policies.labels)
    held = {**made.held, **{key: why[key.partition("/")[0]] for key in mine}}
    return replace(made, policies=policies, held=held)


def in_force(policies: PolicySet) -> dict[PolicyKey, Policy]:
    """Return the policies of a set by their keys."""
    return {policy.key: policy for policy in policies.every}


def acting(policy: Policy) -> bool:
    """Return whether a policy claims its target for itself: one that observes, or is a candidate, does not."""
    if not isinstance(policy, ScalingPolicy):
        return False
    return policy.mode is not Mode.OBSERVE and not policy.candidate_for


def _claimed(policy: Policy) -> list[str]:
    """Return what is nobody else's: its name, and as an acting policy its target among those of its kind."""
    kind = policy.key.partition("/")[0]
    claims = [f"name {policy.key}"]
    # what a template acts on is known where the workloads are: see expanding.py
    if isinstance(policy, ScalingPolicy) and policy.selection is None and acting(policy):
        claims.append(f"target {kind} {policy.target.key}")
    if isinstance(policy, FailoverPolicy) and policy.mode is not Mode.OBSERVE:
        claims.append(f"traffic {policy.target.key}#{policy.traffic.rule}")
    return claims


def _problem(policy: Policy, group: list[Policy]) -> Problem:
    others = [one for one in group if one is not policy]
    said = ", ".join(f"{one.key} in {one.origin}" for one in others)
    if all(one.key == policy.key for one in others):
        where, message = "metadata.name", f"{policy.key} is defined in {', '.join(one.origin for one in others)}, too"
    elif isinstance(policy, FailoverPolicy):
        where, message = "spec.traffic", f"{policy.target.kind} {policy.target} is steered by {said}, too"
    else:
        target = policy.target if isinstance(policy, ScalingPolicy) else ""
        where, message = "spec.target", f"{target} is scaled by {said}, too"
    hint = "take one of them away, or set mode: observe"
    return Problem(file=policy.origin, line=0, column=0, field=where, message=message, hint=hint)


def _set(base: PolicySet, policies: Iterable[Policy], labels: Mapping[PolicyKey, Mapping[str, str]]) -> PolicySet:
    """Return a set of these policies, each in the field of its kind."""
    ordered = sorted(policies, key=lambda policy: policy.key)
    keys = {policy.key for policy in ordered}
    return replace(
        base,
        digest=digest("".join(policy.digest for policy in ordered)),
        scaling=tuple(one for one in ordered if isinstance(one, ScalingPolicy) and one.selection is None),
        templates=tuple(one for one in ordered if isinstance(one, ScalingPolicy) and one.selection is not None),
        watches=tuple(policy for policy in ordered if isinstance(policy, WatchPolicy)),
        plans=tuple(policy for policy in ordered if isinstance(policy, PlanPolicy)),
        budgets=tuple(policy for policy in ordered if isinstance(policy, CostBudget)),
        labels={key: said for key, said in labels.items() if key in keys},
    )
