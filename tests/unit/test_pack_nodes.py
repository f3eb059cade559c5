"""The pods of a node find room elsewhere, or it stays for a reason that is said."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.core.decide.cost.pack.emptying import Budget, Emptied, Terms, emptied
from aiops.core.decide.cost.pack.fleet import volumes
from aiops.core.decide.cost.pack.places import Board
from aiops.core.model import SeenObject
from tests.unit.packed import HOST, ZONE, a_fleet, a_node, a_pod, apart, ref, seen, spread
from tests.unit.test_pack_places import LOOSE, why

THREE = (a_node("n1"), a_node("n2"), a_node("n3"))


def test_the_pods_of_a_little_used_node_go_where_there_is_room() -> None:
    assert why(a_fleet(*THREE, a_pod("p", "n1"), a_pod("q", "n2", "3"))) == "p>n3"


STAYING: dict[str, tuple[list[SeenObject], str]] = {
    "it is used too much": ([a_pod("p", "n1", "2500m")], "62% of its cpu is requested, more than 50%"),
    "nobody would make a pod again": ([a_pod("p", "n1", owner="")], "shop/p stays: nobody would make it again"),
    "a Job would lose its work": (
        [a_pod("p", "n1", owner="Job")],
        "shop/p stays: what its Job has done so far would be lost",
    ),
    "its owner says that it stays": (
        [a_pod("p", "n1", annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"})],
        "shop/p stays: it says cluster-autoscaler.kubernetes.io/safe-to-evict: 'false'",
    ),
    "Karpenter is told that it stays": (
        [a_pod("p", "n1", annotations={"karpenter.sh/do-not-disrupt": "true"})],
        "shop/p stays: it says karpenter.sh/do-not-disrupt: 'true'",
    ),
    "data on the node": (
        [a_pod("p", "n1", spec={"volumes": [{"name": "scratch", "emptyDir": {}}]})],
        "shop/p stays: what is in its volume scratch would be lost",
    ),
    "a pod of the system": (
        [a_pod("p", "n1", namespace="kube-system")],
        "kube-system/p stays: pods of kube-system are not moved",
    ),
    "another scheduler": (
        [a_pod("p", "n1", spec={"schedulerName": "volcano"})],
        "shop/p stays: another scheduler places it: volcano",
    ),
    "a claim whose volume is not known": (
        [a_pod("p", "n1", spec={"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]})],
        "shop/p stays: where the volumes of its claims lie is not known",
    ),
    "devices": (
        [a_pod("p", "n1", spec={"resourceClaims": [{"name": "gpu"}]})],
        "shop/p stays: it has claims on devices",
    ),
    "no room elsewhere": (
        [a_pod("p", "n1", "2"), a_pod("q", "n2", "3"), a_pod("r", "n3", "3")],
        "shop/p would find no room: no cpu left",
    ),
    "topology spread while the emptied node is still there": (
        [a_pod("p", "n1", spec=spread()), a_pod("q", "n2", spec=spread()), a_pod("r", "n3", spec=spread())],
        "shop/p would find no room: topology spread",
    ),
    "anti-affinity": (
        [a_pod("p", "n1", spec=apart()), a_pod("q", "n2"), a_pod("r", "n3")],
        "shop/p would find no room: anti-affinity",
    ),
}


@pytest.mark.parametrize(("pods", "wanted"), STAYING.values(), ids=STAYING.keys())
def test_a_node_stays_because(pods: list[SeenObject], wanted: str) -> None:
    assert why(a_fleet(*THREE, *pods)) == wanted


MARKED: dict[str, tuple[dict[str, Any], str]] = {
    "somebody cordoned it": ({"unschedulable": True}, "it is cordoned"),
    "it is not ready": ({"ready": False}, "it is not ready"),
    "the autoscaler is told to keep it": (
        {"annotations": {"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true"}},
        "it says cluster-autoscaler.kubernetes.io/scale-down-disabled: 'true'",
    ),
    "the autoscaler is about to remove it": (
        {"taints": [{"key": "DeletionCandidateOfClusterAutoscaler", "effect": "PreferNoSchedule"}]},
        "the cluster autoscaler is about to remove it",
    ),
    "Karpenter disrupts it": (
        {"taints": [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]},
        "Karpenter is disrupting it",
    ),
    "it is being deleted": ({"metadata": {"deletionTimestamp": "now"}}, "it is being deleted"),
}


@pytest.mark.parametrize(("more", "wanted"), MARKED.values(), ids=MARKED.keys())
def test_a_node_that_is_in_the_hands_of_others_is_left_to_them(more: dict[str, Any], wanted: str) -> None:
    assert why(a_fleet(a_node("n1", **more), a_node("n2"), a_pod("p", "n1"))) == wanted


def test_what_is_the_nodes_own_goes_with_it() -> None:
    mirror = a_pod("proxy", "n1", owner="Node", annotations={"kubernetes.io/config.mirror": "x"})
    daemon = a_pod("agent", "n1", "3", owner="DaemonSet", namespace="kube-system")
    assert why(a_fleet(*THREE, mirror, daemon)) == ""


def test_use_is_counted_of_what_daemons_leave() -> None:
    daemon = a_pod("agent", "n1", "2", owner="DaemonSet")
    found = why(a_fleet(*THREE, daemon, a_pod("p", "n1", "1500m")))
    assert found == "75% of its cpu is requested, more than 50%"


def test_data_on_the_node_may_be_left_behind_where_its_owner_or_the_policy_says_so() -> None:
    volumes = {"volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "ram", "emptyDir": {"medium": "Memory"}}]}
    safe = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    named = {"cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "scratch"}
    others = (a_node("n1"), a_node("n2"))
    for marks in (safe, named):
        assert why(a_fleet(*others, a_pod("p", "n1", spec=volumes, annotations=marks))) == "p>n2"
    assert why(a_fleet(*others, a_pod("p", "n1", spec=volumes), local=True)) == "p>n2"


def test_a_pod_goes_no_further_than_its_volume_reaches() -> None:
    claim = seen(ref("PersistentVolumeClaim", "d", "shop"), {"spec": {"volumeName": "v"}})
    zonal = {"nodeSelectorTerms": [{"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["a"]}]}]}
    volume = seen(ref("PersistentVolume", "v"), {"spec": {"nodeAffinity": {"required": zonal}}})
    known = volumes([claim], [volume])
    pod = a_pod("p", "n1", spec={"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]})
    there = a_fleet(a_node("n1"), a_node("n2", "a", cpu="2"), a_node("n3", "b"), pod, volumes=known)
    assert why(there) == "p>n2"
    apart_ = a_fleet(a_node("n1"), a_node("n3", "b"), pod, volumes=known)
    assert why(apart_) == "shop/p would find no room: not a node that it chooses"


def test_a_budget_without_room_keeps_a_node_and_two_over_one_pod_always_do() -> None:
    there = a_fleet(*THREE, a_pod("p", "n1"))
    spent = Budget(name="shop/web", selects=frozenset({"uid-p"}), allowed=0)
    roomy = Budget(name="shop/all", selects=frozenset({"uid-p"}), allowed=5)
    other = Budget(name="shop/db", selects=frozenset({"uid-x"}), allowed=0)
    said = "PodDisruptionBudget shop/web allows none of its pods to go now"
    assert why(there, terms=Terms(most_used=0.5, survives=False, budgets=(spent,))) == said
    assert why(there, terms=Terms(most_used=0.5, survives=False, budgets=(roomy, other))) == "p>n2"
    both = why(there, terms=Terms(most_used=0.5, survives=False, budgets=(spent, roomy)))
    assert both == "shop/p is in 2 PodDisruptionBudgets, and can be evicted by none"


def test_headroom_is_kept_on_what_is_left() -> None:
    there = a_fleet(*THREE, a_pod("p", "n1"), a_pod("q", "n2", "2"), a_pod("r", "n3", "2"))
    assert why(there, terms=Terms(most_used=0.5, headroom=0.37, survives=False)) == "p>n2"
    tight = why(there, terms=Terms(most_used=0.5, headroom=0.4, survives=False))
    assert tight == "only 38% of cpu would be free on the others, of 40%"


def test_the_loss_of_the_fullest_node_must_be_borne_afterwards() -> None:
    there = a_fleet(*THREE, a_pod("p", "n1"), a_pod("q", "n2", "2"), a_pod("r", "n3", "2500m"))
    found = why(there, terms=Terms(most_used=0.5))
    assert found == "if n2 were lost afterwards, shop/q would find no room: no cpu left"
    assert (
        why(a_fleet(*THREE, a_pod("p", "n1"), a_pod("q", "n2"), a_pod("r", "n3")), terms=Terms(most_used=0.5)) == "p>n2"
    )
    assert why(a_fleet(a_node("n1")), terms=Terms(most_used=0.5)) == "no node would be left"


def test_what_comes_back_in_another_order_must_find_room_too() -> None:
    # largest first both fit; smallest first the small one takes the roomy node, and the large one is left over
    nodes = (a_node("n1", cpu="8"), a_node("n2", cpu="3"), a_node("n3", cpu="2", memory="1Gi"))
    pods = (a_pod("large", "n1", "3", "1Gi"), a_pod("small", "n1", "1", "512Mi"))
    assert why(a_fleet(*nodes, *pods)) == "shop/large would find no room if it came last: no cpu left"


def test_the_simulation_leaves_what_it_looks_at_as_it_was() -> None:
    there = a_fleet(*THREE, a_pod("p", "n1"))
    board = Board.of(there)
    before = {name: dict(free) for name, free in board.free.items()}
    assert isinstance(emptied("n1", there, board, LOOSE), Emptied)
    assert board.free == before
    assert [pod.ref.name for pod in board.on["n1"]] == ["p"]


def test_hosts_are_told_apart_by_their_label() -> None:
    assert a_fleet(a_node("n1")).nodes["n1"].labels[HOST] == "n1"
