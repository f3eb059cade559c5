"""Whose a token of Kubernetes is, and what they may: its API server is asked (TokenReview, SubjectAccessReview)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.adapters.kubernetes.connection import KubernetesOptions, api_client
from aiops.adapters.kubernetes.http import Call, Http, cause, parsed, refusal
from aiops.adapters.kubernetes.rbac import instance_of
from aiops.adapters.kubernetes.words import NAME, binding, named, rule
from aiops.errors import ClusterUnavailable

_TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """Who the API server says it is."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What somebody wants to do with a resource of the API, which need not exist."""

    verb: str
    group: str
    resource: str
    name: str


class Reviews:
    """Asks one API server. It needs the right to create both reviews: the role system:auth-delegator."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @classmethod
    def connect(cls, options: KubernetesOptions) -> Reviews:
        """Return who asks a cluster's API server, with connections of its own; raise ConfigurationError."""
        return cls(Http(api_client(options)))

    def token(self, token: str, audiences: Sequence[str] = ()) -> Reviewed | None:
        """Return whose token it is, None when it is not valid, or for none of the audiences; raise PortError."""
        spec: dict[str, Any] = {"token": token} | ({"audiences": [*audiences]} if audiences else {})
        status = self._asked(_TOKENS, "authentication.k8s.io/v1", "TokenReview", spec)
        # of an API server that knows no audiences nothing is said of them: then it is for none of ours
        heard = not audiences or bool(set(audiences) & set(status.get("audiences") or ()))
        user = status.get("user")
        if status.get("authenticated") is not True or not heard or not isinstance(user, dict):
            return None
        username = user.get("username")
        if not isinstance(username, str) or not username:
            return None
        extra = {str(key): tuple(map(str, values)) for key, values in (user.get("extra") or {}).items()}
        groups = tuple(map(str, user.get("groups") or ()))
        return Reviewed(username=username, uid=str(user.get("uid") or ""), groups=groups, extra=extra)

    def allowed(self, who: Reviewed, what: Attributes) -> bool:
        """Return whether somebody may; raise PortError."""
        spec = {
            "user": who.username,
            "uid": who.uid,
            "groups": [*who.groups],
            "extra": {key: [*values] for key, values in who.extra.items()},
            "resourceAttributes": {
                "verb": what.verb,
                "group": what.group,
                "resource": what.resource,
                "name": what.name,
            },
        }
        status = self._asked(_ACCESS, "authorization.k8s.io/v1", "SubjectAccessReview", spec)
        return status.get("allowed") is True and status.get("denied") is not True

    def _asked(self, path: str, version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        body = {"apiVersion": version, "kind": kind, "spec": spec}
        try:
            answer = self._http.send(Call(method="POST", path=path, body=body, timeout_s=TIMEOUT_S))
        except HTTPError as err:
            raise ClusterUnavailable(f"{self._http.host}: {cause(err)}") from None
        if answer.status >= 300:
            raise refusal(answer, f"create {kind}")
        status = parsed(answer.data, self._http.host).get("status")
        return status if isinstance(status, dict) else {}


def access_roles(service_namespace: str = NAME, lease: str = NAME) -> list[dict[str, Any]]:
    """Return what asking for reviews needs, and nothing else: to create both, which changes nothing."""
    name = f"{instance_of(service_namespace, lease)}:access"
    role = named("rbac.authorization.k8s.io/v1", "ClusterRole", name, None)
    rules = [
        rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
        rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
    ]
    return [{**role, "rules": rules}, binding("ClusterRoleBinding", name, service_namespace, None)]
