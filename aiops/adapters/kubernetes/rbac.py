"""The permissions that policies need, and no others (S10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiops.core.model import Mode
from aiops.core.policies import Lever, PolicySet, ScalingPolicy

NAME = "aiops"
_READ = ["list", "watch"]
"""How informers read; a single object is never asked for."""


def rbac(
    policies: PolicySet, service_namespace: str = "aiops", lease: str | None = "aiops", ceiling: Mode = Mode.ENFORCE
) -> list[dict[str, Any]]:
    """Return a ServiceAccount, its cluster-wide reads, its own Lease, and a Role in each target's namespace.

    lease: its name, None for a daemon that does not compete. ceiling: the daemon's mode; with it, or a policy's own,
    below approve nothing is written to targets, and nothing that writes is granted.
    """
    namespaces = sorted({policy.target.namespace for policy in policies.scaling})
    reads = [_rule("", ["nodes"], _READ)]
    if namespaces:
        # a list of one name is granted by that name
        reads.append(_rule("", ["namespaces"], _READ, namespaces))
    objects: list[dict[str, Any]] = [
        _object("v1", "ServiceAccount", NAME, service_namespace),
        {**_object("rbac.authorization.k8s.io/v1", "ClusterRole", NAME), "rules": reads},
        _binding("ClusterRoleBinding", "ClusterRole", service_namespace, None),
    ]
    if lease is not None:
        rules = [
            # an object that is not there yet has no name to be granted by
            _rule("coordination.k8s.io", ["leases"], ["create"]),
            _rule("coordination.k8s.io", ["leases"], ["get", "patch"], [lease]),
        ]
        role = _object("rbac.authorization.k8s.io/v1", "Role", f"{NAME}-lease", service_namespace)
        objects.append({**role, "rules": rules})
        objects.append(_binding("RoleBinding", "Role", service_namespace, service_namespace, f"{NAME}-lease"))
    for namespace in namespaces:
        mine = [policy for policy in policies.scaling if policy.target.namespace == namespace]
        role = _object("rbac.authorization.k8s.io/v1", "Role", NAME, namespace)
        objects.append({**role, "rules": _rules(mine, ceiling)})
        objects.append(_binding("RoleBinding", "Role", service_namespace, namespace))
    return objects


def guesses(policies: PolicySet) -> list[str]:
    """Return a sentence for each plural that was guessed: those of custom kinds, which only the API server knows."""
    found = {}
    for policy in policies.scaling:
        group, kind = policy.target.api_version.rpartition("/")[0], policy.target.kind
        if "." in group and not group.endswith(".k8s.io"):
            found[f"{plural(kind)}.{group}"] = (kind, group)
    return [
        f"{name} is guessed for the kind {kind}; `kubectl api-resources --api-group={group}` shows its true name"
        for name, (kind, group) in sorted(found.items())
    ]


def _rules(policies: Iterable[ScalingPolicy], ceiling: Mode) -> list[dict[str, Any]]:
    rules = [
        _rule("", ["pods"], _READ),
        _rule("autoscaling", ["horizontalpodautoscalers"], _READ),
        _rule("policy", ["poddisruptionbudgets"], _READ),
    ]
    for policy in policies:
        group, name = policy.target.api_version.rpartition("/")[0], plural(policy.target.kind)
        rules.append(_rule(group, [name], _READ))
        if group != "apps":
            rules.append(_rule(group, [f"{name}/scale"], ["get"], [policy.target.name]))
        if min(policy.mode.rank, ceiling.rank) < Mode.APPROVE.rank:
            continue
        rules.append(_rule("", ["events"], ["create"]))
        if policy.lever is Lever.HPA_FLOOR:
            # the HPA's name is the cluster's to say; the namespace bounds it
            rules.append(_rule("autoscaling", ["horizontalpodautoscalers"], ["patch"]))
        else:
            rules.append(_rule(group, [f"{name}/scale"], ["patch"], [policy.target.name]))
    return [rule for place, rule in enumerate(rules) if rule not in rules[:place]]


def plural(kind: str) -> str:
    """Return a kind's plural as English and the generators of CRDs have it: policies of Policy, gateways of Gateway."""
    word = kind.lower()
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"


def _rule(group: str, resources: list[str], verbs: list[str], names: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
    return rule if names is None else {**rule, "resourceNames": names}


def _object(version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _binding(kind: str, role: str, service_namespace: str, namespace: str | None, name: str = NAME) -> dict[str, Any]:
    return {
        **_object("rbac.authorization.k8s.io/v1", kind, name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": service_namespace}],
    }
