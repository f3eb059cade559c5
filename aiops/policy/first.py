"""A first policy and its tests: from answers, or from what a Deployment and its metrics show. Pure; the shell asks."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aiops.policy.convert.draft import Data, Draft
from aiops.policy.convert.metrics import CPU, Workload, quoted, utilisation

TARGET_RATIO = 0.7
"""How full pods may be by default."""

MOST_TIMES = 5
"""The first ceiling is so many times what runs."""

WORTH_RATIO = 0.8
"""Fewer than so many of the most are far beyond what tolerance leaves as it is."""

SCHEMA_OF_TESTS = "policy-tests.v1alpha1.json"
_RATE_ENDINGS = (
    "_requests_total",
    "_request_total",
    "_request_count",
    "_requests_count",
    "_request_duration_seconds_count",
)
_LATENCY_ENDINGS = ("_request_duration_seconds_bucket", "_latency_seconds_bucket", "_duration_seconds_bucket")
_SERVING = ("http", "grpc", "request", "istio", "nginx")
_LESS = ("client", "outgoing", "apiserver", "prometheus_", "go_", "process_", "kube_", "container_")


class Demand(StrEnum):
    """What is asked for."""

    REQUESTS = "requests"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is known of a workload. per_replica: in units of demand. latency: a query, or empty for no SLO."""

    workload: Workload
    demand: Demand
    query: str
    per_replica: float
    least: int
    most: int
    startup_s: float = 60.0
    latency: str = ""
    slo: str = ""
    has_hpa: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A metric that could be a signal, and why. score: higher is better."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    score: int
    why: str


@dataclass(slots=True)
class _Seen:
    score: int = 0
    why: list[str] = field(default_factory=list)


def rates(series: Sequence[dict[str, str]]) -> list[Candidate]:
    """Return the counters of requests among series, the best first."""
    return _candidates(series, _RATE_ENDINGS)


def latencies(series: Sequence[dict[str, str]]) -> list[Candidate]:
    """Return the histograms of how long requests took among series, the best first."""
    return _candidates(series, _LATENCY_ENDINGS)


def rate_query(found: Candidate) -> str:
    """Return the query of requests per second."""
    return f"sum(rate({_selector(found)}[2m]))"


def latency_query(found: Candidate) -> str:
    """Return the query of the 95th percentile in seconds."""
    return f"histogram_quantile(0.95, sum by (le) (rate({_selector(found)}[2m])))"


def _selector(found: Candidate) -> str:
    labels = ",".join(f"{name}={quoted(value)}" for name, value in found.labels)
    return f"{found.metric}{{{labels}}}"


def _candidates(series: Sequence[dict[str, str]], endings: Sequence[str]) -> list[Candidate]:
    by_metric: dict[str, list[dict[str, str]]] = {}
    for one in series:
        name = one.get("__name__", "")
        if name.endswith(tuple(endings)):
            by_metric.setdefault(name, []).append(one)
    made = [_judged(name, some, endings) for name, some in by_metric.items()]
    return sorted((one for one in made if one.score > 0), key=lambda one: (-one.score, one.metric))


def _judged(name: str, series: Sequence[dict[str, str]], endings: Sequence[str]) -> Candidate:
    """Return a metric with the labels that all its series share, and how well it would do."""
    seen = _Seen(score=10 - next(place for place, one in enumerate(endings) if name.endswith(one)))
    seen.why.append(f"its name ends in {next(one for one in endings if name.endswith(one))}")
    if any(word in name for word in _SERVING):
        seen.score += 3
        seen.why.append("it speaks of requests")
    if any(word in name for word in _LESS):
        seen.score -= 20
        seen.why.append("it is about something else than what is served here")
    seen.why.append(f"{len(series)} series of these pods")
    labels: list[tuple[str, str]] = []
    for label in ("namespace", "service", "job", "app"):
        values = {one.get(label, "") for one in series}
        if len(values) == 1 and values != {""} and (label == "namespace" or len(labels) < 2):
            labels.append((label, values.pop()))
    return Candidate(metric=name, labels=tuple(labels), score=seen.score, why=", ".join(seen.why))


def cpu_query(workload: Workload) -> str:
    """Return the use of CPU in pods whose request is all used."""
    return utilisation(workload, CPU, TARGET_RATIO).query


def policy(answers: Answers) -> Draft:
    """Return the policy."""
    work = answers.workload
    unit = "req/s" if answers.demand is Demand.REQUESTS else "full pods"
    signals: Data = {"demand": {"query": answers.query, "unit": unit}}
    objective: Data = {"demand": "demand", "perReplica": _plain(answers.per_replica)}
    if answers.latency:
        signals["latency"] = {"query": answers.latency, "unit": "s", "whenNoTraffic": "meets-slo"}
        objective["slo"] = {"signal": "latency", "atMost": answers.slo}
    spec: Data = {
        "mode": "dry-run",
        "target": {"apiVersion": work.api_version, "kind": work.kind, "name": work.name},
        "lever": "hpa-floor" if answers.has_hpa else "replicas",
        "signals": signals,
        "objective": objective,
        "forecast": {"history": "14d", "quantile": 0.95, "leadTime": f"{answers.startup_s:g}s"},
        "bounds": {"minReplicas": answers.least, "maxReplicas": answers.most},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        "verify": {"within": "5m"},
    }
    if not answers.has_hpa:
        spec["fallback"] = {"after": "5m", "replicas": busy(answers)}
    if work.kind != "Deployment":
        spec["scaleIn"] = "allowed"
    return Draft(
        kind="ScalingPolicy",
        name=work.name,
        namespace=work.namespace,
        spec=spec,
        about=(f"A first policy for {work.kind} {work.namespace}/{work.name}.", *answers.reasons),
        comments=_comments(answers),
    )


def busy(answers: Answers) -> int:
    """Return what runs while nothing can be seen: between the least and the most."""
    return max(1, math.ceil((answers.least + answers.most) / 2))


def _comments(answers: Answers) -> dict[str, tuple[str, ...]]:
    lever = (
        "The HPA stays and reacts; its floor (minReplicas) is raised ahead of what is expected."
        if answers.has_hpa
        else "Nobody else may write the replicas: no HPA, and no GitOps tool that applies them."
    )
    return {
        "mode": ("It says what it would do, and does nothing. Next: shadow, evidence, `aiops policy promote`.",),
        "lever": (lever,),
        "signals": ("Try each query in Prometheus: one series, and no gaps.",),
        "objective": ("perReplica: what one pod carries within the SLO, in units of demand. Measure it.",),
        "forecast": ("leadTime: from the decision to a ready pod, until that is measured.",),
        "bounds": ("maxReplicas is what the cluster and the budget bear, and not what is hoped for.",),
        "fallback": ("While Prometheus is blind nothing is known: what a busy hour needs.",),
    }


def written_tests(answers: Answers, policy_file: str, schema: str = SCHEMA_OF_TESTS) -> str:
    """Return the test file: more demand gets more, less gets fewer, the ceiling holds, blindness removes nothing."""
    each, least, most = answers.per_replica, answers.least, answers.most
    start = max(1, least)
    more = min(most, start * 2)
    low, high = _number(each * (start - 0.5)), _number(each * (more - 0.5))
    over = _number(each * most * 2)
    calm = ", latency: '0.01x120'" if answers.latency else ""
    out = f"{{by: 5m, action: {_action(answers)}}}, " if more > start else ""
    grown = f"{{at: 1m, replicas: {start}}}, {out}{{at: 11m, replicas: {more}}}"
    lines = [
        f"# yaml-language-server: $schema={schema}",
        f"# Tests of {policy_file}: aiops policy test {policy_file}",
        f"policies: [{policy_file}]",
        "step: 15s",
        "tests:",
        *_case("more demand gets more replicas", start, f"'{low}x8 {high}x40'", calm, f"expect: [{grown}]"),
        *_case(
            "there is a ceiling",
            most,
            f"'{over}x20'",
            calm,
            f"expect: [{{at: 2m, reason: bounds, replicas: {most}}}]",
        ),
        *_case(
            "what cannot be seen removes nothing",
            most,
            f"'{over}x8 stalex10'",
            calm,
            f"expect: [{{at: 3m, verdict: wait, reason: stale_signal, replicas: {most}}}]",
            "never: [{direction: in}]",
        ),
    ]
    if start < WORTH_RATIO * most:
        lines += _case(
            "less demand gets fewer, and not at once",
            most,
            f"'{low}x120'",
            calm,
            f"expect: [{{by: 29m, action: {_action(answers)}, direction: in}}]",
            "never: [{direction: in, to: 4m45s}]",
        )
    return "\n".join(lines) + "\n"


def _case(name: str, replicas: int, demand: str, calm: str, *expected: str) -> list[str]:
    return [
        f"  - name: {name}",
        f"    replicas: {replicas}",
        "    given: {mode: enforce, forecast: off}",
        f"    series: {{demand: {demand}{calm}}}",
        *(f"    {one}" for one in expected),
    ]


def _action(answers: Answers) -> str:
    return "SetFloor" if answers.has_hpa else "Scale"


def _number(value: float) -> str:
    return re.sub(r"\.?0+$", "", f"{value:.6f}") if "." in f"{value:.6f}" else f"{value:g}"


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value
