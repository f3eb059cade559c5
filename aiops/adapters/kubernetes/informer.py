"""An informer: list, then watch from the list's resourceVersion, and again from the start when that is too old."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from aiops.adapters.kubernetes.http import Call, Http, NotFoundThere, cause, refusal, refused
from aiops.adapters.kubernetes.kept import keeps
from aiops.errors import ClusterUnavailable, NoPermission, PortError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_LOG = logging.getLogger("aiops.kubernetes")

WATCH_S = 45
"""The server ends a watch after this time, so that a silent connection is found out soon after."""

SILENCE_S = 60.0
PATIENCE_S = 30.0
"""How long it waits for its turn by the cluster's rate limit: no turn of the loop waits for it."""

PAGE = "500"
BACKOFF_S, BACKOFF_MOST_S = 0.2, 15.0
STEADY_S = 10.0
"""A watch that lasted this long was a good one: what ends it is the first failure again."""


LONGEST_S = 2 * SILENCE_S
"""The server ends a watch long before; one that goes on is kept open by something between, and may hear nothing."""


class _TooOld(Exception):
    """What is known is nothing to go on from, since its resourceVersion is gone (410) or went back: list again."""


class Informer:
    """Keeps the objects of one path. `objects()` is a snapshot; `error` says why it is not up to date.

    denials: how many times in a row that was for want of permission. read: set once there was any answer.
    """

    def __init__(self, http: Http, path: str, field_selector: str = "", longest_s: float = LONGEST_S) -> None:
        self.path = path
        self._longest_s = longest_s
        self._http = http
        self._keep = keeps(path)
        self._selector = {"fieldSelector": field_selector} if field_selector else {}
        self._objects: dict[str, dict[str, Any]] | None = None
        self._version = ""
        self._stopping = threading.Event()
        self._response: BaseHTTPResponse | None = None
        self._dice = random.Random()  # noqa: S311  # spreads reconnections; nothing is secret about it
        self._thread = threading.Thread(target=self._run, name=f"informer {path}", daemon=True)
        self.synced = threading.Event()
        self.read = threading.Event()
        self.lists = 0
        self.error = "not read yet"
        self.denials = 0
        self._well_at = -math.inf

    def start(self) -> None:
        """Begin to list and watch."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop watching."""
        self._stopping.set()
        response = self._response
        if response is not None:
            # closing waits for the reader, who waits for the server; this ends the reading
            response.shutdown()
        self._thread.join(timeout_s)

    def objects(self) -> list[dict[str, Any]]:
        """Return the objects as they are known now."""
        return list((self._objects or {}).values())

    def known(self) -> list[dict[str, Any]] | None:
        """Return the objects, or None before they were read and while the API server has no such resource."""
        objects = self._objects
        return None if objects is None else list(objects.values())

    def age_s(self) -> float:
        """Return for how long the objects may not be what is there: 0 while they are watched, infinite at first."""
        return 0.0 if not self.error else time.monotonic() - self._well_at

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                if not self._version:
                    self._list()
                self._watch()
                failures = self._ended(began, failures)
            except _TooOld:
                self._version = ""
                self._unwell("what was watched is too old to go on from")
                failures = self._ended(began, failures)
            except NotFoundThere:
                # a resource that is not installed has no objects; once it is, they are listed
                self._objects, self._version, self.error = None, "", ""
                self.synced.set()
                self.read.set()
                self._stopping.wait(BACKOFF_MOST_S)
            except Exception as err:  # whatever ends a watch, the informer must go on
                failures = 1 if time.monotonic() - began > STEADY_S else failures + 1
                self._failed(err, failures)

    def _ended(self, began: float, failures: int) -> int:
        """Wait before the next watch when this one was short, longer each time; return how many were by now (S10)."""
        if time.monotonic() - began > STEADY_S:
            return 0
        self._unwell(self.error or "the server ended the watch at once")
        self._stopping.wait(self._backoff_s(failures + 1))
        return failures + 1

    def _backoff_s(self, failures: int) -> float:
        return min(BACKOFF_S * 2.0 ** min(failures - 1, 16), BACKOFF_MOST_S) * self._dice.uniform(0.5, 1.0)

    def _unwell(self, why: str) -> None:
        if not self.error:
            self._well_at = time.monotonic()
        self.error = why

    def _failed(self, err: Exception, failures: int) -> None:
        if self._stopping.is_set():
            return
        if isinstance(err, NoPermission):
            # that is an answer: how often there was none before does not count
            self.denials = failures = self.denials + 1
        else:
            self.denials = 0
        self._unwell(str(err) if isinstance(err, PortError) else f"{self._http.host}: {cause(err)}")
        self.read.set()
        _LOG.warning("watch_failed", extra={"path": self.path, "error": self.error, "failures": failures})
        asked_s = err.retry_after_s if isinstance(err, ClusterUnavailable) else 0.0
        self._stopping.wait(max(self._backoff_s(failures), asked_s))

    def _list(self) -> None:
        found: dict[str, dict[str, Any]] = {}
        query = {"limit": PAGE, **self._selector}
        while True:
            page = self._http.get(self.path, PATIENCE_S, **query)
            for item in page.get("items") or ():
                found[_key(item)] = self._keep(item)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._objects, self._version = found, str(metadata.get("resourceVersion", ""))
        self.lists += 1
        self.error, self.denials = "", 0
        self.synced.set()
        self.read.set()

    def _watch(self) -> None:
        if self._stopping.is_set():
            return
        ends_at = time.monotonic() + self._longest_s
        query = {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
            **self._selector,
        }
        call = Call(method="GET", path=self.path, query=query, timeout_s=SILENCE_S, stream=True, patience_s=PATIENCE_S)
        response = self._http.send(call)
        self._response = response
        try:
            if response.status == 410:
                raise _TooOld
            if response.status == 404:
                raise NotFoundThere(self.path)
            if response.status >= 300:
                raise refusal(response, f"watch {self.path}")
            self.error, self.denials = "", 0
            for event in _lines(response):
                if event is not None:
                    self._apply(event)
                if time.monotonic() > ends_at:
                    break
        finally:
            self._response = None
            response.close()

    def _apply(self, event: dict[str, Any]) -> None:
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            if item.get("code") == 410:
                raise _TooOld
            raise refused(int(item.get("code") or 500), str(item.get("message", "")), f"watch {self.path}")
        version = str((item.get("metadata") or {}).get("resourceVersion", self._version))
        if _precedes(version, self._version):
            # a history that goes back, be it one that was restored or one that is told twice, overwrites nothing newer
            raise _TooOld
        self._version = version
        objects = dict(self._objects or {})
        if kind in ("ADDED", "MODIFIED"):
            objects[_key(item)] = self._keep(item)
        elif kind == "DELETED":
            objects.pop(_key(item), None)
        self._objects = objects


def _precedes(version: str, other: str) -> bool:
    """Return whether one resourceVersion is older than another; they are numbers where that can be told."""
    return version.isdecimal() and other.isdecimal() and int(version) < int(other)


def _lines(response: BaseHTTPResponse) -> Iterator[dict[str, Any] | None]:
    """Yield events, and None for each piece in which there was none."""
    rest = b""
    for part in response.stream(amt=None, decode_content=True):
        rest += part
        *whole, rest = rest.split(b"\n")
        for line in whole:
            if line.strip():
                # events share the names of their fields, which are most of an object (json makes them anew each time)
                yield orjson.loads(line)
        yield None


def _key(item: dict[str, Any]) -> str:
    metadata = item.get("metadata") or {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
