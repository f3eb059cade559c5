"""A release of the chart on a real control plane: Helm, the values that people write, and the pods that come of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aiops.adapters.store import Asked, Store
from tests.commands import printed
from tests.e2e.audit import AuditEvent, AuditLog
from tests.e2e.cluster import ControlPlane
from tests.e2e.pod import Node, PodProcess
from tests.e2e.processes import eventually
from tests.e2e.rig import Gauges
from tests.integration.prometheus_server import free_port

ROOT = Path(__file__).parents[2]
CHART = ROOT / "config/deploy/chart"
SETTINGS = {"step": "1s", "prometheus": {"jitter": "0s", "timeout": "2s", "retries": 0}}
LEASE = {"duration": "4s", "renew": "2500ms", "retry": "400ms"}


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
    release: str
    target: str
    folder: Path
    prometheus: str = ""
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
        roles = yaml.safe_load(printed(*words)) if files else {}
        ports = {"web": {"enabled": True, "port": free_port()}, "telemetry": {"port": free_port()}}
        made = {
            "dryRun": mode == "dry-run",
            "mode": mode if mode != "dry-run" else "approve",
            "prometheus": {"url": self.prometheus},
            "settings": {**SETTINGS, "lease": LEASE, "promotion": "file"},
            **ports,
            **roles,
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

    def exec(self, pod: PodProcess, *words: str) -> Any:
        """Run the command line as `kubectl exec` does: with the pod's files, rights and environment."""
        container = {**pod.container, "args": ["-o", "json", *words]}
        other = self.node.run({**pod.pod, "spec": {**pod.pod["spec"], "containers": [container]}})
        other.process.popen.wait(60)
        return json.loads(other.process.log.read_text())

    def hooks(self) -> list[dict[str, Any]]:
        """Return what Helm does before it removes anything, in its order."""
        return _in_order(self.helm("get", "hooks", "aiops", "-n", self.release, kubeconfig=self.plane.kubeconfig()))

    def hooks_of_upgrade(self, *words: str) -> list[dict[str, Any]]:
        """Return what Helm does before it upgrades to values that are changed by these words, in its order."""
        command = ("upgrade", "aiops", str(CHART), "-n", self.release, "--reuse-values", "--dry-run=server", *words)
        text = self.helm(*command, kubeconfig=self.plane.kubeconfig())
        hooks = _in_order(text.partition("\nHOOKS:\n")[2].partition("MANIFEST:\n")[0])
        return [one for one in hooks if one["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"]

    def run_hooks(self, hooks: Sequence[Mapping[str, Any]] | None = None) -> list[tuple[str, int, str]]:
        """Do what Helm and the kubelets do: make each hook's objects, and run its Job to its end before the next.

        Return name, exit code and output of each Job; one that fails ends it.
        """
        ended = []
        for hook in self.hooks() if hooks is None else hooks:
            self.plane.apply(hook)
            if hook["kind"] != "Job":
                continue
            name = str(hook["metadata"]["name"])
            pod = self.until(lambda: self.pods(f"batch.kubernetes.io/job-name={name}"), "the Job's pod")[0]  # noqa: B023
            job = self.start(pod)
            self.until(lambda: self._gone() or job.process.poll() is not None, f"{name} to end", 120)  # noqa: B023
            ended.append((name, int(job.process.poll() or 0), job.process.log.read_text()))
            if ended[-1][1]:
                break
        return ended

    def _gone(self) -> None:
        """End processes whose pods were deleted, as kubelets do."""
        path = f"/api/v1/namespaces/{self.release}/pods"
        there = {
            one["metadata"]["uid"]
            for one in self.plane.api("GET", path)["items"]
            if "deletionTimestamp" not in one["metadata"]
        }
        for one in self.running:
            if one.process.poll() is None and one.pod["metadata"]["uid"] not in there:
                one.process.term(60)

    def stop(self) -> None:
        for one in self.running:
            one.process.end()


def _in_order(text: str) -> list[dict[str, Any]]:
    found = [one for one in yaml.safe_load_all(text) if one]
    return sorted(found, key=lambda one: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]))


@contextmanager
def installing(plane: ControlPlane, chart: Helm, target: str, folder: Path, gauges: Gauges) -> Iterator[Site]:
    """Yield a site beside the target's namespace."""
    release = f"install-{target}"
    labels = {f"pod-security.kubernetes.io/{one}": "restricted" for one in ("enforce", "warn")}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release, "labels": labels}})
    node = Node(plane, folder / "node")
    made = Site(plane=plane, helm=chart, node=node, gauges=gauges, release=release, target=target, folder=folder)
    try:
        yield made
    finally:
        made.stop()
        config = plane.kubeconfig()
        if "aiops" in chart("list", "-q", "-a", "-n", release, kubeconfig=config):
            chart("uninstall", "aiops", "-n", release, "--no-hooks", kubeconfig=config)
        plane.delete(f"/api/v1/namespaces/{release}", wait=False)


def decisions(site: Site, pod: PodProcess) -> list[dict[str, Any]]:
    """Return decisions, newest first, out of the store on the pod's volume."""
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
