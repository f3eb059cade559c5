"""What LimitRanges and ResourceQuotas let in, as Kubernetes' admission judges pods."""

from __future__ import annotations

import math
from typing import Any

import pytest

from aiops.core.model import SeenObject, TargetRef
from aiops.core.objects.admission import Bounds, bounds, out_of_range, over_quota, with_sizes


def seen(kind: str, body: dict[str, Any]) -> SeenObject:
    ref = TargetRef(namespace="shop", api_version="v1", kind=kind, name="given")
    return SeenObject(ref=ref, uid="u", resource_version="1", as_of=0.0, body=body)


def a_range(kind: str = "Container", **item: dict[str, str]) -> SeenObject:
    return seen("LimitRange", {"spec": {"limits": [{"type": kind, **item}]}})


def a_quota(used: dict[str, str], **spec: Any) -> SeenObject:
    return seen("ResourceQuota", {"spec": spec, "status": {"used": used}})


def container(name: str = "app", **resources: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "resources": resources}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"containers": list(containers), **spec}


APP = container(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "2", "memory": "1Gi"})


# -- LimitRanges ---------------------------------------------------------------------------------------


def test_the_bounds_of_a_container_are_the_tightest_of_all_ranges():
    ranges = (
        a_range(min={"cpu": "100m"}, max={"cpu": "4"}, default={"cpu": "1"}),
        a_range(min={"cpu": "50m"}, max={"cpu": "2"}, maxLimitRequestRatio={"cpu": "4"}),
        a_range("Pod", max={"cpu": "1m"}),
    )
    assert bounds(ranges, "cpu") == Bounds(least=0.1, most=2.0, limit=1.0, ratio=4.0, said="shop/given")
    assert bounds(ranges, "memory").said == ""


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"max": {"cpu": "2", "memory": "1Gi"}, "min": {"cpu": "1"}}, ""),
        ({"max": {"cpu": "1500m"}}, "LimitRange shop/given allows cpu of 1.5 at most, not 2, of container app"),
        ({"min": {"memory": "2Gi"}}, "wants memory of 2048Mi at least, not 1024Mi, of container app"),
        ({"maxLimitRequestRatio": {"cpu": "1500m"}}, "a limit of cpu of 1.5 times its request, not 2 of 1, of"),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, ""),
    ],
)
def test_a_container_outside_of_a_range_is_not_let_in(item: dict[str, Any], said: str):
    found = out_of_range((a_range(**item),), pod(APP))
    assert said in found if said else found == ""


def test_what_is_not_said_is_a_default_and_without_one_a_bound_refuses_it():
    plain = pod(container(requests={"cpu": "1"}))
    assert "allows cpu of 4 at most, not no limit," in out_of_range((a_range(max={"cpu": "4"}),), plain)
    assert out_of_range((a_range(max={"cpu": "4"}, default={"cpu": "4"}),), plain) == ""
    assert "gives container app a limit of cpu of 0.5, below its request" in out_of_range(
        (a_range(default={"cpu": "500m"}),), plain
    )
    assert "wants memory of 1Mi at least, not none," in out_of_range((a_range(min={"memory": "1Mi"}),), plain)
    assert out_of_range((a_range(min={"memory": "1Mi"}, defaultRequest={"memory": "1Mi"}),), plain) == ""
    # what has a limit and no request requests its limit
    assert out_of_range((a_range(min={"cpu": "1"}),), pod(container(limits={"cpu": "1"}))) == ""


def test_a_range_of_pods_counts_all_containers_sidecars_and_what_begins():
    side = container("side", requests={"cpu": "1"}, limits={"cpu": "1"})
    ranges = (a_range("Pod", max={"cpu": "3"}),)
    assert out_of_range(ranges, pod(APP, side)) == ""
    assert "allows cpu of 3 at most, not 4, of a whole pod" in out_of_range(
        ranges, pod(APP, side, initContainers=[{**side, "name": "mesh", "restartPolicy": "Always"}])
    )
    start = container("start", requests={"cpu": "4"}, limits={"cpu": "4"})
    assert "not 4," in out_of_range(ranges, pod(APP, initContainers=[start]))
    assert "not no limit," in out_of_range(ranges, pod(APP, container("free", requests={"cpu": "1"})))


def test_a_range_of_containers_bounds_those_that_begin_and_sidecars_too():
    small = container("start", requests={"memory": "16Mi"})
    ranges = (a_range(min={"memory": "64Mi"}),)
    for more in ({}, {"restartPolicy": "Always"}):
        said = out_of_range(ranges, pod(APP, initContainers=[{**small, **more}]))
        assert said == "LimitRange shop/given wants memory of 64Mi at least, not 16Mi, of container start"


def test_a_ratio_below_one_is_none_as_no_api_server_takes_it():
    assert bounds((a_range(maxLimitRequestRatio={"cpu": "0", "memory": "500m"}),), "cpu").ratio == math.inf


# -- ResourceQuotas ------------------------------------------------------------------------------------


def sized(cpu: str) -> dict[str, Any]:
    return with_sizes(pod(APP), "app", {"requests": {"cpu": cpu}})


@pytest.mark.parametrize(("name", "used"), [("cpu", "2"), ("requests.cpu", "2")])
def test_a_quota_has_room_for_the_difference_of_all_pods_and_no_more(name: str, used: str):
    quota = a_quota({name: used}, hard={name: "3"})
    before = [pod(APP)] * 2
    assert over_quota((quota,), (), (before, [sized("1500m")] * 2)) == ""
    said = over_quota((quota,), (), (before, [sized("1600m")] * 2))
    assert said == f"ResourceQuota shop/given has 1 {name} left, not 1.2 more"
    assert over_quota((quota,), (), (before, [sized("500m")] * 2)) == ""


def test_less_is_let_in_by_a_quota_that_is_overdrawn_and_not_where_a_rollout_needs_one_pod_more():
    quota = a_quota({"requests.cpu": "5"}, hard={"requests.cpu": "4"})
    less = sized("500m")
    assert over_quota((quota,), (), ([pod(APP)], [less])) == ""
    said = over_quota((quota,), (), ([pod(APP)], [less]), first=less)
    assert said.endswith("has 0 requests.cpu left, not 0.5 more beside those that run, as a rollout needs for a while")


@pytest.mark.parametrize(("hard", "enough"), [("11", False), ("12", True)])
def test_the_last_pod_of_a_rollout_is_made_before_the_last_old_one_goes(hard: str, enough: bool):
    # three pods of one core, two of them replaced by ones of three: 1 + 3 + 3, and the last one of three beside
    quota = a_quota({"requests.cpu": "5"}, hard={"requests.cpu": hard})
    more, before = sized("3"), [pod(APP)] * 3
    said = over_quota((quota,), (), (before, [more] * 3), first=more)
    assert (said == "") is enough
    if not enough:
        assert said.endswith(
            "has 6 requests.cpu left, not 7 more beside those that run, as a rollout needs for a while"
        )


def test_limits_are_counted_by_their_own_names_and_bare_names_are_requests():
    more = with_sizes(pod(APP), "app", {"limits": {"memory": "3Gi"}})
    assert over_quota((a_quota({"memory": "1Gi"}, hard={"memory": "1Gi"}),), (), ([pod(APP)], [more])) == ""
    quota = a_quota({"limits.memory": "1Gi"}, hard={"limits.memory": "2Gi"})
    assert "has 1024Mi limits.memory left, not 2048Mi more" in over_quota((quota,), (), ([pod(APP)], [more]))


def test_a_quota_that_has_not_counted_yet_is_no_room_s1():
    quota = a_quota({}, hard={"requests.cpu": "100"})
    assert "has not counted requests.cpu yet" in over_quota((quota,), (), ([pod(APP)], [sized("2")]))


def by_priority(**how: Any) -> dict[str, Any]:
    return {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", **how}]}}


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["NotBestEffort", "NotTerminating"]}, True),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["SomethingNew"]}, True),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, True),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["x"]}]
                }
            },
            False,
        ),
    ],
)
def test_a_quota_counts_the_pods_of_its_scope(scope: dict[str, Any], counts: bool):
    quota = a_quota({"cpu": "1"}, hard={"cpu": "1"}, **scope)
    before, after = ({**one, "priorityClassName": "high"} for one in (pod(APP), sized("2")))
    assert bool(over_quota((quota,), (), ([before], [after]))) is counts


@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, [None], {"limits": 5, "hard": {"cpu": []}, "scopes": 7}])
def test_objects_of_another_shape_bound_nothing(odd: Any):
    ranges, quotas = (seen("LimitRange", {"spec": odd}),), (seen("ResourceQuota", {"spec": odd, "status": odd}),)
    assert bounds(ranges, "cpu").most == math.inf
    assert out_of_range(ranges, pod(APP)) == over_quota(quotas, ranges, ([pod(APP)], [sized("9")])) == ""
