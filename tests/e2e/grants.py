"""What a printed role grants, line by line, against what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.e2e.audit import AuditEvent


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One line of a role. namespace "": everywhere, name "": any."""

    namespace: str
    verb: str
    resource: str
    name: str = ""

    def covers(self, event: AuditEvent) -> bool:
        """Return whether a request needed this."""
        return (
            self.verb == event.verb
            and self.resource == asked_for(event)
            and self.namespace in ("", event.namespace)
            and self.name in ("", event.name)
        )

    def __str__(self) -> str:
        return " ".join(filter(None, (self.namespace, self.verb, self.resource, self.name)))


def asked_for(event: AuditEvent) -> str:
    """Return group, resource and subresource of a request."""
    return f"{event.group}/{event.resource}" + (f"/{event.subresource}" if event.subresource else "")


def granted(objects: Iterable[dict[str, Any]]) -> set[Grant]:
    """Return each line of the printed roles."""
    return {
        Grant(one["metadata"].get("namespace", ""), verb, f"{group}/{resource}", name)
        for one in objects
        for rule in one.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


UNUSED = {
    ("create", "coordination.k8s.io/leases"): "only the first process ever makes the Lease; it may be deleted",
    ("patch", "coordination.k8s.io/leases"): "a process that stands by, or ends before it leads, only reads the Lease",
    ("create", "/events"): "only what was done is told; a daemon that held all the time has done nothing",
    ("patch", "apps/deployments/scale"): "only a leader that may act writes; it held all the time",
}
"""The grants that a run may leave unused, each with its reason."""


def denied(events: Iterable[AuditEvent]) -> list[str]:
    return [str(event) for event in events if event.denied]


def unused(printed: Iterable[dict[str, Any]], events: list[AuditEvent]) -> list[str]:
    """Return the grants that no request needed and that have no reason; every request needs one."""
    grants = granted(printed)
    beyond = [str(e) for e in events if e.resource and not any(grant.covers(e) for grant in grants)]
    assert beyond == [], "asked for what no printed role grants"
    idle = {grant for grant in grants if not any(grant.covers(event) for event in events)}
    return sorted(str(grant) for grant in idle if (grant.verb, grant.resource) not in UNUSED)
