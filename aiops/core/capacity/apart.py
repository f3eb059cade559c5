"""What replicas carry, for policies that have it learnt and look no minutes ahead for their SLO."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aiops.core.capacity.demand import NOTHING, Demand, load_of, told
from aiops.core.capacity.kept import about_of
from aiops.core.capacity.learner import Capacities
from aiops.core.model import Capacity, PolicyKey
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.protocols import Arrays
from aiops.core.versions import kin


class _Row(NamedTuple):
    """What a row is learnt for; one that is asked for otherwise begins anew. slo_s: the SLO's limit in seconds.

    kin: what versions of one policy have in common: they learn of the same replicas.
    """

    key: PolicyKey
    query: str
    slo_s: float
    kin: str

    @property
    def learns(self) -> tuple[str, str, float]:
        return self.kin, self.query, self.slo_s


class CapacitiesApart:
    """One row for each policy with `perReplica: learn` and without `quantile: slo`. Changed in place."""

    version = 1

    def __init__(self) -> None:
        self._make(())

    def _make(self, rows: tuple[_Row, ...]) -> None:
        self._rows = rows
        self._learnt = Capacities(np.array([row.slo_s for row in rows], np.float64))
        self._ready, self._slot = np.zeros(len(rows)), -1

    def follow(self, policies: PolicySet) -> None:
        """Have a row for each policy that asks; what is still asked for as it was goes on."""
        rows = tuple(row for row in map(_row, policies.scaling) if row is not None)
        if rows != self._rows:
            before, arrays = self._rows, self._learnt.arrays()
            self._make(rows)
            self._resume(before, arrays)

    def look(self, slot: int, demands: Mapping[PolicyKey, Demand]) -> Mapping[PolicyKey, Capacity]:
        """Learn the step of a slot, once, and return what is known."""
        if not self._rows:
            return {}
        if slot != self._slot:
            load = load_of([demands.get(row.key, NOTHING) for row in self._rows], self._ready)
            self._slot, self._ready = slot, load.ready
            self._learnt.learn(load)
        return told([row.key for row in self._rows], self._learnt)

    def _resume(self, before: Sequence[_Row], arrays: Arrays) -> list[PolicyKey]:
        """Let rows go on where the same rows stood before; return those that could not."""
        own = {row: place for place, row in enumerate(before)}
        others = {row.learns: place for place, row in enumerate(before)}
        places = [own.get(row, others.get(row.learns)) for row in self._rows]
        pairs = [(mine, place) for mine, place in enumerate(places) if place is not None]
        if pairs:
            mine, theirs = np.array(pairs).T
            self._learnt.take(arrays, mine, theirs)
        return [row.key for row, place in zip(self._rows, places, strict=True) if place is None]

    # -- checkpoints -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return everything that was learnt, by name, for a checkpoint."""
        about = json.dumps({"version": self.version, "rows": self._rows})
        return {"about": np.frombuffer(about.encode(), np.uint8), **self._learnt.arrays()}

    def restore(self, arrays: Arrays) -> tuple[str, ...]:
        """Take a checkpoint and return what of it did not fit, with the reason."""
        if not self._rows:
            return ()
        try:
            about = about_of(arrays, self.version)
            lost = self._resume([_Row(*row) for row in about["rows"]], arrays)
        except (KeyError, TypeError, ValueError, IndexError) as err:
            self._make(self._rows)
            return (f"what replicas carry, of every policy that looks no minutes ahead: {err}",)
        return tuple(f"what replicas of {key} carry: nothing that fits" for key in lost)


def _row(policy: ScalingPolicy) -> _Row | None:
    """Return what a policy asks for here, None where it asks for nothing or has it beside its next minutes."""
    objective = policy.objective
    if objective.per_replica is not None or objective.slo is None or policy.by_slo:
        return None
    return _Row(policy.key, policy.signals[objective.demand].query.expr, objective.slo.at_most, kin(policy))
