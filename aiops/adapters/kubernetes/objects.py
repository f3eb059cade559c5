"""Objects of plans: looked at one by one or by a selection, and changed by one request that is never sent twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiops.adapters.kubernetes.http import Call, Http, NotFoundThere, NotServed, cause, parsed, refusal
from aiops.core.model import Instant, Looked, Reason, SeenObject, Selection, TargetRef, Wanted
from aiops.errors import ClusterUnavailable, NoPermission

LOOK_S = 3.0
"""How long one look may take: a lane of five seconds waits for it."""

MOST = 5000
"""Objects of one selection; more than that is an error, not a bill."""

PARALLEL = 8

Path = Callable[[str, str, str], str]
"""Returns the path of a collection by api version, kind and namespace; raises NotServed."""

_Error = tuple[Reason, str]


@dataclass(slots=True)
class Objects:
    """Looks at objects of one API server; one that does not answer delays a turn by `LOOK_S` at most."""

    cluster: str
    http: Http
    path: Path

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return what is there; what cannot be read is an error that is told with it."""
        objects: dict[str, SeenObject] = {}
        selections: dict[str, tuple[SeenObject, ...]] = {}
        errors: dict[str, _Error] = {}
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix=f"look-{self.cluster}") as pool:
            singles = [(ref, pool.submit(self._one, ref, at)) for ref in wanted.objects]
            several = [(one, pool.submit(self._several, one, at)) for one in wanted.selections]
            for ref, future in singles:
                seen = future.result()
                if isinstance(seen, SeenObject):
                    objects[ref.key] = seen
                elif seen is not None:
                    errors[ref.key] = seen
            for selection, each in several:
                found = each.result()
                if isinstance(found, list):
                    selections[selection.key] = tuple(found)
                else:
                    errors[selection.key] = found
        return Looked(objects=objects, selections=selections, errors=errors)

    def _one(self, ref: TargetRef, at: Instant) -> SeenObject | _Error | None:
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

    def _several(self, selection: Selection, at: Instant) -> list[SeenObject] | _Error:
        query = {"limit": str(MOST)}
        if selection.labels:
            query["labelSelector"] = ",".join(f"{name}={value}" for name, value in sorted(selection.labels.items()))
        if selection.field:
            query["fieldSelector"] = selection.field
        try:
            answer = self._get(self.path(selection.api_version, selection.kind, selection.namespace), query)
        except (NotServed, NotFoundThere) as err:
            return Reason.UNKNOWN_TARGET, str(err)
        except NoPermission as err:
            return Reason.NO_PERMISSION, str(err)
        except ClusterUnavailable as err:
            return Reason.CLUSTER_UNAVAILABLE, str(err)
        if (answer.get("metadata") or {}).get("continue"):
            return Reason.CLUSTER_UNAVAILABLE, f"more than {MOST} objects of {selection.kind} are selected"
        return [_seen(_ref(selection, body), body, at) for body in answer.get("items") or ()]

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
    metadata = body.get("metadata") or {}
    return TargetRef(
        cluster=selection.cluster,
        namespace=str(metadata.get("namespace") or ""),
        api_version=selection.api_version,
        kind=selection.kind,
        name=str(metadata.get("name") or ""),
    )


def _seen(ref: TargetRef, body: dict[str, Any], at: Instant) -> SeenObject:
    metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key != "managedFields"}
    return SeenObject(
        ref=ref,
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        as_of=at,
        body={**body, "metadata": metadata},
    )
