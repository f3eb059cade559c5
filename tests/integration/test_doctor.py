"""`aiops doctor` against an API server that speaks the real shapes, Debian's Prometheus, and an Alertmanager."""

from __future__ import annotations

import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import yaml

from aiops.adapters.kubernetes import KubernetesOptions
from aiops.adapters.kubernetes.probe import ClusterProbe, Right
from tests.commands import aiops
from tests.integration.doctored import (
    CRD_PAGE,
    LEASE,
    ME,
    NAMESPACES,
    api,
    examined,
    fix_of,
    policy,
    troubles,
    written,
)
from tests.integration.kubernetes_server import deployment
from tests.integration.test_kubernetes import DEPLOYMENTS, HPAS, hpa
from tests.loopback import serving
from tests.unit.test_doctor import published

__all__ = ["api"]

# -- clusters ----------------------------------------------------------------------------------------------


def test_a_cluster_in_which_all_is_well_is_asked_about_every_right_that_is_printed_and_written_nothing(api, tmp_path):
    config = written(tmp_path, api.server.url)
    done = aiops("--config", str(config), "-o", "json", "doctor", "--only", "kubernetes")
    found = json.loads(done.stdout)["checks"]
    assert (done.returncode, troubles(found)) == (0, [])
    by_name = {one["name"]: one for one in found}
    assert f"answers as {ME}, version v1.31.0" in by_name["cluster default"]["what"]
    assert "nobody leads yet" in by_name["cluster default: lease"]["what"]
    printed = aiops("--config", str(config), "-o", "json", "rbac", str(tmp_path / "policies"))
    wanted = {
        (one["metadata"].get("namespace", ""), verb, group, resource, name)
        for one in json.loads(printed.stdout)["items"]
        for rule in one.get("rules", ())
        for verb, group, resource, name in itertools.product(
            rule["verbs"], rule["apiGroups"], rule["resources"], rule.get("resourceNames", [""])
        )
    }
    asked = {
        (
            one.get("namespace", ""),
            one["verb"],
            one.get("group", ""),
            "/".join(filter(None, (one["resource"], one.get("subresource", "")))),
            one.get("name", ""),
        )
        for one in api.reviews
    }
    assert asked == wanted
    assert ("shop", "patch", "apps", "deployments/scale", "checkout") in asked
    assert {one["path"].rpartition("/")[2] for one in api.server.requests} == {
        "selfsubjectaccessreviews",
        "selfsubjectreviews",
    }
    assert not (tmp_path / "aiops.db").exists()


def test_of_missing_permissions_the_rule_to_add_is_named_and_the_exit_code_is_5(api, tmp_path):
    api.denied = {("patch", "deployments/scale"), ("create", "leases"), ("watch", "pods")}
    code, found = examined(written(tmp_path, api.server.url), "kubernetes")
    assert code == 5
    assert sorted(what for _, what in troubles(found)) == [
        f"{ME} may not create leases.coordination.k8s.io in namespace aiops",
        f"{ME} may not patch deployments/scale.apps checkout in namespace shop",
        f"{ME} may not watch pods in namespace shop",
    ]
    fix = fix_of(found, "deployments/scale")
    assert fix.startswith("add to Role aiops of namespace shop: ")
    assert json.loads(fix.partition(": ")[2]) == {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale"],
        "verbs": ["patch"],
        "resourceNames": ["checkout"],
    }


def test_rights_are_asked_about_as_long_as_it_goes_on(api, tmp_path):
    written(tmp_path, api.server.url)
    api.denied = {("list", "pods")}
    probe = ClusterProbe.connect(KubernetesOptions(kubeconfig=tmp_path / "kubeconfig.yaml"), time.time)
    rights = [Right(namespace=f"n{number}", group="", resource="pods", verb="list") for number in range(20)]
    rights += [Right(namespace="shop", group="", resource="nodes", verb="list")]
    assert probe.reviewed([*rights, *rights], lambda: True) == {right: right.resource == "nodes" for right in rights}
    left = itertools.count()
    assert len(probe.reviewed(rights, lambda: next(left) < 5)) == 5


def test_targets_that_are_not_there_or_not_opted_in_and_levers_that_do_not_fit_are_told(api, tmp_path):
    api.server.put(NAMESPACES, {"metadata": {"name": "shop", "labels": {}}})
    config = written(tmp_path, api.server.url, policy(), policy("gone"))
    code, found = examined(config, "kubernetes")
    assert code == 1
    assert troubles(found) == [
        ("target shop/gone", "there is no Deployment gone in namespace shop of default"),
        ("namespace shop", "has not opted in: nothing in it is written, and a policy is to act there"),
    ]
    assert fix_of(found, "opted in").startswith("kubectl label namespace shop policy.aiops/managed=true")
    # what only looks may stay where nobody opted in
    code, found = examined(written(tmp_path, api.server.url, policy(mode="dry-run")), "kubernetes")
    assert (code, troubles(found, "warn")) == (0, [("namespace shop", "has not opted in: nothing in it is written")])
    code, found = examined(written(tmp_path, api.server.url, scope={"namespaces": ["shop"]}), "kubernetes")
    assert (code, troubles(found)) == (0, [])


def test_a_floor_needs_an_hpa_and_replicas_need_that_there_is_none(api, tmp_path):
    config = written(tmp_path, api.server.url, policy(lever="hpa-floor"))
    code, found = examined(config, "kubernetes")
    assert code == 1
    assert "no autoscaler points at shop/checkout" in troubles(found)[0][1]
    api.server.put(HPAS, hpa())
    code, found = examined(config, "kubernetes")
    assert (code, troubles(found, "fail")) == (0, [])
    code, found = examined(written(tmp_path, api.server.url), "kubernetes")
    assert code == 1
    assert "HPA checkout steers shop/checkout" in troubles(found)[0][1]


def test_the_kinds_of_policies_must_be_installed_and_of_this_version(api, tmp_path):
    config = written(tmp_path, api.server.url, custom_resources={"enabled": True})
    api.server.refused_reads[CRD_PAGE] = 404
    code, found = examined(config, "kubernetes")
    assert code == 1
    assert "does not serve" in troubles(found)[0][1]
    assert fix_of(found, "does not serve").startswith("aiops policy crd | kubectl apply")
    document = published()
    plurals = [{"name": _plural(kind), "kind": kind} for kind in _kinds(document)]
    del api.server.refused_reads[CRD_PAGE]
    api.server.pages[CRD_PAGE] = {"resources": plurals}
    api.server.pages["/openapi/v3/apis/policy.aiops/v1alpha1"] = document
    code, found = examined(config, "kubernetes")
    assert (code, troubles(found)) == (0, [])
    del document["components"]["schemas"]["ScalingPolicy"]["properties"]["spec"]["properties"]["lever"]
    code, found = examined(config, "kubernetes")
    assert (code, troubles(found)[0][1]) == (1, "ScalingPolicy: the schema in the cluster is another version's")


def _kinds(document: dict[str, Any]) -> list[str]:
    return list(document["components"]["schemas"])


def test_policies_of_the_api_are_looked_at_as_those_of_files_and_one_that_is_not_valid_is_told(api, tmp_path):
    config = written(tmp_path, api.server.url, custom_resources={"enabled": True})
    document = published()
    api.server.pages[CRD_PAGE] = {"resources": [{"name": _plural(kind), "kind": kind} for kind in _kinds(document)]}
    api.server.pages["/openapi/v3/apis/policy.aiops/v1alpha1"] = document
    for number, (name, spec) in enumerate({"good": policy("search")["spec"], "bad": {"mode": "enforce"}}.items()):
        metadata = {"name": name, "namespace": "shop", "uid": f"r{number}", "generation": 1}
        api.server.put(f"{CRD_PAGE}/scalingpolicies", {"metadata": metadata, "spec": spec})
    code, found = examined(config, "policies", "kubernetes")
    assert code == 1
    told = dict(troubles(found))
    assert "shop/bad" in told["policies: resources"]
    assert told["target shop/search"] == "there is no Deployment search in namespace shop of default"
    assert "target shop/checkout" not in told


def _plural(kind: str) -> str:
    return f"{kind.lower()}s".replace("ys", "ies")


def test_whom_a_selector_selects_is_told_and_looked_at(api, tmp_path):
    chosen = {"kind": "Deployment", "selector": {"matchLabels": {"tier": "web"}}, "maxTargets": 3}
    signals = {"demand": {"query": 'sum(up{app="$(target.name)"})'}}
    config = written(tmp_path, api.server.url, policy(target=chosen, signals=signals))
    code, found = examined(config, "policies", "kubernetes")
    assert (code, troubles(found)) == (0, [("policy ScalingPolicy/shop/checkout", "selects no workload")])
    api.server.put(DEPLOYMENTS, deployment(labels={"tier": "web"}))
    code, found = examined(config, "policies", "kubernetes")
    assert (code, troubles(found)) == (0, [])
    by_name = {one["name"]: one["what"] for one in found}
    assert by_name["policy ScalingPolicy/shop/checkout"] == "selects checkout"
    assert by_name["cluster default: targets"].startswith("all 1 targets")


REMEDY = """
apiVersion: policy.aiops/v1alpha1
kind: RemediationPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: NAME}
  signals: {errors: {query: 'sum(up)', unit: "1"}}
  when: [{condition: CrashLoop, pods: 2}]
  ladder:
    - {do: restart, within: 5m}
    - {do: webhook, endpoint: tickets, asks: true}
    - {do: page, channel: oncall}
"""


def test_objects_of_plans_must_be_there_their_namespace_opted_in_and_whom_they_tell_known(api, tmp_path):
    remedy = yaml.safe_load(REMEDY.replace("NAME", "checkout"))
    api.server.pages[f"{DEPLOYMENTS}/checkout"] = {"metadata": deployment()["metadata"]}
    api.server.pages[f"{NAMESPACES}/shop"] = {"metadata": {"name": "shop", "labels": {}}}
    code, found = examined(written(tmp_path, api.server.url, remedy), "kubernetes", "notify")
    assert code == 1
    assert troubles(found) == [
        ("namespace shop", "has not opted in: nothing in it is written, and a policy is to act there"),
        ("policy RemediationPolicy/shop/checkout", "tells the endpoint tickets; there are none"),
        ("policy RemediationPolicy/shop/checkout", "tells the channel oncall; there are none"),
    ]
    api.server.pages[f"{NAMESPACES}/shop"]["metadata"]["labels"] = {"policy.aiops/managed": "true"}
    (tmp_path / "secret").write_text("a secret of sixteen letters")
    notify = {
        "channels": {"oncall": {"urls": ["json://127.0.0.1:1"]}},
        "endpoints": {"tickets": {"url": "https://tickets.example.com/hook", "secret_file": str(tmp_path / "secret")}},
        "routes": [{"name": "all", "channels": ["oncall"]}],
    }
    code, found = examined(written(tmp_path, api.server.url, remedy, notify=notify), "kubernetes", "notify")
    assert (code, troubles(found)) == (0, [])
    gone = yaml.safe_load(REMEDY.replace("NAME", "gone"))
    api.server.refused_reads[f"{DEPLOYMENTS}/gone"] = 404
    code, found = examined(written(tmp_path, api.server.url, gone, notify=notify), "kubernetes")
    assert (code, troubles(found)) == (1, [("Deployment shop/gone", "there is none in default")])


def test_what_has_a_price_is_told_and_what_has_none_with_its_reason(api, tmp_path):
    prices = {"targets": {"shop/checkout": 0.05}}
    config = written(tmp_path, api.server.url, policy(), policy("search"), prices=prices)
    code, found = examined(config, "prices")
    assert (code, [name for name, _ in troubles(found)]) == (0, ["price of shop/search"])
    assert found[-1]["what"].startswith("1 of 2 replicas and nodes are priced in USD")
    bad = written(tmp_path, api.server.url, prices={"list": str(tmp_path / "none.csv")})
    code, found = examined(bad, "prices")
    assert (code, [name for name, _ in troubles(found, "fail")]) == (1, ["prices"])


def test_who_leads_is_told_and_a_lease_that_ran_out(api, tmp_path):
    config = written(tmp_path, api.server.url)
    del api.server.refused_reads[LEASE]
    for age_s, status in ((3, "ok"), (600, "warn")):
        renewed = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - age_s))
        api.server.pages[LEASE] = {"spec": {"holderIdentity": "pod-a", "renewTime": renewed}}
        _, found = examined(config, "kubernetes")
        (lease,) = [one for one in found if one["name"] == "cluster default: lease"]
        assert (lease["status"], "pod-a" in lease["what"]) == (status, True)
    api.server.refused_reads[LEASE] = 403
    code, found = examined(config, "kubernetes")
    assert (code, len(troubles(found))) == (5, 1)


def test_credentials_that_are_refused_are_a_missing_permission(api, tmp_path):
    api.server.refused_reads["/version"] = 401
    code, found = examined(written(tmp_path, api.server.url), "kubernetes")
    assert code == 5
    assert "the credentials are not accepted" in troubles(found)[0][1]
    assert "a-token-of-the-daemon" not in json.dumps(found)


def test_clusters_that_policies_or_settings_name_must_be_known(api, tmp_path):
    document = policy(target={"kind": "Deployment", "name": "checkout", "cluster": "eu"})
    config = written(tmp_path, api.server.url, document, lease={"cluster": "us"})
    code, found = examined(config, "kubernetes")
    assert code == 1
    assert [name for name, _ in troubles(found)] == ["cluster eu", "cluster us"]


def test_an_api_server_that_hangs_costs_its_time_and_nothing_answers(tmp_path):
    held = threading.Event()

    class Hanging(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.wait(30)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with serving(Hanging) as url:
        config = written(tmp_path, url, prometheus={"url": url, "retries": 0})
        began = time.monotonic()
        code, found = examined(config, "kubernetes", "metrics", timeout_s=1.0)
        held.set()
    assert code == 4
    assert time.monotonic() - began < 15
    failed = {one["name"] for one in found if one["status"] == "fail"}
    assert {"prometheus", "cluster default"} <= failed
    assert "skip" in {one["status"] for one in found if one["name"] == "cluster default: permissions"}
