"""What a detector said of its rows at the last tick, for metrics and explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.model import F64, Instant, Rows, SeriesIndex
from aiops.core.protocols import Scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """One detector's rows in the frame: values float64[m], scores of at least m rows, their places in the index.

    The arrays are those of the tick and are not changed any more.
    """

    at: Instant
    index: SeriesIndex
    places: Rows
    values: F64
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebased:
    """What became of a level that came with an announced change, when it had settled at `at`.

    level: what was usual before. by: how far from that the row was, in its units. why: which change it was. refused:
    why that did not become what is usual, '' where it did.
    """

    at: Instant
    level: float
    by: float
    why: str
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One watched series at the last tick, whether it was flagged or not.

    evidence: see `Finding`. learned: whether enough was seen of it to say anything. rebased: what became of its level
    after the last announced change that moved it.
    """

    series: str
    labels: Mapping[str, str]
    at: Instant
    value: float
    expected: float
    lower: float
    upper: float
    score: float
    learned: bool
    evidence: Mapping[str, float]
    rebased: Rebased | None = None
