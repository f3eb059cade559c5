"""Scenarios: the same seed makes the same journal, byte for byte, and small ones are held by golden files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from aiops.adapters.store import Store
from aiops.loop import Setup
from aiops.policy import load
from simulators.run import Rehearsal, simulate
from simulators.scenario import Scenario, names, policies_for
from simulators.scenario import load as load_scenario
from simulators.scorecard import Scorecard

GOLDEN = Path(__file__).parent / "golden"
BESIDE_OTHERS = "dear-release"
"""What is played beside its baselines for its scores; who aiops is compared with is no part of its journal."""


def played(scenario: Scenario, seed: int | None = None, *, baselines: bool = False) -> tuple[list[str], Scorecard]:
    store = Store.open("sqlite://", batch=200)
    how = Rehearsal(seed=seed, baselines=baselines, setup=Setup(code="test", platform="test"))
    policies = load([policies_for(scenario.spec.name)], scenario.spec.step)
    card = simulate(scenario, policies, store.journal, how).scorecard
    store.journal.flush()
    lines = list(store.reader.journal_lines())
    store.close()
    return lines, card


@cache
def shipped(name: str) -> tuple[list[str], Scorecard]:
    """What a scenario comes to as it ships; it is played once for all tests that look at it."""
    return played(load_scenario(name), baselines=name == BESIDE_OTHERS)


@cache
def short_crowd(step_s: float) -> tuple[list[str], Scorecard]:
    """What 70 minutes of the flash crowd come to, beside its baselines."""
    whole = load_scenario("flash-crowd")
    spec = whole.spec.model_copy(update={"step": step_s, "duration": 4200.0})
    return played(Scenario(spec=spec, folder=whole.folder), baselines=True)


@pytest.mark.timeout(300)
def test_the_same_seed_makes_the_same_journal_byte_for_byte():
    whole = load_scenario("flash-crowd")
    scenario = Scenario(spec=whole.spec.model_copy(update={"duration": 4200.0}), folder=whole.folder)
    (first, _), (again, _), (other, _) = short_crowd(15.0), played(scenario), played(scenario, seed=2)
    assert first == again
    assert first != other


@pytest.mark.timeout(300)
def test_a_rehearsal_in_steps_of_1_and_of_15_seconds_comes_to_the_same():
    cards = [short_crowd(step_s)[1] for step_s in (15.0, 1.0)]
    for coarse, fine in zip(cards[0].scores, cards[1].scores, strict=True):
        assert fine.violating == pytest.approx(coarse.violating, rel=0.03), fine.name
        assert fine.pod_hours == pytest.approx(coarse.pod_hours, rel=0.02), fine.name


SHORT = [name for name in names() if load_scenario(name).spec.duration <= 12 * 3600.0]
"""A weekend is tried for two hours of it in tests/unit/test_cost_simulation.py."""


@pytest.mark.parametrize("name", SHORT)
def test_the_decisions_of_a_scenario_are_those_of_its_golden_file(name):
    made = [_golden(json.loads(line)["body"]) for line in shipped(name)[0] if '"record":"decision"' in line]
    path = GOLDEN / f"{name}.txt"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(made) + "\n")
        pytest.fail(f"{path} was missing and is written now: read it, and commit it when it is right")
    assert made == path.read_text().splitlines()


def _golden(decision) -> str:
    """Return a decision as integers, codes, and floats to nine digits."""
    verdict, judgement = decision["verdict"], decision["judgement"]
    if verdict is None:
        return f"{decision['at']:.0f} {judgement['word']} {judgement['reason'] or '-'} {judgement['detail']}"
    need = verdict["proposal"]["need"]
    rulings = [
        f"{one['guard']}:{one['ruling']['reason']}:{one['after']}"
        for one in verdict["rulings"]
        if one["ruling"]["type"] != "Pass"
    ]
    wish, change = verdict["proposal"]["change"], verdict["change"]
    demand = "-" if need["demand"] is None else f"{need['demand']:.9g}"
    return (
        f"{decision['at']:.0f} {wish['before']}>{wish['after']}>{change['after']} {demand} {' '.join(rulings)}".rstrip()
    )


def test_a_release_that_makes_requests_dearer_gets_the_replicas_that_it_needs():
    _, card = shipped(BESIDE_OTHERS)
    scores = {one.name: one for one in card.scores}
    assert scores["aiops"].violating < 0.15 * scores["static-peak"].violating
    assert scores["aiops"].violating < 1.5 * scores["hpa"].violating
    assert scores["aiops"].pod_hours < scores["hpa"].pod_hours


def test_what_an_outage_above_gives_back_at_once_finds_its_replicas():
    whole = load_scenario("cut-off")
    spec = whole.spec.model_copy(update={"duration": 6900.0})
    lines, card = played(Scenario(spec=spec, folder=whole.folder), baselines=True)
    told = [line for line in lines if "in case it comes back" in line]
    scores = {one.name: one for one in card.scores}
    assert scores["aiops"].violating < 0.4 * scores["hpa"].violating
    assert scores["aiops"].pod_hours < scores["hpa"].pod_hours
    assert told, "and says why it keeps them"
