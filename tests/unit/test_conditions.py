"""Conditions in CEL: what they may name is known at load, the fields of findings and incidents included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import (
    Alert,
    AlertStatus,
    Allowance,
    BudgetPeriod,
    BudgetStanding,
    Finding,
    FindingKind,
    Incident,
    IncidentState,
    Machine,
    Suspect,
)
from aiops.core.objects.pools import pooled
from aiops.core.observe.environment import of_alerts, of_budgets, of_nodes, of_percepts
from aiops.core.protocols import ConditionError
from aiops.policy.cel import InvalidCondition, condition
from aiops.policy.variables import MEMBERS, VARIABLES, Sort

FINDING = Finding(
    policy="WatchPolicy/shop/errors", series="s", labels={"zone": "a"}, kind=FindingKind.POINT, at=0.0, since=0.0,
    score=3.0, p_value=0.001, value=9.0, expected=1.0, lower=0.0, upper=2.0, reason="",
)  # fmt: skip
INCIDENT = Incident(id="I", kind="point", since=0.0, labels={"zone": "a"}, series=("s",), peak_score=3.0)
ALERT = Alert(
    fingerprint="f", name="HighLatency", labels={"alertname": "HighLatency", "service": "checkout"},
    status=AlertStatus.FIRING, starts_at=60.0, ends_at=90.0, seen_at=80.0,
)  # fmt: skip
NODES = tuple(
    Machine(
        cluster="eu", node=name, pool=pool, zone="eu-1a", instance_type="m6i.xlarge", spot=pool == "spot", ready=ready,
        schedulable=name != "c", allocatable_cores=3.5, allocatable_gib=14.0,
    )
    for name, pool, ready in (("a", "spot", True), ("b", "spot", False), ("c", "web", True), ("d", "web", True))
)  # fmt: skip
PRICES = {"eu/a": 0.05, "eu/b": 0.05, "eu/c": 0.2, "eu/d": 0.2}
POOLS = pooled(NODES, PRICES)
SUSPECT = Suspect(name="shop/db", series="s", kind="point", since=60.0, score=3.0)


def test_the_fields_that_are_known_are_those_that_the_loop_gives():
    env = {**of_percepts([FINDING], [INCIDENT]), **of_alerts([ALERT]), **of_nodes(POOLS, "eu")}
    lists = {name: entries for name, entries in env.items() if isinstance(entries, list)}
    assert {name: set(entries[0]) for name, entries in lists.items()} == {
        name: set(some) for name, some in MEMBERS.items()
    }
    assert {name for name in env if name.startswith("nodes.")} == {
        one.name for one in VARIABLES if one.name.startswith("nodes.")
    }


@pytest.mark.parametrize("listed", sorted(MEMBERS))
def test_each_field_is_of_the_type_that_the_loop_gives(listed):
    env = {**of_percepts([FINDING], [replace(INCIDENT, suspects=(SUSPECT,))]), **of_alerts([ALERT])}
    (entry, *_) = {**env, **of_nodes(POOLS, "eu")}[listed]
    sorts = next(one.sorts for one in VARIABLES if one.name == listed)
    kinds = {Sort.TEXT: str, Sort.NUMBER: float, Sort.FLAG: bool, Sort.TEXTS: list, Sort.LABELS: dict}
    assert {name: type(value) for name, value in entry.items()} == {name: kinds[sort] for name, sort in sorts.items()}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('incidents.exists(i, i.knd == "upstream")', "knd"),
        ("findings.filter(f,\n  f.sore > 1).size() > 0", "sore"),
        ("replicas.current > 1 && findings.all(one, one.score > 1 || one.value > 2)", "value"),
        ("findings.size() > 0 && findings[0].sore > 1.0", "sore"),
        ('findings.filter(f, f.score > 1).exists(g, g.knd == "point")', "knd"),
        ("incidents.map(i, i.suspects).exists(s, s.size() > 1) && incidents.filter(i, true)[0].strt > 1.0", "strt"),
        ("pools.filter(p, p.spot).filter(p, p.ready > 2).map(p, p.nmae).size() > 0", "nmae"),
        ("(time.hour > 3 ? findings : findings).exists(f, f.sorce > 1)", "sorce"),
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
        "size(findings.filter(f, f.score > 5)) > 1",
        "size(findings.filter(f, f.kind == ')')) >= 1 && signals.demand > 5",
        "(signals.demand) > 5 && size((findings)) < 3",
        "1 < size(findings) && signals.demand > 5",
        "0 == size(incidents) && 5 < signals.demand && 2 <= findings.filter(f, f.score > 5).size()",
        "size(findings) + size(incidents) > 1 && signals.demand * 2 > 5",
    ],
)
def test_fields_that_entries_have_are_taken(text):
    env = {**of_percepts([FINDING], [INCIDENT]), "signals.demand": 5.0}
    assert condition(text, ["demand"]).holds(env) in (True, False)


@pytest.mark.parametrize(
    "text",
    [
        'pools.exists(p, p.ready > "three")',
        "pools.exists(p, p.spot > 1)",
        "pools.exists(p, p.name == 4)",
        "incidents.exists(i, i.suspects == 'shop/db')",
        "findings.map(f, f.labels.zone).exists(z, z > 1.0)",
        "findings.filter(f, f.score > 1).map(f, f.kind).all(k, k + 1 > 2)",
        "pools.exists(p, p.name)",
    ],
)
def test_a_field_of_an_entry_is_used_as_what_it_is(text):
    with pytest.raises(InvalidCondition, match=r"no matching overload|expected type|true or false"):
        condition(text, ())


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("nodes.count == 4 && nodes.ready == 3 && nodes.schedulable == 2", True),
        ("nodes.cores > 10 && nodes.cores < 11 && nodes.memoryGiB == 42 && nodes.gpus == 0", True),
        ("nodes.usdPerHour > 0.499 && nodes.usdPerHour < 0.501", True),
        ('pools.exists(p, p.name == "spot" && p.ready < 2)', True),
        ('pools.exists(p, p.zone == "eu-1b")', False),
        ("pools.filter(p, p.spot).all(p, p.usdPerHour + 1 < 2)", True),
        ("pools.filter(p, p.ready > 1).map(p, p.name) == ['web']", True),
        ("pools[0].spot", True),
    ],
)
def test_conditions_read_nodes_and_pools(text, holds):
    assert condition(text, ()).holds(of_nodes(POOLS, "eu")) is holds


def test_nodes_that_nobody_knows_are_not_none():
    with pytest.raises(ConditionError, match=r"nodes.ready is not known"):
        condition("nodes.ready < 1", ()).holds(of_nodes(POOLS, "us"))
    unpriced = of_nodes(pooled(NODES, {"eu/a": 0.05, "eu/b": 0.05}), "eu")
    assert "nodes.usdPerHour" not in unpriced
    assert condition("pools.exists(p, has(p.usdPerHour) && p.usdPerHour > 0.01)", ()).holds(unpriced)
    with pytest.raises(ConditionError, match="usdPerHour"):
        condition("pools.all(p, p.usdPerHour > 0.01)", ()).holds(unpriced)


def test_conditions_read_what_is_left_of_a_budget_and_how_fast_it_goes():
    start, hour = 1_000_000.0, 3600.0
    standing = BudgetStanding(
        budget="CostBudget/shop/a", period=BudgetPeriod.DAY, at=start + 6 * hour, start=start, until=start + 24 * hour,
        amount=1000.0, spent=300.0, projected=1200.0, chance_over=0.9,
    )  # fmt: skip
    env = of_budgets([Allowance(standing=standing)])
    found = {name: env[f"cost.day.{name}"] for name in ("left", "burn", "chance")}
    assert found == {"left": 700.0, "burn": pytest.approx(1.2), "chance": 0.9}
    assert {one.name for one in VARIABLES if one.name.startswith("cost.day.")} >= set(env)
    begun = of_budgets([Allowance(standing=replace(standing, at=start, chance_over=None))])
    assert not {"cost.day.burn", "cost.day.chance"} & set(begun)


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
    open_one = replace(INCIDENT, since=60.0, suspects=(SUSPECT,))
    asked = condition('incidents.exists(i, "shop/db" in i.suspects && i.start < 61 && i.kind == "point")', ())
    assert asked.holds(of_percepts([], [open_one]))
    assert not asked.holds(of_percepts([], [replace(open_one, suspects=())]))
    assert not asked.holds(of_percepts([], [replace(open_one, state=IncidentState.ENDED)]))


def test_a_variable_is_seen_however_its_name_is_spaced():
    spaced = condition("signals . demand > 1.0", ["demand"])
    assert spaced.holds({"signals.demand": 2.0, "replicas": 3.0})
    assert not spaced.holds({"signals.demand": 0.5, "replicas": 3.0})


def test_a_size_that_is_compared_with_a_fraction_is_told_what_to_write():
    with pytest.raises(InvalidCondition, match=r"a size is a whole number: .*double\(size\(\.\.\.\)\)"):
        condition("size(findings) > 1.5 && signals.demand > 5", ["demand"])
    assert condition("double(size(findings)) > 1.5 && signals.demand > 5", ["demand"]).text
