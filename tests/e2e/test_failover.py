"""Two sites and a witness, each a real API server with a Prometheus of its own: users that fail are sent away (S8).

The API servers are bare: Deployments have the pods that the test makes. Users are gauges that the test sets, as each of
the three Prometheus servers sees them.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.store import Asked, Store
from aiops.core.model import Plan, PlanKind, PlanStatus
from tests.e2e import gateway
from tests.e2e.cluster import ControlPlane
from tests.e2e.processes import Process, eventually
from tests.e2e.rig import LEASE, ROOT, Gauges
from tests.integration.prometheus_server import free_port, running_prometheus

PLACES = ("edge", "west", "north")
SITES = ("west", "north")
ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/edge/httproutes/storefront"
KEY = "FailoverPolicy/shop/storefront"


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

    # -- the world -----------------------------------------------------------------------------------------

    def users(self, site: str, failing: float, points: tuple[str, ...] = PLACES) -> None:
        """Let a share of a site's users fail, as seen from some places."""
        for point in points:
            self.gauges[point].set("failing", site, failing)
            self.gauges[point].set("asked", site, 50.0)

    def ready(self, site: str, count: int) -> None:
        """Let so many pods of the Deployment be ready."""
        plane = self.planes[site]
        for number in range(count):
            path = f"/api/v1/namespaces/shop/pods/storefront-{number}"
            if plane.find(path) is None:
                plane.apply(_pod(number))
            condition = {"type": "Ready", "status": "True"}
            plane.api(
                "PATCH",
                f"{path}/status",
                {"status": {"phase": "Running", "conditions": [condition]}},
                "application/merge-patch+json",
            )

    def begin(self, **changes: Any) -> None:
        """Bring everything to where it was before: all traffic to west, which is well."""
        for site in SITES:
            self.users(site, 0.0)
            path = "/apis/apps/v1/namespaces/shop/deployments/storefront"
            self.planes[site].patch(path, {"spec": {"replicas": 3 if site == "west" else 2}})
        self.planes["edge"].apply(
            gateway.http_route("edge", "storefront", {"storefront-west": 100, "storefront-north": 0})
        )
        folder = self.folder / "policies"
        folder.mkdir(exist_ok=True)
        (folder / "failover.yaml").write_text(yaml.safe_dump(policy(**changes)))

    @property
    def weights(self) -> tuple[int, int]:
        """Return what goes to west and to north."""
        refs = self.planes["edge"].api("GET", ROUTE)["spec"]["rules"][0]["backendRefs"]
        known = {one["name"]: one["weight"] for one in refs}
        return known["storefront-west"], known["storefront-north"]

    # -- the daemon ----------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        return self.folder / "aiops.yaml"

    def daemon(self) -> Process:
        """Start the daemon."""
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
                }
            )
        )
        log = self.folder / f"daemon-{len(self.daemons)}.log"
        command = [sys.executable, "-m", "aiops", "run", "--config", str(self.config)]
        self.daemons.append(Process(command, log=log, cwd=ROOT))
        return self.daemons[-1]

    def aiops(self, *words: str) -> str:
        """Run the command line, and return what it prints."""
        command = [sys.executable, "-m", "aiops", "--config", str(self.config), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def until(self, look: Any, what: str, within_s: float = 60.0) -> Any:
        return eventually(look, within_s, what, *self.daemons[-1:])

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

        self.until(lambda: (self.folder / "aiops.db").exists() and looked(), "west to be known to be well", 120.0)

    def end(self) -> None:
        for one in self.daemons:
            one.end()


def _pod(number: int) -> dict[str, Any]:
    metadata = {"name": f"storefront-{number}", "namespace": "shop", "labels": {"app": "storefront"}}
    spec = {"containers": [{"name": "app", "image": "app"}], "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


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
    labels = {"app": "storefront"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "storefront", "namespace": "shop"}
    plane.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, ControlPlane], dict[str, Gauges], dict[str, str]]]:
    """Three API servers and three Prometheus servers."""
    planes: dict[str, ControlPlane] = {}
    with contextlib.ExitStack() as stack:
        gauges, urls = {}, {}
        for name in PLACES:
            plane = planes[name] = ControlPlane(folder=tmp_path_factory.mktemp(name), name=name, bare=True)
            stack.callback(plane.stop)
            plane.start()
            _furnish(name, plane)
            gauges[name] = Gauges()
            stack.callback(gauges[name].stop)
            urls[name] = stack.enter_context(
                running_prometheus(tmp_path_factory.mktemp(f"prometheus-{name}"), gauges[name].address)
            )
        yield planes, gauges, urls


@pytest.fixture
def places(world: Any, tmp_path: Path) -> Iterator[Places]:
    made = Places(*world, folder=tmp_path)
    yield made
    made.end()


@pytest.mark.timeout(600)
def test_users_that_fail_are_sent_to_a_standby_that_is_made_ready_and_home_again_by_order_s8(places: Places):
    places.begin()
    places.ready("west", 3)
    places.ready("north", 2)
    places.daemon()
    places.steady()
    assert places.weights == (100, 0)
    # users of west may be failing: the standby is raised on suspicion, and nobody is sent there before it is ready
    places.users("west", 1.0, ("edge", "north"))
    path = "/apis/apps/v1/namespaces/shop/deployments/storefront"
    places.until(lambda: places.planes["north"].api("GET", path)["spec"]["replicas"] == 3, "the standby to be raised")
    assert places.weights == (100, 0)
    places.ready("north", 3)
    places.until(lambda: places.weights == (0, 100), "all traffic to go to north")
    done = (PlanKind.FAILOVER, PlanStatus.DONE)
    places.until(lambda: done in [(p.kind, p.status) for p in places.plans()], "the plan's end")
    (raised,) = [p for p in places.plans() if p.kind is PlanKind.PREPARE]
    assert (raised.status, raised.steps[0].name, raised.steps[0].operation.replicas) == (
        PlanStatus.DONE,
        "ready north",
        3,
    )
    assert raised.steps[0].undo[0].replicas == 2  # so many are there again, once nobody needs more
    assert "aiops failover back shop/storefront" in places.aiops("effects")
    # the API server of the site that serves goes away, and its users are served: that moves nobody
    north = places.planes["north"]
    north.down("kube-apiserver", signal.SIGKILL)
    places.until(lambda: {"api_down", "not_well_long_enough"} & places.reasons(), "a hold", 90.0)
    assert places.weights == (0, 100)
    north.up("kube-apiserver")
    north.wait_for_api()
    # what was moved is not moved again within ten minutes, whoever asks
    places.users("west", 0.0)
    places.aiops("failover", "back", "shop/storefront", "--reason", "west is repaired", "--by", "ann")
    places.until(lambda: {"moved_lately", "standby_sick"} & places.reasons(), "the order to be refused")
    assert places.weights == (0, 100)
    assert [p.kind.value for p in places.plans()] == ["failover", "prepare"]


@pytest.mark.timeout(600)
def test_people_send_users_home_stop_on_the_way_and_go_on_s9(places: Places):
    places.begin()
    places.ready("west", 3)
    places.ready("north", 3)
    places.planes["edge"].apply(
        gateway.http_route("edge", "storefront", {"storefront-west": 0, "storefront-north": 100})
    )
    places.daemon()
    places.steady()
    said = ("shop/storefront", "--reason", "west is repaired", "--by", "ann")
    places.aiops("failover", "back", *said)
    places.until(lambda: places.weights == (50, 50), "half to be home")
    places.aiops("plans", "pause", *said)
    places.until(lambda: places.plans()[0].status is PlanStatus.PAUSED, "the plan to stand still")
    assert places.weights == (50, 50)
    places.aiops("plans", "resume", *said)
    places.until(lambda: places.weights == (100, 0), "all to be home")
    done = places.until(lambda: next((p for p in places.plans() if p.status is PlanStatus.DONE), None), "the end")
    shown = places.aiops("plans", "show", done.id)
    assert "west is repaired" in shown
    assert "paused: ann" in shown


@pytest.mark.timeout(600)
def test_a_daemon_that_dies_in_the_middle_is_followed_by_one_that_goes_on_where_it_was_s6(places: Places):
    places.begin(shift={"steps": [20, 50, 100], "pause": "6s"})
    places.ready("west", 3)
    places.ready("north", 3)
    first = places.daemon()
    places.steady()
    places.users("west", 0.5, ("edge", "north"))  # half of them: they are sent away in steps
    places.until(lambda: places.weights == (80, 20), "the first step")
    first.kill9()
    assert places.weights == (80, 20)
    places.daemon()
    places.until(lambda: places.weights == (50, 50), "the second step, by the successor")
    places.until(lambda: places.weights == (0, 100), "the last step")
    done = places.until(
        lambda: next((p for p in places.plans() if p.status is PlanStatus.DONE), None), "the plan's end"
    )
    assert [one.kind.value for one in places.plans()] == ["failover"]
    assert all(step.sent <= 1 for step in done.steps)


@pytest.mark.timeout(600)
def test_what_only_one_place_sees_and_what_nobody_sees_moves_nobody_s1_s8(places: Places):
    places.begin()
    places.ready("west", 3)
    places.ready("north", 3)
    places.daemon()
    places.steady()
    places.users("west", 1.0, ("edge",))
    places.until(lambda: "inconclusive" in places.reasons(), "an inconclusive verdict", 60.0)
    assert places.weights == (100, 0)
    for point in PLACES:
        for site in SITES:
            places.gauges[point].set("failing", site, None)
    places.until(lambda: "partitioned" in places.reasons(), "to know that nothing is heard", 60.0)
    assert places.weights == (100, 0)
    assert places.plans() == ()
