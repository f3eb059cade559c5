"""Operations over objects of any shape: nothing crashes, nothing is claimed to be done, and nothing is sent blindly."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import Looked, ScaleTo, SetResources, ShiftTraffic, TargetRef, TrafficLever
from aiops.core.plans.operations import verbs
from tests.fake_api import FakeApi
from tests.unit.operated import CHECKOUT, HPA, NOW, ORIGIN, ROUTE, api, deployment, do, hpa, operations, plain

NAMES = sorted(operations(api()))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    out = copy.copy(body)
    out[path[0]] = replaced(body[path[0]], path[1:], value)
    return out


def broken(one: FakeApi, data: st.DataObject) -> None:
    """Replace something in some objects by junk, or take it away."""
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.sampled_from(sorted(one.objects)))
        body = one.objects[where]
        path = data.draw(st.sampled_from(places(body)))
        changed = replaced(body, path, data.draw(JUNK))
        one.objects[where] = changed if isinstance(changed, dict) else {}


@settings(max_examples=400, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_whatever_an_api_shows_an_operation_neither_crashes_nor_sends_what_cannot_be_sent(data, name):
    one = api()
    one.put(HPA, hpa())
    operation = operations(one)[name]
    broken(one, data)
    does = verbs(operation)
    looked = one.look(does.wanted(operation), NOW)
    assert does.reached(operation, looked) in (True, False, None)
    refusal, undo = does.refusal(operation, looked), does.undo(operation, looked)
    assert refusal is None or (refusal[0].value and refusal[1])
    assert undo is None or isinstance(undo, tuple)
    if refusal is None:
        for step in does.requests(operation, looked, ORIGIN).steps:
            assert step.uid or step.verb.value == "create"
            json.dumps(step.body)
    for back in undo or ():
        verbs(back).requests(back, looked, ORIGIN)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(NAMES))
def test_of_nothing_seen_nothing_is_claimed_s1(name):
    operation = operations(api())[name]
    does = verbs(operation)
    # what is gone needs neither to be deleted or waited for, nor to be woken or started
    if does.shown and name not in ("delete-pod", "await-removal", "wake", "start-job"):
        assert does.reached(operation, Looked()) is not True
        assert does.refusal(operation, Looked()) is not None
        assert not does.requests(operation, Looked(), ORIGIN)


@settings(max_examples=200, deadline=None)
@given(before=st.tuples(st.integers(0, 1000), st.integers(0, 1000)).filter(any), share=st.integers(0, 100))
def test_a_shift_is_taken_back_to_the_very_weights_that_were_there_s7(before, share):
    one = api()
    refs = [
        {"name": name, "port": 80, "weight": weight} for name, weight in zip(("west", "north"), before, strict=True)
    ]
    one.put(ROUTE, {"spec": {"rules": [{"backendRefs": refs}]}})
    kept = plain(one)
    operation = ShiftTraffic(
        lever=TrafficLever.HTTP_ROUTE, object=ROUTE, weights=(("west", 100 - share), ("north", share))
    )
    undo = verbs(operation).undo(operation, one.look(verbs(operation).wanted(operation)))
    do(one, operation)
    assert [ref["weight"] for ref in one.objects[ROUTE]["spec"]["rules"][0]["backendRefs"]] == [100 - share, share]
    for back in undo or ():
        do(one, back)
    assert plain(one) == kept


@settings(max_examples=200, deadline=None)
@given(floor=st.integers(1, 10), replicas=st.integers(1, 10), wanted=st.integers(1, 10))
def test_raising_a_standby_never_lowers_anything_and_leaves_the_floor_as_it_was_s8(floor, replicas, wanted):
    one = api()
    one.objects[CHECKOUT]["spec"]["replicas"] = max(floor, replicas)
    one.put(HPA, hpa(floor))
    operation = ScaleTo(target=CHECKOUT, replicas=wanted, only_up=True)
    undo = verbs(operation).undo(operation, one.look(verbs(operation).wanted(operation)))
    do(one, operation)
    assert one.objects[HPA]["spec"]["minReplicas"] == max(floor, wanted)
    assert one.objects[CHECKOUT]["spec"]["replicas"] >= max(floor, replicas)
    for back in undo or ():
        do(one, back)
    assert one.objects[HPA]["spec"]["minReplicas"] == floor


NAMED = st.dictionaries(st.sampled_from(["cpu", "memory", "x/gpu"]), st.sampled_from(["1", "2", "500m", "1Gi"]))


@settings(max_examples=200, deadline=None)
@given(there=st.tuples(NAMED, NAMED), asked=st.tuples(NAMED, NAMED))
def test_resources_are_taken_back_to_the_very_ones_that_were_there_s7(there, asked):
    one = api()
    body = deployment()
    parts = zip(("requests", "limits"), there, strict=True)
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {part: some for part, some in parts if some}
    where = TargetRef(namespace="shop", name="another")
    one.put(where, body)
    before = plain(one)
    operation = SetResources(target=where, container="main", requests=asked[0], limits=asked[1])
    does = verbs(operation)
    looked = one.look(does.wanted(operation))
    if does.refusal(operation, looked) is not None:
        return
    undo = does.undo(operation, looked)
    do(one, operation)
    for back in undo or ():
        one.apply(*verbs(back).requests(back, one.look(does.wanted(operation)), ORIGIN).steps)
    assert plain(one) == before
