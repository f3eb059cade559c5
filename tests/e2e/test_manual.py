"""The manual is true: the commands of each page are typed in a shell, in the surroundings that the page speaks of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import manual
from tests.e2e.cluster import ControlPlane
from tests.e2e.conftest import deployment
from tests.e2e.processes import Process, eventually
from tests.integration.prometheus_server import free_port, running_prometheus
from tests.manual import DOCS, ROOT, Block
from tests.manual_commands import quick_aiops
from tests.manual_history import open_shop, past
from tests.manual_shell import Place, Shell, checkout
from tests.unit.test_docs_yaml import documents, what

pytestmark = pytest.mark.timeout(480)

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


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an `aiops` that need not import everything anew."""
    with quick_aiops(tmp_path_factory.mktemp("commands") / "bin") as folder:
        yield folder


def said(url: str) -> str:
    """Return the sentence of the last turn, '' while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/status", timeout=5) as answer:
            return str(json.loads(answer.read())["sentence"])
    except (urllib.error.URLError, OSError):
        return ""


class Surroundings:
    """What pages speak of, each made when the first of them does."""

    def __init__(self, request: pytest.FixtureRequest, commands: Path) -> None:
        self._request, self._commands = request, commands
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
        eventually(lambda: said(url) >= DEMO_IS_OLD_ENOUGH, 240, "the demo to have seen something")
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
                "PATH": f"{folder}:{self._commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            swaps={**self._own, **self.place("prometheus").swaps},
        )


@pytest.fixture(scope="module")
def shop_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that remembers half a day of a shop, and scrapes it."""
    with open_shop() as address, running_prometheus(tmp_path_factory.mktemp("prometheus"), address, past()) as url:
        yield url


@pytest.fixture(scope="module")
def shop_cluster(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane with the namespace shop, which has opted in, and its Deployments; it is gone afterwards."""
    labels = {"policy.aiops/managed": "true"}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aiops"}})
    for name in ("checkout", "web"):
        plane.apply(deployment("shop", name, 4))
    yield plane
    plane.delete("/api/v1/namespaces/shop", wait=True)


def tries(page: Path) -> list[Block]:
    """Return the blocks of a page that are typed or saved, in order."""
    return [one for one in manual.blocks(page) if one.run and (one.language == "console" or "file" in one.marks)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_is_what_happens(page: Path, request: pytest.FixtureRequest, commands: Path, tmp_path: Path):
    around = Surroundings(request, commands)
    wrong: list[str] = []
    with Shell(checkout(tmp_path / "aiops"), first=commands) as shell:
        for block in tries(page):
            if block.language == "console" or "in" in block.marks:
                shell.go(around.place(block.marks.get("in", "")))
            if block.language == "console":
                wrong += shell.follow(block)
            else:
                shell.save(block)
    assert not wrong, "\n".join(wrong)


def checked_as(*programs: str) -> list[Block]:
    return [one for one in manual.every("yaml") if one.run and what(one) in programs]


def named(found: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=lambda one: one.name)


def ended(*command: str) -> tuple[int, str]:
    """Return how a program of others ended, and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    return done.returncode, done.stdout + done.stderr


@named(checked_as("amtool"))
def test_alertmanager_takes_what_is_added_to_its_configuration(block: Block, tmp_path: Path):
    (shown,) = documents(block)
    shown["receivers"] = [{"name": "default"}, *shown["receivers"]]
    shown["route"]["receiver"] = "default"
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(shown))
    assert ended("amtool", "check-config", str(file))[0] == 0, ended("amtool", "check-config", str(file))[1]


@named(checked_as("promtool"))
def test_prometheus_takes_the_rules(block: Block, tmp_path: Path):
    (shown,) = documents(block)
    groups = shown["groups"] if isinstance(shown, dict) else [{"name": "shown", "rules": shown}]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": groups}))
    code, said_of_it = ended("promtool", "check", "rules", str(file))
    rules = sum(len(one["rules"]) for one in groups)
    assert (code, f"{rules} rules found" in said_of_it) == (0, True), said_of_it


NOT_INSTALLED = {"keda.sh/v1alpha1", "argoproj.io/v1alpha1", "monitoring.coreos.com/v1"}
"""Kinds of other projects, which no API server of ours knows."""


@named(checked_as("kubectl"))
def test_the_api_server_takes_the_objects(block: Block, shop_cluster: ControlPlane):
    for one in documents(block):
        if one["apiVersion"] not in NOT_INSTALLED:
            words = ("apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-")
            assert "dry run" in shop_cluster.kubectl(*words, stdin=yaml.safe_dump(one)), one["kind"]


@named([one for one in manual.every("json") if "answer to" in one.marks])
def test_the_api_answers_what_is_shown(block: Block, demo: str):
    eventually(lambda: said(demo) != "", 240, "the demo to answer")
    try:
        with urllib.request.urlopen(demo + block.marks["answer to"], timeout=10) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as err:
        with err:
            found = json.load(err)
    assert found == json.loads(block.text)


def test_the_worked_examples_of_plug_ins_have_types(tmp_path: Path):
    """By `mypy --strict` with the settings of the repository."""
    files = []
    for block in manual.blocks(DOCS / "extending.md"):
        if block.language == "python":
            files.append(tmp_path / Path(block.marks["file"]).name)
            files[-1].write_text(block.text, encoding="utf-8")
    config = ("--config-file", str(ROOT / "pyproject.toml"))
    code, said_of_it = ended(sys.executable, "-m", "mypy", *config, *map(str, files))
    assert code == 0, said_of_it


@pytest.mark.parametrize(
    ("text", "marks", "wrong"),
    [
        ("$ echo 12:00:01 well\n13:30:00 well\n", {}, ""),
        ("$ echo a\nb\n", {}, "did not say"),
        ("$ false\n", {}, "ended with 1"),
        ("$ false\n", {"ends with": "1"}, ""),
        ("$ export GREETING=hello\n$ echo $GREETING\nhello\n", {}, ""),
        ("$ echo ready; sleep 60   # until Ctrl-C\nready\n", {"stopped after": "1s"}, ""),
        ("$ echo early\n", {"stopped after": "5s"}, "ended with 1"),
    ],
)
def test_a_console_that_does_not_say_what_is_shown_is_found(text, marks, wrong, tmp_path: Path):
    block = Block(page=DOCS / "index.md", line=1, language="console", text=text, marks=marks)
    with Shell(tmp_path, Place()) as shell:
        found = shell.follow(block)
    assert wrong in "".join(found)
    assert bool(found) == bool(wrong)
