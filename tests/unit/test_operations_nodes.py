"""What operations do to nodes, pods and jobs (S3, S4, S6, S10)."""

from __future__ import annotations

import pytest

from aiops.core.model import (
    Cordon,
    Drain,
    Reason,
    RunJob,
    SuspendCronJob,
    Verb,
)
from tests.unit.operated import (
    CORDONED,
    CRON,
    JOB,
    NODE,
    ORIGIN,
    POD,
    api,
    asked,
    do,
    operations,
    pod,
    reached,
    ref,
    refused,
    why,
)

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
