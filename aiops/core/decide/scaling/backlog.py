"""Queue workers: how fast a backlog must shrink, and how many consumers share the partitions of a queue.

A backlog stands when more waits than the ready replicas serve in a tick. It then gets a date by which it must be gone
(`drainWithin` after it began to stand), and the rate at which it must shrink is added to what arrives: by the date, not
by a share of what is left each tick, which would never end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiops.core.model import Instant
from aiops.core.policies import Backlog

LEAST_SHARE = 0.1
"""What is overdue, or nearly, is to be gone within this share of `drainWithin`: soon, and not within one tick."""

_FUZZ = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What is known of a queue. waiting, arriving (per s), carried (per s, by the ready replicas) in units of demand.

    due: when the backlog must be gone, infinite while none stands. delay_s: until a replica asked for now is consuming.
    """

    waiting: float
    arriving: float
    carried: float
    due: Instant
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How fast a backlog must shrink (units of demand per s), and by when; 0 and never while none stands."""

    rate: float
    due: Instant


NONE = Drain(rate=0.0, due=math.inf)


def stands(waiting: float, rate: float, tick_s: float) -> bool:
    """Return whether more waits than is served at `rate` (per s) in a tick."""
    return waiting > rate * tick_s


def drain(backlog: Backlog, queue: Queue, now: Instant, tick_s: float) -> Drain:
    """Return how fast the backlog must shrink from the moment on at which what is decided now takes effect.

    Until then it grows or shrinks by what the ready replicas carry beyond what arrives.
    """
    if not stands(queue.waiting, queue.carried, tick_s):
        return NONE
    due = min(queue.due, now + backlog.drain_s)
    later = max(0.0, queue.waiting + (queue.arriving - queue.carried) * queue.delay_s)
    left_s = max(due - now - queue.delay_s, LEAST_SHARE * backlog.drain_s, tick_s)
    return Drain(rate=later / left_s, due=due)


def sharing(replicas: int, demand: float, each: float, partitions: int) -> int:
    """Return the least number of consumers at which none has more than `each` of `demand`, `partitions` at most.

    replicas: how many there would have to be if the work were shared evenly. Whole partitions are shared: among 24,
    13 consumers carry no more than 12, since one of them still has two.

    >>> sharing(13, 1201.0, 100.0, 24), sharing(4, 330.0, 100.0, 10), sharing(40, 4000.0, 100.0, 24)
    (24, 4, 24)
    """
    if replicas <= 0 or demand <= 0.0:
        return min(replicas, partitions)
    share = partitions * each / demand
    if not share + _FUZZ >= 1.0:  # nor is infinite work by what carries without end, which is no number
        return partitions
    most = math.floor(min(share, partitions) + _FUZZ)
    return max(min(replicas, partitions), math.ceil(partitions / most))


def shared(replicas: float, partitions: int) -> float:
    """Return how many evenly loaded consumers so many are worth.

    >>> shared(13, 24), shared(24, 24), shared(30, 24), shared(0, 24)
    (12.0, 24.0, 24.0, 0.0)
    """
    return 0.0 if replicas <= 0 else partitions / math.ceil(partitions / min(replicas, partitions))
