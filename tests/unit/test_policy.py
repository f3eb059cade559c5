"""The language: what is written is what is meant, and every mistake has its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import Mode
from aiops.core.policies import Lever, Select
from aiops.errors import InvalidPolicy
from aiops.policy import check, load, parse, queries_per_tick, recompile, schema
from aiops.policy.kinds import kinds
from tests.builders import loaded

SHIPPED = Path(__file__).parents[2] / "policies"
TEXT = (SHIPPED / "checkout.yaml").read_text()
SMALL = (SHIPPED / "search.yaml").read_text()


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidPolicy) as caught:
        parse(text, "p.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_policies_are_well_and_come_back_from_their_documents():
    policies = load([SHIPPED])
    written = "".join(path.read_text() for path in SHIPPED.glob("*.yaml"))
    assert len(policies.every) == sum(written.count(f"\nkind: {kind}\n") for kind in kinds()) > 5
    for policy in policies.every:
        again = recompile(policy.document)
        assert replace(again, origin=policy.origin) == policy


def test_what_is_left_out_takes_the_defaults_of_the_hpa():
    (policy,) = parse(SMALL, "p").scaling
    assert (policy.mode, policy.lever) == (Mode.DRY_RUN, Lever.REPLICAS)
    assert (policy.up.stabilisation_s, policy.down.stabilisation_s) == (0.0, 300.0)
    assert [(rate.unit.value, rate.value, rate.period_s) for rate in policy.up.rates] == [
        ("Percent", 100, 15.0),
        ("Pods", 4, 15.0),
    ]
    assert policy.up.select is Select.MAX


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: ScalingPolicy", "kind: ScalingPolcy", "p.yaml:5:1: kind: unknown kind 'ScalingPolcy' (did you mean"),
        ("perReplica: 50", "perReplcia: 50", "unknown field (did you mean 'perReplica'?)"),
        ("perReplica: 50", "perReplica: learn", "needs an slo and a utilisation signal"),
        ("perReplica: 50", "perReplica: 0", "greater than 0"),
        ("minReplicas: 3", "minReplicas: 50", "spec.bounds: minReplicas 50 is greater than maxReplicas 40"),
        ("minReplicas: 3", "minReplicas: three", "'three' is no number"),
        ("minReplicas: 3", 'minReplicas: "3"', "'3' is no number: write it without quotes"),
        ("minReplicas: 3", "minReplicas: true", "True is no number"),
        ("minReplicas: 3", "minReplicas: 3.5", "valid integer"),
        ("maxAge: 90s", "maxAge: 90 parsecs", "no duration such as 90s"),
        ("atMost: 250ms", "atMost: 250m", "could be thousandths or minutes"),
        ("sum(rate(", "sum(rate((", "PromQL: unclosed left parenthesis"),
        ("[1m]))'\n      unit: req/s\n      maxAge", "[1m])'\n      unit: req/s\n      maxAge", "PromQL: unclosed"),
        ('http_requests_total{service="checkout"}', "aiops_ticks_total", "the loop's own metric"),
        ("signals.callers > 1.0", "signals.caller > 1.0", "did you mean 'signals.callers'?"),
        ("signals.callers > 1.0", "signals.callers >", "CEL: Syntax error"),
        ("signals.callers > 1.0", "signals.callers", "true or false"),
        ("demand: demand", "demand: demnd", "there is no signal 'demnd' (did you mean 'demand'?)"),
        ("then: hold-scale-in", "then: hold-scale-inn", "is not one of hold, hold-scale-in"),
        ("schedule: '0 8 * * 1-5'", "schedule: '0 99 * * 1-5'", "no cron schedule"),
        ("timeZone: Europe/Berlin", "timeZone: Europe/Bärlin", "unknown time zone"),
        ("onAbsent: zero", "onStale: zero", "zero is only for onAbsent"),
        ("      presence: 'count(http_requests_total{service=\"frontend\"})'\n", "", "zero needs a presence query"),
        ("name: checkout}", "name: checkout, namespace: other}", "only its own namespace"),
        ("apiVersion: policy.aiops/v1alpha1", "apiVersion: v1", "'v1' is not policy.aiops/v1alpha1"),
        ("spec:\n  mode", "spec:\n  mode: observe\n  mode", "duplicate key 'mode'"),
        ("  mode: dry-run", "\tmode: dry-run", "this is no YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_hint(old, new, said):
    assert old in TEXT
    found = mistakes(TEXT.replace(old, new, 1))
    assert any(said in one for one in found), found
    assert all(one.startswith("p.yaml:") for one in found)


def test_all_mistakes_are_found_in_one_pass():
    found = mistakes(TEXT.replace("perReplica: 50", "perReplica: -1").replace("minReplicas: 3", "minReplicas: 50"))
    assert len(found) == 2


def test_what_is_wrong_beside_an_unknown_field_is_found_in_the_same_pass():
    """One mistake in each layer: envelope, fields, queries, conditions, schedules, references."""
    text = TEXT
    for old, new in (
        ("namespace: shop, labels", "namespace: Shop, labels"),
        ("  lever: hpa-floor", "  levr: hpa-floor"),
        ("maxAge: 90s", "maxAge: 90 parsecs"),
        ("perReplica: 50", "perReplica: fifty"),
        ("maxReplicas: 40", "maxReplicas: many"),
        ("atMost: 250ms, ", ""),
        ('sum(rate(http_requests_total{service="checkout"}[1m]))', "sum(rate("),
        ("signals.callers > 1.0", "signals.callers >"),
        ("'0 8 * * 1-5'", "'0 99 * * 1-5'"),
        ("signals.latency <= slo.atMost", "signals.latncy <= slo.atMost"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    found = mistakes(text)
    said = (
        "is no namespace", "unknown field", "no duration", "no number or quantity", "'many'", "is required", "PromQL",
        "CEL: Syntax", "no cron schedule", "undeclared",
    )  # fmt: skip
    assert [[word in one for one in found].count(True) for word in said] == [1] * len(said), found
    assert len(found) == len(said)


def test_two_policies_that_act_on_one_target_are_refused_with_both_places():
    other = SMALL.replace("name: search, namespace", "name: second, namespace")
    found = mistakes(f"{SMALL}\n---\n{other}")
    assert "is already scaled by ScalingPolicy/shop/search in p.yaml:3" in found[0]
    watching = other.replace("mode: dry-run", "mode: observe")
    assert len(parse(f"{SMALL}\n---\n{watching}", "p").scaling) == 2


def test_a_folder_leaves_tests_and_hidden_files_out_and_names_what_is_missing(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "x.test.yaml").write_text("not: a policy")
    (tmp_path / ".hidden.yaml").write_text("not: a policy")
    assert "there is no policy in this folder" in str(check([tmp_path]).errors[0])
    (tmp_path / "search.yaml").write_text(SMALL)
    assert check([tmp_path]).errors == ()
    assert "no such file" in str(check([tmp_path / "nowhere.yaml"]).errors[0])
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    assert "no UTF-8" in str(check([tmp_path]).errors[0])


def test_enforcing_without_an_hpa_is_a_warning_s2():
    found = parse(SMALL.replace("mode: dry-run", "mode: enforce"), "p")
    assert found.scaling[0].mode is Mode.ENFORCE


def test_it_is_said_what_a_policy_asks_of_prometheus_s10():
    (policy,) = parse(SMALL, "p").scaling
    assert queries_per_tick(policy) == (
        'sum(rate(http_requests_total{service="search"}[1m]))',
        'max(timestamp(http_requests_total{service="search"}))',
        'count(http_requests_total{service="search"})',
        'up{service="search"}',
    )


def test_the_schema_accepts_every_kind():
    made = schema()
    names = (*kinds(), "PolicyDefaults")
    assert [one["$ref"] for one in made["oneOf"]] == [f"#/$defs/{name}" for name in names]
    text = json.dumps(made)
    for name in ("perReplica", "stabilizationWindowSeconds", "falseAlarmsPerWeek", "whenNoTraffic"):
        assert name in text


def read_or_refused(text: str) -> bool:
    """Return whether the text is a set, or refused with a message for each problem; anything else is raised."""
    try:
        parse(text, "p")
    except InvalidPolicy as err:
        return bool(err.problems) and all(problem.message for problem in err.problems)
    return True


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_policy_set_or_an_invalid_one_s10(text):
    assert read_or_refused(text)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 40), st.text(max_size=12))
def test_a_damaged_policy_is_refused_or_taken_and_nothing_else_s10(start, length, inserted):
    assert read_or_refused(TEXT[:start] + inserted + TEXT[start + length :])


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: [" + "*x, " * 30000 + "]",
        "[" * 2000,
        "? {a: 1}\n: 2",
        "<<: {a: 1}",
        "--- \n---\n",
        "just words",
        "{a: !!python/object:os.system x}",
        "spec: 1e999999999",
        "a: 2026-99-99",
    ],
)
def test_strange_yaml_is_refused_without_harm_s10(text):
    assert read_or_refused(text)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("labels: 5", "p.yaml:5:43: metadata.labels: labels are a mapping of names to texts"),
        ("labels: [a]", "p.yaml:5:43: metadata.labels: labels are a mapping of names to texts"),
        ("labels: {version: 2}", "p.yaml:5:52: metadata.labels.version: 2 is no text (put it in quotes)"),
        ("annotations: {on: true}", "p.yaml:5:57: metadata.annotations.on: True is no text (put it in quotes)"),
    ],
)
def test_labels_and_annotations_that_are_no_texts_are_refused_not_dropped_with_their_policy(what, said):
    assert mistakes(SMALL.replace("namespace: shop}", f"namespace: shop, {what}}}")) == [said]


CANDIDATES = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  target: {{name: {target}}}
  {candidate}
  signals: {{demand: {{query: 'sum(rate(http_requests_total[1m]))'}}}}
  objective: {{demand: demand, perReplica: 50}}
  bounds: {{maxReplicas: 9}}
---
"""


def candidates(*written):
    return "".join(
        CANDIDATES.format(name=name, target=target, candidate=f"candidateFor: {of}" if of else "mode: dry-run")
        for name, target, of in written
    )


def test_a_candidate_shares_its_target_and_reaches_no_further_than_dry_run_s4():
    policies = parse(candidates(("live", "checkout", ""), ("bold", "checkout", "live")), "both.yaml")
    bold = next(one for one in policies.scaling if one.candidate_for)
    assert bold.candidate_for == "ScalingPolicy/shop/live"
    assert bold.reach is Mode.DRY_RUN


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([("live", "checkout", "live")], "a policy is no candidate for itself"),
        (
            [("live", "checkout", ""), ("bold", "checkout", "live"), ("bolder", "checkout", "bold")],
            "ScalingPolicy/shop/bold is a candidate itself, for ScalingPolicy/shop/live",
        ),
        (
            [("bold", "checkout", "bolder"), ("bolder", "checkout", "bold")],
            "ScalingPolicy/shop/bolder is a candidate itself",
        ),
        (
            [("live", "checkout", ""), ("bold", "search", "live")],
            "scales Deployment shop/checkout, this is for Deployment shop/search",
        ),
    ],
)
def test_a_candidate_runs_beside_a_policy_of_its_target_that_stands_for_itself(written, said):
    with pytest.raises(InvalidPolicy) as caught:
        parse(candidates(*written), "both.yaml")
    assert said in str(caught.value.problems[0].message)
    assert {(one.field, one.code) for one in caught.value.problems} == {("spec.candidateFor", "bad-candidate")}


@pytest.mark.parametrize("number", [2**31, 10**15])
@pytest.mark.parametrize(
    "spec",
    [
        {"bounds": {"maxReplicas": 0}},
        {"bounds": {"minReplicas": 0, "maxReplicas": 9}},
        {"limits": {"changesPerHour": 0}},
        {"behavior": {"scaleUp": {"policies": [{"type": "Percent", "value": 0, "periodSeconds": 15}]}}},
    ],
    ids=["most", "least", "changes", "percent"],
)
def test_a_number_that_kubernetes_cannot_hold_is_refused_s10(spec, number):
    with pytest.raises(InvalidPolicy) as refused:
        loaded(**json.loads(json.dumps(spec).replace(" 0", f" {number}")))
    (problem,) = refused.value.problems
    assert "more than 2147483647" in problem.message
