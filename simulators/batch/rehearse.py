"""A scenario of batch work under its policy and under other rules, seed by seed: what `aiops simulate` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from aiops.core.model import Instant, Mode
from aiops.core.planning.cost_defer import DeferPolicy
from aiops.errors import InvalidInput
from aiops.policy import load, recompile
from simulators.batch.daemon import live
from simulators.batch.rules import OPTIMUM, RULES, Rule, Scene
from simulators.batch.scenario import AFTER_S, POLICIES, BatchScenario
from simulators.batch.world import World
from simulators.chance import Chance

OURS = "aiops"
Contender: TypeAlias = DeferPolicy | Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """How a rule fared under one seed, over the Jobs that count.

    usd: what running them cost; late_usd: the price of those that were done after their deadline; never: of those,
    that were not begun at all. grams: of CO2, where the curve is carbon. waited_s: from being made until begun, mean.
    above_usd: how much more in all than whoever knows everything.
    """

    rule: str
    seed: int
    jobs: int
    late: int
    never: int
    usd: float
    late_usd: float
    grams: float
    waited_s: float
    above_usd: float

    @property
    def total_usd(self) -> float:
        """Return what it cost in all."""
        return self.usd + self.late_usd

    @property
    def above_ratio(self) -> float:
        """Return how much more it cost than the least that was possible, as a share of that."""
        least = self.total_usd - self.above_usd
        return self.above_usd / least if least else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "total_usd": self.total_usd, "above_ratio": self.above_ratio}


def policy(scenario: BatchScenario, paths: Sequence[Path]) -> DeferPolicy:
    """Return the one policy with `defer` of files, as it acts when enforced; raise InvalidInput.

    paths: none: those of the scenario of that name.
    """
    own = POLICIES / f"{scenario.name}.yaml"
    if not paths and not own.is_file():
        raise InvalidInput(f"there is no policy for the scenario {scenario.name!r}: name one with --policies")
    found = [one for one in load(list(paths) or [own], scenario.step).plans if isinstance(one, DeferPolicy)]
    if len(found) != 1:
        named = ", ".join(map(str, paths or [own]))
        raise InvalidInput(f"{named}: needs one CostPolicy with defer, and has {len(found)}")
    return enforced(found[0])


def enforced(one: DeferPolicy) -> DeferPolicy:
    """Return a policy as it acts when it is enforced."""
    return replace(one, mode=Mode.ENFORCE)


def contenders(ours: DeferPolicy, *, baselines: bool) -> Mapping[str, Contender]:
    """Return who is rehearsed, by name; whoever knows everything always is."""
    return {OURS: ours, **(RULES if baselines else {OPTIMUM: RULES[OPTIMUM]})}


def begun_by(scenario: BatchScenario, who: Contender, seed: int, within_s: float) -> Mapping[str, Instant]:
    """Return when each Job that counts was begun, by its name; without those that never were."""
    chance = Chance(seed)
    work, curve = scenario.drawn_work(chance), scenario.drawn_curve(chance)
    if isinstance(who, DeferPolicy):
        world = World(work=work, now=scenario.start.timestamp(), step_s=scenario.step)
        live(world, curve, who, scenario.until + AFTER_S)
        return world.begun
    scene = Scene(scenario=scenario, curve=curve, within_s=within_s)
    return {one.name: who(one, scene) for one in work}


def fared(scenario: BatchScenario, who: tuple[str, Contender], seed: int, within_s: float) -> Fared:
    """Return how one of them fares; everyone meets the same curve and the same work under the same seed.

    within_s: the deadline of Jobs that say none, as the policy has it.
    """
    name, rule = who
    chance = Chance(seed)
    scene = Scene(scenario=scenario, curve=scenario.drawn_curve(chance), within_s=within_s)
    work = [one for one in scenario.drawn_work(chance) if one.made_at >= scenario.counts_from]
    begun = begun_by(scenario, rule, seed, within_s)
    mine = [(one, begun[one.name]) for one in work if one.name in begun]
    never = len(work) - len(mine)
    late = never + sum(scene.late(one, at) for one, at in mine)
    usd = float(sum(scene.usd(one, at) for one, at in mine))
    best = [(one, RULES[OPTIMUM](one, scene)) for one in work]
    least = float(sum(scene.usd(one, at) + scenario.late * scene.late(one, at) for one, at in best))
    grams = sum(scenario.grams(scene.curve.integral(at, one.takes_s), one.cores) for one, at in mine)
    return Fared(
        rule=name,
        seed=seed,
        jobs=len(work),
        late=late,
        never=never,
        usd=usd,
        late_usd=late * scenario.late,
        grams=float(grams),
        waited_s=float(np.mean([at - one.made_at for one, at in mine])) if mine else 0.0,
        above_usd=usd + late * scenario.late - least,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """One rule under one seed, as text and numbers. document: of the policy; '' for one of the other rules."""

    scenario: BatchScenario
    name: str
    document: str
    seed: int
    within_s: float


def seeded(scenario: BatchScenario, every: Mapping[str, Contender], seeds: Sequence[int]) -> list[Seeded]:
    """Return every rule under every seed, for processes that do them anywhere."""
    within_s = next(one.within_s for one in every.values() if isinstance(one, DeferPolicy))
    return [
        Seeded(
            scenario=scenario,
            name=name,
            document=rule.document if isinstance(rule, DeferPolicy) else "",
            seed=seed,
            within_s=within_s,
        )
        for name, rule in every.items()
        for seed in seeds
    ]


def fared_once(task: Seeded) -> Fared:
    """Return how one rule fares under one seed; the same in whatever process."""
    rule: Contender | None = RULES.get(task.name)
    if task.document:
        found = recompile(task.document)
        rule = enforced(found) if isinstance(found, DeferPolicy) else None
    if rule is None:
        raise ValueError(f"{task.name!r} is no rule of batch work")
    return fared(task.scenario, (task.name, rule), task.seed, task.within_s)


COLUMNS = ("rule", "jobs", "late", "waited h", "paid USD", "late USD", "in all USD", "above the least", "kg CO2")


def rows(every: Sequence[Fared]) -> list[tuple[str, ...]]:
    """Return one row a rule: means over its seeds."""
    found: list[tuple[str, ...]] = []
    carbon = any(one.grams for one in every)
    for name in dict.fromkeys(one.rule for one in every):
        mine = [one for one in every if one.rule == name]
        total, above = (float(np.mean([getattr(one, what) for one in mine])) for what in ("total_usd", "above_usd"))
        found.append(
            (
                name,
                f"{np.mean([one.jobs for one in mine]):,.0f}",
                f"{np.mean([one.late for one in mine]):,.1f}",
                f"{np.mean([one.waited_s for one in mine]) / 3600.0:,.1f}",
                f"{np.mean([one.usd for one in mine]):,.2f}",
                f"{np.mean([one.late_usd for one in mine]):,.2f}",
                f"{total:,.2f}",
                f"{above / (total - above):.1%}" if total > above else "0.0%",
                f"{np.mean([one.grams for one in mine]) / 1000.0:,.2f}" if carbon else "-",
            )
        )
    return found
