"""Two claims on one name or one target: an error on both, and nothing new by it (S4)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.app.controls import HeldControls
from aiops.app.merging import acting, in_force, merged
from aiops.app.policies import MergedPolicySource
from aiops.app.resources import checked
from aiops.core.model import Direction, Mode
from aiops.core.policies import PolicySet
from aiops.policy import parse
from aiops.ports import ControlsReading
from tests.builders import NOW
from tests.unit.resourced import KEY, FakeResources, World, bounded, stood


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# -- the same claimed twice ------------------------------------------------------------------------------------


SECOND = {"target": {"kind": "Deployment", "name": "checkout"}}


def conflicts(source: MergedPolicySource) -> dict[str, str]:
    return {problem.file.rpartition("/")[2]: problem.message for problem in source.made.conflicts.values()}


def test_who_was_in_force_stays_as_it_was_and_changes_nothing_s4(world: World):
    world.resources.put(bounded(6))
    source = world.start()
    world.resources.put(bounded(7, "second", **SECOND))
    world.resources.put(bounded(8))
    world.reload()
    assert world.most == {KEY: 6}
    assert set(source.made.held) == {KEY}
    said = conflicts(source)
    assert said["checkout"] == "shop/checkout is scaled by ScalingPolicy/shop/second in crd:shop/second, too"
    assert said["second"] == "shop/checkout is scaled by ScalingPolicy/shop/checkout in crd:shop/checkout, too"
    assert {problem.field for problem in source.problems} == {"spec.target"}


def test_of_two_that_come_at_once_none_acts_s4(world: World):
    world.file(bounded(5, "second", **SECOND))
    world.resources.put(bounded(6))
    source = world.start()
    assert (world.keys, source.made.held) == ([], {})
    assert set(conflicts(source)) == {"policies.yaml", "checkout"}


def test_at_a_start_who_has_something_standing_is_who_was_in_force_s4_s9(tmp_path: Path):
    world = World(tmp_path, stood=stood())
    world.file(bounded(5, "second", **SECOND))
    world.resources.put(bounded(6))
    source = world.start()
    assert (world.most, set(source.made.held)) == ({KEY: 6}, {KEY})


@pytest.mark.parametrize("mode", ["observe", "dry-run"])
def test_who_only_observes_claims_nothing_s4(world: World, mode):
    world.resources.put(bounded(6))
    world.resources.put(bounded(7, "second", mode=mode, **SECOND))
    source = world.start()
    assert len(source.made.conflicts) == (0 if mode == "observe" else 2)


def test_a_file_that_becomes_a_resource_of_the_same_name_loses_nothing_s9(world: World):
    world.file(bounded(5))
    source = world.start()
    world.resources.put(bounded(6))
    world.reload()
    assert (world.most, set(source.made.held)) == ({KEY: 5}, {KEY})
    assert {problem.field for problem in source.problems} == {"metadata.name"}
    world.file(bounded(5, "cart"))
    world.reload()
    assert (world.most, source.made.held) == ({"ScalingPolicy/shop/cart": 5, KEY: 6}, {})


def test_a_target_that_was_left_and_taken_is_not_held_by_an_old_version_s4(world: World):
    world.resources.put(bounded(6))
    world.resources.put(bounded(7, "cart"))
    world.start()
    # checkout leaves its target for cart's, and a third takes the one that is free
    world.resources.put(bounded(8, target={"kind": "Deployment", "name": "cart"}))
    world.resources.put(bounded(9, "third", **SECOND))
    world.reload()
    assert world.most == {"ScalingPolicy/shop/cart": 7, "ScalingPolicy/shop/third": 9}


TARGETS = st.sampled_from(["checkout", "cart", "search"])
NAMES = st.sampled_from(["a", "b", "c", "d"])
MODES = st.sampled_from([Mode.OBSERVE, Mode.DRY_RUN, Mode.ENFORCE])
SETS = st.dictionaries(NAMES, st.tuples(TARGETS, MODES), max_size=4)
_MADE: dict[tuple[str, str, Mode, str], PolicySet] = {}


def made(name: str, target: str, mode: Mode, origin: str) -> PolicySet:
    key = (name, target, mode, origin)
    if key not in _MADE:
        document = bounded(5, name, mode=mode.value, target={"kind": "Deployment", "name": target})
        _MADE[key] = parse(yaml.safe_dump(document), origin)
    return _MADE[key]


def set_of(parts: Mapping[str, tuple[str, Mode]], origin: str) -> PolicySet:
    every = [made(name, *part, origin) for name, part in sorted(parts.items())]
    return PolicySet(digest="d", scaling=tuple(policy for one in every for policy in one.scaling))


@settings(max_examples=400, deadline=None)
@given(history=st.lists(st.tuples(SETS, SETS), min_size=1, max_size=5))
def test_never_do_two_act_on_one_target_and_what_is_in_no_conflict_is_in_force_s4(history):
    before: dict[str, Any] = {}
    for files, resources in history:
        parts = [made(name, *part, f"crd:shop/{name}") for name, part in sorted(resources.items())]
        now = merged(set_of(files, "policies.yaml"), parts, before)
        targets = [policy.target.key for policy in now.policies.scaling if acting(policy)]
        assert len(targets) == len(set(targets))
        assert set(now.held) <= set(in_force(now.policies))
        claims = [*set_of(files, "policies.yaml").every, *(policy for one in parts for policy in one.every)]
        for policy in claims:
            disputed = (policy.origin, policy.key) in now.conflicts
            mine = in_force(now.policies).get(policy.key)
            if not disputed:
                assert mine is policy
                assert policy.key not in now.held
            elif mine is not None:
                # nothing new comes into force by a conflict
                assert mine is before[policy.key]
                assert policy.key in now.held
        before = in_force(now.policies)


# -- who is held -----------------------------------------------------------------------------------------------


class People:
    """ports.Controls of nobody."""

    def read(self, at: float) -> ControlsReading:
        return ControlsReading()


def test_a_policy_that_is_held_is_paused_and_nobody_else_is():
    held = HeldControls(People(), lambda: {KEY: "two claim shop/checkout"})
    (pause,) = held.read(NOW).pauses
    (mine,) = checked(FakeResources().put(bounded(6)), 15.0).scaling
    assert (pause.direction, pause.reason, pause.release) == (Direction.ALL, "two claim shop/checkout", False)
    assert pause.concerns(mine.target, KEY, NOW)
    assert not pause.concerns(mine.target, "ScalingPolicy/shop/second", NOW)
    assert HeldControls(People(), dict).read(NOW).pauses == ()


# -- policies of plans -----------------------------------------------------------------------------------------


def a_failover(name: str, origin: str, mode: str = "enforce") -> PolicySet:
    text = (Path(__file__).parents[2] / "policies/failover.yaml").read_text()
    text = text.replace("{name: storefront, namespace: shop}", f"{{name: {name}, namespace: shop}}")
    return parse(text.replace("namespace: edge, ", "").replace("mode: approve", f"mode: {mode}"), origin)


def test_policies_of_plans_are_merged_from_files_and_resources():
    made = merged(PolicySet(digest="none"), [a_failover("storefront", "crd:shop/storefront")], {})
    assert [policy.key for policy in made.policies.plans] == ["FailoverPolicy/shop/storefront"]


def test_two_groups_that_steer_by_one_object_hold_each_other_s4():
    two = [a_failover(name, f"crd:shop/{name}") for name in ("storefront", "other")]
    made = merged(PolicySet(digest="none"), two, {})
    assert made.policies.plans == ()
    assert {problem.field for problem in made.conflicts.values()} == {"spec.traffic"}
    seen = [a_failover("storefront", "crd:shop/storefront"), a_failover("other", "crd:shop/other", "observe")]
    assert len(merged(PolicySet(digest="none"), seen, {}).policies.plans) == 2
