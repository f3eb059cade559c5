"""The history of the signals that are foreseen or verified: dense of late, thin before, bounded."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import Instant, Signal
from aiops.core.planning.remediation import RemediationPolicy

History = Mapping[str, tuple[tuple[Instant, float], ...]]

DENSE_S, DENSE_STEP_S = 1800.0, 15.0
KEPT_S, THIN_STEP_S = 24 * 3600.0, 600.0


def remembered(policy: RemediationPolicy, before: History, signals: Mapping[str, Signal], now: Instant) -> History:
    """Return the history with this instant: what is no value is a gap (S1)."""
    made = {}
    for name in policy.remembered:
        old, signal = before.get(name, ()), signals.get(name)
        if signal is not None and signal.usable and (not old or now - old[-1][0] >= DENSE_STEP_S - 1e-6):
            old = (*old, (now, signal.value))
        made[name] = _thinned(old, now)
    return made


def _thinned(history: tuple[tuple[Instant, float], ...], now: Instant) -> tuple[tuple[Instant, float], ...]:
    """Return what is kept: each sample of the last half hour, before that one in ten minutes, nothing after a day."""
    kept: list[tuple[Instant, float]] = []
    for at, value in history:
        if now - at > KEPT_S:
            continue
        if now - at > DENSE_S and kept and at - kept[-1][0] < THIN_STEP_S - 1e-6:
            continue
        kept.append((at, value))
    return tuple(kept)
