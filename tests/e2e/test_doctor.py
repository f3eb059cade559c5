"""`aiops doctor` as the daemon's account on the real API server: what is missing is named, nothing is written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.commands import aiops
from tests.e2e.audit import WRITES
from tests.e2e.rig import USER, Rig, scaling_policy


def settings(rig: Rig, **changes: Any) -> Path:
    """Write the settings of a daemon of this rig; return their file."""
    made: dict[str, Any] = {
        "mode": "enforce",
        "promotion": "file",
        "policies": [str(rig.policies)],
        "prometheus": {"url": rig.prometheus, "retries": 0},
        "clusters": {"default": {"kubeconfig": str(rig.kubeconfig())}},
        "store": {"url": rig.store_url},
        "models": {"checkpoint": str(rig.folder / "models.npz")},
        "lease": rig.lease,
        "web": {"enabled": False},
        "telemetry": {"enabled": False},
        **changes,
    }
    config = rig.folder / "doctor.yaml"
    config.write_text(json.dumps(made))
    return config


def examined(config: Path, *areas: str) -> tuple[int, list[dict[str, str]]]:
    """Return the exit code, and what was found."""
    words = [word for area in areas for word in ("--only", area)]
    done = aiops("--config", str(config), "-o", "json", "doctor", *words)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["checks"]


def troubles(found: list[dict[str, str]]) -> list[str]:
    return [one["what"] for one in found if one["status"] in ("warn", "fail")]


def lists(rig: Rig, resource: str) -> bool:
    """Return whether the daemon's account may list in the rig's namespace; roles take a moment to be known."""
    words = ("auth", "can-i", "list", resource, "-n", rig.namespace)
    try:
        return rig.plane.kubectl(*words, kubeconfig=rig.kubeconfig()).strip() == "yes"
    except AssertionError:  # it ends with 1 for a no
        return False


def test_what_is_missing_is_named_and_once_it_is_there_all_is_well(rig: Rig, deploy):
    deploy()
    rig.demand(330.0)
    query = {"query": f'sum(demand{{ns="{rig.namespace}"}})', "unit": "req/s", "maxAge": "30s"}
    typo = {**query, "query": f'sum(demands{{ns="{rig.namespace}"}})'}
    document = scaling_policy(rig.namespace, signals={"demand": query, "other": typo})
    rig.policy(document)
    config = settings(rig)
    began = time.time()
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{rig.namespace}/roles/{rig.instance}"
    whole = rig.plane.api("GET", role)["rules"]
    without = [one for one in whole if "pods" not in one["resources"]]
    rig.plane.patch(role, {"rules": without})
    rig.until(lambda: not lists(rig, "pods"), "the smaller role to be in force")

    code, found = examined(config, "metrics", "kubernetes", "policies")
    assert code == 1
    said = troubles(found)
    assert any(one.startswith("demands does not exist") for one in said)
    assert f"{USER} may not list, watch pods in namespace {rig.namespace}" in said
    missing = next(one for one in found if one["what"].endswith(f"pods in namespace {rig.namespace}"))
    assert json.loads(missing["fix"].partition(": ")[2]) == {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["list", "watch"],
    }
    # with the metric right, permissions alone are missing
    document["spec"]["signals"].pop("other")
    rig.policy(document, grant=False)
    rig.until(lambda: examined(config, "metrics")[0] == 0, "the demand to be scraped")
    code, found = examined(config, "kubernetes")
    assert code == 5, troubles(found)

    rig.plane.patch(role, {"rules": [*without, json.loads(missing["fix"].partition(": ")[2])]})
    rig.until(lambda: lists(rig, "pods"), "the rule that was named to be in force")
    code, found = examined(config, "metrics", "kubernetes", "store", "policies")
    assert (code, troubles(found)) == (0, [])
    assert any(f"as {USER}" in one["what"] for one in found)

    # looking wrote nothing: not to the API server, no Lease, and no store
    asked = [event for event in rig.audit(began) if event.verb in WRITES]
    assert {event.resource for event in asked} <= {"selfsubjectaccessreviews", "selfsubjectreviews"}
    assert not (rig.folder / "aiops.db").exists()


def test_kinds_that_are_installed_are_known_to_be_of_this_version(rig: Rig, deploy):
    deploy()
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace))
    config = settings(rig, custom_resources={"enabled": True, "namespaces": [rig.namespace]})
    words = ("--config", str(config), "policy", "crd")
    printed = rig.aiops(*words)
    rig.plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=printed)
    rig.plane.kubectl("apply", "-f", "-", stdin=rig.aiops("--config", str(config), "rbac", str(rig.policies)))

    def resources() -> dict[str, str]:
        _, found = examined(config, "kubernetes")
        return next(one for one in found if one["name"] == "cluster default: resources")

    told = rig.until(lambda: (one := resources())["status"] == "ok" and one, "the kinds to be published", 60)
    assert told["what"].endswith("as this version has them")
