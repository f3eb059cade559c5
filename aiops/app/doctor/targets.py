"""What policies act on: is it there, is its namespace opted in, does its lever fit what steers it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, assert_never

from aiops.app.doctor.findings import Finding, Trouble, fail, ok, skip, warn
from aiops.app.doctor.scene import MOST_SAID, Scene, listed
from aiops.app.doctor.zones import unbound, zoned
from aiops.core.model import Reason, TargetRef, Wanted, Workload
from aiops.core.plans.guards import OPT_IN
from aiops.core.policies import Lever, ScalingPolicy

if TYPE_CHECKING:
    from aiops.adapters.kubernetes import KubernetesOptions
    from aiops.ports import Inventory

TRIES, PAUSE_S = 12, 0.25
"""How often it is looked again whether all is read: three seconds at most."""


def targets(label: str, scene: Scene, name: str, options: KubernetesOptions) -> list[Finding]:
    """Return what is wrong with the workloads of policies in one cluster, as the daemon itself sees them."""
    mine = [one for one in (*scene.policies.scaling, *scene.members) if one.target.cluster == name]
    refs = list(dict.fromkeys([*(one.target for one in mine), *_of_plans(scene, name)]))
    if not refs:
        return [skip(f"{label}: targets", "no policy has a target in it")]
    inventory = _inventory(name, options, refs, scene.now())
    found = [*_there(refs, inventory), *_opted_in(scene, refs, inventory)]
    found += [one for policy in mine for one in _lever(scene, policy, inventory.workloads.get(policy.target.key))]
    return shortened(f"{label}: targets", found, f"all {len(refs)} targets are there, and can be acted on as written")


def _of_plans(scene: Scene, name: str) -> Iterator[TargetRef]:
    for policy in scene.policies.plans:
        yield from (ref for ref in policy.workloads if ref.cluster == name)


def _inventory(name: str, options: KubernetesOptions, refs: Sequence[TargetRef], at: float) -> Inventory:
    """Return what the cluster shows, once all is read or some seconds have gone by."""
    from aiops.adapters.kubernetes import Clusters

    clusters = Clusters.connect({name: options})
    clusters.start()
    try:
        for _ in range(TRIES):
            inventory = clusters.inventory(refs, at)
            if not clusters.unready():
                break
            time.sleep(PAUSE_S)
        return inventory
    finally:
        clusters.stop(0.0)


def _there(refs: Iterable[TargetRef], inventory: Inventory) -> Iterator[Finding]:
    for ref in refs:
        if ref.key in inventory.refused:
            yield refused(f"target {ref}", inventory.refused[ref.key])
        elif ref.key not in inventory.workloads:
            what = f"there is no {ref.kind} {ref.name} in namespace {ref.namespace} of {ref.cluster}"
            yield fail(f"target {ref}", what, "correct the policy's target, or deploy it")


def refused(name: str, why: tuple[Reason, str]) -> Finding:
    """Return why something cannot be read."""
    reason, text = why
    if reason is Reason.NO_PERMISSION:
        return fail(name, text, "`aiops rbac POLICIES` prints the roles", Trouble.PERMISSION)
    if reason is Reason.UNKNOWN_TARGET:
        return fail(name, text, "correct apiVersion and kind, or install what serves them")
    return fail(name, text, "look whether the API server is well", Trouble.UNREACHABLE)


def _opted_in(scene: Scene, refs: Iterable[TargetRef], inventory: Inventory) -> Iterator[Finding]:
    """Find namespaces in which nothing will be written (S3)."""
    seen = {ref.namespace: inventory.workloads[ref.key] for ref in refs if ref.key in inventory.workloads}
    acting = {ref.namespace for ref in _acted_on(scene)}
    for namespace, workload in sorted(seen.items()):
        yield from _consent(scene, namespace, opted_in=workload.opted_in, acts=namespace in acting)
    for ref in _acted_on(scene):
        if str(ref) in scene.settings.scope.protected_targets:
            fix = "leave it out of scope.protected_targets, or the policy in dry-run"
            yield warn(f"target {ref}", "is protected, and a policy is to act on it", fix)


def _consent(scene: Scene, namespace: str, *, opted_in: bool, acts: bool) -> Iterator[Finding]:
    name, scope = f"namespace {namespace}", scene.settings.scope
    if namespace in scope.protected_namespaces:
        what = "is protected: nothing in it is ever changed"
        yield warn(name, what, "leave it out of scope.protected_namespaces if that is not meant")
    elif not opted_in and namespace not in scope.namespaces:
        fix = f"kubectl label namespace {namespace} {OPT_IN}=true, or name it in scope.namespaces"
        what = "has not opted in: nothing in it is written"
        yield fail(name, f"{what}, and a policy is to act there", fix) if acts else warn(name, what, fix)


def _acted_on(scene: Scene) -> Iterator[TargetRef]:
    """Yield the targets of policies that act."""
    for policy in scene.asking:
        if scene.acts(policy):
            yield policy.target
            yield from () if isinstance(policy, ScalingPolicy) else policy.workloads


def _lever(scene: Scene, policy: ScalingPolicy, workload: Workload | None) -> Iterator[Finding]:
    """Find levers that do not fit what steers the replicas (S4)."""
    if workload is None:
        return
    name, names = f"policy {policy.key}", listed(map(str, workload.hpas))
    worse = fail if scene.acts(policy) else warn
    match policy.lever:
        case Lever.REPLICAS:
            if workload.hpas:
                what = f"lever replicas, but {names} steers {policy.target}"
                yield worse(name, what, "use lever: hpa-floor (or knative-min-scale), and the autoscaler stays beneath")
            elif not workload.scalable:
                yield worse(name, f"{policy.target} has no scale subresource", "choose what can be scaled")
        case Lever.HPA_FLOOR | Lever.KNATIVE_MIN_SCALE:
            if not workload.hpas:
                fix = "make the HPA that stays the reactive net, or use lever: replicas"
                yield worse(name, f"lever {policy.lever.value}, but no autoscaler points at {policy.target}", fix)
            elif len(workload.hpas) > 1 and policy.lever is Lever.HPA_FLOOR:
                yield worse(name, f"several autoscalers point at {policy.target}: {names}", "leave one")
            elif workload.hpas[0].scaling_active is False:
                fix = "kubectl describe hpa says why; without metrics the floor cannot go down"
                yield warn(name, f"{names} cannot scale now (ScalingActive is false)", fix)
        case unknown:
            assert_never(unknown)


# -- what plans look at ------------------------------------------------------------------------------------


def objects(label: str, scene: Scene, name: str, options: KubernetesOptions) -> list[Finding]:
    """Return which of the objects that plans name in one cluster are not there, or may not be touched."""
    wanted = [ref for policy in scene.policies.plans for ref in policy.wanted.objects if ref.cluster == name]
    spaces = _spaces(scene, name)
    refs, zones = list(dict.fromkeys([*(ref for ref in wanted if ref.name), *spaces])), zoned(scene, name)
    if not refs and not zones:
        return [skip(f"{label}: objects", "no plan names an object in it")]
    from aiops.adapters.kubernetes import Clusters

    clusters = Clusters.connect({name: options})
    try:
        looked = clusters.look(Wanted(objects=(*refs, *zones)), scene.now())
    finally:
        clusters.stop(0.0)
    found = [*unbound(zones, looked)]
    for ref in refs:
        called = f"{ref.kind} {ref}" if ref.namespace else f"{ref.kind} {ref.name}"
        if ref.key in looked.errors:
            found.append(refused(called, looked.errors[ref.key]))
        elif ref.key not in looked.objects:
            found.append(fail(called, f"there is none in {ref.cluster}", "correct the policy, or make it"))
        elif ref in spaces:
            labels = (looked.objects[ref.key].body.get("metadata") or {}).get("labels") or {}
            opted_in = str(labels.get(OPT_IN, "")).lower() == "true"
            found += _consent(scene, ref.name, opted_in=opted_in, acts=spaces[ref])
    return shortened(f"{label}: objects", found, f"all {len(refs)} objects and namespaces that plans name are there")


def _spaces(scene: Scene, name: str) -> dict[TargetRef, bool]:
    """Return the namespaces in which plans work in one cluster, and whether one of them acts there."""
    found: dict[TargetRef, bool] = {}
    cluster = scene.settings.clusters.get(name)
    if cluster is not None and cluster.namespaced:
        return found  # the settings opt in there, the API server is not asked
    for policy in scene.policies.plans:
        target = policy.target
        space = target.name if target.kind == "Namespace" else target.namespace
        if target.cluster == name and space:
            ref = TargetRef(cluster=name, namespace="", api_version="v1", kind="Namespace", name=space)
            found[ref] = found.get(ref, False) or scene.acts(policy)
    return found


def shortened(name: str, found: Sequence[Finding], well: str) -> list[Finding]:
    """Return findings, not too many of them; what is well when there are none."""
    distinct = list(dict.fromkeys(found))
    more = len(distinct) - MOST_SAID
    if more > 0:
        rest = fail(name, f"{more} more problems", "see those above")
        return [*distinct[:MOST_SAID], rest]
    return distinct or [ok(name, well)]
