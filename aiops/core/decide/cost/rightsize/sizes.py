"""From what is wished to what is written: quantities, limits beside requests, and what a person is told of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aiops.core.decide.cost.rightsize.scene import Container, Scene
from aiops.core.decide.cost.rightsize.uses import MOST_KILLS, Uses, floors
from aiops.core.decide.cost.rightsize.wishes import Held, Why, Wish, Wishes
from aiops.core.model import Bools, Instant, PriceBook, Priced, UnitPrices
from aiops.core.planning.cost_rightsize import CPU, MEMORY, CpuTerms, Limits, MemoryTerms, RightsizePolicy

MIB, GIB = 2.0**20, 2.0**30
MONTH_H = 730.0
_STEPS_CORES = ((0.1, 0.001), (1.0, 0.005), (math.inf, 0.01))
_STEPS_BYTES = ((GIB, MIB), (math.inf, 16.0 * MIB))

_SAID: Mapping[Why, str] = {
    Why.FITS: "fits",
    Why.NO_HISTORY: "too little is known of it",
    Why.TOO_SMALL: "too small for what is used",
    Why.TOO_LARGE: "larger than what is used",
    Why.WAITS: "larger than what is used, and not for long enough",
    Why.LEFT_ALONE: "left alone",
    Why.KILLED: "was killed for memory",
    Why.THROTTLED: "was throttled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One resource of one container. Cores or bytes; a limit of NaN is none, a request of 0 is none.

    target: what the estimate says, within [lower, upper]. days: of history. why: the code, with a sentence in `said`.
    pods: that are there now. usd_per_month: what they cost less, None where the price is not known. most: what the
    namespace lets a container have of it.
    """

    workload: str
    container: str
    resource: str
    request: float
    wished: float
    limit: float
    wished_limit: float
    target: float
    lower: float
    upper: float
    days: float
    kills: int
    pods: int
    why: str
    said: str
    changes: bool
    usd_per_month: float | None
    most: float = math.inf


def held(found: Scene) -> Held:
    """Return what the containers' templates request now."""
    cores = np.array([_or_nothing(one.amount("requests", CPU)) for one in found.containers])
    size = np.array([_or_nothing(one.amount("requests", MEMORY)) for one in found.containers])
    return Held(cores=cores, bytes=size, whole=_whole(found, CPU))


def _whole(found: Scene, resource: str) -> Bools:
    pairs = [(one.amount("requests", resource), one.amount("limits", resource)) for one in found.containers]
    return np.array(
        [math.isfinite(limit) and abs(limit - request) <= 1e-9 * limit for request, limit in pairs], np.bool_
    )


def recommended(
    policy: RightsizePolicy, found: Scene, made: Wishes, prices: PriceBook, now: Instant
) -> tuple[Recommendation, ...]:
    """Return what is recommended of each container and resource, in the order of the containers."""
    floor_cores, _ = floors(made.uses, now, policy.sizing.use)
    out = []
    for row, one in enumerate(found.containers):
        for resource, wish in ((CPU, made.cpu), (MEMORY, made.memory)):
            if Why(int(wish.why[row])) is Why.LEFT_ALONE:
                continue
            terms = policy.sizing.cpu if resource == CPU else policy.sizing.memory
            floor = float(floor_cores[row]) if resource == CPU else 0.0
            wished, limit = _sized(one, resource, (float(wish.wished[row]), floor), terms)
            out.append(_told(_Row(found, one, row, made), resource, wish, (wished, limit), prices))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Row:
    found: Scene
    container: Container
    row: int
    made: Wishes

    @property
    def uses(self) -> Uses:
        return self.made.uses


def _told(at: _Row, resource: str, wish: Wish, wished: tuple[float, float], prices: PriceBook) -> Recommendation:
    one, row = at.container, at.row
    pods = len(at.found.of(one.workload))
    request, limit = _or_nothing(one.amount("requests", resource)), one.amount("limits", resource)
    why = Why(int(wish.why[row]))
    moved = bool(wish.changes[row]) or (math.isfinite(limit) and wished[1] > limit * (1.0 + 1e-9))
    kills = int(at.uses.kills[row]) if resource == MEMORY else 0
    said = _SAID[why]
    if kills > MOST_KILLS:
        said += f"; killed {kills} times: it leaks, and more memory only puts the next kill off"
    return Recommendation(
        workload=one.workload.ref.key,
        container=one.name,
        resource=resource,
        request=request,
        wished=wished[0] if moved else request,
        limit=limit,
        wished_limit=wished[1] if moved else limit,
        target=float(wish.estimate.target[row]),
        lower=float(wish.estimate.lower[row]),
        upper=float(wish.estimate.upper[row]),
        days=float(at.made.days[row]),
        kills=kills,
        pods=pods,
        why=why.name.lower(),
        said=said,
        changes=moved,
        usd_per_month=saved(prices, one.workload.ref.key, resource, (request - wished[0]) * pods if moved else 0.0),
    )


def saved(prices: PriceBook, workload: str, resource: str, less: float) -> float | None:
    """Return what so much less costs less in a month, None while a core or a GiB has no price. workload: its key."""
    if less == 0.0:
        return 0.0
    units = prices.units(workload) or _usual(prices)
    if units is None:
        return None
    per_hour = less * units.core_usd if resource == CPU else less / GIB * units.gib_usd
    return per_hour * MONTH_H


def _usual(prices: PriceBook) -> UnitPrices | None:
    """Return the mean of what a core and a GiB cost on the nodes whose price is known; None where none is."""
    known = [one.units for one in prices.nodes.values() if isinstance(one, Priced) and one.units is not None]
    if not known:
        return None
    cores, gibs = (sum(part) / len(known) for part in ([one.core_usd for one in known], [one.gib_usd for one in known]))
    return UnitPrices(core_usd=cores, gib_usd=gibs)


def _sized(
    one: Container, resource: str, least: tuple[float, float], terms: CpuTerms | MemoryTerms | None
) -> tuple[float, float]:
    """Return request and limit. least: of the request, and of the limit."""
    request = _rounded(least[0], _STEPS_CORES if resource == CPU else _STEPS_BYTES)
    limit, before = one.amount("limits", resource), one.amount("requests", resource)
    if not math.isfinite(limit):
        return request, math.nan
    if math.isfinite(before) and abs(limit - before) <= 1e-9 * limit:
        return request, request
    if terms is not None and terms.limits is Limits.SCALE and before > 0.0:
        limit = request * limit / before
    wished = max(limit, request, least[1])
    return request, limit if wished == limit else _rounded(wished, _STEPS_CORES if resource == CPU else _STEPS_BYTES)


def _rounded(value: float, steps: tuple[tuple[float, float], ...]) -> float:
    """Return a value that reads well, never less."""
    step = next(step for below, step in steps if value < below)
    return math.ceil(value / step - 1e-9) * step


def text(resource: str, value: float) -> str:
    """Return a quantity as people write it, '' for none.

    >>> text("cpu", 0.25), text("memory", 2.0**30), text("cpu", 2.0)
    ('250m', '1Gi', '2')
    """
    if not math.isfinite(value) or value <= 0.0:
        return ""
    if resource == CPU:
        milli = round(value * 1000.0)
        return f"{milli}m" if milli % 1000 else str(milli // 1000)
    mib = math.ceil(value / MIB - 1e-9)
    return f"{mib}Mi" if mib % 1024 else f"{mib // 1024}Gi"


def _or_nothing(value: float) -> float:
    return value if math.isfinite(value) else 0.0
