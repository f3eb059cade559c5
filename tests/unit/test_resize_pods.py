"""Requests and limits of running pods, in place: what is sent, when it is done, how it is taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import Reason, ResizePods, Wanted
from aiops.core.plans.operations import stands, verbs
from tests.unit.operated import CHECKOUT, HPA, NOW, ORIGIN, POD, VPA, api, do, hpa, operations, plain, pod, ref

SECOND = ref("Pod", "checkout-2", "v1")
RESIZE = ResizePods(
    target=CHECKOUT,
    pods=(POD.name, SECOND.name),
    container="main",
    requests={"cpu": "250m", "memory": "512Mi"},
    limits={"memory": "768Mi"},
)


def two_pods():
    one = api()
    one.put(SECOND, pod())
    return one


def asked(one, operation=RESIZE):
    does = verbs(operation)
    return does, one.look(does.wanted(operation), NOW)


def resources(one, name=POD):
    return one.objects[name]["spec"]["containers"][0]["resources"]


def test_each_pod_is_patched_through_its_subresource_and_no_other_field_changes_s6():
    one = two_pods()
    does, looked = asked(one)
    steps = does.requests(RESIZE, looked, ORIGIN).steps
    assert [(step.target.name, step.subresource) for step in steps] == [
        ("checkout-1", "resize"),
        ("checkout-2", "resize"),
    ]
    assert all(set(step.body) == {"spec"} and step.uid and step.resource_version for step in steps)
    assert steps[0].body["spec"]["containers"][1] == {"name": "proxy"}
    assert does.reached(RESIZE, looked) is False
    assert do(one, RESIZE) == 2
    assert resources(one) == resources(one, SECOND)
    assert resources(one)["requests"] == {"cpu": "250m", "memory": "512Mi"}
    assert resources(one)["limits"] == {"memory": "768Mi", "example.com/gpu": "1"}


@pytest.mark.parametrize("condition", ["PodResizePending", "PodResizeInProgress"])
def test_it_is_done_when_the_kubelet_has_done_it(condition):
    one = two_pods()
    do(one, RESIZE)
    one.objects[SECOND]["status"]["conditions"] = [{"type": condition, "status": "True", "reason": "Deferred"}]
    does, looked = asked(one)
    assert does.reached(RESIZE, looked) is False
    one.objects[SECOND]["status"]["conditions"] = [{"type": condition, "status": "False"}]
    assert does.reached(RESIZE, asked(one)[1]) is True


def test_what_pods_had_comes_back_each_its_own_s7():
    one = two_pods()
    one.objects[SECOND]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}
    before = plain(one)
    does, looked = asked(one)
    undo = does.undo(RESIZE, looked)
    assert {back.pods for back in undo} == {("checkout-1",), ("checkout-2",)}
    do(one, RESIZE)
    for back in undo:
        do(one, back)
    assert plain(one) == before


def test_a_pod_that_is_gone_is_passed_over_and_its_successor_left_alone():
    one = two_pods()
    undo = verbs(RESIZE).undo(RESIZE, asked(one)[1])
    do(one, RESIZE)
    del one.objects[POD]
    does, looked = asked(one)
    assert does.reached(RESIZE, looked) is True
    assert not does.requests(RESIZE, looked, ORIGIN)
    assert do(one, undo[0]) == 1
    del one.objects[SECOND]
    assert does.reached(undo[0], asked(one)[1]) is True


def test_an_autoscaler_that_scales_on_the_request_owns_it_s4():
    one = two_pods()
    one.put(HPA, hpa())
    does, looked = asked(one)
    assert does.refusal(RESIZE, looked)[0] is Reason.OWNED
    memory = replace(RESIZE, requests={"memory": "512Mi"})
    assert does.refusal(memory, looked) is None
    aim = {"kind": "Deployment", "name": "checkout"}
    one.put(VPA, {"spec": {"targetRef": aim, "updatePolicy": {"updateMode": "InPlaceOrRecreate"}}})
    assert does.refusal(memory, asked(one)[1])[0] is Reason.OWNED


def test_a_request_above_its_limit_is_refused():
    one = two_pods()
    does, looked = asked(one)
    assert does.refusal(replace(RESIZE, requests={"memory": "2Gi"}, limits={}), looked)[0] is Reason.BOUNDS


def test_while_the_pods_were_not_listed_nothing_begins_and_nothing_is_claimed_s1():
    one = two_pods()
    does = verbs(RESIZE)
    unlisted = one.look(Wanted(objects=(CHECKOUT,)), NOW)
    assert does.refusal(RESIZE, unlisted)[0] is Reason.CLUSTER_UNAVAILABLE
    assert does.undo(RESIZE, unlisted) is None
    assert does.reached(RESIZE, unlisted) is None
    pods = next(each for each in does.wanted(RESIZE).selections if each.kind == "Pod")
    one.unknown[pods.key] = (Reason.NO_PERMISSION, "pods is forbidden")
    assert does.refusal(RESIZE, asked(one)[1]) == (Reason.NO_PERMISSION, "pods is forbidden")


def test_it_says_what_it_does():
    said = verbs(RESIZE).says(RESIZE)
    assert said.startswith("resize main of 2 pods of Deployment shop/checkout in place: ")
    assert "requests memory 512Mi" in said
    assert operations(api())["resize"].pods == ("checkout-1",)


def test_of_pods_that_are_gone_nothing_stands_and_what_the_kubelet_puts_off_does_s7():
    one = two_pods()
    do(one, RESIZE)
    one.objects[SECOND]["status"]["conditions"] = [{"type": "PodResizePending", "status": "True"}]
    assert stands(RESIZE, asked(one)[1]) is True
    del one.objects[POD], one.objects[SECOND]
    does, looked = asked(one)
    assert does.reached(RESIZE, looked) is True
    assert stands(RESIZE, looked) is False
