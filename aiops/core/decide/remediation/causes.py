"""What is known to be the cause of what was found: our own actions, and rollouts (S1).

Findings and incidents that began after a change of the target was made on purpose are its expected effects for a while:
they are no trouble to be remedied. What says that it is trouble in another way, an alert or pods that crash, is.
"""

from __future__ import annotations

from aiops.core.decide.remediation import objects
from aiops.core.decide.remediation.sights import Subject
from aiops.core.model import Judgement, PlanKind, Reason, VerdictWord
from aiops.core.planning import Situation
from aiops.core.planning.arbiter import claims
from aiops.core.planning.remediation import RemediationPolicy

SETTLES_S = 300.0
"""How long what was done on purpose explains what is found, unless the policy's `verify` says how long it may take."""


def known(policy: RemediationPolicy, subject: Subject, situation: Situation) -> Judgement | None:
    """Return why what is found is not remedied now, None where nothing explains it."""
    began = subject.sight.began
    if began is None:
        return None
    window_s = SETTLES_S if policy.verify is None else policy.verify.within_s
    workload = situation.snapshot.looked.objects.get(subject.ref.key)
    if workload is not None and objects.rolling(workload):
        return _wait(subject, "a rollout is under way, and makes progress")
    for one in situation.scalings:
        at = max(one.out_at, one.in_at)
        follows = at <= began and situation.now <= at + window_s
        if one.target.key == subject.ref.key and (one.pending or follows):
            return _wait(subject, f"{one.policy} changed its replicas a moment ago")
    for plan in situation.plans:
        own = plan.policy == policy.key and plan.kind is PlanKind.REMEDIATION
        if own or plan.dry_run or not any(key == subject.ref.key for key, _ in claims(plan)):
            continue
        begun = min((step.since for step in plan.steps), default=plan.ended_at)
        ended = min(plan.ended_at, situation.now)
        if begun <= began and situation.now <= ended + window_s:
            return _wait(subject, f"plan {plan.id} of {plan.policy} changed it a moment ago")
    return None


def _wait(subject: Subject, why: str) -> Judgement:
    detail = f"{subject.ref.kind} {subject.ref}: {subject.sight.why}; {why}: what follows from that is no trouble"
    return Judgement(word=VerdictWord.WAIT, reason=Reason.KNOWN_CAUSE, detail=detail)
