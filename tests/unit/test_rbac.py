"""What `aiops rbac` prints: what policies need and no others (S10)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from aiops.adapters.kubernetes import guesses, rbac, resource_roles
from aiops.adapters.kubernetes.rbac import plural
from aiops.core.model import Mode, TargetRef
from aiops.core.policies import Lever, PolicySet
from aiops.policy.crd import RESOURCES
from tests.builders import policy
from tests.commands import aiops

WRITES = {"create", "update", "patch", "delete", "deletecollection", "*"}


def granted(objects: list[dict]) -> set[tuple[str, str, str, str]]:
    """Return (namespace, verb, group/resource, name) of every rule."""
    return {
        (one["metadata"].get("namespace", ""), verb, f"{group}/{resource}", name)
        for one in objects
        for rule in one.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def policies(**changes) -> PolicySet:
    return PolicySet(digest="d", scaling=(policy(**changes),))


@pytest.mark.parametrize(
    ("own", "ceiling"),
    [
        (Mode.OBSERVE, Mode.ENFORCE),
        (Mode.DRY_RUN, Mode.ENFORCE),
        (Mode.ENFORCE, Mode.DRY_RUN),
        (Mode.APPROVE, Mode.OBSERVE),
    ],
)
@pytest.mark.parametrize("lever", list(Lever))
def test_below_approve_nothing_is_granted_that_writes_s10(own, ceiling, lever):
    found = granted(rbac(policies(mode=own, lever=lever), ceiling=ceiling, competes=False))
    assert {verb for _, verb, _, _ in found} == {"list", "watch"}


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.ENFORCE])
def test_an_acting_policy_may_write_its_lever_its_events_and_its_lease_s10(mode):
    writes = {one for one in granted(rbac(policies(mode=mode))) if one[1] in WRITES}
    assert writes == {
        ("aiops", "create", "coordination.k8s.io/leases", ""),
        ("aiops", "patch", "coordination.k8s.io/leases", "aiops"),
        ("shop", "create", "/events", ""),
        ("shop", "patch", "apps/deployments/scale", "checkout"),
    }
    floors = {one for one in granted(rbac(policies(mode=mode, lever=Lever.HPA_FLOOR))) if one[1] == "patch"}
    assert floors == {
        ("aiops", "patch", "coordination.k8s.io/leases", "aiops"),
        ("shop", "patch", "autoscaling/horizontalpodautoscalers", ""),
    }


def test_reading_policies_from_the_api_is_granted_with_their_status_and_nothing_of_their_specs_s10():
    everywhere = granted(resource_roles())
    assert everywhere == {
        *(("", verb, f"policy.aiops/{one.plural}", "") for one in RESOURCES for verb in ("list", "watch")),
        *(("", "patch", f"policy.aiops/{one.plural}/status", "") for one in RESOURCES),
    }
    named = granted(resource_roles(namespaces=["shop", "bank"]))
    assert named == {(namespace, *rest) for namespace in ("shop", "bank") for _, *rest in everywhere}
    # under names that no other role has, whatever the Lease is called
    taken = {name for _, _, name in names(rbac(policies(), "aiops", "second-policies"))}
    assert not taken & {name for _, _, name in names(resource_roles("aiops", "second"))}


@pytest.mark.parametrize(
    ("said", "flags", "reads"),
    [
        ({"enabled": True}, (), True),
        ({"enabled": True}, ("--no-custom-resources",), False),
        ({"enabled": "auto"}, (), False),
        ({"enabled": "auto"}, ("--custom-resources",), True),
        ({}, (), False),
    ],
)
def test_the_command_prints_the_right_to_read_policies_where_they_are_read(tmp_path: Path, said, flags, reads):
    words = written(tmp_path, DOCUMENT, mode="dry-run", custom_resources=said)
    objects = list(yaml.safe_load_all(aiops(*words, *flags).stdout))
    found = {one[2] for one in granted(objects)}
    assert ("policy.aiops/scalingpolicies/status" in found) is reads
    # who writes a status competes for the Lease, so that two do not write it in turns
    assert ("coordination.k8s.io/leases" in found) is reads


def names(objects: list[dict]) -> set[tuple[str, str, str]]:
    """Return (kind, namespace, name) of every object."""
    return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in objects}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("aiops", "aiops"), ("aiops", "second")),
        (("aiops", "aiops"), ("ops", "aiops")),
        (("a", "b-c"), ("a-b", "c")),
        (("a", "aiops"), ("aiops", "a")),
    ],
)
def test_two_instances_in_one_cluster_overwrite_nothing_of_each_other_s10(one, other):
    first, second = rbac(policies(), *one), rbac(policies(), *other)
    shared = names(first) & names(second)
    # instances beside each other share their account, which is the same in both, and nothing else
    assert shared == ({("ServiceAccount", "aiops", "aiops")} if one[0] == other[0] else set())
    for objects in (first, second):
        roles = names(objects)
        for binding in (item for item in objects if "roleRef" in item):
            role = (binding["roleRef"]["kind"], binding["metadata"].get("namespace", ""), binding["roleRef"]["name"])
            assert role in roles


def test_the_one_instance_that_most_clusters_have_is_named_plainly():
    assert {name for _, _, name in names(rbac(policies()))} == {"aiops", "aiops-lease"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Deployment", "deployments"),
        ("Policy", "policies"),
        ("Gateway", "gateways"),
        ("Ingress", "ingresses"),
        ("ServiceMesh", "servicemeshes"),
        ("Box", "boxes"),
        ("Rollout", "rollouts"),
    ],
)
def test_plurals_are_made_as_the_generators_of_crds_make_them(kind, expected):
    assert plural(kind) == expected


def test_a_guessed_plural_is_said_with_what_shows_the_true_one():
    custom = TargetRef(api_version="example.com/v1", kind="Datum", namespace="shop", name="x")
    (note,) = guesses(policies(target=custom))
    assert note.startswith("datums.example.com is guessed for the kind Datum")
    assert "kubectl api-resources --api-group=example.com" in note
    assert guesses(policies()) == []


DOCUMENT = {
    "apiVersion": "policy.aiops/v1alpha1",
    "kind": "ScalingPolicy",
    "metadata": {"name": "checkout", "namespace": "shop"},
    "spec": {
        "mode": "enforce",
        "target": {"apiVersion": "example.com/v1", "kind": "Policy", "name": "checkout"},
        "signals": {"demand": {"query": "sum(demand)", "unit": "req/s", "maxAge": "60s"}},
        "objective": {"demand": "demand", "perReplica": 50},
        "bounds": {"minReplicas": 2, "maxReplicas": 20},
    },
}


def written(folder: Path, *documents: dict, **settings) -> tuple[str, ...]:
    """Return the words of the command for these policies and settings."""
    (folder / "policies.yaml").write_text(yaml.safe_dump_all(documents))
    (folder / "settings.yaml").write_text(json.dumps(settings))
    return ("--config", str(folder / "settings.yaml"), "rbac", str(folder / "policies.yaml"))


def test_the_settings_say_mode_and_lease_and_a_guess_is_said_twice(tmp_path):
    words = written(tmp_path, DOCUMENT, mode="enforce", lease={"namespace": "ops", "name": "pilot"})
    found = aiops(*words)
    assert found.returncode == 0
    assert found.stdout.startswith("# policies.example.com is guessed")
    assert found.stderr.startswith("warning: policies.example.com is guessed")
    assert "&" not in found.stdout
    objects = list(yaml.safe_load_all(found.stdout))
    assert ("ops", "patch", "coordination.k8s.io/leases", "pilot") in granted(objects)
    assert {one["subjects"][0]["namespace"] for one in objects if "subjects" in one} == {"ops"}
    # another mode than the settings', in a form that kubectl takes, too
    as_list = json.loads(aiops("-o", "json", *words, "--mode", "dry-run").stdout)
    assert (as_list["kind"], as_list["apiVersion"]) == ("List", "v1")
    assert not {verb for _, verb, _, _ in granted(as_list["items"])} & WRITES


def test_targets_in_several_clusters_need_one_to_be_named(tmp_path):
    other = {**DOCUMENT, "metadata": {"name": "other", "namespace": "shop"}}
    target = {"kind": "Deployment", "name": "other", "cluster": "eu"}
    other["spec"] = {**DOCUMENT["spec"], "target": target}
    clusters = {name: {"kubeconfig": "x"} for name in ("default", "eu")}
    words = written(tmp_path, DOCUMENT, other, mode="enforce", clusters=clusters)
    asked = aiops(*words)
    assert (asked.returncode, "--cluster says whose" in asked.stderr) == (2, True)
    here, there = (granted(list(yaml.safe_load_all(aiops(*words, "--cluster", one).stdout))) for one in clusters)
    assert any("leases" in one[2] for one in here)
    assert not any("leases" in one[2] for one in there)
    assert ("shop", "patch", "apps/deployments/scale", "other") in there - here
