"""Deciding: what a tick costs by the number of policies that are steered by their SLO.

Columns, in milliseconds of processor time a tick, best and median: `look`, the models judge, learn and look ahead;
`need`, the replicas of all policies in one go; `seen`, signals are read and what was seen is told the models; and the
shared decision with guards and records, of policies that stay (`calm`), that all wish for fewer and are held (`held`),
and that all change (`moving`, which is one tick, decided again and again). The aim is 1,000 decided after forecasts in
under 50 ms. Other load on the machine slows processor time, too: the best tells what it costs, the median what it cost
today.

Run `python benchmarks/bench_decisions.py [POLICIES ...]` (default 1, 100 and 1000).
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from aiops.core.capacity import Demand
from aiops.core.decide.scaling.need import pods_for
from aiops.core.lookahead import Lookahead, Seen
from aiops.core.model import (
    Answered,
    Leadership,
    LoopState,
    Mode,
    Percepts,
    Scope,
    Snapshot,
    StepResult,
    StepStatus,
    TargetState,
    Workload,
)
from aiops.core.pipeline import Read, Turn, decide, demand_of, read_of, settled
from aiops.core.policies import PolicySet
from aiops.loop.unswept import unswept
from aiops.policy import parse

POLICY = Path(__file__).parents[1] / "policies" / "storefront.yaml"
START = 1_772_409_600.0
TICK_S = 15.0
PODS = 10
FRESH = TargetState()
T = TypeVar("T")
WARM_TICKS, TICKS = 60, 40


def policies(count: int) -> PolicySet:
    """Return the shipped policy so many times, each for a workload of its own."""
    text = POLICY.read_text(encoding="utf-8").replace("mode: dry-run", "mode: enforce")
    (one,) = parse(text, "storefront.yaml").scaling
    made = [
        replace(one, key=f"ScalingPolicy/shop/s{n}", target=replace(one.target, name=f"s{n}")) for n in range(count)
    ]
    return PolicySet(digest="bench", scaling=tuple(made))


class World:
    """Services of ten pods whose load is what `load` says, in units of what keeps them at 60 %."""

    def __init__(self, policy_set: PolicySet) -> None:
        self.policies = policy_set
        self.replicas = {policy.key: PODS for policy in policy_set.scaling}
        self.chance = np.random.default_rng(1)
        self.now = START

    def snapshot(self, load: float) -> Snapshot:
        """Return what is seen a tick later."""
        self.now += TICK_S
        noise = self.chance.normal(1.0, 0.02, (len(self.replicas), 2))
        answers, workloads = {}, {}
        for place, policy in enumerate(self.policies.scaling):
            replicas = self.replicas[policy.key]
            demand = 480.0 * load * float(noise[place, 0])
            use = min(demand / (80.0 * replicas), 1.0)
            seen = {"demand": demand, "latency": 0.1 * float(noise[place, 1]) + 0.02 * use, "use": use}
            at = self.now - 5.0
            answers[policy.key] = {name: Answered(value=value, newest_at=at) for name, value in seen.items()}
            workloads[policy.target.key] = Workload(
                ref=policy.target,
                uid="u",
                resource_version="1",
                as_of=self.now,
                replicas=replicas,
                ready=replicas,
                opted_in=True,
                startup_s=(50.0, 60.0, 70.0),
            )
        return Snapshot(
            at=self.now,
            answers=answers,
            workloads=workloads,
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(ceiling=Mode.ENFORCE),
        )


class Clock:
    """Collects how long things take, in milliseconds."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    def time(self, name: str, work: Callable[[], T]) -> T:
        """Return what the work makes, and note what it cost."""
        gc.collect(0)
        with unswept():  # as in the loop
            started = time.process_time()
            made = work()
        self.spent.setdefault(name, []).append((time.process_time() - started) * 1e3)
        return made

    def forget(self) -> None:
        """Forget what was noted."""
        self.spent.clear()

    def row(self, name: str) -> str:
        """Return the best and the median."""
        one = self.spent[name]
        return f"{min(one):9.2f} {statistics.median(one):8.2f}"


def needs(seen: Seen) -> np.ndarray:
    """Return the replicas of all policies in one go, arrays in and arrays out."""
    known = list(seen.capacities.values())
    demand = np.array([max(nowcast.upper) for nowcast in seen.nowcasts.values()])
    carried = np.array([one.carried for one in known])
    return pods_for(np.nan_to_num(demand), np.array(known[0].pods), np.nan_to_num(carried, nan=1.0))


def seen_of(policy_set: PolicySet, state: LoopState, shot: Snapshot) -> tuple[dict[str, Read], dict[str, Demand]]:
    reads, demands = {}, {}
    for one in policy_set.scaling:
        before = state.targets.get(one.key, FRESH)
        reads[one.key] = read_of(one, before, shot)
        demands[one.key] = demand_of(one, before, shot, reads[one.key])
    return reads, demands


def measured(count: int) -> Clock:
    """Return the times of ticks with a load that does not change, and then of one with a step every minute.

    With the first step up all policies change; whenever the load is low again, they wish for fewer and are held.
    """
    policy_set, clock = policies(count), Clock()
    world, state, models = World(policy_set), LoopState(), Lookahead()
    models.follow(policy_set)
    for tick in range(WARM_TICKS + 2 * TICKS):
        steps = tick >= WARM_TICKS + TICKS
        high = steps and tick // 4 % 2 == 1
        name = "calm" if not steps else "between" if high else "held"
        if tick == WARM_TICKS:
            clock.forget()
        shot = world.snapshot(1.5 if high else 1.0)
        reads, demands = clock.time("seen", lambda s=state, x=shot: seen_of(policy_set, s, x))
        seen = clock.time("look", lambda d=demands, x=shot: models.look(x.at, d))
        clock.time("need", lambda s=seen: needs(s))
        percepts = Percepts(nowcasts=seen.nowcasts, capacities=seen.capacities)
        turn = Turn(snapshot=shot, percepts=percepts, policies=policy_set, code="bench", platform="bench", reads=reads)
        made = clock.time(name, lambda s=state, t=turn: decide(s, t))
        if len(made.tick.actions) == count:
            for _ in range(TICKS):
                clock.time("moving", lambda s=state, t=turn: decide(s, t))
        results = {a.id: StepResult(action_id=a.id, status=StepStatus.DONE, at=shot.at) for a in made.tick.actions}
        state = settled(made.state, made.tick, results, shot).state if results else made.state
        for action in made.tick.actions:
            world.replicas[action.policy] = action.change.after
    return clock


def main() -> None:
    sizes = [int(arg) for arg in sys.argv[1:]] or [1, 100, 1000]
    names = ("look", "need", "seen", "calm", "held", "moving")
    print(f"{'policies':>8} " + " ".join(f"{name + ' ms':>9} {'(median)':>8}" for name in names))
    for count in sizes:
        clock = measured(count)
        print(f"{count:>8} " + " ".join(clock.row(name) for name in names))


if __name__ == "__main__":
    main()
