"""Who else steers requests and limits: what they steer is recommended, and never changed (S4)."""

from __future__ import annotations

import math

from aiops.core.decide.cost.rightsize.scene import amount
from aiops.core.decide.cost.rightsize.sizes import Recommendation
from aiops.core.model import DeclaredSizes, Looked, SeenObject
from aiops.core.objects.bodies import at, gitops, listed, steers
from aiops.core.planning.cost_rightsize import CPU, How, RightsizePolicy, around


def owner(policy: RightsizePolicy, workload: SeenObject, one: Recommendation, looked: Looked) -> str:
    """Return whose the resource of a workload is, or why that is not known; '' when it is free."""
    resource = one.resource
    _, hpas, vpas, ranges, quotas = around(policy)
    for selection, does in ((hpas, "steers"), (vpas, "steers"), (ranges, "bounds"), (quotas, "bounds")):
        if selection.key not in looked.selections:
            why = looked.errors.get(selection.key, (None, "not seen yet"))[1]
            return f"whether a {selection.kind} {does} it is not known: {why}"
    for hpa in looked.selections[hpas.key]:
        if steers(hpa, workload.ref) and resource in _read_by(hpa):
            return f"HPA {hpa.ref} scales on the use of {resource} over its request"
    for vpa in looked.selections[vpas.key]:
        aim, mode = at(vpa.body, "spec", "targetRef"), at(vpa.body, "spec", "updatePolicy", "updateMode")
        named = (at(aim, "kind"), at(aim, "name")) == (workload.ref.kind, workload.ref.name)
        if named and mode != "Off":
            return f"VerticalPodAutoscaler {vpa.ref} sets its resources"
    if policy.how is not How.ROLLOUT:
        return ""
    said = declared(looked, workload.ref.key, one.container)
    if said is not None:
        return _in_git(said, one)
    marked = gitops(workload)
    return "" if marked is None else marked[1]


def declared(looked: Looked, key: str, container: str) -> DeclaredSizes | None:
    """Return what Git says of a container's sizes, None where these do not stand there."""
    return next((one for one in looked.sizes.get(key, ()) if one.container == container), None)


def _in_git(said: DeclaredSizes, one: Recommendation) -> str:
    """Return why a file does not let a resource be changed, '' where it does."""
    if said.held is not None:
        return said.held[1]
    wishes = {"requests": (one.request, one.wished)}
    if math.isfinite(one.wished_limit) and one.wished_limit != one.limit:
        wishes["limits"] = (one.limit, one.wished_limit)
    for part, (here, wished) in wishes.items():
        name = f"{part}.{one.resource}"
        value = amount(said.values.get(name, ""))
        if math.isnan(value):
            return f"{said} says no {name}: only what it says is changed"
        if not math.isclose(value, here, rel_tol=1e-9):
            return f"{said} says {name} {said.values[name]}, and the cluster holds another amount"
        least, most = (amount(bound) for bound in said.ranges.get(name, ("", "")))
        if wished < least or wished > most:
            return f"{said} allows {name} {'..'.join(said.ranges[name])}"
    return ""


def _read_by(hpa: SeenObject) -> set[str]:
    """Return the resources that an HPA scales on; one without metrics scales on cpu."""
    metrics = listed(at(hpa.body, "spec", "metrics"))
    named = (at(one, part, "name") for one in metrics for part in ("resource", "containerResource"))
    return {CPU} if not metrics else {name for name in named if isinstance(name, str)}
