"""Knative's pod autoscaler (KPA): concurrency over a stable window, and over a short one in panic.

Source: https://knative.dev/docs/serving/autoscaling/kpa-specific/, concurrency and scale-to-zero there, and the decider
of Knative Serving. It decides every 2 s; within a call that is seven times on the same samples, with what the times
before have removed gone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from aiops.core.model import F64
from simulators.autoscalers.protocol import SYNC_S, Carried, Clock, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class KpaConfig:
    """The keys of config-autoscaler that matter for replicas, with their defaults.

    panic_window: share of the stable window. panic_threshold: of the replicas that are ready. grace_s: how long the
    last replica stays at most once traffic is known to be over.
    """

    stable_s: float = 60.0
    panic_window: float = 0.1
    panic_threshold: float = 2.0
    up_rate: float = 1000.0
    down_rate: float = 2.0
    tick_s: float = 2.0
    grace_s: float = 30.0
    min_scale: int = 0
    max_scale: int = 0


KPA_DEFAULTS = KpaConfig()


class Decider:
    """The KPA's arithmetic and its panic. A new one over several replicas starts in panic, so that it drops none."""

    def __init__(self, config: KpaConfig, now: float, ready: int) -> None:
        self._config = config
        self._panicked_at: float | None = now if ready > 1 else None
        self._most = ready

    @property
    def panicking(self) -> bool:
        """Return whether replicas can only be added."""
        return self._panicked_at is not None

    def scale(self, now: float, seen: tuple[float, float], target: float, ready: int) -> int:
        """Return the replicas for concurrency of `seen` (over the stable and the panic window), `target` for each."""
        config = self._config
        stands = float(max(1, ready))
        ceiling, floor = math.ceil(config.up_rate * stands), math.floor(stands / config.down_rate)
        stable, panic = math.ceil(seen[0] / target), math.ceil(seen[1] / target)
        wanted = min(max(stable, floor), ceiling)
        if panic / stands >= config.panic_threshold:
            self._panicked_at = now
        elif self._panicked_at is not None and self._panicked_at + config.stable_s < now:
            self._panicked_at, self._most = None, 0
        if self._panicked_at is None:
            return wanted
        self._most = max(self._most, wanted, min(max(panic, floor), ceiling))
        return self._most


class KnativeAutoscaler:
    """The KPA on concurrency. Its knob is the target utilisation of a replica's concurrency.

    What a replica takes at a time (containerConcurrency) is what somebody reads off the first minutes; until then what
    is there is held.
    """

    def __init__(self, target_ratio: float = 0.7, config: KpaConfig = KPA_DEFAULTS) -> None:
        self.name = "knative"
        self._target_ratio = target_ratio
        self._config = config
        self._clock = Clock()
        self._carried = Carried()
        self._seen: deque[tuple[float, float]] = deque()
        self._decider: Decider | None = None
        self._idle_since: float | None = None

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Learn nothing: the KPA looks back over a minute."""

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas."""
        now = self._clock.tick()
        self._carried.note(sample)
        seen = self._observed(sample)
        target = self._target_ratio * self._carried.slots
        if self._decider is None:
            self._decider = Decider(self._config, now, ready)
        if seen is None or math.isnan(target):
            return current
        wanted = ready
        for tick in range(max(1, int(SYNC_S / self._config.tick_s))):
            wanted = self._decider.scale(now + tick * self._config.tick_s, seen, target, ready)
            ready = min(ready, wanted)
        return self._bounded(now, wanted)

    def _bounded(self, now: float, wanted: int) -> int:
        """Return the replicas within the bounds; the last one goes when the grace period is over."""
        if wanted > 0:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        if wanted == 0 and self._idle_since is not None and now - self._idle_since < self._config.grace_s:
            wanted = 1
        wanted = max(wanted, self._config.min_scale)
        return min(wanted, self._config.max_scale) if self._config.max_scale > 0 else wanted

    def _observed(self, sample: Sample) -> tuple[float, float] | None:
        """Return the mean concurrency over the stable and the panic window, None if nothing was scraped in them."""
        seen = self._seen
        if not math.isnan(sample.inflight) and (not seen or sample.t > seen[-1][0]):
            seen.append((sample.t, sample.inflight))
        while seen and seen[0][0] <= sample.t - self._config.stable_s:
            seen.popleft()
        if not seen:
            return None
        since = seen[-1][0] - self._config.stable_s * self._config.panic_window
        newest = [value for t, value in seen if t > since]
        return sum([value for _, value in seen]) / len(seen), sum(newest) / len(newest)
