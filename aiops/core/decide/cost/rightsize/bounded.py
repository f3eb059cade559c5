"""What a namespace lets in: a size beyond a LimitRange is cut to it, and what it or a quota refuses is not written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiops.core.decide.cost.rightsize.scene import Scene
from aiops.core.decide.cost.rightsize.sizes import MIB, Recommendation, saved, text
from aiops.core.model import PriceBook, SeenObject
from aiops.core.objects import admission
from aiops.core.objects.bodies import at
from aiops.core.objects.budgets import taken_at_once
from aiops.core.planning.cost_rightsize import CPU, How

_CLOSE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """The LimitRanges and the ResourceQuotas of a namespace, and how its sizes are changed."""

    ranges: Sequence[SeenObject]
    quotas: Sequence[SeenObject]
    how: How

    def bounded(self, one: Recommendation, found: Scene, prices: PriceBook) -> Recommendation:
        """Return what is let in of a change: it itself, less of it, or none, with the reason in its words."""
        if not one.changes:
            return one
        cut = self._cut(one, prices)
        if not cut.changes:
            return cut
        why = self._refused(cut, found)
        return replace(cut, changes=False, why="refused", said=f"{cut.said}; {why}") if why else cut

    def _cut(self, one: Recommendation, prices: PriceBook) -> Recommendation:
        allowed = admission.bounds(self.ranges, one.resource)
        request, limit = _within(one, allowed)
        most = allowed.most if math.isfinite(one.limit) or math.isnan(allowed.limit) else allowed.limit
        if (request, limit) == (one.wished, one.wished_limit) or (request == one.wished and math.isnan(limit)):
            return replace(one, most=most)
        said = f"{one.said}; LimitRange {allowed.said} allows {_range(one.resource, allowed, most)}"
        moves = _way(request, one.request) == _way(one.wished, one.request) != 0
        moves |= math.isfinite(limit) and _way(limit, one.limit) == _way(one.wished_limit, one.limit) != 0
        if not moves:
            stays = replace(one, wished=one.request, wished_limit=one.limit, usd_per_month=0.0, most=most)
            return replace(stays, changes=False, why="bounded", said=said)
        money = saved(prices, one.workload, one.resource, (one.request - request) * one.pods)
        return replace(one, wished=request, wished_limit=limit, said=said, usd_per_month=money, most=most)

    def _refused(self, one: Recommendation, found: Scene) -> str:
        """Return why no pod would be made of it, or a running one not resized; '' when it is let in."""
        workload = found.workloads[one.workload]
        pods = [pod for each in found.of(workload) if isinstance(pod := each.body.get("spec"), Mapping)]
        template = at(workload.body, "spec", "template", "spec")
        template = template if isinstance(template, Mapping) else {}
        if self.how is How.IN_PLACE:
            resized = [_sized(pod, one) for pod in pods]
            reasons = (admission.out_of_range(self.ranges, pod) for pod in resized)
            why = next((one for one in reasons if one), "")
            return why or admission.over_quota(self.quotas, self.ranges, (pods, resized))
        after = _sized(template, one)
        # a Deployment that may lose no pod makes one more first
        first = after if pods and workload.ref.kind == "Deployment" and taken_at_once(workload) == 0 else None
        return admission.out_of_range(self.ranges, after) or admission.over_quota(
            self.quotas, self.ranges, (pods, [after] * len(pods)), first=first
        )


def _within(one: Recommendation, allowed: admission.Bounds) -> tuple[float, float]:
    """Return request and limit as near to what is wished as is allowed; a limit of NaN is none."""
    step = 0.001 if one.resource == CPU else MIB
    # rounded into the bounds, as quantities are written
    least = math.ceil(allowed.least / step - 1e-6) * step
    most = math.floor(allowed.most / step + 1e-6) * step if math.isfinite(allowed.most) else math.inf
    request, limit = min(max(one.wished, least), most), min(max(one.wished_limit, least), most)
    if math.isnan(one.wished_limit):
        given = allowed.limit
        limit = math.nan
        top = most if math.isnan(given) else min(most, math.floor(given / step + 1e-6) * step)
        request = min(request, top)
    else:
        given = limit
        whole = math.isfinite(one.limit) and abs(one.limit - one.request) <= _CLOSE * one.limit
        request = limit if whole else min(request, limit)
    if math.isfinite(allowed.ratio) and given > request * allowed.ratio:
        request = math.ceil(given / allowed.ratio / step - 1e-6) * step
    return request, limit


def _way(after: float, before: float) -> int:
    """Return 1 for more, -1 for less, 0 for the same."""
    if math.isclose(after, before, rel_tol=_CLOSE):
        return 0
    return 1 if after > before else -1


def _range(resource: str, allowed: admission.Bounds, most: float) -> str:
    low, high = text(resource, allowed.least), text(resource, most)
    said = f"{resource} of {low or '0'}..{high}" if high else f"{resource} of at least {low or '0'}"
    return f"{said}, and a limit of {allowed.ratio:.4g} times the request" if math.isfinite(allowed.ratio) else said


def _sized(spec: Mapping[str, Any], one: Recommendation) -> Mapping[str, Any]:
    sizes = {"requests": {one.resource: text(one.resource, one.wished)}}
    if math.isfinite(one.wished_limit):
        sizes["limits"] = {one.resource: text(one.resource, one.wished_limit)}
    return admission.with_sizes(spec, one.container, sizes)
