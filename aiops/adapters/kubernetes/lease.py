"""ports.Lease over a coordination.k8s.io/v1 Lease: one leader, its epoch, and until when it may act (S6).

A holder renews every `retry_s` and may act until `renew_s` after its last renewal was *sent*; others wait for
`duration_s` after they last *saw* it renewed. No clock is compared with another machine's, and the clock that counts
goes on while the process or the machine is stopped. A Lease that is free, or has run out, is left to others for
`defer_s` more: who leads need not lie in the place whose failure is what the leader is needed for. The epoch is the
Lease's `leaseTransitions`, raised above every epoch that the journal knows, so that a Lease that was deleted does not
begin again at one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiops.adapters.kubernetes.http import MERGE_PATCH, Call, Http, cause, parsed, refusal
from aiops.core.model import Instant, Leadership
from aiops.errors import ClusterUnavailable, PortError

_LOG = logging.getLogger("aiops.lease")
_MICROS = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOptions:
    """Which Lease, under which name this process holds it, and its times in seconds, as client-go names them.

    floor: the highest epoch that the journal knows. lies_in: the cluster's name. wall: the clock that `renewTime` is
    written from.
    """

    namespace: str
    name: str
    holder: str
    duration_s: float = 15.0
    lies_in: str | None = None
    renew_s: float = 10.0
    retry_s: float = 2.0
    defer_s: float = 0.0
    floor: Callable[[], int]
    wall: Callable[[], float]

    @property
    def path(self) -> str:
        """Return the path of the Lease."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What this process knows of its own hold."""

    epoch: int
    sent_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was last seen of somebody's hold, and when it was first seen so."""

    holder: str
    mark: tuple[str, str]
    duration_s: float
    since: float


def elapsed() -> float:
    """Return seconds that count on while the process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class KubernetesLease:
    """Competes for one Lease in a thread of its own."""

    def __init__(self, http: Http, options: LeaseOptions) -> None:
        self._http = http
        self._options = options
        self._held: _Held | None = None
        self._seen: _Seen | None = None
        self._why = "the lease was not read yet"
        self._said = ""
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Begin to compete."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Let the lease go, so that a successor need not wait for it to run out."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            self._give_up(timeout_s)

    def leadership(self, at: Instant) -> Leadership:
        """Return what is known now; a hold that was not renewed in time is none."""
        with self._lock:
            held, seen, why = self._held, self._seen, self._why
        left_s = -1.0 if held is None else held.sent_at + self._options.renew_s - elapsed()
        if held is not None and left_s > 0:
            mine, place = self._options.holder, self._options.lies_in
            return Leadership(
                leader=True, epoch=held.epoch, until=at + left_s, holder=mine, elected=True, lies_in=place
            )
        last = "" if seen is None else seen.holder
        holder = f"nobody that is known of ({why})" if why else last or "nobody"
        return Leadership(leader=False, epoch=0 if held is None else held.epoch, holder=holder, elected=True)

    def unwell(self) -> str:
        """Return why this process neither leads nor knows who does, '' when one of the two is known."""
        with self._lock:
            held, why = self._held, self._why
        leads = held is not None and held.sent_at + self._options.renew_s > elapsed()
        return "" if leads else why

    # -- competing -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            asked_s = 0.0
            try:
                self._turn()
                self._note("")
            except PortError as err:
                self._note(str(err))
                # a server that asks to be left alone is, even at the price of the lease (S10)
                asked_s = err.retry_after_s if isinstance(err, ClusterUnavailable) else 0.0
            except Exception as err:  # whatever goes wrong, the lease must be tried again
                _LOG.exception("lease_failed")
                self._note(repr(err))
            self._stopping.wait(max(self._options.retry_s, asked_s))

    def _note(self, why: str) -> None:
        with self._lock:
            self._why = why
            held = self._held
        leads = "" if held is None else f"epoch {held.epoch}"
        if (said := why or leads) != self._said:
            self._said = said
            event = _LOG.warning if why else _LOG.info
            event("lease", extra={"lease": self._options.path, "holds": leads, "error": why})

    def _turn(self) -> None:
        """Renew what is ours, take what is free or has run out, and watch what is another's."""
        sent_at = elapsed()
        item = self._read()
        spec = {} if item is None else item.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if item is not None and holder == self._options.holder and self._held is not None:
            self._write(item, {"renewTime": self._now()}, self._held.epoch, sent_at)
            return
        with self._lock:
            self._held = None
        seen = self._look(item or {}, holder, spec)
        stands_s = (seen.duration_s if holder else 0.0) + self._options.defer_s
        if stands_s <= 0.0 or elapsed() - seen.since > stands_s:
            self._take(item, sent_at)

    def _look(self, item: Mapping[str, Any], holder: str, spec: Mapping[str, Any]) -> _Seen:
        mark = (holder, str((item.get("metadata") or {}).get("resourceVersion", "")))
        seen = self._seen
        if seen is None or seen.mark != mark:
            length_s = float(spec.get("leaseDurationSeconds") or self._options.duration_s)
            seen = _Seen(holder=holder, mark=mark, duration_s=length_s, since=elapsed())
            with self._lock:
                self._seen = seen
        return seen

    def _take(self, item: Mapping[str, Any] | None, sent_at: float) -> None:
        spec = {} if item is None else item.get("spec") or {}
        # a journal that cannot be read raises here: who cannot journal must not lead
        epoch = max(int(spec.get("leaseTransitions") or 0), self._options.floor()) + 1
        now = self._now()
        wanted = {
            "holderIdentity": self._options.holder,
            "leaseDurationSeconds": max(1, round(self._options.duration_s)),
            "leaseTransitions": epoch,
            "acquireTime": now,
            "renewTime": now,
        }
        self._write(item, wanted, epoch, sent_at)

    def _write(self, item: Mapping[str, Any] | None, spec: Mapping[str, Any], epoch: int, sent_at: float) -> None:
        """Write the Lease unless somebody wrote it since; a refusal means that somebody did."""
        options = self._options
        timeout_s = max(1.0, options.renew_s / 2)
        if item is None:
            folder = options.path.rpartition("/")[0]
            metadata = {"name": options.name, "namespace": options.namespace}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": dict(spec)}
            answer = self._send(Call(method="POST", path=folder, body=body, timeout_s=timeout_s))
        else:
            was = item.get("metadata") or {}
            metadata = {"resourceVersion": str(was.get("resourceVersion")), "uid": str(was.get("uid"))}
            call = Call(
                method="PATCH",
                path=options.path,
                body={"metadata": metadata, "spec": dict(spec)},
                content_type=MERGE_PATCH,
                timeout_s=timeout_s,
            )
            answer = self._send(call)
        with self._lock:
            self._held = _Held(epoch=epoch, sent_at=sent_at) if answer is not None else None

    def _read(self) -> dict[str, Any] | None:
        return self._send(Call(method="GET", path=self._options.path, timeout_s=max(1.0, self._options.renew_s / 2)))

    def _send(self, call: Call) -> dict[str, Any] | None:
        """Return the object, None for 404 and 409; raise a PortError for anything else."""
        from urllib3.exceptions import HTTPError

        verb = {"GET": "get", "POST": "create", "PATCH": "patch"}[call.method]
        what = f"{verb} leases.coordination.k8s.io in namespace {self._options.namespace}"
        try:
            response = self._http.send(call)
        except HTTPError as err:
            raise ClusterUnavailable(f"{what}: {self._http.host}: {cause(err)}") from err
        if response.status in (404, 409) and not (call.method == "POST" and response.status == 404):
            return None
        if response.status >= 300:
            raise refusal(response, what)
        return parsed(response.data, self._http.host)

    def _give_up(self, timeout_s: float) -> None:
        from urllib3.exceptions import HTTPError

        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
        try:
            item = self._read()
            if item is not None and (item.get("spec") or {}).get("holderIdentity") == self._options.holder:
                metadata = {"resourceVersion": item["metadata"]["resourceVersion"]}
                body = {"metadata": metadata, "spec": spec}
                call = Call(
                    method="PATCH",
                    path=self._options.path,
                    body=body,
                    content_type=MERGE_PATCH,
                    timeout_s=max(1.0, timeout_s / 2),
                )
                self._http.send(call)
        except (PortError, HTTPError) as err:
            _LOG.warning("lease_not_released", extra={"error": str(err)})

    def _now(self) -> str:
        return datetime.fromtimestamp(self._options.wall(), UTC).strftime(_MICROS)
