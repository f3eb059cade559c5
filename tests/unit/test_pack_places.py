"""Scheduling as it is simulated keeps every rule that kube-scheduler's filters keep."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.core.decide.cost.pack.amounts import Unreadable, thousandths
from aiops.core.decide.cost.pack.emptying import Budget, Emptied, Stays, Terms, emptied
from aiops.core.decide.cost.pack.fleet import Fleet, requests, volumes
from aiops.core.decide.cost.pack.places import Board, NoRoom
from aiops.core.model import SeenObject
from tests.unit.packed import HOST, ZONE, a_fleet, a_node, a_pod, apart, near, on_nodes, ref, seen, spread

LOOSE = Terms(most_used=0.5, survives=False)


def room(fleet: Fleet, name: str = "new") -> str:
    """Return the node that takes a waiting pod, or why none does."""
    board = Board.of(fleet)
    (pod,) = (one for one in fleet.waiting if one.ref.name == name)
    found = board.room(pod)
    return f"no: {found.why}" if isinstance(found, NoRoom) else found


def why(fleet: Fleet, name: str = "n1", terms: Terms = LOOSE) -> str:
    """Return why a node stays, or where its pods go: `pod>node`, sorted."""
    found = emptied(name, fleet, Board.of(fleet), terms)
    if isinstance(found, Stays):
        return found.why
    names = {pod.uid: pod.ref.name for pod in found.pods}
    return " ".join(sorted(f"{names[uid]}>{node}" for uid, node in found.to.items()))


# -- one pod -------------------------------------------------------------------------------------------

PLACES: dict[str, tuple[list[SeenObject], dict[str, Any], str]] = {
    "the roomiest node takes it": ([a_node("n1"), a_node("n2"), a_pod("p", "n1")], {}, "n2"),
    "requests that do not fit": ([a_node("n1", cpu="2"), a_pod("p", "n1", "1500m")], {}, "no: no cpu left"),
    "requests that just fit": ([a_node("n1", cpu="2500m"), a_pod("p", "n1", "1500m")], {}, "n1"),
    "no more pods than the node takes": ([a_node("n1", pods="1"), a_pod("p", "n1", "0")], {}, "no: no pods left"),
    "a resource that no node has": (
        [a_node("n1")],
        {"spec": {"containers": [{"name": "m", "resources": {"requests": {"nvidia.com/gpu": 1}}}]}},
        "no: no nvidia.com/gpu left",
    ),
    "a pod that is going still takes room": (
        [a_node("n1", cpu="1"), a_pod("p", "n1", metadata={"deletionTimestamp": "now"})],
        {},
        "no: no cpu left",
    ),
    "a pod that is over takes none": (
        [a_node("n1", cpu="1"), a_pod("p", "n1", status={"phase": "Succeeded"})],
        {},
        "n1",
    ),
    "a cordoned node": ([a_node("n1", unschedulable=True)], {}, "no: cordoned"),
    "a node that is not ready": ([a_node("n1", ready=False)], {}, "no: not ready"),
    "a node that an autoscaler removes": (
        [a_node("n1", taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}])],
        {},
        "no: the cluster autoscaler is removing it",
    ),
    "a taint": ([a_node("n1", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])], {}, "no: taint gpu"),
    "a taint that is preferred away only": (
        [a_node("n1", taints=[{"key": "gpu", "effect": "PreferNoSchedule"}])],
        {},
        "n1",
    ),
    "a taint that it tolerates": (
        [a_node("n1", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])],
        {"spec": {"tolerations": [{"key": "gpu", "value": "yes"}]}},
        "n1",
    ),
    "a taint whose value it does not tolerate": (
        [a_node("n1", taints=[{"key": "gpu", "value": "no", "effect": "NoExecute"}])],
        {"spec": {"tolerations": [{"key": "gpu", "value": "yes"}]}},
        "no: taint gpu",
    ),
    "everything tolerated": (
        [a_node("n1", taints=[{"key": "gpu", "value": "no", "effect": "NoExecute"}])],
        {"spec": {"tolerations": [{"operator": "Exists"}]}},
        "n1",
    ),
    "a node selector": (
        [a_node("n1"), a_node("n2", labels={"disk": "ssd"})],
        {"spec": {"nodeSelector": {"disk": "ssd"}}},
        "n2",
    ),
    "node affinity by In": (
        [a_node("n1", "a"), a_node("n2", "b")],
        {"spec": on_nodes({"key": ZONE, "operator": "In", "values": ["b", "c"]})},
        "n2",
    ),
    "node affinity by NotIn takes nodes without the label": (
        [a_node("n1", labels={"disk": "hdd"}), a_node("n2")],
        {"spec": on_nodes({"key": "disk", "operator": "NotIn", "values": ["hdd"]})},
        "n2",
    ),
    "node affinity by Gt": (
        [a_node("n1", labels={"generation": "5"}), a_node("n2", labels={"generation": "7"})],
        {"spec": on_nodes({"key": "generation", "operator": "Gt", "values": ["6"]})},
        "n2",
    ),
    "node affinity without a term chooses nothing": (
        [a_node("n1")],
        {"spec": on_nodes()},
        "no: not a node that it chooses",
    ),
    "a host port that is taken": (
        [a_node("n1"), a_pod("p", "n1", spec={"containers": [{"name": "m", "ports": [{"hostPort": 80}]}]})],
        {"spec": {"containers": [{"name": "m", "ports": [{"hostPort": 80, "hostIP": "10.0.0.1"}]}]}},
        "no: its host port is taken",
    ),
    "a host port of another protocol": (
        [a_node("n1"), a_pod("p", "n1", spec={"containers": [{"name": "m", "ports": [{"hostPort": 80}]}]})],
        {"spec": {"containers": [{"name": "m", "ports": [{"hostPort": 80, "protocol": "UDP"}]}]}},
        "n1",
    ),
    "anti-affinity to what is there": (
        [a_node("n1"), a_pod("p", "n1")],
        {"spec": apart()},
        "no: anti-affinity",
    ),
    "anti-affinity of what is there": (
        [a_node("n1"), a_pod("p", "n1", spec=apart())],
        {},
        "no: anti-affinity",
    ),
    "anti-affinity in the zone": (
        [a_node("n1", "a"), a_node("n2", "a"), a_node("n3", "b", cpu="2"), a_pod("p", "n1")],
        {"spec": apart(ZONE)},
        "n3",
    ),
    "anti-affinity to another namespace's pods does not speak of these": (
        [a_node("n1"), a_pod("p", "n1", namespace="other")],
        {"spec": apart()},
        "n1",
    ),
    "anti-affinity over namespaces chosen by labels counts as over all": (
        [a_node("n1"), a_pod("p", "n1", namespace="other")],
        {"spec": apart(namespaceSelector={"matchLabels": {"team": "x"}})},
        "no: anti-affinity",
    ),
    "affinity to what is there": (
        [a_node("n1", cpu="2"), a_node("n2"), a_pod("p", "n1", "500m", labels={"app": "cache"})],
        {"spec": near()},
        "n1",
    ),
    "affinity to what is nowhere": ([a_node("n1")], {"spec": near()}, "no: affinity"),
    "affinity to itself, the first": ([a_node("n1")], {"spec": near(app="web")}, "n1"),
    "topology spread by host": (
        [a_node("n1", cpu="8"), a_node("n2", cpu="2"), a_pod("p", "n1", "100m")],
        {"spec": spread()},
        "n2",
    ),
    "topology spread counts a cordoned node as a place": (
        [a_node("n1"), a_node("n2", unschedulable=True), a_pod("p", "n1")],
        {"spec": spread()},
        "no: topology spread",
    ),
    "topology spread that honours taints does not": (
        [a_node("n1"), a_node("n2", unschedulable=True), a_pod("p", "n1")],
        {"spec": spread(nodeTaintsPolicy="Honor")},
        "n1",
    ),
    "topology spread leaves out nodes that the pod does not choose": (
        [a_node("n1", labels={"d": "1"}), a_node("n2"), a_pod("p", "n1")],
        {"spec": {**spread(), "nodeSelector": {"d": "1"}}},
        "n1",
    ),
    "topology spread wants more domains than there are": (
        [a_node("n1"), a_pod("p", "n1")],
        {"spec": spread(minDomains=2)},
        "no: topology spread",
    ),
    "topology spread over a label that no node has": (
        [a_node("n1")],
        {"spec": spread("rack")},
        "no: it has no label of the topology",
    ),
    "topology spread counts those of its own revision alone": (
        [
            a_node("n1"),
            a_node("n2"),
            a_pod("p", "n1", "100m", labels={"rev": "old"}),
            a_pod("q", "n1", "100m", labels={"rev": "old"}),
            a_pod("r", "n2", "2", labels={"rev": "new"}),
        ],
        {"labels": {"rev": "new"}, "spec": spread(matchLabelKeys=["rev"])},
        "n1",
    ),
    "topology spread that is only wished": (
        [a_node("n1"), a_node("n2", unschedulable=True), a_pod("p", "n1")],
        {"spec": spread(whenUnsatisfiable="ScheduleAnyway")},
        "n1",
    ),
    "beside a pod that cannot be understood nothing is placed": (
        [a_node("n1"), a_pod("p", "n1", "much")],
        {},
        "no: what runs there cannot be read",
    ),
}


@pytest.mark.parametrize(("objects", "pod", "wanted"), PLACES.values(), ids=PLACES.keys())
def test_a_pod_finds_room_by_the_rules_of_kube_scheduler(
    objects: list[SeenObject], pod: dict[str, Any], wanted: str
) -> None:
    assert room(a_fleet(*objects, a_pod("new", **pod))) == wanted


def test_without_any_node_there_is_no_room() -> None:
    assert room(a_fleet(a_pod("new"))) == "no: there is no other node"


def test_a_pod_asks_for_what_its_containers_and_sidecars_ask_for_together_or_one_init_container_alone() -> None:
    def part(cpu: str, **more: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    sidecar = part("200m", restartPolicy="Always")
    assert requests({"containers": [part("1"), part("500m")], "initContainers": [sidecar]}, {})["cpu"] == 1700
    assert requests({"containers": [part("1")], "initContainers": [sidecar, part("2")]}, {})["cpu"] == 2200
    assert requests({"containers": [part("1")], "overhead": {"cpu": "50m"}}, {})["cpu"] == 1050
    assert requests({"containers": [part("1")], "resources": {"requests": {"cpu": "3"}}}, {})["cpu"] == 3000
    limited = {"name": "m", "resources": {"limits": {"cpu": "2"}}}
    assert requests({"containers": [limited]}, {})["cpu"] == 2000
    shrinking = {"containerStatuses": [{"name": "m", "allocatedResources": {"cpu": "4"}}]}
    assert requests({"containers": [limited]}, shrinking)["cpu"] == 4000


@pytest.mark.parametrize(
    ("text", "wanted"), [("1.5Gi", 1_610_612_736_000), ("100n", 1), ("-1", -1000), (3, 3000), ("2e3", 2_000_000)]
)
def test_quantities_are_whole_thousandths_rounded_up(text: Any, wanted: int) -> None:
    assert thousandths(text) == wanted


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", None, True, "1" * 65, "0x10", "1e999"])
def test_what_is_no_quantity_is_said_to_be_none(text: Any) -> None:
    with pytest.raises(Unreadable):
        thousandths(text)


# -- a node --------------------------------------------------------------------------------------------

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
