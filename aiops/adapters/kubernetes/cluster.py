"""ports.Cluster over one API server, and over several by name."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiops.adapters.kubernetes import knative
from aiops.adapters.kubernetes.http import Call, Http, NotFoundThere, NotServed, Throttled
from aiops.adapters.kubernetes.informer import Informer
from aiops.adapters.kubernetes.inventory import Around, pods_of, workload
from aiops.adapters.kubernetes.objects import Objects
from aiops.adapters.kubernetes.startups import FirstReady
from aiops.adapters.kubernetes.stock import Machines, node_ready, shares
from aiops.adapters.kubernetes.write import Writer
from aiops.core.model import (
    Action,
    Errand,
    Instant,
    Looked,
    PodShare,
    Reason,
    Stamp,
    Startup,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Wanted,
    Workload,
)
from aiops.errors import ClusterUnavailable, NoPermission, PortError
from aiops.ports import Inventory, Nodes

_LOG = logging.getLogger("aiops.kubernetes")
DISCONNECTED_S = 60.0
"""How long a cache that hears nothing still counts."""

DENIALS = 4
"""How many denials in a row are no mistake: an API server that has just begun knows no role yet, and denies all."""

NODES = "/api/v1/nodes"
NAMESPACES = "/api/v1/namespaces"

FIRST_READ_S = 2.0
"""How long a turn waits for what is watched for the first time."""


@dataclass(frozen=True, slots=True)
class _Resource:
    """Where a kind lives. own_scale: whether its replicas are read through the scale subresource."""

    prefix: str
    plural: str
    scalable: bool
    own_scale: bool

    def path(self, namespace: str) -> str:
        """Return where its objects lie: of a namespace, or of the whole cluster."""
        return f"{self.prefix}/namespaces/{namespace}/{self.plural}" if namespace else f"{self.prefix}/{self.plural}"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A target with what stands around it, and for how long all of that may have changed."""

    item: dict[str, Any]
    around: Around
    age_s: float


class KubernetesCluster:
    """One API server: reads from informers that are started as targets name their namespaces.

    namespaced: nothing of the whole cluster is asked for. So nobody knows its nodes, and whether a namespace opted in
    is for the settings to say (`Scope.namespaces`).
    """

    def __init__(self, name: str, http: Http, *, namespaced: bool = False) -> None:
        self.name = name
        self._namespaced = namespaced
        self._http = http
        self._writer = Writer(http)
        self._informers: dict[str, Informer] = {}
        self._resources: dict[tuple[str, str], _Resource] = {}
        self._lock = threading.Lock()
        self._events = ThreadPoolExecutor(1, thread_name_prefix=f"events-{name}")
        self._objects = Objects(name, http, self._collection)
        self._machines = Machines(name)
        self._started = FirstReady()

    def start(self) -> None:
        """Begin to watch what every cluster has."""
        if not self._namespaced:
            self._informer(NODES)

    def stop(self, timeout_s: float) -> None:
        """Stop every watch."""
        self._events.shutdown(wait=False, cancel_futures=True)
        self._objects.stop()
        informers = list(self._informers.values())
        for informer in informers:
            informer.stop(timeout_s / max(1, len(informers)))

    def unready(self) -> list[str]:
        """Return what has not been read yet."""
        return [
            f"cluster {self.name}: {one.path}: {one.error}"
            for one in self._informers.values()
            if not one.synced.is_set() and "/nodes" not in one.path
        ]

    # -- reading ---------------------------------------------------------------------------------------

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return the targets that are there; of one that cannot be read, why: the others are not held by it."""
        found: dict[str, Workload] = {}
        pods: dict[str, tuple[PodShare, ...]] = {}
        startups: dict[str, tuple[Startup, ...]] = {}
        refused: dict[str, tuple[Reason, str]] = {}
        self._watch_around(targets)
        for ref in targets:
            try:
                shown = self._shown(ref)
            except NotServed as err:
                refused[ref.key] = (Reason.UNKNOWN_TARGET, str(err))
            except NotFoundThere:
                self._started.gone(ref.key)
            except NoPermission as err:
                refused[ref.key] = (Reason.NO_PERMISSION, str(err))
            except ClusterUnavailable as err:
                refused[ref.key] = (Reason.CLUSTER_UNAVAILABLE, str(err))
            else:
                if shown is not None:
                    mine = pods_of(ref, shown.item, shown.around)
                    found[ref.key] = workload(ref, shown.item, shown.around, at - shown.age_s, mine)
                    startups[ref.key] = self._started.of(ref.key, mine)
                    pods[ref.key] = shares(mine, (shown.item.get("spec") or {}).get("template") or {})
        if self._namespaced:
            return Inventory(workloads=found, refused=refused, pods=pods, startups=startups)
        machines = self._machines.of(self._informer(NODES).objects())
        return Inventory(
            workloads=found,
            refused=refused,
            nodes={self.name: self._nodes()},
            pods=pods,
            machines=machines,
            startups=startups,
        )

    def listed(self, kind: TargetRef, at: Instant) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of every object of a kind in its namespace, by name; raise a PortError while unknown."""
        try:
            path = self._resource(kind).path(kind.namespace)
        except NotServed as err:
            raise ClusterUnavailable(str(err)) from err
        informer = self._informer(path)
        if not informer.synced.is_set() and informer.lists == 0:
            informer.read.wait(FIRST_READ_S)
        items, _ = self._items(path)
        if informer.known() is None:
            raise ClusterUnavailable(f"{path}: {informer.error or 'the API server has no such resource'}")
        every = [one.get("metadata") or {} for one in items]
        return {str(one.get("name", "")): dict(one.get("labels") or {}) for one in every}

    def _watch_around(self, targets: Sequence[TargetRef]) -> None:
        """Begin to watch everything that is needed of the targets at once, and wait a moment for what is new."""
        new = []
        for ref in targets:
            try:
                resource = self._resource(ref)
            except (NotFoundThere, PortError):
                continue  # said when the target is read
            paths = [(path, "") for path in (resource.path(ref.namespace), *_around(ref.namespace), *_beneath(ref))]
            if not self._namespaced:
                paths.append((NAMESPACES, _of_namespace(ref.namespace)))
            for path, selector in paths:
                informer = self._informer(path, selector)
                if not informer.synced.is_set() and informer.lists == 0:
                    new.append(informer)
        deadline = time.monotonic() + FIRST_READ_S
        for informer in new:
            informer.read.wait(max(0.0, deadline - time.monotonic()))

    def _shown(self, ref: TargetRef) -> _Shown | None:
        resource = self._resource(ref)
        items, age_s = self._items(resource.path(ref.namespace))
        item = next((one for one in items if (one.get("metadata") or {}).get("name") == ref.name), None)
        namespaces = [] if self._namespaced else self._items(NAMESPACES, _of_namespace(ref.namespace))[0]
        (pods, pods_age_s), (hpas, hpas_age_s), (pdbs, pdbs_age_s) = map(self._items, _around(ref.namespace))
        beneath = [self._items(path) for path in _beneath(ref)]
        if item is None:
            return None
        path = f"{resource.path(ref.namespace)}/{ref.name}"
        around = Around(
            namespace=next(iter(namespaces), None),
            pods=pods,
            hpas=hpas,
            pdbs=pdbs,
            scale=self._http.get(f"{path}/scale") if resource.own_scale and resource.scalable else None,
            scalable=resource.scalable or bool(beneath),
            podautoscalers=[one for items, _ in beneath for one in items],
        )
        oldest_s = max(age_s, pods_age_s, hpas_age_s, pdbs_age_s, *(one_s for _, one_s in beneath))
        return _Shown(item, around, oldest_s)

    def _items(self, path: str, field_selector: str = "") -> tuple[list[dict[str, Any]], float]:
        """Return the objects of a path and for how many seconds they may have changed since.

        Raises ClusterUnavailable when that is long, NoPermission when the right is gone, NotServed when there is none.
        """
        informer = self._informer(path, field_selector)
        error, age_s, denials = informer.error, informer.age_s(), informer.denials
        if error and (age_s > DISCONNECTED_S or denials >= DENIALS):
            since = f" (last heard of {age_s:.0f} s ago)" if math.isfinite(age_s) else ""
            failure = NoPermission if denials else ClusterUnavailable
            raise failure(f"{path}: {error}{since}")
        if informer.synced.is_set() and informer.known() is None:
            # no answer is no empty list: who saw no autoscaler would fight it, and take its floor for handed back (S4)
            raise NotServed(f"the API server does not serve {path}")
        return informer.objects(), age_s

    def _informer(self, path: str, field_selector: str = "") -> Informer:
        key = f"{path}?{field_selector}"
        with self._lock:
            informer = self._informers.get(key)
            if informer is None:
                informer = self._informers[key] = Informer(self._http, path, field_selector)
                informer.start()
        return informer

    def _resource(self, ref: TargetRef) -> _Resource:
        """Return where a kind lives, by discovery; raise NotServed when the API has no such kind."""
        key = (ref.api_version, ref.kind)
        if key not in self._resources:
            prefix = f"/apis/{ref.api_version}" if "/" in ref.api_version else f"/api/{ref.api_version}"
            try:
                known = self._http.get(prefix).get("resources") or ()
            except NotFoundThere as err:
                raise NotServed(f"the API server does not serve {ref.api_version}") from err
            plural = next((one["name"] for one in known if one["kind"] == ref.kind and "/" not in one["name"]), None)
            if plural is None:
                raise NotServed(f"the API server has no kind {ref.kind} in {ref.api_version}")
            scalable = any(one["name"] == f"{plural}/scale" for one in known)
            own = not ref.api_version.startswith("apps/")
            self._resources[key] = _Resource(prefix, plural, scalable, own)
        return self._resources[key]

    def _nodes(self) -> Nodes:
        informer = self._informer(NODES)
        items = informer.objects()
        return Nodes(
            total=len(items),
            ready=sum(1 for one in items if node_ready(one)),
            unschedulable=sum(1 for one in items if (one.get("spec") or {}).get("unschedulable")),
        )

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return the objects of plans as they are now."""
        return self._objects.look(wanted, at)

    def _collection(self, api_version: str, kind: str, namespace: str) -> str:
        if self._namespaced and not namespace:
            raise NoPermission(f"{kind} is the cluster's, and clusters.{self.name} is namespaced")
        ref = TargetRef(cluster=self.name, namespace=namespace, api_version=api_version, kind=kind, name="")
        return self._resource(ref).path(namespace)

    # -- writing ---------------------------------------------------------------------------------------

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Send one step once."""
        try:
            return self._writer.send(action, step, self._path(step.target), at)
        except NotServed as err:
            return _not_served(action.id, err, at)

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Write an epoch on one object."""
        try:
            return self._writer.stamp(stamp, self._path(stamp.step.target), at, until)
        except NotServed as err:
            return _not_served("", err, at)

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Send one step of a plan once."""
        try:
            path = self._resource(step.target).path(step.target.namespace)
            return self._writer.perform(errand, step, path, at)
        except NotServed as err:
            return _not_served(errand.id, err, at)

    def _path(self, ref: TargetRef) -> str:
        return f"{self._resource(ref).path(ref.namespace)}/{ref.name}"

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Emit an Event on the target, beside the loop; a failure is logged and lost."""
        event = _event(target, reason, f"{message} (action {action_id})", at)
        self._events.submit(self._post_event, event["metadata"]["namespace"], event)

    def _post_event(self, namespace: str, event: dict[str, Any]) -> None:
        from urllib3.exceptions import HTTPError

        try:
            call = Call(method="POST", path=f"/api/v1/namespaces/{namespace}/events", body=event)
            status = self._http.send(call).status
        except (HTTPError, Throttled) as err:
            _LOG.warning("event_lost", extra={"error": str(err)})
            return
        if status >= 300:
            _LOG.warning("event_refused", extra={"status": status})


def _around(namespace: str) -> tuple[str, str, str]:
    """Return the paths of the pods, HPAs and disruption budgets of a namespace."""
    return (
        f"/api/v1/namespaces/{namespace}/pods",
        f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
        f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
    )


def _beneath(ref: TargetRef) -> tuple[str, ...]:
    """Return the path of Knative's autoscalers, for a Service of Knative."""
    return (knative.PODAUTOSCALERS.format(namespace=ref.namespace),) if knative.serves(ref) else ()


def _of_namespace(name: str) -> str:
    return f"metadata.name={name}"


def _not_served(action_id: str, err: NotServed, at: Instant) -> StepResult:
    return StepResult(action_id=action_id, status=StepStatus.REFUSED, at=at, reason=Reason.REFUSED, message=str(err))


def _event(target: TargetRef, reason: str, message: str, at: Instant) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # Kubernetes keeps what is told of nodes, which have no namespace, in this one
    namespace = target.namespace or "default"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{target.name}.", "namespace": namespace},
        "involvedObject": {
            "apiVersion": target.api_version,
            "kind": target.kind,
            "name": target.name,
            "namespace": target.namespace,
        },
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if reason.endswith("Failed") else "Normal",
        "source": {"component": "aiops"},
        "reportingComponent": "policy.aiops/loop",
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
