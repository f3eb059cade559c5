"""What people write in a scenario: the fields, their units and their defaults.

Durations are written `90s`, `5m`, `1h30m`; shares `2%` or `0.02`. A whole scenario with everything in it:

    name: everything
    about: one sentence
    start: 2026-03-02T09:00:00Z
    duration: 2h
    step: 15s                          # or 1s: how finely time goes by
    history: 14d                       # what the metrics source remembers from before
    scrape: {every: 15s, lag: 15s, loss: 1%}
    pools:
      - {name: general, podsPerNode: 4, maxNodes: 12, minNodes: 2, provisioning: {median: 90s, p95: 150s}, price: 0.2}
    services:
      - name: frontend
        pool: general                  # without one: pods find room at once, and are billed one by one
        replicas: 6
        calls: [{service: checkout, ratio: 0.4}]
        retries: {share: 80%, backoff: 1s, most: 3, patience: 2s}
        load: {base: 300, day: {'00:00': 0.3, '12:00': 1.0}}
      - name: checkout                 # no load of its own: asked by frontend alone
        warmUp: {factor: 2.5, over: 3m}
        slower: {share: 30%, capacity: 70%}
    faults:
      - {kind: bad-release, service: checkout, at: 20m, hold: 5m, latencyFactor: 2}
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from aiops.core.decide.quantities import Duration, Ratio
from aiops.core.decide.spec import Spec
from simulators.faults import GapAnswer


class BurstSpec(Spec):
    """Load is multiplied for a while."""

    at: Duration
    factor: float = Field(gt=0)
    rise: Duration = 0.0
    hold: Duration = 0.0
    fall: Duration = 0.0


class NoiseSpec(Spec):
    """How load strays, as standard deviations."""

    fast: float = 0.0
    slow: float = 0.0
    daily: float = 0.0


class LoadSpec(Spec):
    """A seeded shape, or a recorded trace."""

    base: float = Field(1.0, ge=0, description="requests per second; with csv: a factor")
    csv: str | None = Field(None, description="file `timestamp,value`, beside the scenario")
    day: dict[str, float] = Field({}, description="HH:MM -> factor, joined by half cosines")
    weekend: float = 1.0
    noise: NoiseSpec = NoiseSpec()
    bursts: tuple[BurstSpec, ...] = ()


class StartupSpec(Spec):
    """From a pod's creation, or its place on a node, to Ready: lognormal."""

    median: Duration = Field(45.0, gt=0)
    p95: Duration = Field(70.0, gt=0)


class ProvisioningSpec(Spec):
    """From a pod without room to a node that takes it, the autoscaler's own delay included: lognormal."""

    median: Duration = Field(90.0, gt=0)
    p95: Duration = Field(150.0, gt=0)


class SpotSpec(Spec):
    """Nodes that the provider takes back, in waves: each wave takes each node by chance."""

    waves_per_hour: float = Field(gt=0, description="how often, by chance (Poisson)")
    together: Ratio = Field(0.3, gt=0, description="chance of each node in a wave, so that reclaims are correlated")


class StormSpec(Spec):
    """A share of the nodes is taken back at once, and none is to be had for a while."""

    at: Duration
    hold: Duration = Field(1800.0, description="how long no node is to be had")
    share: Ratio = Field(0.8, gt=0)


class OfficeSpec(Spec):
    """When people work: what a schedule such as kube-downscaler's goes by, in UTC."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ("mon", "tue", "wed", "thu", "fri")
    from_: str = Field("07:00", alias="from", description="HH:MM")
    to: str = Field("19:00", description="HH:MM")
    floor: int = Field(0, ge=0, description="replicas outside of that")


class PoolSpec(Spec):
    """Nodes that services share: a node is asked for when a pod finds no room, and given back when it stays empty."""

    name: str
    pods_per_node: int = Field(ge=1, description="room for pods on one node")
    max_nodes: int = Field(ge=1)
    min_nodes: int = Field(1, ge=0)
    first_nodes: int | None = Field(None, ge=0, description="there when it begins; none: minNodes, and what pods need")
    provisioning: ProvisioningSpec = ProvisioningSpec()
    price: float = Field(0.168, ge=0, description="USD per node and hour, from being asked for until it is given back")
    empty_for: Duration = Field(600.0, description="how long a node stays without pods before it is given back")
    spread: bool = Field(False, description="pods go to the emptiest node, as kube-scheduler scores by default")
    price_day: dict[str, float] = Field({}, description="HH:MM -> factor on price from then on (UTC)")
    spot: SpotSpec | None = Field(None, description="none: on demand")
    storms: tuple[StormSpec, ...] = ()
    zones: int = Field(1, ge=1, le=26, description="its nodes lie in so many zones, by turns")


class HpaSpec(Spec):
    """An HPA beneath, on utilisation."""

    min_replicas: int = 2
    max_replicas: int = 100
    target: Ratio = 0.65


class CallSpec(Spec):
    """A call of another service for each request served; the request waits for it and fails with it."""

    service: str
    ratio: float = Field(1.0, gt=0, description="calls per request; 0.4: four of ten requests make one")


class RetriesSpec(Spec):
    """Requests that failed, or whose client gave up waiting, come again."""

    share: Ratio = 0.8
    backoff: Duration = Field(1.0, gt=0, description="before the first retry; twice as long before each further one")
    most: int = Field(3, ge=1, le=10, description="retries of one request")
    patience: Duration | None = Field(None, gt=0, description="how long a client waits for an answer; none: for ever")


class WarmUpSpec(Spec):
    """New pods have cold caches and are slower at first."""

    factor: float = Field(2.0, ge=1, description="how many times as long a request takes right after Ready")
    over: Duration = Field(180.0, gt=0, description="when 95 % of the excess is gone")


class SlowerSpec(Spec):
    """Some pods land on slower machines."""

    share: Ratio = 0.3
    capacity: Ratio = Field(0.7, gt=0, description="of what the others carry")


class ServiceEntry(Spec):
    """One service."""

    name: str
    namespace: str = "shop"
    capacity: float = Field(60.0, gt=0, description="requests per second that one pod serves at most")
    service_time: Duration = Field(0.05, gt=0)
    timeout: Duration = 2.0
    slo: Duration = 0.25
    error_ratio: Ratio = 0.001
    replicas: int = Field(4, ge=0)
    startup: StartupSpec = StartupSpec()
    warm_up: WarmUpSpec | None = None
    slower: SlowerSpec | None = None
    price: float = Field(0.042, ge=0, description="USD per pod and hour; in a pool its nodes are billed instead")
    pool: str | None = Field(None, description="the node pool that its pods need room in")
    load: LoadSpec | None = Field(None, description="from outside; none: it is only called by others")
    shares: str | None = Field(None, description="the service whose load it takes a part of: by pods that are ready")
    calls: tuple[CallSpec, ...] = ()
    retries: RetriesSpec | None = None
    hpa: HpaSpec | None = None
    labels: dict[str, str] = Field(default_factory=dict, description="beside app, its name: for selectors")


class BadReleaseSpec(Spec):
    """A release that is slow and fails."""

    kind: Literal["bad-release"]
    service: str
    at: Duration
    hold: Duration
    latency_factor: float = 1.0
    error_ratio: Ratio = 0.0


class ScrapeGapSpec(Spec):
    """Scrapes are lost, all of them or a share, or seen late."""

    kind: Literal["scrape-gap"]
    service: str
    at: Duration
    hold: Duration
    answer: GapAnswer = GapAnswer.STALE
    loss: Ratio = 1.0
    lag: Duration = 0.0


class PodLossSpec(Spec):
    """Ready pods die."""

    kind: Literal["pod-loss"]
    service: str
    at: Duration
    count: int = Field(gt=0)


FaultSpec = Annotated[BadReleaseSpec | ScrapeGapSpec | PodLossSpec, Field(discriminator="kind")]


class ScrapeSpec(Spec):
    """How every service is scraped."""

    every: Duration | None = Field(None, gt=0, description="none: every 15 s, or every step where that is longer")
    lag: Duration = Field(0.0, description="from a scrape until it can be queried")
    loss: Ratio = Field(0.0, lt=1, description="share of scrapes that fail")


class ScenarioSpec(Spec):
    """A whole scenario."""

    name: str
    about: str = ""
    start: datetime
    duration: Duration
    step: Duration = Field(15.0, gt=0)
    history: Duration = 14 * 86400.0
    scrape: ScrapeSpec = ScrapeSpec()
    seed: int = 1
    pools: tuple[PoolSpec, ...] = ()
    violation_price: float = Field(0.0, ge=0, description="USD for a thousand violating requests; 0: not counted")
    office: OfficeSpec | None = Field(None, description="adds a baseline that sleeps by the clock")
    services: tuple[ServiceEntry, ...] = Field(min_length=1)
    faults: tuple[FaultSpec, ...] = ()
