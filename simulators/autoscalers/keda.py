"""KEDA: an HPA on an external metric, and its own hand on the step between zero and one.

Source: https://keda.sh/docs/latest/reference/scaledobject-spec/ and concepts/scaling-deployments, the operator's scale
executor and fallback (2.17). From one replica on, the HPA asks for the metric every 15 s by itself; the polling
interval is for activation, and for the metric too where it is cached.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from aiops.core.model import F64
from simulators.autoscalers.behavior import STOCK, Behavior
from simulators.autoscalers.hpa import MOST_REPLICAS, HpaController
from simulators.autoscalers.protocol import Carried, Clock, Sample
from simulators.autoscalers.replicas import average_value_replicas

RATE_S = 60.0
"""The range of the query's rate(): four scrapes of 15 s, the least that outlives a lost one."""


class FallbackBehavior(StrEnum):
    """Where a fallback starts from."""

    STATIC = "static"
    CURRENT = "currentReplicas"
    CURRENT_IF_HIGHER = "currentReplicasIfHigher"
    CURRENT_IF_LOWER = "currentReplicasIfLower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """What is done after more than `failure_threshold` failures in a row."""

    failure_threshold: int
    replicas: int
    behavior: FallbackBehavior = FallbackBehavior.STATIC

    def count(self, current: int) -> int:
        """Return the replicas that it puts in place of a metric."""
        match self.behavior:
            case FallbackBehavior.STATIC:
                return self.replicas
            case FallbackBehavior.CURRENT:
                return current
            case FallbackBehavior.CURRENT_IF_HIGHER:
                return max(current, self.replicas)
            case FallbackBehavior.CURRENT_IF_LOWER:
                return min(current, self.replicas)
            case _:
                assert_never(self.behavior)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObject:
    """The fields of a ScaledObject that matter for its replicas, with their defaults.

    activation: the trigger is active while the metric is above it. cached: the HPA sees what the last poll saw.
    """

    polling_s: float = 30.0
    cooldown_s: float = 300.0
    initial_cooldown_s: float = 0.0
    idle: int | None = None
    minimum: int = 0
    maximum: int = 100
    activation: float = 0.0
    fallback: Fallback | None = None
    cached: bool = False
    behavior: Behavior = STOCK


class KedaController:
    """One ScaledObject with one AverageValue trigger, made at time 0 of its clock."""

    def __init__(self, spec: ScaledObject) -> None:
        self._spec = spec
        self._hpa = HpaController("keda", (max(1, spec.minimum), spec.maximum), 1.0, spec.behavior)
        self._next_poll = 0.0
        self._polled = math.nan
        self._last_active: float | None = None
        self._failures = 0

    def sync(self, now: float, value: float, threshold: float, current: int) -> int:
        """Return spec.replicas at `now` for a metric whose total is `value`; NaN: the query failed."""
        if now >= self._next_poll:
            self._next_poll = now + self._spec.polling_s
            self._polled = value
            current = self._activated(now, value, current)
        return self._scaled(now, self._polled if self._spec.cached else value, threshold, current)

    def _activated(self, now: float, value: float, current: int) -> int:
        """Return the replicas after the operator's turn: from zero or idle, to zero or idle, up to the minimum."""
        spec = self._spec
        if value > spec.activation:
            self._last_active = now
            asleep = current == 0 or (spec.idle is not None and current < spec.minimum)
            return max(1, spec.minimum) if asleep else current
        if math.isnan(value):
            return current
        rest = spec.idle if spec.idle is not None else 0
        may_rest = spec.idle is not None or spec.minimum == 0
        if may_rest and current > rest:
            return rest if self._cooled(now) else current
        return max(current, spec.minimum) if spec.idle is None else current

    def _cooled(self, now: float) -> bool:
        if self._last_active is None:
            return self._spec.initial_cooldown_s < now or self._spec.initial_cooldown_s <= 0.0
        return self._last_active + self._spec.cooldown_s < now

    def _scaled(self, now: float, value: float, threshold: float, current: int) -> int:
        """Return the replicas after the HPA's turn; it does not touch a target at zero, or one that idles."""
        idle = self._spec.idle
        if current == 0 or (idle is not None and current == idle):
            return current
        fallback = self._spec.fallback
        self._failures = self._failures + 1 if math.isnan(value) else 0
        if fallback is not None and self._failures > fallback.failure_threshold:
            value = threshold * fallback.count(current)
        wanted = average_value_replicas(value, threshold, self._spec.behavior.tolerance, current)
        return self._hpa.settle(now, wanted, current)


class KedaAutoscaler:
    """KEDA on requests per second. Its knob is the share of what a replica carries that the threshold is set to.

    The threshold is what somebody reads off the first minutes; until then what is there is held.
    """

    def __init__(
        self, target_ratio: float = 0.7, spec: ScaledObject = ScaledObject(minimum=1, maximum=MOST_REPLICAS)
    ) -> None:
        self.name = "keda"
        self._target_ratio = target_ratio
        self._clock = Clock()
        self._carried = Carried()
        self._keda = KedaController(spec)
        self._rates: deque[float] = deque(maxlen=1)
        self._newest = math.nan

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take the length of a scrape; KEDA learns nothing else."""
        self._rates = deque(maxlen=max(1, round(RATE_S / step_s)))

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas."""
        self._carried.note(sample)
        threshold = self._target_ratio * self._carried.rps
        return self._keda.sync(self._clock.tick(), self._rate(sample), threshold, current)

    def _rate(self, sample: Sample) -> float:
        """Return the rate over the query's range, NaN when nothing in it was scraped."""
        if sample.t != self._newest:
            self._newest = sample.t
            self._rates.append(sample.rps)
        known = [rate for rate in self._rates if not math.isnan(rate)]
        return sum(known) / len(known) if known else math.nan
