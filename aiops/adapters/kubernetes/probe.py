"""Looking at an API server once, as a doctor does: version, clock, what we may do, what is served. Nothing is stored.

A review is sent by POST, as its API has it; it is answered, and no object is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from aiops.adapters.kubernetes.connection import KubernetesOptions, api_client
from aiops.adapters.kubernetes.http import Call, Http, NotFoundThere, cause, parsed, refusal
from aiops.errors import ClusterUnavailable, NoPermission

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
TIMEOUT_S = 5.0
ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One verb on one resource. namespace, name: '' for all of them."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One rule of one of the roles that are printed. namespace: '' for a ClusterRole."""

    role: str
    namespace: str
    rule: Mapping[str, Any]

    def rights(self) -> Iterator[Right]:
        """Yield every single thing that it allows."""
        for group in self.rule["apiGroups"]:
            for resource in self.rule["resources"]:
                for verb in self.rule["verbs"]:
                    for name in self.rule.get("resourceNames") or ("",):
                        yield Right(namespace=self.namespace, group=group, resource=resource, verb=verb, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What the API server says of itself. ahead_s: of our clock, within a second; None when it gives no date."""

    version: str
    ahead_s: float | None


def prepare() -> None:
    """Load the client now: threads that load its modules, which refer to each other, at once may block each other."""
    import kubernetes.client
    import kubernetes.config  # noqa: F401  # loaded for later


def grants(objects: Iterable[Mapping[str, Any]]) -> list[Grant]:
    """Return the rules of the roles among objects."""
    return [
        Grant(role=one["metadata"]["name"], namespace=one["metadata"].get("namespace", ""), rule=rule)
        for one in objects
        if one["kind"] in ("Role", "ClusterRole")
        for rule in one["rules"]
    ]


class ClusterProbe:
    """Asks one API server; every method raises ClusterUnavailable or NoPermission when there is no answer.

    wall: our clock, which the server's is compared with. certificate: of the client, None where it shows none.
    """

    def __init__(self, http: Http, wall: Callable[[], float], certificate: Path | None = None) -> None:
        self._http = http
        self._wall = wall
        self.certificate = certificate

    @classmethod
    def connect(cls, options: KubernetesOptions, wall: Callable[[], float]) -> ClusterProbe:
        """Return who asks, with connections of its own; raise ConfigurationError."""
        client = api_client(options)
        shown = client.configuration.cert_file
        return cls(Http(client), wall, Path(str(shown)) if shown else None)

    @property
    def host(self) -> str:
        """Return the address of the API server."""
        return self._http.host

    def greet(self) -> Greeting:
        """Return its version and how its clock stands to ours."""
        from urllib3.exceptions import HTTPError

        sent = self._wall()
        try:
            answer = self._http.send(Call(method="GET", path="/version", timeout_s=TIMEOUT_S))
        except HTTPError as err:
            raise ClusterUnavailable(f"{self.host}: {cause(err)}") from err
        received = self._wall()
        if answer.status >= 300:
            raise refusal(answer, "get /version")
        version = str(parsed(answer.data, self.host).get("gitVersion", ""))
        try:
            # it is cut to whole seconds
            theirs = parsedate_to_datetime(str(answer.headers.get("Date", ""))).timestamp() + 0.5
        except ValueError:
            return Greeting(version=version, ahead_s=None)
        return Greeting(version=version, ahead_s=theirs - (sent + received) / 2)

    def whoami(self) -> str:
        """Return under which name we are known, '' where it is not told (before Kubernetes 1.28)."""
        try:
            status = self._created(_WHO, "authentication.k8s.io/v1", "SelfSubjectReview", {})
        except (ClusterUnavailable, NoPermission, NotFoundThere):
            return ""
        return str((status.get("userInfo") or {}).get("username", ""))

    def reviewed(self, wanted: Iterable[Right], goes_on: Callable[[], bool]) -> dict[Right, bool]:
        """Return of each right whether we have it; of those that were left out when it no longer went on, nothing."""
        rights = list(dict.fromkeys(wanted))

        def ask(right: Right) -> bool | None:
            return self.allowed(right) if goes_on() else None

        with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="review") as pool:
            answers = list(pool.map(ask, rights))
        return {right: allowed for right, allowed in zip(rights, answers, strict=True) if allowed is not None}

    def allowed(self, right: Right) -> bool:
        """Return whether we may."""
        resource, _, sub = right.resource.partition("/")
        attributes = {
            "namespace": right.namespace,
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": sub,
            "name": right.name,
        }
        spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
        status = self._created(_REVIEWS, "authorization.k8s.io/v1", "SelfSubjectAccessReview", spec)
        return status.get("allowed") is True and status.get("denied") is not True

    def find(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return what is at a path, None when there is nothing."""
        try:
            return self._http.get(path, **query)
        except NotFoundThere:
            return None

    def _created(self, path: str, version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        body = {"apiVersion": version, "kind": kind, **({"spec": spec} if spec else {})}
        try:
            answer = self._http.send(Call(method="POST", path=path, body=body, timeout_s=TIMEOUT_S))
        except HTTPError as err:
            raise ClusterUnavailable(f"{self.host}: {cause(err)}") from None
        if answer.status == 404:
            raise NotFoundThere(path)
        if answer.status >= 300:
            raise refusal(answer, f"create {kind}")
        status = parsed(answer.data, self.host).get("status")
        return status if isinstance(status, dict) else {}
