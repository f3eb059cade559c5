"""The manual is true: the commands of each page are typed in a shell, in the surroundings that the page speaks of."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import manual
from tests.e2e.cluster import ControlPlane
from tests.e2e.conftest import deployment
from tests.e2e.processes import Process, eventually
from tests.integration.prometheus_server import free_port, running_prometheus
from tests.manual import ROOT, Block
from tests.manual_history import open_shop, past
from tests.manual_shell import Place, Shell, checkout

DEMO_IS_OLD_ENOUGH = "07:55:00"
"""In the demo's own time: by then it has scaled, seen a bad release, and been blind for a while."""
PACE = 60.0
SERVERS = ("https://aiops.example.com", "http://127.0.0.1:8080")


def places(page: Path) -> set[str]:
    """Return where the commands of a page are typed."""
    return {one.marks.get("in", "") for one in manual.blocks(page) if one.language == "console" and one.run}


ALL = [page for page in manual.pages() if places(page)]
PAGES = sorted(ALL, key=lambda page: (bool(places(page) - {""}), "demo" in places(page)))
"""Those last that look at the demo, which grows old meanwhile."""


@pytest.fixture(scope="module", autouse=True)
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The daemon of `make run`, at twice its pace, from the first page on; its URL."""
    folder = checkout(tmp_path_factory.mktemp("demo") / "aiops")
    page, telemetry = free_port(), free_port()
    environment = {
        "PYTHONPATH": str(ROOT),
        "AIOPS_WEB__PORT": str(page),
        "AIOPS_TELEMETRY__PORT": str(telemetry),
        "AIOPS_SIMULATION__ACCELERATION": f"{PACE:g}",
    }
    command = [sys.executable, "-m", "aiops", "run", "--config", "config/demo.yaml"]
    with Process(command, log=folder.parent / "demo.log", environment=environment, cwd=folder):
        yield f"http://127.0.0.1:{page}"


def said(url: str) -> str:
    """Return the sentence of the last turn, '' while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/status", timeout=5) as answer:
            return str(json.loads(answer.read())["sentence"])
    except (urllib.error.URLError, OSError):
        return ""


class Surroundings:
    """What pages speak of, each made when the first of them does."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request, self._folder = request, folder
        page, telemetry = free_port(), free_port()
        self._ports = {"AIOPS_WEB__PORT": str(page), "AIOPS_TELEMETRY__PORT": str(telemetry)}
        self._own = {"http://127.0.0.1:8080": f"http://127.0.0.1:{page}", "127.0.0.1:9464": f"127.0.0.1:{telemetry}"}

    def place(self, name: str) -> Place:
        """Return where the commands of a block are typed."""
        match name:
            case "":
                return Place(environment=self._ports, swaps=self._own)
            case "demo":
                return self._demo()
            case "prometheus":
                url = self._request.getfixturevalue("shop_prometheus")
                # what it remembers; weeks take minutes
                return Place(
                    swaps={"http://prometheus:9090": url, "http://localhost:9090": url, "--from 14d": "--from 12h"}
                )
            case "cluster":
                return self._cluster()
        raise AssertionError(f"there is no place {name!r}")

    def _demo(self) -> Place:
        url = self._request.getfixturevalue("demo")
        eventually(lambda: said(url) >= DEMO_IS_OLD_ENOUGH, 120, "the demo to have seen something")
        return Place(
            environment={"AIOPS_SERVER": url},
            swaps={**dict.fromkeys(SERVERS, url), "AIOPS_TOKEN=aiops_...": "AIOPS_TOKEN="},
        )

    def _cluster(self) -> Place:
        plane: ControlPlane = self._request.getfixturevalue("shop_cluster")
        folder = plane.binary("kubectl").parent
        return Place(
            environment={
                **self._ports,
                "AIOPS_STEP": "1s",
                "KUBECONFIG": str(plane.kubeconfig()),
                "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            swaps={**self._own, **self.place("prometheus").swaps},
        )


@pytest.fixture(scope="module")
def shop_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that remembers half a day of a shop, and scrapes it."""
    with open_shop() as address, running_prometheus(tmp_path_factory.mktemp("prometheus"), address, past()) as url:
        yield url


@pytest.fixture(scope="module")
def shop_cluster(plane: ControlPlane) -> ControlPlane:
    """A control plane with the namespace shop, which has opted in, and its Deployments."""
    labels = {"policy.aiops/managed": "true"}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aiops"}})
    for name in ("checkout", "web"):
        plane.apply(deployment("shop", name, 4))
    return plane


def tries(page: Path) -> list[Block]:
    """Return the blocks of a page that are typed or saved, in order."""
    return [one for one in manual.blocks(page) if one.run and (one.language == "console" or "file" in one.marks)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_is_what_happens(page: Path, request: pytest.FixtureRequest, tmp_path: Path):
    around = Surroundings(request, tmp_path)
    wrong: list[str] = []
    with Shell(checkout(tmp_path / "aiops")) as shell:
        for block in tries(page):
            if block.language == "console":
                shell.go(around.place(block.marks.get("in", "")))
                wrong += shell.follow(block)
            else:
                shell.save(block)
    assert not wrong, "\n".join(wrong)
