"""The permissions that policies need, and no others (S10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiops.adapters.kubernetes import knative
from aiops.adapters.kubernetes.words import NAME, binding, named, plural, rule
from aiops.core.model import Mode
from aiops.core.policies import Lever, PolicySet, ScalingPolicy
from aiops.policy.crd import RESOURCES
from aiops.policy.resource import GROUP

_READ = ["list", "watch"]
"""How informers read; a single object is never asked for."""

_PODAUTOSCALERS = ("autoscaling.internal.knative.dev", "podautoscalers")


def instance_of(service_namespace: str, lease: str) -> str:
    """Return what the roles of one instance are named, apart from those of every other in the same cluster.

    An instance is the replicas that compete for one Lease. No namespace holds a colon, so that no two names are alike.
    """
    return NAME if (service_namespace, lease) == (NAME, NAME) else f"{NAME}:{service_namespace}:{lease}"


def rbac(
    policies: PolicySet,
    service_namespace: str = NAME,
    lease: str = NAME,
    ceiling: Mode = Mode.ENFORCE,
    *,
    competes: bool = True,
) -> list[dict[str, Any]]:
    """Return a ServiceAccount, its cluster-wide reads, its own Lease, and a Role in each target's namespace.

    lease: its name, by which the roles are named, too. competes: whether the daemon takes part in the election here.
    ceiling: the daemon's mode; with it, or a policy's own, below approve nothing is written to targets, and nothing
    that writes is granted.
    """
    instance = instance_of(service_namespace, lease)
    scaling = (*policies.scaling, *policies.templates)
    namespaces = sorted({policy.target.namespace for policy in scaling})
    reads = [rule("", ["nodes"], _READ)]
    if namespaces:
        # a list of one name is granted by that name
        reads.append(rule("", ["namespaces"], _READ, namespaces))
    objects: list[dict[str, Any]] = [
        named("v1", "ServiceAccount", NAME, service_namespace),
        {**named("rbac.authorization.k8s.io/v1", "ClusterRole", instance), "rules": reads},
        binding("ClusterRoleBinding", instance, service_namespace, None),
    ]
    if competes:
        rules = [
            # an object that is not there yet has no name to be granted by
            rule("coordination.k8s.io", ["leases"], ["create"]),
            rule("coordination.k8s.io", ["leases"], ["get", "patch"], [lease]),
        ]
        role = named("rbac.authorization.k8s.io/v1", "Role", f"{instance}-lease", service_namespace)
        objects.append({**role, "rules": rules})
        objects.append(binding("RoleBinding", f"{instance}-lease", service_namespace, service_namespace))
    for namespace in namespaces:
        mine = [policy for policy in scaling if policy.target.namespace == namespace]
        role = named("rbac.authorization.k8s.io/v1", "Role", instance, namespace)
        objects.append({**role, "rules": _rules(mine, ceiling)})
        objects.append(binding("RoleBinding", instance, service_namespace, namespace))
    return objects


def resource_roles(
    service_namespace: str = NAME, lease: str = NAME, namespaces: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return what reading policies from the API and telling their status needs: in the namespaces named, or in all."""
    name = f"{instance_of(service_namespace, lease)}:policies"
    plurals = [one.plural for one in RESOURCES]
    rules = [
        rule(GROUP, plurals, _READ),
        rule(GROUP, [f"{one}/status" for one in plurals], ["patch"]),
    ]
    objects: list[dict[str, Any]] = []
    for namespace in namespaces or (None,):
        kind = "ClusterRole" if namespace is None else "Role"
        role = named("rbac.authorization.k8s.io/v1", kind, name, namespace)
        objects += [{**role, "rules": rules}, binding(f"{kind}Binding", name, service_namespace, namespace)]
    return objects


def guesses(policies: PolicySet) -> list[str]:
    """Return a sentence for each plural that was guessed: those of custom kinds, which only the API server knows."""
    found = {}
    for policy in (*policies.scaling, *policies.templates):
        group, kind = policy.target.api_version.rpartition("/")[0], policy.target.kind
        if "." in group and not group.endswith(".k8s.io") and not knative.serves(policy.target):
            found[f"{plural(kind)}.{group}"] = (kind, group)
    return [
        f"{name} is guessed for the kind {kind}; `kubectl api-resources --api-group={group}` shows its true name"
        for name, (kind, group) in sorted(found.items())
    ]


def _rules(policies: Iterable[ScalingPolicy], ceiling: Mode) -> list[dict[str, Any]]:
    rules = [
        rule("", ["pods"], _READ),
        rule("autoscaling", ["horizontalpodautoscalers"], _READ),
        rule("policy", ["poddisruptionbudgets"], _READ),
    ]
    for policy in policies:
        group, name = policy.target.api_version.rpartition("/")[0], plural(policy.target.kind)
        # whom a selector selects is the cluster's to say; the namespace bounds it
        targets = [policy.target.name] if policy.selection is None else None
        rules.append(rule(group, [name], _READ))
        if knative.serves(policy.target):
            rules.append(rule(_PODAUTOSCALERS[0], [_PODAUTOSCALERS[1]], _READ))
        elif group != "apps":
            rules.append(rule(group, [f"{name}/scale"], ["get"], targets))
        if min(policy.mode.rank, ceiling.rank) < Mode.APPROVE.rank:
            continue
        rules.append(rule("", ["events"], ["create"]))
        match policy.lever:
            # the autoscaler's name is the cluster's to say; the namespace bounds it
            case Lever.HPA_FLOOR:
                rules.append(rule("autoscaling", ["horizontalpodautoscalers"], ["patch"]))
            case Lever.KNATIVE_MIN_SCALE:
                rules.append(rule(_PODAUTOSCALERS[0], [_PODAUTOSCALERS[1]], ["patch"]))
            case Lever.REPLICAS:
                rules.append(rule(group, [f"{name}/scale"], ["patch"], targets))
    return [one for place, one in enumerate(rules) if one not in rules[:place]]
