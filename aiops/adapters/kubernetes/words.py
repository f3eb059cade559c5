"""Words of roles: a kind's plural, a rule, an object and what binds it to the daemon's account."""

from __future__ import annotations

from typing import Any

NAME = "aiops"
"""Of the daemon's ServiceAccount, and of its roles."""


def plural(kind: str) -> str:
    """Return a kind's plural as English and the generators of CRDs have it: policies of Policy, gateways of Gateway."""
    word = kind.lower()
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"


def rule(group: str, resources: list[str], verbs: list[str], names: list[str] | None = None) -> dict[str, Any]:
    """Return one rule of a role: on objects of these names, or on all of them."""
    made: dict[str, Any] = {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
    return made if names is None else {**made, "resourceNames": list(names)}


def named(version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
    """Return the beginning of an object."""
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def binding(kind: str, name: str, service_namespace: str, namespace: str | None) -> dict[str, Any]:
    """Return what gives the daemon's account the role of the same name."""
    return {
        **named("rbac.authorization.k8s.io/v1", kind, name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind.removesuffix("Binding"), "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": service_namespace}],
    }
