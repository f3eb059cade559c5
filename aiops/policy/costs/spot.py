"""`spot` of a CostPolicy: what only several of its fields together can get wrong, and the compiled policy."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.decide.cost.spot.spec import SpotSpec
from aiops.core.decide.cost.targets_spec import WorkloadKind
from aiops.core.planning.cost_pack import Within
from aiops.core.planning.cost_spot import Fallback, Risk, SpotPolicy, Steps, wanted
from aiops.policy import troubles
from aiops.policy.costs import Asked, made


def compiled(asked: Asked) -> SpotPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    spec, problems, target = asked.spec.spot, asked.problems, asked.spec.target
    assert spec is not None  # noqa: S101 - chosen by this field
    if target is None:
        problems.add(("spec", "target"), "spot needs a target: a name, a selector, or every", code="bad-target")
        return None
    for number, kind in enumerate(target.kinds):
        if kind is not WorkloadKind.DEPLOYMENT:
            said = f"a {kind.value} has no companion: a share of a Deployment runs on spot nodes"
            problems.add(("spec", "target", "kinds", number), said, code="bad-target")
    if target.name is not None and target.name.endswith(spec.suffix):
        said = f"is a companion by its name (suffix {spec.suffix}): name the Deployment on demand"
        problems.add(("spec", "target", "name"), said, code="bad-target")
    for number, one in enumerate(spec.slo):
        path = ("spec", "spot", "slo", number, "signal")
        troubles.known_signal(one.signal, tuple(asked.spec.signals), path, problems)
    policy = made(
        SpotPolicy,
        asked,
        suffix=spec.suffix,
        floor=spec.floor,
        floor_ratio=spec.floor_share,
        most_ratio=spec.max_share,
        risk=_risk(spec),
        fallback=Fallback(
            waves_per_hour=spec.fallback.reclaims_per_hour,
            storm_ratio=spec.fallback.storm,
            pending_s=spec.fallback.pending_for,
            come_back_s=spec.fallback.come_back,
        ),
        steps=_steps(spec),
    )
    if policy is None or policy.targets is None:
        return None
    return replace(policy, wanted=wanted(policy.targets))


def _risk(spec: SpotSpec) -> Risk:
    return Risk(
        lost_usd_per_hour=spec.lost_replica_hour,
        survive=spec.survive,
        replace_s=spec.replace_within,
        assumed_per_hour=spec.reclaims.assumed,
        confidence=spec.reclaims.confidence,
        half_life_s=spec.reclaims.half_life,
    )


def _steps(spec: SpotSpec) -> Steps:
    slo = tuple(
        Within(
            signal=one.signal,
            at_least=float("-inf") if one.at_least is None else one.at_least,
            at_most=float("inf") if one.at_most is None else one.at_most,
        )
        for one in spec.slo
    )
    return Steps(step_ratio=spec.step, every_s=spec.every, watch_s=spec.watch_for, slo=slo)
