"""What a FailoverPolicy is compiled to, and what is refused with its place."""

from __future__ import annotations

import pytest

from aiops.core.model import Mode, TargetRef, TrafficLever
from aiops.core.planning.failover import Steps, VantagePoint
from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests.unit.failing import SHIPPED, a_group

TEXT = SHIPPED.read_text(encoding="utf-8")


def line_of(part: str) -> int:
    return next(number for number, line in enumerate(TEXT.split("\n"), 1) if part in line)


def test_each_vantage_point_is_asked_about_each_site_at_its_own_source():
    policy = a_group()
    assert policy.signals["served"].query.source == "edge"
    assert sorted(set(policy.signals) - {"served"}) == sorted(
        f"{what}/{site}@{point}"
        for what in ("users", "volume")
        for site in ("west", "north")
        for point in ("edge", "west", "north")
    )
    query = policy.signals["users/north@west"].query
    assert query.source == "west"
    assert query.expr == (
        'sum(rate(probe_failures_total{site="north"}[30s])) / sum(rate(probe_requests_total{site="north"}[30s]))'
    )
    assert query.age_exprs == (
        'max(timestamp(probe_failures_total{site="north"}))',
        'max(timestamp(probe_requests_total{site="north"}))',
    )
    assert policy.signals["users/north@west"].max_age_s == 30.0


def test_the_rest_of_the_policy():
    policy = a_group()
    assert policy.target == TargetRef(
        cluster="edge",
        namespace="edge",
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        name="storefront",
    )
    assert policy.wanted.objects == (policy.target,)
    assert [one.key for one in policy.workloads] == [
        "west/shop/apps/v1/Deployment/storefront",
        "north/shop/apps/v1/Deployment/storefront",
    ]
    assert (policy.watching.window_s, policy.watching.scrape_s) == (25.0, 5.0)
    assert policy.watching.vantage_points[1] == VantagePoint(name="west", source="west", site="west")
    assert policy.shift == Steps(percents=(50, 100), pause_s=10.0)
    assert policy.traffic.lever is TrafficLever.HTTP_ROUTE
    assert (policy.rpo_s, policy.allowed_regions) == (None, ("eu-north", "eu-west"))


@pytest.mark.parametrize(
    ("window", "found"),
    [("maxAge: 30s", 25.0), ("{maxAge: 30s, scrape: 1s}", 29.0), ("{maxAge: 30s, window: 12s}", 12.0)],
)
def test_the_window_is_the_longest_range_less_a_scrape_unless_it_is_written(window, found):
    assert (
        a_group(
            ("      maxAge: 30s", f"      {window.strip('{}').replace(', ', chr(10) + '      ')}")
        ).watching.window_s
        == found
    )


@pytest.mark.parametrize(
    ("mode", "witness", "reach"),
    [("enforce", "edge", Mode.ENFORCE), ("enforce", '""', Mode.APPROVE), ("dry-run", '""', Mode.DRY_RUN)],
)
def test_without_a_witness_it_reaches_approve_at_most(mode, witness, reach):
    policy = a_group(("mode: approve", f"mode: {mode}"), ("witness: edge", f"witness: {witness}"))
    assert policy.reach is reach


LAG = "replicationLag: {query: 'max(lag_seconds{site=\"$(site.name)\"})'}"

WRONG = [
    (
        "region: eu-north",
        "region: 'eu\"} or vector(0) #'",
        "spec.sites[1].region: ",
        "region: eu-north",
    ),
    ("primary: west", "primary: wset", "spec.primary: there is no site 'wset' (did you mean 'west'?)", "primary: west"),
    (
        "witness: edge",
        "witness: north",
        "spec.witness: north is a site: a witness lies outside of all of them, or it fails with one",
        "witness: edge",
    ),
    (
        "    - name: north\n      cluster: north",
        "    - name: north\n      cluster: west",
        "spec.sites[1].cluster: there is another site with this cluster: west",
        "cluster: north",
    ),
    (
        "backend: storefront-north",
        "backend: storefront-west",
        "spec.sites[1].backend: there is another site with this backend: storefront-west",
        "backend: storefront-north",
    ),
    (
        "cluster: edge, namespace: edge",
        "cluster: west, namespace: edge",
        "spec.traffic.cluster: cluster west is that of site west: the lever would fail with it (S8)",
        "  traffic:",
    ),
    (
        "quorum: 2",
        "quorum: 3",
        "spec.health.quorum: only 2 vantage points lie outside of west: 3 can never agree on it",
        "quorum: 2",
    ),
    (
        "{name: edge, source: edge}",
        "{name: edge, source: edge, site: wst}",
        "spec.health.vantagePoints[0].site: there is no site 'wst' (did you mean 'west'?)",
        "{name: edge",
    ),
    (
        "{name: north, source: north, site: north}",
        "{name: edge, source: north, site: north}",
        "spec.health.vantagePoints[2].name: there is another vantage point with this name: edge",
        "{name: north, source",
    ),
    (
        "allowedRegions: [eu-west, eu-north]",
        "rpo: 30s",
        "spec.preconditions.rpo: an rpo says nothing without replicationLag",
        "allowedRegions",
    ),
    (
        "allowedRegions: [eu-west, eu-north]",
        LAG,
        "spec.preconditions.replicationLag: replicationLag is compared with nothing",
        "allowedRegions",
    ),
    (
        "allowedRegions: [eu-west, eu-north]",
        "allowedRegions: [eu-west]",
        "spec.preconditions.allowedRegions: no site but the primary lies in an allowed region: there is nowhere to go",
        "allowedRegions",
    ),
    (
        "      region: eu-north\n",
        "",
        "spec.sites[1]: with allowedRegions each site says in which region it lies",
        "- name: north",
    ),
    (
        "steps: [50, 100]",
        "steps: [50, 90]",
        "spec.shift.steps: 50, 90: steps rise, each above the one before",
        "shift:",
    ),
    ("steps: [50, 100]", "steps: [60, 50, 100]", "spec.shift.steps: 60, 50, 100: steps rise", "shift:"),
    (
        "steps: [50, 100]",
        "steps: [0, 100]",
        "spec.shift.steps[0]: Input should be greater than or equal to 1",
        "shift:",
    ),
    (
        "lever: http-route, cluster: edge, namespace: edge, name: storefront, rule: 0",
        "lever: service-selector, cluster: edge, name: storefront",
        "spec.shift.steps: a Service's selector sends everything to one backend ([100], or another lever)",
        "shift:",
    ),
    (
        "volume: 'sum(rate(probe_requests_total{site=\"$(site.name)\"}[30s]))'",
        "volume: 'sum(rate(probe_requests_total[30s]))'",
        "spec.health.users.volume: the query names no site: every site would get one answer",
        "volume:",
    ),
    (
        '$(site.name)"}[30s])) / ',
        '$(site.nam)"}[30s])) / ',
        "$(site.nam) is no placeholder; there are $(site.name)",
        "query:",
    ),
    ("query: 'sum(rate(", "query: 'sum(rat(", "spec.health.users.query: PromQL: ", "query:"),
    ("mode: approve", "stateful: true\n  mode: approve", "what keeps data goes home when a person says so (S8)", ""),
    ("after: 300s", "after: 60s", "spec.failback.after: Input should be greater than or equal to 300", "failback:"),
    (
        "    - name: west\n",
        "    - name: 'a\"} or vector(0) #'\n",
        "spec.sites[0].name: String should match pattern",
        "name: west",
    ),
]


@pytest.mark.parametrize(("old", "new", "said", "where"), WRONG, ids=[one[2][:60] for one in WRONG])
def test_a_mistake_is_refused_at_its_place(old, new, said, where):
    assert old in TEXT
    with pytest.raises(InvalidPolicy) as caught:
        parse(TEXT.replace(old, new, 1), "f.yaml")
    found = [str(one) for one in caught.value.problems if said in str(one)]
    assert found, [str(one) for one in caught.value.problems]
    if where:
        assert found[0].startswith(f"f.yaml:{line_of(where)}:")


def test_one_site_is_no_group():
    start, end = TEXT.index("    - name: north\n"), TEXT.index("  traffic:")
    with pytest.raises(InvalidPolicy, match=r"spec\.sites: needs at least 2 items, and has 1"):
        parse(TEXT[:start] + TEXT[end:], "f.yaml")


def test_a_policy_in_the_api_reaches_only_its_own_namespace():
    with pytest.raises(InvalidPolicy, match=r"spec\.traffic\.namespace: a policy in the API reaches only its own"):
        parse(TEXT, "crd:shop/storefront")
    assert parse(TEXT.replace("namespace: edge, ", ""), "crd:shop/storefront").plans[0].target.namespace == "shop"


def test_two_groups_never_steer_by_one_rule():
    other = TEXT.replace("metadata: {name: storefront,", "metadata: {name: other,")
    with pytest.raises(InvalidPolicy, match="HTTPRoute edge/storefront is already steered by FailoverPolicy/shop/"):
        parse(f"{TEXT}---\n{other}", "f.yaml")
    for change in (("mode: approve", "mode: observe"), ("rule: 0", "rule: 1")):
        assert len(parse(f"{TEXT}---\n{other.replace(*change)}", "f.yaml").plans) == 2


def test_a_site_that_is_wrong_counts_as_a_site():
    wrong = TEXT.replace("standby: {replicas: 4}", "standby: {replicas: 0}")
    assert wrong != TEXT
    with pytest.raises(InvalidPolicy) as caught:
        parse(wrong, "group.yaml")
    assert "standby.replicas: " in str(caught.value)
    assert "spec.sites: " not in str(caught.value)
