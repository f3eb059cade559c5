"""Looking at a workload before there is a policy for it: the object, its HPA, and the series of its pods."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiops.errors import NotFound, SourceUnavailable
from aiops.policy import first
from aiops.policy.convert.metrics import Workload, quoted

if TYPE_CHECKING:
    from aiops.adapters.kubernetes import KubernetesOptions
    from aiops.adapters.prometheus import PrometheusOptions

MOST_SERIES = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was seen; None where it was not. said: each choice with its reason, for people."""

    said: tuple[str, ...] = ()
    has_hpa: bool | None = None
    least: int | None = None
    most: int | None = None
    replicas: int | None = None
    demand: first.Demand | None = None
    query: str | None = None
    per_replica: float | None = None
    latency: str | None = None


def workload(options: KubernetesOptions, work: Workload) -> Found:
    """Return what the API server shows of a Deployment; raise NotFound, or what the client raises."""
    from aiops.adapters.kubernetes.connection import api_client
    from aiops.adapters.kubernetes.http import Http, NotFoundThere

    http = Http(api_client(options))
    try:
        item = http.get(f"/apis/apps/v1/namespaces/{work.namespace}/deployments/{work.name}")
    except NotFoundThere as err:
        raise NotFound(f"{http.host}: there is no Deployment {work.namespace}/{work.name}") from err
    replicas = int(_mapping(item.get("spec")).get("replicas", 1))
    said = [f"Deployment {work.namespace}/{work.name}: {replicas} replicas"]
    listed = http.get(f"/apis/autoscaling/v2/namespaces/{work.namespace}/horizontalpodautoscalers")
    for hpa in listed.get("items") or ():
        spec = _mapping(_mapping(hpa).get("spec"))
        aim = _mapping(spec.get("scaleTargetRef"))
        if (aim.get("kind"), aim.get("name")) == (work.kind, work.name):
            least, most = int(spec.get("minReplicas") or 1), int(spec.get("maxReplicas") or 1)
            name = _mapping(hpa.get("metadata")).get("name")
            said.append(f"HPA {name}, {least} to {most}: it stays, and the policy moves its floor (lever hpa-floor)")
            return Found(said=tuple(said), has_hpa=True, least=least, most=most, replicas=replicas)
    most = max(2, replicas * first.MOST_TIMES)
    said.append(
        f"no HPA: the policy moves the replicas; maxReplicas {most} is {first.MOST_TIMES} times what runs: check"
    )
    return Found(said=tuple(said), has_hpa=False, least=max(1, min(2, replicas)), most=most, replicas=replicas)


def metrics(options: PrometheusOptions, work: Workload, before: Found) -> Found:
    """Return what was seen before, with the signals that the series of the pods allow, and why these.

    Raises SourceUnavailable when Prometheus does not answer.
    """
    from aiops.adapters.prometheus.session import BoundedSession

    with BoundedSession(options) as session:

        def asked(path: str, **data: str) -> Any:
            body = session.post(f"{options.url.rstrip('/')}/api/v1/{path}", data=data).json()
            return body.get("data") if isinstance(body, dict) else None

        def value(query: str) -> float | None:
            result = _mapping(asked("query", query=query)).get("result")
            try:
                number = float(result[0]["value"][1]) if result else math.nan
            except (KeyError, IndexError, TypeError, ValueError) as err:
                raise SourceUnavailable(f"{options.url}: an answer that is no number") from err
            return number if math.isfinite(number) else None

        matcher = f"{{namespace={quoted(work.namespace)},pod=~{quoted(work.pods)}}}"
        series = asked("series", **{"match[]": matcher, "limit": str(MOST_SERIES)})
        known = [one for one in series or () if isinstance(one, dict)][:MOST_SERIES]
        rates, latencies = first.rates(known), first.latencies(known)
        said = [*before.said, f"{len(known)} series match {matcher}"]
        found = _demand(work, rates, said)
        used = value(first.cpu_query(work))
        each = _carried(value(found.query or ""), used, found, said)
        latency = first.latency_query(latencies[0]) if latencies else None
        if latencies:
            said.append(f"latency: {latencies[0].metric} ({latencies[0].why}); say what you promise with --slo")
    return replace(before, said=tuple(said), demand=found.demand, query=found.query, per_replica=each, latency=latency)


def _demand(work: Workload, rates: list[first.Candidate], said: list[str]) -> Found:
    if not rates:
        said.append("demand: no counter of requests among them, so the use of CPU over its requests")
        return Found(demand=first.Demand.CPU, query=first.cpu_query(work))
    said.append(f"demand: {rates[0].metric} ({rates[0].why})")
    said += [f"  not {one.metric} ({one.why})" for one in rates[1:4]]
    return Found(demand=first.Demand.REQUESTS, query=first.rate_query(rates[0]))


def _carried(rate: float | None, used: float | None, found: Found, said: list[str]) -> float | None:
    """Return what a pod carries when as much of its request is used as is wanted, by what it carries now."""
    if found.demand is first.Demand.CPU:
        return first.TARGET_RATIO
    if not rate or not used:
        said.append("perReplica: there is no traffic or no CPU metric now to guess it from")
        return None
    each = float(f"{rate / used * first.TARGET_RATIO:.2g}")
    said.append(
        f"perReplica: {rate:.3g} req/s use {used:.3g} pods' CPU requests now: {each:g} at {first.TARGET_RATIO:.0%}; "
        "a guess until a load test says more"
    )
    return each


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
