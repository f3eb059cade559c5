"""The scorecard and the report of a rehearsal: what is shown, and only where there is something to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiops.adapters.store import Store
from aiops.errors import NotFound
from aiops.policy import load as load_policies
from simulators.report import write
from simulators.run import Rehearsal, simulate
from simulators.scenario import Scenario, load, names, policies_for
from simulators.scorecard import Score, Scorecard, sheet


def score(name: str, **changed: float) -> Score:
    given = {"offered": 1000.0, "violating": 10.0, "violating_ratio": 0.01, "pod_hours": 2.0, "cost_usd": 0.1}
    return Score(name=name, actions=3, actions_out=2, actions_in=1, **{**given, **changed})


def card(*scores: Score) -> Scorecard:
    return Scorecard(scenario="x", seed=1, hours=1.0, ticks=240, scores=scores)


def test_a_scorecard_has_the_columns_that_tell_something():
    heads, rows = sheet(card(score("aiops"), score("hpa")))
    assert heads[-1] == "actions (out/in)"
    assert rows[0] == ("aiops", "10", "1.000%", "2.0", "0.10", "3 (2/1)")
    heads, rows = sheet(card(score("aiops"), score("hpa", retried=1234.0)))
    assert (heads[-1], [row[-1] for row in rows]) == ("came again", ["0", "1,234"])


def written(name: str, minutes: int, folder: Path) -> tuple[str, dict]:
    """Return the page and the data of the first minutes of a shipped scenario."""
    shipped = load(name)
    short = Scenario(spec=shipped.spec.model_copy(update={"duration": 60.0 * minutes}), folder=shipped.folder)
    policies = load_policies([policies_for(name)], short.spec.step)
    store = Store.open("sqlite://", batch=200)
    result = simulate(short, policies, store.journal, Rehearsal(baselines=False))
    store.close()
    page = write(folder / "report.html", short, policies, result)
    return page.read_text(encoding="utf-8"), json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "shown", "charts", "lines"),
    [
        ("flash-crowd", set(), 3, 6),
        ("retry-storm", {"arriving, with retries", "came again"}, 3, 7),
        ("node-pool-full", {"Pods and nodes", "node-hours", "Nodes are billed in place of pods"}, 4, 9),
    ],
)
def test_a_report_shows_retries_and_nodes_where_there_are_any(tmp_path, name, shown, charts, lines):
    page, data = written(name, 10, tmp_path)
    every = {
        "arriving, with retries",
        "came again",
        "Pods and nodes",
        "node-hours",
        "Nodes are billed in place of pods",
    }
    assert {text for text in every if text in page} == shown
    assert (page.count("<svg"), page.count("<polyline")) == (charts, lines)
    curve = data["curves"]["shop/checkout"]
    assert ("nodes" in curve, "arriving" in curve) == (name == "node-pool-full", name == "retry-storm")
    assert len(curve["at"]) == 40


def test_every_shipped_scenario_brings_policies_for_services_that_it_has_and_others_must_be_given_some():
    for name in names():
        found = load_policies([policies_for(name)], 15.0)
        every = (*found.scaling, *found.plans)
        targets = {str(policy.target) for policy in every if policy.target.kind == "Deployment"}
        services = {f"{one.namespace}/{one.name}" for one in load(name).spec.services}
        # what makes plans is for a workload, a namespace, or the nodes of a pool
        namespaces = {policy.target.name for policy in found.plans if policy.target.kind == "Namespace"}
        pools = bool(load(name).spec.pools) and any(policy.target.kind == "Node" for policy in found.plans)
        assert targets & services or namespaces & {one.namespace for one in load(name).spec.services} or pools, name
    with pytest.raises(NotFound, match="name some"):
        policies_for("my.yaml")
