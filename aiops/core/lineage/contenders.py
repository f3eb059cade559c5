"""Rules of who becomes champion: a new version is tried in the champion's shadow before anybody acts on it.

A refit of the same model has seen newer data, so it need not win: it takes over once it is known to be no worse. Any
other challenger must be better, by the test. The predecessor is watched for a day: when it was better after all, it
comes back by itself. Nothing is decided on less than an hour of judged minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from aiops.core.lineage.contest import LEAST_JUDGED
from aiops.core.lineage.version import Role, Version
from aiops.core.model import Instant

NO_WORSE = 1.02
"""A refit may lose so much of the champion's loss."""

BETTER, CERTAIN = 0.98, 0.01
"""Another model must lose less than this, and the test must be so certain."""

TRIAL_S = 6 * 3600.0
"""A refit that is still worse after this is refused."""

CONTEST_S = 7 * 86_400.0
"""A challenger that is not better after this is refused."""

WATCHED_S = 86_400.0
LOOK_EVERY_MIN = 60
"""How often the test is looked at: at every minute it would be believed too soon."""


class Move(StrEnum):
    """What becomes of a version in the champion's shadow."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    REFUSE = "refuse"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A move, and why."""

    move: Move
    why: str


def verdict(one: Version, now: Instant, *, refit: bool) -> Verdict | None:
    """Return what becomes of a version in the shadow now, None while it stays there. refit: of the champion's model."""
    lived_s, scores = now - one.since, one.scores
    known = scores.judged >= LEAST_JUDGED and math.isfinite(scores.ratio)
    won = known and scores.ratio < BETTER and scores.p_value < CERTAIN
    said = f"{scores.ratio:.3f} of the champion's loss over {scores.judged} min, p = {scores.p_value:.2g}"
    if one.role is Role.PREDECESSOR:
        if won:
            return Verdict(move=Move.ROLL_BACK, why=f"it was better after all: {said}")
        return Verdict(move=Move.RETIRE, why="replaced for a day") if lived_s >= WATCHED_S else None
    if won or (refit and known and scores.ratio <= NO_WORSE):
        return Verdict(move=Move.PROMOTE, why=said)
    if lived_s >= (TRIAL_S if refit else CONTEST_S):
        return Verdict(move=Move.REFUSE, why=said if known else "too little was seen to judge it by")
    return None
