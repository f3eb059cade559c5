"""Installing: the chart is rendered, refused, applied to a real API server, and its pods are run as they are given.

Helm is the real one, pods are admitted by the API server (Pod Security: restricted) and made by its controllers; what a
kubelet would start is started by tests/e2e/pod.py, so that every argument, file and right is the manifests' own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from aiops.core.act.set_floor import RESTORE
from aiops.core.objects.resting import MARK, RECORD
from tests.commands import printed
from tests.e2e.cluster import ControlPlane
from tests.e2e.conftest import deployment
from tests.e2e.emulated import Emulated, hpa
from tests.e2e.grants import denied
from tests.e2e.installed import CHART, ROOT, Helm, Refused, Site, decisions, resident_mb
from tests.e2e.postgres import PostgresServer
from tests.e2e.rig import scaling_policy
from tests.e2e.test_sleep import policy as sleeping
from tests.loopback import page

CI = sorted((CHART / "ci").glob("*-values.yaml"))

# -- rendering ---------------------------------------------------------------------------------------------------


def test_the_chart_renders_every_example_and_the_api_server_takes_it(plane: ControlPlane, chart: Helm, site: Site):
    for file in (None, *CI):
        given = () if file is None else ("-f", str(file))
        chart("lint", "--strict", "--quiet", str(CHART), *given)
        text = chart("template", "aiops", str(CHART), "-n", site.release, "--skip-tests", *given)
        known = [one for one in yaml.safe_load_all(text) if one and "monitoring.coreos.com" not in one["apiVersion"]]
        for one in known:
            one["metadata"].setdefault("namespace", site.release)
        # roles lie in the namespaces of their targets
        for name in {one["metadata"]["namespace"] for one in known} - {site.release}:
            plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        text = yaml.safe_dump_all(known)
        plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)


def test_the_roles_of_the_chart_are_those_that_the_command_prints_s10(chart: Helm):
    shipped = CHART / "ci" / "shipped-values.yaml"
    names = yaml.safe_load(shipped.read_text())["policies"]
    words = ("--config", str(CHART / "ci/shipped-settings.yaml"), "rbac")
    roles = yaml.safe_load_all(printed(*words, *(str(ROOT / "policies" / name) for name in names)))
    assert grants(chart.template("-f", str(shipped))) == grants(roles)


def grants(objects: Any) -> dict[tuple[str, ...], Any]:
    """Return accounts, roles and bindings by kind, namespace and name; lists in them in one order."""
    kinds = ("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")

    def plain(rule: Mapping[str, Any]) -> dict[str, Any]:
        return {key: sorted(value) for key, value in rule.items()}

    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): (
            [plain(rule) for rule in one.get("rules", ())],
            one.get("roleRef"),
            one.get("subjects"),
        )
        for one in objects
        if one and one["kind"] in kinds
    }


REFUSED = {
    "a second replica without PostgreSQL": (["replicaCount=2"], ["/postgresql/existingSecret", "/replicaCount"]),
    "acting without a memory": (["dryRun=false", "persistence.enabled=false"], ["/persistence/enabled", "/dryRun"]),
    "a misspelt value": (["dryrun=false"], ["'dryrun' not allowed"]),
    "a mode beside the chart's": (["settings.mode=enforce"], ["/settings/mode", "what dryRun and mode"]),
    "no URL": (["prometheus.url=prometheus:9090"], ["/prometheus/url", "does not match"]),
    "namespaced nowhere": (["namespaced.enabled=true"], ["/namespaced/namespaces"]),
    "a size in words": (["persistence.size=plenty"], ["/persistence/size"]),
    "a rule for everything": (
        ["rbac.roles[0].namespace=shop", "rbac.roles[0].rules[0].apiGroups={*}"],
        ["/rbac/roles/0/rules/0/apiGroups/0"],
    ),
    "a page that asks nobody": (["settings.web.authentication=false"], ["/settings/web/authentication"]),
    "roles of one that only looks": (
        [
            "dryRun=false",
            "mode=enforce",
            "rbac.roles[0].namespace=shop",
            "rbac.roles[0].rules[0].apiGroups={apps}",
            "rbac.roles[0].rules[0].resources={deployments}",
            "rbac.roles[0].rules[0].verbs={list}",
        ],
        ["rbac.roles were printed for mode dry-run", "--mode enforce --values"],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_values_are_refused_with_their_place(chart: Helm, what: str):
    sets, words = REFUSED[what]
    with pytest.raises(Refused) as caught:
        chart.template(*(word for one in sets for word in ("--set", one)))
    assert [word for word in words if word not in str(caught.value)] == []


# -- running -----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_an_install_decides_with_nothing_forbidden_and_bears_the_loss_of_a_right_s10(
    site: Site, capsys: pytest.CaptureFixture[str]
):
    site.plane.apply(deployment(site.target, "checkout", 4))
    site.gauges.set("demand", site.target, 330.0)
    values = site.values(scaling_policy(site.target, mode="dry-run"))
    began = time.monotonic()
    site.install(values)
    installed_s = time.monotonic() - began
    pod = site.start()
    site.until(lambda: decisions(site, pod), "the first decision")
    decided_s = time.monotonic() - began
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        http = pod.container[probe]["httpGet"]
        site.until(lambda: page(pod.port(http["port"]), http["path"])[0] == 200, probe)  # noqa: B023  # asked at once
    found = decisions(site, pod)
    assert {one["after"] for one in found if one["verdict"] == "allow"} == {7}
    assert denied(site.asked()) == []
    with capsys.disabled():
        print(f"\ninstalled in {installed_s:.1f} s, first decision {decided_s:.1f} s after the install began")
        print(f"resident {resident_mb(pod):.0f} MB")
    # what it may not read any more it says, and holds; what it had it keeps
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.target}/roles/aiops:{site.release}:aiops"
    whole = site.plane.api("GET", role)["rules"]
    site.plane.patch(role, {"rules": [one for one in whole if "pods" not in one["resources"]]})
    site.until(lambda: [one for one in decisions(site, pod) if one["reason"] == "no_permission"], "a hold", 120)
    kept = {one["id"] for one in found}
    assert kept <= {one["id"] for one in decisions(site, pod)}
    assert "aiops rbac" in page(pod.port("metrics"), "/readyz")[1]
    site.plane.patch(role, {"rules": whole})
    site.until(lambda: decisions(site, pod)[0]["reason"] != "no_permission", "it to go on", 60)
    grace_s = pod.pod["spec"]["terminationGracePeriodSeconds"]
    assert pod.process.term(within_s=grace_s) == 0


@pytest.mark.timeout(300)
def test_a_release_of_some_namespaces_alone_asks_for_nothing_of_the_cluster_s10(site: Site):
    site.plane.apply(deployment(site.target, "checkout", 4))
    site.gauges.set("demand", site.target, 330.0)
    own = {"enabled": True, "namespaces": [site.target]}
    site.install(site.values(scaling_policy(site.target), mode="enforce", namespaced=own))
    everywhere = site.plane.api("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles")["items"]
    assert [one["metadata"]["name"] for one in everywhere if site.release in one["metadata"]["name"]] == []
    # the namespace counts as opted in, by the values alone
    site.plane.patch(f"/api/v1/namespaces/{site.target}", {"metadata": {"labels": {"policy.aiops/managed": None}}})
    pod = site.start()
    path = f"/apis/apps/v1/namespaces/{site.target}/deployments/checkout"
    site.until(lambda: site.plane.api("GET", path)["spec"]["replicas"] == 7, "7 replicas")
    site.until(lambda: page(pod.port("metrics"), "/readyz")[0] == 200, "it to be ready")
    asked = site.asked()
    assert denied(asked) == []
    assert {one.namespace for one in asked if one.resource} <= {site.target, site.release}
    examined = site.exec(pod, "doctor", "--only", "kubernetes")
    assert [one["what"] for one in examined["checks"] if one["status"] == "fail"] == []


# -- its end -----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_before_it_is_uninstalled_all_that_stands_is_handed_back_s9(
    site: Site, emulated: Emulated, aggregated: Callable[[Emulated], None]
):
    checkout, web = (deployment(site.target, name, replicas) for name, replicas in (("checkout", 4), ("web", 3)))
    site.plane.apply(checkout, web, hpa(site.target, 80))
    emulated.start("checkout")
    aggregated(emulated)
    emulated.load(100.0)  # a floor goes down only where the HPA beneath can scale
    site.gauges.set("demand", site.target, 330.0)
    nights = sleeping(site.target)
    nights["spec"]["target"] = {"kinds": ["Deployment"], "every": True, "exclude": ["checkout"], "maxTargets": 10}
    site.install(site.values(scaling_policy(site.target, lever="hpa-floor"), nights, mode="enforce"))
    site.start()
    floor = f"/apis/autoscaling/v2/namespaces/{site.target}/horizontalpodautoscalers/checkout"
    sleeper = f"/apis/apps/v1/namespaces/{site.target}/deployments/web"

    def stands() -> tuple[int, int]:
        spec = site.plane.api("GET", floor)["spec"]
        return int(spec["minReplicas"]), int(site.plane.api("GET", sleeper)["spec"]["replicas"])

    site.until(lambda: stands() == (7, 0), "a floor of 7, and web to sleep", 90)
    ended = site.run_hooks()
    assert [(name, code) for name, code, _ in ended] == [("aiops-uninstall-halt", 0), ("aiops-uninstall", 0)], ended
    assert stands() == (2, 3)
    assert "2 handed back; nothing is left" in ended[1][2]
    notes = [site.plane.api("GET", path)["metadata"].get("annotations") or {} for path in (floor, sleeper)]
    assert [key for one in notes for key in one if key in (RESTORE, RECORD, MARK)] == []
    assert denied(site.asked()) == []
    site.helm("uninstall", "aiops", "-n", site.release, "--no-hooks", kubeconfig=site.plane.kubeconfig())
    left = site.plane.api("GET", f"/api/v1/namespaces/{site.release}/persistentvolumeclaims")["items"]
    assert [one["metadata"]["name"] for one in left] == ["aiops"]


@pytest.mark.timeout(300)
def test_what_cannot_be_handed_back_stops_the_uninstall_and_is_named_s9(site: Site):
    site.plane.apply(deployment(site.target, "web", 3))
    site.install(site.values(sleeping(site.target), mode="enforce", uninstall={"within": "5s"}))
    site.start()
    path = f"/apis/apps/v1/namespaces/{site.target}/deployments/web"
    site.until(lambda: site.plane.api("GET", path)["spec"]["replicas"] == 0, "web to sleep", 60)
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.target}/roles/aiops:{site.release}:aiops:plans"
    whole = site.plane.api("GET", role)["rules"]
    site.plane.patch(role, {"rules": [one for one in whole if "patch" not in one["verbs"]]})
    ended = site.run_hooks()
    assert [code for _, code, _ in ended] == [0, 1]
    assert f"Deployment {site.target}/web" in ended[1][2].partition("LEFT")[2], ended[1][2]
    assert site.plane.api("GET", path)["spec"]["replicas"] == 0
    # nothing is lost: with the right given back it is done, here by what goes before a switch back to dryRun
    site.plane.patch(role, {"rules": whole})
    assert site.hooks_of_upgrade() == []
    ended = site.run_hooks(site.hooks_of_upgrade("--set", "dryRun=true", "--set", "uninstall.within=60s"))
    assert [(name, code) for name, code, _ in ended] == [("aiops-handback-halt", 0), ("aiops-handback", 0)], ended
    assert site.plane.api("GET", path)["spec"]["replicas"] == 3
    site.install(site.values(sleeping(site.target)), "--no-hooks")  # nobody here would run their Jobs once more
    assert site.hooks_of_upgrade("--set", "dryRun=true") == []


# -- several replicas --------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_replicas_share_a_postgresql_one_leads_and_hands_back_for_the_uninstall_s6_s9(
    site: Site, postgres: PostgresServer
):
    url = postgres.create(site.release).replace("postgresql://", "postgresql+psycopg://")
    site.plane.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "store", "namespace": site.release},
            "stringData": {"url": url},
        }
    )
    site.plane.apply(deployment(site.target, "web", 3))
    more = {"replicaCount": 2, "postgresql": {"existingSecret": "store"}}
    site.install(site.values(sleeping(site.target), mode="enforce", **more))
    budget = site.plane.api("GET", f"/apis/policy/v1/namespaces/{site.release}/poddisruptionbudgets/aiops")
    assert budget["spec"]["maxUnavailable"] == 1
    first, second = site.until(lambda: len(found := site.pods()) == 2 and found, "two pods")
    leader = site.start(first)
    path = f"/apis/apps/v1/namespaces/{site.target}/deployments/web"
    site.until(lambda: site.plane.api("GET", path)["spec"]["replicas"] == 0, "web to sleep", 60)
    # both pods are given the same ports, and this machine has one network
    leader.process.kill9()
    successor = site.start(second)
    site.until(lambda: "took_over" in successor.process.log.read_text(), "the other to take over", 60)
    ended = site.run_hooks()
    assert [(name, code) for name, code, _ in ended] == [("aiops-uninstall", 0)], ended
    assert site.plane.api("GET", path)["spec"]["replicas"] == 3
    assert successor.process.poll() is None
    assert denied(site.asked()) == []
