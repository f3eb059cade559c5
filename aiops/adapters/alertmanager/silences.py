"""The silences of Alertmanager: read in a thread of its own, as often as the settings say (S9)."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiops.adapters.alertmanager.client import Alertmanager
from aiops.core.model import Instant
from aiops.errors import SourceUnavailable

_LOG = logging.getLogger("aiops.alertmanager")
_LONGEST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """One condition on one label. negated: it holds where the rest does not. pattern: `value` is RE2, anchored."""

    name: str
    value: str
    pattern: bool = False
    negated: bool = False

    def __str__(self) -> str:
        """Return it as Alertmanager writes it."""
        sign = ("!~" if self.pattern else "!=") if self.negated else ("=~" if self.pattern else "=")
        return f'{self.name}{sign}"{self.value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A silence that is active: all of its matchers must hold."""

    id: str
    matchers: tuple[Matcher, ...]
    until: Instant
    by: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    at: float = -math.inf
    silences: tuple[Silence, ...] = ()


class SilenceWatch:
    """What is silenced, of the first Alertmanager that answers; those of one group hold the same silences.

    failing: why the last look failed, '' when it did not.
    """

    def __init__(
        self, clients: Sequence[Alertmanager], every_s: float, elapsed_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._clients = tuple(clients)
        self._every_s = every_s
        self._elapsed_s = elapsed_s
        self._read = _Read()
        self._over = threading.Event()
        self.failures = 0
        self.failing = ""
        self._thread = threading.Thread(target=self._run, name="alertmanager-silences", daemon=True)

    def active(self, at: Instant) -> tuple[Silence, ...]:
        """Return what is silenced at `at`, as it was last read."""
        return tuple(one for one in self._read.silences if one.until > at)

    @property
    def age_s(self) -> float:
        """Return how long ago they were read, infinite before the first time."""
        return self._elapsed_s() - self._read.at

    def start(self) -> None:
        """Look in the background."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        for client in self._clients:
            client.close()

    def look(self) -> None:
        """Read once; what was read before stands when nobody answers."""
        why = ""
        for client in self._clients:
            try:
                found = tuple(one for raw in client.silences() if (one := silence(raw)) is not None)
            except SourceUnavailable as err:
                self.failures += 1
                why = why or str(err)
                continue
            self._read, self.failing = _Read(at=self._elapsed_s(), silences=found), ""
            return
        if why != self.failing:
            _LOG.warning("silences_not_read", extra={"reason": why})
        self.failing = why

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                self.failing = "a bug, see the log"
                _LOG.exception("silences_failed")
            if self._over.wait(self._every_s):
                return


def silence(raw: Any) -> Silence | None:
    """Return an active silence, None for one that is over, has not begun, or cannot be understood."""
    try:
        if raw["status"]["state"] != "active":
            return None
        matchers = tuple(map(_matcher, raw["matchers"]))
        until = datetime.fromisoformat(raw["endsAt"]).timestamp()
        by, comment = str(raw.get("createdBy", "")), str(raw.get("comment", ""))
        made = Silence(id=str(raw["id"]), matchers=matchers, until=until, by=_plain(by), comment=_plain(comment))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as err:
        _LOG.warning("silence_not_understood", extra={"reason": repr(err)[:_LONGEST]})
        return None
    return made if matchers else None


def _matcher(raw: Mapping[str, Any]) -> Matcher:
    name, value = raw["name"], raw["value"]
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"a matcher of {name!r}")
    return Matcher(name=name, value=value, pattern=bool(raw["isRegex"]), negated=not raw.get("isEqual", True))


def _plain(text: str) -> str:
    """Return a text on one line, without control characters, and not too long."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_LONGEST]
