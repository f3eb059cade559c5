"""Members of the combination. A new one is one file with a class that fills `Member`, and one line in `MEMBERS`."""

from collections.abc import Sequence

from aiops.core.forecast.members.harmonic import Harmonic
from aiops.core.forecast.members.member import Coefficients, Member
from aiops.core.forecast.members.outside import ArmaHarmonic, Limits, Online, OutOfTime, Outside, Smoothing
from aiops.core.forecast.members.ridge import Ridges
from aiops.core.forecast.members.rules import LastSeason, LocalTrend, Profile

MEMBERS: tuple[Member, ...] = (
    LastSeason(),
    LocalTrend(),
    Profile("profile-slow", steps=3, fade_seasons=0.5),
    Profile("profile-fast", steps=2, fade_seasons=0.125),
    Harmonic(),
    Ridges(),
)
"""The members of every series, in this order; the first one is the reference of skill."""


SIGNAL_MEMBERS: tuple[Member, ...] = (*MEMBERS, Smoothing(Limits()), ArmaHarmonic(Limits()), Online(Limits()))
"""The members for the few signals that policies name: those of every series and of other libraries."""


def limited(members: Sequence[Member], limits: Limits) -> tuple[Member, ...]:
    """Return members of which those of other libraries are fitted within other limits."""
    return tuple(one.within(limits) if isinstance(one, Outside) else one for one in members)


def signal_members(limits: Limits) -> tuple[Member, ...]:
    """Return the members for signals that policies name, fitted within limits."""
    return limited(SIGNAL_MEMBERS, limits)


__all__ = [
    "MEMBERS",
    "SIGNAL_MEMBERS",
    "Coefficients",
    "Limits",
    "Member",
    "OutOfTime",
    "Outside",
    "limited",
    "signal_members",
]
