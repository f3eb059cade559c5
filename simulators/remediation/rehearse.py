"""A scenario of remediation under the policies and under other rules, seed by seed: what `aiops simulate` shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from aiops.core.model import Mode
from aiops.core.planning.remediation import RemediationPolicy
from aiops.errors import InvalidInput
from aiops.policy import load, recompile
from simulators.remediation.daemon import Daemon, daemon
from simulators.remediation.objects import NAME, NAMESPACE
from simulators.remediation.rules import RULES, Rule
from simulators.remediation.scenario import RemediationScenario, Right
from simulators.remediation.world import FAILING, World

OURS, NOTHING, KUBERNETES = "aiops", "nothing is done", "Kubernetes alone"
USERS = 1000
"""Users at any time, of whom `user-minutes lost` tells."""

Policies: TypeAlias = tuple[RemediationPolicy, ...]
Contender: TypeAlias = Policies | Rule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """How a rule fared under one seed. Times are seconds after the first fault, infinite for never.

    right: whether what was done is what would be right, and users are well in the end where anything could be done;
    where a person must be asked, the policies must ask one.
    detected_s: the first act. mitigated_s: users suffer no more. acts: restarts, rollbacks, emptied nodes, evictions;
    needless: those that do not end the trouble. lost_s: users' failing share, summed over seconds.
    """

    rule: str
    seed: int
    right: bool
    detected_s: float
    mitigated_s: float
    lost_s: float
    acts: int
    needless: int
    asked: bool

    @property
    def user_minutes(self) -> float:
        """Return how many minutes of users' lives were spent on requests that failed."""
        return self.lost_s * USERS / 60.0

    def as_json(self) -> dict[str, Any]:
        """Return plain data; what never happened is null."""
        plain = {
            name: None if isinstance(value, float) and math.isinf(value) else value
            for name, value in asdict(self).items()
            if name != "lost_s"
        }
        return {**plain, "user_minutes": self.user_minutes}


def policies(paths: Sequence[Path]) -> Policies:
    """Return the policies of files as they act when enforced; raise InvalidInput where none is for this world."""
    found = [one for one in load(list(paths)).plans if isinstance(one, RemediationPolicy)]
    mine = [one for one in found if one.nodes is not None or str(one.target) == f"{NAMESPACE}/{NAME}"]
    if not mine:
        named = ", ".join(map(str, paths))
        raise InvalidInput(f"{named}: needs a RemediationPolicy for nodes, or for Deployment {NAMESPACE}/{NAME}")
    return tuple(replace(one, mode=Mode.ENFORCE) for one in mine)


def contenders(ours: Policies, *, baselines: bool) -> Mapping[str, Contender]:
    """Return who is rehearsed, by name."""
    return {OURS: ours, NOTHING: None, **({KUBERNETES: None, **RULES} if baselines else {})}


def fared(spec: RemediationScenario, who: tuple[str, Contender], seed: int) -> Fared:
    """Return how one of them fares; everyone meets the same faults under the same seed."""
    name, rule = who
    faults = spec.drawn(np.random.default_rng([seed, 0]))
    world = World(
        faults=faults, dice=np.random.default_rng([seed, 1]), length_s=int(spec.lasts), evicts=name != NOTHING
    )
    mine: Daemon | None = None
    act: Callable[[], None] = lambda: None  # noqa: E731
    if isinstance(rule, tuple):
        mine = daemon(world, rule)
        act = mine.second
    elif rule is not None:
        act = rule(world)
    while world.now < spec.lasts:
        act()
        world.step()
    begun_s = min((one.at_s for one in faults), default=0.0)
    return _counted(spec.right, world, (name, seed, begun_s, mine is not None and mine.asked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """One rule under one seed, as text and numbers. documents: of the policies; none for one of the other rules."""

    spec: RemediationScenario
    name: str
    documents: tuple[str, ...]
    seed: int


def seeded(spec: RemediationScenario, every: Mapping[str, Contender], seeds: Sequence[int]) -> list[Seeded]:
    """Return every rule under every seed, for processes that do them anywhere."""
    return [
        Seeded(
            spec=spec,
            name=name,
            documents=tuple(one.document for one in rule) if isinstance(rule, tuple) else (),
            seed=seed,
        )
        for name, rule in every.items()
        for seed in seeds
    ]


def fared_once(task: Seeded) -> Fared:
    """Return how one rule fares under one seed; the same in whatever process."""
    rule: Contender = RULES.get(task.name)
    if task.documents:
        found = (recompile(one) for one in task.documents)
        rule = tuple(replace(one, mode=Mode.ENFORCE) for one in found if isinstance(one, RemediationPolicy))
    return fared(task.spec, (task.name, rule), task.seed)


def _counted(right: Right, world: World, what: tuple[str, int, float, bool]) -> Fared:
    rule, seed, begun_s, asked = what
    fits = sum(_fits(right, kind) for _, kind in world.acts)
    well = world.failing <= FAILING
    does = right not in (Right.NOTHING, Right.ASK)
    return Fared(
        rule=rule,
        seed=seed,
        right=(fits > 0 and well) if does else not world.acts and (asked or right is Right.NOTHING or rule != OURS),
        detected_s=min((at - begun_s for at, _ in world.acts), default=math.inf),
        mitigated_s=max(0.0, world.last_bad_s + 1.0 - begun_s) if well else math.inf,
        lost_s=world.lost_s,
        acts=len(world.acts),
        needless=len(world.acts) - fits,
        asked=asked,
    )


def _fits(right: Right, act: str) -> bool:
    """Return whether an act is of the right kind: evicting sick pods restarts them, too."""
    return act == right.value or (right is Right.RESTART and act == "evict")


COLUMNS = ("rule", "right", "detect s", "mitigate s", "user-minutes lost", "acts", "needless", "asked")


def rows(every: Sequence[Fared]) -> list[tuple[str, ...]]:
    """Return one row a rule: medians over its seeds, means and shares."""
    found: list[tuple[str, ...]] = []
    for name in dict.fromkeys(one.rule for one in every):
        mine = [one for one in every if one.rule == name]
        found.append(
            (
                name,
                f"{sum(one.right for one in mine)}/{len(mine)}",
                seconds([one.detected_s for one in mine]),
                seconds([one.mitigated_s for one in mine]),
                f"{np.mean([one.user_minutes for one in mine]):,.0f}",
                f"{np.mean([one.acts for one in mine]):.1f}",
                f"{np.mean([one.needless for one in mine]):.1f}",
                f"{sum(one.asked for one in mine)}/{len(mine)}",
            )
        )
    return found


def seconds(values: Sequence[float]) -> str:
    """Return the median, in words for never."""
    middle = sorted(values)[len(values) // 2]
    return "never" if math.isinf(middle) else f"{middle:.0f}"
