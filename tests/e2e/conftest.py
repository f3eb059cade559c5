"""One control plane for the whole run; each test has a namespace of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.binaries import Missing, helm
from tests.e2e.cluster import ControlPlane
from tests.e2e.emulated import Emulated, register, unregister
from tests.e2e.installed import Helm, Site, installing
from tests.e2e.places import Places, World, three_places
from tests.e2e.postgres import PostgresServer, running_postgres
from tests.e2e.rig import SERVICE_NAMESPACE, Gauges, Rig
from tests.integration.prometheus_server import running_prometheus

_COUNT = itertools.count(1)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real control plane with three Ready nodes in three zones."""
    made = ControlPlane(folder=tmp_path_factory.mktemp("plane"))
    try:
        made.start()
    except Missing as err:
        pytest.exit(str(err), returncode=4)
    yield made
    made.stop()


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace that opted in, gone after the test."""
    name = f"t{next(_COUNT)}"
    plane.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"policy.aiops/managed": "true"}},
        }
    )
    yield name
    plane.delete(f"/api/v1/namespaces/{name}", wait=False)


@pytest.fixture
def deploy(plane: ControlPlane, namespace: str) -> Callable[..., str]:
    """Make a Deployment and return its path."""

    def make(name: str = "checkout", replicas: int = 3, ready_after: str = "1s", **more: Any) -> str:
        item = deployment(namespace, name, replicas, ready_after)
        item["spec"].update(more)
        plane.apply(item)
        return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"

    return make


@pytest.fixture(scope="session")
def gauges() -> Iterator[Gauges]:
    """The numbers that Prometheus scrapes each second."""
    made = Gauges()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory, gauges: Gauges) -> Iterator[str]:
    """A real Prometheus that scrapes the gauges."""
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), gauges.address) as url:
        yield url


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real PostgreSQL of the run's own; each test makes a database in it."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as made:
        yield made


@pytest.fixture
def rig(plane: ControlPlane, namespace: str, tmp_path: Path, prometheus: str, gauges: Gauges) -> Iterator[Rig]:
    """A daemon's surroundings in a namespace of its own; what it started is ended after the test."""
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVICE_NAMESPACE}})
    made = Rig(plane=plane, namespace=namespace, folder=tmp_path, prometheus=prometheus, gauges=gauges)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def chart() -> Helm:
    """Helm, built once."""
    try:
        return Helm(helm())
    except Missing as err:
        pytest.skip(str(err))


@pytest.fixture
def site(
    plane: ControlPlane, namespace: str, tmp_path: Path, prometheus: str, gauges: Gauges, chart: Helm
) -> Iterator[Site]:
    """An empty namespace under the strictest Pod Security, to install into; what was installed is gone afterwards."""
    if os.geteuid():
        pytest.skip("pods are laid out by a mount namespace, which needs root")
    with installing(plane, chart, namespace, tmp_path, gauges) as made:
        made.prometheus = prometheus
        yield made


@pytest.fixture
def emulated(plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Emulated]:
    """An emulator for the namespace; a test starts it with its services."""
    made = Emulated(plane, namespace, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def aggregated(plane: ControlPlane) -> Iterator[Callable[[Emulated], None]]:
    """Put an emulator behind the aggregation layer, and take it away after the test."""
    yield lambda one: register(plane, one)
    unregister(plane)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three API servers and three Prometheus servers."""
    with three_places(tmp_path_factory.mktemp) as made:
        yield made


@pytest.fixture
def places(world: World, tmp_path: Path) -> Iterator[Places]:
    """Two sites and a witness; what a test starts there is ended after it."""
    made = Places(*world, folder=tmp_path)
    yield made
    made.end()


def deployment(namespace: str, name: str, replicas: int, ready_after: str = "1s") -> dict[str, Any]:
    """Return a Deployment whose fake pods become Ready after a time."""
    labels = {"app": name}
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    pod = {
        "metadata": {"labels": labels, "annotations": {"e2e.aiops/ready-after": ready_after}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test here minutes, and mark it as slow."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(180))
