"""What all checks look at: the settings, and the policies that a daemon of these settings would load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiops.app.settings import ClusterSettings, Settings
from aiops.core.model import Mode, PolicyKey
from aiops.core.policies import PlanPolicy, PolicySet, ScalingPolicy

ENOUGH_RATIO = 0.7
"""Of a check's time, after which it asks no further: what is known by then is told."""

MOST_SAID = 20
"""So many findings of one kind are told each on its own; of the others it is told how many they are."""


@dataclass(slots=True)
class Scene:
    """Filled in by the checks of policies, which run before all others.

    members: the policies that templates make of the workloads there are. reach: how far each policy goes, as promoted
    and under the settings' ceiling, by its key; what is not in it was not found out.
    """

    settings: Settings
    timeout_s: float
    policies: PolicySet = field(default_factory=lambda: PolicySet(digest=""))
    authored: PolicySet = field(default_factory=lambda: PolicySet(digest=""))
    members: tuple[ScalingPolicy, ...] = ()
    reach: dict[PolicyKey, Mode] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def clusters(self) -> Mapping[str, ClusterSettings]:
        """Return the clusters of the settings, or the one that the environment names."""
        return self.settings.clusters or {"default": ClusterSettings()}

    @property
    def asking(self) -> tuple[ScalingPolicy | PlanPolicy, ...]:
        """Return the policies that ask for signals."""
        return (*self.policies.asking, *self.members)

    def mode(self, policy: ScalingPolicy | PlanPolicy) -> Mode:
        """Return how far a policy goes: as it was found out, else as it is written."""
        known = self.reach.get(policy.key, policy.reach)
        return min(known, policy.reach, self.settings.mode, key=lambda mode: mode.rank)

    def acts(self, policy: ScalingPolicy | PlanPolicy) -> bool:
        """Return whether anything may be written for a policy."""
        return self.mode(policy).rank >= Mode.APPROVE.rank

    def now(self) -> float:
        """Return the wall clock."""
        return time.time()


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return some names, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = list(names)
    shown = ", ".join(every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown
