"""Every workload on one clock, and the routes that split a load between some of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiops.core.model import Instant
from aiops.errors import NotFound
from simulators.emulator.config import EmulatorConfig, GroupSpec
from simulators.emulator.faults import Fault
from simulators.emulator.loads import Origin, load_of
from simulators.emulator.routes import RouteBook
from simulators.emulator.workload import Workload, rate_at
from simulators.load import Load

LONGEST_STEP_S = 60.0
"""A process that stood still for longer does not make up for it."""


class Group:
    """One load for several services. passed, refused, lost: requests to a backend, to none (weights), to no route."""

    def __init__(self, spec: GroupSpec, load: Load) -> None:
        self.spec = spec
        self.load = load
        self.book = RouteBook()
        self.override_rps: float | None = None
        self.offered_rps = 0.0
        self.passed = self.refused = self.lost = 0.0

    def split(self, at: Instant, seconds: float, known: Mapping[str, Workload]) -> dict[str, float]:
        """Return the requests per second for each workload, and count what reaches nobody."""
        self.offered_rps = rate_at(self.load, self.override_rps, at)
        requests = self.offered_rps * seconds
        if self.book.weights is None:
            self.lost += requests
            return {}
        shares = {key: share for key, share in self.book.shares().items() if key in known}
        reached = sum(shares.values())
        self.passed += reached * requests
        self.refused += max(0.0, 1.0 - reached) * requests
        return {key: share * self.offered_rps for key, share in shares.items()}


class Fleet:
    """All workloads and groups, by `namespace/name`."""

    def __init__(self, config: EmulatorConfig, folder: Path, now: Instant) -> None:
        self.window_s = config.window
        self.now = now
        self.workloads = {
            one.key: Workload(one, load_of(one.load, _origin(one.key, config, folder, now)), config.window, now)
            for one in config.workloads
        }
        self.groups = {
            one.key: Group(one, load_of(one.load, _origin(one.key, config, folder, now))) for one in config.groups
        }

    def step(self, now: Instant) -> None:
        """Let the time up to now go by, under the load at its middle."""
        seconds = min(now - self.now, LONGEST_STEP_S)
        if seconds <= 0.0:
            return
        middle = now - seconds / 2.0
        offered = {key: one.offered_rps(middle) for key, one in self.workloads.items()}
        for group in self.groups.values():
            if group.book.synced:
                for key, rps in group.split(middle, seconds, self.workloads).items():
                    offered[key] += rps
        for key, one in self.workloads.items():
            if one.live:
                one.step(now, seconds, offered[key])
        self.now = now

    def set_load(self, key: str, rps: float | None) -> None:
        """Set the load of a workload or group, or give its own back; raise NotFound."""
        chosen = self.workloads.get(key) or self.groups.get(key)
        if chosen is None:
            raise NotFound(f"there is no {key} among {', '.join([*self.workloads, *self.groups])}")
        chosen.override_rps = rps

    def set_fault(self, key: str, fault: Fault | None) -> None:
        """Let a metric fault of a workload begin, or end all of its; raise NotFound."""
        chosen = self.workloads.get(key)
        if chosen is None:
            raise NotFound(f"there is no {key} among {', '.join(self.workloads)}")
        chosen.set_fault(fault)


def _origin(key: str, config: EmulatorConfig, folder: Path, now: Instant) -> Origin:
    return Origin(key=key, start=now, folder=folder, seed=config.seed)
