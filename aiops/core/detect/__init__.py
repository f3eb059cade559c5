"""Stage detect: what is not normal. A detector scores rows; a tracker turns scores into findings.

A new detector is one file with a class that fills `RuledDetector`, and one line in `DETECTORS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from aiops.core.detect.familiar import Familiar
from aiops.core.detect.novelty import Novelty
from aiops.core.detect.rules import RowRules, RuledDetector

DETECTORS: Mapping[str, Callable[[RowRules], RuledDetector]] = {
    Familiar.name: Familiar,
    Novelty.name: Novelty,
}


class Tier(StrEnum):
    """How much a watched series is worth: `fleet` by the hundred thousand, `signal` a few that matter most."""

    FLEET = "fleet"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierDefaults:
    """What a WatchPolicy of a tier does where it says nothing else."""

    detector: str
    false_alarms_per_week: float


TIERS: Mapping[Tier, TierDefaults] = {
    Tier.FLEET: TierDefaults(detector=Familiar.name, false_alarms_per_week=0.2),
    Tier.SIGNAL: TierDefaults(detector=Novelty.name, false_alarms_per_week=1.0),
}

__all__ = ["DETECTORS", "TIERS", "RowRules", "RuledDetector", "Tier", "TierDefaults"]
