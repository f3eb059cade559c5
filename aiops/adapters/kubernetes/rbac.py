"""The permissions that policies need, and no others (S10)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiops.core.model import Mode
from aiops.core.policies import Lever, PolicySet, ScalingPolicy

NAME = "aiops"
_READ = ["get", "list", "watch"]


def rbac(policies: PolicySet, service_namespace: str = "aiops") -> list[dict[str, Any]]:
    """Return a ServiceAccount, the cluster-wide reads, and a Role with its binding in each target's namespace."""
    namespaces = sorted({policy.target.namespace for policy in policies.scaling})
    objects: list[dict[str, Any]] = [
        _object("v1", "ServiceAccount", NAME, service_namespace),
        {
            **_object("rbac.authorization.k8s.io/v1", "ClusterRole", NAME),
            "rules": [_rule("", ["namespaces", "nodes"], _READ)],
        },
        _binding("ClusterRoleBinding", "ClusterRole", service_namespace, None),
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
        group, plural = policy.target.api_version.rpartition("/")[0], f"{policy.target.kind.lower()}s"
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


def _binding(kind: str, role: str, service_namespace: str, namespace: str | None) -> dict[str, Any]:
    return {
        **_object("rbac.authorization.k8s.io/v1", kind, NAME, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": service_namespace}],
    }
