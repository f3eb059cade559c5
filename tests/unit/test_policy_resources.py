"""Policies from files and from an API in one set: what is taken, kept, and deleted (S3, S9, S10)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.app.resources import GONE_S, ResourceBook, checked
from aiops.core.model import Reason
from aiops.core.policies import PolicySet
from aiops.errors import InvalidPolicy, StoreUnavailable
from aiops.policy import parse, recompile
from aiops.ports import PolicyResource
from tests.e2e.rig import scaling_policy
from tests.unit.resourced import BROKEN, KEY, FakeResources, World, bounded, stood

UNSERVED = {"ScalingPolicy": (Reason.UNKNOWN_TARGET, "scalingpolicies: the API server serves no such kind")}
FORBIDDEN = {"ScalingPolicy": (Reason.NO_PERMISSION, "scalingpolicies: cannot list")}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# -- one set of both -------------------------------------------------------------------------------------------


def test_files_and_resources_are_one_set(world: World):
    world.file(bounded(5, "cart"))
    world.resources.put(bounded(6))
    source = world.start()
    assert world.keys == ["ScalingPolicy/shop/cart", KEY]
    assert [policy.origin.rpartition("/")[2] for policy in source.current().every] == ["policies.yaml", "checkout"]
    assert source.current().every[1].origin == "crd:shop/checkout"
    assert source.problems == ()
    both = parse(yaml.safe_dump_all([bounded(5, "cart"), bounded(6)]), "one file")
    assert source.current().digest == both.digest
    assert world.adopted == [source.current()]


def test_an_edit_is_taken_and_a_status_is_no_edit(world: World):
    world.resources.put(bounded(6))
    source = world.start()
    before = source.current()
    world.resources.found[KEY] = replace(world.resources.found[KEY], status={"observedGeneration": 1})
    world.reload()
    assert source.current().every[0] is before.every[0]
    world.resources.put(bounded(7))
    world.reload()
    assert world.most == {KEY: 7}
    assert len(world.adopted) == 2


def test_a_file_that_is_broken_keeps_the_files_and_resources_go_on_s10(world: World):
    world.file(bounded(5, "cart"))
    world.resources.put(bounded(6))
    source = world.start()
    world.file(bounded(8, "cart", **BROKEN))
    world.resources.put(bounded(7))
    world.reload()
    assert world.most == {"ScalingPolicy/shop/cart": 5, KEY: 7}
    assert [problem.field for problem in source.problems] == ["spec.signals.demand.query"]


def test_a_set_that_cannot_be_stored_is_tried_again_s2(tmp_path: Path):
    gone = False

    def adopted(_: object) -> None:
        if gone:
            raise StoreUnavailable("the policies cannot be written")

    world = World(tmp_path, adopted=adopted)
    world.resources.put(bounded(6))
    world.start()
    world.resources.put(bounded(7))
    gone = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            world.reload()
        assert world.most == {KEY: 6}
    gone = False
    assert world.source.reload()
    assert world.most == {KEY: 7}


# -- a resource stands alone -----------------------------------------------------------------------------------


def test_an_invalid_resource_keeps_its_last_good_version_and_holds_nobody_s10(world: World):
    world.resources.put(bounded(6))
    world.resources.put(bounded(5, "cart"))
    source = world.start()
    world.resources.put(bounded(9, **BROKEN))
    world.resources.put(bounded(8, "cart"))
    world.reload()
    assert world.most == {"ScalingPolicy/shop/cart": 8, KEY: 6}
    (problem,) = source.problems
    assert str(problem).startswith("crd:shop/checkout:0:0: spec.signals.demand.query: ")
    entry = source.book.entries[KEY]
    assert (entry.resource.generation, entry.accepted) == (2, 1)
    world.resources.put(bounded(10))
    world.reload()
    assert (world.most[KEY], source.problems) == (10, ())


def test_a_bug_on_the_way_of_one_resource_holds_that_one_alone_s10():
    def check(resource: PolicyResource, step_s: float, _: object) -> PolicySet:
        if resource.name == "checkout":
            raise RuntimeError("a case that nobody thought of")
        return checked(resource, step_s)

    resources, book = FakeResources(), ResourceBook(15.0, check=check)
    resources.put(bounded(6))
    resources.put(bounded(5, "cart"))
    book.take(resources.read())
    assert [key for key, entry in book.entries.items() if entry.good is not None] == ["ScalingPolicy/shop/cart"]
    (problem,) = book.entries[KEY].problems
    assert "a bug, see the log: RuntimeError: a case that nobody thought of" in str(problem)


def defaults(override: str) -> dict[str, Any]:
    metadata = {"name": "shop", "namespace": "shop"}
    spec = {"defaults": {"ScalingPolicy": {"manualOverride": override}}}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "PolicyDefaults", "metadata": metadata, "spec": spec}


def test_a_resource_takes_over_the_defaults_of_files_and_follows_their_edits(world: World):
    def overrides() -> dict[str, float]:
        return {policy.key: policy.manual_override_s for policy in world.source.current().scaling}

    world.file(defaults("10m"))
    world.resources.put(bounded(6))
    world.resources.put(bounded(7, "cart", manualOverride="5m"))
    world.start()
    assert overrides() == {KEY: 600.0, "ScalingPolicy/shop/cart": 300.0}
    world.file(defaults("20m"))
    world.reload()
    assert overrides() == {KEY: 1200.0, "ScalingPolicy/shop/cart": 300.0}
    # defaults that make a resource wrong: it says so, and what was good goes on
    world.file(defaults("20m"), {**defaults("1m"), "metadata": {"name": "again", "namespace": "shop"}})
    world.reload()
    assert overrides()[KEY] == 1200.0
    assert "spec.scope" in {problem.field for problem in world.source.problems}
    world.file(bounded(5, "search"))
    world.reload()
    assert overrides()[KEY] == 3600.0


def test_a_resource_that_was_never_valid_does_nothing(world: World):
    world.resources.put(bounded(9, **BROKEN))
    source = world.start()
    assert world.keys == []
    assert (source.book.entries[KEY].good, source.book.entries[KEY].accepted) == (None, 0)


def test_what_was_good_of_a_deleted_resource_is_not_its_namesakes_s10(world: World):
    world.resources.put(bounded(6))
    world.start()
    world.resources.found.clear()
    world.resources.put(bounded(9, **BROKEN), uid="another")
    world.reload()
    assert world.keys == []


def test_a_namespaced_resource_reaches_its_own_namespace_alone_s3(world: World):
    target = {"kind": "Deployment", "name": "checkout", "namespace": "bank"}
    world.resources.put(scaling_policy("shop", target=target))
    source = world.start()
    assert world.keys == []
    assert "a policy targets only its own namespace 'shop', not 'bank'" in str(source.problems[0])


def test_the_last_good_version_is_recalled_by_a_process_that_never_saw_it_s10(tmp_path: Path):
    good = recompile(checked(FakeResources().put(bounded(6)), 15.0).every[0].document)
    world = World(tmp_path, remembered={good.digest: good.document}.get)
    status = {"acceptedGeneration": 3, "digest": good.digest}
    world.resources.put(bounded(9, **BROKEN), generation=4, status=status)
    source = world.start()
    assert world.most == {KEY: 6}
    assert source.book.entries[KEY].accepted == 3
    # a status that names somebody else's document is not believed
    other = checked(FakeResources().put(bounded(6, "cart")), 15.0).every[0]
    forged = World(tmp_path, remembered={other.digest: other.document}.get)
    forged.resources.put(bounded(9, **BROKEN), generation=4, status={"digest": other.digest})
    forged.start()
    assert forged.keys == []


# -- deletion, and what is none --------------------------------------------------------------------------------


def test_a_resource_that_stays_away_is_deleted_s9(world: World):
    world.resources.put(bounded(6))
    world.start()
    world.resources.found.clear()
    world.reload()
    assert world.keys == [KEY]
    world.clock.at_s += GONE_S - 1
    world.reload()
    assert world.keys == [KEY]
    world.clock.at_s += 1
    world.reload()
    assert world.keys == []


def test_what_was_taken_away_and_put_back_was_no_deletion_s9(world: World):
    world.resources.put(bounded(6))
    world.start()
    kept = dict(world.resources.found)
    for _ in range(3):
        world.resources.found = {}
        world.reload()
        world.clock.at_s += GONE_S - 1
        world.resources.found = dict(kept)
        world.reload()
        world.clock.at_s += GONE_S - 1
        assert world.most == {KEY: 6}


@pytest.mark.parametrize("why", [UNSERVED, FORBIDDEN], ids=["not served", "forbidden"])
def test_a_kind_that_is_not_known_any_more_is_no_deletion_s9_s10(world: World, why):
    world.resources.put(bounded(6))
    world.start()
    world.resources.found, world.resources.unknown = {}, why
    for _ in range(5):
        world.clock.at_s += GONE_S
        world.reload()
        assert world.most == {KEY: 6}
    # who takes away a kind takes away its objects first
    world.resources.unknown = {}
    world.reload()
    world.clock.at_s += GONE_S
    world.reload()
    assert world.keys == []


def test_objects_that_went_before_their_kind_were_not_deleted_one_by_one_s9(world: World):
    world.resources.put(bounded(6))
    world.start()
    world.resources.found.clear()
    world.reload()
    world.clock.at_s += GONE_S - 1
    world.resources.unknown = UNSERVED
    world.reload()
    world.clock.at_s += 100 * GONE_S
    world.reload()
    assert world.most == {KEY: 6}


def test_what_stands_in_the_cluster_is_kept_and_held_until_its_kind_is_read_s9(tmp_path: Path):
    world = World(tmp_path, stood=stood())
    world.file(bounded(5, "cart"))
    world.resources.unknown = FORBIDDEN
    source = world.start()
    assert world.most == {"ScalingPolicy/shop/cart": 5, KEY: 6}
    assert source.made.held == {KEY: "scalingpolicies: cannot list"}
    assert [str(problem) for problem in source.problems] == ["crd:0:0: scalingpolicies: cannot list"]
    # read, and not there: it was deleted while no daemon looked
    world.resources.unknown = {}
    world.reload()
    assert (world.keys, source.made.held) == (["ScalingPolicy/shop/cart"], {})
    # and stays so, whatever may be read later
    world.resources.unknown = FORBIDDEN
    world.reload()
    assert world.keys == ["ScalingPolicy/shop/cart"]


@pytest.mark.parametrize("required", [True, False])
def test_a_kind_that_is_not_served_has_no_objects_unless_they_are_required(tmp_path: Path, required: bool):
    world = World(tmp_path, stood=stood(), required=required)
    world.resources.unknown = UNSERVED
    source = world.start()
    assert world.keys == ([KEY] if required else [])
    assert len(source.problems) == len(source.unready()) == (1 if required else 0)


def test_what_stood_gives_way_to_a_file_on_its_target_s4(tmp_path: Path):
    world = World(tmp_path, stood=stood())
    target = {"kind": "Deployment", "name": "checkout"}
    world.file(bounded(5, "cart", target=target))
    world.resources.unknown = FORBIDDEN
    world.start()
    assert world.keys == ["ScalingPolicy/shop/cart"]


def test_what_is_wrong_with_a_resource_has_no_line_of_a_text_that_nobody_wrote():
    with pytest.raises(InvalidPolicy) as caught:
        checked(FakeResources().put(bounded(9, mode="enforced", **BROKEN)), 15.0)
    assert {(problem.line, problem.column) for problem in caught.value.problems} == {(0, 0)}
    assert "did you mean 'enforce'?" in str(caught.value)
