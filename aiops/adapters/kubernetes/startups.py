"""How long pods take from their creation until they are ready for the first time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiops.adapters.kubernetes.ownership import instant
from aiops.core.model import Instant

KEPT = 20
MOST_S = 3600.0
"""A pod that is ready since longer after its creation has been ready before, as far as one can tell."""

_Pod = Mapping[str, Any]


class FirstReady:
    """What was seen of each target's pods; each target is read by one thread at a time.

    A pod says since when it is ready, not since when it was for the first time: one whose data base was away for a
    minute would seem to have started for days. So what was first seen of it stands while it is there.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, float]] = {}

    def of(self, target: str, pods: Sequence[_Pod]) -> tuple[float, ...]:
        """Return the seconds of a target's newest pods, oldest first; those that are gone are forgotten."""
        before, now, timed = self._known.get(target, {}), {}, []
        for pod in pods:
            metadata = pod.get("metadata") or {}
            uid = str(metadata.get("uid") or metadata.get("name"))
            seconds = before.get(uid, _first_s(pod))
            if seconds is not None:
                now[uid] = seconds
                timed.append((instant(metadata.get("creationTimestamp")) or 0.0, seconds))
        self._known[target] = now
        return tuple(seconds for _, seconds in sorted(timed)[-KEPT:])

    def gone(self, target: str) -> None:
        """Forget a target that is not there any more."""
        self._known.pop(target, None)


def _first_s(pod: _Pod) -> float | None:
    """Return seconds from creation to Ready; None where a restart, or hours, hide when it was first ready."""
    since, created_at = ready_at(pod), instant((pod.get("metadata") or {}).get("creationTimestamp"))
    every = (pod.get("status") or {}).get("containerStatuses") or ()
    if not since or created_at is None or any(int(one.get("restartCount") or 0) for one in every):
        return None
    seconds = since - created_at
    return seconds if 0.0 <= seconds <= MOST_S else None


def ready_at(pod: _Pod) -> Instant | None:
    """Return since when a pod is ready, 0 where it does not say, None for one that is not."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return instant(condition.get("lastTransitionTime")) or 0.0
    return None
