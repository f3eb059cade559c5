"""What happens to the objects themselves: recreated, going away, refused, forbidden, very many (S3, S5, S6, S10)."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.faults import (
    BUSY,
    QUIET,
    SETTLED,
    api_proxy,
    needs,
    recovers,
    settled,
    sound,
    turns,
    until_reason,
    until_said,
)
from tests.e2e.proxy import FaultProxy
from tests.e2e.rig import Rig

PODS = 3000


@pytest.fixture
def proxy(rig: Rig) -> Iterator[FaultProxy]:
    with api_proxy(rig.plane) as made:
        yield made


def test_a_target_that_is_made_again_is_another_object_s6(rig, deploy):
    path, daemon = settled(rig, deploy, policy={"limits": {"cooldown": {"in": "300s"}, "changesPerHour": 1000}})
    needs(rig, BUSY)
    rig.until(lambda: rig.replicas(path) == BUSY, "9 replicas")
    needs(rig, QUIET)
    rig.until(lambda: rig.replicas(path) == QUIET, "2 replicas")
    old = rig.plane.api("GET", path)["metadata"]["uid"]
    rig.plane.delete(path)
    begun = len(daemon.sentences())
    until_said(rig, daemon, "there is no Deployment", since=begun)
    until_reason(rig, "unknown_target")
    deploy(replicas=SETTLED)
    new = rig.plane.api("GET", path)["metadata"]["uid"]
    assert new != old
    # the old one's cooldown of 5 minutes is not the new one's
    rig.until(lambda: rig.replicas(path) == QUIET, "the new one to be scaled in", 30)
    stamped = [e for e in rig.writes() if e.epoch is not None and ((e.response or {}).get("metadata") or {})]
    assert [e.response["metadata"]["uid"] for e in stamped if e.accepted] == [old, new]
    sound(rig, daemon)


def test_a_namespace_that_goes_away_holds_with_a_reason_s3(rig, deploy):
    path, daemon = settled(rig, deploy)
    kept = f"/api/v1/namespaces/{rig.namespace}/configmaps/kept"
    metadata = {"name": "kept", "namespace": rig.namespace, "finalizers": ["e2e.aiops/kept"]}
    rig.plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    rig.plane.patch(path, {"metadata": {"finalizers": ["e2e.aiops/kept"]}})
    rig.plane.delete(f"/api/v1/namespaces/{rig.namespace}", wait=False)
    rig.until(lambda: rig.plane.api("GET", path)["metadata"].get("deletionTimestamp"), "the Deployment to be deleted")
    before = len(rig.writes())
    begun = len(daemon.sentences())
    needs(rig, BUSY)
    until_said(rig, daemon, "is being deleted|no_permission|forbidden|there is no", since=begun)
    turns(rig, daemon, 5)
    rig.plane.patch(path, {"metadata": {"finalizers": None}})
    rig.plane.patch(kept, {"metadata": {"finalizers": None}})
    rig.until(lambda: rig.plane.find(f"/api/v1/namespaces/{rig.namespace}") is None, "the namespace to be gone", 60)
    turns(rig, daemon, 5)
    assert len(rig.writes()) == before
    # its Role goes with it: what is then forbidden is no fault of ours
    sound(rig, daemon, expected=lambda event: event.verb in ("list", "watch"))


def refusing(namespace: str) -> list[dict[str, Any]]:
    group = "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments/scale"],
    }  # fmt: skip
    refusal = {"expression": "object.spec.replicas <= 5", "message": "five are enough for everybody"}
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    policy = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, "validations": [refusal]}
    meta, kind = {"name": namespace}, "ValidatingAdmissionPolicy"
    bound = {"policyName": namespace, "validationActions": ["Deny"], "matchResources": selector}
    return [
        {"apiVersion": group, "kind": kind, "metadata": meta, "spec": policy},
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": bound,
        },
    ]


def test_a_write_that_admission_refuses_is_said_and_tried_again_s5(rig, deploy):
    limits = {"cooldown": {"out": "120s", "in": "0s"}, "changesPerHour": 1000}
    path, daemon = settled(rig, deploy, policy={"limits": limits})
    objects = refusing(rig.namespace)
    rig.plane.apply(*objects)
    try:
        time.sleep(3)  # the API server reads its policies beside its requests
        needs(rig, BUSY)

        def refused() -> list[dict[str, Any]]:
            return [row for row in rig.actions() if row["outcome"] == "failed" and "five are enough" in row["message"]]

        rig.until(lambda: len(refused()) >= 3, "three tries", 40)
        assert rig.replicas(path) == SETTLED
        assert daemon.process.poll() is None
        events = rig.plane.api("GET", f"/api/v1/namespaces/{rig.namespace}/events")["items"]
        assert any(one["reason"] == "ScalingFailed" and "five are enough" in one["message"] for one in events)
    finally:
        for one in reversed(objects):
            rig.plane.delete(rig.plane.path_of(one))
    rig.until(lambda: rig.replicas(path) == BUSY, "the write once it is allowed", 30)
    sound(rig, daemon, expected=lambda event: event.code in (403, 422))


def test_a_right_that_is_taken_away_holds_and_says_what_gives_it_back_s3(rig, deploy, proxy):
    path, daemon = settled(rig, deploy, proxy)
    binding = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{rig.namespace}/rolebindings/{rig.instance}"
    rig.plane.delete(binding)
    time.sleep(1)
    proxy.cut_all()
    begun = len(daemon.sentences())
    needs(rig, QUIET)
    until_reason(rig, "no_permission", 60)
    said = until_said(rig, daemon, "forbidden", since=begun)
    assert re.search(r'cannot (list|watch) resource "\w+" in API group "[\w.]*" in the namespace "t\d+"', said), said
    assert "`aiops rbac POLICIES` prints the roles" in said
    turns(rig, daemon, 5)
    assert rig.replicas(path) == SETTLED
    rig.grant()
    rig.until(lambda: rig.replicas(path) == QUIET, "the scale-in once it is granted", 60)
    recovers(rig, daemon, path)
    sound(rig, daemon, expected=lambda event: event.denied)


def test_the_right_to_scale_alone_is_missing_s3(rig, deploy):
    path, daemon = settled(rig, deploy)
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{rig.namespace}/roles/{rig.instance}"
    rules = rig.plane.api("GET", role)["rules"]
    rig.plane.patch(role, {"rules": [one for one in rules if "deployments/scale" not in one["resources"]]})
    time.sleep(1)
    needs(rig, BUSY)

    def refused() -> list[dict[str, Any]]:
        return [row for row in rig.actions() if row["outcome"] == "failed"]

    said = rig.until(refused, "a refusal")[0]["message"]
    assert "patch Deployment/scale in namespace" in said
    assert "`aiops rbac POLICIES` prints the roles" in said
    rig.grant()
    rig.until(lambda: rig.replicas(path) == BUSY, "the write once it is granted", 30)
    sound(rig, daemon, expected=lambda event: event.denied)


# -- very many ------------------------------------------------------------------------------------------------


def pods(rig: Rig, count: int) -> None:
    """Make pods that nobody schedules, straight through the API."""
    url, context = f"{rig.plane.url}/api/v1/namespaces/{rig.namespace}/pods", rig.plane._admin
    spec = {"containers": [{"name": "main", "image": "none"}], "schedulerName": "nobody"}

    def make(number: int) -> None:
        metadata = {"name": f"crowd-{number}", "labels": {"app": "crowd"}}
        body = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).encode()
        request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30, context=context).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(count)))


@pytest.mark.timeout(400)
def test_thousands_of_pods_are_listed_again_within_a_tick_s10(rig, deploy, proxy, capsys):
    path, daemon = settled(rig, deploy, proxy)
    before = daemon.process.rss_bytes()
    began = time.monotonic()
    pods(rig, PODS)
    made_s = time.monotonic() - began
    held = daemon.process.rss_bytes()
    peaks, late = [], []
    for _ in range(3):
        begun = len(daemon.sentences())
        began = time.monotonic()
        proxy.cut_all()
        turns(rig, daemon, 8, 30)
        late.append((time.monotonic() - began) / (len(daemon.sentences()) - begun))
        peaks.append(daemon.process.rss_bytes())
    recovers(rig, daemon, path)
    mega = 1e6
    with capsys.disabled():
        print(
            f"\n{PODS} pods made in {made_s:.0f} s; RSS {before / mega:.0f} -> {held / mega:.0f} MB, listed again "
            f"{', '.join(f'{one / mega:.0f}' for one in peaks)} MB; a tick of 1 s every "
            f"{', '.join(f'{one:.2f}' for one in late)} s"
        )
    assert max(late) < 1.5
    assert max(peaks) - before < 150 * mega
    assert peaks[-1] < peaks[0] + 20 * mega
    sound(rig, daemon)
