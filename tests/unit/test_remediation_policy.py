"""What a RemediationPolicy is compiled to, and what is refused with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from aiops.core.decide.remediation.rung_spec import Do, RungSpec
from aiops.core.decide.remediation.spec import ConditionName, RemediationSpec, WhenSpec
from aiops.core.decide.spec import SchemaRule, server_rules
from aiops.core.model import Cordon, Drain, RunJob
from aiops.core.planning.doing import operations_of, reads_of
from aiops.core.planning.remediation import DoMove, Nodes, RemediationPolicy
from aiops.errors import InvalidPolicy, Problem
from aiops.policy import parse, recompile
from tests.unit.remedied import CRASHES, HEADER, NODES_SPEC, a_policy, node


def problem(spec: str, origin: str = "one.yaml") -> Problem:
    """Return the one thing that is wrong."""
    with pytest.raises(InvalidPolicy) as caught:
        parse(HEADER + spec, origin)
    (only,) = caught.value.problems
    return only


def changed(old: str, new: str, spec: str = CRASHES) -> str:
    assert old in spec
    return spec.replace(old, new)


def test_a_text_that_names_a_field_which_there_is_not_is_refused_where_it_stands():
    found = problem(changed("{do: page}", "{do: page, text: 'see $(target.nmae)'}"))
    assert (found.field, found.code) == ("spec.ladder[2].text", "unknown-field")
    assert found.message == "there is no field $(target.nmae)"
    assert found.hint == "did you mean 'target.name'?"


@pytest.mark.parametrize("name", ["alert.labels.pod", "labels.x", "signals.errors", "node.name", "env.HOME", ""])
def test_s10_no_label_no_metric_and_no_surroundings_can_be_named(name):
    found = problem(changed("{do: page}", f"{{do: page, text: '$({name})'}}"))
    assert found.message == f"there is no field $({name})"


def test_the_fields_of_nodes_are_those_of_nodes():
    assert problem(changed("{do: page}", "{do: page, text: $(target.name)}", NODES_SPEC)).code == "unknown-field"
    assert a_policy(changed("{do: page}", "{do: page, text: $(node.name)}", NODES_SPEC)).nodes is not None


@pytest.mark.parametrize(
    "rung", ["{do: webhook, endpoint: tickets}", "{do: job, template: fix}"], ids=["webhook", "job"]
)
def test_s6_what_nothing_can_take_back_is_asked_about_or_refused(rung):
    found = problem(changed("{do: page}", rung))
    assert (found.field, found.code) == ("spec.ladder[2].do", "no-undo")
    assert "nobody is asked" in found.message
    asks = changed("{do: page}", rung.replace("}", ", asks: true}"))
    assert a_policy(asks).ladder[2].asks
    assert not a_policy(changed("{do: page}", rung), ("enforce", "approve")).ladder[2].asks


WRONG = {
    "a restart of nodes": (changed("drain, within: 3m", "restart", NODES_SPEC), "spec.ladder[0].do", "bad-rung"),
    "a drain of a workload": (changed("{do: page}", "{do: drain}"), "spec.ladder[2].do", "bad-rung"),
    "a rollback of a StatefulSet": (
        changed("{name: checkout}", "{kind: StatefulSet, name: checkout}"),
        "spec.ladder[1].do",
        "bad-rung",
    ),
    "crashes of nodes": (
        changed("NodeNotReady", "CrashLoop", NODES_SPEC),
        "spec.when[0].condition",
        "bad-trigger",
    ),
    "a kind of finding that nobody has": (
        changed("{condition: CrashLoop}", "{finding: {kind: spike}}"),
        "spec.when[0].finding.kind",
        "not-one-of",
    ),
    "a signal that there is not": (
        changed("{condition: CrashLoop}", "{condition: DiskFull, signal: used, limit: 90%, within: 1d}"),
        "spec.when[0].signal",
        "unknown-signal",
    ),
    "a goal of a signal that there is not": (
        CRASHES + "  verify: {signal: errors, atMost: 1%}\n",
        "spec.verify.signal",
        "unknown-signal",
    ),
    "a variable that is none": (
        changed("{do: page}", "{do: job, template: fix, asks: true, arguments: {'A B': x}}"),
        "spec.ladder[2].arguments.A B",
        "bad-value",
    ),
    "another namespace": (
        changed("{name: checkout}", "{name: checkout, namespace: kube-system}"),
        "spec.target.namespace",
        "foreign-namespace",
    ),
    "a quantity that is none": (
        changed("{do: page}", "{do: set-resources, container: c, limits: {memory: lots}}"),
        "spec.ladder[2].limits.memory",
        "bad-value",
    ),
    "revisions that are not told apart": (
        changed("{condition: CrashLoop}", "{condition: RolloutRegression, bad: sum(a), total: sum(b)}"),
        "spec.when[0].bad",
        "same-for-all",
    ),
    "a query of revisions that is no PromQL": (
        changed(
            "{condition: CrashLoop}",
            """{condition: RolloutRegression, bad: '&a{h="$(revision)"}', total: 'b{h="$(revision)"}'}""",
        ),
        "spec.when[0].bad",
        "bad-promql",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_refused_where_it_stands(name):
    spec, field, code = WRONG[name]
    with pytest.raises(InvalidPolicy) as caught:
        parse(HEADER + spec, "one.yaml")
    first = caught.value.problems[0]
    assert (first.field, first.code) == (field, code)
    assert first.line > 1


def test_a_revision_stands_in_a_matcher_s_value_and_nowhere_else():
    bad, total = """'rate(x{h=~"$(revision)|y"}[1m])'""", """'rate(x{h="$(revision)"}[1m])'"""
    query = f"{{condition: RolloutRegression, bad: {bad}, total: {total}}}"
    found = problem(changed("{condition: CrashLoop}", query))
    assert (found.field, found.code) == ("spec.when[0].bad", "bad-placeholder")


def test_s3_nodes_are_an_admin_s_and_no_custom_resource_s():
    found = problem(NODES_SPEC, "crd:default/platform/workers")
    assert (found.field, found.code) == ("spec.nodes", "foreign-namespace")
    move = changed("{do: restart, within: 3m}", "{do: move}")
    assert problem(move, "crd:default/shop/checkout").field == "spec.ladder[0].do"
    assert a_policy(move).ladder[0].remedy == DoMove()


def test_a_policy_comes_back_equal_from_its_document():
    for spec in (CRASHES, NODES_SPEC):
        policy = a_policy(spec)
        again = recompile(policy.document)
        assert isinstance(again, RemediationPolicy)
        assert (again.ladder, again.triggers, again.nodes, again.spec_hash) == (
            policy.ladder,
            policy.triggers,
            policy.nodes,
            policy.spec_hash,
        )


@pytest.mark.parametrize(
    ("said", "total", "needed"), [("51%", 3, 2), ("51%", 100, 51), ("100%", 7, 7), ("0%", 7, 0), (2, 7, 2), (0, 0, 0)]
)
def test_so_many_nodes_must_be_well(said, total, needed):
    nodes = a_policy(changed("51%", str(said), NODES_SPEC)).nodes
    assert isinstance(nodes, Nodes)
    assert nodes.needed(total) == needed


@pytest.mark.parametrize("said", ["1.5", "-1", "51 %", "101%", "half", "'3'", "true"])
def test_a_share_that_is_none_is_refused(said):
    with pytest.raises(InvalidPolicy):
        parse(HEADER + changed("51%", said, NODES_SPEC), "one.yaml")


def test_its_permissions_follow_from_its_ladder():
    policy = a_policy(changed("{do: page}", "{do: job, template: reprovision, asks: true}", NODES_SPEC))
    assert [type(one) for one in operations_of(policy)] == [Cordon, Drain, RunJob]
    assert [one.kind for one in reads_of(policy).selections] == ["Node"]
    assert operations_of(policy)[0] == Cordon(node=node(""))


# -- what the API server refuses -------------------------------------------------------------------------

RUNGS = st.fixed_dictionaries(
    {"do": st.sampled_from([one.value for one in Do])},
    optional={
        "most": st.integers(1, 20),
        "gracePeriod": st.just("30s"),
        "container": st.just("c"),
        "requests": st.just({"cpu": "1"}),
        "limits": st.just({"cpu": "1"}),
        "template": st.just("fix"),
        "arguments": st.just({"A": "x"}),
        "cronJob": st.just("x"),
        "endpoint": st.just("x"),
        "fields": st.just({"a": "x"}),
        "channel": st.just("x"),
        "text": st.just("x"),
    },
)
WHENS = st.fixed_dictionaries(
    {},
    optional={
        "alert": st.just("A"),
        "labels": st.just({"a": "b"}),
        "finding": st.just({}),
        "incident": st.just({}),
        "cel": st.just("true"),
        "condition": st.sampled_from([one.value for one in ConditionName]),
        "pods": st.integers(1, 5),
        "type": st.just("DiskPressure"),
        "status": st.just("True"),
        "signal": st.just("s"),
        "limit": st.just(1),
        "within": st.just("1h"),
        "bad": st.just("x"),
        "total": st.just("y"),
        "alpha": st.just(0.01),
    },
)
RUNG = {"do": "page"}
SPECS = st.fixed_dictionaries(
    {"when": st.just([{"alert": "A"}]), "ladder": st.just([RUNG])},
    optional={"target": st.just({"name": "checkout"}), "nodes": st.just({})},
)


def loads(model: type[BaseModel], document: dict[str, object]) -> bool:
    try:
        model.model_validate(document)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("model", "documents"),
    [(RungSpec, RUNGS), (WhenSpec, WHENS), (RemediationSpec, SPECS)],
    ids=lambda one: str(one)[:40],
)
def test_the_api_server_s_rules_and_the_loader_say_the_same(model, documents):
    validators = [Draft202012Validator(rule.schema) for rule in server_rules(model) if isinstance(rule, SchemaRule)]

    @settings(max_examples=400, deadline=None)
    @given(document=documents)
    def same(document: dict[str, object]) -> None:
        assert all(one.is_valid(document) for one in validators) == loads(model, document), json.dumps(document)

    same()
