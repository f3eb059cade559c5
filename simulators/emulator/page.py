"""The text that Prometheus scrapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from simulators.emulator.faults import Surface
from simulators.emulator.fleet import Fleet, Group
from simulators.emulator.workload import Shown
from simulators.exporter import EDGES

_FAMILIES = {
    "http_requests_total": "counter",
    "http_request_duration_seconds": "histogram",
    "container_cpu_usage_seconds_total": "counter",
    "emulator_offered_requests_per_second": "gauge",
    "emulator_queued_requests": "gauge",
    "emulator_ready_pods": "gauge",
    "emulator_cpu_cores": "gauge",
    "emulator_cpu_utilisation_ratio": "gauge",
    "emulator_route_found": "gauge",
    "emulator_route_requests_total": "counter",
    "emulator_api_up": "gauge",
}
Sample = tuple[str, str, float]


def text(fleet: Fleet, api_up: bool) -> str:
    """Return the page: what each workload shows, the routes, and whether the API server answers."""
    by_family: dict[str, list[str]] = {name: [] for name in _FAMILIES}
    for family, line in _lines(fleet, api_up):
        by_family[family].append(line)
    whole = []
    for family, lines in by_family.items():
        if lines:
            whole += [f"# TYPE {family} {_FAMILIES[family]}", *lines]
    return "\n".join(whole) + "\n"


def _lines(fleet: Fleet, api_up: bool) -> Iterator[tuple[str, str]]:
    for workload in fleet.workloads.values():
        shown = workload.shown(Surface.METRICS)
        if shown is not None:
            labels = f'namespace="{workload.spec.namespace}",service="{workload.spec.service}"'
            yield from _written(_workload(labels, shown))
            for name, more, value in _histogram(labels, shown):
                yield "http_request_duration_seconds", f"{name}{{{more}}} {_number(value)}"
    for group in fleet.groups.values():
        if group.book.synced:
            yield from _written(_group(group))
    yield "emulator_api_up", f"emulator_api_up {int(api_up)}"


def _written(samples: Iterable[Sample]) -> Iterator[tuple[str, str]]:
    for name, labels, value in samples:
        yield name, f"{name}{{{labels}}} {_number(value)}"


def _workload(labels: str, shown: Shown) -> Iterator[Sample]:
    yield "http_requests_total", f'{labels},code="200"', shown.counters.served
    yield "http_requests_total", f'{labels},code="500"', shown.counters.failed
    yield "container_cpu_usage_seconds_total", labels, shown.counters.cpu_s
    yield "emulator_offered_requests_per_second", labels, shown.offered_rps
    yield "emulator_queued_requests", labels, shown.queue
    yield "emulator_ready_pods", labels, shown.ready
    yield "emulator_cpu_cores", labels, shown.cpu_cores
    yield "emulator_cpu_utilisation_ratio", labels, shown.use_ratio


def _histogram(labels: str, shown: Shown) -> Iterator[Sample]:
    name, counters = "http_request_duration_seconds", shown.counters
    answered = counters.served + counters.failed
    for edge, value in zip(EDGES, counters.below, strict=True):
        yield f"{name}_bucket", f'{labels},le="{edge}"', value
    yield f"{name}_bucket", f'{labels},le="+Inf"', answered
    yield f"{name}_count", labels, answered
    yield f"{name}_sum", labels, counters.duration_s


def _group(group: Group) -> Iterator[Sample]:
    route = group.spec.route
    labels = f'namespace="{route.namespace}",route="{route.name}"'
    yield "emulator_route_found", labels, float(group.book.weights is not None)
    service = f'namespace="{group.spec.namespace}",service="{group.spec.name}"'
    yield "emulator_offered_requests_per_second", service, group.offered_rps
    for code, value in (("200", group.passed), ("404", group.lost), ("500", group.refused)):
        yield "emulator_route_requests_total", f'{labels},code="{code}"', value


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(float(value))
