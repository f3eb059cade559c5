"""Refused requests and full replicas: what is served is not what is asked for (S1)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from aiops.core.capacity import load_of
from aiops.core.model import Answer, Answered, Decision, NoSeries, Reason, Snapshot, TargetState, VerdictWord
from aiops.core.pipeline import demand_of
from aiops.core.policies import Backlog, Objective, Reaction, ScalingPolicy
from aiops.core.record.story import Told, explanation
from tests.builders import KEY, NOW, policy, spec, workload
from tests.unit.rulings import bound
from tests.unit.steered import OBJECTIVE, carries, decided, seen, soon, steered

SIGNALS = {"demand": spec(), "latency": spec("latency"), "use": spec("use"), "refused": spec("refused")}
PLAIN = Objective(demand="demand", per_replica=50.0, utilisation="use")
QUEUE = replace(PLAIN, backlog=Backlog(signal="latency", drain_s=600.0))

NEVER = {"absent": NoSeries(), "nan": Answered(value=math.nan, newest_at=NOW - 5.0)}
STALE = {"stale": Answered(value=0.0, newest_at=NOW - 600.0)}
PARTIAL = {"partial": Answered(value=0.0, newest_at=NOW - 5.0, warnings=("a shard is gone",))}


def refusing(objective: Objective = PLAIN, **changes: object) -> ScalingPolicy:
    """Return a policy that is told what is refused, and nothing ahead."""
    return policy(signals=SIGNALS, objective=replace(objective, refused="refused"), **changes)


def shown(refused: float | Answer = 0.0, **values: float) -> Snapshot:
    shot = seen(**values)
    told = refused if not isinstance(refused, float) else Answered(value=refused, newest_at=shot.at - 5.0)
    return replace(shot, answers={KEY: {**shot.answers[KEY], "refused": told}})


def full(objective: Objective) -> ScalingPolicy:
    """Return a policy that nobody tells what is refused."""
    return policy(signals={name: one for name, one in SIGNALS.items() if name != "refused"}, objective=objective)


def told(found: Decision) -> str:
    return explanation(Told(decision=found, workload=workload(), unit="req/s"))


# -- what is decided -------------------------------------------------------------------------------------


def test_nothing_refused_is_scaled_in_from_as_ever():
    assert decided(shown(demand=200.0), policy=refusing()).verdict.change.after == 4


def test_what_is_refused_is_asked_for_beside_what_is_served_s1():
    verdict = decided(shown(150.0, demand=390.0), policy=refusing()).verdict
    need = verdict.proposal.need
    assert (need.demand, need.refused, need.reactive, verdict.change.after) == (540.0, 150.0, 11, 11)
    assert "150 req/s are refused" in verdict.proposal.reason


def test_while_anything_is_refused_nothing_is_scaled_in_s1():
    found = decided(shown(0.2, demand=100.0), policy=refusing())
    assert found.verdict.change.after == 8
    assert "· refused 0.2" in told(found)


def test_a_broken_slo_and_refusals_are_both_told():
    asked = refusing(replace(OBJECTIVE, per_replica=50.0))
    reason = decided(shown(30.0, demand=390.0, latency=0.4), policy=asked).verdict.proposal.reason
    assert "the SLO is broken and 30 req/s are refused" in reason


def test_refusals_are_answered_though_a_forecast_is_followed_s1():
    """A broken SLO is given two ticks in which the forecast may explain it; who is turned away is not."""
    asked = steered(signals=SIGNALS, objective=replace(OBJECTIVE, refused="refused"))
    ahead = soon(380.0, 380.0, margin=0.5)
    assert decided(shown(demand=380.0), ahead, carries(), policy=asked).verdict.change.after == 8
    assert decided(shown(10.0, demand=380.0), ahead, carries(), policy=asked).verdict.change.after == 10


@pytest.mark.parametrize(
    "refused", [*NEVER.values(), *STALE.values(), *PARTIAL.values()], ids=[*NEVER, *STALE, *PARTIAL]
)
def test_refusals_that_are_not_known_are_not_none_s1(refused: Answer):
    found = decided(shown(refused, demand=100.0), policy=refusing())
    assert found.verdict.change.after == 8
    assert found.verdict.word is VerdictWord.WAIT
    assert decided(shown(refused, demand=800.0), policy=refusing()).verdict.change.after == 16
    heard = demand_of(refusing(), TargetState(), shown(refused))
    assert (heard.value, heard.whole, heard.calm) == (390.0, False, False)


def test_a_part_of_the_refusals_is_a_lower_bound_s1():
    part = Answered(value=100.0, newest_at=NOW - 5.0, warnings=("a shard is gone",))
    assert decided(shown(part, demand=390.0), policy=refusing()).verdict.proposal.need.demand == 490.0


def test_refusals_that_are_ignored_while_absent_hold_nothing():
    signals = {**SIGNALS, "refused": spec("refused", on_absent=Reaction.IGNORE)}
    asked = replace(refusing(), signals=signals)
    assert decided(shown(NoSeries(), demand=200.0), policy=asked).verdict.change.after == 4
    assert demand_of(asked, TargetState(), shown(NoSeries())).whole


@pytest.mark.parametrize(("use", "after"), [(0.84, 4), (0.85, 8), (1.3, 8)])
def test_full_replicas_hold_scale_in_without_an_slo_s1(use: float, after: int):
    found = decided(seen(demand=200.0, use=use), policy=full(PLAIN))
    assert found.verdict.change.after == after
    if after == 8:
        assert bound(found.verdict) == (VerdictWord.WAIT, Reason.CENSORED_DEMAND, 8)
        assert "is full use" in found.story
        assert "· full" in told(found)


def test_full_replicas_hold_nothing_where_latency_says_that_the_slo_is_kept():
    asked = full(replace(OBJECTIVE, per_replica=50.0))
    assert decided(seen(demand=200.0, use=0.95), policy=asked).verdict.change.after == 4


def test_workers_that_drain_a_backlog_are_full_and_hide_no_demand():
    heard = demand_of(full(QUEUE), TargetState(), seen(latency=0.0, use=1.0))
    assert (heard.whole, heard.calm) == (True, True)


# -- what is learnt from -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "shot", "value"),
    [
        (refusing(), shown(30.0), 420.0),
        (full(PLAIN), seen(use=0.9), 390.0),
        (steered(), seen(use=0.9, latency=math.nan), 390.0),
    ],
    ids=["refused", "full without an SLO", "full without latency"],
)
def test_nothing_is_learnt_of_demand_nor_of_replicas_s1(asked: ScalingPolicy, shot: Snapshot, value: float):
    heard = demand_of(asked, TargetState(), shot)
    assert (heard.value, heard.whole) == (value, False)
    assert not load_of([heard], np.array([8.0])).learn[0]


def test_a_forecast_may_be_learnt_in_full_use_while_the_slo_is_kept():
    heard = demand_of(steered(), TargetState(), seen(use=0.9))
    assert (heard.whole, heard.calm) == (True, True)
