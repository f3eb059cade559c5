"""What is to be sent of incidents, and when: at once when one begins or ends, and again until it ends.

After a failure later and later. Without threads and clocks, so that it can be tested. Alertmanager ends by itself what
is not sent again within four times the refresh, as it does with Prometheus' alerts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import Incident, IncidentState, Instant

ALERTNAME = "AiopsIncident"
OWN = "aiops_incident"
"""The label that names the incident, by which our own alerts are known when they come back."""

ENDS_AFTER = 4.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
MOST_WAITING = 1_000
"""Ended incidents that wait to be sent; beyond them the oldest are left to Alertmanager to end."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How incidents are written as alerts. labels: added to each, such as a severity by which they are routed."""

    refresh_s: float = 60.0
    labels: Mapping[str, str] = field(default_factory=lambda: {"severity": "warning"})


@dataclass(frozen=True, slots=True)
class _Item:
    """One incident; its labels are those of the first time, since another set would be another alert."""

    incident: Incident
    labels: Mapping[str, str]


@dataclass(slots=True)
class Outbox:
    """What one Alertmanager is to know. Used under one lock; see `IncidentSender`.

    `now` of a batch is the wall clock's, everywhere else the monotonic one's: a step of the former delays nothing.
    """

    form: Form
    failures: int = 0
    sent: int = 0
    _items: dict[str, _Item] = field(default_factory=dict)
    _changed: int = 0
    _told: int = 0
    _due_at: float = 0.0
    _noted_at: float = 0.0

    def note(self, incidents: Sequence[Incident], now: float) -> None:
        """Take the incidents of a tick; what was open and is told no more is forgotten, and ends by itself."""
        self._noted_at = now
        told = {one.id for one in incidents}
        for key, item in list(self._items.items()):
            if key not in told and item.incident.state is IncidentState.OPEN:
                del self._items[key]
        for one in incidents:
            known = self._items.get(one.id)
            if known is None and one.state is not IncidentState.OPEN:
                continue
            if known is None or known.incident.state is not one.state:
                self._changed += 1
            labels = _labels(one, self.form) if known is None else known.labels
            self._items[one.id] = _Item(one, labels)
        ended = [key for key, item in self._items.items() if item.incident.state is not IncidentState.OPEN]
        for key in ended[:-MOST_WAITING]:
            del self._items[key]

    def wait_s(self, now: float) -> float | None:
        """Return in how many seconds something is due, None while there is nothing.

        What no tick has spoken of for long is not sent again: a loop that stands still knows nothing of it.
        """
        if not self._items or now - self._noted_at > ENDS_AFTER * self.form.refresh_s:
            return None
        if self._changed != self._told and self.failures == 0:
            return 0.0
        return max(0.0, self._due_at - now)

    def batch(self, now: Instant) -> tuple[list[dict[str, Any]], int]:
        """Return what to send, and the number by which `done` knows what of it was new."""
        return [_alert(item, now, self.form) for item in self._items.values()], self._changed

    def done(self, batch: Sequence[Mapping[str, Any]], number: int, now: float) -> None:
        """Note that a batch was taken: what had ended in it is over."""
        over = {one["labels"][OWN] for one in batch if one["ended"]}
        for key in over:
            item = self._items.get(key)
            if item is not None and item.incident.state is not IncidentState.OPEN:
                del self._items[key]
        self._told, self.failures, self._due_at = number, 0, now + self.form.refresh_s
        self.sent += len(batch)

    def failed(self, now: float, spread: float) -> None:
        """Note a failure: the next try waits twice as long as the last, times `spread` (around 1)."""
        wait_s = min(FIRST_WAIT_S * 2.0**self.failures, LONGEST_WAIT_S) * spread
        self.failures, self._due_at = self.failures + 1, now + wait_s


def written(batch: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a batch as Alertmanager reads it."""
    return [{key: value for key, value in one.items() if key != "ended"} for one in batch]


def _labels(incident: Incident, form: Form) -> dict[str, str]:
    shared = {name: value for name, value in incident.labels.items() if _NAME.fullmatch(name) and value}
    own = {name: value for name, value in shared.items() if not name.startswith("__") and name != "alertname"}
    return {**own, "kind": incident.kind, **form.labels, "alertname": ALERTNAME, OWN: incident.id}


def _alert(item: _Item, now: Instant, form: Form) -> dict[str, Any]:
    one = item.incident
    open_one = one.state is IncidentState.OPEN
    ends_at = now + ENDS_AFTER * form.refresh_s if open_one else max(one.seen_at, one.since)
    return {
        "labels": dict(item.labels),
        "annotations": _annotations(one),
        "startsAt": _rfc3339(one.since),
        "endsAt": _rfc3339(ends_at),
        "ended": not open_one,
    }


def _annotations(one: Incident) -> dict[str, str]:
    named = [f"{suspect.name} ({', '.join(suspect.why)})" if suspect.why else suspect.name for suspect in one.suspects]
    count = len(one.series)
    what = f"{count} series out of the ordinary" if count > 1 else "a series out of the ordinary"
    first = f", {one.suspects[0].name} first suspected" if one.suspects else ""
    said = {
        "summary": f"{what}{first}",
        "suspects": "; ".join(named[:_TOLD]),
        "peak_score": f"{one.peak_score:.3g}",
        "see": f"aiops incidents show {one.id}",
    }
    return said | ({"merged_into": one.merged_into} if one.merged_into else {})


def _rfc3339(at: Instant) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
