"""Lanes of a contest, and a file in which they are kept, so that who did not change is not played again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.paired import Cell
from simulators.lab.contest import DayScore, Score

OURS = "ours"


@dataclass(frozen=True)
class Lane:
    """A score over the optimum. seed and knob beside what the contest says; best_hours: of the whole lane."""

    seed: int
    knob: float
    best_hours: float
    score: Score

    @property
    def over_best(self) -> float:
        """Return the pod hours over those of the optimum."""
        return self.score.pod_hours / self.best_hours

    def costs(self) -> dict[Cell, float]:
        """Return what each day cost over the mean day of the optimum."""
        days = self.score.days
        return {
            (self.score.trace, self.seed, day): one.pod_hours * len(days) / self.best_hours
            for day, one in enumerate(days)
        }

    def violations(self) -> dict[Cell, float]:
        """Return the violating share of each day's requests."""
        return {
            (self.score.trace, self.seed, day): one.violating / max(one.offered, 1e-9)
            for day, one in enumerate(self.score.days)
        }


class Kept:
    """The lanes of a scenario by start-up time; those of rivals in a file, a line each, where there is a path."""

    def __init__(self, path: Path | None, scenario: str) -> None:
        self._path, self._scenario = path, scenario
        self._lanes: list[tuple[float, Lane]] = []
        if path is not None and path.exists():
            lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
            self._lanes = [(one["startup_s"], _lane(one)) for one in lines if one["scenario"] == scenario]

    def has(self, startup_s: float, traces: Iterable[str], name: str) -> bool:
        """Return whether a contender was played on all these traces."""
        played = {lane.score.trace for lane in self.lanes(startup_s, traces) if lane.score.name == name}
        return played == set(traces)

    def lanes(self, startup_s: float, traces: Iterable[str]) -> list[Lane]:
        """Return the lanes of these traces, in their order."""
        wanted = {trace: place for place, trace in enumerate(traces)}
        found = [lane for at, lane in self._lanes if at == startup_s and lane.score.trace in wanted]
        return sorted(found, key=lambda lane: wanted[lane.score.trace])

    def add(self, startup_s: float, lanes: Sequence[Lane]) -> None:
        """Keep what was played."""
        self._lanes += [(startup_s, lane) for lane in lanes]
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            for lane in lanes:
                if lane.score.name == OURS:
                    continue
                line = {"scenario": self._scenario, "startup_s": startup_s, **asdict(lane)}
                file.write(json.dumps(line) + "\n")


def _lane(line: dict[str, Any]) -> Lane:
    days = tuple(DayScore(**day) for day in line["score"]["days"])
    score = Score(**{**line["score"], "days": days})
    return Lane(seed=line["seed"], knob=line["knob"], best_hours=line["best_hours"], score=score)
