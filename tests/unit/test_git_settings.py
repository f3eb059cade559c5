"""Settings of what stands in Git: what is refused, with file, line and field, and what becomes of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.adapters.git import Format
from aiops.app.git_settings import GitSettings, repositories
from aiops.app.granting import roles
from aiops.app.settings import Settings, load_settings
from aiops.core.model import TargetRef
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.errors import ConfigurationError
from tests import builders

GOOD = """\
prometheus: {url: "http://localhost:9090"}
git:
  folder: FOLDER
  repositories:
    deploy:
      url: file:///srv/git/deploy.git
      every: 1m
  targets:
    - {match: shop/*, repository: deploy, file: "apps/{name}/v.yaml", format: helm, path: replicaCount, min: 2, max: 9}
    - {match: shop/*, repository: deploy, file: hpa.yaml, format: manifest, field: minReplicas}
"""


def loaded(folder: Path, before: str = "", after: str = "") -> object:
    text = GOOD.replace("FOLDER", str(folder / "git"))
    assert before in text
    file = folder / "aiops.yaml"
    file.write_text(text.replace(before, after) if before else text)
    return load_settings(file)


@pytest.mark.parametrize(
    ("before", "after", "where", "said"),
    [
        ("file:///srv/git/deploy.git", "git@example.com:deploy.git", "git.repositories.deploy.url", "pattern"),
        ("file:///srv/git/deploy.git", "https://me:pw@example.com/x.git", "deploy.url", "username and password_file"),
        ("file:///srv/git/deploy.git", "file://host/x.git", "deploy.url", "file:///srv/git/deploy.git"),
        ("every: 1m", "password_file: /x\n      bearer_token_file: /y", "git.repositories.deploy", "not both"),
        ("every: 1m", "username: me", "git.repositories.deploy", "username needs password_file"),
        ("every: 1m", "branch: a..b", "git.repositories.deploy.branch", "pattern"),
        ("every: 1m", "evry: 1m", "git.repositories.deploy.evry", "did you mean 'every'"),
        ("repository: deploy, file: hpa", "repository: deploys, file: hpa", "git", "there are: deploy"),
        ("file: hpa.yaml", "file: ../hpa.yaml", "git.targets[1].file", "from the repository's root"),
        ("path: replicaCount, ", "", "git.targets[0]", "needs the path"),
        ("min: 2", "min: 20", "git.targets[0]", "min is above max"),
        ("format: manifest", "format: tfvars, path: n", "git.targets[1]", "workers.auto.tfvars.json"),
        (
            "match: shop/*, repository: deploy, file: hpa",
            "match: shop, repository: deploy, file: hpa",
            "match",
            "pattern",
        ),
    ],
)
def test_what_could_not_work_is_refused_with_its_place(tmp_path: Path, before, after, where, said):
    with pytest.raises(ConfigurationError) as told:
        loaded(tmp_path, before, after)
    assert str(tmp_path / "aiops.yaml") in str(told.value)
    assert where in str(told.value)
    assert said in str(told.value)


@pytest.mark.parametrize(("host", "fine"), [("127.0.0.1:8000", True), ("git.example.com", False)])
def test_a_secret_goes_in_the_clear_to_loopback_alone_s10(tmp_path: Path, host, fine):
    after = f"url: http://{host}/deploy.git\n      bearer_token_file: /token"
    if fine:
        loaded(tmp_path, "url: file:///srv/git/deploy.git", after)
        return
    with pytest.raises(ConfigurationError) as told:
        loaded(tmp_path, "url: file:///srv/git/deploy.git", after)
    assert "over https alone" in str(told.value)


def test_a_token_that_is_not_there_ends_the_start_and_says_which(tmp_path: Path):
    settings = loaded(tmp_path, "every: 1m", "password_file: /nowhere/token")
    with pytest.raises(ConfigurationError) as told:
        repositories(settings.git)
    assert str(told.value) == "git.repositories.deploy.password_file: there is no file /nowhere/token"


def test_what_is_set_is_what_is_made_and_nothing_is_fetched_yet(tmp_path: Path):
    made = repositories(loaded(tmp_path).git)
    assert made is not None
    assert list(made.numbers) == ["deploy"]
    assert not (tmp_path / "git").exists()
    target = TargetRef(namespace="shop", name="checkout")
    place = made.placements[0].place(target)
    assert (place.file, place.format, place.path, place.low, place.high) == (
        "apps/checkout/v.yaml",
        Format.HELM,
        "replicaCount",
        2,
        9,
    )
    assert made.placements[1].place(target).kind == "HorizontalPodAutoscaler"


def test_nothing_stands_in_git_without_targets(tmp_path: Path):
    file = tmp_path / "aiops.yaml"
    file.write_text('prometheus: {url: "http://localhost:9090"}\n')
    assert repositories(load_settings(file).git) is None


def test_a_simulated_world_follows_no_branch(tmp_path: Path):
    with pytest.raises(ConfigurationError) as told:
        loaded(tmp_path, 'prometheus: {url: "http://localhost:9090"}', "simulation: {scenario: steady}")
    assert "nothing follows a branch into a simulated cluster" in str(told.value)


def test_what_stands_in_git_needs_no_patch_but_events_of_it_are_told_in_the_cluster_s10():
    def granted(git: GitSettings, *policies: ScalingPolicy) -> list[tuple[list[str], list[str], list[str] | None]]:
        settings = Settings(mode="enforce", git=git, prometheus={"url": "http://127.0.0.1:9"})
        objects = roles(PolicySet(digest="d", scaling=policies), settings, None)
        role = next(one for one in objects if one["kind"] == "Role" and one["metadata"]["namespace"] == "shop")
        return [(one["resources"], one["verbs"], one.get("resourceNames")) for one in role["rules"]]

    placed = {"match": "shop/checkout", "repository": "deploy", "file": "v.yaml", "format": "helm", "path": "replicas"}
    git = GitSettings(repositories={"deploy": {"url": "https://git.example.com/deploy.git"}}, targets=(placed,))
    checkout, cart = builders.loaded("checkout"), builders.loaded("cart")
    patch = (["deployments/scale"], ["patch"], ["checkout"])
    events = (["events"], ["create"], None)
    assert patch in granted(GitSettings(), checkout)
    written = granted(git, checkout)
    assert events in written
    assert not [one for one in written if "patch" in one[1]]
    both = granted(git, checkout, cart)
    assert [one for one in both if "patch" in one[1]] == [(["deployments/scale"], ["patch"], ["cart"])]
    assert both.count(events) == 1
