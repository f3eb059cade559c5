"""Sites that are zones of one cluster: what a policy of them says, and what their common API says of one (S8)."""

from __future__ import annotations

import pytest

from aiops.core.model import Mode, PlanKind, Reason, ScaleTo, VerdictWord
from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests.unit.failing import SHIPPED, Driven, a_group

OUTSIDE = ("edge", "north")
WITHIN = ("cluster: edge, namespace: edge", "cluster: shop, namespace: edge")
"""The route lies in the cluster of the zones."""

ZONES = (
    ("mode: approve", "mode: enforce"),
    *((f"      cluster: {site}\n", f"      cluster: shop\n      zone: eu-1{site[0]}\n") for site in ("west", "north")),
    *(
        (
            f"backend: storefront-{site}\n      target: {{kind: Deployment, name: storefront}}",
            f"backend: storefront-{site}\n      target: {{kind: Deployment, name: storefront-{site}}}",
        )
        for site in ("west", "north")
    ),
)
"""West and north are two zones of the cluster `shop`; the witness is at the edge."""


def test_two_zones_of_one_cluster_are_two_sites_with_a_workload_each_and_the_route_may_lie_beside_them_s8():
    policy = a_group(*ZONES, WITHIN, ('site="$(site.name)"', 'zone="$(site.zone)"'))
    assert [(one.cluster, one.zone) for one in policy.sites] == [("shop", "eu-1w"), ("shop", "eu-1n")]
    assert [one.key for one in policy.workloads] == [
        "shop/shop/apps/v1/Deployment/storefront-west",
        "shop/shop/apps/v1/Deployment/storefront-north",
    ]
    assert policy.target.cluster == "shop"
    assert policy.signals["volume/north@edge"].query.expr == 'sum(rate(probe_requests_total{zone="eu-1n"}[30s]))'


@pytest.mark.parametrize(("witness", "reach"), [("edge", Mode.ENFORCE), ('""', Mode.APPROVE)])
def test_two_zones_and_no_third_place_ask_a_person_s8(witness, reach):
    policy = a_group(*ZONES, WITHIN, ("witness: edge", f"witness: {witness}"))
    assert policy.reach is reach
    group = Driven(policy=policy).settled()
    group.fail("west", 1.0, OUTSIDE)
    plan = group.run(60.0).plan
    assert plan.asks == ("" if reach is Mode.ENFORCE else "there is no third place as witness")


WRONG = [
    (
        "      zone: eu-1n\n",
        "",
        "spec.sites[1].cluster: there is another site with this cluster: shop (the zone of each",
    ),
    ("zone: eu-1n", "zone: eu-1w", "spec.sites[1].zone: there is another site with this zone of shop: eu-1w"),
    ("zone: eu-1n", "zone: 'a\"} or vector(0) #'", "spec.sites[1].zone: "),
    (
        "name: storefront-north}",
        "name: storefront-west}",
        "spec.sites[1].target.name: Deployment storefront-west is that of site west of shop, too",
    ),
    (
        "cluster: shop\n      zone: eu-1n",
        "cluster: north",
        "spec.traffic.cluster: cluster shop is that of site west: the lever would fail with it (S8) "
        "(an object in a third cluster; in a site's only where all sites are zones of it)",
    ),
    (
        "witness: edge",
        "witness: shop",
        "spec.witness: shop is the cluster of west, north: it is no third place (S8) "
        "(a third cluster, or none: then a person is asked)",
    ),
    (
        'volume: \'sum(rate(probe_requests_total{site="$(site.name)"}[30s]))',
        'volume: \'sum(rate(probe_requests_total{cluster="$(site.cluster)"}[30s]))',
        "spec.health.users.volume: the query tells site north from west by nothing: both would get one answer",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG, ids=[one[2][:60] for one in WRONG])
def test_what_makes_no_two_sites_of_two_zones_is_refused_at_its_place_s8(old, new, said):
    with pytest.raises(InvalidPolicy) as caught:
        a_group(*ZONES, WITHIN, (old, new))
    assert said in str(caught.value)


def test_a_placeholder_for_what_a_site_does_not_say_is_refused():
    text = SHIPPED.read_text(encoding="utf-8").replace('site="$(site.name)"', 'zone="$(site.zone)"')
    with pytest.raises(InvalidPolicy, match=r"\$\(site.zone\) would be empty for site west, which says no zone"):
        parse(text, "f.yaml")


def test_the_api_of_both_zones_being_silent_is_a_hold_while_users_are_served_and_a_question_when_they_fail_s8():
    group = Driven(policy=a_group(*ZONES, WITHIN)).settled()
    # the route is not seen, either: it lies in the same cluster
    group.cluster_errors, group.weights = {"shop": "timed out"}, {}
    found = group.run(120.0)
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.WAIT, Reason.API_DOWN)
    assert "the API of west, north does not answer (shop: timed out)" in found.judgement.detail
    group.fail("west", 1.0, OUTSIDE)
    found = group.run(120.0)
    assert (found.plan, found.judgement.word) == (None, VerdictWord.ASK)
    assert "where traffic goes is not known" in found.judgement.detail


def test_a_route_elsewhere_sends_users_to_the_other_zone_once_a_person_answers_for_what_the_api_does_not_say_s8():
    group = Driven(policy=a_group(*ZONES)).settled()
    group.cluster_errors = {"shop": "timed out"}
    assert group.tick().judgement.reason is Reason.API_DOWN
    group.fail("west", 1.0, OUTSIDE)
    found = group.run(60.0)
    assert found.judgement.word is VerdictWord.ASK
    assert found.plan.asks == "how many replicas are ready in north is not known (timed out)"


def test_a_workload_of_one_zone_that_is_not_seen_says_nothing_of_the_other():
    group = Driven(policy=a_group(*ZONES)).settled()
    west = group.policy.sites[0].target.key
    group.target_errors = {west: (Reason.CLUSTER_UNAVAILABLE, "last heard of 61 s ago")}
    group.fail("west", 1.0, OUTSIDE)
    assert group.run(60.0).plan.asks == ""


def test_the_standby_is_made_ready_in_its_own_zone():
    group = Driven(policy=a_group(*ZONES, WITHIN), ready={"west": 4, "north": 1}).settled()
    group.fail("west", 1.0, OUTSIDE)
    plan = group.run(60.0).plan
    assert plan.kind is PlanKind.PREPARE
    assert isinstance(plan.steps[0].operation, ScaleTo)
    assert plan.steps[0].operation.target == group.policy.sites[1].target
