"""How long pods of each target take to start: its newest start-ups, kept beyond the pods' lives and a restart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from aiops.core.capacity.kept import about_of
from aiops.core.model import Instant, Startup, StartupTime, Workload
from aiops.core.model.swift import changed
from aiops.core.protocols import Arrays

KEPT = 20
AHEAD_S = 3600.0
"""What is kept of a time that is so far ahead was told by a clock that was wrong."""

_NUMBERS = ("ready_at", "total_s", "pending_s", "pull_s", "init_s", "ready_s")


class Startups:
    """Changed in place, a target at a time, by its `TargetRef.key`."""

    version = 1

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Startup, ...]] = {}
        self._times: dict[str, StartupTime] = {}
        self._targets = frozenset[str]()

    def follow(self, targets: Iterable[str]) -> None:
        """Keep the start-ups of these targets, and forget those of all others that are known now."""
        self._targets = frozenset(targets)
        for key in self._kept.keys() - self._targets:
            del self._kept[key], self._times[key]

    def learn(self, seen: Mapping[str, Sequence[Startup]], at: Instant) -> None:
        """Add what is new. seen: of the pods that are there, in the order in which they became ready."""
        for key, shown in seen.items():
            kept = self._kept.get(key, ())
            if kept and kept[-1].ready_at > at + AHEAD_S:
                kept = ()
            if shown and (not kept or shown[-1].ready_at >= kept[-1].ready_at):
                self._add(key, kept, shown)

    def _add(self, key: str, kept: tuple[Startup, ...], shown: Sequence[Startup]) -> None:
        known, since = {one.pod for one in kept}, kept[-1].ready_at if kept else -math.inf
        new = tuple(one for one in shown if one.ready_at >= since and one.pod not in known)
        if new:
            self._put(key, (*kept, *new)[-KEPT:])

    def _put(self, key: str, startups: tuple[Startup, ...]) -> None:
        self._kept[key], self._times[key] = startups, StartupTime.of(startups)

    def told(self, workloads: Mapping[str, Workload]) -> Mapping[str, Workload]:
        """Return the workloads with how long their pods take to start, where that is known."""
        times = self._times
        if not times:
            return workloads
        return {key: changed(one, startup=times[key]) if key in times else one for key, one in workloads.items()}

    # -- checkpoints -------------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return everything that is kept, by name, for a checkpoint."""
        about = {"version": self.version, "pods": {key: [one.pod for one in some] for key, some in self._kept.items()}}
        every = [[getattr(one, name) for name in _NUMBERS] for some in self._kept.values() for one in some]
        return {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "numbers": np.array(every, np.float64).reshape(-1, len(_NUMBERS)),
        }

    def restore(self, arrays: Arrays) -> tuple[str, ...]:
        """Take the followed targets of a checkpoint and return what did not fit, with the reason."""
        if "about" not in arrays:
            return ()  # checkpoints of before have none
        try:
            pods = about_of(arrays, self.version)["pods"]
            of = [(key, pod) for key, some in pods.items() for pod in some]
            found: dict[str, list[Startup]] = {}
            for (key, pod), numbers in zip(of, arrays["numbers"].tolist(), strict=True):
                one = Startup(pod=pod, **dict(zip(_NUMBERS, numbers, strict=True)))
                found.setdefault(key, []).append(one)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            return (f"how long pods take to start: {err!r}",)
        for key in found.keys() & self._targets:
            self._put(key, tuple(found[key]))
        return ()
