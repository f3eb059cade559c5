"""A cluster whose Deployments stand in Git: the daemon commits, a stand-in for Argo CD follows, people are the owners.

The branch is served over smart HTTP with a token; the stand-in applies what it says under Argo CD's field manager.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.core.model import Reason
from tests.e2e.conftest import deployment
from tests.e2e.rig import Daemon, Rig, scaling_policy
from tests.git_http import Host, serving
from tests.git_world import Origin

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not here")
FILE = "apps/checkout.yaml"


class Follower:
    """Applies the manifests of a branch, as Argo CD does, twice a second, while it is not stopped."""

    def __init__(self, rig: Rig, origin: Origin) -> None:
        self._rig, self._origin = rig, origin
        self.follows = threading.Event()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.follows.set()
        self._thread.start()

    def _run(self) -> None:
        applied = ""
        while not self._ends.wait(0.5):
            text = self._origin.shown(file=FILE)
            if not self.follows.is_set() or text == applied:
                continue
            item = yaml.safe_load(text)
            path = f"/apis/apps/v1/namespaces/{self._rig.namespace}/deployments/checkout"
            query = "?fieldManager=argocd-controller&force=true"
            self._rig.plane.api("PATCH", f"{path}{query}", item, "application/apply-patch+yaml")
            applied = text

    def stop(self) -> None:
        self._ends.set()
        self._thread.join(10.0)


class Scene:
    """One Deployment in Git, its branch over HTTP, and a daemon that may push."""

    def __init__(self, rig: Rig, host: Host, origin: Origin) -> None:
        self.rig, self.host, self.origin = rig, host, origin
        self.path = f"/apis/apps/v1/namespaces/{rig.namespace}/deployments/checkout"
        self.token = rig.folder / "token"
        self.token.write_text("let-me-in\n")
        host.basic = "aiops:let-me-in"

    def daemon(self, **repository: Any) -> Daemon:
        deploy = {
            "url": f"{self.host.url}/deploy.git",
            "username": "aiops",
            "password_file": str(self.token),
            "every": "1s",
            "settle": "60s",
            **repository,
        }
        placed = {"match": f"{self.rig.namespace}/*", "repository": "deploy", "file": "apps/{name}.yaml"}
        git = {
            "folder": str(self.rig.folder / "git"),
            "repositories": {"deploy": deploy},
            "targets": [{**placed, "format": "manifest"}],
        }
        return self.rig.daemon(git=git)

    def in_git(self) -> int:
        return int(yaml.safe_load(self.origin.shown(file=FILE))["spec"]["replicas"])

    def held(self, reason: Reason) -> dict[str, Any]:
        look = lambda: next(iter(self.rig.decisions(reason=reason.value)), None)  # noqa: E731
        return dict(self.rig.until(look, f"a decision with {reason.value}"))


@pytest.fixture
def origin(rig: Rig, tmp_path: Path) -> Iterator[Origin]:
    folder = tmp_path / "hub"
    folder.mkdir()
    made = Origin(folder)
    item = yaml.safe_dump(deployment(rig.namespace, "checkout", 4))
    assert "  replicas: 4\n" in item
    made.write("# what checkout is\n" + item.replace("  replicas: 4\n", "  replicas: 4  # aiops: 2..9\n"), FILE)
    yield made
    made.close()


@pytest.fixture
def scene(rig: Rig, origin: Origin) -> Iterator[Scene]:
    with serving(origin.folder) as host:
        yield Scene(rig, host, origin)


@pytest.fixture
def follower(rig: Rig, origin: Origin) -> Iterator[Follower]:
    made = Follower(rig, origin)
    yield made
    made.stop()


@pytest.mark.timeout(300)
def test_a_deployment_that_argo_cd_owns_is_scaled_by_commits_until_a_person_takes_one_back(
    scene: Scene, follower: Follower
):
    rig, origin = scene.rig, scene.origin
    rig.until(lambda: rig.plane.find(scene.path), "the Deployment that the branch describes")
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace))
    scene.daemon()
    rig.until(lambda: rig.replicas(scene.path) == 7, "7 replicas by way of Git", 60)
    assert scene.in_git() == 7
    text = origin.shown(file=FILE)
    assert (text.startswith("# what checkout is\n"), "  replicas: 7  # aiops: 2..9\n" in f"{text}\n") == (True, True)
    rig.until(
        lambda: [one for one in rig.actions() if one["outcome"] == "took-effect"], "an action that took effect", 60
    )
    assert rig.writes() == []  # nothing was asked of the API but by whoever follows the branch
    assert {f"Aiops-Action: {one['id']}" for one in rig.actions()} >= {
        line for line in origin.message().splitlines() if line.startswith("Aiops-Action")
    }
    # what is wanted beyond the declared range is not written
    rig.demand(800.0)
    rig.until(lambda: scene.in_git() == 9, "the end of the range that the file declares", 60)
    rig.until(lambda: rig.replicas(scene.path) == 9, "9 replicas", 60)
    # a person says no
    origin.come_to("main")
    origin.now = rig.began + 3600.0
    origin.git("revert", "--no-edit", "HEAD")
    origin.git("push", "-q", "origin", "main")
    rig.until(lambda: rig.replicas(scene.path) < 9, "what the person pushed", 60)
    row = scene.held(Reason.MANUAL_OVERRIDE)
    assert "Alice" in row["story"]
    assert "took back our commit" in row["story"]
    assert scene.in_git() < 9
    assert rig.writes() == []


@pytest.mark.timeout(300)
def test_a_protected_branch_a_branch_that_nobody_follows_and_a_host_that_is_gone_hold_and_are_told(
    scene: Scene, follower: Follower
):
    rig, origin = scene.rig, scene.origin
    rig.until(lambda: rig.plane.find(scene.path), "the Deployment that the branch describes")
    rig.policy(scaling_policy(rig.namespace, verify={"within": "1s"}))
    rig.demand(330.0)
    origin.protect("open a merge request")
    daemon = scene.daemon(settle="3s")
    assert "open a merge request" in scene.held(Reason.PUSH_REFUSED)["story"]
    told = rig.until(
        lambda: [
            one
            for one in rig.plane.api("GET", f"/api/v1/namespaces/{rig.namespace}/events")["items"]
            if one["reason"] == "ScalingFailed"
        ],
        "an Event",
    )
    assert "open a merge request" in told[0]["message"]
    assert 'aiops_git_pushes_total{repository="deploy",result="refused"} 1.0' in daemon.metrics()
    daemon.process.end()
    # the next process has not been refused, and pushes; but nobody follows
    origin.open()
    follower.follows.clear()
    scene.daemon(settle="3s")
    rig.until(lambda: scene.in_git() == 7, "a commit", 60)
    rig.until(lambda: [one for one in rig.actions() if one["outcome"] == "no-effect"], "an action without effect", 60)
    assert "what follows the branch has not brought it yet" in scene.held(Reason.NOT_SYNCED)["story"]
    follower.follows.set()
    rig.until(lambda: rig.replicas(scene.path) == 7, "what the branch says", 60)
    # the host is gone: everything else goes on
    scene.host.status = 503
    rig.demand(110.0)
    assert "503" in scene.held(Reason.REPOSITORY_UNAVAILABLE)["story"]
    scene.host.status = 0
    rig.until(lambda: rig.replicas(scene.path) == 3, "3 replicas after the host came back", 60)
    assert rig.writes() == []
