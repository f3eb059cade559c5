"""What a member of the combination is: fitted on what came before an end, it foretells from each origin on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from aiops.core.forecast.past import Past
from aiops.core.model import F64

Coefficients = Mapping[str, F64]
"""Named arrays whose first axis is the series; empty where a member has nothing to fit."""


@runtime_checkable
class Member(Protocol):
    """A pure model over arrays of series. It keeps no state: what is fitted is returned."""

    @property
    def name(self) -> str:
        """Return its name, unique among the members."""
        ...

    @property
    def voices(self) -> tuple[str, ...]:
        """Return the names of what it foretells: models that share their work are one member with several voices."""
        ...

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return for each end (increasing columns) what was fitted on the columns before it, and on no other."""
        ...

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, voices, knots, o]: values expected `knots` steps after each origin, by columns up to it.

        NaN says that the member has no opinion. Origins are columns; the slice has a start, a stop and a step.
        """
        ...
