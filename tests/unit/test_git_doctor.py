"""The doctor looks into repositories: what it finds of each target, and what to do where it finds nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.app.doctor.findings import Status
from aiops.app.doctor.repositories import checks
from aiops.app.doctor.scene import Scene
from aiops.app.settings import Settings
from aiops.core.policies import PolicySet
from tests.builders import policy
from tests.git_world import TEXT, Origin

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not here")


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    made = Origin(tmp_path)
    made.write(TEXT, message="first")
    yield made
    made.close()


def looked(origin: Origin, sizes: tuple[str, ...] = (), **repository: object) -> list[tuple[Status, str, str, str]]:
    placed = {"match": "shop/*", "repository": "deploy", "file": "apps/{name}/values.yaml", "format": "helm"}
    git = {
        "folder": origin.folder / "of-the-daemon",
        "repositories": {"deploy": {"url": origin.url, **repository}},
        "targets": [
            {**placed, "path": "replicaCount"},
            *({**placed, "match": one, "field": "resources", "path": "resources", "container": "app"} for one in sizes),
        ],
    }
    settings = Settings(prometheus={"url": "http://localhost:9090"}, git=git)
    scene = Scene(settings=settings, timeout_s=5.0, policies=PolicySet(digest="p", scaling=(policy(),)))
    (check,) = checks(scene)
    found = [(one.status, one.name, one.what, one.fix) for one in check.look()]
    assert not (origin.folder / "of-the-daemon").exists()
    return found


def test_a_value_that_is_found_is_told_with_its_range(origin: Origin):
    said = "deploy main apps/checkout/values.yaml replicaCount says 8, may be 2 to 12"
    assert looked(origin) == [(Status.OK, "git: shop/checkout", said, "")]


def test_what_is_missing_is_told_with_what_to_do(origin: Origin):
    origin.edit("replicaCount", "replicas")
    ((status, _, what, fix),) = looked(origin)
    assert (status, "there is no replicaCount" in what, "git.targets" in fix) == (Status.FAIL, True, True)
    ((status, _, what, fix),) = looked(origin, branch="production")
    assert (status, "no branch production" in what, "git.repositories" in fix) == (Status.FAIL, True, True)


def test_the_sizes_of_those_that_are_named_are_told_and_of_a_pattern_only_a_cluster_knows_who_it_is(origin: Origin):
    origin.edit("resources: {}", 'resources: {requests: {cpu: "2"}, limits: {memory: 1Gi}}')
    first, second = looked(origin, sizes=("shop/checkout", "pay/*"))
    said = "deploy main apps/checkout/values.yaml resources app says limits.memory 1Gi, requests.cpu 2"
    assert first == (Status.OK, "git: sizes of app in apps/checkout/values.yaml", said, "")
    assert second[1] == "git: shop/checkout"
    origin.edit('cpu: "2"', "cpu: lots")
    (status, _, what, fix), _ = looked(origin, sizes=("shop/checkout",))
    assert (status, "'lots' is no quantity" in what, "git.targets" in fix) == (Status.FAIL, True, True)


def test_nothing_is_looked_at_where_nothing_stands_in_git():
    settings = Settings(prometheus={"url": "http://localhost:9090"})
    assert checks(Scene(settings=settings, timeout_s=5.0)) == []
