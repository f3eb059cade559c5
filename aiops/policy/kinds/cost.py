"""CostPolicy: which action a document has, and what that is compiled to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiops.core.decide.cost.spec import CostSpec
from aiops.core.planning.saving import SavingPolicy
from aiops.policy.compile import Envelope, Kind, Problems
from aiops.policy.costs import Asked, defer, idle, pack, rightsize, sleep, spot
from aiops.policy.resource import AGE, DECIDING, DECISION, MODE, VALID, VERDICT, WHY, Column, Resource

ACTIONS: Mapping[str, Callable[[Asked], SavingPolicy | None]] = {
    "sleep": sleep.compiled,
    "idle": idle.compiled,
    "defer": defer.compiled,
    "rightsize": rightsize.compiled,
    "pack": pack.compiled,
    "spot": spot.compiled,
}
"""By the field of CostSpec that has it: an action is one file in aiops/policy/costs, one field, and one line here."""


def compiled(envelope: Envelope, spec: CostSpec, document: str, problems: Problems) -> SavingPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    action = next(name for name in ACTIONS if getattr(spec, name) is not None)
    return ACTIONS[action](Asked(envelope=envelope, spec=spec, document=document, problems=problems))


RESOURCE = Resource(
    kind="CostPolicy",
    plural="costpolicies",
    short=("cpol",),
    columns=(
        MODE,
        Column(name="Target", path=".spec.target.name"),
        VALID,
        VERDICT,
        DECISION,
        WHY,
        AGE,
    ),
    status=DECIDING,
)

KIND = Kind(CostSpec, compiled, RESOURCE)
