"""Templates: what they select, what stands for the target in a query, what is made of them for a member."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops import policy as language
from aiops.core.selection import LabelSelector, Member, Operator, Requirement, is_dns_label
from aiops.core.versions import as_shadow, base_key, is_member, member_of, spec_hash, template_document, template_key
from aiops.errors import InvalidPolicy
from aiops.policy import placeholders, promql
from aiops.policy.checking import checked
from aiops.policy.lint import Terms
from aiops.policy.lint.cost import bill
from aiops.policy.members import NoMember, labels_named, member_policy
from tests.unit.chosen import WEB, changed, template

QUERY = 'sum(rate(requests_total{app="$(target.name)",namespace="$(target.namespace)"}[1m]))'


def problems(*changes: tuple[str, str]) -> list[tuple[str, int, str, str]]:
    found = checked([("web.yaml", changed(*changes))], 15.0)
    return [(one.code, one.line, one.field, one.message) for one in found.problems]


# -- what is written ---------------------------------------------------------------------------------------------------


def test_a_template_is_no_policy_until_it_is_made_for_a_member():
    made = language.parse(WEB, "web.yaml")
    assert made.scaling == ()
    (web,) = made.templates
    assert (web.key, str(web.target), str(web.selection.labels)) == ("ScalingPolicy/shop/web", "shop/*", "tier=web")
    assert (web.selection.max_targets, web.selection.max_growth) == (4, 1)
    assert [one.key for one in made.every] == [web.key]


def test_growth_is_a_quarter_of_what_may_match_where_nothing_is_said():
    assert template((", maxGrowth: 1", "")).selection.max_growth == 1
    assert template(("maxTargets: 4, maxGrowth: 1", "maxTargets: 40")).selection.max_growth == 10


REFUSED = [
    ("bad-value", "spec.target", [("selector: {matchLabels: {tier: web}}, maxTargets: 4, maxGrowth: 1", "kind: Job")]),
    ("bad-value", "spec.target", [("target: {", "target: {name: x, ")]),
    ("bad-value", "spec.target", [(", maxTargets: 4, maxGrowth: 1", "")]),
    ("bad-value", "spec.target", [("selector: {matchLabels: {tier: web}}, maxTargets: 4", "name: x")]),
    ("bad-value", "spec.target.selector", [("{matchLabels: {tier: web}}", "{}")]),
    ("bad-value", "spec.target.selector", [("{matchLabels: {tier: web}}", "{matchLabels: {}}")]),
    ("bad-value", "spec.target.selector.matchLabels", [("tier: web}}", "'no key': web}}")]),
    ("bad-value", "spec.target.selector.matchLabels", [("tier: web}}", "tier: 'a b'}}")]),
    ("bad-value", "spec.target.maxTargets", [("maxTargets: 4", "maxTargets: 0")]),
    ("bad-value", "spec.target.maxTargets", [("maxTargets: 4", "maxTargets: 501")]),
    ("unknown-field", "spec.target.namespaceSelector", [("target: {", "target: {namespaceSelector: {}, ")]),
    (
        "bad-value",
        "spec.target.selector.matchExpressions[0]",
        [("{matchLabels: {tier: web}}", "{matchExpressions: [{key: tier, operator: In}]}")],
    ),
    (
        "bad-value",
        "spec.target.selector.matchExpressions[0]",
        [("{matchLabels: {tier: web}}", "{matchExpressions: [{key: tier, operator: Exists, values: [a]}]}")],
    ),
    (
        "not-one-of",
        "spec.target.selector.matchExpressions[0].operator",
        [("{matchLabels: {tier: web}}", "{matchExpressions: [{key: tier, operator: Like}]}")],
    ),
    ("same-for-all", "spec.signals.demand.query", [(QUERY, 'sum(rate(requests_total{app="web"}[1m]))')]),
    ("bad-placeholder", "spec.signals.demand.query", [("$(target.name)", "$(target.nam)")]),
    ("bad-placeholder", "spec.signals.demand.query", [("$(target.name)", "$(workload.name)")]),
    ("bad-placeholder", "spec.signals.demand.query", [("$(target.name)", "$(target.labels.)")]),
    ("bad-placeholder", "spec.signals.demand.query", [('app="$(target.name)"', 'app=~"[$(target.name)]"')]),
    ("bad-placeholder", "spec.signals.demand.query", [(QUERY, 'label_replace(up{a="b"},"c","$(target.name)","d","")')]),
    ("bad-promql", "spec.signals.demand.query", [(QUERY, "sum($(target.name))")]),
]


@pytest.mark.parametrize(("code", "field", "changes"), REFUSED)
def test_what_would_select_too_much_or_name_nobody_is_refused_at_its_place(code, field, changes):
    ((found, line, where, message),) = problems(*changes)
    assert (found, where) == (code, field)
    assert line == (8 if "signals" in field else 6)
    assert message


def test_two_selectors_of_one_namespace_may_stand_beside_each_other():
    found = checked(
        [("a.yaml", WEB), ("b.yaml", changed(("name: web,", "name: api,"), ("tier: web", "tier: api")))], 15
    )
    assert found.problems == ()
    assert [one.key for one in found.policies.templates] == ["ScalingPolicy/shop/api", "ScalingPolicy/shop/web"]


def test_a_candidate_has_the_selector_of_the_policy_that_it_names():
    other = changed(("name: web,", "name: next,"), ("mode: enforce", "candidateFor: web"))
    assert checked([("a.yaml", WEB), ("b.yaml", other)], 15.0).problems == ()
    narrower = changed(("tier: web", "tier: api"), text=other)
    assert [one.code for one in checked([("a.yaml", WEB), ("b.yaml", narrower)], 15.0).problems] == ["bad-candidate"]


def test_a_policy_with_a_name_may_use_placeholders_too():
    text = changed(("selector: {matchLabels: {tier: web}}, maxTargets: 4, maxGrowth: 1", "name: checkout"))
    (policy,) = language.parse(text, "web.yaml").scaling
    assert policy.signals["demand"].query.expr == ('sum(rate(requests_total{app="checkout",namespace="shop"}[1m]))')
    labelled = changed(("$(target.name)", "$(target.labels.app)"), text=text)
    with pytest.raises(InvalidPolicy, match="it has no label app, which the query names"):
        language.parse(labelled, "web.yaml")


# -- labels ------------------------------------------------------------------------------------------------------------

TIER_IN = Requirement(key="tier", operator=Operator.IN, values=("web", "api"))
NOT_OLD = Requirement(key="track", operator=Operator.NOT_IN, values=("old",))
HAS = Requirement(key="team", operator=Operator.EXISTS)
HAS_NOT = Requirement(key="canary", operator=Operator.DOES_NOT_EXIST)


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        (LabelSelector(match_labels=(("a", "b"),)), {"a": "b", "c": "d"}, True),
        (LabelSelector(match_labels=(("a", "b"),)), {"a": "c"}, False),
        (LabelSelector(match_labels=(("a", "b"), ("c", "d"))), {"a": "b"}, False),
        (LabelSelector(match_expressions=(TIER_IN,)), {"tier": "api"}, True),
        (LabelSelector(match_expressions=(TIER_IN,)), {}, False),
        (LabelSelector(match_expressions=(NOT_OLD,)), {}, True),
        (LabelSelector(match_expressions=(NOT_OLD,)), {"track": "old"}, False),
        (LabelSelector(match_expressions=(HAS,)), {"team": ""}, True),
        (LabelSelector(match_expressions=(HAS, HAS_NOT)), {"team": "x", "canary": "1"}, False),
        (LabelSelector(), {"a": "b"}, False),
    ],
)
def test_labels_are_selected_as_kubernetes_selects_them(selector, labels, matches):
    assert selector.matches(labels) is matches


def test_a_selector_is_shown_as_kubectl_takes_it():
    made = LabelSelector(match_labels=(("a", "b"),), match_expressions=(TIER_IN, NOT_OLD, HAS, HAS_NOT))
    assert str(made) == "a=b,tier in (web,api),track notin (old),team,!canary"


# -- members -----------------------------------------------------------------------------------------------------------


def test_a_member_has_a_key_a_target_and_queries_of_its_own_and_the_templates_hash():
    web = template()
    one, other = (member_policy(web, Member(name=name)) for name in ("checkout", "cart"))
    assert (one.key, other.key) == ("ScalingPolicy/shop/web_checkout", "ScalingPolicy/shop/web_cart")
    assert one.target == replace(web.target, name="checkout")
    assert one.signals["demand"].query.expr == 'sum(rate(requests_total{app="checkout",namespace="shop"}[1m]))'
    assert one.signals["demand"].query.up_exprs == ('up{namespace="shop"}',)
    assert {one.spec_hash, other.spec_hash} == {web.spec_hash}
    assert one.digest != other.digest
    assert (one.selection, one.origin, one.bounds) == (None, "web.yaml", web.bounds)


def test_a_member_is_made_again_from_its_document_alone_as_a_replay_does():
    one = member_policy(template(), Member(name="checkout"))
    again = language.recompile(one.document)
    assert replace(again, origin=one.origin) == one
    assert spec_hash(one.document) == one.spec_hash
    assert template_document(one.document) == template().document
    assert member_of(one.document) == Member(name="checkout")
    assert member_of(template().document) is None


def test_nobody_but_this_program_says_for_whom_a_document_is():
    text = changed(("namespace: shop,", "namespace: shop, member: {name: x, labels: {}},"))
    with pytest.raises(InvalidPolicy, match="unknown field"):
        language.parse(text, "web.yaml")
    broken = json.loads(template().document)
    broken["metadata"]["member"] = {"name": 5}
    with pytest.raises(InvalidPolicy, match="a member has a name and labels"):
        language.recompile(json.dumps(broken))


def test_a_version_that_runs_beside_is_made_into_shadows_of_the_members():
    shadow = as_shadow(template())
    one = member_policy(shadow, Member(name="checkout"))
    assert (one.key, one.candidate_for) == (
        f"ScalingPolicy/shop/web_checkout@{shadow.spec_hash[:8]}",
        base_key(one.key),
    )
    assert (template_key(one.key), is_member(one.key)) == ("ScalingPolicy/shop/web", True)
    assert one.reach.value == "dry-run"


def test_a_candidates_member_runs_beside_the_member_of_the_same_name():
    web = template(("name: web,", "name: next,"), ("mode: enforce", "candidateFor: web"))
    one = member_policy(web, Member(name="checkout"))
    assert (one.key, one.candidate_for) == ("ScalingPolicy/shop/next_checkout", "ScalingPolicy/shop/web_checkout")


def test_only_the_labels_that_queries_name_are_a_members():
    web = template(("$(target.name)", "$(target.labels.app.kubernetes.io/name)"))
    assert labels_named(web) == ("app.kubernetes.io/name",)
    one = member_policy(web, Member(name="checkout-v2", labels={"app.kubernetes.io/name": "checkout"}))
    assert 'app="checkout"' in one.signals["demand"].query.expr
    with pytest.raises(NoMember, match=r"it has no label app\.kubernetes\.io/name, which the query names"):
        member_policy(web, Member(name="checkout"))


HOSTILE = ['x"} or vector(1) #', "a.b", "a|b", ".*", "A", "a_b", "-a", "a-", "", "a" * 64, "a\nb", "ä", '"', "\\"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_dns_label_becomes_part_of_no_query(text):
    with pytest.raises(NoMember, match="is no DNS label, and becomes part of no query"):
        member_policy(template(), Member(name=text))
    labelled = template(("$(target.name)", "$(target.labels.app)"))
    with pytest.raises(NoMember, match="is no DNS label, and becomes part of no query"):
        member_policy(labelled, Member(name="checkout", labels={"app": text}))


@given(text=st.text(max_size=80) | st.from_regex(r"[a-z0-9.\"{}()|*+\[\]\\-]{1,20}", fullmatch=True))
def test_no_text_changes_more_of_a_query_than_the_value_that_it_stands_for(text):
    """S10: label and log text never becomes a query."""
    before = promql.matchers(placeholders.filled(QUERY, "shop", Member(name="checkout")))
    try:
        filled = placeholders.filled(QUERY, "shop", Member(name=text))
    except ValueError:
        assert not is_dns_label(text)
        return
    after = promql.matchers(filled)
    assert [(one.name, one.regular) for one in after] == [(one.name, one.regular) for one in before]
    assert [one.value for one in after] == [text, "shop"]


# -- cost --------------------------------------------------------------------------------------------------------------


def test_what_is_asked_for_each_target_counts_for_as_many_as_may_match():
    shared = "  objective: {perReplica: 50}"
    busy = "    busy: {query: 'sum(up{job=\"gateway\"})'}\n"
    web = template((shared, busy + shared))
    costs = bill([web], Terms(step_s=15.0))
    per_target, once = 3, 5
    assert costs.queries_per_minute(web.key) == (per_target * 4 + once) * 4.0
    assert costs.queries_per_minute() == costs.queries_per_minute(web.key)


def test_a_query_is_measured_for_all_targets_at_once():
    assert placeholders.widened(QUERY) == 'sum(rate(requests_total{app=~".+",namespace=~".+"}[1m]))'
    assert placeholders.widened('up{pod!~"$(target.name)-.*",a="x"}') == 'up{a="x",pod!~".+-.*"}'
    assert promql.matchers(placeholders.widened('up{job="a.$(target.name)"}')) == (
        promql.Matched("job", "a\\..+", regular=True),
    )
    assert placeholders.widened("up") == "up"


def test_the_schema_and_a_shipped_file_know_selectors():
    schema = json.loads(Path("config/schema/policy.v1alpha1.json").read_text())
    assert "maxTargets" in json.dumps(schema)
