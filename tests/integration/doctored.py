"""A daemon's settings and an API server, as the doctor looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.app.doctor import examination
from aiops.app.doctor.examination import data
from aiops.app.doctor.findings import Area
from aiops.app.doctor.scene import Scene
from aiops.app.settings import load_settings
from tests.integration.kubernetes_server import KubernetesServer, deployment
from tests.integration.test_kubernetes import DEPLOYMENTS

ME = "system:serviceaccount:aiops:aiops"


LEASE = "/apis/coordination.k8s.io/v1/namespaces/aiops/leases/aiops"


NAMESPACES = "/api/v1/namespaces"


CRD_PAGE = "/apis/policy.aiops/v1alpha1"


@dataclass
class Api:
    """A fake API server with its reviews. denied: pairs of a verb and a resource."""

    server: KubernetesServer
    denied: set[tuple[str, str]] = field(default_factory=set)
    reviews: list[dict[str, Any]] = field(default_factory=list)

    def posted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/selfsubjectreviews"):
            return {"status": {"userInfo": {"username": ME}}}
        asked = body["spec"]["resourceAttributes"]
        self.reviews.append(asked)
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource", ""))))
        return {"status": {"allowed": (asked["verb"], resource) not in self.denied}}


@pytest.fixture
def api() -> Iterator[Api]:
    server = KubernetesServer()
    made = Api(server)
    server.posted = made.posted
    server.pages["/version"] = {"gitVersion": "v1.31.0"}
    server.pages["/api/v1"] = {"resources": [{"name": "namespaces", "kind": "Namespace"}]}
    server.refused_reads[LEASE] = 404
    server.put(NAMESPACES, {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}})
    server.put(DEPLOYMENTS, deployment())
    yield made
    server.stop()


def policy(name: str = "checkout", kind: str = "ScalingPolicy", **spec: Any) -> dict[str, Any]:
    written = {
        "mode": "enforce",
        "target": {"kind": "Deployment", "name": name},
        "signals": {"demand": {"query": "sum(up)"}},
        "objective": {"demand": "demand", "perReplica": 50},
        "bounds": {"minReplicas": 2, "maxReplicas": 10},
        **spec,
    }
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": kind, "metadata": metadata, "spec": written}


def written(folder: Path, url: str, *policies: dict[str, Any], **more: Any) -> Path:
    """Write settings that act by files, with a kubeconfig for the server; return their file."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "a-token-of-the-daemon"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (folder / "kubeconfig.yaml").write_text(yaml.safe_dump(kubeconfig))
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies/all.yaml").write_text(yaml.safe_dump_all(policies or (policy(),)))
    settings = {
        "mode": "enforce",
        "promotion": "file",
        "policies": [str(folder / "policies")],
        "prometheus": {"url": "http://127.0.0.1:1", "retries": 0},
        "clusters": {"default": {"kubeconfig": str(folder / "kubeconfig.yaml")}},
        "store": {"url": f"sqlite:///{folder / 'aiops.db'}"},
        "models": {"checkpoint": str(folder / "models.npz")},
        "custom_resources": {"enabled": False},
        **more,
    }
    config = folder / "aiops.yaml"
    config.write_text(yaml.safe_dump(settings))
    return config


def examined(config: Path, *areas: str, timeout_s: float = 10.0) -> tuple[int, list[dict[str, str]]]:
    """Return the exit code, and what was found."""
    scene = Scene(settings=load_settings(config), timeout_s=timeout_s)
    told = data(examination.examined(scene, config, [Area(one) for one in areas], str))
    return told["exit_code"], told["checks"]


def troubles(found: list[dict[str, str]], *status: str) -> list[tuple[str, str]]:
    wanted = status or ("warn", "fail")
    return [(one["name"], one["what"]) for one in found if one["status"] in wanted]


def fix_of(found: list[dict[str, str]], what: str) -> str:
    (one,) = [one for one in found if what in one["what"]]
    return one["fix"]
