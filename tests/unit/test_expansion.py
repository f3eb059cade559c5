"""Templates expanded against the workloads that there are: who is a member, whom two want, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aiops import policy as language
from aiops.core.membership import Membership
from aiops.core.model import Mode
from aiops.core.policies import PolicySet
from aiops.core.versions import as_shadow, member_key, template_key
from aiops.policy.expansion import Expanded, Seen, expanded
from tests.unit.chosen import WEB, changed

KEY = "ScalingPolicy/shop/web"
WEB_LABELS = {"tier": "web"}
NAMED = changed(
    ("name: web,", "name: checkout,"),
    ("selector: {matchLabels: {tier: web}}, maxTargets: 4, maxGrowth: 1", "name: checkout"),
)
API = changed(("name: web,", "name: api,"))


def policies(*texts: str) -> PolicySet:
    return language.parse("---\n".join(texts), "web.yaml")


def workloads(names: str, **labels: str) -> dict[str, dict[str, str]]:
    return {name: {**WEB_LABELS, **labels} for name in names.split()}


def seen(names: str, now: float = 0.0, *keys: str) -> Seen:
    return Seen(lists={key: workloads(names) for key in keys or (KEY,)}, now=now)


def names(made: Expanded, key: str = KEY) -> list[str]:
    return list(made.memberships[key].members)


def test_each_workload_that_matches_gets_a_policy_in_the_order_of_names():
    listed = {**workloads("checkout cart"), "db": {"tier": "data"}, "a": {}}
    made = expanded(policies(WEB), {}, Seen(lists={KEY: listed}, now=0.0))
    assert [one.key for one in made.policies.scaling] == [f"{KEY}_cart", f"{KEY}_checkout"]
    assert [one.target.name for one in made.policies.scaling] == ["cart", "checkout"]
    assert [one.key for one in made.policies.templates] == [KEY]
    assert made.policies.labels[f"{KEY}_cart"] == {"team": "platform"}
    assert (made.held, made.left_out) == ({}, {})


def test_what_is_listed_in_another_order_is_the_same_set():
    forth = expanded(policies(WEB), {}, Seen(lists={KEY: workloads("a b c")}, now=0.0))
    back = expanded(policies(WEB), {}, Seen(lists={KEY: workloads("c b a")}, now=0.0))
    assert forth == back
    assert forth.policies.digest != expanded(policies(WEB), {}, seen("a b")).policies.digest


def test_too_many_hold_the_members_that_there_are_and_give_the_others_no_policy_s3():
    first = expanded(policies(WEB), {}, seen("a b c d"))
    made = expanded(policies(WEB), first.memberships, seen("a b c d e", 15.0))
    assert names(made) == ["a", "b", "c", "d"]
    assert set(made.held) == {f"{KEY}_{name}" for name in "abcd"}
    assert set(made.held.values()) == {"5 Deployments match tier=web, maxTargets is 4 (not joined: e)"}


def test_at_first_too_many_are_none():
    made = expanded(policies(WEB), {}, seen("a b c d e"))
    assert (made.policies.scaling, made.memberships[KEY].held != "") == ((), True)


def test_while_the_workloads_cannot_be_listed_the_members_stay_s9():
    first = expanded(policies(WEB), {}, seen("a b"))
    for now in (15.0, 3600.0):
        made = expanded(policies(WEB), first.memberships, Seen(lists={}, now=now))
        assert (names(made), made.policies) == (["a", "b"], first.policies)


def test_a_template_that_is_gone_leaves_no_member():
    first = expanded(policies(WEB), {}, seen("a b"))
    made = expanded(policies(NAMED), first.memberships, seen("a b", 15.0))
    assert ([one.key for one in made.policies.scaling], made.memberships) == (["ScalingPolicy/shop/checkout"], {})


def test_a_workload_with_a_policy_of_its_own_is_no_member_and_leaves_at_once_s4():
    first = expanded(policies(WEB), {}, seen("cart checkout"))
    assert names(first) == ["cart", "checkout"]
    made = expanded(policies(WEB, NAMED), first.memberships, seen("cart checkout", 15.0))
    assert [one.key for one in made.policies.scaling] == ["ScalingPolicy/shop/checkout", f"{KEY}_cart"]
    assert made.left_out == {KEY: {"checkout": "ScalingPolicy/shop/checkout scales it by its name"}}
    assert made.held == {}


def test_one_that_only_observes_takes_nothing_away():
    observing = changed(("mode: enforce", "mode: observe"), text=NAMED)
    assert names(expanded(policies(WEB, observing), {}, seen("checkout"))) == ["checkout"]


def test_a_workload_that_two_templates_select_joins_neither_s4():
    made = expanded(policies(WEB, API), {}, seen("cart", 0.0, KEY, "ScalingPolicy/shop/api"))
    assert made.policies.scaling == ()
    why = "ScalingPolicy/shop/api and ScalingPolicy/shop/web both select it: change one of the selectors"
    assert made.left_out == {KEY: {"cart": why}, "ScalingPolicy/shop/api": {"cart": why}}


def test_who_was_a_member_before_another_template_wants_it_stays_and_is_held_s4():
    first = expanded(policies(WEB), {}, seen("cart checkout"))
    listed = {KEY: workloads("cart checkout"), "ScalingPolicy/shop/api": workloads("cart")}
    made = expanded(policies(WEB, API), first.memberships, Seen(lists=listed, now=15.0))
    assert [one.key for one in made.policies.scaling] == [f"{KEY}_cart", f"{KEY}_checkout"]
    why = "ScalingPolicy/shop/api and ScalingPolicy/shop/web both select it: change one of the selectors"
    assert made.held == {f"{KEY}_cart": why}


def test_a_name_or_label_that_may_be_in_no_query_is_left_out_and_said_s10():
    listed = {**workloads("a b.c"), "d": {**WEB_LABELS, "app": "x"}}
    text = changed(("$(target.name)", "$(target.labels.app)"))
    made = expanded(policies(text), {}, Seen(lists={KEY: listed}, now=0.0))
    assert names(made) == ["d"]
    assert made.left_out[KEY] == {
        "a": "it has no label app, which the query names",
        "b.c": "its name 'b.c' is no DNS label, and becomes part of no query",
    }


def test_a_version_beside_it_has_members_of_its_own_that_never_act():
    acting = policies(WEB).templates[0]
    edited = as_shadow(policies(changed(("maxReplicas: 10", "maxReplicas: 20"))).templates[0])
    both = replace(policies(WEB), templates=(acting, edited))
    made = expanded(both, {}, seen("a", 0.0, KEY, edited.key))
    one, beside = made.policies.scaling
    assert (one.key, one.reach, one.bounds.max_replicas) == (f"{KEY}_a", Mode.ENFORCE, 10)
    assert (beside.key, beside.reach, beside.bounds.max_replicas) == (member_key(edited.key, "a"), Mode.DRY_RUN, 20)
    assert beside.candidate_for == one.key
    assert made.left_out == {}


LISTS = st.lists(st.frozensets(st.sampled_from(["a", "b", "c", "d", "e", "f", "x.y"])), min_size=1, max_size=6)


@given(lists=LISTS, step=st.sampled_from([5.0, 15.0, 40.0, 4000.0]))
def test_no_target_ever_has_two_policies_that_act_and_keys_are_stable_s4(lists, step):
    sets = policies(WEB, API, NAMED.replace("checkout", "a"))
    before: dict[str, Membership] = {}
    for number, found in enumerate(lists):
        listed = {KEY: workloads(" ".join(sorted(found))), "ScalingPolicy/shop/api": workloads("c d")}
        made = expanded(sets, before, Seen(lists=listed, now=number * step))
        before = dict(made.memberships)
        free = [one for one in made.policies.scaling if one.key not in made.held]
        targets = [one.target.key for one in free]
        assert len(targets) == len(set(targets))
        for one in made.policies.scaling:
            assert one.key == "ScalingPolicy/shop/a" or one.key == member_key(template_key(one.key), one.target.name)
