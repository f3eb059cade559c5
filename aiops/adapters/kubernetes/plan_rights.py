"""The permissions that policies of plans need in one cluster: what each operation reads and writes (S10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from aiops.adapters.kubernetes.rbac import instance_of
from aiops.adapters.kubernetes.words import NAME, binding, named, plural, rule
from aiops.core.model import (
    AwaitRemoval,
    CallWebhook,
    Cordon,
    DeletePod,
    Drain,
    Mode,
    Notify,
    Operation,
    RaiseNodeLimits,
    ResizePods,
    RestartWorkload,
    RollBack,
    RunJob,
    ScaleTo,
    SetResources,
    ShiftTraffic,
    Sleep,
    SplitReplicas,
    StartJob,
    SuspendCronJob,
    TargetRef,
    Wake,
    Wanted,
)
from aiops.core.planning.doing import operations_of, reads_of
from aiops.core.plans.operations import verbs
from aiops.core.policies import PlanPolicy, PolicySet

EVERYWHERE = ""
"""The namespace of what is granted in the whole cluster."""

_WATCHED = ["list", "watch"]


def plan_roles(
    policies: PolicySet,
    service_namespace: str = NAME,
    lease: str = NAME,
    ceiling: Mode = Mode.ENFORCE,
    cluster: str | None = None,
) -> list[dict[str, Any]]:
    """Return the roles that policies of plans need, and WatchPolicies that wait for rollouts, beside those of scaling.

    cluster: whose roles, where plans reach into several; without it all that is named is taken for one cluster's.
    """
    rights = PlanRights(cluster)
    rights.add(policies.plans, ceiling)
    rights.look_at(policies.waited_for)
    name = f"{instance_of(service_namespace, lease)}:plans"
    objects: list[dict[str, Any]] = []
    for namespace, rules in sorted(rights.rules.items()):
        where = namespace or None
        kind = "ClusterRole" if where is None else "Role"
        role = named("rbac.authorization.k8s.io/v1", kind, name, where)
        objects += [{**role, "rules": rules}, binding(f"{kind}Binding", name, service_namespace, where)]
    return objects


@dataclass(slots=True)
class PlanRights:
    """Rules by namespace, for one cluster: of all that are named where `cluster` is None."""

    cluster: str | None
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, policies: Iterable[PlanPolicy], ceiling: Mode) -> None:
        """Grant what the policies need: writes only where they, and the daemon, may act."""
        for policy in policies:
            acts = min(policy.reach.rank, ceiling.rank) >= Mode.APPROVE.rank
            self._reads(reads_of(policy))
            for operation in operations_of(policy):
                self.allow(operation, acts=acts)
                if acts:
                    self._tells(operation)
            for ref in policy.workloads:
                self._watches(ref)

    def look_at(self, refs: Iterable[TargetRef]) -> None:
        """Grant what it takes to see whether workloads are being rolled out."""
        for ref in refs:
            self._watches(ref)

    def allow(self, operation: Operation, *, acts: bool) -> None:
        """Grant what one operation looks at, and what it sends where it acts."""
        self._reads(verbs(operation).wanted(operation))
        if acts:
            self._writes(operation)

    def _tells(self, operation: Operation) -> None:
        """Let Events be written of what is done; of what has no namespace they lie in `default`."""
        for ref in verbs(operation).touches(operation):
            where = replace(ref, namespace=ref.namespace or "default")
            self._grant(where, "events", ["create"], group="")

    def _grant(
        self, ref: TargetRef, resource: str, allowed: list[str], name: str = "", group: str | None = None
    ) -> None:
        """Grant verbs on a resource where an object lies: on one name, or on all of its namespace."""
        if self.cluster not in (None, ref.cluster):
            return
        own = ref.api_version.rpartition("/")[0] if group is None else group
        made = rule(own, [resource], allowed, [name] if name else None)
        here = self.rules.setdefault(ref.namespace, [])
        if made not in here:
            here.append(made)

    def _reads(self, wanted: Wanted) -> None:
        for ref in wanted.objects:
            self._grant(ref, plural(ref.kind), ["get"], ref.name)
            self._opt_in(ref)
        for one in wanted.selections:
            where = TargetRef(
                cluster=one.cluster, namespace=one.namespace, api_version=one.api_version, kind=one.kind, name=""
            )
            self._grant(where, plural(one.kind), ["list"])

    def _opt_in(self, ref: TargetRef) -> None:
        """Let the namespace of an object be read, which says whether it is opted in (S3)."""
        if ref.namespace:
            at = TargetRef(cluster=ref.cluster, namespace="", api_version="v1", kind="Namespace", name=ref.namespace)
            self._grant(at, "namespaces", ["get"], ref.namespace)

    def _watches(self, ref: TargetRef) -> None:
        """Let a workload's replicas be known, as those of targets that are scaled."""
        self._opt_in(ref)
        everywhere = TargetRef(
            cluster=ref.cluster, namespace="", api_version="v1", kind="Namespace", name=ref.namespace
        )
        self._grant(everywhere, "namespaces", _WATCHED, ref.namespace)
        self._grant(ref, "pods", _WATCHED, group="")
        self._grant(ref, "horizontalpodautoscalers", _WATCHED, group="autoscaling")
        self._grant(ref, "poddisruptionbudgets", _WATCHED, group="policy")
        self._grant(ref, plural(ref.kind), _WATCHED)
        if not ref.api_version.startswith("apps/"):
            self._grant(ref, f"{plural(ref.kind)}/scale", ["get"], ref.name)

    def _writes(self, operation: Operation) -> None:
        match operation:
            case ShiftTraffic(object=ref) | Cordon(node=ref) | Sleep(object=ref) | Wake(object=ref) | StartJob(job=ref):
                self._patch(ref)
            case SplitReplicas(base=base, spot=spot):
                self._patch(base)
                self._patch(spot)
                # the floor of whatever autoscaler steers the base is raised in a fallback
                self._grant(base, "horizontalpodautoscalers", ["patch"], group="autoscaling")
            case ScaleTo(target=target):
                self._grant(target, f"{plural(target.kind)}/scale", ["patch"], target.name)
                # the name of the autoscaler that may steer it is the cluster's to say; the namespace bounds it
                self._grant(target, "horizontalpodautoscalers", ["patch"], group="autoscaling")
            case (
                SetResources(target=ref)
                | RaiseNodeLimits(pool=ref)
                | RestartWorkload(target=ref)
                | RollBack(target=ref)
                | SuspendCronJob(target=ref)
            ):
                self._patch(ref)
            case Drain(node=node):
                # pods of every namespace run on a node
                self._grant(node, "pods/eviction", ["create"], group="")
            case ResizePods(target=target):
                # which pods it has is the cluster's to say
                self._grant(target, "pods/resize", ["patch"], group="")
            case DeletePod(pod=pod):
                self._grant(pod, "pods/eviction", ["create"])
            case RunJob(template=template):
                # what is not there yet has no name to be granted by
                self._grant(template, "jobs", ["create"])
            case CallWebhook() | Notify() | AwaitRemoval():
                return
            case unknown:
                assert_never(unknown)

    def _patch(self, ref: TargetRef) -> None:
        self._grant(ref, plural(ref.kind), ["patch"], ref.name)


def clusters_of(policy: PlanPolicy) -> frozenset[str]:
    """Return the clusters in which a policy of plans needs anything."""
    reads = [reads_of(policy), *(verbs(one).wanted(one) for one in operations_of(policy))]
    objects = (ref.cluster for wanted in reads for ref in wanted.objects)
    selections = (one.cluster for wanted in reads for one in wanted.selections)
    return frozenset((*objects, *selections, *(ref.cluster for ref in policy.workloads)))
