"""What findings beside the score say to people: one sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

_TOLD = 4


def trend_said(name: str, value: float, per_hour: float, usual: float) -> str:
    """Return what a change of trend says; per_hour: by how much the slope has changed, and usually changes.

    >>> trend_said("heap", 81.0, 2.5, 0.2)
    'heap 81 has begun to rise by 2.5 an hour more than before (usually such changes are about 0.2)'
    """
    way = "rise" if per_hour > 0 else "fall"
    return (
        f"{name} {value:.3g} has begun to {way} by {abs(per_hour):.3g} an hour more than before "
        f"(usually such changes are about {usual:.2g})"
    )


def variance_said(name: str, value: float, times: float, usual: float) -> str:
    """Return what a change of movement says; times: what it moves is of the usual; usual: by what it varies anyway.

    >>> variance_said("load", 3.0, 2.4, 1.3)
    'load 3 moves 2.4 times as much as usual at this time (usually 0.77 to 1.3 times)'
    """
    return (
        f"{name} {value:.3g} moves {times:.2g} times as much as usual at this time "
        f"(usually {1.0 / usual:.2g} to {usual:.2g} times)"
    )


def drift_said(name: str, times: float, outside: float, before: float) -> str:
    """Return what drift of a detector says.

    >>> drift_said("load", 2.25, 0.31, 0.02)
    'what was learnt of load fits it no more: errors are 2.2 times as large, 31% of its samples are unusual (2% were)'
    """
    return (
        f"what was learnt of {name} fits it no more: errors are {times:.2g} times as large, "
        f"{outside:.0%} of its samples are unusual ({before:.0%} were)"
    )


def joint_said(shared: str, signals: Sequence[tuple[str, float]], worst: int, wanted: float) -> str:
    """Return what signals say that do not go together. worst: the one that goes with the others least.

    >>> joint_said("{service=web}", [("cpu", 0.2), ("requests", 900.0)], 0, 1.8)
    '{service=web}: cpu 0.2 does not go with requests 900: 1.8 was expected with that'
    """
    name, value = signals[worst]
    there = [(one, number) for place, (one, number) in enumerate(signals) if place != worst and isfinite(number)]
    others = [f"{one} {number:.3g}" for one, number in there]
    more = f" and {len(others) - _TOLD} more" if len(others) > _TOLD else ""
    with_what = "that" if len(others) == 1 else "those"
    return (
        f"{shared}: {name} {value:.3g} does not go with {', '.join(others[:_TOLD])}{more}: "
        f"{wanted:.3g} was expected with {with_what}"
    )
