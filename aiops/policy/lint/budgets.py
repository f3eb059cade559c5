"""Rules over budgets and the policies that they cover."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from aiops.core.policies import CostBudget, Priority, ScalingPolicy
from aiops.core.versions import template_key
from aiops.policy.cel import CelCondition
from aiops.policy.document import Path as FieldPath
from aiops.policy.lint.rule import Remark, Subject

Found = Iterator[tuple[Subject, Remark]]


def cost_without_budget(subjects: Sequence[Subject]) -> Found:
    """Find conditions over money of a period for which no budget covers the policy."""
    budgets = [one.policy for one in subjects if isinstance(one.policy, CostBudget)]
    for subject in subjects:
        policy = subject.policy
        if not isinstance(policy, ScalingPolicy):
            continue
        covered = {one.period.value for one in budgets if one.scope.covers(_namespace(policy), _labels(policy))}
        for path, periods in _asked(policy):
            for period in sorted(periods - covered):
                message = f"cost.{period} is not known: no CostBudget of a {period} covers this policy"
                yield subject, Remark(path=path, message=message, hint="the condition can never be told")


def priority_for_nobody(subjects: Sequence[Subject]) -> Found:
    """Find priorities that name nobody whose growth they could hold."""
    for subject, budget, number, one in _priorities(subjects):
        path: FieldPath = ("spec", "priorities", number)
        reach = _reach(subjects, budget)
        for name in one.policies:
            if name not in {_name(policy) for policy in reach}:
                message = f"there is no ScalingPolicy {name} in namespace {budget.namespace} that the scope covers"
                yield subject, Remark(path=(*path, "policies"), message=message, hint=_known(reach))
        if one.labels is not None and not any(one.names(_name(policy), _labels(policy)) for policy in reach):
            message = f"no ScalingPolicy of namespace {budget.namespace} that the scope covers has these labels"
            yield subject, Remark(path=(*path, "selector"), message=message)


def ceiling_outside(subjects: Sequence[Subject]) -> Found:
    """Find ceilings that bind nothing, or contradict the policies' own floors."""
    for subject, budget, number, one in _priorities(subjects):
        path: FieldPath = ("spec", "priorities", number, "maxReplicas")
        for policy in _reach(subjects, budget):
            if not one.names(_name(policy), _labels(policy)):
                continue
            low, high = policy.bounds.min_replicas, policy.bounds.max_replicas
            if one.max_replicas >= high:
                message = f"{policy.key} has maxReplicas {high}: this ceiling never binds"
                yield subject, Remark(path=path, message=message, hint=f"less than {high}")
            elif one.max_replicas < low:
                message = f"{policy.key} has minReplicas {low}, and is never held below it"
                yield subject, Remark(path=path, message=message, hint=f"{low} or more")


def _priorities(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, CostBudget, int, Priority]]:
    for subject in subjects:
        if isinstance(subject.policy, CostBudget):
            for number, one in enumerate(subject.policy.priorities):
                yield subject, subject.policy, number, one


def _reach(subjects: Sequence[Subject], budget: CostBudget) -> list[ScalingPolicy]:
    """Return the policies whose growth a budget may hold: of its own namespace, and in its scope (S3)."""
    known = [one.policy for one in subjects if isinstance(one.policy, ScalingPolicy)]
    mine = [one for one in known if _namespace(one) == budget.namespace]
    return [one for one in mine if budget.scope.covers(_namespace(one), _labels(one))]


def _known(policies: Sequence[ScalingPolicy]) -> str:
    return f"there are {', '.join(sorted(_name(one) for one in policies))}" if policies else "it covers none"


def _asked(policy: ScalingPolicy) -> Iterator[tuple[FieldPath, set[str]]]:
    conditions = [(("spec", "guardrails", n, "when"), one.when) for n, one in enumerate(policy.guardrails)]
    asked: list[tuple[FieldPath, object]] = [*conditions]
    if policy.verify.expect is not None:
        asked.append((("spec", "verify", "expect"), policy.verify.expect))
    for path, one in asked:
        used = one.used if isinstance(one, CelCondition) else ()
        periods = {period for period in ("month", "day") if any(name.startswith(f"cost.{period}.") for name in used)}
        if periods:
            yield path, periods


def _name(policy: ScalingPolicy) -> str:
    return template_key(policy.key).rpartition("/")[2]


def _namespace(policy: ScalingPolicy) -> str:
    return policy.key.split("/", 2)[1]


def _labels(policy: ScalingPolicy) -> dict[str, str]:
    labels: dict[str, str] = json.loads(policy.document)["metadata"]["labels"]
    return labels
