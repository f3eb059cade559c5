"""WatchPolicy: the compiled policy."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.decide.watch.spec import WatchSpec
from aiops.core.detect import TIERS
from aiops.core.ids import digest
from aiops.core.policies import WatchPolicy, WatchQuery
from aiops.policy import promql
from aiops.policy.compile import Envelope, Kind, Problems
from aiops.policy.resource import AGE, COUNT, EVERY, VALID, WHY, Column, Resource
from aiops.policy.structural import Schema


def compiled(envelope: Envelope, spec: WatchSpec, document: str, problems: Problems) -> WatchPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    problems.attempt(("spec", "query"), lambda: promql.checked(spec.query), "bad-promql")
    if problems.fatal:
        return None
    return WatchPolicy(
        key=envelope.key,
        digest=digest(document),
        document=document,
        origin=problems.document.origin,
        query=WatchQuery(
            policy=envelope.key, expr=spec.query, identity=tuple(sorted(spec.identity)), max_series=spec.max_series
        ),
        detector=spec.detector or TIERS[spec.tier].detector,
        side=spec.side,
        false_alarms_per_week=spec.false_alarms_per_week or TIERS[spec.tier].false_alarms_per_week,
        min_deviation=spec.min_deviation,
        min_deviation_ratio=spec.min_deviation_ratio,
        history_s=spec.history,
        season_s=spec.season,
    )


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
