"""KEDA's ScaledObjects, keda.sh/v1alpha1. Source: its ScaledObject and scaler references (2.17)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiops.policy.convert import metrics
from aiops.policy.convert.behavior import behavior
from aiops.policy.convert.draft import Data, Draft
from aiops.policy.convert.hpa import target
from aiops.policy.convert.manifest import Fields, Log, Manifest, of_kind
from aiops.policy.convert.metrics import Demand, Workload
from aiops.policy.convert.scaled import IDLE_CHECK, Plan, draft, idle
from aiops.policy.convert.triggers import Read, read, window

KIND = "ScaledObject"
GROUP = "keda.sh/"
KEEP = "docs/keep-your-autoscaler.md"
POLLING_S, MOST = 30, 100
LEAST_FALLBACK_S = 180.0
"""Nobody is to be called blind for one lost scrape."""

_SPEC = (
    "scaleTargetRef",
    "pollingInterval",
    "cooldownPeriod",
    "initialCooldownPeriod",
    "idleReplicaCount",
    "minReplicaCount",
    "maxReplicaCount",
    "fallback",
    "advanced",
    "triggers",
)


def converted(found: Sequence[Manifest], log: Log, replace: bool) -> list[Draft]:
    """Return a policy for each ScaledObject, in its place: KEDA writes its HPA's floor again and again.

    replace: that is what was asked for, and need not be said.
    """
    made = [_policy(one, log, replace) for one in of_kind(found, KIND, log)]
    return [one for one in made if one is not None]


def _policy(manifest: Manifest, log: Log, replace: bool) -> Draft | None:
    before = len(log.errors)
    spec = Fields(manifest, ("spec",), log)
    workload = target(manifest, spec, log)
    spec.unknown(_SPEC)
    if not manifest.api_version.startswith(GROUP):
        log.wrong(manifest, ("apiVersion",), f"{manifest.api_version!r} is not {GROUP}v1alpha1")
    limits = _limits(spec)
    triggers = spec.items("triggers")
    if not triggers:
        log.wrong(manifest, ("spec", "triggers"), "there is no trigger to scale by")
    cron = [window(one, limits["maxReplicas"]) for one in triggers if one.at("type") == "cron"]
    windows = [one for one in cron if one is not None]
    known = [one for one in (read(one, workload) for one in triggers if one.at("type") != "cron") if one is not None]
    rules = behavior(_advanced(spec).within("behavior"))
    fallback = _fallback(spec)
    if len(log.errors) > before or not (known or windows):
        return None
    _untold(manifest, log)
    if not replace:
        message = (
            "KEDA owns its HPA and that one's floor: the policy works in KEDA's place, when the ScaledObject is gone"
        )
        log.look(manifest, (), message, f"--replace says that you know; to keep KEDA, let it ask us: {KEEP}")
    plan = Plan(
        name=manifest.name,
        workload=workload,
        bounds=_bounds(limits, windows, only=not known),
        behavior=rules,
        about=(f"Converted from the {KIND} {manifest.namespace}/{manifest.name}, in whose place it works.",),
        fallback=fallback,
        **_served(manifest, known, workload, log),
    )
    return draft(plan)


def _limits(spec: Fields) -> dict[str, int]:
    least, most = spec.whole("minReplicaCount"), spec.whole("maxReplicaCount", least=1)
    zero = "idleReplicaCount" if spec.at("idleReplicaCount") is not None else "minReplicaCount"
    if not least or spec.at("idleReplicaCount") is not None:
        message = "scaling to and from zero is left behind: the policy keeps one replica"
        spec.log.leave(spec.manifest, (*spec.path, zero), message, f"keep KEDA for that, and let it ask us: {KEEP}")
    for key in ("cooldownPeriod", "initialCooldownPeriod"):
        if spec.at(key) is not None:
            message = "it is only about the step to zero, which is left behind"
            spec.log.leave(spec.manifest, (*spec.path, key), message, "behavior.scaleDown says how fast capacity goes")
    if spec.at("pollingInterval") is not None:
        message = "signals are asked each step of the daemon (15 s)"
        spec.log.leave(spec.manifest, (*spec.path, "pollingInterval"), message)
    bounds = {"minReplicas": max(1, least or 0), "maxReplicas": MOST if most is None else most}
    if bounds["minReplicas"] > bounds["maxReplicas"]:
        spec.log.wrong(spec.manifest, (*spec.path, "minReplicaCount"), "it is more than maxReplicaCount")
    return bounds


def _bounds(limits: dict[str, int], windows: list[Data], only: bool) -> Data:
    """Return the bounds. only: nothing but the clock scales, so that out of its windows the minimum is all there is."""
    if not windows:
        return dict(limits)
    if not only:
        return {**limits, "windows": windows}
    least = limits["minReplicas"]
    timed = [{**one, "maxReplicas": max(one["minReplicas"], least)} for one in windows]
    return {"minReplicas": least, "maxReplicas": least, "windows": timed}


def _served(manifest: Manifest, known: list[Read], workload: Workload, log: Log) -> dict[str, Any]:
    """Return what of a plan says what is served."""
    checks = tuple(check for one in known for check in one.checks)
    if not known:
        return {"demand": idle(workload), "checks": IDLE_CHECK}
    rates, waiting = [one for one in known if one.rate_of], [one for one in known if one.waits_in]
    if len(known) == 2 and rates and waiting and rates[0].rate_of == waiting[0].waits_in:
        return _backlog(manifest, rates[0].demand, waiting[0].demand, log) | {"checks": checks}
    if len(known) > 1:
        message = "of several triggers the largest counts; where one is not known the policy waits"
        log.look(manifest, ("spec", "triggers"), message, "KEDA would still scale out on the others")
    if waiting:
        message = "replicas follow what waits, as before; how soon it is gone is not promised"
        hint = "objective.backlog: {signal, drainWithin} promises it, once you know what a replica handles in a second"
        log.look(manifest, ("spec", "triggers"), message, hint)
    return {"demand": metrics.largest([one.demand for one in known]), "checks": checks}


def _backlog(manifest: Manifest, rate: Demand, waiting: Demand, log: Log) -> dict[str, Any]:
    """Return arrivals as demand and what waits as backlog: one replica's share of it is gone within value / rate."""
    drain_s = max(1, round(waiting.per_replica / rate.per_replica))
    message = f"queue length and rate became objective.backlog: gone within {drain_s} s, which is value / rate"
    log.look(manifest, ("spec", "triggers"), message, "write what you really promise into drainWithin")
    return {
        "demand": rate,
        "more_signals": {waiting.name: {"query": waiting.query, "unit": waiting.unit}},
        "objective": {"backlog": {"signal": waiting.name, "drainWithin": f"{drain_s}s"}},
    }


def _advanced(spec: Fields) -> Fields:
    advanced = spec.within("advanced")
    advanced.unknown(("horizontalPodAutoscalerConfig", "scalingModifiers", "restoreToOriginalReplicaCount"))
    if advanced.at("scalingModifiers"):
        path = (*advanced.path, "scalingModifiers")
        advanced.log.wrong(advanced.manifest, path, "a formula is not converted", "write it as the query of a signal")
    if advanced.at("restoreToOriginalReplicaCount"):
        path = (*advanced.path, "restoreToOriginalReplicaCount")
        advanced.log.leave(advanced.manifest, path, "a policy that is taken away leaves the replicas as they are")
    config = advanced.within("horizontalPodAutoscalerConfig")
    config.unknown(("behavior", "name"))
    return config


def _fallback(spec: Fields) -> Data | None:
    fallback = spec.within("fallback")
    if spec.at("fallback") is None:
        return None
    fallback.unknown(("failureThreshold", "replicas", "behavior"))
    replicas = fallback.whole("replicas", needed=True, least=1)
    failures = fallback.whole("failureThreshold", needed=True, least=1)
    polling = spec.whole("pollingInterval", least=1)
    message = "a policy's fallback only rises: it is never below what runs"
    fallback.log.look(fallback.manifest, fallback.path, message)
    if replicas is None or failures is None:
        return None
    after = max(LEAST_FALLBACK_S, float(failures * (polling or POLLING_S)))
    return {"after": f"{after:g}s", "replicas": replicas}


def _untold(manifest: Manifest, log: Log) -> None:
    for key in manifest.annotations:
        if key.startswith("autoscaling.keda.sh/paused"):
            hint = "kubectl annotate deployment/NAME policy.aiops/paused=true"
            log.leave(manifest, ("metadata", "annotations", key), "a pause is not part of a policy", hint)
