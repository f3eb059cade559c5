"""What the nodes of a cluster show of reclaims: when waves took spot nodes away, and for how long each pool was seen.

A node that is gone was taken away, unless an autoscaler, a maintenance or a plan of ours was seen to be at work on it;
a notice counts when it is seen. Karpenter's own taint says the same of consolidation and of interruption, so that what
it consolidates counts as taken away: the bound errs to the side of risk.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from aiops.core.model import Instant, Reclaims, SeenObject, SpotNode, SpotState
from aiops.core.objects.bodies import at, strings
from aiops.core.objects.spot import is_spot, notice, pool_of
from aiops.core.planning.cost_spot import Risk

WAVE_S = 600.0
"""Nodes of a pool that go within so long of each other go together."""

PACE_S = 60.0
"""How often time is taken in while nothing happens: what is remembered is written each time."""

GAP_S = 600.0
"""After a longer time without a look it is not known when nodes went: that is no storm of now."""

KEPT_S = 6 * 3600.0
MOST_WAVES = 200
FORGOTTEN = 1e-3
"""A pool of which less than so many hours and waves is left is forgotten."""


@dataclass(frozen=True, slots=True)
class _Spot:
    uid: str
    pool: str
    taken: bool
    given: str


def spot_nodes(nodes: Iterable[SeenObject]) -> dict[str, str]:
    """Return the pool of each spot node by its name."""
    found = ((one.ref.name, strings(at(one.body, "metadata", "labels"))) for one in nodes)
    return {name: pool_of(labels) for name, labels in found if is_spot(labels)}


def learnt(memory: SpotState, nodes: Iterable[SeenObject], now: Instant, risk: Risk) -> SpotState:
    """Return the memory with what the nodes show now; the same memory while nothing is to be learnt."""
    there = {one.uid: one for one in _spots(nodes)}
    taken = Counter(_taken(memory, there))
    seen_s = now - memory.learnt_at
    same = there.keys() == memory.nodes.keys() and all(
        not one.given or one.taken or memory.nodes[uid].given for uid, one in there.items()
    )
    if not taken and same and 0.0 <= seen_s < PACE_S:
        return memory
    known = math.isfinite(seen_s) and seen_s >= 0.0
    pools = _aged(memory, seen_s if known else 0.0, risk)
    for pool in {one.pool for one in there.values()} | set(taken):
        pools.setdefault(pool, Reclaims())
    waves = tuple(one for one in memory.waves if one[0] > now - KEPT_S)
    for pool, count in taken.items():
        before = pools[pool]
        new = now - before.wave_at > WAVE_S
        pools[pool] = replace(
            before, waves=before.waves + new, wave_at=now if new else before.wave_at, nodes=before.nodes + count
        )
        if known and seen_s <= GAP_S:
            waves = _with_wave(waves, (now, pool, count, len(memory.nodes)), new=new)
    return replace(memory, nodes=_nodes(memory, there, now), pools=pools, waves=waves[-MOST_WAVES:], learnt_at=now)


def _spots(nodes: Iterable[SeenObject]) -> Iterable[_Spot]:
    for one in nodes:
        labels = strings(at(one.body, "metadata", "labels"))
        if is_spot(labels):
            taken, given = notice(one)
            yield _Spot(one.uid or one.ref.name, pool_of(labels), taken, given)


def _taken(memory: SpotState, there: Mapping[str, _Spot]) -> Iterable[str]:
    """Yield the pool of each node that is known to be taken away since the last look, once for each."""
    for uid, node in memory.nodes.items():
        now = there.get(uid)
        if math.isfinite(node.taken_at):
            continue
        if (now is None and not node.given) or (now is not None and now.taken):
            yield node.pool


def _aged(memory: SpotState, seen_s: float, risk: Risk) -> dict[str, Reclaims]:
    """Return the pools with the time since the last look, in which those counted that had any node."""
    fades = 0.5 ** (seen_s / risk.half_life_s)
    had = {one.pool for one in memory.nodes.values()}
    aged = {}
    for name, pool in memory.pools.items():
        hours = pool.hours * fades + (seen_s / 3600.0 if name in had else 0.0)
        one = replace(pool, hours=hours, waves=pool.waves * fades)
        if name in had or one.hours + one.waves > FORGOTTEN:
            aged[name] = one
    return aged


def _with_wave(
    waves: tuple[tuple[Instant, str, int, int], ...], wave: tuple[Instant, str, int, int], *, new: bool
) -> tuple[tuple[Instant, str, int, int], ...]:
    """Return the waves with one more, or with more nodes in the newest of its pool."""
    _, pool, count, of = wave
    if not new:
        for number in reversed(range(len(waves))):
            at_, name, lost, whole = waves[number]
            if name == pool:
                return (*waves[:number], (at_, name, lost + count, max(whole, of)), *waves[number + 1 :])
    return (*waves, wave)


def _nodes(memory: SpotState, there: Mapping[str, _Spot], now: Instant) -> dict[str, SpotNode]:
    made = {}
    for uid, one in there.items():
        before = memory.nodes.get(uid)
        noticed = math.inf if before is None else before.taken_at
        taken_at = min(noticed, now) if one.taken else noticed
        # what a notice said once is so, whatever became of the taint
        given = one.given or ("" if before is None else before.given)
        made[uid] = SpotNode(pool=one.pool, seen_at=now, taken_at=taken_at, given="" if one.taken else given)
    return made


def storm(memory: SpotState, now: Instant, ratio: float) -> str:
    """Return how large a part of all spot nodes was taken away lately, '' where it is less than `ratio` of them."""
    lately = [one for one in memory.waves if now - one[0] <= WAVE_S]
    lost, whole = sum(one[2] for one in lately), max((one[3] for one in lately), default=0)
    if lost < 2 or whole == 0 or lost / whole < ratio:
        return ""
    return f"{lost} of {whole} spot nodes were taken away within {WAVE_S / 60.0:.0f} min"


def often(memory: SpotState, now: Instant, most: int) -> str:
    """Return how many waves there were within an hour, '' where there were no more than `most`."""
    lately = [one for one in memory.waves if now - one[0] <= 3600.0]
    return (
        f"spot nodes were taken away {len(lately)} times within an hour, {most} is the bound"
        if len(lately) > most
        else ""
    )
