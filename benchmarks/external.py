"""Thin adapters over the shipped code, so that others can judge it in simulations of their own.

`Scaler`: the policy `policies/storefront.yaml`, as it is shipped but for the start-up time and the SLO of the contest,
and told what is dropped (`objective.refused`), through the shipped bank, decision and guard chain; `Scalers`: many at
once. `Forecaster`: the shipped forecaster of one series. `Detector`: a series under a WatchPolicy of the signal tier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
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

__all__ = ["Detector", "Forecaster", "Scaler", "Scalers"]

POLICY = Path(__file__).parents[1] / "policies" / "storefront.yaml"
TICK_S = 15.0
START = 1_767_225_600.0
"""A Thursday, 00:00 UTC; contests that know their time of day say it in `sample["t"]`, which counts from here."""

_REFUSED = (
    ("    use:\n", "    dropped: {query: 'sum(rate(http_requests_dropped_total[1m]))', unit: req/s}\n    use:\n"),
    ("    utilisation: use\n", "    utilisation: use\n    refused: dropped\n"),
)
"""What is added to the policy: a Deployment's proxy counts what it turns away, the shipped example has none."""

_SIGNALS = {"demand": "rps", "latency": "p95", "use": "util", "dropped": "dropped"}
"""The key of a sample that answers each signal."""

_KEYS = ("t", *_SIGNALS.values(), "ready")

_NO_SERIES = Frame(at=0.0, index=SeriesIndex(keys=(), labels=()), values=np.empty(0), learn=np.empty(0, np.bool_))


class Scalers:
    """Many workloads in one bank and one turn, each with a policy of its own: what a daemon does with as many policies.

    texts: of policies like `policies/storefront.yaml`; objectives: the SLO's target of each.
    """

    def __init__(self, objectives: Sequence[float], texts: Sequence[str] | None = None) -> None:
        plain = POLICY.read_text(encoding="utf-8")
        self._texts = tuple(texts or [plain] * len(objectives))
        self._objectives = tuple(objectives)

    def fit(self, histories: Sequence[F64], step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Learn from loads in steps of `step_s` that end where the contest begins; what pods carry is not told."""
        pairs = enumerate(zip(self._texts, self._objectives, strict=True))
        texts = [_text(text, place, objective, (startup_s, slo_p95_s)) for place, (text, objective) in pairs]
        self._policies = parse("\n---\n".join(texts), "storefront.yaml")
        self._startup_s = startup_s
        self._bank = Bank(self._policies)
        self._state, self._now = LoopState(), START
        self._changes = [0] * len(texts)
        keys = [policy.key for policy in self._policies.scaling]
        past = {key: (_ending(history, step_s), history) for key, history in zip(keys, histories, strict=True)}
        for key, (times, values) in past.items():
            self._bank.backfill_demand(key, times, values)
        learnt = Lookahead()
        learnt.follow(self._policies)
        learnt.learn_history(past, START, dict.fromkeys(keys, startup_s))
        self._bank.adopt_soon(learnt)

    def decide(self, seen: Sequence[tuple[Mapping[str, float], int, int]]) -> list[int]:
        """Return how many replicas of each there are to be.

        seen: of each a sample (see `Scaler.decide`), pods that serve now, and pods that were asked for. The first
        sample says what time it is. TypeError: what is no number, by its key.
        """
        seen = [(_checked(one), _count("ready", ready), _count("current", current)) for one, ready, current in seen]
        self._now = START + seen[0][0]["t"] + TICK_S if math.isfinite(seen[0][0]["t"]) else self._now + TICK_S
        now = self._now
        snapshot = self._snapshot(now, seen)
        demands = {}
        for policy, (sample, _, _) in zip(self._policies.scaling, seen, strict=True):
            state = self._state.targets.get(policy.key, TargetState())
            known = int(sample["ready"]) if math.isfinite(sample["ready"]) else 0  # of nobody nothing is learnt
            demands[policy.key] = demand_of(policy, state, snapshot)._replace(ready=known)
        frame = Frame(at=now, index=_NO_SERIES.index, values=_NO_SERIES.values, learn=_NO_SERIES.learn)
        percepts = self._bank.perceive(frame, demands, self._policies)
        turn = Turn(snapshot=snapshot, percepts=percepts, policies=self._policies, code="bench", platform="bench")
        made = decide(self._state, turn)
        results = {a.id: StepResult(action_id=a.id, status=StepStatus.DONE, at=now) for a in made.tick.actions}
        self._state = settled(made.state, made.tick, results, snapshot).state if results else made.state
        self.last = made.tick.decisions
        changed = {action.target.key: action.change.after for action in made.tick.actions}
        wanted = [changed.get(policy.target.key) for policy in self._policies.scaling]
        self._changes = [count + (after is not None) for count, after in zip(self._changes, wanted, strict=True)]
        return [current if after is None else int(after) for after, (_, _, current) in zip(wanted, seen, strict=True)]

    def _snapshot(self, now: float, seen: Sequence[tuple[Mapping[str, float], int, int]]) -> Snapshot:
        policies = self._policies.scaling
        return Snapshot(
            at=now,
            answers={policy.key: _answers(now, one[0]) for policy, one in zip(policies, seen, strict=True)},
            workloads={
                policy.target.key: Workload(
                    ref=policy.target,
                    uid="contest",
                    resource_version=str(changes),
                    as_of=now,
                    replicas=current,
                    ready=ready,
                    opted_in=True,
                    startup_s=(self._startup_s,),
                )
                for policy, changes, (_, ready, current) in zip(policies, self._changes, seen, strict=True)
            },
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(ceiling=Mode.ENFORCE),
        )


class Scaler:
    """One workload. Call `fit` once and `decide` every 15 s with the newest scraped step."""

    def __init__(self, policy: str | None = None, *, objective: float = 0.995) -> None:
        self._all = Scalers([objective], None if policy is None else [policy])

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Learn from load in steps of `step_s` that ends where the contest begins; what a pod carries is not told."""
        self._all.fit([np.asarray(history_rps, np.float64)], step_s, startup_s, slo_p95_s)

    def decide(self, sample: Mapping[str, float], ready: int, current: int) -> int:
        """Return how many replicas there are to be.

        sample: t (seconds since the contest began), rps (requests per second), util (0 to 1), p95 (seconds), inflight,
        dropped (requests of the step), backlog and ready of the newest scraped step. ready: pods that serve now;
        current: pods that were asked for. TypeError: what is no number, by its key.

        A key that is missing, None, NaN or infinite is a signal that is missing: scale-in waits, and nothing is learnt
        of it. Without t it is one step later than before.

        dropped: what rps does not count, so that both together are what was asked for. Where rps counts it, that is too
        much by what is dropped, while anything is. backlog and inflight are not used: what waits shows in p95, and the
        policy's `backlog` is for workers of a queue, whose full use asks for nobody and whose wait breaks no SLO.
        """
        [wanted] = self._all.decide([(sample, ready, current)])
        self.last = self._all.last[0]
        return wanted


def _text(text: str, place: int, objective: float, contest: tuple[float, float]) -> str:
    startup_s, slo_p95_s = contest
    text = text.replace("leadTime: 60s", f"leadTime: {startup_s:g}s")
    text = text.replace("atMost: 250ms, target: 99.5%", f"atMost: {slo_p95_s:g}, target: {objective:g}")
    text = text.replace("mode: dry-run", "mode: enforce")
    for before, after in _REFUSED:
        text = text.replace(before, after)
    return text.replace("name: storefront", f"name: storefront-{place:04d}") if place else text


def _ending(history: F64, step_s: float) -> F64:
    return np.asarray(START - (len(history) - np.arange(len(history))) * step_s)


def _checked(sample: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of a sample by key, NaN for what is missing."""
    if not isinstance(sample, Mapping):
        raise TypeError(f"sample is {sample!r}, no mapping of {', '.join(_KEYS)} to numbers")
    return {key: _number(f"sample[{key!r}]", sample.get(key)) for key in _KEYS}


def _number(name: str, value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}, no number")
    return float(value)


def _count(name: str, value: object) -> int:
    number = _number(name, value)
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(f"{name} is {value!r}, no number of pods")
    return int(number)


def _answers(now: float, sample: Mapping[str, float]) -> dict[str, Answered]:
    told = {name: sample[key] for name, key in _SIGNALS.items()}
    told["dropped"] = told["dropped"] / TICK_S if math.isfinite(sample["rps"]) else math.nan  # one counts both
    return {name: Answered(value=value, newest_at=now - TICK_S) for name, value in told.items() if math.isfinite(value)}
