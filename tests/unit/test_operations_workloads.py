"""What operations do to resources and rollouts, and what a disruption budget leaves of it (S4, S5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import (
    Reason,
    RollBack,
    SetResources,
)
from aiops.core.plans.operations.set_resources import amount
from tests.unit.operated import (
    CHECKOUT,
    HPA,
    PDB,
    VPA,
    api,
    budget,
    do,
    hashes,
    hpa,
    operations,
    reached,
    ref,
    refused,
    why,
)

# -- resources -----------------------------------------------------------------------------------------


def test_only_what_is_named_changes_and_amounts_are_compared_as_amounts():
    one = api()
    do(one, operations(one)["resources"])
    main, proxy = one.objects[CHECKOUT]["spec"]["template"]["spec"]["containers"]
    assert main["resources"] == {
        "requests": {"cpu": "0.25"},
        "limits": {"memory": "1Gi", "example.com/gpu": "1", "cpu": "2"},
    }
    assert proxy == {"name": "proxy"}
    main["resources"]["requests"]["cpu"] = "250m"  # as the API server writes it
    assert do(one, operations(one)["resources"]) == 0


def test_resources_that_an_hpa_scales_on_are_not_ours_s4():
    one = api()
    on = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]
    one.put(HPA, hpa(metrics=on))
    cpu = SetResources(target=CHECKOUT, container="main", requests={"cpu": "1"}, limits={})
    assert refused(one, cpu) is Reason.OWNED
    assert refused(one, replace(cpu, requests={"memory": "512Mi"})) is None
    one.put(HPA, hpa(metrics=[]))  # scales on cpu, as HPAs without metrics do
    assert refused(one, cpu) is Reason.OWNED
    one.put(HPA, hpa(metrics=[{"type": "ContainerResource", "containerResource": {"name": "cpu"}}]))
    assert refused(one, cpu) is Reason.OWNED


@pytest.mark.parametrize(("mode", "reason"), [("Auto", Reason.OWNED), ("Initial", Reason.OWNED), ("Off", None)])
def test_a_vpa_that_acts_is_not_fought_s4(mode, reason):
    one = api()
    aim = {"kind": "Deployment", "name": "checkout"}
    one.put(VPA, {"spec": {"targetRef": aim, "updatePolicy": {"updateMode": mode}}})
    assert refused(one, operations(one)["resources"]) is reason


@pytest.mark.parametrize(
    ("requests", "limits"), [({"memory": "2Gi"}, {}), ({"cpu": "much"}, {}), ({"cpu": "3"}, {"cpu": "2"})]
)
def test_resources_that_no_server_would_take_are_refused(requests, limits):
    wish = SetResources(target=CHECKOUT, container="main", requests=requests, limits=limits)
    assert refused(api(), wish) is Reason.BOUNDS


def test_amounts_are_exact():
    assert amount("100m") * 10 == 1
    assert amount("1Ei") == 2**60
    assert amount("1n") * 10**9 == 1
    for text in ("", "1ki", "--1", "1e", "Mi", "9" * 65):
        with pytest.raises(ValueError, match="is no quantity"):
            amount(text)


# -- rollouts and budgets ------------------------------------------------------------------------------

ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}


@pytest.mark.parametrize("name", ["restart", "roll-back", "resources"])
@pytest.mark.parametrize(
    ("kind", "strategy", "status", "reason"),
    [
        ("Deployment", None, {"allowed": 0, "desired": 4}, Reason.DISRUPTION_BUDGET),  # 25 % of 4 go at once
        ("Deployment", None, {"allowed": 1, "desired": 3}, None),
        ("Deployment", None, {"allowed": 0, "healthy": 2, "desired": 3}, None),  # the sick go first
        ("Deployment", None, {"allowed": 0, "healthy": 0, "desired": 4}, None),  # nothing left to lose
        ("Deployment", {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}, {"allowed": 0, "desired": 4}, None),
        (
            "Deployment",
            {"rollingUpdate": {"maxUnavailable": "50%"}},
            {"allowed": 1, "desired": 3},
            Reason.DISRUPTION_BUDGET,
        ),
        ("Deployment", {"type": "Recreate"}, {"allowed": 1, "desired": 3}, Reason.DISRUPTION_BUDGET),
    ],
)
def test_a_rollout_keeps_what_a_budget_wants_s5(name, kind, strategy, status, reason):
    one = api()
    if strategy is not None:
        one.objects[CHECKOUT]["spec"]["strategy"] = strategy
    one.put(PDB, budget(**status))
    assert refused(one, operations(one)[name]) is reason


@pytest.mark.parametrize(("allowed", "reason"), [(0, Reason.DISRUPTION_BUDGET), (1, None)])
def test_a_stateful_set_takes_the_next_pod_whatever_the_others_are_like_s5(allowed, reason):
    one = api()
    where = ref("StatefulSet", "checkout")
    one.put(where, one.objects[CHECKOUT])
    one.put(PDB, budget(allowed, healthy=3, desired=3))
    assert refused(one, replace(operations(one)["restart"], target=where)) is reason


@pytest.mark.parametrize(
    ("selector", "binds"),
    [
        ({}, True),
        ({"matchLabels": {"app": "other"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["checkout", "cart"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["checkout"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "nonsense"}]}, True),
        (None, False),
    ],
)
def test_a_budget_binds_whom_its_whole_selector_selects_s5(selector, binds):
    one = api()
    one.put(PDB, {**budget(0), "spec": {"selector": selector}})
    assert (refused(one, operations(one)["restart"]) is Reason.DISRUPTION_BUDGET) is binds


def test_what_is_paused_or_waits_for_deletions_is_not_rolled_out():
    one = api()
    one.objects[CHECKOUT]["spec"]["paused"] = True
    assert refused(one, operations(one)["restart"]) is Reason.PAUSED
    assert refused(one, operations(one)["roll-back"]) is Reason.PAUSED
    one.objects[CHECKOUT]["spec"].update(paused=False, updateStrategy={"type": "OnDelete"})
    assert refused(one, operations(one)["restart"]) is Reason.REFUSED


def test_a_restart_is_seen_when_the_rollout_is_over():
    one = api()
    operation = operations(one)["restart"]
    do(one, operation)
    one.objects[CHECKOUT]["status"]["updatedReplicas"] = 2
    assert reached(one, operation) is False


def test_a_revision_that_is_not_kept_is_refused_and_says_which_are():
    one = api()
    wish = RollBack(target=CHECKOUT, template_hash="gone")
    assert refused(one, wish) is Reason.UNKNOWN_TARGET
    assert ", ".join(reversed(hashes(one))) in why(one, wish)


def test_a_rolled_back_template_has_nothing_left_of_the_bad_one():
    one = api()
    bad = one.objects[CHECKOUT]["spec"]["template"]
    bad["spec"]["containers"][0]["workingDir"] = "/bad"
    bad["spec"]["hostNetwork"] = True
    one.revision(CHECKOUT, bad)
    do(one, operations(one)["roll-back"])
    main = one.objects[CHECKOUT]["spec"]["template"]["spec"]["containers"][0]
    assert (main["image"], main["command"], main.get("workingDir")) == ("shop:0", ["run"], None)
    assert "hostNetwork" not in one.objects[CHECKOUT]["spec"]["template"]["spec"]
