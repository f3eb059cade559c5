"""`FailoverPolicy` as people write it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from aiops.core.decide.quantities import Duration, Ratio, Whole
from aiops.core.decide.scaling.spec import FreezeSpec
from aiops.core.decide.spec import Spec
from aiops.core.model import Mode, TrafficLever
from aiops.core.planning.failover import LEAST_WELL_S

LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
"""RFC 1123: such a name may become part of a query (S10)."""

LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
"""Of a region or a zone: it stands in queries, and nothing of it can end a matcher's value (S10)."""

OBJECT = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"

Percent = Annotated[Whole, Field(ge=1, le=100)]


class SiteTargetSpec(Spec):
    """The workload that serves in a site, in the policy's own namespace (S3)."""

    api_version: str = Field("apps/v1", description="group and version of the workload")
    kind: str = Field("Deployment", description="any kind with a scale subresource")
    name: str = Field(pattern=OBJECT, description="the workload's name")


class StandbySpec(Spec):
    """What must be there before users come."""

    replicas: Whole = Field(ge=1, le=10_000, description="ready replicas that carry all users; raised to it if fewer")
    prepare: bool = Field(
        True, description="raise it on suspicion already, in mode enforce; given back when it was not needed"
    )


class SiteSpec(Spec):
    """One place that can serve all users."""

    name: str = Field(pattern=LABEL, description="the site's name, $(site.name) in queries")
    cluster: str = Field(pattern=LABEL, description="a cluster's name in the settings")
    zone: str = Field(
        "",
        max_length=63,
        pattern=LABEL_VALUE,
        description="its zone, as topology.kubernetes.io/zone says; sites of one cluster differ in it",
    )
    region: str = Field(
        "", max_length=63, pattern=LABEL_VALUE, description="where data would lie; needed with allowedRegions"
    )
    backend: str = Field(pattern=LABEL, description="what the object that steers traffic calls it")
    target: SiteTargetSpec = Field(description="the workload that serves there")
    standby: StandbySpec = Field(description="what must be there before users come")


class TrafficSpec(Spec):
    """The object that steers traffic between the sites; it lies outside of each of them (S8)."""

    lever: TrafficLever = Field(TrafficLever.HTTP_ROUTE, description="which kind of object steers, and how")
    cluster: str = Field(
        pattern=LABEL, description="a cluster's name in the settings: no site's, unless all sites are its zones"
    )
    namespace: str | None = Field(None, pattern=LABEL, description="of the object; none: the policy's own")
    name: str = Field(pattern=OBJECT, description="the object's name")
    rule: Whole = Field(0, ge=0, le=63, description="of an HTTPRoute: which of its rules, from 0")
    api_version: str | None = Field(None, description="of the object; none: what the lever is usual with")
    kind: str | None = Field(None, description="of the object; none: what the lever is usual with")


class UsersSpec(Spec):
    """How users fare: asked at each vantage point for each site."""

    query: str = Field(min_length=1, description="PromQL: the share of a site's requests that fail, from 0 to 1")
    volume: str = Field(min_length=1, description="PromQL: how many requests a second that share is of")
    max_age: Duration = Field(30.0, gt=0, description="older samples are stale, and say nothing")
    scrape: Duration | None = Field(
        None, gt=0, le=120, description="how often what the queries read is scraped; none: 5s, or as samples tell"
    )
    window: Duration | None = Field(
        None, gt=0, le=600, description="of how long an answer tells; none: the longest range, less one scrape"
    )


class VantagePointSpec(Spec):
    """From where it is asked how users fare."""

    name: str = Field(pattern=LABEL, description="the vantage point's name")
    source: str = Field(min_length=1, description="a metrics source's name in the settings")
    site: str = Field("", description="the site in which it lies: it says nothing of that; none: outside of all")


class ServedSpec(Spec):
    """How all users fare, whichever site serves them."""

    query: str = Field(min_length=1, description="PromQL: the share of all users' requests that fail, from 0 to 1")
    source: str = Field("", description="a metrics source's name in the settings; none: the one that all ask")
    max_age: Duration = Field(60.0, gt=0, description="older samples are stale, and say nothing")


class HealthSpec(Spec):
    """When users of a site fail, and when it is well."""

    users: UsersSpec = Field(description="how users fare")
    served: ServedSpec | None = Field(
        None, description="how all users fare: what a failover must better, and is judged by"
    )
    bad_above: Ratio = Field(0.05, gt=0, le=0.4, description="the share of failing requests that users must not see")
    vantage_points: tuple[VantagePointSpec, ...] = Field(
        min_length=2, max_length=16, description="from where it is asked"
    )
    quorum: Whole = Field(2, ge=2, le=16, description="vantage points outside of a site that must agree")
    fail_for: Duration = Field(
        15.0, ge=5, le=3600, description="a failure shorter than this is a blip; half a failure takes twice as long"
    )
    well_for: Duration = Field(300.0, ge=60, le=86_400, description="how long a site that failed must be good again")


class LagSpec(Spec):
    """How far a site's copy of the data lags behind."""

    query: str = Field(min_length=1, description="PromQL: seconds that $(site.name) lags behind")
    source: str = Field("", description="a metrics source's name in the settings; none: the one that all ask")
    max_age: Duration = Field(60.0, gt=0, description="older samples are stale, and say nothing")


class PreconditionsSpec(Spec):
    """What must hold of a site before users are sent there; what is not known is asked of a person."""

    replication_lag: LagSpec | None = Field(None, description="how far its copy lags behind")
    rpo: Duration | None = Field(None, description="the most that it may lag behind")
    allowed_regions: tuple[str, ...] = Field((), max_length=64, description="where users' data may go; none: anywhere")


class ShiftSpec(Spec):
    """How users are sent away from a site that fails a part of them; from one that fails all, they go at once."""

    steps: tuple[Percent, ...] = Field((50, 100), min_length=1, max_length=20, description="percent, rising to 100")
    pause: Duration = Field(10.0, le=3600, description="how long each step is watched")


class FailbackSpec(Spec):
    """How users are sent home again."""

    automatic: bool = Field(False, description="without asking a person, in mode enforce")
    after: Duration = Field(LEAST_WELL_S, ge=LEAST_WELL_S, description="how long home must have been well")
    steps: tuple[Percent, ...] = Field(
        (5, 25, 50, 100), min_length=1, max_length=20, description="percent, rising to 100"
    )
    pause: Duration = Field(60.0, le=3600, description="how long each step is watched")


class FailoverSpec(Spec):
    """The spec of a FailoverPolicy."""

    mode: Mode = Field(Mode.DRY_RUN, description="how far it may go; the settings' mode is another ceiling")
    primary: str = Field(description="home: the site that users are sent back to")
    witness: str = Field("", description="the cluster outside of all sites with the Lease; none: a person is asked")
    sites: tuple[SiteSpec, ...] = Field(min_length=2, max_length=16, description="in order of preference")
    traffic: TrafficSpec = Field(description="the object that steers traffic")
    health: HealthSpec = Field(description="when users of a site fail")
    preconditions: PreconditionsSpec = Field(PreconditionsSpec(), description="what must hold of a site")
    stateful: bool = Field(False, description="it keeps data: a person is asked always (S8)")
    shift: ShiftSpec = Field(ShiftSpec(), description="how users are sent away")
    failback: FailbackSpec = Field(FailbackSpec(), description="how users are sent home")
    approvers: Whole = Field(1, ge=1, le=5, description="how many people must say yes, where they are asked")
    ask_for: Duration = Field(3600.0, ge=60, description="how long a proposal waits for people")
    manual_override: Duration = Field(3600.0, description="how long weights that a person wrote are respected")
    freezes: tuple[FreezeSpec, ...] = Field((), description="change freezes: they bind failback and drills")
