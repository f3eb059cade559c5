"""What /metrics tells beside what each turn tells it: collectors that look at a daemon's parts when they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiops.app.alertmanager import Ties
from aiops.app.pricing import LastPrices
from aiops.app.settings import Settings
from aiops.app.surroundings import Surroundings
from aiops.app.telling import Followers
from aiops.core.pipeline.outlook import Viewer
from aiops.loop import ControlLoop

if TYPE_CHECKING:
    from aiops.adapters.git import GitRepositories
    from aiops.adapters.metrics import LoopMetrics


def prices(metrics: LoopMetrics, known: LastPrices, world: Surroundings) -> None:
    """Let /metrics tell of what prices are known, and how old."""
    from aiops.adapters.metrics import PriceCollector

    metrics.registry.register(PriceCollector(lambda: known.last, world.present))


def models(settings: Settings, metrics: LoopMetrics, viewer: Viewer, parts: tuple[ControlLoop, Ties]) -> None:
    """Let /metrics tell of forecasts, their models, watched series and Alertmanager."""
    from aiops.adapters.metrics import (
        AlertmanagerCollector,
        AnomalyCollector,
        IncidentCollector,
        ModelCollector,
        Naming,
        OutlookCollector,
    )

    loop, tied = parts
    metrics.registry.register(OutlookCollector(viewer))
    metrics.registry.register(AlertmanagerCollector(tied.numbers))
    metrics.registry.register(IncidentCollector(lambda: () if loop.last is None else loop.last.incidents))
    metrics.registry.register(ModelCollector(lambda: loop.bank.lineages))
    told, max_age_s = settings.export.anomalies, settings.export.max_age
    if told.enabled:
        naming = Naming(metric_format=told.metric_format, max_series=told.max_series, max_age_s=max_age_s)
        metrics.registry.register(AnomalyCollector(lambda: loop.bank.sights, viewer.present, naming))


def following(metrics: LoopMetrics, followed: Followers | None) -> None:
    """Let /metrics tell of what follows the audit chain."""
    from aiops.adapters.metrics import FollowingCollector

    if followed is not None:
        metrics.registry.register(FollowingCollector(followed.numbers))


def repositories(metrics: LoopMetrics, known: GitRepositories | None) -> None:
    """Let /metrics tell of the repositories in Git."""
    from aiops.adapters.metrics import RepositoryCollector

    if known is not None:
        metrics.registry.register(RepositoryCollector(lambda: known.numbers))
