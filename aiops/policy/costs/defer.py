"""`defer` of a CostPolicy, compiled."""

from __future__ import annotations

from aiops.core.decide.cost.defer.spec import DeferSpec, PriceHoursSpec, PricesSpec
from aiops.core.decide.cost.targets_spec import WorkloadKind
from aiops.core.planning.cost_defer import DeferPolicy, PriceHours, Tariff
from aiops.policy import schedule, troubles
from aiops.policy.costs import Asked, made
from aiops.policy.document import Path


def compiled(asked: Asked) -> DeferPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    spec, target, problems = asked.spec.defer, asked.spec.target, asked.problems
    if spec is None:
        return None
    if target is None or target.kinds != (WorkloadKind.JOB,) or target.name is not None:
        message = "defer is for Jobs, of which there are ever new ones"
        hint = "target: {kinds: [Job], selector: {matchLabels: {policy.aiops/deferrable: 'true'}}, maxTargets: 200}"
        problems.add(("spec", "target"), message, hint=hint, code="bad-target")
    if spec.signal is not None:
        troubles.known_signal(spec.signal, tuple(asked.spec.signals), ("spec", "defer", "signal"), problems)
    tariff = None if spec.prices is None else _tariff(asked, spec.prices)
    return made(DeferPolicy, asked, tariff=tariff, **_own(spec))


def _own(spec: DeferSpec) -> dict[str, object]:
    return {
        "signal": spec.signal or "",
        "duration_s": spec.duration,
        "within_s": spec.within,
        "late_runs": spec.late_runs,
        "at_once": spec.at_once,
    }


def _tariff(asked: Asked, spec: PricesSpec) -> Tariff:
    found = [_hours(asked, ("spec", "defer", "prices", "hours", number), one) for number, one in enumerate(spec.hours)]
    return Tariff(base=spec.base, hours=tuple(one for one in found if one is not None))


def _hours(asked: Asked, path: Path, spec: PriceHoursSpec) -> PriceHours | None:
    problems = asked.problems
    if problems.attempt((*path, "timeZone"), lambda: schedule.known_zone(spec.time_zone), "bad-schedule") is None:
        return None
    window = problems.attempt(
        (*path, "schedule"), lambda: schedule.window(spec.schedule, spec.duration, spec.time_zone), "bad-schedule"
    )
    return None if window is None else PriceHours(schedule=window, price=spec.price)
