"""LimitRanges and ResourceQuotas: which sizes of containers a namespace lets in. CPU and memory, in cores and bytes.

As Kubernetes' admission plugins LimitRanger and ResourceQuota judge pods: a template may hold any sizes, and no pod is
made from it. What cannot be read as a quantity bounds nothing here, and is told by the API server.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiops.core.model import SeenObject
from aiops.core.objects.bodies import at, listed, name_of, strings
from aiops.core.objects.quantities import amount

LIMIT_RANGES = ("v1", "LimitRange")
QUOTAS = ("v1", "ResourceQuota")
RESOURCES = ("cpu", "memory")
PARTS = ("requests", "limits")
_CLOSE = 1e-9
_BOUNDING = ("min", "max", "default", "maxLimitRequestRatio")
_COUNTED = {"requests": ("", "requests."), "limits": ("limits.",)}
"""What a quota calls requests and limits; the bare name of a resource is that of requests."""

Amounts: TypeAlias = Mapping[str, Mapping[str, float]]
"""Cores or bytes by part (requests, limits) and resource; what is not said is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What LimitRanges allow one container of one resource. limit: the one that it gets where it says none.

    ratio: how many times its request a limit may be. said: the names of the ranges, for people.
    """

    least: float = 0.0
    most: float = math.inf
    limit: float = math.nan
    ratio: float = math.inf
    said: str = ""


def bounds(ranges: Iterable[SeenObject], resource: str) -> Bounds:
    """Return what all ranges together allow a container."""
    least, most, limit, ratio, names = 0.0, math.inf, math.nan, math.inf, []
    for one, item in _items(ranges, "Container"):
        if any(resource in strings(item.get(part)) for part in _BOUNDING):
            names.append(str(one.ref))
        low, high, times = _bounds(item, resource)
        least, most, ratio = max(least, low), min(most, high), min(ratio, times)
        limit = _quantity(at(item, "default", resource)) if math.isnan(limit) else limit
    return Bounds(least=least, most=most, limit=limit, ratio=ratio, said=", ".join(dict.fromkeys(names)))


def with_sizes(spec: Mapping[str, Any], container: str, sizes: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the spec of a pod in which a container has these requests and limits, beside those that it has."""
    return {**spec, "containers": [_with(one, container, sizes) for one in listed(spec.get("containers"))]}


def _with(one: Mapping[str, Any], container: str, sizes: Mapping[str, Mapping[str, str]]) -> Mapping[str, Any]:
    if name_of(one) != container:
        return one
    own = {part: {**strings(at(one, "resources", part)), **sizes.get(part, {})} for part in PARTS}
    return {**one, "resources": own}


# -- LimitRanges ---------------------------------------------------------------------------------------


def out_of_range(ranges: Sequence[SeenObject], spec: Mapping[str, Any]) -> str:
    """Return which LimitRange lets no pod of this spec in, and why; '' when all do."""
    every = (*listed(spec.get("containers")), *listed(spec.get("initContainers")))
    single = [(name_of(one), _of(one, ranges)) for one in every]
    for name, sizes in single:
        for resource in RESOURCES:
            request, limit = (sizes[part].get(resource, math.nan) for part in PARTS)
            if request > limit * (1.0 + _CLOSE):
                default = bounds(ranges, resource)
                given = f"a limit of {resource} of {_text(resource, limit)}"
                return f"LimitRange {default.said} gives container {name} {given}, below its request"
    for one, item in _items(ranges, "Container"):
        for name, sizes in single:
            why = _refused(item, sizes)
            if why:
                return f"LimitRange {one.ref} {why} of container {name}"
    whole = _whole(spec, ranges)
    for one, item in _items(ranges, "Pod"):
        why = _refused(item, whole)
        if why:
            return f"LimitRange {one.ref} {why} of a whole pod"
    return ""


def _refused(item: Mapping[str, Any], sizes: Amounts) -> str:
    """Return what one item of a LimitRange refuses, '' for nothing."""
    for resource in RESOURCES:
        least, most, ratio = _bounds(item, resource)
        request, limit = (sizes[part].get(resource, math.nan) for part in PARTS)
        known = [one for one in (request, limit) if not math.isnan(one)]
        low, high = min(known, default=math.nan), max(known, default=math.nan)
        has, of = (_text(resource, one) for one in (limit, request))
        # what is not said is refused by a bound
        if least > 0.0 and (math.isnan(request) or low < least * (1.0 - _CLOSE)):
            return f"wants {resource} of {_text(resource, least)} at least, not {_text(resource, low)},"
        if most < math.inf and (math.isnan(limit) or high > most * (1.0 + _CLOSE)):
            what = "no limit" if math.isnan(limit) else _text(resource, high)
            return f"allows {resource} of {_text(resource, most)} at most, not {what},"
        if ratio < math.inf and not limit <= request * ratio * (1.0 + _CLOSE):
            return f"allows a limit of {resource} of {ratio:.4g} times its request, not {has} of {of},"
    return ""


def _bounds(item: Mapping[str, Any], resource: str) -> tuple[float, float, float]:
    """Return the least, the most and the ratio of one item of a LimitRange."""
    least, most, ratio = (_quantity(at(item, part, resource)) for part in ("min", "max", "maxLimitRequestRatio"))
    return (
        0.0 if math.isnan(least) else least,
        math.inf if math.isnan(most) else most,
        ratio if ratio >= 1.0 else math.inf,
    )


def _text(resource: str, value: float) -> str:
    """Return an amount as people read it.

    >>> _text("cpu", 0.25), _text("memory", 3.5 * 2**30), _text("cpu", math.nan)
    ('0.25', '3584Mi', 'none')
    """
    if math.isnan(value):
        return "none"
    return f"{value:.4g}" if resource == "cpu" else f"{value / 2**20:.6g}Mi"


# -- ResourceQuotas ------------------------------------------------------------------------------------


def over_quota(
    quotas: Iterable[SeenObject],
    ranges: Sequence[SeenObject],
    specs: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]],
    *,
    first: Mapping[str, Any] | None = None,
) -> str:
    """Return which quota has no room for what pods would have, and why; '' when all have.

    specs: of the pods as they are, and as they will be. first: of a pod that a rollout makes before it takes one away.
    """
    before, after = specs
    for one in quotas:
        for part, resource, name, hard in _counted(one):
            kept = [[_counts(spec, ranges) for spec in some if _in_scope(one, spec)] for some in (before, after)]
            was, will = (math.fsum(each[part].get(resource, 0.0) for each in some) for some in kept)
            more = will - was
            if first is not None and _in_scope(one, first):
                # the first of the new ones is made beside all old ones, and the last one beside an old one
                last = max((each[part].get(resource, 0.0) for each in kept[0]), default=0.0)
                more = max(more + last, _counts(first, ranges)[part].get(resource, 0.0))
            if more <= 0.0:
                continue
            used = _quantity(at(one.body, "status", "used", name))
            if math.isnan(used):
                return f"ResourceQuota {one.ref} has not counted {name} yet"
            if used + more > hard * (1.0 + _CLOSE):
                beside = " beside those that run, as a rollout needs for a while" if more > will - was else ""
                left, wanted = _text(resource, max(0.0, hard - used)), _text(resource, more)
                return f"ResourceQuota {one.ref} has {left} {name} left, not {wanted} more{beside}"
    return ""


def _counted(quota: SeenObject) -> Iterator[tuple[str, str, str, float]]:
    """Yield what a quota bounds of CPU and memory: part, resource, the quota's name of it, and how much it allows."""
    hard = at(quota.body, "spec", "hard")
    for part in PARTS:
        for resource in RESOURCES:
            for prefix in _COUNTED[part]:
                allowed = _quantity(at(hard, f"{prefix}{resource}"))
                if not math.isnan(allowed):
                    yield part, resource, f"{prefix}{resource}", allowed


def _in_scope(quota: SeenObject, spec: Mapping[str, Any]) -> bool:
    """Return whether a quota counts pods of a spec; a scope that is not understood does."""
    scopes = at(quota.body, "spec", "scopes")
    named = [(one, "Exists", frozenset[str]()) for one in _texts(scopes)]
    selected = [
        (str(one.get("scopeName")), str(one.get("operator")), _texts(one.get("values")))
        for one in listed(at(quota.body, "spec", "scopeSelector", "matchExpressions"))
    ]
    return all(_within(name, operator, values, spec) for name, operator, values in (*named, *selected))


def _texts(value: Any) -> frozenset[str]:
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else frozenset()


def _within(name: str, operator: str, values: frozenset[str], spec: Mapping[str, Any]) -> bool:
    if name == "PriorityClass":
        of = str(spec.get("priorityClassName") or "")
        answers = {"In": of in values, "NotIn": of not in values, "Exists": bool(of), "DoesNotExist": not of}
        return answers.get(operator, True)
    sized = any(strings(at(one, "resources", part)) for one in listed(spec.get("containers")) for part in PARTS)
    ending = spec.get("activeDeadlineSeconds") is not None
    answers = {"BestEffort": not sized, "NotBestEffort": sized, "Terminating": ending, "NotTerminating": not ending}
    return answers.get(name, True)


# -- what a pod has ------------------------------------------------------------------------------------


def _of(container: Mapping[str, Any], ranges: Sequence[SeenObject]) -> dict[str, dict[str, float]]:
    """Return what a container has once it is let in: what it says, and defaults for what it does not."""
    said = {part: strings(at(container, "resources", part)) for part in PARTS}
    said["requests"] = {**said["limits"], **said["requests"]}
    for _, item in _items(ranges, "Container"):
        said["limits"] = {**strings(item.get("default")), **said["limits"]}
        said["requests"] = {**strings(item.get("defaultRequest")), **said["requests"]}
    made: dict[str, dict[str, float]] = {}
    for part, texts in said.items():
        known = {name: _quantity(texts[name]) for name in RESOURCES if name in texts}
        made[part] = {name: value for name, value in known.items() if not math.isnan(value)}
    return made


def _counts(spec: Mapping[str, Any], ranges: Sequence[SeenObject]) -> dict[str, dict[str, float]]:
    """Return what a pod has: its containers and sidecars together, or while it begins, whichever is more."""
    inits = listed(spec.get("initContainers"))
    starts = [_of(one, ranges) for one in inits if one.get("restartPolicy") != "Always"]
    every = _lasting(spec, ranges)
    made: dict[str, dict[str, float]] = {}
    for part in PARTS:
        together = {name: math.fsum(one[part].get(name, 0.0) for one in every) for name in RESOURCES}
        made[part] = {
            name: max(value, *(one[part].get(name, 0.0) for one in starts), 0.0) for name, value in together.items()
        }
    return made


def _whole(spec: Mapping[str, Any], ranges: Sequence[SeenObject]) -> dict[str, dict[str, float]]:
    """Return what a pod has of what all of its containers say: the rest is not said of the pod."""
    every, counts = _lasting(spec, ranges), _counts(spec, ranges)
    return {
        part: {name: value for name, value in counts[part].items() if all(name in one[part] for one in every)}
        for part in PARTS
    }


def _lasting(spec: Mapping[str, Any], ranges: Sequence[SeenObject]) -> list[dict[str, dict[str, float]]]:
    """Return what each container has that stays: sidecars are among them."""
    sidecars = [one for one in listed(spec.get("initContainers")) if one.get("restartPolicy") == "Always"]
    return [_of(one, ranges) for one in (*listed(spec.get("containers")), *sidecars)]


def _items(ranges: Iterable[SeenObject], kind: str) -> Iterator[tuple[SeenObject, Mapping[str, Any]]]:
    for one in ranges:
        for item in listed(at(one.body, "spec", "limits")):
            if item.get("type") == kind:
                yield one, item


def _quantity(text: Any) -> float:
    """Return a quantity as a number, NaN for none."""
    try:
        return float(amount(str(text))) if isinstance(text, str | int) else math.nan
    except ValueError:
        return math.nan
