"""A version of a model as a value: what it was made of, how it has done, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.core.forecast.fitted import Fitted
from aiops.core.forecast.members import Member
from aiops.core.forecast.past import History
from aiops.core.model import Instant, PolicyKey


class Role(StrEnum):
    """What a version does. The champion is asked; challengers and the predecessor are judged in its shadow."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREDECESSOR = "predecessor"
    RETIRED = "retired"
    REFUSED = "refused"

    @property
    def in_shadow(self) -> bool:
        """Return whether it is judged beside the champion."""
        return self in (Role.CHALLENGER, Role.PREDECESSOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How a version has done while it lived. judged: minutes. pinball: mean loss in shares of the mean demand.

    ratio: of its loss to the champion's over the same minutes. p_value: of `it is no better than the champion`, by the
    test of Diebold and Mariano. coverage: how often values lay in its 80 % interval. NaN is not known.
    """

    judged: int = 0
    pinball: float = math.nan
    ratio: float = math.nan
    p_value: float = math.nan
    coverage: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the model of one policy's demand.

    window: the instants between which lies what it was fitted on. code: name and version of the model's class.
    parent: the number of the version that it was made from, 0 for none. since: in its role.
    """

    number: int
    model: str
    code: str
    made_at: Instant
    why: str
    window: tuple[Instant, Instant]
    parent: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)
    role: Role = Role.CHALLENGER
    since: Instant = -math.inf
    detail: str = ""
    scores: Scores = Scores()


@dataclass(frozen=True, slots=True)
class Told:
    """What happened to a version, for logs and people."""

    number: int
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a lineage lives. code: the program's version. challengers: models that are tried beside the champion.

    elsewhere: whether somebody takes jobs; without that the champion fits itself, and each of its fits is a version.
    """

    elsewhere: bool
    code: str = ""
    challengers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitJob:
    """What is to be fitted, elsewhere and in its own time. number: of the version that it was asked of."""

    policy: PolicyKey
    number: int
    asked_at: Instant
    why: str
    history: History
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitResult:
    """What became of a job. fitted: None where nothing came of it; error: then why."""

    job: FitJob
    fitted: Fitted | None
    error: str = ""
    took_s: float = 0.0


def version_of(fields: Mapping[str, object]) -> Version:
    """Return the version that `asdict` made these fields of; raise ValueError, KeyError or TypeError."""
    made: dict[str, object] = {**fields, "role": Role(str(fields["role"]))}
    scores, window = fields["scores"], fields["window"]
    if not isinstance(scores, dict) or not isinstance(window, list):
        raise ValueError("a version has scores and a window")
    return Version(**{**made, "scores": Scores(**scores), "window": (window[0], window[1])})  # type: ignore[arg-type]
