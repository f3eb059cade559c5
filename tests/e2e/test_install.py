"""Installing: the chart is rendered, refused, applied to a real API server, and its pods are run as they are given.

Helm is the real one, pods are admitted by the API server (Pod Security: restricted) and made by its controllers; what a
kubelet would start is started by tests/e2e/pod.py, so that every argument, file and right is the manifests' own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.audit import AuditEvent, AuditLog
from tests.e2e.binaries import Missing, helm
from tests.e2e.cluster import ControlPlane
from tests.e2e.conftest import deployment
from tests.e2e.grants import denied
from tests.e2e.pod import Node, PodProcess
from tests.e2e.processes import eventually
from tests.e2e.rig import Gauges, scaling_policy
from tests.integration.prometheus_server import free_port
from tests.loopback import page

ROOT = Path(__file__).parents[2]
CHART = ROOT / "config/deploy/chart"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
SETTINGS = {"step": "1s", "prometheus": {"jitter": "0s", "timeout": "2s", "retries": 0}}
LEASE = {"duration": "4s", "renew": "2500ms", "retry": "400ms"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="pods are laid out by a mount namespace, which needs root")


@pytest.fixture(scope="module")
def chart() -> Helm:
    """Helm, built once."""
    try:
        return Helm(helm())
    except Missing as err:
        pytest.skip(str(err))


@dataclass(frozen=True, slots=True)
class Helm:
    """The command. A call that fails raises `Refused` with what it said."""

    binary: Path

    def __call__(self, *words: str, kubeconfig: Path | None = None) -> str:
        config = ("--kubeconfig", str(kubeconfig)) if kubeconfig is not None else ()
        done = subprocess.run([str(self.binary), *words, *config], capture_output=True, text=True, timeout=120)
        if done.returncode:
            # Helm tells of each link that it follows
            said = "\n".join(one for one in done.stderr.splitlines() if "walk.go" not in one)
            raise Refused(said)
        return done.stdout

    def template(self, *words: str) -> list[dict[str, Any]]:
        """Return the objects of a release `aiops` in the namespace `aiops`."""
        text = self("template", "aiops", str(CHART), "-n", "aiops", *words)
        return [one for one in yaml.safe_load_all(text) if one]


class Refused(Exception):
    """Helm ended with an error."""


@dataclass(slots=True, kw_only=True)
class Site:
    """A namespace for the release, one for its target, and what they are installed with."""

    plane: ControlPlane
    helm: Helm
    node: Node
    gauges: Gauges
    prometheus: str
    release: str
    target: str
    folder: Path
    began: float = field(default_factory=time.time)
    running: list[PodProcess] = field(default_factory=list)

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.release}:aiops"

    def values(self, *policies: Mapping[str, Any], mode: str = "dry-run", **changes: Any) -> Path:
        """Write the values as a person would: what `aiops rbac --values` prints, and what differs."""
        for number, one in enumerate(policies):
            (self.folder / f"policy-{number}.yaml").write_text(yaml.safe_dump(dict(one)))
        namespaced = changes.get("namespaced", {}).get("enabled", False)
        local = {"in_cluster": True, "namespaced": namespaced}
        resources = {"enabled": True, "namespaces": changes.get("namespaced", {}).get("namespaces", [])}
        settings = {"mode": mode, "clusters": {"default": local}, "custom_resources": resources}
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(settings))
        files = sorted(map(str, self.folder.glob("policy-*.yaml")))
        words = ("--config", str(self.folder / "settings.yaml"), "rbac", "--values", *files)
        printed = yaml.safe_load(aiops(*words)) if files else {}
        ports = {"web": {"enabled": True, "port": free_port()}, "telemetry": {"port": free_port()}}
        made = {
            "dryRun": mode == "dry-run",
            "mode": mode if mode != "dry-run" else "approve",
            "prometheus": {"url": self.prometheus},
            "settings": {**SETTINGS, "lease": LEASE, "promotion": "file"},
            **ports,
            **printed,
            **changes,
        }
        file = self.folder / f"values-{len(list(self.folder.glob('values-*')))}.yaml"
        file.write_text(yaml.safe_dump(made))
        return file

    def install(self, values: Path, *words: str) -> None:
        """Install or upgrade the release."""
        config = self.plane.kubeconfig()
        command = ("upgrade", "--install", "aiops", str(CHART), "-n", self.release, "-f", str(values))
        self.helm(*command, *words, kubeconfig=config)

    def pods(self, selector: str = "app.kubernetes.io/component=daemon") -> list[dict[str, Any]]:
        """Return the pods that the controllers have made and the API server has admitted, newest first."""
        path = f"/api/v1/namespaces/{self.release}/pods?labelSelector={selector}"
        alive = [one for one in self.plane.api("GET", path)["items"] if "deletionTimestamp" not in one["metadata"]]
        return sorted(alive, key=lambda one: str(one["metadata"]["creationTimestamp"]), reverse=True)

    def start(self, pod: Mapping[str, Any] | None = None) -> PodProcess:
        """Run a pod; the newest one of the daemon without one."""
        if pod is None:
            pod = self.until(self.pods, "a pod that was admitted")[0]
        made = self.node.run(pod)
        self.running.append(made)
        return made

    def until(self, look: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
        return eventually(look, within_s, what, *(one.process for one in self.running))

    def asked(self) -> list[AuditEvent]:
        """Return what the daemon's account asked of the API server."""
        return [one for one in AuditLog(self.plane.audit_log, users=[self.user]).read() if one.at >= self.began]

    def stop(self) -> None:
        for one in self.running:
            one.process.end()


def aiops(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "aiops", *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def site(
    plane: ControlPlane, namespace: str, tmp_path: Path, prometheus: str, gauges: Gauges, chart: Helm
) -> Iterator[Site]:
    """An empty namespace under the strictest Pod Security, to install into; what was installed is gone afterwards."""
    release = f"install-{namespace}"
    labels = {f"pod-security.kubernetes.io/{one}": "restricted" for one in ("enforce", "warn")}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release, "labels": labels}})
    made = Site(
        plane=plane,
        helm=chart,
        node=Node(plane, tmp_path / "node"),
        gauges=gauges,
        prometheus=prometheus,
        release=release,
        target=namespace,
        folder=tmp_path,
    )
    yield made
    made.stop()
    if "aiops" in chart("list", "-q", "-a", "-n", release, kubeconfig=plane.kubeconfig()):
        chart("uninstall", "aiops", "-n", release, "--no-hooks", kubeconfig=plane.kubeconfig())
    plane.delete(f"/api/v1/namespaces/{release}", wait=False)


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
    printed = yaml.safe_load_all(aiops(*words, *(str(ROOT / "policies" / name) for name in names)))
    assert grants(chart.template("-f", str(shipped))) == grants(printed)


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


def decisions(site: Site, pod: PodProcess) -> list[dict[str, Any]]:
    """Return decisions, newest first, out of the store on the pod's volume."""
    from aiops.adapters.store import Asked, Store

    file = pod.volumes["data"] / "aiops.db"
    if not file.exists():
        return []
    store = Store.existing(f"sqlite:///{file}")
    try:
        return list(store.reader.decisions(Asked(limit=1000)))
    finally:
        store.close()


def resident_mb(pod: PodProcess) -> float:
    """Return the resident memory of a pod's process."""
    pages = int(Path(f"/proc/{pod.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
