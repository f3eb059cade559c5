"""Versions told to a real MLflow tracking server, which has an environment of its own.

Where it is: AIOPS_MLFLOW names its program (`python -m venv there && there/bin/pip install mlflow`; it brings
hundreds of megabytes, which no lock file of ours has), else `mlflow` on the path.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from aiops.adapters.mlflow import MlflowOptions, Publisher, Tracking
from aiops.core.lineage.version import Role, Scores, Version
from tests.e2e.processes import Process, eventually
from tests.integration.prometheus_server import free_port

PROGRAM = os.environ.get("AIOPS_MLFLOW") or shutil.which("mlflow")
KEY = "ScalingPolicy/shop/web"
MADE = 1_800_000_000.0
ONE = Version(
    number=7,
    model="combined",
    code="combined-v1 of aiops test",
    made_at=MADE,
    why="drift: it's not what it was",
    window=(MADE - 86_400.0, MADE),
    parent=6,
    parameters={"season": "1440 min", "left out": "arma: it did not converge"},
    role=Role.CHALLENGER,
    since=MADE,
    scores=Scores(judged=142, pinball=0.02, ratio=0.994),
)
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(PROGRAM is None, reason="no MLflow tracking server: AIOPS_MLFLOW names its program"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    with serving(folder, port):
        yield f"http://127.0.0.1:{port}"


def serving(folder: Path, port: int) -> Process:
    command = [str(PROGRAM), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--default-artifact-root", str(folder / "files")]
    process = Process(command, log=folder / "log", cwd=folder)
    eventually(lambda: healthy(f"http://127.0.0.1:{port}"), 120, "the tracking server to answer")
    return process


def healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False


def publisher(url: str, seen: dict[str, tuple[Version, ...]]) -> Publisher:
    return Publisher(Tracking(MlflowOptions(url=url, experiment="it's ours")), lambda: seen, 60.0, time.time)


def runs(url: str) -> list[dict]:
    asked = {"experiment_name": "it's ours"}
    found = requests.get(f"{url}/api/2.0/mlflow/experiments/get-by-name", params=asked, timeout=10).json()
    wanted = {"experiment_ids": [found["experiment"]["experiment_id"]], "filter": f"tags.`aiops.policy` = '{KEY}'"}
    return requests.post(f"{url}/api/2.0/mlflow/runs/search", json=wanted, timeout=10).json().get("runs", [])


def test_a_version_lives_as_one_run_and_a_restart_finds_it_again(server):
    seen = {KEY: (ONE,)}
    assert publisher(server, seen).round() == 1
    (run,) = runs(server)
    assert (run["info"]["run_name"], run["info"]["status"]) == (f"{KEY} v7", "RUNNING")
    assert {one["key"]: one["value"] for one in run["data"]["params"]}["left out"] == "arma: it did not converge"
    assert {one["key"]: one["value"] for one in run["data"]["metrics"]}["loss_ratio"] == 0.994
    scores = replace(ONE.scores, judged=300, ratio=0.981, coverage=0.81)
    seen[KEY] = (replace(ONE, role=Role.RETIRED, detail="replaced for a day", since=MADE + 99.0, scores=scores),)
    again = publisher(server, seen)
    assert (again.round(), again.round()) == (1, 0)
    (run,) = runs(server)
    tags = {one["key"]: one["value"] for one in run["data"]["tags"]}
    assert (run["info"]["status"], run["info"]["end_time"]) == ("FINISHED", (MADE + 99.0) * 1000)
    assert (tags["aiops.state"], tags["aiops.parent"], tags["aiops.why"]) == ("retired", "6", ONE.why)
    assert {one["key"]: one["value"] for one in run["data"]["metrics"]}["loss_ratio"] == 0.981


def test_a_run_that_somebody_deleted_there_is_made_anew_with_the_next_change(server):
    other = replace(ONE, number=8)
    told = publisher(server, seen := {KEY: (other,)})
    told.round()
    [run] = [one for one in runs(server) if one["info"]["run_name"].endswith("v8")]
    gone = requests.post(f"{server}/api/2.0/mlflow/runs/delete", json={"run_id": run["info"]["run_id"]}, timeout=10)
    assert gone.ok
    seen[KEY] = (replace(other, detail="a"),)
    assert (told.round(), told.failing) == (0, "")
    seen[KEY] = (replace(other, detail="b"),)
    assert told.round() == 1
    assert [one["info"]["run_name"] for one in runs(server)].count(f"{KEY} v8") == 1


def test_what_a_server_that_is_gone_was_not_told_is_told_when_it_is_back(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    seen = {KEY: (ONE,)}
    told = publisher(url, seen)
    assert told.round() == 0
    assert "cannot be reached" in told.failing
    with serving(tmp_path, port):
        assert (told.round(), told.failing) == (1, "")
        assert len(runs(url)) == 1
