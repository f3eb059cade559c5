"""Publishing what the loop can tell of the time to come, once a turn."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aiops.core.capacity import Demand
from aiops.core.model import Answered, Finding, Frame, Percepts, PolicyKey, Rows, SeriesIndex, Snapshot
from aiops.core.model.swift import swift
from aiops.core.pipeline.outlook import NEVER, Alarm, Outlook, Prospect, Sighting, alarm, prospect
from aiops.core.policies import PolicySet, ScalingPolicy


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One turn's sight: what was asked for, what was observed, what the models make of it.

    live: series with a value now that are looked at elsewhere than in the frame, by policy.
    """

    policies: PolicySet
    snapshot: Snapshot
    frame: Frame
    demands: Mapping[PolicyKey, Demand]
    percepts: Percepts
    live: Mapping[PolicyKey, int] = field(default_factory=dict)


class Lookout:
    """Holds the newest Outlook. The loop's thread alone replaces it; every other thread reads one reference."""

    def __init__(self) -> None:
        self.outlook = Outlook()
        self._index: SeriesIndex | None = None
        self._watching: dict[PolicyKey, int] = {}
        self._owners: Rows = np.zeros(0, np.intp)

    def look(self, seen: Seen) -> None:
        """Publish what a turn knows, of the policies in force and of no others."""
        self.outlook = Outlook(at=seen.snapshot.at, prospects=self._prospects(seen), alarms=self._alarms(seen))

    def _prospects(self, seen: Seen) -> dict[PolicyKey, Prospect]:
        before, made = self.outlook.prospects, {}
        for policy in seen.policies.scaling:
            forecast = seen.percepts.forecasts.get(policy.key)
            if forecast is None or policy.candidate_for:
                continue  # nobody scales on what a shadow foresees
            sighting = Sighting(
                at=seen.snapshot.at,
                seen=_shown(policy, seen),
                tick_s=seen.policies.step_s,
                workload=seen.snapshot.workloads.get(policy.target.key),
            )
            made[policy.key] = prospect(policy, forecast, sighting, before.get(policy.key))
        return made

    def _alarms(self, seen: Seen) -> dict[PolicyKey, Alarm]:
        if not seen.policies.watches:
            return {}
        live = self._live(seen)
        found: dict[PolicyKey, list[Finding]] = defaultdict(list)
        for one in seen.percepts.findings:
            found[one.policy].append(one)
        made = {}
        for policy in seen.policies.watches:
            old, open_ones = self.outlook.alarms.get(policy.key), found.get(policy.key, ())
            if live.get(policy.key, 0) or open_ones:  # that all series are gone can be what is wrong
                seen_at = seen.snapshot.at
            else:
                seen_at = NEVER if old is None else old.seen_at
            made[policy.key] = alarm(policy.key, open_ones, seen_at)
        return made

    def _live(self, seen: Seen) -> dict[PolicyKey, int]:
        """Return how many series of each WatchPolicy have a value now."""
        if seen.frame.index is not self._index:
            self._follow(seen.frame.index)
        counts = np.bincount(self._owners[np.isfinite(seen.frame.values)], minlength=len(self._watching))
        return dict(seen.live) | dict(zip(self._watching, counts.tolist(), strict=True))

    def _follow(self, index: SeriesIndex) -> None:
        self._watching = {}
        owners = [self._watching.setdefault(key.split("#", 1)[0], len(self._watching)) for key in index.keys]
        self._owners, self._index = np.array(owners, np.intp), index


def _shown(policy: ScalingPolicy, seen: Seen) -> bool:
    """Return whether there is a demand that the loop itself would go by: a stale one is none (S1)."""
    demand, name = seen.demands.get(policy.key), policy.objective.demand
    answer = seen.snapshot.answers.get(policy.key, {}).get(name)
    if isinstance(answer, Answered):
        age_s = math.inf if answer.newest_at is None else seen.snapshot.at - answer.newest_at
        if age_s > policy.signals[name].max_age_s:
            return False
    return demand is not None and math.isfinite(demand.value)
