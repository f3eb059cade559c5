"""What is recommended of every container at one instant: the same in every mode, whether anything acts on it or not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aiops.core.decide.cost.rightsize.bounded import Namespace
from aiops.core.decide.cost.rightsize.owners import owner
from aiops.core.decide.cost.rightsize.scene import Container, Scene, amount, scene
from aiops.core.decide.cost.rightsize.sizes import Recommendation, held, recommended
from aiops.core.decide.cost.rightsize.uses import Uses, unpacked
from aiops.core.decide.cost.rightsize.wishes import Wish, Wishes, wishes
from aiops.core.model import F64, Bools, Inputs, Instant, RightsizeState, SeenObject, Snapshot
from aiops.core.objects.bodies import at, listed, name_of, strings
from aiops.core.planning.cost_rightsize import CPU, MEMORY, How, RightsizePolicy, around


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """found: with what pods have in the place of templates, where those are resized. uses: see `wishes`."""

    found: Scene
    uses: Uses
    every: tuple[Recommendation, ...]


def report(policy: RightsizePolicy, found: Scene, memory: RightsizeState, snapshot: Snapshot) -> Report:
    """Return what is recommended by what is remembered."""
    now = snapshot.at
    keys = [one.key for one in found.containers]
    uses = unpacked(memory.uses, keys, policy.sizing.use, now)
    found, made = wished(policy, found, uses, now)
    every = recommended(policy, found, made, snapshot.prices, now)
    workloads, here = found.workloads, _namespace(policy, snapshot)
    let_in = (here.bounded(one, found, snapshot.prices) for one in every)
    free = (_owned(policy, workloads[one.workload], one, snapshot) for one in let_in)
    return Report(found=found, uses=made.uses, every=tuple(free))


def recommendations(policy: RightsizePolicy, inputs: Inputs) -> tuple[Recommendation, ...]:
    """Return what is recommended by the inputs of a decision; nothing while the workloads are not known."""
    found = scene(policy, inputs.snapshot.looked)
    if not isinstance(found, Scene):
        return ()
    memory = inputs.saving if isinstance(inputs.saving, RightsizeState) else RightsizeState()
    return report(policy, found, memory, inputs.snapshot).every


def _namespace(policy: RightsizePolicy, snapshot: Snapshot) -> Namespace:
    """Return what bounds sizes in the policy's namespace; what cannot be seen is told by `owner`."""
    seen, beside = snapshot.looked.selections, around(policy)
    ranges, quotas = (seen.get(one.key, ()) for one in (beside.ranges, beside.quotas))
    return Namespace(ranges=ranges, quotas=quotas, how=policy.how)


def _owned(policy: RightsizePolicy, workload: SeenObject, one: Recommendation, snapshot: Snapshot) -> Recommendation:
    """Return it without a change where somebody else steers the resource (S4); the wish is still told."""
    if not one.changes:
        return one
    whose = owner(policy, workload, one, snapshot.looked)
    return replace(one, changes=False, why="owned", said=f"{one.said}; {whose}") if whose else one


def wished(policy: RightsizePolicy, found: Scene, uses: Uses, now: Instant) -> tuple[Scene, Wishes]:
    """Return what is wished by templates; in place, by pods: the smallest where it is too small, else the largest."""
    if policy.how is How.ROLLOUT:
        return found, wishes(uses, held(found), policy.sizing, now)
    least, most = (_by_pods(found, largest=largest) for largest in (False, True))
    low, high = (wishes(uses, held(one), policy.sizing, now) for one in (least, most))
    cpu, up_cores = _either(low.cpu, high.cpu, held(least).cores)
    memory, up_bytes = _either(low.memory, high.memory, held(least).bytes)
    up = up_cores | up_bytes
    containers = tuple(least.containers[row] if up[row] else one for row, one in enumerate(most.containers))
    return replace(found, containers=containers), replace(high, cpu=cpu, memory=memory)


def _either(low: Wish, high: Wish, least: F64) -> tuple[Wish, Bools]:
    """Return the wish of the smallest where that is to be raised, else of the largest; and where it is raised."""
    up = np.asarray(low.changes & (low.wished > least))
    return replace(high, wished=np.where(up, low.wished, high.wished), why=np.where(up, low.why, high.why)), up


def _by_pods(found: Scene, *, largest: bool) -> Scene:
    """Return the scene with what the pods have, the largest or the smallest of each, in the place of the template."""
    return replace(found, containers=tuple(_of_pods(found, one, largest=largest) for one in found.containers))


def _of_pods(found: Scene, one: Container, *, largest: bool) -> Container:
    have = [resources for pod in found.of(one.workload) if (resources := resources_of(pod, one.name)) is not None]
    if not have:
        return one
    pick = max if largest else min
    parts = {}
    for part in ("requests", "limits"):
        chosen = {}
        for resource in (CPU, MEMORY):
            texts = [text for each in have if (text := each[part].get(resource, ""))]
            if len(texts) == len(have):
                chosen[resource] = pick(texts, key=amount)
        parts[part] = chosen
    return replace(one, requests=parts["requests"], limits=parts["limits"])


def resources_of(pod: SeenObject, container: str) -> dict[str, dict[str, str]] | None:
    """Return what a container of a pod requests and is limited to, None where it has no such container."""
    for one in listed(at(pod.body, "spec", "containers")):
        if name_of(one) == container:
            return {part: strings(at(one, "resources", part)) for part in ("requests", "limits")}
    return None
