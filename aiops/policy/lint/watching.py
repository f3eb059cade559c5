"""Rules over WatchPolicies."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.core.policies import WatchPolicy
from aiops.policy.lint.rule import Remark, Terms
from aiops.policy.lint.timing import LEAST_SEASONS
from aiops.policy.lint.trees import facts

PASSING = ("pod", "instance", "container_id", "id", "pod_name", "replica", "pod_template_hash", "uid")
"""Labels whose values end with a pod."""


def passing_identity(policy: WatchPolicy, terms: Terms) -> Iterator[Remark]:
    """Find identities that end with a pod, and with them what was learnt."""
    wrong = [one for one in policy.query.identity if one in PASSING]
    labels = facts(policy.query.expr).labels
    if wrong:
        message = f"a series named by {wrong[0]} ends at every rollout, and what was learnt with it"
        yield Remark(path=("spec", "identity"), message=message, hint="labels that stay: service, job, namespace")
    elif not policy.query.identity and labels is None:
        message = "series are named by all of their labels, pod and instance among them: each rollout begins anew"
        yield Remark(path=("spec", "query"), message=message, hint="identity: [service], or an aggregation by it")


def identity_not_answered(policy: WatchPolicy, terms: Terms) -> Iterator[Remark]:
    """Find identities by labels that the query aggregates away."""
    labels = facts(policy.query.expr).labels
    for number, one in enumerate(policy.query.identity):
        if labels is not None and one not in labels:
            answered = ", ".join(sorted(labels)) or "none"
            message = f"the query answers no label {one} (it answers: {answered}): all series have one name"
            yield Remark(path=("spec", "identity", number), message=message, hint=f"by ({one})")


def short_watch_history(policy: WatchPolicy, terms: Terms) -> Iterator[Remark]:
    """Find watches that learn from less than two seasons."""
    if policy.history_s < LEAST_SEASONS * policy.season_s:
        message = "the history holds less than two seasons: what is usual at an hour is not known"
        yield Remark(path=("spec", "history"), message=message, hint="two seasons or more")
