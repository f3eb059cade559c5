"""Scheduling as it is simulated keeps every rule that kube-scheduler's filters keep, pod by pod."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.core.decide.cost.pack.amounts import Unreadable, thousandths
from aiops.core.decide.cost.pack.emptying import Stays, Terms, emptied
from aiops.core.decide.cost.pack.fleet import Fleet, requests
from aiops.core.decide.cost.pack.places import Board, NoRoom
from aiops.core.model import SeenObject
from tests.unit.packed import ZONE, a_fleet, a_node, a_pod, apart, near, on_nodes, spread

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
