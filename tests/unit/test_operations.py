"""What each operation asks for, sees, takes back and refuses (S3, S4, S5, S6, S7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import (
    CallWebhook,
    Cordon,
    Drain,
    Notify,
    Reason,
    RollBack,
    RunJob,
    ScaleTo,
    SetResources,
    SuspendCronJob,
    TrafficLever,
    Verb,
)
from aiops.core.plans.operations import OPERATIONS, stands, verbs
from aiops.core.plans.operations.set_resources import amount
from tests.unit.operated import (
    CHECKOUT,
    CORDONED,
    CRON,
    HPA,
    INGRESS,
    JOB,
    NODE,
    NOW,
    ORIGIN,
    PDB,
    POD,
    ROUTE,
    SERVICE,
    VPA,
    api,
    budget,
    do,
    hashes,
    hpa,
    ingress,
    operations,
    plain,
    pod,
    ref,
    route,
    service,
    shift,
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


def asked(one, operation):
    does = verbs(operation)
    return does, one.look(does.wanted(operation), NOW)


def refused(one, operation):
    does, looked = asked(one, operation)
    said = does.refusal(operation, looked)
    return None if said is None else said[0]


def why(one, operation) -> str:
    does, looked = asked(one, operation)
    said = does.refusal(operation, looked)
    return "" if said is None else said[1]


def reached(one, operation):
    does, looked = asked(one, operation)
    return does.reached(operation, looked)


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


# -- traffic -------------------------------------------------------------------------------------------


def test_only_the_weights_of_the_rule_change_and_the_rest_of_the_route_stays():
    one = api()
    do(one, shift(TrafficLever.HTTP_ROUTE, ROUTE, 30, 70))
    assert one.objects[ROUTE]["spec"] == {
        "rules": [
            {"backendRefs": [{"name": "other", "port": 80}]},
            {
                "matches": [{"path": {"value": "/"}}],
                "backendRefs": [
                    {"name": "west", "port": 80, "weight": 30},
                    {"name": "north", "port": 80, "weight": 70},
                ],
            },
        ]
    }


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        (route(1, 1, 1), Reason.OWNED, "sends traffic to third, too"),
        (route(1, 1, 0), None, ""),
        (route(1), Reason.UNKNOWN_TARGET, "does not say how much goes to west, north"),
        ({"spec": {"rules": []}}, Reason.UNKNOWN_TARGET, "does not say"),
        (
            {"spec": {"rules": [{}, {"backendRefs": [{"name": "west"}, {"name": "north"}, {"name": "north"}]}]}},
            Reason.UNKNOWN_TARGET,
            "has north more than once",
        ),
    ],
)
def test_a_route_whose_shares_cannot_be_told_is_refused(body, reason, said):
    one = api()
    one.put(ROUTE, body)
    operation = operations(one)["http-route"]
    assert refused(one, operation) is reason
    assert said in why(one, operation)


@pytest.mark.parametrize("weights", [(0, 0), (-10, 110)])
def test_weights_that_serve_nobody_are_refused_s8(weights):
    assert refused(api(), shift(TrafficLever.HTTP_ROUTE, ROUTE, *weights)) is Reason.BOUNDS


def test_a_selector_sends_all_to_one_or_nothing():
    one = api()
    assert refused(one, shift(TrafficLever.SERVICE_SELECTOR, SERVICE, 50, 50)) is Reason.BOUNDS
    one.put(SERVICE, {**service(), "metadata": {"annotations": {"policy.aiops/backend-label": "site"}}})
    one.objects[SERVICE]["spec"]["selector"] = {"app": "storefront", "site": "north"}
    do(one, shift(TrafficLever.SERVICE_SELECTOR, SERVICE, 100, 0))
    assert one.objects[SERVICE]["spec"]["selector"] == {"app": "storefront", "site": "west"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (ingress(canary="west"), "is the canary of west, not of north"),
        (ingress("200"), "does not say"),
        (ingress("many"), "does not say"),
        ({"metadata": {"annotations": {}}}, "does not say"),
    ],
)
def test_an_ingress_that_is_not_the_canary_of_the_second_backend_is_refused(body, said):
    one = api()
    one.put(INGRESS, body)
    assert said in why(one, operations(one)["ingress-canary"])


# -- replicas ------------------------------------------------------------------------------------------


def test_a_standby_is_raised_and_never_lowered_s8():
    one = api()
    do(one, ScaleTo(target=CHECKOUT, replicas=2, only_up=True))
    assert one.objects[CHECKOUT]["spec"]["replicas"] == 4


def test_where_an_hpa_steers_its_floor_is_raised_and_given_back_s4():
    one = api()
    one.put(HPA, hpa(floor=2))
    operation = ScaleTo(target=CHECKOUT, replicas=6, only_up=True)
    does, looked = asked(one, operation)
    undo = does.undo(operation, looked)
    assert undo == (ScaleTo(target=CHECKOUT, replicas=2, floor=True),)
    do(one, operation)
    assert one.objects[HPA]["spec"]["minReplicas"] == 6
    assert reached(one, operation) is True
    do(one, undo[0])
    assert one.objects[HPA]["spec"]["minReplicas"] == 2
    assert one.objects[CHECKOUT]["spec"]["replicas"] == 6


def test_a_floor_is_given_back_to_an_hpa_or_to_nobody_s7():
    """Without the HPA the floor of two must not become two replicas of a workload that serves."""
    one = api()
    back = ScaleTo(target=CHECKOUT, replicas=2, floor=True)
    assert do(one, back) == 0
    assert reached(one, back) is True
    assert one.objects[CHECKOUT]["spec"]["replicas"] == 4


@pytest.mark.parametrize(("floor", "standing"), [(6, True), (8, False), (2, False)])
def test_a_floor_stands_while_it_is_what_was_written_wherever_the_replicas_are_s7(floor, standing):
    one = api()
    one.put(HPA, hpa(floor))
    up = ScaleTo(target=CHECKOUT, replicas=6, only_up=True)
    does, looked = asked(one, up)
    assert does.reached(up, looked) is False
    assert stands(up, looked) is standing


@pytest.mark.parametrize("name", ["resources", "roll-back"])
def test_what_was_written_stands_whether_its_pods_are_ready_or_not_s7(name):
    one = api()
    operation = operations(one)[name]
    do(one, operation)
    one.objects[CHECKOUT]["status"]["availableReplicas"] = 1
    does, looked = asked(one, operation)
    assert does.reached(operation, looked) is False
    assert stands(operation, looked) is True


def test_a_floor_that_is_not_enough_waits_for_the_hpa():
    one = api()
    one.put(HPA, hpa(floor=6))
    operation = ScaleTo(target=CHECKOUT, replicas=6, only_up=True)
    assert reached(one, operation) is False
    assert do(one, operation) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": {"scaledobject.keda.sh/name": "checkout"}}, Reason.OWNED),
        ({"ownerReferences": [{"kind": "ScaledObject"}]}, Reason.OWNED),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "checkout"}}, Reason.OWNED),
    ],
)
def test_the_floor_of_an_hpa_that_is_anothers_is_not_moved_s4(change, reason):
    one = api()
    one.put(HPA, {**hpa(), "metadata": change})
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=6, only_up=True)) is reason


def test_what_an_hpa_allows_is_not_exceeded_nor_its_replicas_set_s5():
    one = api()
    one.put(HPA, hpa())
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=11, only_up=True)) is Reason.BOUNDS
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=3)) is Reason.OWNED
    one.objects[HPA]["status"] = {"conditions": [{"type": "ScalingActive", "status": "False"}]}
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=1, floor=True)) is Reason.SCALING_INACTIVE


def test_what_somebody_switched_off_stays_off_s4():
    one = api()
    one.objects[CHECKOUT]["spec"]["replicas"] = 0
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=3)) is Reason.SWITCHED_OFF


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


# -- nodes and pods ------------------------------------------------------------------------------------


def test_a_node_that_somebody_cordoned_is_theirs_s4():
    one = api()
    one.objects[NODE]["spec"]["unschedulable"] = True
    does, looked = asked(one, Cordon(node=NODE))
    assert does.undo(Cordon(node=NODE), looked) == ()
    assert refused(one, Cordon(node=NODE, unschedulable=False)) is Reason.OWNED


def test_a_drain_evicts_what_may_go_and_leaves_what_belongs_there_s3():
    one = api()
    stays = {
        ref("Pod", "proxy", "v1", "kube-system"): pod(),
        ref("Pod", "agent", "v1"): pod(owner="DaemonSet"),
        ref("Pod", "static", "v1"): pod(annotations={"kubernetes.io/config.mirror": "x"}),
        ref("Pod", "done", "v1"): {**pod(), "status": {"phase": "Succeeded"}},
        ref("Pod", "elsewhere", "v1"): pod(node="n1"),
    }
    for where, body in stays.items():
        one.put(where, body)
    drain = Drain(node=CORDONED, grace_s=30)
    does, looked = asked(one, drain)
    [step] = does.requests(drain, looked, ORIGIN).steps
    assert (step.target, step.subresource, step.verb) == (POD, "eviction", Verb.CREATE)
    assert step.body["deleteOptions"]["gracePeriodSeconds"] == 30
    do(one, drain)
    assert {where for where in one.objects if where.kind == "Pod"} == set(stays)
    assert reached(one, drain) is True


def test_a_drain_waits_for_pods_that_are_on_their_way():
    one = api()
    one.objects[POD]["metadata"]["deletionTimestamp"] = "2026-03-02T12:00:00Z"
    assert reached(one, Drain(node=CORDONED)) is False
    assert do(one, Drain(node=CORDONED)) == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (pod(owner=""), Reason.NOT_UNDOABLE),
        (pod(annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}), Reason.PROTECTED),
        (pod(annotations={"karpenter.sh/do-not-disrupt": "true"}), Reason.PROTECTED),
    ],
)
def test_pods_that_nobody_would_make_again_or_that_must_stay_are_not_evicted_s3(body, reason):
    one = api()
    one.put(POD, body)
    assert refused(one, Drain(node=CORDONED)) is reason
    assert refused(one, operations(one)["delete-pod"]) is reason
    assert str(POD) in why(one, Drain(node=CORDONED))


def test_a_node_that_takes_pods_is_not_drained():
    assert refused(api(), Drain(node=NODE)) is Reason.REFUSED


def test_the_successor_of_a_pod_is_not_the_pod_s6():
    one = api()
    one.put(POD, pod(uid="another"))
    operation = operations(one)["delete-pod"]
    assert reached(one, operation) is True
    assert do(one, operation) == 0


# -- jobs ----------------------------------------------------------------------------------------------


def test_a_job_is_made_of_the_template_with_its_arguments_as_plain_text_s10():
    one = api()
    do(one, operations(one)["run-job"])
    job = one.objects[JOB]
    main, side = job["spec"]["template"]["spec"]["containers"]
    assert main["env"] == [{"name": "NODE", "value": "n1 $$(MODE) $$HOME"}, {"name": "MODE", "value": "x"}]
    assert "env" not in side
    assert job["spec"]["ttlSecondsAfterFinished"] == 86_400
    assert job["metadata"]["labels"] == {"a": "b"}
    assert "name" in one.objects[CRON]["metadata"]
    assert (
        one.objects[CRON]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == ""
    )


@pytest.mark.parametrize(
    ("change", "arguments", "reason"),
    [
        ({"labels": {}}, (), Reason.NOT_OPTED_IN),
        ({"labels": {"policy.aiops/runbook": "yes"}}, (), Reason.NOT_OPTED_IN),
        ({}, (("LD_PRELOAD", "x"),), Reason.REFUSED),
        ({}, (("NODE", "x" * 1025),), Reason.BOUNDS),
        ({}, (("NODE", "a\0b"),), Reason.BOUNDS),
    ],
)
def test_a_job_that_nobody_allowed_is_refused_s3(change, arguments, reason):
    one = api()
    one.objects[CRON]["metadata"].update(change)
    assert refused(one, RunJob(template=CRON, name="aiops-p1", arguments=arguments)) is reason


def test_a_variable_that_comes_from_a_secret_cannot_be_given_s10():
    one = api()
    env = one.objects[CRON]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"]
    env[0] = {"name": "NODE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    assert refused(one, operations(one)["run-job"]) is Reason.REFUSED


def test_a_job_that_failed_says_so_and_one_of_another_is_not_ours_s6():
    one = api()
    operation = operations(one)["run-job"]
    do(one, operation)
    one.objects[JOB]["status"] = {"conditions": [{"type": "Failed", "status": "True", "message": "back-off"}]}
    assert (refused(one, operation), reached(one, operation)) == (Reason.REFUSED, False)
    assert why(one, operation) == "Job shop/aiops-p1 failed: back-off"
    del one.objects[JOB]["metadata"]["annotations"]
    assert refused(one, operation) is Reason.OWNED


def test_a_cronjob_that_somebody_suspended_is_theirs_s4():
    one = api()
    one.objects[CRON]["spec"]["suspend"] = True
    assert refused(one, SuspendCronJob(target=CRON, suspend=False)) is Reason.OWNED
    does, looked = asked(one, SuspendCronJob(target=CRON))
    assert does.undo(SuspendCronJob(target=CRON), looked) == ()


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
