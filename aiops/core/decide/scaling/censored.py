"""Whether less may be served than is asked for: then what is seen of demand is no measure of it (S1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from aiops.core.model import Signal, SignalState
from aiops.core.policies import ScalingPolicy

SATURATED_RATIO = 0.85
"""Above this use of the ready replicas demand may be more than what is served (S1)."""


class Censored(NamedTuple):
    """What speaks for more demand than is served.

    refused: per second in units of demand, which does not count it; 0 where nobody is asked, NaN while it is not known.
    saturated: the ready replicas are in full use, and no latency says that the SLO is kept all the same.
    """

    slo_broken: bool
    refused: float
    saturated: bool

    @property
    def beside(self) -> float:
        """Return what is known to be asked for beside what is served, in units of demand."""
        return self.refused if self.refused > 0.0 else 0.0

    @property
    def measures(self) -> bool:
        """Return whether what is served with so many replicas tells what they carry: a broken SLO tells it best."""
        return self.refused == 0.0 and not self.saturated

    @property
    def whole(self) -> bool:
        """Return whether what is served is known to be all that was asked for."""
        return self.measures and not self.slo_broken


_WHOLE = Censored(slo_broken=False, refused=0.0, saturated=False)


def censored(policy: ScalingPolicy, signals: Mapping[str, Signal]) -> Censored:
    """Return whether the SLO is broken, requests are refused, or replicas are saturated."""
    slo, refused = policy.objective.slo, _refused(policy, signals)
    latency = None if slo is None else signals[slo.signal]
    if slo is not None and latency is not None and latency.usable:
        broken, full = latency.value > slo.at_most, False
    else:
        broken, full = False, _saturated(policy, signals)
    return Censored(broken, refused, full) if broken or full or refused else _WHOLE


def at_least(signal: Signal) -> float | None:
    """Return what there is at least; what a partial signal shows is a lower bound. None while nothing is known (S1)."""
    return max(0.0, signal.value) if signal.usable or signal.state is SignalState.PARTIAL else None


def _refused(policy: ScalingPolicy, signals: Mapping[str, Signal]) -> float:
    name = policy.objective.refused
    if name is None:
        return 0.0
    known = at_least(signals[name])
    # a part of them that is nothing does not say that the rest is nothing, too
    if known is not None and (known > 0.0 or signals[name].usable):
        return known
    return 0.0 if policy.signals[name].ignores(signals[name].state) else math.nan


def _saturated(policy: ScalingPolicy, signals: Mapping[str, Signal]) -> bool:
    """Return whether the ready replicas are in full use; who drains a backlog is, and demand then waits elsewhere."""
    use = None if policy.objective.backlog is not None else signals.get(policy.objective.utilisation or "")
    return use is not None and use.usable and use.value >= SATURATED_RATIO
