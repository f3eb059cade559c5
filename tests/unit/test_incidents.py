"""Incidents: what belongs together in time and labels, what is suspected, and when it has ended."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.detect.incidents import Around, incidents, still_open
from aiops.core.detect.suspects import KEPT, Dependencies, thing
from aiops.core.detect.together import BY_CHANCE, LATE_S, WINDOW_S, Population, least
from aiops.core.model import Finding, FindingKind, Incident, IncidentState, SeriesIndex

AT = 10_000.0
WATCH = "WatchPolicy/shop/latency"


def found(name: str, *, since: float = AT, score: float = 2.0, policy: str = WATCH, **labels: str) -> Finding:
    return Finding(
        policy=policy, series=f"{policy}#{name}", labels=labels, kind=FindingKind.POINT, at=since, since=since,
        score=score, p_value=1e-6, value=5.0, expected=1.0, lower=0.0, upper=2.0, reason="",
    )  # fmt: skip


def alone(name: str, **more: object) -> Finding:
    """A finding under a selector of its own."""
    return found(name, policy=f"WatchPolicy/shop/{name}", **more)


def look(*findings: Finding, before: tuple[Incident, ...] = (), at: float = AT, **around: object) -> list[Incident]:
    return list(incidents(findings, before, at, Around(**around)))


def members(every: list[Incident]) -> list[set[str]]:
    return [{name.split("#")[1] for name in one.series} for one in every]


# -- what belongs together -----------------------------------------------------------------------------


def test_nothing_found_is_no_incident():
    assert look() == []


def test_findings_of_one_thing_are_one_incident_however_long_apart_they_opened():
    (one,) = look(alone("p95", since=AT - 7200, service="x", zone="a"), alone("errors", service="x", zone="b"))
    assert members([one]) == [{"p95", "errors"}]
    assert dict(one.labels) == {"service": "x"}


def test_a_chain_of_things_is_one_incident():
    chain = [alone("a", service="x"), alone("b", service="x", node="n1"), alone("c", node="n1")]
    assert members(look(*chain)) == [{"a", "b", "c"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"zone": "a", "service": "x"}, {"zone": "a", "service": "y"}),
        ({"namespace": "shop", "service": "x"}, {"namespace": "shop", "service": "y"}),
        ({"topology_kubernetes_io_zone": "a"}, {"topology_kubernetes_io_zone": "a"}),
        ({"queue": "mail"}, {"queue": "mail"}),
    ],
    ids=["zone", "namespace", "topology", "any label of the user's"],
)
def test_what_many_things_share_joins_what_opened_together_and_nothing_else(one, other):
    together = look(alone("a", since=AT - WINDOW_S, **one), alone("b", **other))
    apart = look(alone("a", since=AT - WINDOW_S - 1, **one), alone("b", **other))
    assert (len(together), len(apart)) == (1, 2)


def test_a_shared_selector_joins_what_opened_together():
    assert members(look(found("a", service="x"), found("b", service="y"))) == [{"a", "b"}]
    assert len(look(found("a", service="x", since=AT - WINDOW_S - 1), found("b", service="y"))) == 2


def test_labels_that_say_how_something_was_measured_join_nothing():
    how = {"job": "web", "code": "500", "le": "0.5", "instance": "1", "__name__": "http_errors"}
    assert len(look(alone("a", **how), alone("b", **how))) == 2


def test_a_service_of_the_same_name_in_another_namespace_is_another_thing():
    one = alone("a", since=AT - 7200, service="web", namespace="dev")
    assert len(look(one, alone("b", service="web", namespace="prod"))) == 2
    # a series without the label is in the namespace of its policy
    assert len(look(replace(one, labels={"service": "web"}), alone("b", service="web", namespace="shop"))) == 1


def test_a_long_chain_in_time_is_one_incident():
    wave = [found(f"s{n}", since=AT + 200.0 * n) for n in range(20)]
    assert len(look(*wave, at=AT + 4000)) == 1


def test_what_chance_opens_among_many_series_is_not_joined_and_a_storm_among_them_is():
    many = Population({("", WATCH, ""): 10.0 / WINDOW_S})
    chance = [found(f"s{n}", since=AT + 30.0 * n) for n in range(10)]
    storm = [found(f"s{n}", since=AT + n) for n in range(60)]
    assert len(look(*chance, population=many)) == 10
    assert len(look(*storm, population=many)) == 1
    assert len(look(*chance)) == 1, "among few series ten at once are no chance"


def test_the_population_counts_what_everything_watched_may_open_by_chance():
    index = SeriesIndex(
        keys=(f"{WATCH}#1", f"{WATCH}#2", "WatchPolicy/shop/o#3"),
        labels=({"zone": "a", "service": "x"}, {"zone": "b"}, {"zone": "a"}),
    )
    per_s = Population.of(index, {WATCH: 604_800.0, "WatchPolicy/shop/o": 0.5 * 604_800.0}).per_s
    assert per_s[("zone", "a", "")] == pytest.approx(1.5)
    assert per_s[("", WATCH, "")] == pytest.approx(2.0)
    assert not any(label == "service" for label, _, _ in per_s)


@pytest.mark.parametrize("expected", [0.01, 0.5, 3.0, 10.0, 80.0])
def test_so_many_are_less_likely_by_chance_than_once_in_a_thousand(expected):
    wanted = least(expected)
    below = sum(math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(wanted))
    assert 1.0 - below <= BY_CHANCE
    assert wanted <= max(2.0, expected + 5.0 * math.sqrt(expected) + 5.0), "and not many more are asked for"


@given(expected=st.floats(0, 1e5), more=st.floats(0, 1e3))
def test_more_is_needed_where_chance_opens_more(expected, more):
    assert 2 <= least(expected) <= least(expected + more)
    assert least(expected) > expected


# -- through time ----------------------------------------------------------------------------------------


def test_an_incident_keeps_its_id_its_beginning_and_its_peak():
    (first,) = look(found("a", score=9.0))
    (later,) = look(found("a", score=1.5), before=(first,), at=AT + 60)
    assert (later.id, later.since, later.peak_score, later.peak_at) == (first.id, AT, 9.0, AT)
    (worse,) = look(found("a", score=11.0), before=(later,), at=AT + 90)
    assert (worse.peak_score, worse.peak_at) == (11.0, AT + 90)


def test_it_is_open_while_anything_of_it_is_and_ends_when_the_last_finding_was_open():
    around = {"quiet_s": 120.0}
    (one,) = look(found("a"), at=AT, **around)
    (quiet,) = look(before=(one,), at=AT + 119, **around)
    assert (quiet.state, quiet.standing) == (IncidentState.OPEN, 0)
    (ended,) = look(before=(quiet,), at=AT + 120, **around)
    assert (ended.state, ended.seen_at) == (IncidentState.ENDED, AT)
    assert still_open([ended]) == ()


def test_what_comes_back_while_it_is_quiet_belongs_to_it():
    (one,) = look(found("a", service="x"))
    (quiet,) = look(before=(one,), at=AT + 60)
    (again,) = look(found("a", service="x", since=AT + 90), before=(quiet,), at=AT + 90)
    assert (again.id, again.since, again.standing) == (one.id, AT, 1)
    # another side of the same thing, too
    (other,) = look(alone("errors", service="x", since=AT + 90), before=(quiet,), at=AT + 90)
    assert (other.id, len(other.series)) == (one.id, 2)


def test_what_was_one_incident_stays_one_when_its_bridge_has_closed():
    bridge = alone("c", service="x", node="n1")
    ends = [alone("a", service="x"), alone("b", node="n1")]
    before = tuple(look(*ends, bridge))
    (after,) = look(*ends, before=before, at=AT + 60)
    assert (after.id, after.standing, len(after.series)) == (before[0].id, 2, 3)


def test_incidents_that_turn_out_to_be_one_go_on_as_the_older_and_the_other_says_where_it_went():
    one, other = alone("a", since=AT - 60, service="x"), alone("b", since=AT - 30, node="n1")
    before = tuple(look(one, other))
    assert len(before) == 2
    bridge = alone("c", service="x", node="n1")
    made, merged = look(one, other, bridge, before=before)
    assert (made.id, made.state, len(made.series)) == (before[0].id, IncidentState.OPEN, 3)
    assert (merged.id, merged.state, merged.merged_into) == (before[1].id, IncidentState.MERGED, made.id)
    assert [one.id for one in look(one, other, bridge, before=(made,), at=AT + 15)] == [made.id]


def test_a_latecomer_joins_the_incident_of_its_zone_where_chance_hardly_brought_it():
    zone = [alone(f"s{n}", service=f"s{n}", zone="a") for n in range(3)]
    before = tuple(look(*zone))
    late = alone("late", service="late", zone="a", since=AT + 1800)
    rare, often = ({("zone", "a", ""): rate} for rate in (0.01 / 1800, 1.0 / 1800))
    assert len(look(*zone, late, before=before, at=AT + 1800, population=Population(rare))) == 1
    assert len(look(*zone, late, before=before, at=AT + 1800, population=Population(often))) == 2
    later = replace(late, since=AT + LATE_S + 1)
    assert len(look(*zone, later, before=before, at=AT + LATE_S + 1, population=Population(rare))) == 2


def test_an_incident_of_one_series_draws_no_latecomers():
    alone_there = alone("s", service="s", zone="a")
    before = tuple(look(alone_there))
    late = alone("late", service="late", zone="a", since=AT + 1800)
    assert len(look(alone_there, late, before=before, at=AT + 1800)) == 2


# -- suspects -----------------------------------------------------------------------------------------------


def suspected(*findings: Finding, **calls: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    (one,) = look(*findings, dependencies=Dependencies(calls))
    return [(suspect.name, suspect.why) for suspect in one.suspects]


def test_suspects_are_ranked_by_what_began_first_deviates_most_and_lies_upstream():
    first = found("a", since=AT - 30, service="cart")
    worst = found("b", since=AT - 20, score=9.0, service="db")
    last = found("c", since=AT - 10, score=3.0, service="web")
    assert suspected(last, worst, first) == [
        ("shop/db", ("deviates most",)),
        ("shop/cart", ("began first",)),
        ("shop/web", ()),
    ]
    # the map turns it round: both others call the cart, one of them through the other
    assert suspected(last, worst, first, web=["db"], db=["cart"])[0] == (
        "shop/cart",
        ("began first", "2 of 2 others depend on it"),
    )


def test_the_map_may_write_namespaces_or_not_and_circles_do_no_harm():
    findings = [found("a", service="web"), found("b", service="db", score=1.5)]
    below = "1 of 1 others depend on it"
    for calls in ({"web": ["db"]}, {"shop/web": ["shop/db"]}, {"shop/web": ["db"]}, {"web": ["mid"], "mid": ["db"]}):
        assert dict(suspected(*findings, **calls))["shop/db"] == (below,)
    assert dict(suspected(*findings, web=["db"], db=["web"])) == {
        "shop/web": ("deviates most", below),
        "shop/db": (below,),
    }
    assert dict(suspected(*findings, other=["db"]))["shop/db"] == ()


def test_a_suspect_is_the_thing_and_its_series_that_deviates_most_is_named():
    (one,) = look(found("p1", service="x", pod="x-1"), found("p2", service="x", pod="x-2", score=7.0))
    (only,) = one.suspects
    assert (only.name, only.series, only.score, only.why) == ("shop/x", f"{WATCH}#p2", 7.0, ())
    assert thing(WATCH, {"queue": "mail"}) == "{queue=mail}"


def test_a_suspect_began_when_the_first_of_its_findings_did():
    before = tuple(look(found("a", since=AT - 60, service="db")))
    (later,) = look(found("b", since=AT, score=9.0, service="db"), before=before, at=AT)
    (only,) = later.suspects
    assert (only.since, only.score, only.series) == (AT - 60, 9.0, f"{WATCH}#b")


def test_a_suspect_whose_finding_has_closed_is_still_suspected():
    first = found("a", since=AT - 60, score=9.0, service="db")
    before = tuple(look(first, found("b", service="web")))
    (later,) = look(found("b", service="web"), before=before, at=AT + 60)
    assert later.suspects[0].name == "shop/db"


# -- storms, and what always holds ------------------------------------------------------------------------------


def test_a_storm_of_five_thousand_series_is_a_few_incidents_with_few_suspects():
    storm = [
        found(f"{n}", since=AT + n % 40, score=1.5 + n % 17, service=f"s{n % 500}", zone="abc"[n % 3], pod=f"p{n}")
        for n in range(5000)
    ]
    own = alone("elsewhere", since=AT - 7200, service="far", namespace="other")
    every = look(own, *storm, at=AT + 60)
    assert [one.standing for one in every] == [1, 5000]
    assert len(every[1].suspects) == KEPT


LABELS = st.dictionaries(
    st.sampled_from(["service", "node", "zone", "namespace", "code", "queue"]), st.sampled_from("abc"), max_size=3
)
FINDINGS = st.lists(
    st.builds(
        lambda number, since, score, labels: found(f"{number}", since=AT - since, score=score, **labels),
        st.integers(0, 40), st.sampled_from([0.0, 100.0, 400.0, 5000.0]), st.floats(1, 50), LABELS,
    ),
    max_size=12,
    unique_by=lambda one: one.series,
)  # fmt: skip


@given(first=FINDINGS, second=FINDINGS, quiet=st.booleans())
def test_every_open_finding_is_in_exactly_one_open_incident_whatever_happens(first, second, quiet):
    before = still_open(look(*first))
    at = AT + (500.0 if quiet else 15.0)
    told = look(*second, before=before, at=at)
    opened = still_open(told)
    where = [[one for one in opened if finding.series in one.series] for finding in second]
    assert all(len(homes) == 1 for homes in where)
    assert sum(one.standing for one in opened) == len(second)
    # of what was open before, everything is told once more: as it goes on, as it ends, or where it went
    assert {one.id for one in before} <= {one.id for one in told}
    assert len({one.id for one in told}) == len(told)
    for one in told:
        assert one.state is not IncidentState.MERGED or one.merged_into in {o.id for o in opened}
        assert one.since <= one.peak_at <= at
        assert all(suspect.series in one.series for suspect in one.suspects)


@given(findings=FINDINGS, data=st.data())
def test_the_order_of_the_findings_does_not_matter(findings, data):
    assert look(*data.draw(st.permutations(findings))) == look(*findings)
