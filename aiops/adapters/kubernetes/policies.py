"""ports.PolicyResources: policies that are objects of an API server, by informers; their status, by an apply."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.adapters.kubernetes.http import APPLY_PATCH, USER_AGENT, Call, Http, cause, refused, retry_after_s, said
from aiops.adapters.kubernetes.informer import Informer
from aiops.core.model import Reason
from aiops.errors import ClusterUnavailable
from aiops.policy.crd import RESOURCES
from aiops.policy.resource import GROUP, VERSION, Resource
from aiops.ports import PolicyResource, ResourcesReading

PREFIX = f"/apis/{GROUP}/{VERSION}"
STATUS_MANAGER = "aiops-status"
DISCONNECTED_S = 60.0
"""How long a watch that hears nothing still counts."""

FIRST_READ_S = 3.0
WRITE_TIMEOUT_S = 5.0
GONE = (404, 409)
"""What is answered when the object is no more: 409 when another one has its name, since the uid is sent along."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """One kind in one namespace, or ("") in all."""

    resource: Resource
    namespace: str
    informer: Informer

    @property
    def where(self) -> str:
        return f"{self.resource.name}{f' in namespace {self.namespace}' if self.namespace else ''}"


class KubernetesPolicies:
    """The policies of one API server: in the namespaces that are named, or in all.

    A kind that the API server does not serve, or that may not be read, is not known; it is never taken for empty.
    """

    def __init__(self, http: Http, namespaces: Sequence[str] = (), resources: Iterable[Resource] = RESOURCES) -> None:
        self._http = http
        self._watched = [
            _Watched(one, namespace, Informer(http, path_of(one, namespace)))
            for one in resources
            for namespace in (namespaces or ("",))
        ]
        self._quiet_until = -math.inf
        self._clock: Callable[[], float] = time.monotonic

    def start(self) -> None:
        """Begin to watch, and wait a moment for the first answers, so that the first turn knows who claims what."""
        for one in self._watched:
            one.informer.start()
        deadline = self._clock() + FIRST_READ_S
        for one in self._watched:
            one.informer.read.wait(max(0.0, deadline - self._clock()))

    def stop(self, timeout_s: float) -> None:
        """Stop every watch."""
        for one in self._watched:
            one.informer.stop(timeout_s / max(1, len(self._watched)))

    def read(self) -> ResourcesReading:
        """Return what is known now. A kind of which one namespace is not known is not known at all."""
        found: dict[str, PolicyResource] = {}
        unknown: dict[str, tuple[Reason, str]] = {}
        stale: dict[str, tuple[Reason, str]] = {}
        for one in self._watched:
            objects = one.informer.known()
            if objects is None:
                unknown[one.resource.kind] = _why_unknown(one)
                continue
            why = _why_stale(one)
            if why is not None:
                stale[one.resource.kind] = why
            found |= {item.key: item for item in (_resource(one.resource, item) for item in objects)}
        known = {key: item for key, item in found.items() if item.kind not in unknown}
        return ResourcesReading(found=known, unknown=unknown, stale=stale)

    def tell(self, resource: PolicyResource, status: Mapping[str, Any]) -> bool:
        """Write a status, and return whether its object was still there."""
        from urllib3.exceptions import HTTPError

        quiet_s = self._quiet_until - self._clock()
        if quiet_s > 0:
            raise ClusterUnavailable(f"the API server asked to be left alone, {quiet_s:.0f} s left", quiet_s)
        path = f"{path_of(_of_kind(resource.kind), resource.namespace)}/{resource.name}/status"
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": resource.kind,
            "metadata": {"name": resource.name, "namespace": resource.namespace, "uid": resource.uid},
            "status": dict(status),
        }
        call = Call(
            method="PATCH",
            path=path,
            query={"fieldManager": STATUS_MANAGER, "force": "true"},
            body=body,
            content_type=APPLY_PATCH,
            user_agent=f"{USER_AGENT} status",
            timeout_s=WRITE_TIMEOUT_S,
        )
        try:
            answer = self._http.send(call)
        except HTTPError as err:
            raise ClusterUnavailable(f"{self._http.host}: {cause(err)}") from err
        if answer.status < 300:
            return True
        if answer.status in GONE:
            return False
        if answer.status in (429, 503):
            self._quiet_until = self._clock() + retry_after_s(answer)
        what = f"patch {resource.kind}/status in namespace {resource.namespace}"
        raise refused(answer.status, said(answer.data), what, retry_after_s(answer))


def path_of(resource: Resource, namespace: str) -> str:
    """Return where the objects of a kind lie: in a namespace, or ("") in all."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{PREFIX}{inside}/{resource.plural}"


def _of_kind(kind: str) -> Resource:
    return next(one for one in RESOURCES if one.kind == kind)


def _resource(of: Resource, item: Mapping[str, Any]) -> PolicyResource:
    metadata = item.get("metadata") or {}
    return PolicyResource(
        kind=of.kind,
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation") or 0),
        labels=dict(metadata.get("labels") or {}),
        spec=item.get("spec") or {},
        status=item.get("status") or {},
    )


def _why_unknown(one: _Watched) -> tuple[Reason, str]:
    informer = one.informer
    if informer.error:
        reason = Reason.NO_PERMISSION if informer.denials else Reason.CLUSTER_UNAVAILABLE
        return reason, f"{one.where}: {informer.error}"
    hint = "`aiops policy crd | kubectl apply --server-side -f -` installs it"
    return Reason.UNKNOWN_TARGET, f"{one.where}: the API server serves no such kind; {hint}"


def _why_stale(one: _Watched) -> tuple[Reason, str] | None:
    informer = one.informer
    error, age_s = informer.error, informer.age_s()
    if not error or (age_s <= DISCONNECTED_S and not informer.denials):
        return None
    reason = Reason.NO_PERMISSION if informer.denials else Reason.CLUSTER_UNAVAILABLE
    return reason, f"{one.where}: {error} (last heard of {age_s:.0f} s ago)"
