"""The limits of Karpenter's NodePools: only ever raised, given back exactly, and an admin's to let us touch."""

from __future__ import annotations

import pytest

from aiops.adapters.kubernetes.plan_rights import plan_roles
from aiops.core.model import RaiseNodeLimits, Reason
from aiops.core.plans.operations import stands, verbs
from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests.unit.operated import ORIGIN, POOL, api, do

POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: RemediationPolicy
metadata: {name: room, namespace: shop}
spec:
  mode: approve
  target: {name: checkout}
  when: [{alert: PodsWaitForNodes}]
  ladder:
    - {do: raise-node-limits, nodePool: general, limits: {cpu: "150", memory: 600Gi}, asks: true}
"""


def raised(**limits: str) -> RaiseNodeLimits:
    return RaiseNodeLimits(pool=POOL, limits=limits)


@pytest.mark.parametrize(
    ("now", "wanted", "after"),
    [
        ({"cpu": "100"}, {"cpu": "150"}, {"cpu": "150"}),
        ({"cpu": "200"}, {"cpu": "150"}, {"cpu": "200"}),
        ({"cpu": 100}, {"cpu": "0.15k"}, {"cpu": "0.15k"}),
        ({"memory": "1Ti"}, {"cpu": "150", "memory": "1024Gi"}, {"memory": "1Ti"}),
        ({}, {"cpu": "150"}, {}),
    ],
)
def test_what_is_higher_or_open_stays(now, wanted, after):
    one = api()
    one.objects[POOL]["spec"]["limits"] = dict(now)
    do(one, raised(**wanted))
    assert one.objects[POOL]["spec"]["limits"] == after


def test_only_what_was_raised_is_given_back_and_only_while_it_is_ours_s7():
    one = api()
    operation = raised(cpu="150", memory="100Gi")
    looked = one.look(verbs(operation).wanted(operation))
    (back,) = verbs(operation).undo(operation, looked)
    assert (back.limits, back.back) == ({"cpu": "100"}, True)
    do(one, operation)
    assert stands(raised(cpu="150"), one.look(verbs(operation).wanted(operation)))
    do(one, back)
    assert one.objects[POOL]["spec"]["limits"] == {"cpu": "100", "memory": "400Gi"}
    assert verbs(back).says(back) == "give NodePool general in default limits of cpu 100 again"


def raise_and_take_back(before: dict[str, str | int], between: dict[str, str | int], **wanted: str) -> object:
    """Return the limits after a raise, what a person wrote since, and the way back; it stands until then."""
    one = api()
    one.objects[POOL]["spec"]["limits"] = dict(before)
    operation = raised(**wanted)
    back = verbs(operation).undo(operation, one.look(verbs(operation).wanted(operation)))
    do(one, operation)
    one.objects[POOL]["spec"]["limits"].update(between)
    assert stands(operation, one.look(verbs(operation).wanted(operation)))
    assert back is not None
    for each in back:
        do(one, each)
    return one.objects[POOL]["spec"]["limits"]


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        ({"cpu": "200", "memory": "400Gi"}, {}, {"cpu": "200", "memory": "400Gi"}),
        ({"memory": "400Gi"}, {}, {"memory": "400Gi"}),
        ({"cpu": 100, "memory": "400Gi"}, {}, {"cpu": 100, "memory": "400Gi"}),
        ({"cpu": "100", "memory": "400Gi"}, {"cpu": "170"}, {"cpu": "170", "memory": "400Gi"}),
        ({"cpu": "100", "memory": "400Gi"}, {"memory": "1Ti"}, {"cpu": "100", "memory": "1Ti"}),
        ({"cpu": "100", "memory": "400Gi"}, {"nodes": 9}, {"cpu": "100", "memory": "400Gi", "nodes": 9}),
    ],
)
def test_each_limit_is_given_back_as_it_stood_and_what_a_person_wrote_since_stays_s4_s7(before, between, after):
    assert raise_and_take_back(before, between, cpu="150", memory="600Gi") == after


def test_a_pool_that_comes_from_git_is_left_to_it_by_its_name_s4():
    one = api()
    one.objects[POOL]["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "nodes:karpenter.sh/NodePool:/x"}
    operation = raised(cpu="150")
    said = verbs(operation).refusal(operation, one.look(verbs(operation).wanted(operation)))
    assert said == (Reason.OWNED, "NodePool general is Argo CD's: change it in Git")


def test_limits_that_are_no_quantities_are_not_touched():
    one = api()
    one.objects[POOL]["spec"]["limits"] = {"cpu": "plenty"}
    operation = raised(cpu="150")
    looked = one.look(verbs(operation).wanted(operation))
    assert verbs(operation).refusal(operation, looked)[0] is Reason.BOUNDS
    assert verbs(operation).undo(operation, looked) is None
    assert not verbs(operation).requests(operation, looked, ORIGIN)


def test_the_pool_is_looked_at_before_anything_is_asked_for_since_it_says_itself_whether_it_opted_in_s3():
    (policy,) = parse(POLICY, "test").plans
    assert policy.ladder[0].remedy.pool in policy.wanted.objects


def test_a_rung_names_the_pool_and_needs_the_right_to_patch_that_one_alone_s10():
    policies = parse(POLICY, "test")
    (policy,) = policies.plans
    assert (policy.ladder[0].remedy.pool.name, policy.ladder[0].asks) == ("general", True)
    rules = [
        rule for role in plan_roles(policies) for rule in role.get("rules", ()) if rule["apiGroups"] == ["karpenter.sh"]
    ]
    assert {(rule["verbs"][0], rule["resourceNames"][0]) for rule in rules} == {
        ("get", "general"),
        ("patch", "general"),
    }


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("nodePool: general, ", "", "nodePool"),
        ('limits: {cpu: "150", memory: 600Gi}, ', "", "needs limits"),
        ('cpu: "150"', 'pods: "150"', "pods is no resource"),
        ('cpu: "150"', "cpu: lots", "lots"),
        ("do: raise-node-limits", "do: restart", "raise-node-limits"),
    ],
)
def test_a_rung_that_cannot_be_is_refused_with_its_place(before, after, said):
    assert before in POLICY
    with pytest.raises(InvalidPolicy) as told:
        parse(POLICY.replace(before, after), "test")
    assert "spec.ladder[0]" in str(told.value)
    assert said in str(told.value)


def test_who_only_has_a_namespace_changes_no_pool_s3():
    with pytest.raises(InvalidPolicy) as told:
        parse(POLICY, "crd:RemediationPolicy/shop/room")
    assert "from an admin's files alone" in str(told.value)
