"""Services of Knative: the PodAutoscaler of the revision that serves, whose `min-scale` is the floor.

Knative's own controller writes a PodAutoscaler's annotations once, when it makes it from the revision, and reads
`min-scale` from there ever after: a floor that is moved there makes no new revision. It belongs to one revision, so
that a new one begins with what the template says, and what was written on the former one is to be handed back.

Which revision serves is what the traffic says, not which is the newest: it may be pinned to an older one for ever, and
split for days. While it is split, the revision with the largest share is the one whose floor is moved, for all of the
demand: holding would take reactive scale-out away for as long as a canary lasts (S5), and a floor that is too high for
its share costs a little and harms nobody. Scale-in waits, and every revision that gets any traffic keeps the floor
that it has: taking that back would lower what serves (S7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiops.adapters.kubernetes.ownership import annotation_owners, ours
from aiops.core.act.set_floor import MIN_SCALE, RESTORE
from aiops.core.model import Autoscaler, Hpa, TargetRef

Item = Mapping[str, Any]

GROUP = "serving.knative.dev/"
PODAUTOSCALERS = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{namespace}/podautoscalers"
SERVICE, REVISION = "serving.knative.dev/service", "serving.knative.dev/revision"

_MAX_SCALE = "autoscaling.knative.dev/max-scale"
_UNBOUNDED = 2**31 - 1
_ROUTES = "RoutesReady"
"""The condition of a Service that is true once its route has the traffic that its status names."""

_MAKER = "controller"
"""The field manager of Knative's own controller: what it writes is what the revision's template says."""


def serves(ref: TargetRef) -> bool:
    """Return whether a target is a Service of Knative, and none of Kubernetes."""
    return ref.kind == "Service" and ref.api_version.startswith(GROUP)


def as_scalable(item: Item, podautoscalers: Sequence[Item]) -> Item:
    """Return a Service in the shape of kinds that scale: replicas wanted now, and how its pods are found.

    While a new revision is coming, or traffic is split or on its way, it reads as a rollout.
    """
    serving = _serving(item, podautoscalers)
    wanted = int(((serving or {}).get("status") or {}).get("desiredScale") or 0)
    seen = _generation(item) if _calm(item) else _generation(item) - 1
    return {
        "metadata": item.get("metadata") or {},
        "spec": {"replicas": max(0, wanted), "selector": {"matchLabels": {REVISION: _name(serving or {})}}},
        "status": {"observedGeneration": seen},
    }


def serving(item: Item, podautoscalers: Sequence[Item]) -> tuple[Hpa, ...]:
    """Return the autoscaler of the revision that serves, or that gets the largest share of the traffic."""
    found = _serving(item, podautoscalers)
    return () if found is None else (_autoscaler(found),)


def left(item: Item, podautoscalers: Sequence[Item]) -> tuple[Hpa, ...]:
    """Return the autoscalers with a restore record of ours whose revisions get no traffic any more.

    None while the traffic is not known, or is on its way: what is handed back might still serve (S7).
    """
    shares = _shares(item)
    if not shares or not _settled(item):
        return ()
    return tuple(_autoscaler(one) for one in _ours(item, podautoscalers) if _name(one) not in shares)


def beside(item: Item, podautoscalers: Sequence[Item]) -> tuple[Hpa, ...]:
    """Return the other autoscalers with a restore record of ours: their revisions get traffic, or may get some."""
    gone = {one.name for one in left(item, podautoscalers)}
    return tuple(_autoscaler(one) for one in _ours(item, podautoscalers) if _name(one) not in gone)


def _ours(item: Item, podautoscalers: Sequence[Item]) -> Iterator[Item]:
    """Return the autoscalers of revisions other than the serving one that carry a restore record of ours."""
    current = _serving(item, podautoscalers)
    others = (one for one in _of(item, podautoscalers) if one is not current)
    return (one for one in others if RESTORE in (_metadata(one).get("annotations") or {}))


def _serving(item: Item, podautoscalers: Sequence[Item]) -> Item | None:
    """Return the autoscaler of the largest share; of equal ones that with our record, so that the floor stays put.

    Where nobody says what the traffic is, the newest that is ready will get it.
    """
    mine = {_name(one): one for one in _of(item, podautoscalers)}
    shares = _shares(item)
    if not shares:
        return mine.get(str((item.get("status") or {}).get("latestReadyRevisionName")))

    def rank(name: str) -> tuple[int, bool, str]:
        return shares[name], RESTORE in (_metadata(mine.get(name, {})).get("annotations") or {}), name

    return mine.get(max(shares, key=rank))


def _shares(item: Item) -> dict[str, int]:
    """Return the percents of the traffic by revision; nothing while that is not known.

    A revision may be named several times, once for each tag. One that is named at 0 % is reached by its tag alone.
    """
    shares: dict[str, int] = {}
    for one in _routed(item):
        name = str(one.get("revisionName") or "")
        if not name:
            return {}
        shares[name] = shares.get(name, 0) + int(one["percent"])
    return shares


def _routed(item: Item) -> list[Item]:
    return [one for one in (item.get("status") or {}).get("traffic") or () if int(one.get("percent") or 0) > 0]


def _settled(item: Item) -> bool:
    """Return whether traffic goes where the status says: that is written before the ingress has followed."""
    status = item.get("status") or {}
    routes = [one.get("status") for one in status.get("conditions") or () if one.get("type") == _ROUTES]
    return all(said == "True" for said in routes) and int(status.get("observedGeneration") or 0) >= _generation(item)


def _calm(item: Item) -> bool:
    """Return whether one revision serves, and no other is on its way."""
    status, shares = item.get("status") or {}, _shares(item)
    if len(shares) != 1 or not _settled(item):
        return False
    if all(one.get("latestRevision") is False for one in _routed(item)):
        return True  # pinned: a new revision, be it ready or failing, gets no traffic
    return {status.get("latestCreatedRevisionName"), status.get("latestReadyRevisionName")} == set(shares)


def _of(item: Item, podautoscalers: Sequence[Item]) -> Iterator[Item]:
    service = _name(item)
    return (one for one in podautoscalers if (_metadata(one).get("labels") or {}).get(SERVICE) == service)


def _autoscaler(item: Item) -> Hpa:
    metadata, status = _metadata(item), item.get("status") or {}
    annotations = metadata.get("annotations") or {}
    owners = annotation_owners(item, MIN_SCALE, "minReplicas")
    return Hpa(
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        min_replicas=_number(annotations.get(MIN_SCALE)),
        max_replicas=_number(annotations.get(_MAX_SCALE)) or _UNBOUNDED,
        desired_replicas=int(status.get("desiredScale") or 0),
        owners=tuple(owner for owner in owners if owner.manager != _MAKER),
        annotations=ours(metadata),
        kind=Autoscaler.KNATIVE,
    )


def _generation(item: Item) -> int:
    return int(_metadata(item).get("generation") or 0)


def _name(item: Item) -> str:
    return str(_metadata(item).get("name", ""))


def _metadata(item: Item) -> Item:
    return item.get("metadata") or {}


def _number(text: object) -> int:
    """Return the number of an annotation; 0, Knative's default for both, of one that is not there or none."""
    value = str(text or "")
    return int(value) if value.isascii() and value.isdigit() else 0
