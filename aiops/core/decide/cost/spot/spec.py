"""`spot` of a CostPolicy as people write it."""

from __future__ import annotations

from pydantic import Field

from aiops.core.decide.cost.pack.spec import WithinSpec
from aiops.core.decide.quantities import Duration, Ratio, Whole
from aiops.core.decide.spec import Spec


class ReclaimsSpec(Spec):
    """How often nodes are taken for being taken away; of each pool: a type of machine in a zone."""

    assumed: float = Field(0.05, gt=0, le=60, description="waves an hour of a pool of which nothing is known yet")
    confidence: Ratio = Field(0.95, ge=0.5, lt=1, description="of the upper bound of the rate that is reckoned with")
    half_life: Duration = Field(7 * 86400.0, ge=3600, le=31622400, description="so old, what was seen counts half")


class FallbackSpec(Spec):
    """When all goes back on demand at once, and how it comes back."""

    reclaims_per_hour: Whole = Field(3, ge=1, le=1000, description="more waves than that within an hour")
    storm: Ratio = Field(0.5, gt=0, description="this share of all spot nodes was taken away within ten minutes")
    pending_for: Duration = Field(180.0, ge=30, le=86400, description="pods lack a node, or are not ready, for so long")
    come_back: Duration = Field(
        1800.0, ge=60, le=604800, description="before a share may grow again; twice as long after each further fallback"
    )


class SpotSpec(Spec):
    """Run part of a Deployment in its companion on spot nodes, as much as the risk is worth, and back at once."""

    suffix: str = Field(
        "-spot",
        min_length=1,
        max_length=40,
        pattern=r"^[a-z0-9-]*[a-z0-9]$",
        description="of the companion's name: a Deployment of the same pods that go to spot nodes alone",
    )
    lost_replica_hour: float = Field(
        gt=0, le=1e6, description="USD: an hour without one replica when nothing of the headroom is left"
    )
    floor: Whole = Field(1, ge=1, description="so many replicas are left when what `survive` says is taken away")
    floor_share: Ratio = Field(
        0.5, lt=1, description="and so large a share of all replicas; the greater of both counts"
    )
    max_share: Ratio = Field(0.5, gt=0, lt=1, description="of the replicas on spot nodes, whatever would be worth it")
    survive: Ratio = Field(
        1.0, ge=0.5, description="100%: all spot nodes at once; less: in this share of cases, pools independent"
    )
    replace_within: Duration = Field(300.0, ge=10, le=86400, description="until what was taken away runs elsewhere")
    reclaims: ReclaimsSpec = Field(ReclaimsSpec(), description="how often nodes are taken away")
    fallback: FallbackSpec = Field(FallbackSpec(), description="when all goes back on demand at once")
    step: Ratio = Field(0.25, gt=0, description="of the replicas that move at a time, one at least")
    every: Duration = Field(600.0, ge=60, le=604800, description="between two moves")
    watch_for: Duration = Field(300.0, ge=0, le=86400, description="so long it must go well, or it is taken back")
    slo: tuple[WithinSpec, ...] = Field((), max_length=10, description="what must hold before and all the while")
