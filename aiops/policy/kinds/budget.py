"""CostBudget: the compiled policy."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.decide.budget.spec import REACH_RATIO, BudgetScopeSpec, BudgetSpec, PrioritySpec, begins
from aiops.core.ids import digest
from aiops.core.policies import BudgetScope, CostBudget, Priority
from aiops.policy import schedule
from aiops.policy.compile import Envelope, Kind, Problems
from aiops.policy.resource import AGE, EVERY, VALID, WHY, WORD, Column, Resource
from aiops.policy.selecting import labels_of
from aiops.policy.structural import Schema


def compiled(envelope: Envelope, spec: BudgetSpec, document: str, problems: Problems) -> CostBudget | None:
    """Return the compiled budget, None when problems with errors were noted."""
    problems.attempt(("spec", "timeZone"), lambda: schedule.known_zone(spec.time_zone), "bad-schedule")
    _in_order(spec, problems)
    if problems.fatal:
        return None
    return CostBudget(
        key=envelope.key,
        digest=digest(document),
        document=document,
        origin=problems.document.origin,
        mode=spec.mode,
        amount=spec.amount,
        currency=spec.currency,
        period=spec.period,
        time_zone=spec.time_zone,
        scope=_scope(envelope, spec.scope),
        priorities=tuple(_priority(one, number) for number, one in enumerate(spec.priorities)),
    )


def _in_order(spec: BudgetSpec, problems: Problems) -> None:
    """Refuse a later priority that would give way before an earlier one: the order is the author's."""
    last = 0.0
    for number, one in enumerate(spec.priorities):
        above = begins(one, number)
        if above < last:
            message = f"gives way above {above:g}, before the one that stands before it (above {last:g})"
            problems.add(("spec", "priorities", number), message, hint="put it first, or say a greater above")
        last = max(last, above)


def _scope(envelope: Envelope, spec: BudgetScopeSpec) -> BudgetScope:
    said = spec.team is not None or spec.namespaces or spec.selector is not None
    return BudgetScope(
        team=spec.team or "",
        namespaces=spec.namespaces if said else (envelope.namespace,),
        labels=None if spec.selector is None else labels_of(spec.selector),
    )


def _priority(spec: PrioritySpec, number: int) -> Priority:
    above = begins(spec, number)
    return Priority(
        policies=spec.policies,
        labels=None if spec.selector is None else labels_of(spec.selector),
        max_replicas=spec.max_replicas,
        above=above,
        full=above + REACH_RATIO,
    )


AMOUNT = {"type": "number"}

STATUS: Mapping[str, Schema] = {
    **EVERY,
    "spent": {**AMOUNT, "description": "USD that are known to be spent in this period"},
    "projected": {**AMOUNT, "description": "USD that the period will have cost, where that can be told"},
    "ratio": {**WORD, "description": "projected over the amount, in percent"},
}

RESOURCE = Resource(
    kind="CostBudget",
    plural="costbudgets",
    short=("cbud",),
    columns=(
        Column(name="Mode", path=".spec.mode"),
        Column(name="Period", path=".spec.period"),
        Column(name="Projected", path=".status.ratio", about="projected over the amount"),
        VALID,
        WHY,
        AGE,
    ),
    status=STATUS,
)

KIND = Kind(BudgetSpec, compiled, RESOURCE)
