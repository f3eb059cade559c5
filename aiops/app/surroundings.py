"""The two worlds that a daemon can stand in: a real one, and a simulated one."""

from __future__ import annotations

import math
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from aiops.app import pricing
from aiops.app.scrape_settings import SCRAPE, standing
from aiops.app.settings import PrometheusSettings, Settings
from aiops.core.model import Instant, Leadership, Mode
from aiops.errors import ConfigurationError
from aiops.loop import DryRunCluster
from aiops.ports import Cluster, History, Lease, PolicyResources, Prices, Roster, Source

if TYPE_CHECKING:
    from aiops.adapters.kubernetes import Clusters, KubernetesLease, KubernetesPolicies
    from aiops.adapters.prices import Feed
    from aiops.adapters.prometheus import NamedSources, PrometheusOptions, PrometheusSource
    from aiops.adapters.scrape.scraper import Scraper


READ_RATIO = 0.7
"""Of the time between two turns, what the metrics source may take to answer everything."""


class Surroundings(Protocol):
    """What the composition root needs of a world."""

    @property
    def source(self) -> Source:
        """Return what answers now."""
        ...

    @property
    def history(self) -> History:
        """Return what answers the past."""
        ...

    @property
    def cluster(self) -> Cluster:
        """Return what is acted on."""
        ...

    @property
    def roster(self) -> Roster:
        """Return what lists the workloads there are."""
        ...

    @property
    def dry(self) -> Cluster:
        """Return what takes dry runs."""
        ...

    def lease(self, floor: Callable[[], int]) -> Lease:
        """Return who may write. floor: the highest epoch that the journal knows."""
        ...

    @property
    def prices(self) -> Prices:
        """Return what a replica costs."""
        ...

    @property
    def resources(self) -> PolicyResources | None:
        """Return the policies in a cluster's API, or None where they are not read."""
        ...

    @property
    def tick_every_s(self) -> float:
        """Return the real seconds between two ticks."""
        ...

    @property
    def virtual(self) -> bool:
        """Return whether time is virtual, so that learning may happen before the first tick."""
        ...

    def start(self) -> None:
        """Begin to watch."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Let go."""
        ...

    def next_at(self) -> Instant:
        """Return the time of the tick that is due, and let a virtual world come to it."""
        ...

    def present(self) -> Instant:
        """Return the time as the loop counts it, without moving anything."""
        ...

    def unready(self) -> list[str]:
        """Return what does not answer yet."""
        ...

    def banner(self) -> list[str]:
        """Return lines that say where the daemon stands."""
        ...


class OneProcess:
    """A lease for a daemon that runs alone; the store's lock keeps a second one away."""

    def leadership(self, at: Instant) -> Leadership:
        """Return leadership."""
        return Leadership(leader=True, epoch=1, lies_in="")


class Live:
    """Prometheus and Kubernetes."""

    virtual = False

    def __init__(self, settings: Settings) -> None:
        if settings.prometheus is None and settings.scrape is None:
            raise ConfigurationError("prometheus.url is not set: say where the metrics are, or use config/demo.yaml")
        self._scraper: Scraper | None = scraper(settings)
        self._metrics: NamedSources = sources(settings, self._scraper)
        self._clusters: Clusters = clusters(settings)
        self.source = self.history = self._metrics
        self.cluster = self.roster = self._clusters
        self.dry = DryRunCluster(self._clusters)
        self._settings = settings
        self._lease: KubernetesLease | None = None
        self.resources: KubernetesPolicies | None = resources(settings, self._clusters)
        self.prices: Feed = pricing.feed(settings, lambda name: metrics_source(settings, name))
        self.tick_every_s = settings.step

    def lease(self, floor: Callable[[], int]) -> Lease:
        """Return the Lease in the cluster, or leadership for a daemon that writes nothing or is alone by setting."""
        if not competes(self._settings):
            return OneProcess()
        self._lease = kubernetes_lease(self._settings, self._clusters, floor)
        return self._lease

    def start(self) -> None:
        """Begin to watch the clusters and to compete for the lease; what does not answer yet is tried again."""
        self.prices.start()
        if self._scraper is not None:
            self._scraper.start()
        self._clusters.start()
        if self.resources is not None:
            self.resources.start()
        if self._lease is not None:
            self._lease.start()

    def stop(self, timeout_s: float) -> None:
        """Let the lease go, close watches and connections."""
        if self._lease is not None:
            self._lease.stop(timeout_s / 2)
        if self.resources is not None:
            self.resources.stop(timeout_s / 4)
        self._clusters.stop(timeout_s / 4)
        self.prices.stop(timeout_s / 8)
        self._metrics.close()
        if self._scraper is not None:
            self._scraper.stop(timeout_s / 8)

    def next_at(self) -> Instant:
        """Return the wall clock."""
        return time.time()

    def present(self) -> Instant:
        """Return the wall clock."""
        return time.time()

    def unready(self) -> list[str]:
        """Return which clusters have not been read yet, and why it is not known who leads."""
        why = "" if self._lease is None else self._lease.unwell()
        return [*self._clusters.unready(), *([f"lease: {why}"] if why else [])]

    def banner(self) -> list[str]:
        """Return where metrics and clusters are."""
        read = ["policies are read from the cluster's API, too"] if self.resources is not None else []
        beside = [f"beside it: {', '.join(sorted(self._settings.sources))}"] if self._settings.sources else []
        return [*standing(self._settings), *beside, f"clusters: {', '.join(self._clusters.names)}", *read]


class Simulated:
    """A scenario in virtual time, accelerated; every tick is one step of the world, however late it comes."""

    virtual = True
    resources = None

    def __init__(self, settings: Settings) -> None:
        from simulators.ports import SimCluster, SimPrices, SimSource
        from simulators.scenario import load

        simulation = settings.simulation
        if simulation is None:
            raise ConfigurationError("simulation.scenario is not set")
        self._scenario = load(simulation.scenario)
        if self._scenario.spec.step != settings.step:
            step = self._scenario.spec.step
            raise ConfigurationError(f"step is {settings.step:g} s, but the scenario's step is {step:g} s")
        self.world, self._hpas = self._scenario.world(simulation.seed)
        self.source = self.history = SimSource(self.world)
        self.cluster = self.roster = SimCluster(self.world, self._hpas)
        self.dry = DryRunCluster(self.cluster)
        self.prices = SimPrices(self.world)
        self.tick_every_s = settings.step / simulation.acceleration
        self._acceleration = simulation.acceleration

    def lease(self, floor: Callable[[], int]) -> Lease:
        """Return leadership: the world is this process's own."""
        return OneProcess()

    def start(self) -> None:
        """Do nothing: the world is there."""

    def stop(self, timeout_s: float) -> None:
        """Do nothing: the world ends with the process."""

    def next_at(self) -> Instant:
        """Let one step go by."""
        from simulators.run import advance

        advance(self.world, self._hpas, self.world.step_s)
        return self.world.now

    def present(self) -> Instant:
        """Return the world's time."""
        return self.world.now

    def unready(self) -> list[str]:
        """Return nothing: the world answers."""
        return []

    def banner(self) -> list[str]:
        """Return what is simulated."""
        spec = self._scenario.spec
        names = ", ".join(f"{one.namespace}/{one.name}" for one in spec.services)
        return [
            f"simulated: {spec.about or spec.name} ({names}), {self._acceleration:g} times as fast as life",
            "nothing outside of this process is read or written",
        ]


def surroundings(settings: Settings) -> Surroundings:
    """Return the world that the settings name."""
    return Live(settings) if settings.simulation is None else Simulated(settings)


def prometheus(settings: Settings) -> PrometheusSource:
    """Return the metrics source of the settings; raise ConfigurationError when there is none."""
    from aiops.adapters.prometheus import PrometheusSource

    if settings.prometheus is None:
        raise ConfigurationError("prometheus.url is not set")
    return PrometheusSource(within_a_turn(settings.prometheus, settings.step))


def metrics_source(settings: Settings, name: str) -> PrometheusSource:
    """Return a metrics source of its own, for whoever asks at other times than the loop; '' is prometheus."""
    from aiops.adapters.prometheus import PrometheusSource

    return PrometheusSource(prometheus_options(settings.sources[name])) if name else prometheus(settings)


def sources(settings: Settings, scraper: Scraper | None = None) -> NamedSources:
    """Return the metrics source of the settings with those beside it; raise ConfigurationError when there is none."""
    from aiops.adapters.prometheus import NamedSources, PrometheusSource
    from aiops.app.scraping import LOCAL_S, with_scraped

    named = {name: PrometheusSource(prometheus_options(one)) for name, one in settings.sources.items()}
    limits_s = {name: one.timeout + one.jitter for name, one in settings.sources.items()}
    if scraper is None or settings.scrape is None:
        return NamedSources(default=prometheus(settings), named=named, limits_s=limits_s)
    options = None if settings.prometheus is None else within_a_turn(settings.prometheus, settings.step)
    default, scraped = with_scraped(settings.scrape, scraper, options)
    return NamedSources(default=default, named={**named, SCRAPE: scraped}, limits_s={**limits_s, SCRAPE: LOCAL_S})


def within_a_turn(one: PrometheusSettings, step_s: float) -> PrometheusOptions:
    """Return how a metrics source is reached that answers everything within a part of the time between two turns."""
    return replace(prometheus_options(one), read_within_s=READ_RATIO * step_s)


def scraper(settings: Settings) -> Scraper | None:
    """Return what scrapes, with its past, None where nothing is; raise ConfigurationError for a file of no use."""
    from aiops.app.scraping import scraper as made

    return None if settings.scrape is None else made(settings.scrape)


def prometheus_options(one: PrometheusSettings) -> PrometheusOptions:
    """Return how the metrics source of the settings is reached."""
    from aiops.adapters.prometheus import PrometheusOptions

    return PrometheusOptions(
        url=one.url,
        bearer_token="" if one.bearer_token is None else one.bearer_token.get_secret_value(),
        bearer_token_file=one.bearer_token_file,
        username=one.username or "",
        password="" if one.password is None else one.password.get_secret_value(),
        ca_file=one.ca_file,
        cert_file=one.cert_file,
        key_file=one.key_file,
        insecure_skip_verify=one.insecure_skip_verify,
        headers={name: value.get_secret_value() for name, value in one.headers.items()},
        timeout_s=one.timeout,
        retries=one.retries,
        concurrency=one.concurrency,
        max_series=one.max_series,
        max_bytes=int(one.max_bytes),
        per_s=math.inf if one.per_second is None else one.per_second,
        history_within_s=one.history_within,
        jitter_s=one.jitter,
    )


def competes(settings: Settings) -> bool:
    """Return whether this daemon takes part in an election: it writes what others could write, too."""
    if settings.lease.enabled != "auto":
        return settings.lease.enabled
    writes = settings.mode.rank >= Mode.APPROVE.rank or reads_resources(settings)
    return writes or not settings.store.url.startswith("sqlite")


def reads_resources(settings: Settings) -> bool:
    """Return whether policies are read from a cluster's API: where it is said so, or the daemon runs in the cluster."""
    if settings.custom_resources.enabled != "auto":
        return settings.custom_resources.enabled
    if settings.simulation is not None:
        return False
    named = settings.clusters
    chosen = named.get(settings.custom_resources.cluster or min(named, default=""))
    return "KUBERNETES_SERVICE_HOST" in os.environ if chosen is None else chosen.in_cluster


def resources(settings: Settings, clusters: Clusters) -> KubernetesPolicies | None:
    """Return the policies in a cluster's API, None where they are not read; raise ConfigurationError without it."""
    if not reads_resources(settings):
        return None
    asked = settings.custom_resources
    cluster = asked.cluster or clusters.names[0]
    if cluster not in clusters.names:
        known = ", ".join(clusters.names)
        raise ConfigurationError(
            f"custom_resources.cluster: the settings know no cluster {cluster!r}; they know {known}"
        )
    named = settings.clusters.get(cluster)
    if named is not None and named.namespaced and not asked.namespaces:
        raise ConfigurationError(f"custom_resources.namespaces are missing: clusters.{cluster} is namespaced")
    return clusters.policies(cluster, asked.namespaces)


def kubernetes_lease(settings: Settings, clusters: Clusters, floor: Callable[[], int]) -> KubernetesLease:
    """Return the Lease of the settings; raise ConfigurationError when they name no such cluster."""
    from aiops.adapters.kubernetes import LeaseOptions

    lease = settings.lease
    cluster = lease.cluster or clusters.names[0]
    if cluster not in clusters.names:
        raise ConfigurationError(
            f"lease.cluster: the settings know no cluster {cluster!r}; they know {', '.join(clusters.names)}"
        )
    options = LeaseOptions(
        namespace=lease.namespace,
        name=lease.name,
        lies_in=cluster,
        holder=f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}",
        duration_s=lease.duration,
        renew_s=lease.renew,
        retry_s=lease.retry,
        defer_s=lease.defer,
        floor=floor,
        wall=time.time,
    )
    return clusters.lease(cluster, options)


def clusters(settings: Settings) -> Clusters:
    """Return the clusters of the settings, or the one that the environment names."""
    from aiops.adapters.kubernetes import Clusters, KubernetesOptions

    named = {name: KubernetesOptions(**one.reached()) for name, one in settings.clusters.items()}
    return Clusters.connect(named or {"default": KubernetesOptions()})
