"""WatchPolicy: the compiled policy."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiops.core.decide.watch.spec import RolloutsSpec, WatchSpec
from aiops.core.detect import TIERS
from aiops.core.ids import digest
from aiops.core.model import TargetRef
from aiops.core.policies import Bound, Distribution, Rollouts, WatchPolicy, WatchQuery
from aiops.policy import freezes, promql, schedule
from aiops.policy.compile import Envelope, Kind, Problems
from aiops.policy.resource import AGE, COUNT, EVERY, VALID, WHY, Column, Resource
from aiops.policy.structural import Schema


def compiled(envelope: Envelope, spec: WatchSpec, document: str, problems: Problems) -> WatchPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    problems.attempt(("spec", "query"), lambda: promql.checked(spec.query), "bad-promql")
    problems.attempt(("spec", "timeZone"), lambda: schedule.known_zone(spec.time_zone), "bad-schedule")
    spans = [freezes.freeze(number, one, problems, "maintenance") for number, one in enumerate(spec.maintenance)]
    if problems.fatal:
        return None
    ends, bent = spec.exhaustion, spec.distribution
    return WatchPolicy(
        key=envelope.key,
        digest=digest(document),
        document=document,
        origin=problems.document.origin,
        query=WatchQuery(
            policy=envelope.key,
            expr=spec.query,
            identity=tuple(sorted(spec.identity)),
            max_series=spec.max_series,
            source=spec.source,
        ),
        detector=spec.detector or TIERS[spec.tier].detector,
        side=spec.side,
        false_alarms_per_week=spec.false_alarms_per_week or TIERS[spec.tier].false_alarms_per_week,
        min_deviation=spec.min_deviation,
        min_deviation_ratio=spec.min_deviation_ratio,
        history_s=spec.history,
        season_s=spec.season,
        time_zone=spec.time_zone,
        budget_per_week=spec.budget,
        ignore_below=-math.inf if spec.ignore_below is None else spec.ignore_below,
        maintenance=tuple(one for one in spans if one is not None),
        exhaustion=None if ends is None else Bound(bound=ends.at, within_s=ends.within),
        beside=tuple(sorted(set(spec.kinds))),
        joint=None if spec.joint is None else tuple(sorted(set(spec.joint.by))),
        distribution=None if bent is None else Distribution(psi=bent.psi, reference=bent.reference),
        rollouts=None if spec.rollouts is None else _rollouts(envelope, spec.rollouts),
    )


def _rollouts(envelope: Envelope, spec: RolloutsSpec) -> Rollouts:
    of = (
        TargetRef(
            api_version="apps/v1", kind=one.kind, namespace=envelope.namespace, name=one.name, cluster=one.cluster
        )
        for one in spec.of
    )
    return Rollouts(settle_s=spec.settle, of=tuple(of), new_level=spec.new_level)


STATUS: Mapping[str, Schema] = {
    **EVERY,
    "findings": {**COUNT, "description": "how many series are out of the ordinary now"},
}

RESOURCE = Resource(
    kind="WatchPolicy",
    plural="watchpolicies",
    short=("wpol",),
    columns=(
        Column(name="Detector", path=".spec.detector"),
        VALID,
        Column(name="Findings", path=".status.findings", kind="integer"),
        Column(name="Query", path=".spec.query", wide=True),
        WHY,
        AGE,
    ),
    status=STATUS,
)

KIND = Kind(WatchSpec, compiled, RESOURCE)
