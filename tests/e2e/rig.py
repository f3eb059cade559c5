"""A daemon as users run it: its own process from the command line, a ServiceAccount with the printed roles, a real
Prometheus, a store of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from aiops.adapters.kubernetes import instance_of
from aiops.adapters.store import Asked, Store
from aiops.core.model import Effect
from tests.commands import printed
from tests.e2e.audit import AuditEvent, AuditLog
from tests.e2e.cluster import ControlPlane
from tests.e2e.invariants import Evidence, violations
from tests.e2e.processes import Process, eventually
from tests.e2e.record import Record
from tests.integration.prometheus_server import free_port
from tests.loopback import page

ROOT = Path(__file__).parents[2]
SERVICE_NAMESPACE = "aiops"
EVERYWHERE = ("ClusterRole", "ClusterRoleBinding")
USER = f"system:serviceaccount:{SERVICE_NAMESPACE}:aiops"
LEASE = {"duration": "4s", "renew": "2500ms", "retry": "400ms"}
"""Shortened: renewals every 0.4 s, leadership for 2.5 s after the last, a successor after 4 s."""


class Gauges:
    """A `/metrics` that tests write: `demand{ns="..."}`, `latency{ns="..."}`. Bound to loopback.

    ahead_s: samples are of an instant so far ahead, for daemons under such a clock. Prometheus takes less than 600 s,
    and then nothing earlier of these series.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], float] = {}
        self.ahead_s = 0.0
        gauges = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                at = f" {(time.time() + gauges.ahead_s) * 1000.0:.0f}" if gauges.ahead_s else ""
                lines = [f'{name}{{ns="{ns}"}} {value}{at}' for (name, ns), value in dict(gauges._values).items()]
                body = ("\n".join(lines) + "\n").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def set(self, name: str, ns: str, value: float | None) -> None:
        """Show a value, or (None) take the series away."""
        if value is None:
            self._values.pop((name, ns), None)
        else:
            self._values[(name, ns)] = value

    def clear(self) -> None:
        """Take every series away; what comes is of now."""
        self._values.clear()
        self.ahead_s = 0.0

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def scaling_policy(namespace: str, name: str = "checkout", **changes: Any) -> dict[str, Any]:
    """Return a ScalingPolicy that reads the gauges: 50 req/s a replica, 2 to 20, quick windows."""
    spec: dict[str, Any] = {
        "mode": "enforce",
        "target": {"kind": "Deployment", "name": name},
        "signals": {"demand": {"query": f'sum(demand{{ns="{namespace}"}})', "unit": "req/s", "maxAge": "5s"}},
        "objective": {"demand": "demand", "perReplica": 50},
        "bounds": {"minReplicas": 2, "maxReplicas": 20},
        "behavior": {
            "scaleUp": {"policies": [{"type": "Pods", "value": 10, "periodSeconds": 1}]},
            "scaleDown": {
                "stabilizationWindowSeconds": 5,
                "policies": [{"type": "Pods", "value": 10, "periodSeconds": 1}],
            },
        },
        "limits": {"changesPerHour": 1000},
    }
    spec.update(changes)
    return {
        "apiVersion": "policy.aiops/v1alpha1",
        "kind": "ScalingPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


@dataclass(kw_only=True)
class Daemon:
    """One process of the daemon, and the doors to look into it."""

    process: Process
    folder: Path
    telemetry: int
    store_url: str

    def ready(self) -> tuple[int, str]:
        """Return the status and text of /readyz; status 0 when nobody answers."""
        return page(self.telemetry, "/readyz")

    def metrics(self) -> str:
        return page(self.telemetry, "/metrics")[1]

    def sentences(self) -> list[str]:
        """Return what each tick said."""
        return [str(line["sentence"]) for line in self.process.log_lines() if line.get("event") == "tick"]

    def events(self, event: str) -> list[Mapping[str, Any]]:
        """Return the log lines of an event."""
        return [line for line in self.process.log_lines() if line.get("event") == event]


@dataclass(kw_only=True)
class Rig:
    """Everything that one test of the daemon needs, in one namespace."""

    plane: ControlPlane
    namespace: str
    folder: Path
    prometheus: str
    gauges: Gauges
    daemons: list[Daemon] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    shared_store: str = ""
    everywhere: set[tuple[str, str]] = field(default_factory=set)

    # -- what the daemon is given ------------------------------------------------------------------------

    @property
    def policies(self) -> Path:
        folder = self.folder / "policies"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def lease(self) -> dict[str, str]:
        return {**LEASE, "name": f"lease-{self.namespace}"}

    @property
    def instance(self) -> str:
        """Return what the roles of this rig's daemons are named."""
        return instance_of(SERVICE_NAMESPACE, self.lease["name"])

    @property
    def store_url(self) -> str:
        return self.shared_store or f"sqlite:///{self.folder / 'aiops.db'}"

    def demand(self, value: float | None) -> None:
        """Show a demand from the next scrape on."""
        self.gauges.set("demand", self.namespace, value)

    def policy(self, *documents: Mapping[str, Any], grant: bool = True, file: str = "policies.yaml") -> None:
        """Write policies, and grant what `aiops rbac` prints for them."""
        (self.policies / file).write_text(yaml.safe_dump_all([dict(one) for one in documents]))
        if grant:
            self.grant()

    def grant(self, mode: str = "enforce") -> list[dict[str, Any]]:
        """Apply the roles that the command line prints, as a platform engineer would. mode: the daemon's."""
        config = self.folder / "rbac.yaml"
        config.write_text(json.dumps({"lease": self.lease, "mode": mode, "store": {"url": self.store_url}}))
        roles = self.aiops("--config", str(config), "rbac", str(self.policies))
        self.plane.kubectl("apply", "-f", "-", stdin=roles)
        made = [one for one in yaml.safe_load_all(roles) if one]
        self.everywhere |= {(one["kind"].lower(), one["metadata"]["name"]) for one in made if one["kind"] in EVERYWHERE}
        return made

    def kubeconfig(self, server: str = "", ca: Path | None = None, token: str = "") -> Path:
        """Return the kubeconfig of the daemon's ServiceAccount."""
        token = token or self.plane.token(SERVICE_NAMESPACE, "aiops")
        return self.plane.kubeconfig("aiops", token=token, server=server, ca=ca)

    def aiops(self, *words: str, code: int = 0) -> str:
        """Run the command line, and return what it prints."""
        return printed(*words, code=code)

    # -- the daemon ----------------------------------------------------------------------------------------

    def daemon(
        self, name: str = "a", *, kubeconfig: Path | None = None, module: str = "aiops", **changes: Any
    ) -> Daemon:
        """Start a daemon. changes: settings in place of the rig's, `environment` for its environment."""
        environment = changes.pop("environment", {})
        wrap: Callable[[list[str], dict[str, str]], tuple[list[str], dict[str, str]]] | None = changes.pop("wrap", None)
        telemetry = free_port()
        settings: dict[str, Any] = {
            "mode": "enforce",
            "promotion": "file",
            "policies": [str(self.policies)],
            "step": "1s",
            "prometheus": {"url": self.prometheus, "jitter": "0s", "timeout": "2s", "retries": 0},
            "clusters": {"default": {"kubeconfig": str(kubeconfig or self.kubeconfig())}},
            "store": {"url": self.store_url},
            "models": {"checkpoint": str(self.folder / f"models-{name}.npz")},
            "lease": self.lease,
            "telemetry": {"port": telemetry},
            "web": {"enabled": False},
            "log": {"format": "json"},
        }
        settings.update(changes)
        config = self.folder / f"{name}-{len(self.daemons)}.yaml"
        config.write_text(json.dumps(settings))
        command = [sys.executable, "-m", module, "run", "--config", str(config)]
        if wrap is not None:
            command, environment = wrap(command, environment)
        process = Process(command, log=config.with_suffix(".log"), environment=environment, cwd=ROOT)
        made = Daemon(process=process, folder=self.folder, telemetry=telemetry, store_url=str(settings["store"]["url"]))
        self.daemons.append(made)
        return made

    def stop(self) -> None:
        for one in self.daemons:
            one.process.end()
        # what a drain may do in the whole cluster, the account may do in other tests, too: it is theirs as well
        for kind, name in sorted(self.everywhere):
            self.plane.kubectl("delete", kind, name, "--ignore-not-found", "--wait=false")

    # -- what became of it -----------------------------------------------------------------------------------

    def replicas(self, path: str) -> int:
        return int(self.plane.api("GET", path)["spec"]["replicas"])

    def until(self, look: Callable[[], Any], what: str, within_s: float = 30.0) -> Any:
        """Return what `look` finds once it finds something; a failure shows the newest daemon's log."""
        return eventually(look, within_s, what, *(one.process for one in self.daemons))

    def audit(self, since: float | None = None) -> list[AuditEvent]:
        """Return what the daemon asked of the API server in this namespace and in its own, since the rig began."""
        start = self.began if since is None else since
        mine = {self.namespace, SERVICE_NAMESPACE, ""}
        found = AuditLog(self.plane.audit_log, users=[USER]).read()
        return [one for one in found if one.at >= start and one.namespace in mine]

    def writes(self, resource: str = "") -> list[AuditEvent]:
        """Return the daemon's writes to targets in this namespace, in their order."""
        found = [e for e in self.audit() if e.verb in ("patch", "update") and e.namespace == self.namespace]
        return [e for e in found if not resource or e.resource == resource]

    def check(self) -> None:
        """Hold the API server's record against the journal's: everything that must hold whatever happens."""
        events = [event for event in self.audit() if event.namespace == self.namespace]
        assert violations(Evidence(events=events, record=Record.of(self.store_url))) == []

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """Yield the store, to read."""
        store = Store.existing(self.store_url)
        try:
            yield store
        finally:
            store.close()

    def decisions(self, **asked: Any) -> list[dict[str, Any]]:
        """Return decisions from the store, newest first; none while there is no store."""
        if not self._begun():
            return []
        with self.store() as store:
            return list(store.reader.decisions(Asked(limit=1000, **asked)))

    def _begun(self) -> bool:
        file = self.store_url.removeprefix("sqlite:///")
        return not self.store_url.startswith("sqlite") or Path(file).exists()

    def actions(self) -> list[dict[str, Any]]:
        """Return actions from the store, newest first; none while there is no store."""
        if not self._begun():
            return []
        with self.store() as store:
            return list(store.reader.actions(1000))

    def effects(self) -> list[Effect]:
        """Return what the store says is to be handed back."""
        with self.store() as store:
            return list(store.reader.effects())
