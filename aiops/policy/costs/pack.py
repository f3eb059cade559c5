"""CostPolicy that packs: what only several of its fields together can get wrong, and the compiled policy."""

from __future__ import annotations

from aiops.core.decide.cost.pack.spec import PackSpec, PoolSpec
from aiops.core.model import TargetRef
from aiops.core.planning.cost_pack import Deleter, Pace, PackPolicy, Pool, Verify, Within
from aiops.policy import troubles
from aiops.policy.costs import Asked, made
from aiops.policy.selecting import labels_of

_CUSTOM_RESOURCE = "crd:"
"""How the origin of a policy begins that was not read from an admin's files."""

_GONE_S = {Deleter.PERSON: 86400.0}


def compiled(asked: Asked) -> PackPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    spec, problems = asked.spec.pack, asked.problems
    assert spec is not None  # noqa: S101 - chosen by this field
    if asked.spec.target is not None:
        problems.add(("spec", "target"), "pack is for nodes, and has no target", code="bad-target")
    if problems.document.origin.startswith(_CUSTOM_RESOURCE):
        message = "nodes belong to no namespace: such a policy is read from an admin's files alone (S3)"
        problems.add(("spec", "pack"), message, code="foreign-namespace")
    for number, one in enumerate(spec.slo):
        troubles.known_signal(
            one.signal, tuple(asked.spec.signals), ("spec", "pack", "slo", number, "signal"), problems
        )
    pool = _pool(spec.nodes)
    return made(
        PackPolicy,
        asked,
        target=TargetRef(cluster=pool.cluster, namespace="", api_version="v1", kind="Node", name=""),
        wanted=pool.wanted,
        pool=pool,
        deleter=spec.deleted_by,
        below=spec.below,
        headroom=spec.headroom,
        survives=spec.survive_node_loss,
        local=spec.move_local_data,
        unready=spec.max_not_ready,
        pace=Pace(an_hour=spec.nodes_per_hour, at_once=spec.at_once, calm_s=spec.calm_for, back_off_s=spec.back_off),
        verify=_verify(spec),
    )


def _pool(spec: PoolSpec) -> Pool:
    labels = None if spec.selector is None else labels_of(spec.selector)
    return Pool(cluster=spec.cluster, labels=labels, least=spec.min_nodes)


def _verify(spec: PackSpec) -> Verify:
    slo = tuple(
        Within(
            signal=one.signal,
            at_least=float("-inf") if one.at_least is None else one.at_least,
            at_most=float("inf") if one.at_most is None else one.at_most,
        )
        for one in spec.slo
    )
    gone_s = _GONE_S.get(spec.deleted_by, 3600.0) if spec.gone_within is None else spec.gone_within
    return Verify(within_s=spec.ready_within, hold_s=spec.watch_for, gone_s=gone_s, slo=slo)
