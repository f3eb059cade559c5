"""What tests of custom resources do as a platform engineer and a policy author: install, grant, apply, look."""

from __future__ import annotations

import json
import subprocess
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.policy.crd import GROUP, RESOURCES, VERSION, Resource
from tests.e2e.cluster import ControlPlane
from tests.e2e.rig import Daemon, Rig, scaling_policy

CRDS = Path(__file__).parents[2] / "config/deploy/crds"
PREFIX = f"/apis/{GROUP}/{VERSION}"


def install(plane: ControlPlane) -> None:
    """Apply what is committed, and wait until every kind is served."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    for one in RESOURCES:
        plane.eventually(lambda one=one: established(plane, one), f"{one.name} to be established")
        plane.eventually(lambda one=one: plane.find(f"{PREFIX}/{one.plural}"), f"{one.name} to be served")


def conditions_of_crd(plane: ControlPlane, one: Resource) -> dict[str, str]:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{one.name}"
    found = (plane.api("GET", path).get("status") or {}).get("conditions") or []
    return {condition["type"]: condition["status"] for condition in found}


def established(plane: ControlPlane, one: Resource) -> bool:
    return conditions_of_crd(plane, one).get("Established") == "True"


def tried(plane: ControlPlane, document: Mapping[str, Any]) -> str:
    """Return what the API server says against a document, '' when it takes it; nothing is made."""
    metadata = document["metadata"]
    plural = next(one.plural for one in RESOURCES if one.kind == document["kind"])
    path = f"{PREFIX}/namespaces/{metadata['namespace']}/{plural}"
    return refused(plane, path, document)


def refused(plane: ControlPlane, path: str, document: Mapping[str, Any]) -> str:
    try:
        plane.api("POST", f"{path}?dryRun=All&fieldValidation=Strict", dict(document))
    except urllib.error.HTTPError as err:
        with err:
            if err.code in (400, 422):
                return str(json.loads(err.read())["message"])
        raise
    return ""


def kubectl(plane: ControlPlane, *words: str, document: Mapping[str, Any] | None = None) -> tuple[int, str, str]:
    """Run kubectl, which may be refused; return its exit code and what it says."""
    command = [str(plane.binary("kubectl")), "--kubeconfig", str(plane.kubeconfig()), *words]
    stdin = "" if document is None else yaml.safe_dump(dict(document))
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def a_watch(rig: Rig) -> dict[str, Any]:
    """Return a WatchPolicy of the demand of a test's namespace."""
    spec = {"query": f'demand{{ns="{rig.namespace}"}}', "history": "1h"}
    metadata = {"name": "demand", "namespace": rig.namespace}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "WatchPolicy", "metadata": metadata, "spec": spec}


@dataclass(slots=True)
class Authored:
    """The policies of one namespace as resources."""

    rig: Rig

    def path(self, name: str = "checkout", plural: str = "scalingpolicies", namespace: str = "") -> str:
        return f"{PREFIX}/namespaces/{namespace or self.rig.namespace}/{plural}/{name}"

    def apply(self, document: Mapping[str, Any], *, grant: bool = True) -> None:
        """Apply a policy as its author would, and grant its levers as a platform engineer would."""
        if grant:
            self.grant(document)
        self.rig.plane.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(dict(document)))

    def grant(
        self, *documents: Mapping[str, Any], resources: bool = True, mode: str = "enforce"
    ) -> list[dict[str, Any]]:
        """Apply what `aiops rbac` prints for these policies, and for reading resources; return its objects."""
        folder = self.rig.folder / "granted"
        folder.mkdir(exist_ok=True)
        for one in documents:
            (folder / f"{one['metadata']['name']}.yaml").write_text(yaml.safe_dump(dict(one)))
        config = self.rig.folder / "rbac.yaml"
        settings = {
            "lease": self.rig.lease,
            "mode": mode,
            "custom_resources": {**self.settings(), "enabled": resources},
        }
        config.write_text(json.dumps(settings))
        printed = self.rig.aiops("--config", str(config), "rbac", str(folder))
        self.rig.plane.kubectl("apply", "-f", "-", stdin=printed)
        return [one for one in yaml.safe_load_all(printed) if one]

    def settings(self) -> dict[str, Any]:
        """Return the daemon's settings: this namespace alone, so that tests leave each other's alone."""
        return {"enabled": True, "namespaces": [self.rig.namespace]}

    def daemon(self, name: str = "a", **changes: Any) -> Daemon:
        """Start a daemon that reads the namespace's resources beside its folder of files."""
        return self.rig.daemon(name, **{"custom_resources": self.settings(), **changes})

    def get(self, name: str = "checkout", plural: str = "scalingpolicies") -> dict[str, Any]:
        return self.rig.plane.api("GET", self.path(name, plural))

    def status(self, name: str = "checkout", plural: str = "scalingpolicies") -> dict[str, Any]:
        return dict(self.get(name, plural).get("status") or {})

    def condition(self, kind: str, name: str = "checkout") -> dict[str, Any]:
        """Return a condition, {} while there is none."""
        found = self.status(name).get("conditions") or []
        return next((one for one in found if one["type"] == kind), {})

    def until(self, kind: str, status: str, reason: str, name: str = "checkout", within_s: float = 40.0) -> str:
        """Wait for a condition, and return its message."""

        def there() -> bool:
            found = self.condition(kind, name)
            return (found.get("status"), found.get("reason")) == (status, reason)

        self.rig.until(there, f"{kind}={status} ({reason}) of {name}", within_s)
        return str(self.condition(kind, name)["message"])


# -- what tests of resources import --------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def served(plane: ControlPlane) -> None:
    """Serve every kind before the first test of a module."""
    install(plane)


@pytest.fixture
def authored(rig: Rig) -> Authored:
    """The policies of the test's namespace; there are no files unless a test writes some."""
    assert list(rig.policies.iterdir()) == []
    made = Authored(rig)
    made.grant(scaling_policy(rig.namespace))
    return made
