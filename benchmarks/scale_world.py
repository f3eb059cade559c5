"""A loop for benchmarks of scale: everything but the metrics is at no cost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiops.adapters.prometheus import NamedSources, PrometheusSource
from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.model import Leadership, Looked, Mode, PriceBook, Scope, TargetRef, Wanted, Workload
from aiops.core.policies import PolicySet
from aiops.loop import ControlLoop, DryRunCluster, Ports, Setup
from aiops.ports import ControlsReading, Inventory
from simulators.ports import FixedPolicies, NoTelemetry

START = 1_772_409_600.0


class World:
    """Everything but the metrics: workloads of ten pods that obey, one leader, nobody who wishes anything."""

    def inventory(self, targets: Sequence[TargetRef], at: float) -> Inventory:
        """Return every target with ten pods."""
        shown = {
            one.key: Workload(ref=one, uid="u", resource_version="1", as_of=at, replicas=10, ready=10, opted_in=True)
            for one in targets
        }
        return Inventory(workloads=shown)

    def look(self, wanted: Wanted, at: float) -> Looked:
        """Return nothing."""
        return Looked()

    def announce(self, *_: object) -> None:
        """Say nothing."""

    def leadership(self, at: float) -> Leadership:
        """Return leadership."""
        return Leadership(leader=True, epoch=1)

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: float) -> PriceBook:
        """Return no prices."""
        return PriceBook()

    def read(self, at: float) -> ControlsReading:
        """Return that nobody wishes anything."""
        return ControlsReading()

    def elapsed_s(self) -> float:
        """Return no time, so that nothing is left out."""
        return 0.0


class Turning:
    """A loop over a source and a store in a folder, that turns on and on."""

    def __init__(self, policies: PolicySet, source: PrometheusSource | NamedSources, folder: str) -> None:
        self.store = Store.open(f"sqlite:///{folder}/scale.db")
        self.store.journal.note_policies(policies)
        world = World()
        ports = Ports(
            policies=FixedPolicies(policies),
            source=source,
            cluster=world,
            dry=DryRunCluster(world),
            journal=self.store.journal,
            lease=world,
            controls=world,
            prices=world,
            telemetry=NoTelemetry(),
            clock=world,
        )
        self.source = source
        self.loop = ControlLoop(ports, Bank(policies), Setup(scope=Scope(ceiling=Mode.ENFORCE), keep_inputs=False))
        self.at = START

    def turn(self, step_s: float = 15.0) -> None:
        """Turn at the next instant."""
        self.at += step_s
        self.loop.run_once(self.at)
        assert not self.loop.held, self.loop.held

    def close(self) -> None:
        """Let go of store and source."""
        self.store.close()
        self.source.close()


@contextmanager
def turning(policies: PolicySet, source: PrometheusSource | NamedSources) -> Iterator[Turning]:
    with tempfile.TemporaryDirectory() as folder:
        made = Turning(policies, source, folder)
        try:
            yield made
        finally:
            made.close()
