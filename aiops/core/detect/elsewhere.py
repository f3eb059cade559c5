"""What shards of the fleet, and others that look at something else than the loop's own frame, have to say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.detect.together import Pair
from aiops.core.model import Finding, Instant, PolicyKey
from aiops.core.model.swift import swift


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What was being changed on purpose at one instant, by namespace and name, with the reason."""

    at: Instant = -math.inf
    why: Mapping[tuple[str, str], str] = field(default_factory=dict)


NOTHING_CHANGED = Announced()


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What was found elsewhere than in the loop's own frame: in shards of the fleet, or of budgets.

    per_s: how often chance opens findings there, by label. live: by WatchPolicy, how many of its
    series have a value now. unseen: WatchPolicies of which not everything is known now, and why. changed: workloads
    that are being changed on purpose, by namespace and name, and how.
    """

    findings: tuple[Finding, ...] = ()
    per_s: Mapping[Pair, float] = field(default_factory=dict)
    live: Mapping[PolicyKey, int] = field(default_factory=dict)
    unseen: Mapping[PolicyKey, str] = field(default_factory=dict)
    changed: Mapping[tuple[str, str], str] = field(default_factory=dict)
