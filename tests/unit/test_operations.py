"""What each operation asks for, sees, takes back and refuses (S3, S4, S5, S6, S7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import (
    CallWebhook,
    Cordon,
    Notify,
    Reason,
    Verb,
)
from aiops.core.plans.operations import OPERATIONS, verbs
from tests.unit.operated import (
    CORDONED,
    JOB,
    NODE,
    ORIGIN,
    api,
    asked,
    do,
    operations,
    plain,
    reached,
    refused,
    why,
)

NAMES = tuple(operations(api()))
TAKEN_BACK = (
    "http-route",
    "service-selector",
    "ingress-canary",
    "weight-annotation",
    "scale",
    "resources",
    "node-limits",
    "cordon",
    "roll-back",
    "suspend",
    "sleep",
)
SENT = tuple(name for name in NAMES if name not in ("webhook", "notify", "await-removal"))


# -- every operation -----------------------------------------------------------------------------------


def test_every_operation_has_verbs_and_is_tried_here():
    assert {type(one) for one in operations(api()).values()} == set(OPERATIONS)


def test_a_node_is_waited_for_until_it_is_gone_or_another_has_its_name():
    one = api()
    operation = operations(one)["await-removal"]
    does, looked = asked(one, operation)
    assert does.refusal(operation, looked) is None
    assert not does.requests(operation, looked, ORIGIN)
    assert does.undo(operation, looked) == ()
    assert does.reached(operation, looked) is False
    one.objects[CORDONED]["metadata"]["uid"] = "another"
    assert reached(one, operation) is True
    del one.objects[CORDONED]
    assert reached(one, operation) is True
    one.unknown[CORDONED.key] = (Reason.CLUSTER_UNAVAILABLE, "down")
    assert reached(one, operation) is None
    assert refused(one, operation) is Reason.CLUSTER_UNAVAILABLE


def test_a_node_that_is_gone_is_cordoned_no_more_and_there_is_nothing_to_take_back_s7():
    one = api()
    del one.objects[NODE]
    assert reached(one, Cordon(node=NODE)) is False
    assert reached(one, Cordon(node=NODE, unschedulable=False)) is True
    one.unknown[NODE.key] = (Reason.CLUSTER_UNAVAILABLE, "down")
    assert reached(one, Cordon(node=NODE)) is None
    assert reached(one, Cordon(node=NODE, unschedulable=False)) is None


@pytest.mark.parametrize("name", SENT)
def test_what_is_done_is_seen_and_not_asked_for_again_s6(name):
    one = api()
    operation = operations(one)[name]
    assert reached(one, operation) is False
    assert do(one, operation) == 1
    does, looked = asked(one, operation)
    if name == "run-job":
        one.objects[JOB]["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
        does, looked = asked(one, operation)
    assert does.reached(operation, looked) is True
    assert not does.requests(operation, looked, ORIGIN)


@pytest.mark.parametrize("name", TAKEN_BACK)
def test_what_is_taken_back_is_as_it_was_s7(name):
    one = api()
    before, operation = plain(one), operations(one)[name]
    does, looked = asked(one, operation)
    undo = does.undo(operation, looked)
    assert undo
    do(one, operation)
    assert plain(one) != before
    for back in undo:
        do(one, back)
        assert reached(one, back) is True
    assert plain(one) == before


@pytest.mark.parametrize("name", SENT)
def test_what_is_so_already_leaves_nothing_to_take_back_s7(name):
    one = api()
    operation = operations(one)[name]
    do(one, operation)
    does, looked = asked(one, operation)
    if name == "sleep":
        # begun anew after a lost answer, it must still know what was there
        assert [back.original for back in does.undo(operation, looked)] == ["4"]
    elif name == "split":
        # whatever was moved since, the way back is to what the companion had before anything of ours
        assert [back.replicas for back in does.undo(operation, looked)] == [0]
    else:
        assert does.undo(operation, looked) in ((), None)


@pytest.mark.parametrize("name", SENT)
def test_patches_carry_what_was_seen_as_preconditions_s6(name):
    one = api()
    does, looked = asked(one, operations(one)[name])
    for step in does.requests(operations(one)[name], looked, ORIGIN).steps:
        seen = one.objects.get(step.target)
        if step.verb is Verb.PATCH:
            assert (step.uid, step.resource_version) == (seen["metadata"]["uid"], seen["metadata"]["resourceVersion"])
        elif step.subresource == "eviction":
            assert step.body["deleteOptions"]["preconditions"] == {"uid": seen["metadata"]["uid"]}


@pytest.mark.parametrize("name", SENT)
def test_what_is_not_there_is_refused_and_what_cannot_be_read_is_not_known_s1(name):
    one = api()
    operation = operations(one)[name]
    does = verbs(operation)
    wanted = does.wanted(operation)
    for where in wanted.objects:
        one.unknown[where.key] = (Reason.CLUSTER_UNAVAILABLE, "down")
    for some in wanted.selections:
        one.unknown[some.key] = (Reason.CLUSTER_UNAVAILABLE, "down")
    assert refused(one, operation) is Reason.CLUSTER_UNAVAILABLE
    assert reached(one, operation) is None
    assert not does.requests(operation, one.look(wanted), ORIGIN)
    if name != "delete-pod":
        one.unknown.clear()
        one.objects.clear()
        assert refused(one, operation) is Reason.UNKNOWN_TARGET
        assert not does.requests(operation, one.look(wanted), ORIGIN)


@pytest.mark.parametrize(
    "name", ["http-route", "service-selector", "scale", "resources", "roll-back", "suspend", "sleep"]
)
@pytest.mark.parametrize(
    "mark",
    [
        ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
    ],
)
def test_what_git_owns_is_not_fought_s4(name, mark):
    one = api()
    operation = operations(one)[name]
    where, label, owner = mark
    body = one.objects[verbs(operation).touches(operation)[0]]
    body["metadata"].setdefault(where, {})[label] = "shop"
    assert refused(one, operation) is Reason.OWNED
    assert owner in why(one, operation)


# -- telling -------------------------------------------------------------------------------------------


def test_the_same_message_of_a_plan_has_the_same_key_however_often_it_is_tried_s6():
    page, call = Notify(title="Sick", text="checkout"), CallWebhook(endpoint="tickets")
    keys = {
        verbs(one).requests(one, api().look(verbs(one).wanted(one)), origin).messages[0].key
        for one in (page, call)
        for origin in (ORIGIN, replace(ORIGIN, key="E2"))
    }
    assert len(keys) == 2
    assert (
        verbs(page).requests(page, api().look(verbs(page).wanted(page)), replace(ORIGIN, plan_id="P2")).messages[0].key
        not in keys
    )
