"""Members of the combination. A new one is one file with a class that fills `Member`, and one line in `MEMBERS`."""

from aiops.core.forecast.members.harmonic import Harmonic
from aiops.core.forecast.members.member import Coefficients, Member
from aiops.core.forecast.members.outside import ArmaHarmonic, Limits, Online, OutOfTime, Smoothing
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


def signal_members(limits: Limits) -> tuple[Member, ...]:
    """Return the members for the few signals that policies name: those of every series and of other libraries."""
    return (*MEMBERS, Smoothing(limits), ArmaHarmonic(limits), Online(limits))


__all__ = ["MEMBERS", "Coefficients", "Limits", "Member", "OutOfTime", "signal_members"]
