"""What tests ask of plans and of the objects that they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiops.core.model import Plan
from aiops.core.objects.bodies import at, number, strings
from aiops.core.plans.operations import verbs
from aiops.policy.testing.objects import ObjectPattern
from aiops.policy.testing.recorded import Moment

if TYPE_CHECKING:
    from aiops.policy.testing.spec import Pattern

NONE = "none"


def chosen(one: Pattern, moment: Moment) -> Plan | None:
    """Return the newest plan, of the subject where one is named."""
    mine = [plan for plan in moment.plans if one.subject is None or one.subject in (plan.subject, _name(plan.subject))]
    return mine[-1] if mine else None


def _name(subject: str) -> str:
    return subject.rsplit("/", 1)[-1]


def _plan(one: Pattern, moment: Moment) -> bool:
    plan = chosen(one, moment)
    word = NONE if plan is None else plan.status.value
    return one.plan is not None and word == one.plan.value


def _subject(one: Pattern, moment: Moment) -> bool:
    return one.plan is not None or chosen(one, moment) is not None


def _does(one: Pattern, moment: Moment) -> bool:
    plan = chosen(one, moment)
    return plan is not None and one.does is not None and any(one.does in said for said in _said(plan))


def _because(one: Pattern, moment: Moment) -> bool:
    plan = chosen(one, moment)
    return plan is not None and one.because is not None and one.because in plan.reason


def _saw(one: Pattern, moment: Moment) -> bool:
    judgement = None if moment.decision is None else moment.decision.judgement
    return judgement is not None and one.saw is not None and any(one.saw in line for line in judgement.evidence)


def _object(one: Pattern, moment: Moment) -> bool:
    wished = one.object
    if wished is None:
        return False
    body = moment.objects.get((wished.kind, wished.name))
    if body is None or wished.gone is not None:
        return (body is None) is (wished.gone is True)
    return _fits(wished, body)


def _fits(wished: ObjectPattern, body: Mapping[str, Any]) -> bool:
    count = number(at(body, "spec", "replicas"), 1) or 0
    if wished.replicas is not None and not wished.replicas.holds(count):
        return False
    if wished.suspended is not None and (at(body, "spec", "suspend") is True) is not wished.suspended:
        return False
    return wished.annotation is None or wished.annotation in strings(at(body, "metadata", "annotations"))


CHECKS: Mapping[str, Callable[[Pattern, Moment], bool]] = {
    "plan": _plan,
    "subject": _subject,
    "does": _does,
    "because": _because,
    "saw": _saw,
    "object": _object,
}


# -- in words --------------------------------------------------------------------------------------


def _said(plan: Plan) -> list[str]:
    return [verbs(step.operation).says(step.operation) for step in plan.steps]


def written(wished: ObjectPattern) -> str:
    """Return what an object must be like."""
    names = ("replicas", "suspended", "gone", "annotation")
    parts = [f"{name} {value}" for name in names if (value := getattr(wished, name)) is not None]
    return f"{wished.kind} {wished.name} {', '.join(parts) or 'is there'}"


def described(moment: Moment) -> str:
    """Return a tick of a policy of plans in the words of expectations."""
    judgement = None if moment.decision is None else moment.decision.judgement
    if judgement is None:
        return "nothing was judged"
    reason = "" if judgement.reason is None else f", reason {judgement.reason.value}"
    plans = [f"plan of {_name(one.subject)} {one.status.value} ({'; '.join(_said(one))})" for one in moment.plans[-3:]]
    return f"verdict {judgement.word.value}{reason}, {', '.join(plans) or 'plan none'}"
