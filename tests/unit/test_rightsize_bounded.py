"""Sizes under LimitRanges and ResourceQuotas: cut to what is let in, or refused, with the reason, and never written."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.core.model import Reason
from aiops.core.planning.cost_rightsize import around
from tests.unit.rightsized import World, a_policy, of_kind, sizes

IN_PLACE = ("    backOff: 2h", "    backOff: 2h\n    how: InPlace")
BUSY = 3.0
"""Cores that a pod uses; it requests one."""


def small(**more: Any) -> World:
    """Return four pods of one core that use three."""
    return World(cores=lambda _pod, _now: BUSY, resources=sizes(cpu="1"), **more)


def a_range(world: World, **item: dict[str, str]) -> None:
    body = {"spec": {"limits": [{"type": "Container", **item}]}}
    world.api.put(of_kind("v1", "LimitRange", "sizes"), body)


def a_quota(world: World, used: str, hard: str, name: str = "requests.cpu") -> None:
    world.api.put(
        of_kind("v1", "ResourceQuota", "team"), {"spec": {"hard": {name: hard}}, "status": {"used": {name: used}}}
    )


def said(world: World) -> str:
    assert world.decision is not None
    assert world.decision.judgement is not None
    return " ".join((world.said[2], *world.decision.judgement.evidence))


# -- LimitRanges ---------------------------------------------------------------------------------------


def test_a_raise_goes_as_far_as_a_limit_range_allows_and_says_so():
    world = small()
    a_range(world, max={"cpu": "2"}, default={"cpu": "2"})
    world.until(lambda one: one.has()["requests"]["cpu"] != "1")
    assert world.has()["requests"]["cpu"] == "2"
    assert "LimitRange shop/sizes allows cpu of 0..2" in world.plans[0].reason
    # and no further, again and again
    world.run(43_200.0)
    assert [dict(plan.steps[-1].operation.requests).get("cpu") for plan in world.plans].count("2") == 1
    assert "too small for what is used; LimitRange shop/sizes allows cpu of 0..2" in said(world)


def test_a_container_without_a_limit_requests_no_more_than_the_default_limit():
    world = small()
    a_range(world, default={"cpu": "1500m"})
    world.until(lambda one: one.has()["requests"]["cpu"] != "1")
    assert world.has()["requests"]["cpu"] == "1500m"


def test_a_lowered_request_stays_above_the_least_and_within_the_ratio_to_its_limit():
    world = World(resources=sizes(limit="6Gi"))
    default = {"cpu": "8", "memory": "64Mi"}
    a_range(world, min={"cpu": "1"}, maxLimitRequestRatio={"memory": "2"}, default=default, defaultRequest=default)
    world.until(lambda one: one.has()["requests"]["memory"] != "4Gi" and one.has()["requests"]["cpu"] != "4")
    assert world.has() == {"requests": {"cpu": "1", "memory": "3Gi"}, "limits": {"memory": "6Gi"}}
    assert any("a limit of 2 times the request" in plan.reason for plan in world.plans)


def test_what_another_container_has_keeps_pods_out_and_nothing_is_written():
    world = small()
    a_range(world, min={"memory": "64Mi"})  # the proxy says nothing
    world.run(21_600.0)
    assert world.sent == []
    assert "LimitRange shop/sizes wants memory of 64Mi at least, not none, of container proxy" in said(world)


def test_a_range_of_whole_pods_refuses_what_is_more_than_all_may_have():
    world = small()
    limits = [
        {"type": "Container", "default": {"cpu": "8"}, "defaultRequest": {"cpu": "10m"}},
        {"type": "Pod", "max": {"cpu": "4"}},
    ]
    world.api.put(of_kind("v1", "LimitRange", "sizes"), {"spec": {"limits": limits}})
    world.run(21_600.0)
    assert world.sent == []
    assert "allows cpu of 4 at most, not 16, of a whole pod" in said(world)


# -- ResourceQuotas ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [(), (IN_PLACE,)], ids=["rollout", "in place"])
def test_what_a_quota_has_no_room_for_is_not_written_and_is_once_there_is_room(how: tuple[tuple[str, str], ...]):
    world = small(policy=a_policy(*how))
    a_quota(world, used="4", hard="8")
    world.run(21_600.0)
    assert world.sent == []
    assert "ResourceQuota shop/team has 4 requests.cpu left, not" in said(world)
    a_quota(world, used="4", hard="80")
    world.run(3600.0)
    assert world.sent != []


def test_a_rollout_that_may_lose_no_pod_needs_room_for_one_more_even_where_sizes_fall():
    world = World(replicas=2)
    a_quota(world, used="8", hard="8")
    world.run(43_200.0)
    assert [step for _, step in world.sent if "Deployment" in step and "cpu" in step] == []
    assert "beside those that run, as a rollout needs for a while" in said(world)


def test_a_proposal_that_is_not_let_in_any_more_is_not_asked_on():
    world = small(policy=a_policy(("mode: enforce", "mode: approve")))
    world.until(lambda one: one.plans and one.plans[-1].status == "proposed")
    a_range(world, max={"cpu": "2"}, default={"cpu": "2"})
    world.run(600.0)
    (plan,) = [one for one in world.plans if one.status == "proposed"]
    assert dict(plan.steps[-1].operation.requests) == {"cpu": "2"}


# -- what is not known ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LimitRange", "ResourceQuota"])
def test_s1_s3_what_may_not_be_seen_is_not_taken_for_nothing(kind: str):
    world = small()
    (selection,) = (one for one in around(world.policy) if one.kind == kind)
    world.api.unknown[selection.key] = (Reason.NO_PERMISSION, "403 forbidden")
    world.run(21_600.0)
    assert world.sent == []
    assert f"whether a {kind} bounds it is not known: 403 forbidden" in said(world)
