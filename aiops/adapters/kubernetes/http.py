"""Requests to one API server over the official client's configuration and connections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

import aiops
from aiops.adapters.kubernetes.connection import sendable
from aiops.adapters.kubernetes.rate import Bucket
from aiops.errors import ClusterUnavailable, NoPermission, let_go

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

READ_TIMEOUT_S = 10.0
USER_AGENT = f"aiops/{aiops.__version__}"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
ROLE_HINT = "`aiops rbac POLICIES` prints the roles that the policies need"
RETRY_AFTER_MOST_S = 300.0
PATIENCE_S = 2.0
_SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. body: None for none. patience_s: how long it may wait for its turn by the cluster's rate limit."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"
    user_agent: str = USER_AGENT
    timeout_s: float = READ_TIMEOUT_S
    stream: bool = False
    patience_s: float = PATIENCE_S


class NotFoundThere(Exception):
    """The API server has no such object or resource."""


class Throttled(ClusterUnavailable):
    """Our own rate limit for the cluster left no room for a request in time: nothing was sent."""


class NotServed(NotFoundThere):
    """The API server has no such version or kind."""


class Http:
    """Sends calls to one API server, and turns what goes wrong into our errors. bucket: how often it may be asked."""

    def __init__(self, client: ApiClient, bucket: Bucket | None = None) -> None:
        self._client = client
        self._bucket = bucket
        self._host = str(client.configuration.host).rstrip("/")

    @property
    def host(self) -> str:
        """Return the address of the API server."""
        return self._host

    def send(self, call: Call) -> BaseHTTPResponse:
        """Return the answer whatever its status; raise what urllib3 raises when there is none.

        Raises, before anything is sent, NoPermission when the credentials cannot be read, and Throttled.
        """
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        call = self._in_turn(call)
        headers = {"Accept": "application/json", "User-Agent": call.user_agent}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        self._authorize(headers, call)
        query = f"?{urlencode(dict(call.query))}" if call.query else ""
        try:
            answer: BaseHTTPResponse = self._client.rest_client.pool_manager.request(
                call.method,
                f"{self._host}{call.path}{query}",
                headers=headers,
                body=None if call.body is None else json.dumps(call.body),
                timeout=Timeout(connect=min(5.0, call.timeout_s), read=call.timeout_s),
                preload_content=not call.stream,
                redirect=False,
            )
        except HTTPError as err:
            let_go(err)
            raise
        return answer

    def _in_turn(self, call: Call) -> Call:
        """Return the call when its turn has come; a write that waited for it has so much less time left (S6)."""
        bucket = self._bucket
        if bucket is None:
            return call
        began, write = bucket.clock(), call.method != "GET"
        patience_s = min(call.patience_s, call.timeout_s / 2.0) if write else call.patience_s
        if not bucket.take(patience_s, write=write):
            limit = f"{bucket.per_s:g} requests a second, {bucket.burst} at once"
            raise Throttled(f"{self._host}: not sent, {limit} are its limit here (clusters.NAME.qps, burst)")
        return replace(call, timeout_s=call.timeout_s - (bucket.clock() - began)) if write else call

    def _authorize(self, headers: dict[str, str], call: Call) -> None:
        from kubernetes import config as loaders

        config: Any = loaders  # the client's loaders have no types
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], call.path, call.method, call.body)
        except (config.ConfigException, OSError) as err:
            raise NoPermission(f"{self._host}: the credentials cannot be read: {err}") from None
        token = str(headers.pop("authorization", "")).strip()
        if token:
            headers["Authorization"] = token
        if not sendable(token):
            raise NoPermission(f"{self._host}: the token holds what no header may hold")

    def get(self, path: str, patience_s: float = PATIENCE_S, /, **query: str) -> dict[str, Any]:
        """Return an object or a list; raise NotFoundThere, NoPermission or ClusterUnavailable."""
        from urllib3.exceptions import HTTPError

        try:
            response = self.send(Call(method="GET", path=path, query=query, patience_s=patience_s))
        except HTTPError as err:
            raise ClusterUnavailable(f"{self._host}: {cause(err)}") from err
        if response.status == 404:
            raise NotFoundThere(path)
        if response.status >= 300:
            raise refusal(response, f"get {path}")
        return parsed(response.data, self._host)


def refusal(response: BaseHTTPResponse, what: str) -> ClusterUnavailable | NoPermission:
    """Return our error for an answer that is no success; its body is read."""
    return refused(response.status, said(response.read() or response.data), what, retry_after_s(response))


def refused(status: int, message: str, what: str, after_s: float = 0.0) -> ClusterUnavailable | NoPermission:
    """Return our error for a status and its message; a missing permission says what prints the role."""
    if status == 401:
        return NoPermission(f"{what}: 401 {message}: the credentials are not accepted; have they expired?")
    if status == 403:
        return NoPermission(f"{what}: {message}; {ROLE_HINT}")
    return ClusterUnavailable(f"{what}: {status} {message}".rstrip(), after_s)


def retry_after_s(response: BaseHTTPResponse) -> float:
    """Return how long a server asked to be left alone, 0 when it did not."""
    text = str(response.headers.get("Retry-After", ""))
    return min(float(text), RETRY_AFTER_MOST_S) if text.isdecimal() else 0.0


def parsed(body: bytes, host: str) -> dict[str, Any]:
    """Return a JSON object; raise ClusterUnavailable for anything else."""
    try:
        document = orjson.loads(body)
    except ValueError as err:
        raise ClusterUnavailable(f"{host} answers no JSON: is that a Kubernetes API server?") from err
    if not isinstance(document, dict):
        raise ClusterUnavailable(f"{host} answers JSON that is no object")
    return document


def said(body: bytes) -> str:
    """Return the message of a Status, or the beginning of what is there."""
    try:
        document = json.loads(body)
        return str(document["message"])[:_SHOWN]
    except (ValueError, KeyError, TypeError):
        return body[:80].decode(errors="replace")


def cause(err: BaseException) -> str:
    """Return the innermost reason of a transport error."""
    inner = err
    while (deeper := getattr(inner, "reason", None) or inner.__cause__) is not None and isinstance(
        deeper, BaseException
    ):
        inner = deeper
    return (str(inner) or type(inner).__name__)[:_SHOWN]
