"""What policies of plans remember from tick to tick: the health of sites, and how far a remediation has gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.model.names import Instant
from aiops.core.model.observed import SignalMemory
from aiops.core.model.planned import Wanted


class Health(StrEnum):
    """What is known of a site. `inconclusive` is a verdict of its own, and a person's to resolve (S8)."""

    WELL = "well"
    SICK = "sick"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """The health of one site, since when; well_since: well without a break since, infinite while it is not."""

    health: Health = Health.INCONCLUSIVE
    since: Instant = math.inf
    well_since: Instant = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """What a FailoverPolicy carries. sites: by name. moved_at: when traffic was last moved between sites by a plan.

    wanted: what it must look at next time, beside what it always does.
    """

    sites: Mapping[str, SiteState] = field(default_factory=dict)
    signals: Mapping[str, SignalMemory] = field(default_factory=dict)
    moved_at: Instant = -math.inf
    wanted: Wanted = field(default_factory=Wanted)
    fingerprint: str = ""
    decision_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectState:
    """How far the ladder has been climbed for one subject: `rung` is the next one, not before `not_before`."""

    rung: int = 0
    since: Instant = math.inf
    not_before: Instant = -math.inf
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderState:
    """What a RemediationPolicy carries. subjects: by name, those that are or lately were in trouble.

    wanted: what it must look at next time, beside what it always does.
    """

    subjects: Mapping[str, SubjectState] = field(default_factory=dict)
    signals: Mapping[str, SignalMemory] = field(default_factory=dict)
    breaker_until: Instant = -math.inf
    wanted: Wanted = field(default_factory=Wanted)
    fingerprint: str = ""
    decision_id: str = ""
