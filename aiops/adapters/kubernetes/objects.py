"""Objects of plans: looked at one by one or by a selection, and changed by one request that is never sent twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeGuard

from aiops.adapters.kubernetes.http import Call, Http, NotFoundThere, NotServed, cause, parsed, refusal
from aiops.adapters.kubernetes.ownership import others
from aiops.core.model import Instant, Looked, Reason, SeenObject, Selection, TargetRef, Wanted
from aiops.errors import ClusterUnavailable, NoPermission

LOOK_S = 3.0
"""How long one look may take: a lane of five seconds waits for it."""

PAGE, MOST = 500, 5000
"""Objects of one answer and of one selection; more than that is an error, not a bill."""

PARALLEL = 8

Path = Callable[[str, str, str], str]
"""Returns the path of a collection by api version, kind and namespace; raises NotServed."""

_Error = tuple[Reason, str]
_Found = SeenObject | tuple[SeenObject, ...] | _Error | None
_BULKY = ("kubectl.kubernetes.io/last-applied-configuration",)


@dataclass(slots=True)
class Objects:
    """Looks at objects of one API server; one that does not answer delays a turn by `LOOK_S` at most.

    What is still asked for is not asked for again, so that nothing piles up behind a server that hangs.
    """

    cluster: str
    http: Http
    path: Path
    look_s: float = LOOK_S
    _pool: ThreadPoolExecutor = field(init=False)
    _asked: dict[str, Future[_Found]] = field(init=False, default_factory=dict)
    _missed: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix=f"look-{self.cluster}")

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return what is there; what cannot be read in time is an error that is told with it."""
        began = time.monotonic()
        # who waited longest for an answer is asked first: a slow cluster must not starve the same ones for ever
        first = sorted(wanted.objects, key=lambda ref: -self._missed.get(ref.key, 0))
        futures = {ref.key: self._ask(ref.key, partial(self._one, ref, at)) for ref in first}
        futures |= {one.key: self._ask(one.key, partial(self._several, one, at)) for one in wanted.selections}
        fresh = [future for future in futures.values() if future is not None]
        wait(fresh, timeout=max(0.0, began + self.look_s - time.monotonic()))
        found = {key: self._settled(future) for key, future in futures.items()}
        self._missed = {key: self._missed.get(key, 0) + 1 for key, one in found.items() if _is_error(one)}
        selections = {one.key for one in wanted.selections}
        return Looked(
            objects={key: one for key, one in found.items() if isinstance(one, SeenObject)},
            selections={key: one for key, one in found.items() if key in selections and _is_list(one)},
            errors={key: one for key, one in found.items() if _is_error(one)},
        )

    def _ask(self, key: str, look: Callable[[], _Found]) -> Future[_Found] | None:
        """Begin to look, or return None while an earlier look at the same is without an answer."""
        before = self._asked.get(key)
        if before is not None and not before.done():
            return None
        self._asked = {known: future for known, future in self._asked.items() if not future.done()}
        future = self._asked[key] = self._pool.submit(look)
        return future

    def _settled(self, future: Future[_Found] | None) -> _Found:
        if future is None or not future.done():
            return Reason.CLUSTER_UNAVAILABLE, f"{self.http.host} did not answer within {self.look_s:g} s"
        return future.result()

    def stop(self) -> None:
        """Look at nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, ref: TargetRef, at: Instant) -> _Found:
        """Return the object, None when there is none, or why it is not known."""
        try:
            body = self._get(f"{self.path(ref.api_version, ref.kind, ref.namespace)}/{ref.name}", {})
        except NotServed as err:
            return Reason.UNKNOWN_TARGET, str(err)
        except NotFoundThere:
            return None
        except NoPermission as err:
            return Reason.NO_PERMISSION, str(err)
        except ClusterUnavailable as err:
            return Reason.CLUSTER_UNAVAILABLE, str(err)
        return _seen(ref, body, at)

    def _several(self, selection: Selection, at: Instant) -> _Found:
        """Return what is selected, or why it is not known; of a kind that is not installed there is nothing."""
        query = {"limit": str(PAGE)}
        if selection.labels:
            query["labelSelector"] = ",".join(f"{name}={value}" for name, value in sorted(selection.labels.items()))
        if selection.field:
            query["fieldSelector"] = selection.field
        found: list[SeenObject] = []
        try:
            path = self.path(selection.api_version, selection.kind, selection.namespace)
            while True:
                answer = self._get(path, query)
                items = answer.get("items") or ()
                found += [_seen(_ref(selection, one), one, at) for one in items if isinstance(one, dict)]
                more = _mapping(answer.get("metadata")).get("continue")
                if not more:
                    return tuple(found)
                if len(found) >= MOST:
                    return Reason.CLUSTER_UNAVAILABLE, f"more than {MOST} objects of {selection.kind} are selected"
                query["continue"] = str(more)
        except (NotServed, NotFoundThere):
            return ()
        except NoPermission as err:
            return Reason.NO_PERMISSION, str(err)
        except ClusterUnavailable as err:
            return Reason.CLUSTER_UNAVAILABLE, str(err)

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        try:
            response = self.http.send(Call(method="GET", path=path, query=query, timeout_s=LOOK_S))
        except HTTPError as err:
            raise ClusterUnavailable(f"{self.http.host}: {cause(err)}") from err
        if response.status == 404:
            raise NotFoundThere(path)
        if response.status >= 300:
            raise refusal(response, f"get {path}")
        return parsed(response.data, self.http.host)


def _ref(selection: Selection, body: dict[str, Any]) -> TargetRef:
    metadata = _mapping(body.get("metadata"))
    return TargetRef(
        cluster=selection.cluster,
        namespace=str(metadata.get("namespace") or ""),
        api_version=selection.api_version,
        kind=selection.kind,
        name=str(metadata.get("name") or ""),
    )


def _seen(ref: TargetRef, body: dict[str, Any], at: Instant) -> SeenObject:
    metadata = _mapping(body.get("metadata"))
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    if isinstance(kept.get("annotations"), Mapping):
        kept["annotations"] = {key: text for key, text in kept["annotations"].items() if key not in _BULKY}
    return SeenObject(
        ref=ref,
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        as_of=at,
        body=_bare(ref, {**body, "metadata": kept}),
        owners=others(_mapping(metadata)),
    )


def _bare(ref: TargetRef, body: dict[str, Any]) -> dict[str, Any]:
    """Return a pod without what its containers are told: that may hold secrets, and nobody here reads it (S10)."""
    if ref.kind != "Pod" or not isinstance(body.get("spec"), Mapping):
        return body
    spec = dict(body["spec"])
    for name in ("containers", "initContainers", "ephemeralContainers"):
        if isinstance(spec.get(name), list):
            spec[name] = [_told_nothing(one) for one in spec[name] if isinstance(one, Mapping)]
    return {**body, "spec": spec}


def _told_nothing(container: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in container.items() if key not in ("env", "envFrom", "command", "args")}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_list(found: _Found) -> TypeGuard[tuple[SeenObject, ...]]:
    return isinstance(found, tuple) and not _is_error(found)


def _is_error(found: _Found) -> TypeGuard[_Error]:
    return isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Reason)
