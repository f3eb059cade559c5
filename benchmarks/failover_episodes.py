"""Episodes of a failover group for its statistics: what observers count, second by second, and what the policy answers.

Pure but for the dice that are passed in. Two sites and a place outside of both; each observer probes each site, its
counters are scraped, and at each tick the policy's queries look back over their window at what was scraped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aiops.core.decide.failover.judge import judged
from aiops.core.model import (
    F64,
    GroupState,
    Leadership,
    Looked,
    Plan,
    Scope,
    SeenObject,
    Signal,
    SignalState,
    Snapshot,
    Workload,
)
from aiops.core.planning import Situation
from aiops.core.planning.failover import FailoverPolicy, users, volume
from aiops.policy import parse

POLICY = Path(__file__).parent.parent / "policies" / "failover.yaml"
TICK_S = 5
SITES, POINTS = ("west", "north"), ("edge", "west", "north")

Failing = Callable[[float, str, str], float]
"""The probability that a request from an observer to a site fails at a second: (at, site, observer)."""

Deaf = Callable[[float, str], bool]
"""Whether the daemon cannot ask an observer's metrics at a second: (at, observer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """How each observer asks each site: so many requests every `every_s`, counted and scraped every `scrape_s`."""

    every_s: int = 1
    requests: int = 1
    scrape_s: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What goes wrong. start_s: when; nothing goes wrong before."""

    start_s: float
    failing: Failing
    deaf: Deaf = lambda _at, _point: False


def shipped(probing: Probing) -> FailoverPolicy:
    """Return the policy that is shipped, told how often is scraped."""
    text = POLICY.read_text(encoding="utf-8").replace(
        "maxAge: 30s", f"maxAge: 30s\n      scrape: {probing.scrape_s}s", 1
    )
    (policy,) = parse(text, POLICY.name).plans
    assert isinstance(policy, FailoverPolicy)
    return policy


def counts(episode: Episode, probing: Probing, dice: np.random.Generator, length_s: int) -> dict[str, F64]:
    """Return float64[length_s, 2] for each `SITE@OBSERVER`: requests that failed and all, in each second."""
    found = {}
    for site in SITES:
        for point in POINTS:
            phase, rows = int(dice.integers(probing.every_s)), np.zeros((length_s, 2))
            for second in range(phase, length_s, probing.every_s):
                share = min(1.0, max(0.0, episode.failing(second, site, point)))
                rows[second] = (dice.binomial(probing.requests, share), probing.requests)
            found[f"{site}@{point}"] = rows
    return found


def signals(
    policy: FailoverPolicy, counted: Mapping[str, F64], now_s: int, newest: int, deaf: Callable[[str], bool]
) -> dict[str, Signal]:
    """Return what the policy's queries answer at `now_s`: rates, from the first to the last scrape in their range."""
    made: dict[str, Signal] = {}
    for key, rows in counted.items():
        site, _, point = key.partition("@")
        names = (users(site, point), volume(site, point))
        if deaf(point) or newest < policy.watching.window_s:
            made.update({name: Signal(name=name, state=SignalState.FAILED, detail="no answer") for name in names})
            continue
        failed, asked = rows[newest - int(policy.watching.window_s) : newest].sum(axis=0)
        values = (float(failed / asked) if asked else math.nan, float(asked) / policy.watching.window_s)
        for name, value in zip(names, values, strict=True):
            state = SignalState.NAN if math.isnan(value) else SignalState.VALUE
            made[name] = Signal(name=name, state=state, value=value, age_s=float(now_s - newest))
    return made


def route(weights: Mapping[str, int]) -> dict[str, Any]:
    """Return an HTTPRoute with these weights."""
    refs = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    return {"metadata": {"name": "storefront", "namespace": "edge"}, "spec": {"rules": [{"backendRefs": refs}]}}


def world(policy: FailoverPolicy, now: float, weights: Mapping[str, int], ready: int = 4) -> Snapshot:
    """Return a snapshot in which the route has these weights and every site so many replicas ready."""
    seen = SeenObject(ref=policy.target, uid="r", resource_version="1", as_of=now, body=route(weights))
    pods = {
        ref.key: Workload(ref=ref, uid="w", resource_version="1", as_of=now, replicas=ready, ready=ready)
        for ref in policy.workloads
    }
    return Snapshot(
        at=now,
        answers={},
        workloads=pods,
        leadership=Leadership(leader=True, epoch=1),
        scope=Scope(),
        looked=Looked(objects={policy.target.key: seen}),
    )


def first_plan(
    policy: FailoverPolicy, episode: Episode, probing: Probing, dice: np.random.Generator, length_s: int
) -> tuple[float, Plan] | None:
    """Return when the policy first wants to move the traffic, after the start of what goes wrong, and its plan."""
    counted = counts(episode, probing, dice, length_s)
    phases = {point: int(dice.integers(probing.scrape_s)) for point in POINTS}
    memory = GroupState()
    weights = {"storefront-west": 100, "storefront-north": 0}
    for now_s in range(int(policy.watching.window_s) + probing.scrape_s, length_s, TICK_S):
        told: dict[str, Signal] = {}
        for point in POINTS:
            own = {key: rows for key, rows in counted.items() if key.endswith(f"@{point}")}
            newest = now_s - (now_s - phases[point]) % probing.scrape_s
            told |= signals(policy, own, now_s, newest, lambda name, at=now_s: episode.deaf(at, name))
        found = judged(
            policy,
            Situation(now=float(now_s), tick_s=float(TICK_S), snapshot=world(policy, now_s, weights), signals=told),
            memory,
        )
        memory = found.memory
        if found.plan is not None:
            return now_s - episode.start_s, found.plan
    return None


# -- what goes wrong -----------------------------------------------------------------------------------


def crash(start_s: float, background: float) -> Episode:
    """Return west down for everybody, its own observer's metrics, too."""

    def failing(at: float, site: str, _: str) -> float:
        return 1.0 if site == "west" and at >= start_s else background

    return Episode(start_s=start_s, failing=failing, deaf=lambda at, point: point == "west" and at >= start_s)


def grey(start_s: float, background: float, share: float = 0.5) -> Episode:
    """Return a share of what west is asked failing, for whoever asks."""

    def failing(at: float, site: str, _: str) -> float:
        return share if site == "west" and at >= start_s else background

    return Episode(start_s=start_s, failing=failing)


def isolation(start_s: float, background: float) -> Episode:
    """Return west cut off: nobody reaches it, its observer reaches nobody else, and says so to whoever asks it."""

    def failing(at: float, site: str, point: str) -> float:
        return 1.0 if at >= start_s and (site == "west") != (point == "west") else background

    return Episode(start_s=start_s, failing=failing)


def blips(start_s: float, background: float, lengths_s: tuple[float, ...], gap_s: float) -> Episode:
    """Return west down for everybody for a while, several times."""
    spans = []
    at = start_s
    for length_s in lengths_s:
        spans.append((at, at + length_s))
        at += length_s + gap_s

    def failing(at: float, site: str, _: str) -> float:
        return 1.0 if site == "west" and any(low <= at < high for low, high in spans) else background

    return Episode(start_s=start_s, failing=failing)


def probe_loss(start_s: float, background: float, points: tuple[str, ...], share: float) -> Episode:
    """Return observers that lose a share of all their probes."""

    def failing(at: float, _: str, point: str) -> float:
        return share if point in points and at >= start_s else background

    return Episode(start_s=start_s, failing=failing)


def path_loss(start_s: float, background: float, share: float) -> Episode:
    """Return the way from one observer to west losing a share."""

    def failing(at: float, site: str, point: str) -> float:
        return share if (site, point) == ("west", "edge") and at >= start_s else background

    return Episode(start_s=start_s, failing=failing)


def deafness(start_s: float, background: float, points: tuple[str, ...]) -> Episode:
    """Return observers whom the daemon cannot ask."""
    quiet = Episode(start_s=start_s, failing=lambda _at, _site, _point: background)
    return replace(quiet, deaf=lambda at, point: point in points and at >= start_s)
