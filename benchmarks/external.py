"""Three thin adapters over the shipped code, so that others can judge it in simulations of their own.

`Scaler`: the policy `policies/storefront.yaml`, as it is shipped but for the start-up time and the SLO of the contest,
through the shipped bank, decision and guard chain. `Forecaster`: the shipped forecaster of one series.
`Detector`: a series under a WatchPolicy of the signal tier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from aiops.core.bank import Bank
from aiops.core.lookahead import Lookahead
from aiops.core.model import (
    F64,
    Answered,
    Frame,
    Leadership,
    LoopState,
    Mode,
    Scope,
    SeriesIndex,
    Snapshot,
    StepResult,
    StepStatus,
    TargetState,
    Workload,
)
from aiops.core.pipeline import Turn, decide, demand_of, settled
from aiops.policy import parse
from benchmarks.external_detector import Detector
from benchmarks.external_forecaster import Forecaster

__all__ = ["Detector", "Forecaster", "Scaler"]

POLICY = Path(__file__).parents[1] / "policies" / "storefront.yaml"
TICK_S = 15.0
START = 1_767_225_600.0
"""A Thursday, 00:00 UTC; contests that know their time of day say it in `sample["t"]`, which counts from here."""

_NO_SERIES = Frame(at=0.0, index=SeriesIndex(keys=(), labels=()), values=np.empty(0), learn=np.empty(0, np.bool_))


class Scaler:
    """One workload. Call `fit` once and `decide` every 15 s with the newest scraped step."""

    def __init__(self, policy: str | None = None, *, objective: float = 0.995) -> None:
        self._text = POLICY.read_text(encoding="utf-8") if policy is None else policy
        self._objective = objective

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Learn from load in steps of `step_s` that ends where the contest begins; what a pod carries is not told."""
        text = self._text.replace("leadTime: 60s", f"leadTime: {startup_s:g}s")
        text = text.replace("atMost: 250ms, target: 99.5%", f"atMost: {slo_p95_s:g}, target: {self._objective:g}")
        text = text.replace("mode: dry-run", "mode: enforce")
        self._policies = parse(text, "storefront.yaml")
        self._policy = self._policies.scaling[0]
        self._startup_s = startup_s
        self._bank = Bank(self._policies)
        self._state = LoopState()
        self._version = 0
        values = np.asarray(history_rps, np.float64)
        times = START - (len(values) - np.arange(len(values))) * step_s
        learnt = Lookahead()
        learnt.follow(self._policies)
        learnt.learn_history({self._policy.key: (times, values)}, START, {self._policy.key: startup_s})
        self._bank.adopt_soon(learnt)

    def decide(self, sample: Mapping[str, float], ready: int, current: int) -> int:
        """Return how many replicas there are to be.

        sample: t (seconds since the contest began), rps, util (0 to 1), p95 (seconds), inflight, dropped, backlog and
        ready of the newest scraped step. ready: pods that serve now; current: pods that were asked for.
        """
        now = START + float(sample["t"]) + TICK_S
        snapshot = self._snapshot(now, sample, ready, current)
        state = self._state.targets.get(self._policy.key, TargetState())
        seen = {self._policy.key: demand_of(self._policy, state, snapshot)._replace(ready=int(sample["ready"]))}
        frame = Frame(at=now, index=_NO_SERIES.index, values=_NO_SERIES.values, learn=_NO_SERIES.learn)
        percepts = self._bank.perceive(frame, seen, self._policies)
        turn = Turn(snapshot=snapshot, percepts=percepts, policies=self._policies, code="bench", platform="bench")
        made = decide(self._state, turn)
        results = {a.id: StepResult(action_id=a.id, status=StepStatus.DONE, at=now) for a in made.tick.actions}
        self._state = settled(made.state, made.tick, results, snapshot).state if results else made.state
        self._version += bool(results)
        self.last = made.tick.decisions[0]
        return made.tick.actions[-1].change.after if made.tick.actions else current

    def _snapshot(self, now: float, sample: Mapping[str, float], ready: int, current: int) -> Snapshot:
        rate = float(sample["rps"])
        answers = {
            "demand": Answered(value=rate, newest_at=now - TICK_S),
            "latency": Answered(value=float(sample["p95"]), newest_at=now - TICK_S),
            "use": Answered(value=float(sample["util"]), newest_at=now - TICK_S),
        }
        known = {name: one for name, one in answers.items() if math.isfinite(one.value)}
        workload = Workload(
            ref=self._policy.target,
            uid="contest",
            resource_version=str(self._version),
            as_of=now,
            replicas=current,
            ready=ready,
            opted_in=True,
            startup_s=(self._startup_s,),
        )
        return Snapshot(
            at=now,
            answers={self._policy.key: known},
            workloads={self._policy.target.key: workload},
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(ceiling=Mode.ENFORCE),
        )
