"""What Alertmanager's webhook says (version 4 of its message), as alerts. What is malformed is refused with its place.

Label text stays text: it is compared, stored and shown, and never becomes a command, a query or a URL (S10).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiops.core.ids import digest
from aiops.core.model import Alert, AlertStatus, Instant
from aiops.errors import InvalidInput

VERSION = "4"
MOST_ALERTS, MOST_LABELS, LONGEST = 5_000, 64, 2_048
UNKNOWN_YEAR = 1
"""Alertmanager writes a time that is not known as the first of January of the year 1."""


def alerts_of(message: Any, at: Instant, own: str) -> tuple[Alert, ...]:
    """Return the alerts of a message; raise InvalidInput that names the field.

    own: the label by which alerts are known that this program has sent itself; they are left out, or an incident would
    feed on what was said of it.
    """
    if not isinstance(message, Mapping):
        raise InvalidInput("the message is no JSON object")
    if message.get("version") != VERSION:
        raise InvalidInput(f"version: {_shown(message.get('version'))} is not the webhook's version {VERSION!r}")
    alerts = message.get("alerts")
    if not isinstance(alerts, list):
        raise InvalidInput("alerts: a list is wanted")
    if len(alerts) > MOST_ALERTS:
        raise InvalidInput(f"alerts: {len(alerts)} in one message, at most {MOST_ALERTS} are read")
    made = (_alert(one, f"alerts[{number}]", at) for number, one in enumerate(alerts))
    return tuple(one for one in made if own not in one.labels)


def _alert(one: Any, where: str, at: Instant) -> Alert:
    if not isinstance(one, Mapping):
        raise InvalidInput(f"{where}: an object is wanted")
    labels = _labels(one.get("labels"), f"{where}.labels")
    try:
        status = AlertStatus(str(one.get("status")))
    except ValueError as err:
        raise InvalidInput(f"{where}.status: {_shown(one.get('status'))} is not one of firing, resolved") from err
    starts_at = _time(one.get("startsAt"), f"{where}.startsAt")
    if not math.isfinite(starts_at):
        raise InvalidInput(f"{where}.startsAt: it is not said when the alert began")
    ends_at = math.inf if one.get("endsAt") is None else _time(one["endsAt"], f"{where}.endsAt")
    if status is AlertStatus.RESOLVED:
        ends_at = min(ends_at, at)
    return Alert(
        fingerprint=_fingerprint(one.get("fingerprint"), labels, f"{where}.fingerprint"),
        name=labels.get("alertname", ""),
        labels=labels,
        status=status,
        starts_at=starts_at,
        ends_at=ends_at,
        seen_at=at,
    )


def _labels(labels: Any, where: str) -> dict[str, str]:
    if not isinstance(labels, Mapping) or not labels:
        raise InvalidInput(f"{where}: an object with a label at least is wanted")
    if len(labels) > MOST_LABELS:
        raise InvalidInput(f"{where}: {len(labels)} labels, at most {MOST_LABELS} are read")
    for name, value in labels.items():
        if not isinstance(value, str):
            raise InvalidInput(f"{where}.{name[:80]}: {_shown(value)} is no text")
        if len(name) + len(value) > LONGEST:
            raise InvalidInput(f"{where}.{name[:80]}: longer than {LONGEST} characters")
        _storable(name + value, f"{where}.{name[:80]}")
    return dict(labels)


def _fingerprint(given: Any, labels: Mapping[str, str], where: str) -> str:
    """Return Alertmanager's fingerprint, or a hash of the labels where a version before 0.19 sends none."""
    if given is None or given == "":
        return digest(json.dumps(labels, sort_keys=True))
    if not isinstance(given, str) or len(given) > 64:
        raise InvalidInput(f"{where}: a text of at most 64 characters is wanted")
    _storable(given, where)
    return given


def _storable(text: str, where: str) -> None:
    """Refuse what no database keeps as text: NUL, and halves of a pair of UTF-16."""
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidInput(f"{where}: it holds a character that is none")


def _time(text: Any, where: str) -> Instant:
    if not isinstance(text, str):
        raise InvalidInput(f"{where}: {_shown(text)} is no time such as 2026-03-02T12:00:00Z")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise InvalidInput(f"{where}: {_shown(text)} is no time such as 2026-03-02T12:00:00Z") from err
    if moment.tzinfo is None:
        raise InvalidInput(f"{where}: {_shown(text)} says no time zone")
    return math.inf if moment.year == UNKNOWN_YEAR else moment.timestamp()


def _shown(value: Any) -> str:
    return repr(value)[:60]
