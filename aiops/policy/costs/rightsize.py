"""CostPolicy that rightsizes: its queries, what only several of its fields together can get wrong, and the policy."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from aiops.core.decide.cost.rightsize.spec import RightsizeSpec, Sized
from aiops.core.decide.cost.targets_spec import TargetsSpec, WorkloadKind
from aiops.core.planning.cost_pack import Within
from aiops.core.planning.cost_rightsize import (
    CPU,
    DAY_S,
    IDENTITY,
    MEMORY,
    THROTTLED,
    CpuTerms,
    MemoryTerms,
    RightsizePolicy,
    Sizing,
    Terms,
    Trial,
    wanted,
)
from aiops.core.policies import WatchQuery
from aiops.policy import promql, troubles
from aiops.policy.compile import Problems
from aiops.policy.costs import Asked, made

MOST_SERIES = 5000
"""Containers that run at one time in a namespace; more than that is an error, not a bill."""

_SIZED = (WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET)
_ROWS = '{{namespace="{namespace}",container!="",container!="POD"}}'
_DEFAULTS = {
    CPU: f"sum by (pod, container) (rate(container_cpu_usage_seconds_total{_ROWS}[{{over}}]))",
    MEMORY: f"max by (pod, container) (max_over_time(container_memory_working_set_bytes{_ROWS}[{{over}}]))",
    THROTTLED: (
        f"sum by (pod, container) (increase(container_cpu_cfs_throttled_periods_total{_ROWS}[{{over}}]))"
        f" / (sum by (pod, container) (increase(container_cpu_cfs_periods_total{_ROWS}[{{over}}])) > 0)"
    ),
}
"""cAdvisor's metrics, as the kubelet serves them."""


def compiled(asked: Asked) -> RightsizePolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    spec, problems = asked.spec.rightsize, asked.problems
    assert spec is not None  # noqa: S101 - chosen by this field
    target = asked.spec.target
    if target is None:
        problems.add(("spec", "target"), "rightsize needs a target: a name, a selector, or every", code="bad-target")
        return None
    _kinds(target, problems)
    _times(spec, problems)
    for number, one in enumerate(spec.watch.slo):
        path = ("spec", "rightsize", "watch", "slo", number, "signal")
        troubles.known_signal(one.signal, tuple(asked.spec.signals), path, problems)
    queries = _queries(asked, spec)
    policy = made(
        RightsizePolicy,
        asked,
        sizing=_sizing(spec),
        queries=queries,
        how=spec.how,
        trial=_trial(spec),
        exclude=frozenset(spec.exclude_containers),
        at_once=spec.at_once,
    )
    if policy is None or policy.targets is None:
        return None
    where = policy.targets
    return replace(policy, wanted=wanted(where.cluster, where.namespace, where.wanted))


def _kinds(target: TargetsSpec, problems: Problems) -> None:
    for number, kind in enumerate(target.kinds):
        if kind not in _SIZED:
            said = (
                f"{kind.value}s are not rightsized: their pods come and go ({', '.join(one.value for one in _SIZED)})"
            )
            problems.add(("spec", "target", "kinds", number), said, code="bad-target")


def _times(spec: RightsizeSpec, problems: Problems) -> None:
    if spec.min_history > spec.history:
        said = "is longer than history: nothing would ever be lowered"
        problems.add(("spec", "rightsize", "minHistory"), said, code="bad-times")
    for name, one in (("cpu", spec.cpu), ("memory", spec.memory)):
        if one.max is not None and one.max < one.min:
            problems.add(("spec", "rightsize", name, "max"), "is less than min", code="bad-bounds")
    if spec.half_life > spec.history:
        problems.add(("spec", "rightsize", "halfLife"), "is longer than history", code="bad-times")


def _queries(asked: Asked, spec: RightsizeSpec) -> dict[str, WatchQuery]:
    namespace, key, problems = asked.envelope.namespace, asked.envelope.key, asked.problems
    over = f"{max(120, round(spec.every))}s"
    written = {
        CPU: (("cpu", "query"), spec.cpu.query),
        MEMORY: (("memory", "query"), spec.memory.query),
        THROTTLED: (("cpu", "throttled"), spec.cpu.throttled),
    }
    queries = {}
    for name, (where, text) in written.items():
        if text is not None:
            problems.attempt(("spec", "rightsize", *where), partial(promql.checked, text), "bad-promql")
        expr = text or _DEFAULTS[name].format(namespace=namespace, over=over)
        queries[name] = WatchQuery(policy=key, expr=expr, identity=IDENTITY, max_series=MOST_SERIES)
    return queries


def _sizing(spec: RightsizeSpec) -> Sizing:
    cpu = CpuTerms(
        percentile=spec.cpu.percentile,
        limit_percentile=max(spec.cpu.percentile, 0.99),
        margin_ratio=spec.cpu.margin,
        least=spec.cpu.min,
        most=math.inf if spec.cpu.max is None else spec.cpu.max,
        limits=spec.cpu.limits,
    )
    memory = MemoryTerms(
        margin_ratio=spec.memory.margin,
        least=spec.memory.min,
        most=math.inf if spec.memory.max is None else spec.memory.max,
        limits=spec.memory.limits,
    )
    return Sizing(
        use=Terms(half_life_s=spec.half_life, windows=max(2, math.ceil(spec.history / DAY_S))),
        cpu=cpu if Sized.CPU in spec.resources else None,
        memory=memory if Sized.MEMORY in spec.resources else None,
        sample_s=spec.every,
        min_history_s=spec.min_history,
        tolerance_ratio=spec.tolerance,
        lower_after_s=spec.lower_after,
    )


def _trial(spec: RightsizeSpec) -> Trial:
    slo = tuple(
        Within(
            signal=one.signal,
            at_least=-math.inf if one.at_least is None else one.at_least,
            at_most=math.inf if one.at_most is None else one.at_most,
        )
        for one in spec.watch.slo
    )
    return Trial(
        canary_ratio=spec.canary.share,
        canary_s=spec.canary.watch_for,
        watch_s=spec.watch.watch_for,
        throttled_ratio=spec.watch.throttled,
        slo=slo,
        back_off_s=spec.back_off,
    )
