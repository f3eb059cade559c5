"""The objects that put the emulator behind a cluster's aggregation layer, as metrics-server would be."""

from __future__ import annotations

import base64
from typing import Any

from simulators.emulator.resource import GROUP, VERSION

NAME = "emulated-metrics"


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
