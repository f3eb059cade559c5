"""A policy that is steered by its SLO, what is seen, learnt and foreseen of it, and what is decided then."""

from __future__ import annotations

import math
from dataclasses import replace

from aiops.core.model import (
    Answered,
    Capacity,
    Decision,
    LoopState,
    NoSeries,
    Nowcast,
    Percepts,
    Snapshot,
)
from aiops.core.pipeline import Turn, decide
from aiops.core.pipeline.turn import Decisions
from aiops.core.policies import ForecastSpec, Objective, PolicySet, ScalingPolicy, Slo
from tests.builders import KEY, NOW, TARGET, policy, snapshot, spec, workload

AHEAD = ForecastSpec(model="seasonal-naive", history_s=1e6, quantile=0.95, lead_s=60.0, season_s=86400.0, by_slo=True)
OBJECTIVE = Objective(
    demand="demand", per_replica=None, slo=Slo(signal="latency", at_most=0.25, target_ratio=0.995), utilisation="use"
)
TICK_S = 15.0


def steered(**changes: object) -> ScalingPolicy:
    signals = {"demand": spec(), "latency": spec("latency"), "use": spec("use")}
    return policy(**({"signals": signals, "objective": OBJECTIVE, "forecast": AHEAD} | changes))


def seen(demand: float = 390.0, latency: float = 0.1, use: float = 0.6, at: float = NOW, **running: object) -> Snapshot:
    answers = {
        name: NoSeries() if math.isnan(value) else Answered(value=value, newest_at=at - 5.0)
        for name, value in (("demand", demand), ("latency", latency), ("use", use))
    }
    return snapshot(at=at, answers={KEY: answers}, workloads={TARGET.key: workload(as_of=at, **running)})


def carries(each: float = 50.0, **changes: object) -> Capacity:
    """Return a learnt capacity: one pod alone carries less, many of them a little more than `each`."""
    pods = (1.0, 2.0, 4.0, 8.0, 16.0)
    carried = (0.8 * each, 1.8 * each, 4.0 * each, 8.0 * each, 17.0 * each)
    return replace(Capacity(pods=pods, carried=carried, busy=70.0, doubt_ratio=0.02, learned=True), **changes)


def soon(near: float, lead: float, **changes: object) -> Nowcast:
    made = Nowcast(
        policy=KEY,
        at=NOW,
        horizons_s=(45.0, 105.0),
        demand=(near, lead),
        error_ratio=(0.02, 0.05),
        margin=2.0,
        skill=0.3,
        acts=True,
    )
    return replace(made, **changes)


UNLEARNT = Capacity(pods=(1.0, 2.0), carried=(math.nan, math.nan), busy=math.nan, doubt_ratio=0.0, learned=False)
BLIND = soon(math.nan, math.nan, error_ratio=(math.nan, math.nan), acts=False)


def made(shot: Snapshot, ahead: Nowcast | None = None, known: Capacity | None = None, **how: object) -> Decisions:
    percepts = Percepts(
        nowcasts={} if ahead is None else {KEY: ahead}, capacities={} if known is None else {KEY: known}
    )
    state = how.pop("state", LoopState())
    asked = how.pop("policy", None) or steered()
    policies = PolicySet(digest="p", scaling=(asked,), step_s=TICK_S)
    return decide(state, Turn(snapshot=shot, percepts=percepts, policies=policies, code="c", platform="p"))


def decided(shot: Snapshot, ahead: Nowcast | None = None, known: Capacity | None = None, **how: object) -> Decision:
    found = made(shot, ahead, known, **how).tick.decisions[0]
    assert not found.bug, found.bug
    return found
