"""Remediation in its simulated world: what is right is done, nothing else is, and rules of thumb do worse (S7)."""

from __future__ import annotations

import math

import pytest

from aiops.errors import InvalidInput
from simulators.remediation.rehearse import KUBERNETES, NOTHING, OURS, contenders, fared, policies
from simulators.remediation.scenario import POLICIES, Right, load, names
from tests.commands import aiops


@pytest.fixture(scope="module")
def everybody():
    return contenders(policies([POLICIES]), baselines=True)


def lived(everybody, scenario, rule, seed=7):
    """Return how a rule fares in the first quarter of an hour, in which all that these tests look at has happened."""
    return fared(load(scenario).model_copy(update={"lasts": 900.0}), (rule, everybody[rule]), seed)


@pytest.mark.parametrize("name", ["release-fails", "pods-wedged"])
def test_what_ends_the_trouble_is_done_and_nothing_else(name, everybody):
    ours, nothing = lived(everybody, name, OURS), lived(everybody, name, NOTHING)
    assert ours.right
    assert ours.needless == 0
    assert math.isfinite(ours.mitigated_s)
    assert ours.lost_s < 0.5 * nothing.lost_s


@pytest.mark.parametrize("name", ["release-good", "dependency-fails", "crash-once"])
def test_nothing_is_done_where_nothing_is_to_be_gained(name, everybody):
    ours, nothing = lived(everybody, name, OURS), lived(everybody, name, KUBERNETES)
    assert ours.acts == 0
    assert ours.lost_s == nothing.lost_s


def test_in_a_storm_a_person_is_asked_and_a_threshold_empties_one_node_after_the_other(everybody):
    ours, rule = lived(everybody, "storm", OURS), lived(everybody, "storm", "thresholds")
    assert (ours.acts, ours.asked, ours.right) == (0, True, True)
    assert rule.needless >= 4


def test_a_threshold_restarts_a_bad_release_for_ever_and_who_knows_the_fault_ends_it_at_once(everybody):
    rule, oracle = (lived(everybody, "release-fails", name) for name in ("thresholds", "oracle"))
    assert (rule.right, math.isinf(rule.mitigated_s)) == (False, True)
    assert rule.acts >= 2
    assert oracle.right
    assert oracle.mitigated_s <= 5.0


def test_without_kubernetes_evictions_a_node_that_died_keeps_its_pods(everybody):
    alone, nothing = (lived(everybody, "node-lost-at-peak", name, 3) for name in (KUBERNETES, NOTHING))
    assert nothing.lost_s > 1.1 * alone.lost_s


def test_the_same_seed_is_the_same_episode_and_another_is_another(everybody):
    one, again, other = (lived(everybody, "pods-wedged", "oracle", seed) for seed in (3, 3, 4))
    assert one == again
    assert one.lost_s != other.lost_s


def test_in_most_scenarios_the_right_thing_is_to_do_nothing_or_to_ask():
    right = [load(name).right for name in names()]
    assert len(right) >= 12
    assert sum(one in (Right.NOTHING, Right.ASK) for one in right) >= 8


def test_a_scenario_that_is_wrong_is_refused_where_it_is_wrong(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("kind: remediation\nname: x\nright: maybe\nfaults:\n  - {kind: leak, at: 3h}\n")
    with pytest.raises(InvalidInput) as caught:
        load(str(path))
    assert str(caught.value).startswith(f"{path}:3:1: right: ")


def test_policies_for_another_workload_are_refused():
    with pytest.raises(InvalidInput, match="needs a RemediationPolicy for nodes, or for Deployment shop/checkout"):
        policies([POLICIES.parents[2] / "policies" / "failover.yaml"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("simulate", "storm", "--journal", "x.db"), "leave it out"),
        (("simulate", "storm", "--lane", "2s"), "only daemons of a scenario of sites have a lane"),
        (("simulate", "site-crash", "--lane", "90s"), "1s to 60s, in whole seconds"),
        (("simulate", "site-crash", "--lane", "soon"), "soon"),
    ],
)
def test_what_means_nothing_for_a_scenario_of_many_seeds_is_wrong_usage(words, said):
    told = aiops(*words)
    assert told.returncode == 2
    assert said in " ".join((told.stdout + told.stderr).split())


def test_a_rehearsal_of_many_seeds_writes_its_report_and_every_episode(tmp_path):
    scenario = tmp_path / "own.yaml"
    scenario.write_text("kind: remediation\nname: own\nright: nothing\nlasts: 10m\n")
    told = aiops("simulate", str(scenario), "--no-baselines", "--report", str(tmp_path / "one.html"))
    assert told.returncode == 0, told.stderr
    assert "Episodes" in (tmp_path / "one.html").read_text()
    assert (tmp_path / "one.json").read_text().count('"rule": "aiops"') == 5
