"""What containers used before they were looked at first, read from history beside the loop and handed to a turn."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aiops.core.decide.cost.rightsize.past import LEAST_S, Block, Pods, Span, block, told, unread
from aiops.core.decide.cost.rightsize.scene import Scene, scene
from aiops.core.model import Inputs, Instant, LoopState, PolicyKey, RightsizeState, UsePast
from aiops.core.planning.cost_rightsize import DAY_S, THROTTLED, RightsizePolicy
from aiops.core.policies import PlanPolicy, WatchQuery
from aiops.errors import PortError
from aiops.ports import History

_LOG = logging.getLogger("aiops.loop")

PIECE_S = DAY_S
"""So much of a past is asked for and taken in at a time: there is no room for what many pods did in a fortnight."""

CHURN = 4
"""So many times as many pods as run at once may have run within a piece."""

AGAIN_S, LONGEST_S = 600.0, 6 * 3600.0
"""After a failure it is asked again no sooner, and twice as late after each further one."""


@dataclass(slots=True)
class UsePasts:
    """Read by one thread beside the loop; a turn takes what is there, once, and waits for nothing."""

    _found: dict[PolicyKey, UsePast] = field(default_factory=dict)
    _again: dict[PolicyKey, tuple[Instant, float]] = field(default_factory=dict)

    def take(self, policies: Iterable[PlanPolicy]) -> Mapping[PolicyKey, UsePast]:
        """Return what was read for these policies since the last turn."""
        found = {one.key: self._found.pop(one.key, None) for one in policies} if self._found else {}
        return {key: one for key, one in found.items() if one is not None}

    def read(
        self,
        policies: Iterable[PlanPolicy],
        known: tuple[Mapping[PolicyKey, Inputs], LoopState],
        history: History,
        now: Instant,
    ) -> None:
        """Read what is not known yet of what rightsizing policies see. known: as the last turn left it.

        What a source does not answer is told, and asked again later.
        """
        seen, state = known
        for policy in policies:
            inputs = seen.get(policy.key)
            if not isinstance(policy, RightsizePolicy) or inputs is None or policy.key in self._found:
                continue
            wait_until, waited_s = self._again.get(policy.key, (-math.inf, AGAIN_S / 2))
            found = scene(policy, inputs.snapshot.looked)
            memory = state.savings.get(policy.key, RightsizeState())
            if now < wait_until or not isinstance(found, Scene) or not isinstance(memory, RightsizeState):
                continue
            past = _read(policy, found, unread(policy, found, memory, now), history)
            if past is None:
                continue
            if past.error:
                wait_s = min(2 * waited_s, LONGEST_S)
                self._again[policy.key] = (now + wait_s, wait_s)
                _LOG.warning("use_past_missed", extra={"policy": policy.key, "reason": past.error, "again_s": wait_s})
            else:
                self._again.pop(policy.key, None)
                about = {"policy": policy.key, "asked": len(past.asked), "found": len(past.uses)}
                _LOG.info("use_past_read", extra=about)
            self._found[policy.key] = past


def _read(policy: RightsizePolicy, found: Scene, spans: Mapping[str, Span], history: History) -> UsePast | None:
    """Return what was, None where there is nothing to ask for."""
    if not spans:
        return None
    asked = {key: start for key, (start, _) in spans.items()}
    long = {key: span for key, span in spans.items() if span[1] - span[0] >= LEAST_S}
    if not long:
        return UsePast(asked=asked)
    # those that were looked at first at another time are read later, so that every past ends where its looks begin
    end = min(end for _, end in long.values())
    mine = {key: span for key, span in long.items() if span[1] - end < policy.sizing.sample_s / 2}
    asked = {key: start for key, start in asked.items() if key in mine or key not in long}
    only = replace(found, containers=tuple(one for one in found.containers if one.key in mine))
    start = min(start for start, _ in mine.values())
    try:
        uses = told(policy, only, _blocks(policy, only, (start, end), history), end)
    except PortError as err:
        return UsePast(error=str(err))
    return UsePast(asked=asked, uses=uses)


def _blocks(policy: RightsizePolicy, found: Scene, span: Span, history: History) -> Iterator[Block]:
    """Yield the past in pieces, the oldest first; its last instant is the end of the span."""
    step_s, (start, end) = policy.sizing.sample_s, span
    pods, points = Pods(found), max(1, math.floor((end - start) / step_s) + 1)
    piece = max(1, round(PIECE_S / step_s))
    for first in range(0, points, piece):
        count = min(piece, points - first)
        times = np.asarray(end - step_s * (points - 1 - first - np.arange(count)), np.float64)
        series = {}
        for name, query in policy.queries.items():
            try:
                found_of = history.range(_wide(query), float(times[0]), float(times[-1]), step_s)
            except PortError:
                # as in a turn: what is throttled may be unknown
                if name != THROTTLED:
                    raise
                continue
            series[name] = (found_of.index.labels, found_of.values)
        yield block(pods, times, series)


def _wide(query: WatchQuery) -> WatchQuery:
    return replace(query, max_series=query.max_series * CHURN)
