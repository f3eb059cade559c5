"""What an autoscaler is told to look at, as PromQL over the metrics that kube-prometheus has, and as demand.

An HPA sets ceil(value / target) replicas. A policy wants ceil(demand / perReplica): the same, where demand is the sum
over all pods and perReplica the target of one. Of several metrics the largest answer counts, and where one is not
known nothing is removed; a policy waits altogether then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

RATE = "2m"
"""The range of rate(): long enough for a scrape every 30 s, of which one is lost."""

CPU, MEMORY = "cpu", "memory"
USED = {
    CPU: "sum(rate(container_cpu_usage_seconds_total{{{matchers}}}[" + RATE + "]))",
    MEMORY: "sum(container_memory_working_set_bytes{{{matchers}}})",
}
UNITS = {CPU: "cores", MEMORY: "bytes"}
_READY = {
    "Deployment": ("kube_deployment_status_replicas_ready", "deployment"),
    "StatefulSet": ("kube_statefulset_status_replicas_ready", "statefulset"),
}
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is scaled."""

    namespace: str
    api_version: str
    kind: str
    name: str

    @property
    def pods(self) -> str:
        """Return the regular expression of its pods' names, such as db-[0-9]+ of a StatefulSet."""
        tail = {"Deployment": "-[a-z0-9]+-[a-z0-9]{5}", "StatefulSet": "-[0-9]+"}.get(self.kind, "-.*")
        return self.name.replace(".", "[.]") + tail

    @property
    def ready(self) -> str | None:
        """Return the query of how many pods are ready, None for a kind whose metric is not known."""
        known = _READY.get(self.kind)
        if known is None:
            return None
        return f"sum({known[0]}{{{matchers({'namespace': self.namespace, known[1]: self.name})}}})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One metric as demand. name: a word. per_replica: what one replica is to carry of it, greater than 0."""

    name: str
    query: str
    unit: str
    per_replica: float


def utilisation(workload: Workload, resource: str, target_ratio: float, container: str = "") -> Demand:
    """Return use over request as demand, in pods whose request is all used."""
    used = USED[resource].format(matchers=_of_pods(workload, container, cadvisor=True))
    asked = f'kube_pod_container_resource_requests{{{_of_pods(workload, container)},resource="{resource}"}}'
    return Demand(
        name=resource, query=f"{used} / avg(sum by (pod) ({asked}))", unit="full pods", per_replica=target_ratio
    )


def average_use(workload: Workload, resource: str, average: float, container: str = "") -> Demand:
    """Return use in cores or bytes as demand."""
    used = USED[resource].format(matchers=_of_pods(workload, container, cadvisor=True))
    return Demand(name=resource, query=used, unit=UNITS[resource], per_replica=average)


def custom(name: str, labels: dict[str, str], average: float) -> Demand:
    """Return a metric of somebody's adapter as demand; what its rules do to it is not known."""
    word = re.sub(r"\W", "_", name).strip("_") or "metric"
    word = word if word.isidentifier() else f"m_{word}"
    return Demand(name=word, query=f"sum({selector(name, labels)})", unit="", per_replica=average)


def largest(demands: Sequence[Demand]) -> Demand:
    """Return several as one, in replicas; there is none where one of them is not known."""
    if len(demands) == 1:
        return demands[0]
    shares = [f'label_replace(({one.query}) / {one.per_replica:.12g}, "by", "{one.name}", "", "")' for one in demands]
    known = " and on() ".join(f"({one.query})" for one in demands)
    return Demand(name="demand", query=f"max({' or '.join(shares)}) and on() {known}", unit="replicas", per_replica=1)


def selector(name: str, labels: dict[str, str]) -> str:
    """Return a selector; names that PromQL does not know as such are matched.

    >>> selector("up", {"job": "a"}), selector("s0-lag", {})
    ('up{job="a"}', '{__name__="s0-lag"}')
    """
    if _METRIC.fullmatch(name):
        return name + (f"{{{matchers(labels)}}}" if labels else "")
    return f"{{{matchers({'__name__': name, **labels})}}}"


def matchers(labels: dict[str, str]) -> str:
    """Return label matchers; a label that PromQL does not know is written as kube-state-metrics would."""
    return ",".join(f"{_label(name)}={quoted(value)}" for name, value in labels.items())


def quoted(text: str) -> str:
    """Return a string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _label(name: str) -> str:
    return name if _LABEL.fullmatch(name) else re.sub(r"\W", "_", name)


def _of_pods(workload: Workload, container: str, *, cadvisor: bool = False) -> str:
    pods = f"namespace={quoted(workload.namespace)},pod=~{quoted(workload.pods)}"
    if container:
        return f"{pods},container={quoted(container)}"
    return f'{pods},container!=""' if cadvisor else pods
