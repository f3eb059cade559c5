"""How long turns may take, and what /metrics tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiops.app.settings import Settings
from aiops.loop import ControlLoop
from aiops.loop.shedding import Budget
from aiops.ports import Cluster, Source

if TYPE_CHECKING:
    from aiops.adapters.metrics import LoopMetrics, RateNumbers, TimingNumbers


def budget(settings: Settings) -> Budget | None:
    """Return how long a turn may take; a virtual world waits for its turns."""
    if settings.simulation is not None:
        return None
    exported = settings.export.external_metrics.enabled or settings.export.keda.enabled
    return Budget.of(settings.step, exported=exported)


def register(metrics: LoopMetrics, loop: ControlLoop, source: Source) -> None:
    """Let /metrics tell of it."""
    from aiops.adapters.metrics import RateCollector, TimingCollector

    metrics.registry.register(TimingCollector(lambda: numbers(loop, source)))
    if loop.timekeeper.budget is not None:  # a virtual world has no API servers, and loads no client for them
        metrics.registry.register(RateCollector(lambda: rates(loop.ports.cluster)))


def rates(cluster: Cluster) -> Mapping[str, RateNumbers]:
    """Return what our rate limits cost, by cluster; a simulated one has none."""
    from aiops.adapters.kubernetes import Clusters
    from aiops.adapters.metrics import RateNumbers

    limits = cluster.limits if isinstance(cluster, Clusters) else {}
    return {
        name: RateNumbers(per_s=one.per_s, waited_s=one.waited_s, refused=one.refused) for name, one in limits.items()
    }


def numbers(loop: ControlLoop, source: Source) -> TimingNumbers:
    """Return the numbers of the last turn."""
    from aiops.adapters.metrics import TimingNumbers
    from aiops.adapters.prometheus import NamedSources

    kept = loop.timekeeper
    plan = source.plan if isinstance(source, NamedSources) else None
    failed, limited = loop.watches_held
    return TimingNumbers(
        budget_s=None if kept.budget is None else kept.budget.turn_s,
        overruns=kept.overruns,
        shed={rank.value: kept.shed.count(rank) for rank in kept.times},
        shed_ever={rank.value: count for rank, count in kept.times.items()},
        asked=0 if plan is None else len(plan.queries),
        wanted=0 if plan is None else plan.wanted,
        held={"failed": len(failed), "limited": len(limited)},
    )
