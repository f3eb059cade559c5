"""Rules over times that do not fit to each other: look-ahead, verification, cooldowns, ages."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aiops.core.policies import RateUnit, ScalingPolicy, ScalingRules, Select
from aiops.policy.lint.rule import Remark, Terms

LOOK_BACK_S = 300.0
"""After which Prometheus answers nothing for a series without samples (its flag --query.lookback-delta)."""

DEFAULT_LEAD_S = 60.0
LEAST_SEASONS = 2
_MOST_STEPS = 500


def scale_in_faster(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find policies that take capacity away sooner than they bring it."""
    most = policy.bounds.max_replicas
    half = max(1, most // 2)
    if most < 2 or Select.DISABLED in (policy.up.select, policy.down.select):
        return
    out_s = travel_s(policy.up, half, most, policy.limits.cooldown_out_s)
    in_s = travel_s(policy.down, most, half, policy.limits.cooldown_in_s)
    if in_s < out_s:
        message = f"from {most} replicas to {half} takes {in_s:g} s, and back {out_s:g} s: what is gone is gone longer"
        yield Remark(
            path=("spec", "behavior"), message=message, hint="a longer stabilizationWindowSeconds of scaleDown"
        )


def travel_s(rules: ScalingRules, start: int, goal: int, cooldown_s: float) -> float:
    """Return the seconds from one level to another: the window, then steps as large as the rates allow."""
    level, passed_s = start, rules.longest_s if abs(goal - start) == 1 else rules.stabilisation_s
    for _ in range(_MOST_STEPS):
        steps = [_step(one.unit, one.value, level, one.period_s) for one in rules.rates]
        if not steps:
            return passed_s
        choose = max if rules.select is Select.MAX else min
        change, period_s = choose(steps, key=lambda step: step[0] / step[1])
        level += change if goal > start else -change
        if level >= goal if goal > start else level <= goal:
            return passed_s
        passed_s += max(period_s, cooldown_s)
    return math.inf


def _step(unit: RateUnit, value: int, level: int, period_s: float) -> tuple[int, float]:
    return (value if unit is RateUnit.PODS else max(1, math.ceil(level * value / 100))), period_s


def cooldown_inverted(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find cooldowns that hold back capacity longer than its removal."""
    out_s, in_s = policy.limits.cooldown_out_s, policy.limits.cooldown_in_s
    if in_s < out_s:
        message = f"scale-in may come {in_s:g} s after the last one, scale-out only {out_s:g} s after"
        yield Remark(path=("spec", "limits", "cooldown"), message=message, hint="in: longer than out")


def short_lead(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find forecasts that look less far ahead than one turn of the loop."""
    if policy.forecast is not None and policy.forecast.lead_s < terms.step_s:
        message = f"until it is measured, a start is thought to take {policy.forecast.lead_s:g} s: nothing is foreseen"
        yield Remark(path=("spec", "forecast", "leadTime"), message=message, hint="how long a pod takes to be ready")


def short_history(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find forecasts that learn from less than two seasons."""
    one = policy.forecast
    if one is not None and one.history_s < LEAST_SEASONS * one.season_s:
        message = (
            f"a history of {_long(one.history_s)} holds less than {LEAST_SEASONS} seasons of {_long(one.season_s)}"
        )
        yield Remark(path=("spec", "forecast", "history"), message=message, hint="two seasons or more; 14d sees weeks")


def short_season(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find seasons that pass while a replica starts."""
    one = policy.forecast
    if one is not None and one.season_s < 4 * one.lead_s:
        message = f"a season of {_long(one.season_s)} passes before replicas that start in {_long(one.lead_s)} help"
        yield Remark(path=("spec", "forecast", "season"), message=message, hint="1d, or 7d")


def quantile_half(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find forecasts that serve the median: there is too little half of the time."""
    if policy.forecast is not None and not policy.forecast.by_slo and policy.forecast.quantile <= 0.5:
        message = "the median of demand is served: half of the time there is too little"
        yield Remark(path=("spec", "forecast", "quantile"), message=message, hint="0.95, or slo")


def verify_too_soon(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find actions that are judged before new replicas can be ready and seen."""
    lead_s = policy.forecast.lead_s if policy.forecast is not None else DEFAULT_LEAD_S
    if policy.verify.within_s < lead_s + 2 * terms.step_s:
        message = (
            f"an action is judged after {policy.verify.within_s:g} s, and a replica takes {lead_s:g} s to start "
            f"and {2 * terms.step_s:g} s to be seen"
        )
        yield Remark(path=("spec", "verify", "within"), message=message, hint="two start-up times or more")


def max_age_short(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find signals that are stale as soon as one scrape is late."""
    least_s = max(terms.step_s, 2 * terms.scrape_s)
    for name, spec in policy.signals.items():
        if spec.max_age_s < least_s:
            message = (
                f"with a sample each {terms.scrape_s:g} s, one that is late makes {name} stale, which holds scale-in"
            )
            yield Remark(path=("spec", "signals", name, "maxAge"), message=message, hint=f"{3 * least_s:g}s")


def max_age_long(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find ages that no sample reaches: Prometheus answers nothing before."""
    for name, spec in policy.signals.items():
        if spec.max_age_s > LOOK_BACK_S:
            message = f"Prometheus forgets a series after {LOOK_BACK_S:g} s: {name} is absent before it is stale"
            yield Remark(path=("spec", "signals", name, "maxAge"), message=message, hint="90s to 3m")


def _long(seconds: float) -> str:
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("m", 60.0)):
        if seconds >= size:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
