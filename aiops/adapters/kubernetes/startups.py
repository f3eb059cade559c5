"""How long pods take from their creation until they are ready for the first time, and what in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiops.adapters.kubernetes.ownership import instant
from aiops.core.model import Instant, Startup

SHOWN = 20
SCHEDULED, INITIALISED, READY = POD_CONDITIONS = ("PodScheduled", "Initialized", "Ready")
MOST_S = 3600.0
"""A pod that is ready since longer after its creation has been ready before, as far as one can tell."""

_Part = Mapping[str, Any]


class FirstReady:
    """What was seen of each target's pods; each target is read by one thread at a time.

    A pod says since when it is ready, not since when it was for the first time: one whose data base was away for a
    minute would seem to have started for days. So what was first seen of it stands while it is there.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Startup]] = {}

    def of(self, target: str, pods: Sequence[_Part]) -> tuple[Startup, ...]:
        """Return the newest start-ups of a target's pods, in the order in which they became ready."""
        before, now = self._known.get(target, {}), {}
        for pod in pods:
            metadata = pod.get("metadata") or {}
            uid = str(metadata.get("uid") or metadata.get("name"))
            one = before.get(uid) or _startup(uid, pod)
            if one is not None:
                now[uid] = one
        self._known[target] = now
        return tuple(sorted(now.values(), key=lambda one: (one.ready_at, one.pod))[-SHOWN:])

    def gone(self, target: str) -> None:
        """Forget a target that is not there any more."""
        self._known.pop(target, None)


def _startup(uid: str, pod: _Part) -> Startup | None:
    """Return a pod's start-up; None where a restart, or hours, hide when it was first ready."""
    since, created_at = ready_at(pod), instant((pod.get("metadata") or {}).get("creationTimestamp"))
    status = pod.get("status") or {}
    every = status.get("containerStatuses") or ()
    if not since or created_at is None or any(int(one.get("restartCount") or 0) for one in every):
        return None
    if not 0.0 <= since - created_at <= MOST_S:
        return None
    phases = _phases(status, created_at, since)
    return Startup(pod=uid, ready_at=since, total_s=since - created_at, **phases)


def _phases(status: _Part, created_at: Instant, ready: Instant) -> dict[str, float]:
    """Return the seconds of each phase, NaN where the object does not say; whole seconds of several clocks.

    Images are pulled before init containers and after them, and a pod without any is initialised as soon as it has a
    node: so what is no init container's time is the node's preparing.
    """
    scheduled = _since(status, SCHEDULED) or math.nan
    running = _started(status.get("containerStatuses") or (), max)
    inits = status.get("initContainerStatuses") or ()
    initialised = _since(status, INITIALISED) or math.nan
    init_s = _least_0(initialised - _started(inits, min)) if inits else 0.0
    return {
        "pending_s": _least_0(scheduled - created_at),
        "pull_s": _least_0(running - scheduled - init_s),
        "init_s": init_s,
        "ready_s": _least_0(ready - running),
    }


def _least_0(seconds: float) -> float:
    return 0.0 if seconds < 0.0 else seconds


def _started(containers: Sequence[_Part], which: Callable[[Iterable[Instant]], Instant]) -> Instant:
    """Return when the first or the last container began, NaN where one of them does not say."""
    states = [one.get("state") or {} for one in containers]
    began = [instant((one.get("running") or one.get("terminated") or {}).get("startedAt")) for one in states]
    known = [at for at in began if at is not None]
    return which(known) if known and len(known) == len(began) else math.nan


def _since(status: _Part, condition: str) -> Instant | None:
    """Return since when a condition is true, 0 where it does not say, None while it is not."""
    for one in status.get("conditions") or ():
        if one.get("type") == condition and one.get("status") == "True":
            return instant(one.get("lastTransitionTime")) or 0.0
    return None


def ready_at(pod: _Part) -> Instant | None:
    """Return since when a pod is ready, 0 where it does not say, None for one that is not."""
    return _since(pod.get("status") or {}, READY)
