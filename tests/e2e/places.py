"""Two sites and a witness, each a real API server with a Prometheus of its own.

The API servers are bare: Deployments have the pods that the test makes. Users are gauges that the test sets, as each of
the three Prometheus servers sees them. All tests share the servers; each begins by making everything on them anew.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aiops.adapters.store import Asked, Store
from aiops.core.model import Plan
from tests.commands import printed
from tests.e2e import gateway
from tests.e2e.cluster import ControlPlane
from tests.e2e.processes import FakeClock, Process, eventually
from tests.e2e.rig import LEASE, ROOT, Gauges
from tests.integration.prometheus_server import free_port, running_prometheus

PLACES = ("edge", "west", "north")
SITES = ("west", "north")
ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/edge/httproutes/storefront"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/storefront"
PODS = "/api/v1/namespaces/shop/pods"
THE_LEASE = "/apis/coordination.k8s.io/v1/namespaces/edge/leases/aiops"
KEY = "FailoverPolicy/shop/storefront"
AGE_STEP_S, AGE_STEPS = 147.0, 4
"""No policy takes so long a step for a gap whose `maxAge` is that of `Places.aging`."""

TURNS = ("tick", "plans")
"""What a daemon logs of its turns, those between two ticks included."""

World = tuple[dict[str, ControlPlane], dict[str, Gauges], dict[str, str]]


def policy(**changes: Any) -> dict[str, Any]:
    """Return the policy of the group: quick to tell, for a test."""
    spec: dict[str, Any] = {
        "mode": "enforce",
        "primary": "west",
        "witness": "edge",
        "sites": [
            {
                "name": site,
                "cluster": site,
                "region": f"eu-{site}",
                "backend": f"storefront-{site}",
                "target": {"kind": "Deployment", "name": "storefront"},
                "standby": {"replicas": 3},
            }
            for site in SITES
        ],
        "traffic": {"lever": "http-route", "cluster": "edge", "namespace": "edge", "name": "storefront"},
        "health": {
            "users": {
                "query": 'max(failing{ns="$(site.name)"})',
                "volume": 'max(asked{ns="$(site.name)"})',
                "window": "2s",
                "maxAge": "10s",
            },
            "vantagePoints": [
                {"name": "edge", "source": "edge"},
                *({"name": site, "source": site, "site": site} for site in SITES),
            ],
            "quorum": 2,
            "failFor": "5s",
            "wellFor": "60s",
        },
        "shift": {"steps": [50, 100], "pause": "4s"},
        "failback": {"automatic": False, "after": "300s", "steps": [50, 100], "pause": "3s"},
    }
    spec.update(changes)
    metadata = {"name": "storefront", "namespace": "shop"}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "FailoverPolicy", "metadata": metadata, "spec": spec}


@dataclass
class Places:
    """The three places, and what users see of the sites from each."""

    planes: dict[str, ControlPlane]
    gauges: dict[str, Gauges]
    prometheus: dict[str, str]
    folder: Path
    daemons: list[Process] = field(default_factory=list)
    clock: FakeClock | None = None
    series: str = ""

    # -- the world -----------------------------------------------------------------------------------------

    def users(self, site: str, failing: float, points: tuple[str, ...] = PLACES) -> None:
        """Let a share of a site's users fail, as seen from some places."""
        for point in points:
            self.gauges[point].set("failing", f"{site}{self.series}", failing)
            self.gauges[point].set("asked", f"{site}{self.series}", 50.0)

    def aging(self) -> dict[str, Any]:
        """Give the daemon a clock of its own, and return how it asks for users' health.

        It asks for series that no other test does: what is told of them is later than a test after this one.
        """
        self.clock, self.series = FakeClock(self.folder / "clock"), f"-{self.folder.name}"
        health = policy()["spec"]["health"]
        users = {
            "query": f'max(failing{{ns="$(site.name){self.series}"}})',
            "volume": f'max(asked{{ns="$(site.name){self.series}"}})',
            "maxAge": f"{AGE_STEP_S + 30.0:.0f}s",
        }
        return {**health, "users": {**health["users"], **users}}

    def age(self, done: Callable[[], bool]) -> None:
        """Let time go by for the daemon and for what it asks of users until something is so: less than 600 s in all."""
        assert self.clock is not None, "the daemon has no clock of its own"
        daemon = self.daemons[-1]
        for number in range(1, AGE_STEPS + 1):
            if done():
                return
            for gauges in self.gauges.values():
                gauges.ahead_s = number * AGE_STEP_S
            self.clock.step(number * AGE_STEP_S)

            def turned(number: int = number) -> bool:
                events = [one.get("event") for one in daemon.log_lines()]
                at = [line for line, event in enumerate(events) if event == "clock_stepped"]
                # the first may have begun before it
                return len(at) >= number and sum(one in TURNS for one in events[at[number - 1] :]) > 1

            self.until(turned, f"turns {number * AGE_STEP_S:.0f} s later")

    def ready(self, site: str, count: int) -> None:
        """Let so many pods of the Deployment be ready."""
        plane = self.planes[site]
        for number in range(count):
            path = f"{PODS}/storefront-{number}"
            if plane.find(path) is None:
                plane.apply(_pod(number))
            condition = {"type": "Ready", "status": "True"}
            plane.api(
                "PATCH",
                f"{path}/status",
                {"status": {"phase": "Running", "conditions": [condition]}},
                "application/merge-patch+json",
            )

    def begin(self, north: int, serves: str = "west", **changes: Any) -> None:
        """Make everything anew, whatever another test has left: one site serves, and both are well.

        north: so many pods are ready there, of two that are wanted; three of three are in west.
        """
        for gauges in self.gauges.values():
            gauges.clear()
        for site, wanted, ready in (("west", 3, 3), ("north", 2, north)):
            self.users(site, 0.0)
            plane = self.planes[site]
            plane.delete(DEPLOYMENT)
            for pod in plane.api("GET", PODS)["items"]:
                plane.delete(f"{PODS}/{pod['metadata']['name']}")
            plane.apply(_deployment(wanted))
            self.ready(site, ready)
        edge = self.planes["edge"]
        for path in (ROUTE, THE_LEASE):
            edge.delete(path)
        weights = {f"storefront-{site}": 100 if site == serves else 0 for site in SITES}
        edge.apply(gateway.http_route("edge", "storefront", weights))
        self.policy_file.parent.mkdir(exist_ok=True)
        self.policy_file.write_text(yaml.safe_dump(policy(**changes)))

    @property
    def policy_file(self) -> Path:
        return self.folder / "policies" / "failover.yaml"

    def replicas(self, site: str) -> int:
        """Return how many replicas are wanted at a site."""
        return int(self.planes[site].api("GET", DEPLOYMENT)["spec"]["replicas"])

    @contextlib.contextmanager
    def api_away(self, site: str) -> Iterator[None]:
        """Let a site's API server be dead for a while."""
        plane = self.planes[site]
        plane.down("kube-apiserver", signal.SIGKILL)
        try:
            yield
        finally:
            plane.up("kube-apiserver")
            plane.wait_for_api()

    @property
    def weights(self) -> tuple[int, int]:
        """Return what goes to west and to north."""
        refs = self.planes["edge"].api("GET", ROUTE)["spec"]["rules"][0]["backendRefs"]
        known = {one["name"]: one["weight"] for one in refs}
        return known["storefront-west"], known["storefront-north"]

    @property
    def moves(self) -> int:
        """Return how often traffic was moved since the beginning: the API server counts changes of a spec."""
        return int(self.planes["edge"].api("GET", ROUTE)["metadata"]["generation"]) - 1

    # -- the daemon ----------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        return self.folder / "aiops.yaml"

    def daemon(self, **changes: Any) -> Process:
        """Start the daemon. changes: settings in place of the usual ones."""
        quick = {"jitter": "0s", "timeout": "2s", "retries": 0}
        self.config.write_text(
            json.dumps(
                {
                    "mode": "enforce",
                    "promotion": "file",
                    "policies": [str(self.folder / "policies")],
                    "step": "5s",
                    "lane": "1s",
                    "prometheus": {"url": self.prometheus["edge"], **quick},
                    "sources": {name: {"url": url, **quick} for name, url in self.prometheus.items()},
                    "clusters": {name: {"kubeconfig": str(one.kubeconfig())} for name, one in self.planes.items()},
                    "store": {"url": f"sqlite:///{self.folder / 'aiops.db'}"},
                    "models": {"checkpoint": str(self.folder / "models.npz")},
                    "lease": {**LEASE, "enabled": True, "cluster": "edge", "namespace": "edge", "name": "aiops"},
                    "telemetry": {"port": free_port()},
                    "web": {"enabled": False},
                    "log": {"format": "json"},
                    **changes,
                }
            )
        )
        log = self.folder / f"daemon-{len(self.daemons)}.log"
        command = [sys.executable, "-m", "aiops", "run", "--config", str(self.config)]
        environment: dict[str, str] = {}
        if self.clock is not None:
            command, environment = self.clock.wrap(command)
        self.daemons.append(Process(command, log=log, cwd=ROOT, environment=environment))
        return self.daemons[-1]

    def aiops(self, *words: str) -> str:
        """Run the command line, and return what it prints."""
        return printed("--config", str(self.config), *words)

    def until(self, look: Any, what: str, within_s: float = 120.0) -> Any:
        return eventually(look, within_s, what, *self.daemons[-1:])

    def sentences(self) -> list[str]:
        """Return what the newest daemon said of each ordinary turn."""
        lines = self.daemons[-1].log_lines()
        return [str(line["sentence"]) for line in lines if line.get("event") == "tick"]

    def plans(self) -> tuple[Plan, ...]:
        """Return the plans, newest first."""
        with contextlib.closing(Store.existing(f"sqlite:///{self.folder / 'aiops.db'}")) as store:
            return store.plans.every()

    def reasons(self) -> set[str]:
        """Return the reasons that decisions of the group had."""
        with contextlib.closing(Store.existing(f"sqlite:///{self.folder / 'aiops.db'}")) as store:
            return {one["reason"] for one in store.reader.decisions(Asked(limit=1000, policy=KEY))}

    def steady(self) -> None:
        """Wait until the daemon knows that west serves."""

        def looked() -> bool:
            with contextlib.closing(Store.existing(f"sqlite:///{self.folder / 'aiops.db'}")) as store:
                return bool(store.reader.decisions(Asked(limit=10, policy=KEY, verdict="steady")))

        # whoever opens a store makes its tables: the daemon has, once it has turned
        self.until(lambda: self.sentences() and looked(), "west to be known to be well", 180.0)

    def end(self) -> None:
        for one in self.daemons:
            one.end()


def _pod(number: int) -> dict[str, Any]:
    metadata = {"name": f"storefront-{number}", "namespace": "shop", "labels": {"app": "storefront"}}
    spec = {"containers": [{"name": "app", "image": "app"}], "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _deployment(replicas: int) -> dict[str, Any]:
    labels = {"app": "storefront"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "storefront", "namespace": "shop"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _namespace(name: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"policy.aiops/managed": "true"}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _furnish(name: str, plane: ControlPlane) -> None:
    if name == "edge":
        plane.apply(_namespace("edge"))
        gateway.install(plane)
        return
    plane.apply(_namespace("shop"))
    plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "shop"}})


@contextlib.contextmanager
def three_places(folder: Callable[[str], Path]) -> Iterator[World]:
    """Yield three API servers and three Prometheus servers. folder: makes one by its name."""
    planes: dict[str, ControlPlane] = {}
    with contextlib.ExitStack() as stack:
        gauges, urls = {}, {}
        for name in PLACES:
            plane = planes[name] = ControlPlane(folder=folder(name), name=name, bare=True)
            stack.callback(plane.stop)
            plane.start()
            _furnish(name, plane)
            gauges[name] = Gauges()
            stack.callback(gauges[name].stop)
            urls[name] = stack.enter_context(running_prometheus(folder(f"prometheus-{name}"), gauges[name].address))
        yield planes, gauges, urls
