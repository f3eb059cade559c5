"""When batch work begins by other rules: at once, at a fixed hour of the night, and by whoever knows everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aiops.core.model import Instant
from simulators.batch.curve import Curve
from simulators.batch.scenario import DAY_S, BatchScenario, next_clock
from simulators.batch.world import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a rule may know: the scenario, its curve under this seed, and the deadline where a Job says none."""

    scenario: BatchScenario
    curve: Curve
    within_s: float

    def turn(self, at: Instant) -> Instant:
        """Return the first turn that is not before an instant: nobody begins work between two turns."""
        start, step_s = self.scenario.start.timestamp(), self.scenario.step
        return start + math.ceil((at - start) / step_s - 1e-9) * step_s

    def usd(self, work: Work, begun: Instant) -> float:
        """Return what a Job costs that is begun then."""
        return self.scenario.usd(self.curve.integral(begun, work.takes_s), work.cores)

    def late(self, work: Work, begun: Instant) -> bool:
        """Return whether a Job that is begun then is done after its deadline."""
        return begun + work.takes_s > work.deadline(self.within_s) + 1e-6


Rule = Callable[[Work, Scene], Instant]


def at_once(work: Work, scene: Scene) -> Instant:
    """Begin a Job as it is made: what there is without suspension."""
    return scene.turn(work.made_at)


def at_night(work: Work, scene: Scene) -> Instant:
    """Begin a Job at the fixed hour of the night, as a CronJob at that hour would, whatever its deadline."""
    return scene.turn(next_clock(work.made_at, scene.scenario.night))


def at_night_in_time(work: Work, scene: Scene) -> Instant:
    """Begin a Job at the fixed hour, or at once where half of its sort would be late by then."""
    usual_s = next(one.takes.median for one in scene.scenario.work if one.name == work.sort)
    night = at_night(work, scene)
    return night if night + usual_s <= work.deadline(scene.within_s) else at_once(work, scene)


def clairvoyant(work: Work, scene: Scene) -> Instant:
    """Begin a Job at the turn at which it costs the least, lateness included, knowing the curve and how long it takes.

    Each Job by itself: how many may run at a time binds it not, so that no rule can be cheaper.
    """
    first, step_s = at_once(work, scene), scene.scenario.step
    last = max(work.deadline(scene.within_s), first) + DAY_S
    starts = np.asarray(first + step_s * np.arange(math.floor((last - first) / step_s) + 1), np.float64)
    energy = scene.curve.integrals(starts, work.takes_s) * scene.scenario.usd(1.0, work.cores)
    late = starts + work.takes_s > work.deadline(scene.within_s) + 1e-6
    return float(starts[int(np.argmin(energy + late * scene.scenario.late))])


OPTIMUM = "clairvoyant"
RULES: Mapping[str, Rule] = {
    "at once": at_once,
    "at night": at_night,
    "at night, in time": at_night_in_time,
    OPTIMUM: clairvoyant,
}
