"""What the tracking server is still to be told: versions as they were seen last. Without threads and clocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiops.adapters.mlflow.runs import identity
from aiops.core.lineage.version import Version
from aiops.core.model import PolicyKey

MOST_WAITING = 10_000
"""Versions that wait while the server does not answer; beyond them the oldest are let go, and counted."""


class Waiting(NamedTuple):
    """A version that is to be told."""

    policy: PolicyKey
    version: Version


@dataclass(slots=True)
class Outbox:
    """Used by one thread. What was told is remembered for as long as it is seen, so nothing is told twice.

    let_go: versions that waited for too long. run_ids: of versions that the server has, by identity.
    """

    most: int = MOST_WAITING
    let_go: int = 0
    run_ids: dict[str, str] = field(default_factory=dict)
    _told: dict[str, tuple[object, ...]] = field(default_factory=dict)
    _waiting: dict[str, Waiting] = field(default_factory=dict)

    def note(self, seen: Mapping[PolicyKey, Sequence[Version]]) -> None:
        """Take the versions as they are now. One that is seen no more, and was not told yet, still waits.

        Where none are seen they are somebody else's to tell: what waited is old by now, and must not be told over it.
        """
        if not seen:
            self._told, self._waiting, self.run_ids = {}, {}, {}
            return
        there = set()
        for policy, versions in seen.items():
            for one in versions:
                name = identity(policy, one)
                there.add(name)
                if self._told.get(name) != _state(one):
                    self._waiting[name] = Waiting(policy, one)
        for name in [name for name in self._told if name not in there and name not in self._waiting]:
            del self._told[name]
            self.run_ids.pop(name, None)
        for name in list(self._waiting)[: max(0, len(self._waiting) - self.most)]:
            del self._waiting[name]
            self.let_go += 1

    def due(self) -> list[tuple[str, Waiting]]:
        """Return what waits, by identity, the oldest first."""
        return list(self._waiting.items())

    def told(self, name: str, run_id: str) -> None:
        """Say that a version was told as it waited; an empty run id, that the server will not have it so."""
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            self._told[name] = _state(waiting.version)
        if run_id:
            self.run_ids[name] = run_id
        else:
            self.run_ids.pop(name, None)


def _state(one: Version) -> tuple[object, ...]:
    scores = (one.scores.judged, one.scores.pinball, one.scores.ratio, one.scores.p_value, one.scores.coverage)
    known = tuple(None if isinstance(value, float) and math.isnan(value) else value for value in scores)
    return (one.role, one.since, one.detail, known)
