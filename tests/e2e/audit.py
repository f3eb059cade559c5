"""What the API server says was asked of it: its audit log, followed while it grows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  # the control plane among itself
  - level: None
    users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
  - level: None
    userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]
  # whoever writes what can be a target
  - level: RequestResponse
    verbs: [create, update, patch, delete, deletecollection]
    resources:
      - group: apps
        resources: [deployments, deployments/scale, statefulsets, statefulsets/scale]
      - group: autoscaling
        resources: [horizontalpodautoscalers]
      - group: autoscaling.internal.knative.dev
        resources: [podautoscalers]
  # all else that the daemon asks, its leases and Events included
  - level: Metadata
    userGroups: ["system:serviceaccounts:aiops"]
  # other accounts, and the administrator, as whom the fake nodes are kept alive
  - level: None
    userGroups: ["system:serviceaccounts", "system:masters"]
  # people, and whoever did not say who he is
  - level: Metadata
"""
"""Writes of targets with what was sent and answered; of the daemon everything else without."""

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
DAEMON = "aiops/"
"""How the daemon's user agents begin."""

MIN_SCALE = "autoscaling.knative.dev/min-scale"
"""Nothing written is a floor of 0."""

_ACTION = re.compile(r"\baction/([0-9A-Za-z]+)")
_EPOCH = re.compile(r"\bepoch/(\d+)")
_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One request that was answered. at, ended_at: seconds since the epoch, by the API server's clock.

    request, response: the bodies, for writes of targets; None where the policy says Metadata. code 0: not known.
    """

    id: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: str
    user_agent: str
    code: int
    at: float
    ended_at: float
    uri: str = ""
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def action_id(self) -> str | None:
        """Return the action that the user agent names."""
        found = _ACTION.search(self.user_agent)
        return None if found is None else found[1]

    @property
    def epoch(self) -> int | None:
        """Return the epoch that the user agent names, as stamps do."""
        found = _EPOCH.search(self.user_agent)
        return None if found is None else int(found[1])

    @property
    def writes(self) -> bool:
        """Return whether it asks for a change that is to stay."""
        return self.verb in WRITES and "dryRun=" not in self.uri

    @property
    def accepted(self) -> bool:
        """Return whether the API server did it."""
        return 200 <= self.code < 300

    @property
    def denied(self) -> bool:
        """Return whether it was not known who asks, or he may not."""
        return self.code in (401, 403) or self.annotations.get("authorization.k8s.io/decision") == "forbid"

    @property
    def object(self) -> str:
        """Return which object: `resource/namespace/name`, whatever the subresource."""
        return f"{self.resource}/{self.namespace}/{self.name}"

    @property
    def level(self) -> int | None:
        """Return the replicas or the floor that it asks for; None when it moves neither."""
        if self.resource == "podautoscalers":
            notes = ((self.request or {}).get("metadata") or {}).get("annotations") or {}
            return int(notes[MIN_SCALE] or 0) if MIN_SCALE in notes else None
        spec = (self.request or {}).get("spec")
        if not isinstance(spec, Mapping):
            return None
        found = spec.get("minReplicas" if self.resource == "horizontalpodautoscalers" else "replicas")
        return found if isinstance(found, int) else None

    @property
    def resource_version(self) -> int | None:
        """Return the version that the object had after it: the order in which writes were done."""
        text = str(((self.response or {}).get("metadata") or {}).get("resourceVersion", ""))
        return int(text) if text.isdecimal() else None

    def __str__(self) -> str:
        """Return how a violation names it."""
        sub = f"/{self.subresource}" if self.subresource else ""
        stamp = datetime.fromtimestamp(self.at).strftime("%H:%M:%S.%f")[:-3]  # noqa: DTZ006  # for people
        level = "" if self.level is None else f" to {self.level}"
        where = f"{self.resource}{sub} {self.namespace}/{self.name}"
        return f"{self.verb} {where}{level} -> {self.code} at {stamp} (audit {self.id}, {self.user_agent})"


def parsed(line: bytes) -> AuditEvent | None:
    """Return the event of a line; None for a stage that is not the end of its request."""
    raw = json.loads(line)
    if raw.get("stage") != "ResponseComplete":
        return None
    ref = raw.get("objectRef") or {}
    return AuditEvent(
        id=raw.get("auditID", ""),
        verb=raw.get("verb", ""),
        group=ref.get("apiGroup", ""),
        resource=ref.get("resource", ""),
        subresource=ref.get("subresource", ""),
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
        user=(raw.get("user") or {}).get("username", ""),
        user_agent=raw.get("userAgent", ""),
        code=int((raw.get("responseStatus") or {}).get("code", 0)),
        at=_instant(raw["requestReceivedTimestamp"]),
        ended_at=_instant(raw["stageTimestamp"]),
        uri=raw.get("requestURI", ""),
        request=_document(raw.get("requestObject")),
        response=_document(raw.get("responseObject")),
        annotations=raw.get("annotations") or {},
    )


class AuditLog:
    """Follows the file from its beginning. users: whose requests count; None is everybody's.

    A request whose sender was not known (401) has no user; it counts by its user agent. `events`: all until now.
    """

    def __init__(self, path: Path, users: Collection[str] | None = None) -> None:
        self._path = path
        self._users = None if users is None else frozenset(users)
        self._offset = 0
        self.events: list[AuditEvent] = []

    def read(self) -> list[AuditEvent]:
        """Return what was written since the last call; a line that is not whole yet waits for the next."""
        new = [event for line in self._lines() if (event := self._counted(line)) is not None]
        self.events += new
        return new

    def wait_for(self, match: Callable[[AuditEvent], bool], within_s: float, what: str = "the request") -> AuditEvent:
        """Return the first event that matches, of those until now and to come; fail with the newest ones."""
        deadline = time.monotonic() + within_s
        seen = 0
        while True:
            self.read()
            found = next((event for event in self.events[seen:] if match(event)), None)
            if found is not None:
                return found
            seen = len(self.events)
            if time.monotonic() > deadline:
                newest = "\n".join(str(event) for event in self.events[-10:])
                raise AssertionError(f"waited {within_s:.0f} s for {what} in the audit log; the newest are\n{newest}")
            time.sleep(0.05)

    def _lines(self) -> Iterator[bytes]:
        if not self._path.exists():
            return
        size = self._path.stat().st_size
        assert size >= self._offset, f"{self._path} became shorter: an audit log must not be rotated"
        with self._path.open("rb") as file:
            file.seek(self._offset)
            rest = b""
            while chunk := file.read(_CHUNK_BYTES):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    self._offset += len(line) + 1
                    if line.strip() and self._perhaps(line):
                        yield line

    def _perhaps(self, line: bytes) -> bool:
        """Return whether a line is worth parsing: most are of others."""
        return self._users is None or DAEMON.encode() in line or any(user.encode() in line for user in self._users)

    def _counted(self, line: bytes) -> AuditEvent | None:
        event = parsed(line)
        if event is None or self._users is None or event.user in self._users:
            return event
        return event if event.code == 401 and event.user_agent.startswith(DAEMON) else None


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _document(found: object) -> Mapping[str, Any] | None:
    return found if isinstance(found, Mapping) else None
