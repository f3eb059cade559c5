"""What a policy of plans may do and look at: from this its permissions are made (S10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from aiops.core.model import (
    Cordon,
    DeletePod,
    Drain,
    Operation,
    RaiseNodeLimits,
    ResizePods,
    RestartWorkload,
    RestLever,
    RollBack,
    RunJob,
    ScaleTo,
    Selection,
    SetResources,
    Sleep,
    SplitReplicas,
    StartJob,
    SuspendCronJob,
    TargetRef,
    Wanted,
)
from aiops.core.objects.steering import SCALED_OBJECTS
from aiops.core.planning.cost_defer import DeferPolicy
from aiops.core.planning.cost_pack import REPLICATED, PackPolicy
from aiops.core.planning.cost_rightsize import How, RightsizePolicy
from aiops.core.planning.cost_sleep import RestPolicy
from aiops.core.planning.cost_spot import SpotPolicy
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.planning.remediation import (
    DoCordon,
    DoDeletePods,
    DoJob,
    DoMove,
    DoPage,
    DoRaiseNodeLimits,
    DoRestart,
    DoRollBack,
    DoSetResources,
    DoSuspend,
    DoWebhook,
    OnNode,
    RemediationPolicy,
    Remedy,
)
from aiops.core.planning.saving import API_VERSIONS, Targets
from aiops.core.policies import PlanPolicy


def operations_of(policy: PlanPolicy) -> tuple[Operation, ...]:
    """Return what it may do to clusters, an operation of each sort; what is only told needs no permission there."""
    match policy:
        case FailoverPolicy():
            standbys = (
                ScaleTo(target=site.target, replicas=site.standby_replicas, only_up=True) for site in policy.sites
            )
            return (policy.traffic.shift(()), *standbys)
        case RemediationPolicy():
            return tuple(one for rung in policy.ladder for one in _of_remedy(rung.remedy, policy.target))
        case RestPolicy():
            return tuple(_rests(policy))
        case DeferPolicy(targets=Targets() as targets):
            version = API_VERSIONS["Job"]
            job = TargetRef(
                cluster=targets.cluster, namespace=targets.namespace, api_version=version, kind="Job", name=""
            )
            return (StartJob(job=job, uid=""),)
        case RightsizePolicy(targets=Targets() as targets):
            return tuple(_sizes(policy, targets))
        case SpotPolicy(targets=Targets() as targets):
            return (_splits(policy, targets),)
        case PackPolicy():
            return (Cordon(node=_node(policy.target)), Drain(node=_node(policy.target)))
        case _:
            return ()


def reads_of(policy: PlanPolicy) -> Wanted:
    """Return what it looks at beyond what its operations need; an object without a name is any of its kind."""
    objects, selections = (policy.target, *policy.wanted.objects), policy.wanted.selections
    if isinstance(policy, RemediationPolicy) and policy.nodes is None:
        # which labels its pods have is known once it was seen
        target = policy.target
        pods = Selection(cluster=target.cluster, namespace=target.namespace, api_version="v1", kind="Pod")
        selections = (*selections, pods)
        if any(isinstance(one, OnNode) for one in policy.triggers):
            objects = (*objects, _node(target))
    if isinstance(policy, PackPolicy):
        # how many pods those want that make them again, wherever they are
        objects = (*objects, *(_anywhere(policy.target, kind) for kind in ("Namespace", *REPLICATED)))
    return Wanted(objects=objects, selections=selections)


def _anywhere(target: TargetRef, kind: str) -> TargetRef:
    api_version = "v1" if kind in ("ReplicationController", "Namespace") else "apps/v1"
    return replace(target, namespace="", api_version=api_version, kind=kind, name="")


def _rests(policy: RestPolicy) -> Iterator[Operation]:
    """Yield what lets each kind of workload rest: by itself, or by a ScaledObject whatever its name."""
    targets = policy.targets
    if targets is None:
        return
    for kind in targets.kinds:
        target = TargetRef(
            cluster=targets.cluster,
            namespace=targets.namespace,
            api_version=API_VERSIONS[kind],
            kind=kind,
            name=targets.name,
        )
        lever = RestLever.SUSPEND if kind == "CronJob" else RestLever.REPLICAS
        yield Sleep(target=target, object=target, uid="", lever=lever, seen="", original="", to="", mark="")
        if lever is RestLever.REPLICAS:
            version, name = SCALED_OBJECTS
            scaled = replace(target, api_version=version, kind=name, name="")
            lever = RestLever.PAUSED_REPLICAS
            yield Sleep(target=target, object=scaled, uid="", lever=lever, seen="", original="", to="", mark="")


def _sizes(policy: RightsizePolicy, targets: Targets) -> Iterator[Operation]:
    """Yield what resizing may do: to pods of the namespace, and to the templates of its workloads."""
    for kind in targets.kinds:
        ref = TargetRef(
            cluster=targets.cluster,
            namespace=targets.namespace,
            api_version=API_VERSIONS[kind],
            kind=kind,
            name=targets.name,
        )
        if policy.how is How.ROLLOUT:
            yield SetResources(target=ref, container="", requests={}, limits={})
        if policy.how is How.IN_PLACE or policy.trial.canary_ratio > 0.0:
            yield ResizePods(target=ref, pods=("",), container="", requests={}, limits={})


def _splits(policy: SpotPolicy, targets: Targets) -> Operation:
    """Return what moves a share: of the one workload and its companion, or of any of the namespace."""
    base = TargetRef(
        cluster=targets.cluster,
        namespace=targets.namespace,
        api_version="apps/v1",
        kind="Deployment",
        name=targets.name,
    )
    spot = replace(base, name=f"{targets.name}{policy.suffix}" if targets.name else "")
    return SplitReplicas(base=base, spot=spot, base_uid="", spot_uid="", seen=0, replicas=0)


def _of_remedy(remedy: Remedy, target: TargetRef) -> tuple[Operation, ...]:
    match remedy:
        case DoMove():
            return (Cordon(node=_node(target)), Drain(node=_node(target)))
        case DoCordon():
            return (Cordon(node=_node(target)),)
        case DoRaiseNodeLimits(pool=pool):
            return (RaiseNodeLimits(pool=pool, limits={}),)
        case DoJob():
            return (RunJob(template=remedy.template, name=""),)
        case DoSuspend():
            return (SuspendCronJob(target=remedy.target),)
        case DoWebhook() | DoPage():
            return ()
        case DoRestart() | DoRollBack() | DoDeletePods() | DoSetResources():
            return (_of_target(remedy, target),)
        case unknown:
            assert_never(unknown)


def _of_target(remedy: DoRestart | DoRollBack | DoDeletePods | DoSetResources, target: TargetRef) -> Operation:
    match remedy:
        case DoRestart():
            return RestartWorkload(target=target, mark="")
        case DoRollBack():
            return RollBack(target=target, template_hash="")
        case DoDeletePods():
            return DeletePod(pod=replace(target, api_version="v1", kind="Pod", name=""), uid="")
        case DoSetResources():
            return SetResources(target=target, container=remedy.container, requests={}, limits={})
        case unknown:
            assert_never(unknown)


def _node(target: TargetRef) -> TargetRef:
    """Return any node: which one it will be, only the day knows."""
    return TargetRef(cluster=target.cluster, namespace="", api_version="v1", kind="Node", name="")
