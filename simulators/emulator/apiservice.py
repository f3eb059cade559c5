"""The objects that a cluster needs for the emulator: its place behind the aggregation layer, and what it may read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from simulators.emulator.config import EmulatorConfig
from simulators.emulator.resource import GROUP, VERSION

NAME = "emulated-metrics"
ROUTE_GROUP = "gateway.networking.k8s.io"


def apiservice_objects(port: int, ca_pem: str, namespace: str = "kube-system") -> list[dict[str, Any]]:
    """Return a Service and an APIService that let the API server ask localhost:`port` for metrics.k8s.io.

    `ca_pem` is the authority (PEM) of the emulator's certificate, which must name `server_names(namespace)`.
    """
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port, "protocol": "TCP"}]},
    }
    api_service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{VERSION}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": NAME, "namespace": namespace, "port": port},
            "caBundle": base64.b64encode(ca_pem.encode()).decode(),
        },
    }
    return [service, api_service]


def server_names(namespace: str = "kube-system") -> tuple[str, ...]:
    """Return the DNS names that the certificate needs: the API server checks the first, people's tools localhost."""
    return (f"{NAME}.{namespace}.svc", "localhost")


def permission_objects(config: EmulatorConfig, subject: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a Role and a RoleBinding per namespace: reading pods, and HTTPRoutes where one is followed.

    `subject` is who runs the emulator, such as `{"kind": "User", "name": "emulator"}`.
    """
    needed = {(one.namespace, "", "pods") for one in config.workloads}
    needed |= {(one.route.namespace, ROUTE_GROUP, "httproutes") for one in config.groups}
    rules: dict[str, list[dict[str, Any]]] = {}
    for namespace, group, resource in sorted(needed):
        rule = {"apiGroups": [group], "resources": [resource], "verbs": ["get", "list", "watch"]}
        rules.setdefault(namespace, []).append(rule)
    group = "rbac.authorization.k8s.io"
    who = {**subject, **({"apiGroup": group} if subject.get("kind") in ("User", "Group") else {})}
    made: list[dict[str, Any]] = []
    for namespace, granted in rules.items():
        base = {"apiVersion": f"{group}/v1", "metadata": {"name": "workload-emulator", "namespace": namespace}}
        role = {"apiGroup": group, "kind": "Role", "name": "workload-emulator"}
        made.append({**base, "kind": "Role", "rules": granted})
        made.append({**base, "kind": "RoleBinding", "roleRef": role, "subjects": [who]})
    return made
