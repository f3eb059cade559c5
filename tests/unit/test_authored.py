"""Policies that are objects of an API server, for commands: all of them, or an error, and no guess."""

from __future__ import annotations

import pytest

from aiops.adapters.kubernetes import rbac
from aiops.app.authored import authored, together
from aiops.core.model import Mode, Reason
from aiops.errors import ClusterUnavailable, NoPermission
from aiops.policy import parse
from aiops.ports import ResourcesReading
from tests.commands import aiops
from tests.e2e.rig import scaling_policy
from tests.unit.chosen import WEB
from tests.unit.resourced import BROKEN, FakeResources


def reading(*documents: dict, **more: object) -> ResourcesReading:
    resources = FakeResources()
    for document in documents:
        resources.put(document)
    return ResourcesReading(found=resources.found, **more)


def test_every_valid_policy_is_a_set_and_an_invalid_one_is_said():
    said: list[str] = []
    broken = scaling_policy("shop", "cart", **BROKEN)
    made = authored(reading(scaling_policy("shop"), broken), 15.0, (), said.append)
    assert [one.scaling[0].key for one in made] == ["ScalingPolicy/shop/checkout"]
    assert len(said) == 1
    assert said[0].startswith("crd:shop/cart")
    assert said[0].endswith("nothing is granted for it")


@pytest.mark.parametrize("where", ["unknown", "stale"])
def test_a_kind_that_cannot_be_read_is_an_error_and_no_empty_answer_s10(where):
    with pytest.raises(NoPermission, match="may not list"):
        authored(reading(**{where: {"ScalingPolicy": (Reason.NO_PERMISSION, "may not list")}}), 15.0, (), print)
    with pytest.raises(ClusterUnavailable, match="away"):
        authored(reading(**{where: {"ScalingPolicy": (Reason.CLUSTER_UNAVAILABLE, "away")}}), 15.0, (), print)


def test_a_kind_that_is_not_served_has_none():
    why = (Reason.UNKNOWN_TARGET, "no such kind")
    assert authored(reading(unknown={"WatchPolicy": why}), 15.0, (), print) == []


def test_roles_are_for_files_and_objects_alike():
    files = parse(WEB, "web.yaml")
    made = together(files, authored(reading(scaling_policy("ops", "cart")), 15.0, (), print))
    roles = rbac(made, ceiling=Mode.ENFORCE)
    scaled = {
        (one["metadata"]["namespace"], *rule.get("resourceNames", ()))
        for one in roles
        for rule in one.get("rules", ())
        if "deployments/scale" in rule["resources"]
    }
    assert scaled == {("shop",), ("ops", "cart")}


def test_without_files_and_without_a_cluster_there_is_nothing_to_grant_for():
    refused = aiops("rbac")
    assert (refused.returncode, "--from-cluster" in refused.stderr) == (2, True)
