"""A CostPolicy that packs empties one node at a time, sees that its pods run elsewhere, and gives it back otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiops.core.model import AwaitRemoval, Cordon, Drain, Mode, Notify, OrderKind, PlanKind, PlanStatus, Reason
from aiops.core.planning.cost_pack import Deleter
from aiops.core.planning.doing import operations_of, reads_of
from aiops.errors import InvalidInput
from aiops.policy import parse
from tests.unit.packed import a_node, a_pod, ref, seen
from tests.unit.packing import HEADER, SIGNAL, SPEC, World, a_policy

GUARDED = SIGNAL + SPEC + "    slo: [{signal: errors, atMost: 1%}]\n"


def test_the_least_used_node_is_emptied_and_its_hours_are_released_once_it_is_gone() -> None:
    world = World(usd={"n4": 0.2, "n3": 0.2})
    world.run(75)
    plan = world.until("running")
    assert (plan.kind, plan.subject) == (PlanKind.SAVING, ref("Node", "n4").key)
    assert "saves 0.2 USD an hour once the cluster autoscaler has deleted it" in plan.reason
    assert [type(step.operation) for step in plan.steps] == [Cordon, Drain, AwaitRemoval]
    world.run(300)
    assert (world.cordoned(), world.pods("n4")) == (["n4"], [])
    assert world.plans[-1].status is PlanStatus.RUNNING
    assert world.said[2].endswith("step 3 of 3 (gone)")
    world.removes = True
    done = world.until("done")
    assert done.notes[-1].text == "done: every step is done"
    assert world.sent == ["Node n4: cordon", "Pod shop/api-6: evict"]


def test_with_prices_the_node_goes_that_saves_most_for_each_pod_that_must_move() -> None:
    # n4 has one small pod and n3 one of a core; n3 costs ten times as much
    world = World(usd={"n3": 1.0, "n4": 0.1})
    assert world.until("running").subject == ref("Node", "n3").key
    # without prices the one that is used least goes, and nothing is counted as saved
    unpriced = World()
    plan = unpriced.until("running")
    assert plan.subject == ref("Node", "n4").key
    assert "saves nothing that could be counted, since its price is not known" in plan.reason


def test_one_node_at_a_time_and_no_more_than_so_many_in_an_hour() -> None:
    world = World(a_policy(SPEC + "    surviveNodeLoss: false\n    headroom: 0\n"), removes=True)
    world.until("done")
    world.turn()
    assert world.said[:2] == ("wait", Reason.RATE)
    world.run(3000)
    assert world.said[:2] == ("wait", Reason.RATE)
    world.run(900)
    assert sum(one.startswith("Node") for one in world.sent) == 2


def test_the_next_node_waits_until_the_pods_of_the_one_before_run_elsewhere() -> None:
    spec = SPEC + "    nodesPerHour: 10\n    atOnce: 2\n    surviveNodeLoss: false\n    headroom: 0\n"
    world = World(a_policy(spec))
    world.until("running")
    world.stuck = True
    world.run(300)
    assert world.cordoned() == ["n4"]
    world.stuck = False
    world.run(300)
    assert world.cordoned() == ["n3", "n4"]
    world.run(900)
    assert world.cordoned() == ["n3", "n4"]


def test_when_what_was_moved_does_not_become_ready_elsewhere_the_node_takes_pods_again() -> None:
    world = World(a_policy(SPEC + "    readyWithin: 3m\n"))
    world.until("running")
    world.stuck = True
    plan = world.until("rolled-back")
    assert "not within 240 s" in " ".join(note.text for note in plan.notes)
    assert world.cordoned() == []
    assert world.sent[-1] == "Node n4: uncordon"
    world.stuck = False
    world.turn()
    assert world.said[:2] == ("wait", Reason.BACK_OFF)
    # an hour later others may be tried; that node is left alone for six
    world.run(3900)
    assert {one.subject for one in world.plans if not one.status.ended} == {ref("Node", "n3").key}


def test_a_node_that_nobody_deletes_takes_pods_again_in_time() -> None:
    world = World(a_policy(SPEC + "    goneWithin: 20m\n"))
    world.until("running")
    plan = world.until("rolled-back", 2400.0)
    assert (world.cordoned(), plan.ended_at - plan.created_at > 1200.0) == ([], True)


def test_an_emptied_node_is_given_back_at_once_when_pods_wait_that_it_has_room_for() -> None:
    world = World()
    world.until("running")
    world.run(300)
    assert world.pods("n4") == []
    world.sets["batch"] = (3, "3")  # n1 has 2 cores left, n2 2.5 and n3 2.5
    world.run(45)
    assert world.cordoned() == ["n4"]
    world.run(90)
    assert world.cordoned() == []
    assert [one for one in world.pods("n4") if one.startswith("batch")] != []
    notes = " ".join(note.text for note in world.plans[-1].notes)
    assert "waits for a node, and has room on n4" in notes


def test_pods_that_no_emptied_node_would_help_leave_it_empty() -> None:
    world = World()
    world.until("running")
    world.run(300)
    world.sets["huge"] = (1, "64")
    world.run(600)
    assert world.cordoned() == ["n4"]


def test_nothing_is_emptied_while_pods_wait_or_nodes_are_not_ready() -> None:
    world = World(sets={"web": (4, "1"), "api": (2, "500m"), "huge": (1, "64")})
    world.run(600)
    assert world.said == ("wait", Reason.STORM, "1 pods wait for a node (shop/huge-7); nothing is emptied")
    gone = World()
    gone.node("n2", ready=False)
    gone.run(600)
    assert gone.said == ("wait", Reason.STORM, "1 of 4 nodes are not ready (n2); nothing is emptied")
    gone.node("n2")
    gone.turn()
    assert gone.said[:2] == ("wait", Reason.STABILISATION)
    assert (world.plans, gone.plans) == ([], [])


def test_a_pod_that_waits_for_others_than_a_scheduler_holds_nothing() -> None:
    world = World()
    gates = {"schedulingGates": [{"name": "quota"}]}
    world.put(a_pod("held", "", spec=gates, by="other"))
    assert world.until("running").subject == ref("Node", "n4").key


def test_a_share_of_nodes_may_be_not_ready_where_the_policy_says_so() -> None:
    world = World(a_policy(SPEC + "    maxNotReady: 25%\n    surviveNodeLoss: false\n"))
    world.node("n3", ready=False)
    world.run(120)
    assert [one.subject for one in world.plans] == [ref("Node", "n4").key]


def test_while_the_slo_is_not_known_or_not_well_nothing_is_begun_and_what_runs_is_taken_back() -> None:
    world = World(a_policy(GUARDED), values={"errors": "no answer"})
    world.run(180)
    assert world.said[1] is Reason.FAILED_SIGNAL
    world.values["errors"] = 0.05
    world.turn()
    assert world.said == ("wait", Reason.GUARDRAIL, "errors is 0.05; nothing is emptied while it is not well")
    world.values["errors"] = 0.001
    world.until("running")
    world.values["errors"] = "no answer"
    world.run(60)
    assert world.plans[-1].status is PlanStatus.RUNNING  # what is not known is not bad (S1)
    world.values["errors"] = 0.05
    plan = world.until("rolled-back")
    assert "rolled back: errors is 0.05" in [note.text for note in plan.notes]
    assert world.cordoned() == []


def test_a_scale_in_meanwhile_is_no_reason_to_take_a_node_back() -> None:
    world = World()
    world.until("running")
    world.sets["api"] = (1, "500m")
    world.run(600)
    assert (world.plans[-1].status, world.cordoned()) == (PlanStatus.RUNNING, ["n4"])


def test_what_cannot_be_read_is_no_cluster_without_pods() -> None:
    world = World()
    for selection in world.policy.pool.wanted.selections:
        world.errors = {selection.key: (Reason.NO_PERMISSION, "forbidden")}
        world.run(120)
        assert world.said[:2] == ("wait", Reason.NO_PERMISSION)
        assert world.said[2] == f"{selection.kind}s of cluster default cannot be read: forbidden; nothing is begun"
    assert world.sent == []


def test_a_plan_at_work_neither_ends_nor_is_taken_back_while_nothing_can_be_read() -> None:
    world = World()
    world.until("running")
    world.run(60)
    world.errors = {world.policy.pool.pods.key: (Reason.CLUSTER_UNAVAILABLE, "down")}
    world.run(300)
    assert (world.plans[-1].status, world.cordoned()) == (PlanStatus.RUNNING, ["n4"])


OTHERS: dict[str, dict[str, Any]] = {
    "a person has cordoned it": {"unschedulable": True},
    "the cluster autoscaler is about to remove it": {
        "taints": [{"key": "DeletionCandidateOfClusterAutoscaler", "effect": "PreferNoSchedule"}]
    },
    "nobody opted it in": {"labels": {"policy.aiops/managed": "false"}},
}


@pytest.mark.parametrize("more", OTHERS.values(), ids=OTHERS.keys())
def test_a_node_is_left_alone_that_is_anothers(more: dict[str, Any]) -> None:
    world = World(a_policy(SPEC + "    surviveNodeLoss: false\n"))
    world.node("n4", **more)
    assert world.until("running").subject == ref("Node", "n3").key


def test_a_node_that_is_protected_or_runs_what_is_protected_stays_and_another_goes_s3() -> None:
    spec = SPEC + "    surviveNodeLoss: false\n"
    world = World(a_policy(spec), protects={"protected_targets": frozenset({str(ref("Node", "n4"))})})
    assert world.until("running").subject == ref("Node", "n3").key
    world = World(a_policy(spec), protects={"protected_namespaces": frozenset({"monitoring"})})
    world.put(a_pod("prometheus-0", "n4", "100m", by="prometheus", namespace="monitoring"))
    assert world.until("running").subject == ref("Node", "n3").key
    assert any("namespace monitoring is protected" in line for line in world.plans[-1].evidence)


def test_nodes_that_the_selector_does_not_choose_are_no_ones_to_empty_but_take_pods() -> None:
    pool = "    nodes: {selector: {matchLabels: {pool: spare}}, minNodes: 0}\n"
    world = World(a_policy(SPEC + pool + "    surviveNodeLoss: false\n    headroom: 0\n"))
    world.run(120)
    assert world.said == ("steady", None, "0 nodes take pods, and 0 must be left")
    world.node("n3", labels={"pool": "spare"})
    assert world.until("running").subject == ref("Node", "n3").key


def test_so_many_nodes_are_left_whatever_would_fit() -> None:
    world = World(a_policy(SPEC + "    nodes: {minNodes: 4}\n"))
    world.run(300)
    assert world.said == ("steady", None, "4 nodes take pods, and 4 must be left")


def test_a_person_who_deletes_nodes_is_told_and_karpenters_nodes_are_karpenters() -> None:
    world = World(a_policy(SPEC, ("ClusterAutoscaler", "Person")))
    world.node("n3", labels={"karpenter.sh/nodepool": "general"})
    plan = world.until("running")
    assert [type(step.operation) for step in plan.steps] == [Cordon, Drain, Notify, AwaitRemoval]
    assert plan.steps[-1].within_s == 86400.0
    world.run(300)
    assert world.told == ["Node n4 is empty: delete it"]
    karpenters = World(a_policy(SPEC, ("ClusterAutoscaler", "Person")), usd={"n3": 5.0})
    karpenters.node("n3", labels={"karpenter.sh/nodepool": "general"})
    plan = karpenters.until("running")
    assert [type(step.operation) for step in plan.steps] == [Cordon, Drain, AwaitRemoval]
    assert "once Karpenter has deleted it" in plan.reason


def test_a_budget_without_room_and_data_on_the_node_keep_it_and_the_evidence_says_so() -> None:
    world = World()
    world.put(
        a_pod("data", "n4", "100m", by="db", labels={"app": "db"}, spec={"volumes": [{"name": "d", "emptyDir": {}}]})
    )
    budget = {"spec": {"selector": {"matchLabels": {"app": "web"}}}, "status": {"disruptionsAllowed": 0}}
    world.put(seen(ref("PodDisruptionBudget", "web", "shop", "policy/v1"), budget))
    world.run(120)
    assert world.said[0] == "steady"
    assert world.evidence[1:] == (
        "node n4 stays: shop/data stays: what is in its volume d would be lost",
        "node n3 stays: PodDisruptionBudget shop/web allows none of its pods to go now",
        "node n2 stays: PodDisruptionBudget shop/web allows none of its pods to go now",
        "node n1 stays: PodDisruptionBudget shop/web allows none of its pods to go now",
    )


def test_a_budget_that_is_not_up_to_date_allows_nothing() -> None:
    world = World()
    body = {
        "metadata": {"generation": 2},
        "spec": {"selector": {}},
        "status": {"disruptionsAllowed": 5, "observedGeneration": 1},
    }
    world.put(seen(ref("PodDisruptionBudget", "all", "shop", "policy/v1"), body))
    world.run(120)
    assert (world.said[0], world.plans) == ("steady", [])


def test_in_mode_approve_a_person_is_asked_and_a_dry_run_sends_nothing() -> None:
    asks = World(a_policy(SPEC, ("enforce", "approve")))
    asks.run(120)
    assert (asks.said[0], asks.sent, asks.plans[-1].status) == ("ask", [], PlanStatus.PROPOSED)
    first = asks.plans[-1].id
    asks.run(120)
    assert [one.id for one in asks.plans] == [first]
    asks.approve()
    asks.run(45)
    assert asks.cordoned() == ["n4"]
    dry = World(a_policy(SPEC, ("enforce", "dry-run")))
    dry.run(300)
    assert (dry.sent, dry.plans[-1].status) == ([], PlanStatus.REHEARSED)


def test_a_person_may_take_it_back() -> None:
    world = World()
    world.until("running")
    world.run(300)
    world.order(OrderKind.ROLL_BACK)
    world.run(45)
    assert world.cordoned() == []
    world.turn()
    assert world.said[:2] == ("wait", Reason.BACK_OFF)


def test_the_share_of_nodes_that_all_policies_may_cordon_at_once_binds_it_too() -> None:
    spec = SPEC + "    nodesPerHour: 10\n    atOnce: 2\n    surviveNodeLoss: false\n    headroom: 0\n"
    world = World(a_policy(spec))
    world.blast = replace(world.blast, nodes_ratio=0.25)
    world.run(900)
    assert world.cordoned() == ["n4"]
    assert world.said[:2] == ("wait", Reason.BUDGET)


def test_what_it_may_do_and_looks_at_is_what_it_is_granted() -> None:
    policy = a_policy()
    assert {type(one).__name__ for one in operations_of(policy)} == {"Cordon", "Drain"}
    kinds = {one.kind for one in reads_of(policy).selections}
    assert kinds == {"Node", "Pod", "PodDisruptionBudget", "PersistentVolumeClaim", "PersistentVolume"}
    named = {one.kind for one in reads_of(policy).objects}
    assert {"ReplicaSet", "StatefulSet", "ReplicationController"} <= named


# -- what is written -----------------------------------------------------------------------------------


def test_the_least_that_must_be_said_is_that_it_packs() -> None:
    policy = a_policy("  pack: {}\n")
    assert (policy.mode, policy.deleter, policy.below, policy.headroom) == (Mode.DRY_RUN, Deleter.PERSON, 0.5, 0.1)
    assert (policy.pace.an_hour, policy.pace.at_once, policy.survives, policy.local) == (1, 1, True, False)


WRONG: dict[str, tuple[str, str]] = {
    "a target": (
        "  target: {name: web}\n  pack: {}\n",
        "one.yaml:6:3: spec.target: pack is for nodes, and has no target",
    ),
    "a signal that there is not": (
        SIGNAL + "  pack: {slo: [{signal: error, atMost: 1}]}\n",
        "spec.pack.slo[0].signal: there is no signal 'error'",
    ),
    "a goal that everything meets": (
        SIGNAL + "  pack: {slo: [{signal: errors}]}\n",
        "slo needs atMost or atLeast",
    ),
    "a share above one": ("  pack: {below: 120%}\n", "spec.pack.below"),
    "no node in an hour": ("  pack: {nodesPerHour: 0}\n", "spec.pack.nodesPerHour"),
    "nobody who deletes": ("  pack: {deletedBy: Nobody}\n", "spec.pack.deletedBy"),
    "nothing at all": ("  mode: enforce\n", "a CostPolicy has exactly one of"),
}


@pytest.mark.parametrize(("spec", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_with_its_place(spec: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(HEADER + spec, "one.yaml")
    assert said in str(caught.value)


def test_nodes_are_emptied_by_an_admins_files_alone() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(HEADER + SPEC, "crd:default")
    assert "nodes belong to no namespace: such a policy is read from an admin's files alone (S3)" in str(caught.value)


def test_a_node_of_another_name_is_not_taken_for_the_one_that_was_emptied() -> None:
    world = World()
    world.until("running")
    world.run(300)
    world.put(replace(a_node("n4"), uid="another"))
    world.run(60)
    # the old machine is gone: its hours are not paid any more, and the new one is nobody's to uncordon
    assert world.plans[-1].status is PlanStatus.DONE
    assert world.sent == ["Node n4: cordon", "Pod shop/api-6: evict"]
