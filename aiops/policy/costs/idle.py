"""`idle` of a CostPolicy, compiled."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.planning.cost_sleep import IdlePolicy, IdleSign, wanted_of
from aiops.policy import troubles
from aiops.policy.costs import Asked, made
from aiops.policy.costs.rested import rested
from aiops.policy.document import Path


def compiled(asked: Asked) -> IdlePolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    spec = asked.spec.idle
    if spec is None:
        return None
    shared, names = rested(asked, spec, "idle"), tuple(asked.spec.signals)
    for number, one in enumerate(spec.when):
        path: Path = ("spec", "idle", "when", number)
        troubles.known_signal(one.signal, names, (*path, "signal"), asked.problems)
        if one.above is not None and one.above < one.below:
            message = "above is less than below: between both it would be idle and in demand"
            asked.problems.add((*path, "above"), message, code="bad-value")
    signs = tuple(
        IdleSign(signal=one.signal, below=one.below, above=one.below if one.above is None else one.above)
        for one in spec.when
    )
    policy = made(
        IdlePolicy,
        asked,
        signs=signs,
        for_s=spec.for_,
        naps_a_day=spec.naps_per_day,
        blind_s=spec.wake_when_blind_for,
        **shared,
    )
    return None if policy is None else replace(policy, wanted=wanted_of(policy))
