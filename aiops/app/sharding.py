"""The engine of the settings. What a shard reads is opened in its own process, by what is sent there."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.engine.trainer import ProcessTrainer
from aiops.errors import ConfigurationError
from aiops.loop.seams import InProcess
from aiops.ports import Clock, Engine

if TYPE_CHECKING:
    from aiops.adapters.metrics import LoopMetrics, ShardNumbers
    from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
    from aiops.app.engine_settings import EngineSettings
    from aiops.app.settings import Settings
    from aiops.engine.clerk import RayOptions
    from aiops.engine.ray_trainer import RayTrainer
    from aiops.engine.shard import Means
    from aiops.engine.sharded import Sharded
    from aiops.engine.vault import Vault

FOLDER = Path("var/shards")


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens the metrics source in a shard's process; it alone is imported there, and no settings are read."""

    options: PrometheusOptions

    def __call__(self) -> PrometheusSource:
        """Return a source of its own."""
        from aiops.adapters.prometheus import PrometheusSource

        return PrometheusSource(self.options)


def engine(settings: Settings, clock: Clock, code: str) -> Engine:
    """Return where watched series are looked at; raise FatalError when the settings name what is not there."""
    if settings.engine.kind == "local":
        return InProcess()
    from aiops.engine.ray_crew import RayCrew
    from aiops.engine.sharded import Sharded, Terms

    one = settings.engine
    terms = Terms(
        shards=one.shards,
        deadline_s=one.deadline,
        label=one.label,
        failures=one.failures,
        quarantine_s=one.quarantine,
    )
    name = f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
    return Sharded(RayCrew(ray_options(settings.engine), means(settings, code)), terms, clock, name)


def trainer(settings: Settings) -> ProcessTrainer | RayTrainer:
    """Return who fits models: a process here, or a Ray cluster, which is connected to when one is to be fitted."""
    if settings.engine.kind == "local" or settings.engine.fits == "local":
        return ProcessTrainer(limit_s=settings.models.fit_within)
    from aiops.engine.ray_trainer import RayTrainer

    return RayTrainer(ray_options(settings.engine), limit_s=settings.models.fit_within)


def register(metrics: LoopMetrics, running: Engine) -> None:
    """Let /metrics tell of the shards, where there are any."""
    from aiops.adapters.metrics import ShardCollector
    from aiops.engine.sharded import Sharded

    if isinstance(running, Sharded):
        metrics.registry.register(ShardCollector(lambda: numbers(running)))


def numbers(running: Sharded) -> list[ShardNumbers]:
    """Return the numbers of each shard."""
    from aiops.adapters.metrics import ShardNumbers

    return [
        ShardNumbers(
            number=seat.number,
            answers=seat.told is not None and not seat.why,
            quarantined=seat.quarantined > 0,
            series=0 if seat.told is None else seat.told.series,
            findings=0 if seat.told is None else len(seat.told.findings.series),
            took_s=0.0 if seat.told is None else seat.told.took_s,
            read_s=0.0 if seat.told is None else seat.told.read_s,
            turns=seat.turns,
            late=seat.late,
            failures=seat.failures,
            restarts=seat.restarts,
        )
        for seat in running.seats
    ]


def means(settings: Settings, code: str) -> Means:
    """Return what shards stand on; raise ConfigurationError where there is no source that they could read."""
    from aiops.app.surroundings import prometheus_options
    from aiops.engine.shard import Means

    if settings.prometheus is None:
        why = "shards read Prometheus themselves, and prometheus.url is not set"
        raise ConfigurationError(f"engine: {why} (engine: local)")
    opener = Opener(prometheus_options(settings.prometheus))
    return Means(source=opener, vault=vault(settings), code=code)


def vault(settings: Settings) -> Vault:
    """Return where shards keep what they have learnt: the folder that is said, or a PostgreSQL store, or var/shards."""
    from aiops.engine.vault import FolderVault

    one = settings.engine
    if one.checkpoints is None and settings.store.url.startswith("postgres"):
        from aiops.adapters.store import StoreVault

        return StoreVault(url=settings.store.url, max_bytes=one.checkpoints_max)
    return FolderVault((one.checkpoints or FOLDER).absolute())


def ray_options(one: EngineSettings) -> RayOptions:
    """Return where Ray is, and what shards ask of it."""
    from aiops.engine.clerk import RayOptions

    return RayOptions(
        address=one.address,
        namespace=one.namespace,
        shards=one.shards,
        cpus=one.cpus,
        memory_bytes=one.memory,
        object_store_bytes=one.object_store,
        connect_within_s=one.connect_within,
    )
