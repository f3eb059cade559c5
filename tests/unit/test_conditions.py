"""Conditions in CEL: what they may name is known at load, the fields of findings and incidents included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import Alert, AlertStatus, Finding, FindingKind, Incident, IncidentState, Suspect
from aiops.core.observe.environment import of_alerts, of_percepts
from aiops.policy.cel import MEMBERS, VARIABLES, InvalidCondition, condition

FINDING = Finding(
    policy="WatchPolicy/shop/errors", series="s", labels={"zone": "a"}, kind=FindingKind.POINT, at=0.0, since=0.0,
    score=3.0, p_value=0.001, value=9.0, expected=1.0, lower=0.0, upper=2.0, reason="",
)  # fmt: skip
INCIDENT = Incident(id="I", kind="point", since=0.0, labels={"zone": "a"}, series=("s",), peak_score=3.0)
ALERT = Alert(
    fingerprint="f", name="HighLatency", labels={"alertname": "HighLatency", "service": "checkout"},
    status=AlertStatus.FIRING, starts_at=60.0, ends_at=90.0, seen_at=80.0,
)  # fmt: skip


def test_the_fields_that_are_known_are_those_that_the_loop_gives():
    env = {**of_percepts([FINDING], [INCIDENT]), **of_alerts([ALERT])}
    assert {name: set(entries[0]) for name, entries in env.items()} == {
        name: set(some) for name, some in MEMBERS.items()
    }


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('incidents.exists(i, i.knd == "upstream")', "knd"),
        ("findings.filter(f,\n  f.sore > 1).size() > 0", "sore"),
        ("replicas.current > 1 && findings.all(one, one.score > 1 || one.value > 2)", "value"),
        ("findings.size() > 0 && findings[0].sore > 1.0", "sore"),
    ],
)
def test_a_field_that_entries_do_not_have_is_refused_at_its_place(text, word):
    with pytest.raises(InvalidCondition, match="and no") as caught:
        condition(text, ["demand"])
    assert caught.value.offset == text.index(word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("signals.demnd > 5", "demnd"),
        ("signals.demand > 5 && replicas.current > 10 && replicas.redy < 3", "replicas.redy"),
        ("signals.demand > 5 &&\n  replicas.current > 10 && replicas.redy < 3", "replicas.redy"),
        ("1 < 2 && time.hour > 'x'", "> 'x'"),
    ],
)
def test_a_mistake_is_at_its_place_in_the_text_as_it_was_written(text, word):
    with pytest.raises(InvalidCondition) as caught:
        condition(text, ["demand"])
    at = text.index(word)
    assert at - len("signals.") <= caught.value.offset <= at + len("replicas."), text[caught.value.offset :]


@pytest.mark.parametrize(
    "text",
    [
        'incidents.exists(i, i.kind == "i.knd" && i.score > 2)',
        'findings.exists(f, f.labels.zone == "a" && f.policy.startsWith("WatchPolicy/shop/"))',
        "findings.size() > 2 || signals.demand > 3",
    ],
)
def test_fields_that_entries_have_are_taken(text):
    env = {**of_percepts([FINDING], [INCIDENT]), "signals.demand": 5.0}
    assert condition(text, ["demand"]).holds(env) in (True, False)


def test_every_variable_says_what_it_means():
    assert all(one.meaning and one.unit for one in VARIABLES)


def test_conditions_read_the_alerts_that_fire():
    env = of_alerts([ALERT])
    asked = 'alerts.exists(a, a.name == "HighLatency" && a.labels.service == "checkout" && a.since < 61.0)'
    assert condition(asked, ()).holds(env)
    assert not condition(asked, ()).holds(of_alerts([]))
    with pytest.raises(InvalidCondition, match="alerts have name, labels, since, and no severity"):
        condition("alerts.exists(a, a.severity == 'page')", ())


def test_conditions_read_what_an_incident_is_suspected_to_come_from_while_it_is_open():
    suspect = Suspect(name="shop/db", series="s", kind="point", since=60.0, score=3.0)
    open_one = replace(INCIDENT, since=60.0, suspects=(suspect,))
    asked = condition('incidents.exists(i, "shop/db" in i.suspects && i.start < 61 && i.kind == "point")', ())
    assert asked.holds(of_percepts([], [open_one]))
    assert not asked.holds(of_percepts([], [replace(open_one, suspects=())]))
    assert not asked.holds(of_percepts([], [replace(open_one, state=IncidentState.ENDED)]))
