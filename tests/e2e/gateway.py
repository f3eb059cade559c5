"""The custom resources of Gateway API, out of its own Go module: nothing of it is copied here, nothing is built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.binaries import Missing
from tests.e2e.cluster import ControlPlane

MODULE = Path(__file__).parent / "controlplane" / "gateway"
NAME = "sigs.k8s.io/gateway-api"
HTTP_ROUTES = "gateway.networking.k8s.io_httproutes.yaml"


@cache
def module_folder() -> Path:
    """Return the module's folder in Go's cache, fetched when it is not there; raise Missing when it cannot be."""
    go = shutil.which("go")
    if go is None:
        raise Missing(f"no Go to fetch {NAME} with, whose custom resources the tests of routes need")
    # the go.sum beside go.mod is what Go checks the content against
    done = subprocess.run([go, "mod", "download", "-json", NAME], cwd=MODULE, capture_output=True, text=True)
    said = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in said:
        raise Missing(f"{NAME} cannot be fetched: {said.get('Error') or done.stderr.strip()[-500:]}")
    return Path(said["Dir"])


def version() -> str:
    """Return the version that go.mod names."""
    match = re.search(rf"{NAME} (v\S+)", (MODULE / "go.mod").read_text(encoding="utf-8"))
    assert match is not None, f"go.mod names no {NAME}"
    return match[1]


def definition(name: str = HTTP_ROUTES) -> dict[str, Any]:
    """Return a CustomResourceDefinition of the standard channel."""
    text = (module_folder() / "config" / "crd" / "standard" / name).read_text(encoding="utf-8")
    return dict(next(one for one in yaml.safe_load_all(text) if one))


def install(plane: ControlPlane, name: str = HTTP_ROUTES) -> None:
    """Let a cluster know a kind, and return when its objects can be made. It may be there already."""
    made = definition(name)
    made.pop("status", None)
    plane.apply(made)
    spec = made["spec"]
    served = next(one["name"] for one in spec["versions"] if one["storage"])
    group, plural = f"/apis/{spec['group']}/{served}", spec["names"]["plural"]

    def known() -> bool:
        # discovery, by which `apply` finds paths, may be later than the kind itself
        told = [one["name"] for one in (plane.find(group) or {}).get("resources", ())]
        return plural in told and plane.find(f"{group}/{plural}") is not None

    plane.eventually(known, spec["names"]["kind"])


def http_route(namespace: str, name: str, weights: dict[str, int]) -> dict[str, Any]:
    """Return an HTTPRoute whose one rule splits between Services by weight."""
    backends = [{"name": service, "port": 80, "weight": weight} for service, weight in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [{"name": "front"}], "rules": [{"backendRefs": backends}]},
    }
