"""What policies take over where they say nothing: cluster, namespace, workload, and what the author wrote wins."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.errors import InvalidPolicy
from aiops.policy import parse
from aiops.policy.checking import checked
from aiops.policy.crd import RESOURCES, crd
from aiops.policy.defaults import KIND
from aiops.policy.effective import as_json, as_yaml

HEAD = "apiVersion: policy.aiops/v1alpha1\n"


def policy(extra: str = "", name: str = "checkout", namespace: str = "shop", target: str = "") -> str:
    return f"""{HEAD}kind: ScalingPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  target: {{name: {target or name}}}
  signals: {{demand: {{query: 'sum(rate(http_requests_total[1m]))'}}}}
  objective: {{demand: demand, perReplica: 50}}
  bounds: {{maxReplicas: 9}}
{extra}"""


def defaults(body: str, name: str = "house", namespace: str = "shop") -> str:
    return f"{HEAD}kind: PolicyDefaults\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{body}"


def budget(scope: str, changes: int, target: str = "") -> str:
    aim = f"  target: {{name: {target}}}\n" if target else ""
    body = f"  scope: {scope}\n{aim}  defaults: {{ScalingPolicy: {{limits: {{changesPerHour: {changes}}}}}}}\n"
    return defaults(body, scope)


CLUSTER, NAMESPACE, WORKLOAD = budget("cluster", 11), budget("namespace", 22), budget("workload", 33, "checkout")


def limits(*texts: str) -> int:
    found = checked([(f"{number}.yaml", text) for number, text in enumerate(texts)], 15.0)
    if found.policies is None:
        raise InvalidPolicy(found.errors)
    return found.policies.scaling[0].limits.changes_per_hour


@pytest.mark.parametrize(
    ("texts", "changes"),
    [
        ((), 60),
        ((CLUSTER,), 11),
        ((CLUSTER, NAMESPACE), 22),
        ((WORKLOAD, NAMESPACE, CLUSTER), 33),
        ((budget("workload", 33, "search"), CLUSTER), 11),
        ((budget("namespace", 22).replace("namespace: shop", "namespace: mail"),), 60),
    ],
    ids=["nothing", "cluster", "namespace", "workload", "another workload", "another namespace"],
)
def test_the_nearest_scope_that_says_something_counts(texts, changes):
    assert limits(*texts, policy()) == changes


def test_what_the_author_wrote_wins():
    assert limits(WORKLOAD, policy("  limits: {changesPerHour: 44}\n")) == 44


def test_a_null_takes_a_default_away():
    fallback = defaults("  defaults: {ScalingPolicy: {fallback: {after: 5m, replicas: 6}}}\n")
    assert parse(f"{fallback}---\n{policy()}", "x.yaml").scaling[0].fallback is not None
    assert parse(f"{fallback}---\n{policy('  fallback: null')}", "x.yaml").scaling[0].fallback is None


def test_mappings_are_taken_over_field_by_field_and_lists_as_a_whole():
    windows = "[{schedule: '0 8 * * *', duration: 1h, minReplicas: 3}]"
    house = defaults(f"  defaults: {{ScalingPolicy: {{bounds: {{minReplicas: 4, windows: {windows}}}}}}}\n")
    taken = parse(f"{house}---\n{policy()}", "x.yaml").scaling[0].bounds
    assert (taken.min_replicas, taken.max_replicas, len(taken.windows)) == (4, 9, 1)
    own = policy().replace("{maxReplicas: 9}", "{maxReplicas: 9, windows: []}")
    assert parse(f"{house}---\n{own}", "x.yaml").scaling[0].bounds.windows == ()


def test_freezes_add_up():
    freeze = "  freezes: [{{name: {0}, schedule: '0 12 * * 5', duration: 12h}}]\n"
    whole = defaults("  scope: cluster\n" + freeze.format("fridays"))
    near = defaults(freeze.format("shop-days"), "near")
    own = policy(freeze.format("own"))
    (made,) = parse("---\n".join([whole, near, own]), "x.yaml").scaling
    assert [one.name for one in made.freezes] == ["own", "shop-days", "fridays"]


def test_a_policy_is_compiled_again_without_its_defaults():
    (made,) = parse(f"{CLUSTER}---\n{policy()}", "x.yaml").scaling
    (again,) = parse(made.document, "stored").scaling
    assert (again.limits, again.spec_hash, again.digest) == (made.limits, made.spec_hash, made.digest)


def test_other_defaults_make_another_spec_to_promote_s6():
    hashes = {parse(f"{one}---\n{policy()}", "x.yaml").scaling[0].spec_hash for one in (CLUSTER, NAMESPACE)}
    assert len(hashes) == 2


def problems(*texts: str) -> list[str]:
    found = checked([(f"{number}.yaml", text) for number, text in enumerate(texts)], 15.0)
    return [str(one) for one in found.errors]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("  defaults: {ScalingPolcy: {}}\n", "0.yaml:5:14: spec.defaults.ScalingPolcy: unknown kind"),
        (
            "  defaults: {ScalingPolicy: {mod: enforce}}\n",
            "0.yaml:5:30: spec.defaults.ScalingPolicy.mod: unknown field",
        ),
        ("  defaults: {ScalingPolicy: {limits: {changesPerHour: many}}}\n", "0.yaml:5:39:"),
        ("  defaults: {ScalingPolicy: {target: {name: x}}}\n", "target is a policy's own"),
        ("  defaults: {ScalingPolicy: {freezes: []}}\n", "write it under spec.freezes"),
        ("  scope: workload\n", "target belongs to scope: workload"),
        ("  scope: galaxy\n", "'galaxy' is not one of cluster, namespace"),
        ("  freezes: [{name: x}]\n", "a freeze has one of"),
    ],
)
def test_mistakes_in_defaults_are_said_at_their_place(body, words):
    told = problems(defaults(body), policy())
    assert len(told) == 1
    assert words in told[0]


def test_what_is_wrong_only_in_a_policy_is_said_where_it_was_written():
    windows = "[{schedule: nonsense, duration: 1h, minReplicas: 3}]"
    (told,) = problems(defaults(f"  defaults: {{ScalingPolicy: {{bounds: {{windows: {windows}}}}}}}\n"), policy())
    assert told.startswith("0.yaml:5:")
    assert "no cron schedule" in told


def test_two_defaults_of_one_scope_are_a_mistake_of_both():
    told = problems(defaults("  scope: cluster\n", "one"), defaults("  scope: cluster\n", "two"), policy())
    assert [line.partition(":")[0] for line in told] == ["0.yaml", "1.yaml"]


def test_effective_values_say_where_they_came_from():
    texts = [("house.yaml", CLUSTER), ("checkout.yaml", policy("  timeZone: Europe/Berlin\n"))]
    ((document, made),) = checked(texts, 15.0).made
    told = as_json(document, made)["from"]
    assert told["spec.limits.changesPerHour"] == {"from": "cluster defaults cluster", "file": "house.yaml", "line": 6}
    assert told["spec.timeZone"] == {"from": "written", "file": "checkout.yaml", "line": 9}
    assert told["spec.lever"] == {"from": "built-in default"}


def test_effective_yaml_is_the_policy_again():
    texts = [("house.yaml", CLUSTER), ("checkout.yaml", policy())]
    ((document, made),) = checked(texts, 15.0).made
    (again,) = parse(as_yaml(document, made), "again.yaml").scaling
    assert (again.document, again.spec_hash) == (made.document, made.spec_hash)


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "limits": st.fixed_dictionaries({"changesPerHour": st.integers(1, 50)}),
        "bounds": st.fixed_dictionaries({}, optional={"minReplicas": st.integers(0, 9)}),
        "timeZone": st.sampled_from(["UTC", "Europe/Berlin"]),
        "manualOverride": st.sampled_from(["1h", "2h"]),
    },
)


@given(PARTS, PARTS, PARTS)
def test_every_value_is_the_nearest_that_was_written(own, near, far):
    spec = {
        "target": {"name": "checkout"},
        "signals": {"demand": {"query": "up"}},
        "objective": {"demand": "demand", "perReplica": 50},
        **own,
        "bounds": {"maxReplicas": 9, **own.get("bounds", {})},
    }
    head = {"apiVersion": "policy.aiops/v1alpha1"}
    documents = [
        {**head, "kind": "ScalingPolicy", "metadata": {"name": "checkout", "namespace": "shop"}, "spec": spec},
        _defaults("near", "namespace", near),
        _defaults("far", "cluster", far),
    ]
    found = checked([(str(number), json.dumps(one)) for number, one in enumerate(documents)], 15.0)
    made = json.loads(found.policies.scaling[0].document)["spec"]
    for path in (("limits", "changesPerHour"), ("bounds", "minReplicas"), ("timeZone",)):
        said = [value for value in (_at(part, path) for part in (own, near, far)) if value is not None]
        if said:
            assert _at(made, path) == said[0]


def _defaults(name: str, scope: str, part: dict[str, object]) -> dict[str, object]:
    spec = {"scope": scope, "defaults": {"ScalingPolicy": part}}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "PolicyDefaults", "metadata": metadata, "spec": spec}


def _at(part: object, path: tuple[str, ...]) -> object:
    for key in path:
        part = part.get(key) if isinstance(part, dict) else None
    return part


# -- who may let a policy act, and who reaches a cluster -----------------------------------------------------------


@pytest.mark.parametrize("scope", ["cluster", "namespace"])
@pytest.mark.parametrize("mode", ["approve", "enforce"])
def test_no_defaults_let_a_policy_act_s6(scope, mode):
    text = defaults(f"  scope: {scope}\n  defaults: {{ScalingPolicy: {{mode: {mode}}}}}\n")
    found = checked([("a.yaml", policy()), ("house.yaml", text)], 15.0)
    (problem,) = [one for one in found.problems if one.severity == "error"]
    assert (problem.file, problem.line, problem.field) == ("house.yaml", 6, "spec.defaults.ScalingPolicy.mode")
    assert "is a policy's own, and no default" in problem.message


def test_defaults_may_quieten_a_policy_that_names_no_mode():
    quiet = defaults("  defaults: {ScalingPolicy: {mode: observe}}\n")
    for written, mode in (("", "observe"), ("  mode: enforce", "enforce")):
        found = checked([("a.yaml", policy(written)), ("house.yaml", quiet)], 15.0)
        assert found.policies.scaling[0].mode.value == mode


@pytest.mark.parametrize("mode", ["[]", "{}", "[enforce]", "3"])
def test_a_mode_of_defaults_that_is_no_word_is_a_mistake_at_its_place_and_no_bug_s10(mode):
    text = defaults(f"  defaults: {{ScalingPolicy: {{mode: {mode}}}}}\n")
    found = checked([("a.yaml", policy()), ("house.yaml", text)], 15.0)
    fields = {one.field for one in found.problems if one.severity == "error"}
    assert fields == {"spec.defaults.ScalingPolicy.mode"}


def test_no_resource_of_an_api_server_has_the_reach_of_defaults_s3():
    # who may write objects in one namespace says nothing about the policies of others: defaults lie in files alone
    assert KIND not in {one.kind for one in RESOURCES}
    for one in RESOURCES:
        assert crd(one)["spec"]["scope"] == "Namespaced"
