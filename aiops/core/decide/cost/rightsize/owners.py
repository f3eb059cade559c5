"""Who else steers requests and limits: what they steer is recommended, and never changed (S4)."""

from __future__ import annotations

from aiops.core.model import Looked, SeenObject
from aiops.core.objects.bodies import at, gitops, listed, steers
from aiops.core.planning.cost_rightsize import CPU, How, RightsizePolicy, around


def owner(policy: RightsizePolicy, workload: SeenObject, resource: str, looked: Looked) -> str:
    """Return whose the resource of a workload is, or why that is not known; '' when it is free."""
    _, hpas, vpas = around(policy)
    for selection in (hpas, vpas):
        if selection.key not in looked.selections:
            why = looked.errors.get(selection.key, (None, "not seen yet"))[1]
            return f"whether a {selection.kind} steers it is not known: {why}"
    for one in looked.selections[hpas.key]:
        if steers(one, workload.ref) and resource in _read_by(one):
            return f"HPA {one.ref} scales on the use of {resource} over its request"
    for one in looked.selections[vpas.key]:
        aim, mode = at(one.body, "spec", "targetRef"), at(one.body, "spec", "updatePolicy", "updateMode")
        named = (at(aim, "kind"), at(aim, "name")) == (workload.ref.kind, workload.ref.name)
        if named and mode != "Off":
            return f"VerticalPodAutoscaler {one.ref} sets its resources"
    marked = gitops(workload) if policy.how is How.ROLLOUT else None
    return "" if marked is None else marked[1]


def _read_by(hpa: SeenObject) -> set[str]:
    """Return the resources that an HPA scales on; one without metrics scales on cpu."""
    metrics = listed(at(hpa.body, "spec", "metrics"))
    named = (at(one, part, "name") for one in metrics for part in ("resource", "containerResource"))
    return {CPU} if not metrics else {name for name in named if isinstance(name, str)}
