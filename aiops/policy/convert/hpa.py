"""HorizontalPodAutoscalers, autoscaling/v2 and v1. Source: the API reference and "Algorithm details" of Kubernetes."""

from __future__ import annotations

from collections.abc import Sequence

from aiops.policy.convert import metrics
from aiops.policy.convert.behavior import behavior
from aiops.policy.convert.draft import Draft
from aiops.policy.convert.manifest import Fields, Log, Manifest, of_kind
from aiops.policy.convert.metrics import Demand, Workload
from aiops.policy.convert.scaled import Plan, draft

KIND = "HorizontalPodAutoscaler"
VERSIONS = ("autoscaling/v2", "autoscaling/v2beta2", "autoscaling/v1")
DEFAULT_CPU_PERCENT = 80
"""What the API server fills in where no metric is written."""

_SPEC = ("scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior", "targetCPUUtilizationPercentage")
_BY_KEDA = "keda-hpa-"


def converted(found: Sequence[Manifest], log: Log, replace: bool) -> list[Draft]:
    """Return a policy for each HPA. replace: by the policy; else the HPA stays and its floor is moved."""
    made = [_policy(one, log, replace) for one in of_kind(found, KIND, log)]
    return [one for one in made if one is not None]


def _policy(manifest: Manifest, log: Log, replace: bool) -> Draft | None:
    before = len(log.errors)
    spec = Fields(manifest, ("spec",), log)
    workload = target(manifest, spec, log)
    spec.unknown(_SPEC)
    _warn(manifest, log)
    least = spec.whole("minReplicas")
    most = spec.whole("maxReplicas", needed=True, least=1)
    rules = behavior(spec.within("behavior"))
    demands, checks = _demands(spec, workload, 1 if least is None else least)
    if least is not None and most is not None and least > most:
        log.wrong(manifest, ("spec", "minReplicas"), f"{least} is more than maxReplicas {most}")
    if len(log.errors) > before or not demands:
        return None
    if len(demands) > 1:
        message = "of several metrics the largest counts; where one is not known the policy waits"
        log.look(manifest, ("spec", "metrics"), message, "an HPA would still scale out on the others")
    role = "in place of" if replace else "above"
    plan = Plan(
        name=manifest.name,
        workload=workload,
        demand=metrics.largest(demands),
        bounds={"minReplicas": 1 if least is None else least, "maxReplicas": most},
        behavior=rules,
        about=(f"Converted from the {KIND} {manifest.namespace}/{manifest.name}; it works {role} the HPA.",),
        checks=checks,
        keeps_hpa=not replace,
    )
    return draft(plan)


def target(manifest: Manifest, spec: Fields, log: Log) -> Workload:
    """Return what a manifest scales; what is missing is noted."""
    named = spec.within("scaleTargetRef")
    log.named(manifest)
    if not manifest.has_namespace:
        hint = "kubectl would take that of the context"
        log.look(manifest, ("metadata",), "no namespace is written; the policy is for 'default'", hint)
    return Workload(
        namespace=manifest.namespace,
        api_version=named.text("apiVersion") or "apps/v1",
        kind=named.text("kind") or "Deployment",
        name=named.text("name", needed=True),
    )


def _warn(manifest: Manifest, log: Log) -> None:
    if manifest.api_version not in VERSIONS:
        log.wrong(manifest, ("apiVersion",), f"{manifest.api_version!r} is none of {', '.join(VERSIONS)}")
    if manifest.name.startswith(_BY_KEDA):
        log.look(manifest, ("metadata", "name"), "this HPA is KEDA's", "convert its ScaledObject: policy convert keda")


def _demands(spec: Fields, workload: Workload, least: int) -> tuple[list[Demand], tuple[str, ...]]:
    """Return each metric as demand, and what is to be checked of them."""
    if spec.manifest.api_version == "autoscaling/v1":
        percent = spec.number("targetCPUUtilizationPercentage", least=1.0) or DEFAULT_CPU_PERCENT
        return [metrics.utilisation(workload, metrics.CPU, percent / 100.0)], ()
    written = spec.items("metrics")
    if not written:
        return [metrics.utilisation(workload, metrics.CPU, DEFAULT_CPU_PERCENT / 100.0)], ()
    found: list[Demand] = []
    checks: list[str] = []
    for one in written:
        demand = _demand(one, workload)
        if demand is not None:
            checks += _checks(one, demand)
            while demand.name in {other.name for other in found}:
                demand = Demand(
                    name=f"{demand.name}_{len(found)}",
                    query=demand.query,
                    unit=demand.unit,
                    per_replica=demand.per_replica,
                )
            found.append(demand)
    return found, tuple(checks)


def _checks(one: Fields, demand: Demand) -> list[str]:
    if one.text("type") in ("Resource", "ContainerResource"):
        return []
    message = f"the adapter's rule behind {demand.name!r} is not in the manifest; the query is a guess"
    one.log.look(one.manifest, one.path, message, "ask Prometheus, and compare with kubectl describe hpa")
    return [f"CHECK {demand.name}: what the metrics adapter asks Prometheus (a rate, other labels) is not known here."]


def _demand(one: Fields, workload: Workload) -> Demand | None:
    kind = one.text("type", needed=True)
    match kind:
        case "Resource" | "ContainerResource":
            return _resource(one.within("resource" if kind == "Resource" else "containerResource"), workload)
        case "Pods":
            return _pods(one.within("pods"), workload)
        case "Object" | "External":
            return _level(one.within(kind.lower()), workload, kind)
        case "":
            return None
        case _:
            hint = "Resource, ContainerResource, Pods, Object or External"
            one.log.wrong(one.manifest, (*one.path, "type"), f"unknown metric type {kind!r}", hint)
            return None


def _resource(one: Fields, workload: Workload) -> Demand | None:
    name, container, aim = one.text("name", needed=True), one.text("container"), one.within("target")
    if name not in metrics.USED:
        if name:
            one.log.wrong(one.manifest, (*one.path, "name"), f"{name!r} is neither cpu nor memory")
        return None
    percent = aim.number("averageUtilization", least=1.0)
    if percent is not None:
        return metrics.utilisation(workload, name, percent / 100.0, container)
    average = _positive(aim, "averageValue")
    return None if average is None else metrics.average_use(workload, name, average, container)


def _pods(one: Fields, workload: Workload) -> Demand | None:
    metric = one.within("metric")
    name, labels = metric.text("name", needed=True), metric.labels("selector")
    average = _positive(one.within("target"), "averageValue")
    if not name or average is None:
        return None
    demand = metrics.custom(name, {"namespace": workload.namespace, **labels}, average)
    inner = demand.query.removesuffix("})")
    query = f"{inner},pod=~{metrics.quoted(workload.pods)}}})"
    return Demand(name=demand.name, query=query, unit=f"{name} of all pods", per_replica=average)


def _level(one: Fields, workload: Workload, kind: str) -> Demand | None:
    """Return a metric that is not of the pods: a total that is shared (AverageValue), or a level to be held (Value)."""
    metric, aim = one.within("metric"), one.within("target")
    name, labels = metric.text("name", needed=True), metric.labels("selector")
    if kind == "Object":
        described = one.within("describedObject")
        labels = {
            "namespace": workload.namespace,
            described.text("kind", needed=True).lower() or "object": described.text("name", needed=True),
            **labels,
        }
    if aim.at("value") is None:
        average = _positive(aim, "averageValue")
        return None if average is None or not name else metrics.custom(name, labels, average)
    value = _positive(aim, "value")
    if value is None or not name:
        return None
    demand = metrics.custom(name, labels, value)
    if workload.ready is None:
        message = f"a level to be held (value) needs to know how many of the {workload.kind} are ready"
        aim.log.leave(aim.manifest, (*aim.path, "value"), message, "use averageValue, or write the query yourself")
        return None
    query = f"{demand.query} * {workload.ready}"
    return Demand(name=demand.name, query=query, unit=f"{name} x ready pods", per_replica=value)


def _positive(aim: Fields, key: str) -> float | None:
    found = aim.number(key, needed=True)
    if found == 0:
        aim.log.wrong(aim.manifest, (*aim.path, key), "a target of 0 asks for pods without end")
        return None
    return found
