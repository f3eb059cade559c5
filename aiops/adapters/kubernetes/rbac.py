"""The permissions that policies need, and no others (S10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiops.core.model import Mode
from aiops.core.policies import Lever, PolicySet, ScalingPolicy

NAME = "aiops"
_READ = ["get", "list", "watch"]


def rbac(policies: PolicySet, service_namespace: str = "aiops", lease: str = "aiops") -> list[dict[str, Any]]:
    """Return a ServiceAccount, the cluster-wide reads, its own Lease, and a Role in each target's namespace.

    A kind's plural is made as the API server guesses it for custom resources: `policies` of `Policy`.
    """
    namespaces = sorted({policy.target.namespace for policy in policies.scaling})
    objects: list[dict[str, Any]] = [
        _object("v1", "ServiceAccount", NAME, service_namespace),
        {
            **_object("rbac.authorization.k8s.io/v1", "ClusterRole", NAME),
            "rules": [_rule("", ["namespaces", "nodes"], _READ)],
        },
        _binding("ClusterRoleBinding", "ClusterRole", service_namespace, None),
        {
            **_object("rbac.authorization.k8s.io/v1", "Role", f"{NAME}-lease", service_namespace),
            "rules": [
                # an object that is not there yet has no name to be granted by
                _rule("coordination.k8s.io", ["leases"], ["create"]),
                _rule("coordination.k8s.io", ["leases"], ["get", "patch"], [lease]),
            ],
        },
        _binding("RoleBinding", "Role", service_namespace, service_namespace, f"{NAME}-lease"),
    ]
    for namespace in namespaces:
        mine = [policy for policy in policies.scaling if policy.target.namespace == namespace]
        role = _object("rbac.authorization.k8s.io/v1", "Role", NAME, namespace)
        objects.append({**role, "rules": _rules(mine)})
        objects.append(_binding("RoleBinding", "Role", service_namespace, namespace))
    return objects


def _rules(policies: Iterable[ScalingPolicy]) -> list[dict[str, Any]]:
    rules = [
        _rule("", ["pods"], _READ),
        _rule("autoscaling", ["horizontalpodautoscalers"], _READ),
        _rule("policy", ["poddisruptionbudgets"], _READ),
        _rule("", ["events"], ["create"]),
    ]
    for policy in policies:
        group, plural = policy.target.api_version.rpartition("/")[0], _plural(policy.target.kind)
        rules.append(_rule(group, [plural], _READ))
        if group != "apps":
            rules.append(_rule(group, [f"{plural}/scale"], ["get"], [policy.target.name]))
        if policy.mode.rank < Mode.APPROVE.rank:
            continue
        if policy.lever is Lever.HPA_FLOOR:
            # the HPA's name is the cluster's to say; the namespace bounds it
            rules.append(_rule("autoscaling", ["horizontalpodautoscalers"], ["patch"]))
        else:
            rules.append(_rule(group, [f"{plural}/scale"], ["patch"], [policy.target.name]))
    return [rule for place, rule in enumerate(rules) if rule not in rules[:place]]


def _rule(group: str, resources: list[str], verbs: list[str], names: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return rule if names is None else {**rule, "resourceNames": names}


def _object(version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _plural(kind: str) -> str:
    word = kind.lower()
    if word.endswith("s"):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _binding(kind: str, role: str, service_namespace: str, namespace: str | None, name: str = NAME) -> dict[str, Any]:
    return {
        **_object("rbac.authorization.k8s.io/v1", kind, name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": service_namespace}],
    }
