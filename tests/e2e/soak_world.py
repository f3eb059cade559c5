"""The world of a soak: two replicas of the daemon, five workloads under a load, and every door to disturb them."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.emulator import (
    Addresses,
    EmulatorClient,
    EmulatorConfig,
    apiservice_objects,
    permission_objects,
    server_names,
)
from tests.e2e.cluster import ControlPlane
from tests.e2e.conftest import deployment
from tests.e2e.emulated import hpa
from tests.e2e.postgres import PostgresServer
from tests.e2e.processes import Process, eventually
from tests.e2e.proxy import FaultProxy
from tests.e2e.rig import ROOT, SERVICE_NAMESPACE, Daemon, Gauges, Rig, scaling_policy
from tests.e2e.soak_schedule import REPLICAS, Names
from tests.integration.prometheus_server import running_prometheus

GAUGED = ("cart", "search")
EMULATED = ("payments", "checkout", "catalog")
FLOORS = ("checkout", "catalog")
NAMES = Names(scaled=(*GAUGED, "payments"), floors=FLOORS)
CAPACITY_RPS, PER_REPLICA_RPS = 50.0, 35.0
LEAST, MOST = 2, 20
RESTART_S = 2.0
TOKEN_S = 4 * 3600
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{SERVICE_NAMESPACE}/leases"


@dataclass(kw_only=True)
class World:
    """What there is. denied: from when till when refusals are expected. exits: daemons that ended by themselves."""

    rig: Rig
    postgres: PostgresServer
    metrics: FaultProxy
    emulator: EmulatorClient
    proxies: dict[str, FaultProxy]
    token: str = ""
    daemons: dict[str, Daemon] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    denied: list[tuple[float, float]] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    roles: list[dict[str, Any]] = field(default_factory=list)
    needed: dict[str, int] = field(default_factory=dict)
    store_is_up: bool = True
    _gone: dict[str, float] = field(default_factory=dict)

    # -- doors -------------------------------------------------------------------------------------------

    @property
    def plane(self) -> ControlPlane:
        return self.rig.plane

    @property
    def namespace(self) -> str:
        return self.rig.namespace

    @property
    def lease_path(self) -> str:
        return f"{LEASES}/{self.rig.lease['name']}"

    def path(self, name: str) -> str:
        """Return the path of a Deployment."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}"

    def hpa_path(self, name: str) -> str:
        """Return the path of an HPA."""
        return f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers/{name}"

    def holder(self) -> str:
        """Return which replica holds the Lease, '' for none that runs."""
        found = (self.plane.find(self.lease_path) or {}).get("spec") or {}
        match = re.search(r"_(\d+)_", str(found.get("holderIdentity", "")))
        pids = {one.process.pid: name for name, one in self.daemons.items() if one.process.poll() is None}
        return pids.get(int(match[1]), "") if match else ""

    def replica(self, who: str) -> str:
        """Return the replica that is meant, the leader of now included."""
        if who in REPLICAS:
            return who
        try:
            return self.holder() or REPLICAS[0]
        except OSError:
            return REPLICAS[0]

    def aiops(self, *words: str) -> str:
        """Run the command line as people do, with a replica's own settings."""
        config = sorted(self.rig.folder.glob("a-*.yaml"))[0]
        return self.rig.aiops("--config", str(config), *words)

    # -- replicas ------------------------------------------------------------------------------------------

    def start(self, who: str) -> None:
        """Start a replica, or start it again."""
        kubeconfig = self.rig.kubeconfig(server=self.proxies[who].url, token=self.token)
        # checkpoints soon and often, so that what they need is there while a process warms up
        models = {"checkpoint": str(self.rig.folder / f"models-{who}.npz"), "every": "60s"}
        self.daemons[who] = self.rig.daemon(who, kubeconfig=kubeconfig, models=models)
        self.killed.discard(who)

    def kill(self, who: str) -> None:
        """Kill a replica; nobody starts it again until `start`."""
        self.killed.add(who)
        process = self.daemons[who].process
        if process.poll() is None:
            process.kill9()

    def look_after(self, now: float) -> None:
        """Start again what ended by itself, as a kubelet does, and take note of it."""
        for who, daemon in list(self.daemons.items()):
            code = daemon.process.poll()
            if code is None or who in self.killed:
                continue
            if who not in self._gone:
                self._gone[who] = now
                fatal = [str(line.get("error")) for line in daemon.events("fatal")] or daemon.process.tail(1).split(
                    "\n"
                )[-1:]
                self.exits.append(f"{who} ended with {code}: {fatal[-1]}")
            elif now - self._gone[who] >= RESTART_S:
                del self._gone[who]
                self.start(who)

    # -- policies and workloads ------------------------------------------------------------------------------

    def write_policies(self, lowered: str = "", *, grant: bool = False) -> None:
        """Write the policies, the mode of one lowered to dry-run; a file takes the place of the other at once."""
        documents = [self._policy(name, "dry-run" if name == lowered else "enforce") for name in NAMES.every]
        made = self.rig.policies.parent / "policies.new"
        made.write_text("\n---\n".join(json.dumps(one) for one in documents))
        made.replace(self.rig.policies / "policies.yaml")
        if grant:
            self.roles = self.rig.grant()

    def _policy(self, name: str, mode: str) -> dict[str, Any]:
        query = f'sum(demand{{ns="{self.namespace}-{name}"}})'
        if name not in GAUGED:
            query = f'sum(rate(http_requests_total{{namespace="{self.namespace}",service="{name}"}}[10s]))'
        changes: dict[str, Any] = {
            "mode": mode,
            "signals": {"demand": {"query": query, "unit": "req/s", "maxAge": "6s"}},
            "objective": {"demand": "demand", "perReplica": PER_REPLICA_RPS},
            "bounds": {"minReplicas": LEAST, "maxReplicas": MOST},
            "manualOverride": "15s",
            "verify": {"within": "15s"},
        }
        if name in FLOORS:
            changes["lever"] = "hpa-floor"
        made = scaling_policy(self.namespace, name, **changes)
        for rules in made["spec"]["behavior"].values():
            rules["tolerance"] = 0  # so that there is one number that it wants
        return made

    def deploy(self, name: str) -> None:
        """Make a Deployment."""
        self.plane.apply(deployment(self.namespace, name, 3))

    def load(self, name: str, replicas: int) -> None:
        """Let a workload need so many replicas: half a replica's load less than they carry."""
        self.needed[name] = replicas
        rps = PER_REPLICA_RPS * (replicas - 0.5)
        if name in GAUGED:
            self.rig.gauges.set("demand", f"{self.namespace}-{name}", rps)
        else:
            self.emulator.load(self.namespace, name, rps)

    def astray(self) -> list[str]:
        """Return which workloads do not stand where their policies want them."""
        found = []
        for name in NAMES.every:
            wanted = min(max(self.needed[name], LEAST), MOST)
            replicas = self.rig.replicas(self.path(name))
            if name in FLOORS:
                floor = int(self.plane.api("GET", self.hpa_path(name))["spec"]["minReplicas"])
                if floor != wanted or replicas < floor:
                    found.append(f"{name} has a floor of {floor} and {replicas} replicas, its policy wants {wanted}")
            elif replicas != wanted:
                found.append(f"{name} has {replicas} replicas, its policy wants {wanted}")
        return found


# -- how it is made ----------------------------------------------------------------------------------------


@contextmanager
def world(plane: ControlPlane, postgres: PostgresServer, folder: Path, namespace: str) -> Iterator[World]:
    """Yield a world in a namespace of its own, under its loads but without faults; all is ended after it."""
    with ExitStack() as stack:
        labels = {"policy.aiops/managed": "true"}
        plane.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVICE_NAMESPACE}},
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
        )
        for name in NAMES.every:
            plane.apply(deployment(namespace, name, 3))
        emulator = stack.enter_context(_emulator(plane, folder, namespace))
        gauges = Gauges()
        stack.callback(gauges.stop)
        targets = "', '".join((gauges.address, emulator.addresses.metrics))
        (folder / "prometheus").mkdir()
        prometheus = stack.enter_context(running_prometheus(folder / "prometheus", targets))
        metrics = stack.enter_context(FaultProxy(prometheus))
        rig = Rig(plane=plane, namespace=namespace, folder=folder, prometheus=metrics.url, gauges=gauges)
        rig.shared_store = postgres.create(namespace)
        stack.callback(rig.stop)
        proxies = {}
        for who in REPLICAS:
            pair = plane.authority.issue(f"proxy-{namespace}-{who}")
            proxy = FaultProxy(plane.url, cert=pair.cert, key=pair.key, upstream_ca=plane.ca)
            proxies[who] = stack.enter_context(proxy)
        made = World(rig=rig, postgres=postgres, metrics=metrics, emulator=emulator, proxies=proxies)
        made.write_policies(grant=True)
        made.token = plane.token(SERVICE_NAMESPACE, "aiops", TOKEN_S)
        plane.apply(*(hpa(namespace, 70, name, LEAST, MOST) for name in FLOORS))
        yield made


@contextmanager
def _emulator(plane: ControlPlane, folder: Path, namespace: str) -> Iterator[EmulatorClient]:
    """Yield an emulator that stands behind metrics.k8s.io."""
    pair = plane.authority.issue(f"emulator-{namespace}", names=server_names())
    config = {
        "kubernetes": {"kubeconfig": str(plane.kubeconfig("emulator"))},
        "tls": {"certificate": str(pair.cert), "key": str(pair.key), "clientCa": str(plane.ca)},
        "step": "500ms",
        "window": "5s",
        "workloads": [
            {"namespace": namespace, "service": name, "selector": f"app={name}", "capacity": CAPACITY_RPS}
            for name in EMULATED
        ],
    }
    plane.apply(*permission_objects(EmulatorConfig.model_validate(config), {"kind": "User", "name": "emulator"}))
    path = folder / "emulator.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "simulators.emulator", "--config", str(path)]
    with Process(command, log=folder / "emulator.log", cwd=ROOT) as process:
        said: Mapping[str, Any] = eventually(process.log_lines, 20.0, "the emulator's addresses", process)[0]
        client = EmulatorClient(Addresses(**said))
        eventually(client.ready, 20.0, "the pods to be known", process)
        address = client.addresses.kubernetes_metrics
        assert address is not None
        made = apiservice_objects(int(address.rpartition(":")[2]), plane.ca.read_text())
        plane.apply(*made)
        try:
            yield client
        finally:
            for one in reversed(made):
                plane.delete(plane.path_of(one), wait=False)
            client.close()


def settled(made: World, within_s: float) -> list[str]:
    """Return what is not in order a while after the last fault: nothing, if all is well."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            wrong = made.astray() + ([] if made.holder() else ["nobody that runs holds the Lease"])
        except OSError as err:
            wrong = [f"the API server does not answer: {err}"]
        if not wrong or time.monotonic() > deadline:
            return wrong
        made.look_after(time.monotonic())
        time.sleep(0.5)
