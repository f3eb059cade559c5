"""Nodes by their labels and capacity, pods by what they request, as the scheduler reckons."""

from __future__ import annotations

import pytest

from aiops.adapters.kubernetes.kept import keeps
from aiops.adapters.kubernetes.stock import Machines, machine, shares
from aiops.core.model import Machine, PodShare

NODE = {
    "metadata": {
        "name": "a",
        "resourceVersion": "7",
        "labels": {"node.kubernetes.io/instance-type": "m6i.xlarge", "topology.kubernetes.io/zone": "eu-1a"},
    },
    "status": {"capacity": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"}},
}


def labelled(**labels: str):
    return {**NODE, "metadata": {**NODE["metadata"], "labels": labels}}


def pod(*containers, name="checkout-1", **spec):
    return {"metadata": {"name": name}, "spec": {"nodeName": "a", "containers": list(containers), **spec}}


def asks(cpu: str | None = None, memory: str | None = None, **more):
    wanted = {name: one for name, one in (("cpu", cpu), ("memory", memory)) if one is not None}
    return {"resources": {"requests": wanted}, **more}


def test_a_node_is_known_by_its_labels_and_its_capacity():
    assert machine("eu", NODE) == Machine(
        cluster="eu", node="a", instance_type="m6i.xlarge", zone="eu-1a", cores=4.0, memory_gib=16.0, gpus=2.0
    )


@pytest.mark.parametrize(
    "label",
    [
        {"karpenter.sh/capacity-type": "spot"},
        {"eks.amazonaws.com/capacityType": "SPOT"},
        {"cloud.google.com/gke-spot": "true"},
        {"kubernetes.azure.com/scalesetpriority": "spot"},
    ],
)
def test_every_provider_marks_spot_nodes_in_its_own_way(label):
    assert machine("eu", labelled(**label)).spot
    assert not machine("eu", labelled(**dict.fromkeys(label, "on-demand"))).spot


def test_older_labels_of_type_and_zone_count_too():
    labels = {"beta.kubernetes.io/instance-type": "n1", "failure-domain.beta.kubernetes.io/zone": "z"}
    made = machine("eu", labelled(**labels))
    assert (made.instance_type, made.zone) == ("n1", "z")


def test_a_node_without_a_capacity_has_none():
    assert machine("eu", {"metadata": {"name": "b"}}) == Machine(cluster="eu", node="b")
    odd = {"metadata": {"name": "b"}, "status": {"capacity": {"cpu": "lots", "memory": None}}}
    assert machine("eu", odd) == Machine(cluster="eu", node="b")


def test_nodes_are_read_again_when_they_have_changed():
    machines = Machines("eu")
    first = machines.of([NODE])
    assert machines.of([NODE])["eu/a"] is first["eu/a"]
    bigger = {**NODE, "status": {"capacity": {"cpu": "8", "memory": "16Gi"}}}
    assert machines.of([bigger])["eu/a"].cores == 4.0
    assert machines.of([{**bigger, "metadata": {**NODE["metadata"], "resourceVersion": "8"}}])["eu/a"].cores == 8.0
    assert machines.of([]) == {}


def test_a_pod_takes_what_its_containers_request():
    made = shares([pod(asks("500m", "1Gi"), asks("250m", "512Mi"))], {})
    assert made == (PodShare(pod="checkout-1", node="a", cores=0.75, memory_gib=1.5),)


def test_an_init_container_counts_where_it_alone_asks_for_more():
    (made,) = shares([pod(asks("500m", "1Gi"), initContainers=[asks("2", "256Mi")])], {})
    assert (made.cores, made.memory_gib) == (2.0, 1.0)


def test_a_sidecar_counts_beside_the_others():
    sidecar = asks("100m", "128Mi", restartPolicy="Always")
    (made,) = shares([pod(asks("500m", "1Gi"), initContainers=[sidecar, asks("550m")])], {})
    assert made.cores == pytest.approx(0.65)  # the sidecar runs already while the second one initialises
    assert made.memory_gib == pytest.approx(1.125)


def test_a_limit_without_a_request_is_the_request():
    limited = {"resources": {"limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"}}}
    (made,) = shares([pod(limited)], {})
    assert (made.cores, made.memory_gib, made.gpus) == (2.0, 1.0, 1.0)


def test_overhead_comes_on_top_and_requests_of_the_pod_stand_for_its_containers():
    (made,) = shares([pod(asks("500m", "1Gi"), overhead={"cpu": "250m", "memory": "128Mi"})], {})
    assert (made.cores, made.memory_gib) == (0.75, 1.125)
    (whole,) = shares([pod(asks("500m"), resources={"requests": {"cpu": "3"}})], {})
    assert whole.cores == 3.0


def test_what_is_not_requested_is_not_known():
    (made,) = shares([pod({"name": "a"})], {})
    assert (made.cores, made.memory_gib) == (None, None)
    (half,) = shares([pod(asks("500m"), {"name": "b"})], {})
    assert (half.cores, half.memory_gib) == (0.5, None)


def test_pods_that_end_are_over():
    ending = pod(asks("1"))
    ending["metadata"]["deletionTimestamp"] = "2026-03-02T11:13:20Z"
    done = {**pod(asks("1"), name="job"), "status": {"phase": "Succeeded"}}
    assert shares([ending, done], {}) == ()


def test_where_no_pod_runs_the_template_says_what_one_would_request():
    template = {"spec": {"containers": [asks("500m", "1Gi")]}}
    assert shares([], template) == (PodShare(pod="(none runs)", cores=0.5, memory_gib=1.0),)
    assert shares([], {}) == ()


PODS, NODES = "/api/v1/namespaces/shop/pods", "/api/v1/nodes"
SIDECAR = {**asks("100m", "128Mi", restartPolicy="Always"), "image": "proxy:1", "env": [{"name": "A", "value": "b"}]}


@pytest.mark.parametrize(
    "whole",
    [
        pod(asks("500m", "1Gi"), asks("250m")),
        pod(asks("500m", "1Gi"), initContainers=[SIDECAR, asks("2")], overhead={"cpu": "250m"}),
        pod({"name": "a", "image": "web:1"}),
        pod(asks("500m"), resources={"requests": {"cpu": "3", "example.com/fpga": "1"}}),
        pod({"resources": {"limits": {"nvidia.com/gpu": "1", "cpu": "1"}}}),
        {**pod(asks("1")), "status": {"phase": "Succeeded"}},
        {"metadata": {"name": "odd"}},
    ],
)
def test_what_is_kept_of_a_pod_is_priced_alike(whole):
    kept = keeps(PODS)(whole)
    assert shares([kept], {}) == shares([whole], {})
    assert "image" not in str(kept)


def test_what_is_kept_of_a_node_is_priced_alike():
    for whole in (NODE, labelled(**{"karpenter.sh/capacity-type": "spot", "team": "a"}), {"metadata": {"name": "b"}}):
        kept = keeps(NODES)(whole)
        assert machine("eu", kept) == machine("eu", whole)
        assert "team" not in str(kept)
