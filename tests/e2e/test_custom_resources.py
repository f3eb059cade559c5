"""The kinds on a real API server: taken without a complaint, shipped examples taken, mistakes refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.policy import parse
from aiops.policy.crd import RESOURCES
from tests.e2e.cluster import ControlPlane
from tests.e2e.resources import conditions_of_crd, install, kubectl, tried
from tests.e2e.rig import scaling_policy
from tests.unit.documents import BOUNDS, FREEZES, GUARDRAILS, LEVERS, SIGNALS, TARGETS, WINDOWS, Part, changed

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "policies").glob("*.yaml"))
EXAMPLES = [one for one in SHIPPED if "kind: PolicyDefaults" not in one.read_text(encoding="utf-8")]
"""PolicyDefaults are files, and what takes over from them may lack what the API server requires."""


@pytest.fixture(scope="module")
def served(plane: ControlPlane) -> ControlPlane:
    """A control plane that serves the kinds."""
    install(plane)
    return plane


def test_the_api_server_takes_the_schemas_as_structural_and_their_rules_as_cheap_enough(served: ControlPlane):
    for one in RESOURCES:
        said = conditions_of_crd(served, one)
        assert (said["Established"], said["NamesAccepted"]) == ("True", "True")
        assert "NonStructuralSchema" not in said


def test_the_kinds_are_found_by_their_short_names_and_in_their_category(served: ControlPlane):
    listed = served.kubectl("api-resources", "--api-group=policy.aiops", "--no-headers")
    assert sorted(line.split()[0] for line in listed.splitlines()) == sorted(one.plural for one in RESOURCES)
    for one in RESOURCES:
        for short in one.short:
            assert kubectl(served, "get", short, "-A")[0] == 0
    assert kubectl(served, "get", "aiops", "-A")[0] == 0
    # what is explained is published a moment after the kind is served
    words = ("explain", "scalingpolicies.spec.bounds.minReplicas")
    assert "minReplicas" in served.eventually(lambda: kubectl(served, *words)[1], "the explanation")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_a_shipped_example_is_taken_as_it_is(served: ControlPlane, namespace: str, file: Path):
    documents = [one for one in yaml.safe_load_all(file.read_text()) if one]
    for one in documents:
        one["metadata"]["namespace"] = namespace
    text = yaml.safe_dump_all(documents)
    words = ("apply", "--server-side", "--validate=strict", "-f", "-")
    assert "serverside-applied (server dry run)" in served.kubectl(*words, "--dry-run=server", stdin=text)
    assert served.kubectl(*words, stdin=text).count("serverside-applied") == len(documents)
    for one in documents:
        stored = served.api("GET", served.path_of(one))
        # nothing is added and nothing dropped: the loader reads what the author wrote
        assert stored["spec"] == one["spec"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "bounds": ({"bounds": {"minReplicas": 30, "maxReplicas": 20}}, "minReplicas is greater than maxReplicas"),
    "a cap without a number": (
        {"guardrails": [{"when": "true", "then": "cap"}]},
        "maxReplicas belongs to 'then: cap', which needs it",
    ),
    "zero without presence": (
        {"signals": {"demand": {"query": "up", "onAbsent": "zero"}}},
        "zero needs a presence query",
    ),
    "an empty window": (
        {"bounds": {"maxReplicas": 9, "windows": [{"schedule": "0 8 * * *", "duration": "1h"}]}},
        "a window needs minReplicas or maxReplicas",
    ),
    "nothing to learn from": (
        {"objective": {"demand": "demand", "perReplica": "learn"}},
        "learn needs slo and utilisation",
    ),
    "a mode": ({"mode": "enforced"}, 'supported values: "observe", "dry-run", "approve", "enforce"'),
    "a duration": ({"manualOverride": "an hour"}, "spec.manualOverride in body should match"),
    "a list for a number": ({"objective": {"perReplica": [50]}}, "spec.objective.perReplica: Too many: 1"),
    "yes for a number": ({"manualOverride": True}, '"spec.manualOverride" must not validate the schema (not)'),
    "an unknown field": ({"bouns": {"maxReplicas": 3}}, 'unknown field "spec.bouns"'),
    "a missing field": ({"bounds": {}}, "spec.bounds.maxReplicas: Required value"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_is_refused_by_the_api_server_in_words(served: ControlPlane, namespace: str, what: str):
    changes, said = BAD[what]
    assert said in tried(served, scaling_policy(namespace, **changes))
    assert tried(served, scaling_policy(namespace)) == ""


def test_kubectl_shows_the_mistake_and_makes_nothing(served: ControlPlane, namespace: str):
    document = scaling_policy(namespace, bounds={"minReplicas": 30, "maxReplicas": 20})
    code, _, said = kubectl(served, "apply", "--server-side", "-f", "-", document=document)
    assert code == 1
    assert 'The ScalingPolicy "checkout" is invalid: spec.bounds: Invalid value: minReplicas is greater than' in said
    assert kubectl(served, "get", "scpol", "-n", namespace, "-o", "name")[1] == ""


LEARNT = [(), ("learn",), ("learn", "slo"), ("learn", "utilisation"), ("learn", "slo", "utilisation")]
REST = {"bounds": BOUNDS, "learn": st.sampled_from(LEARNT)}
STEERED = {"target": TARGETS, "lever": LEVERS, "freezes": st.lists(FREEZES, max_size=1)}


def agree(plane: ControlPlane, document: Part) -> None:
    assert (tried(plane, document) == "") == loads(document), document


def loads(document: dict[str, Any]) -> bool:
    from aiops.errors import InvalidPolicy

    try:
        parse(yaml.safe_dump(document), "test")
    except InvalidPolicy:
        return False
    return True


@pytest.mark.timeout(300)
def test_the_api_servers_rules_and_the_loaders_say_the_same_of_any_document(served: ControlPlane, namespace: str):
    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(signal=SIGNALS, windows=st.lists(WINDOWS, max_size=2), guards=st.lists(GUARDRAILS, max_size=2), **REST)
    def same(signal: Part, windows: list[Part], guards: list[Part], bounds: Part, learn: tuple[str, ...]) -> None:
        document = changed(namespace, signal, {**bounds, "windows": windows}, guards, learn)
        agree(served, document)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(**STEERED)
    def steered(target: Part, lever: Part, freezes: list[Part]) -> None:
        agree(served, scaling_policy(namespace, target=target, freezes=freezes, **lever))

    same()
    steered()
