"""Incidents out of findings, and the sentences that findings say."""

from __future__ import annotations

import math

import pytest

from aiops.core.detect.incidents import incidents
from aiops.core.detect.wording import named, sentence, span
from aiops.core.model import Finding, FindingKind


def a_finding(series: str, *, since: float = 100.0, score: float = 2.0, **labels: str) -> Finding:
    return Finding(
        policy="WatchPolicy/shop/w",
        series=series,
        labels=labels,
        kind=FindingKind.POINT,
        at=since + 60.0,
        since=since,
        score=score,
        p_value=1e-6,
        value=5.0,
        expected=1.0,
        lower=0.0,
        upper=2.0,
        reason="",
    )


def test_nothing_found_is_no_incident() -> None:
    assert incidents([]) == ()


def test_a_chain_of_shared_labels_is_one_incident() -> None:
    chain = [a_finding("a", service="x"), a_finding("b", service="x", node="n1"), a_finding("c", node="n1")]
    (one,) = incidents(chain)
    assert one.series == ("a", "b", "c")
    assert dict(one.labels) == {}


def test_labels_that_everything_shares_join_nothing() -> None:
    apart = [a_finding("a", job="web", namespace="shop"), a_finding("b", job="web", namespace="shop")]
    assert len(incidents(apart)) == 2


def test_kind_and_peak_are_those_of_the_worst_and_the_beginning_that_of_the_oldest() -> None:
    old, worst = a_finding("a", since=10.0, service="x"), a_finding("b", since=20.0, score=9.0, service="x")
    (one,) = incidents([worst, old])
    assert (one.kind, one.peak_score, one.since) == ("point", 9.0, 10.0)


def test_the_peak_of_an_incident_is_remembered() -> None:
    first = incidents([a_finding("a", score=9.0)])
    (later,) = incidents([a_finding("a", score=1.5)], first)
    assert (later.id, later.peak_score) == (first[0].id, 9.0)


def test_incidents_that_grow_together_go_on_as_the_older_one() -> None:
    one, other = a_finding("a", since=10.0, service="x"), a_finding("b", since=20.0, node="n1")
    before = incidents([one, other])
    (joined,) = incidents([one, other, a_finding("c", since=30.0, service="x", node="n1")], before)
    assert joined.id == before[0].id


def test_an_incident_that_falls_apart_goes_on_once() -> None:
    bridge = a_finding("c", since=30.0, service="x", node="n1")
    one, other = a_finding("a", since=10.0, service="x"), a_finding("b", since=20.0, node="n1")
    before = incidents([one, other, bridge])
    after = incidents([one, other], before)
    assert len({incident.id for incident in after}) == 2
    assert after[0].id == before[0].id


def test_the_same_findings_make_the_same_ids_in_any_order() -> None:
    found = [a_finding("b", service="x"), a_finding("a", service="y")]
    assert incidents(found) == incidents(found[::-1])


@pytest.mark.parametrize(
    ("kind", "value", "band", "said"),
    [
        (FindingKind.POINT, 9.0, (1.0, 2.0, 3.0), "load 9 is above the usual 1 to 3 (expected 2)"),
        (FindingKind.POINT, 0.1, (1.0, 2.0, 3.0), "load 0.1 is below the usual 1 to 3 (expected 2)"),
        (FindingKind.POINT, 2.5, (1.0, 2.0, 3.0), "load 2.5 is back within the usual 1 to 3 (expected 2)"),
        (FindingKind.POINT, 9.0, (-math.inf, 2.0, 3.0), "load 9 is above the usual at most 3 (expected 2)"),
        (FindingKind.POINT, 0.1, (1.0, 2.0, math.inf), "load 0.1 is below the usual at least 1 (expected 2)"),
        (FindingKind.LEVEL_SHIFT, 9.0, (1.0, 2.0, 3.0), "load 9 is above the usual 1 to 3 for 20 min (expected 2)"),
        (FindingKind.ABSENCE, math.nan, (1.0, 2.0, 3.0), "load is gone, 2 was expected"),
        (FindingKind.FLATLINE, 2.0, (1.0, 2.0, 3.0), "load does not move from 2 any more, 2 was expected"),
    ],
)
def test_a_finding_is_one_sentence(
    kind: FindingKind, value: float, band: tuple[float, float, float], said: str
) -> None:
    assert sentence("load", kind, value, band, 1200.0) == said


def test_names_and_spans_read_as_people_write_them() -> None:
    assert named({"__name__": "up", "job": "web", "a": "b"}) == "up{a=b,job=web}"
    assert named({"__name__": "up"}) == "up"
    assert named({}) == "the series"
    assert [span(30.0), span(900.0), span(7200.0)] == ["30 s", "15 min", "2.0 h"]
