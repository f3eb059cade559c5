"""Sending one step: a patch with preconditions, once, before the action expires (S6)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiops.adapters.kubernetes.http import (
    APPLY_PATCH,
    MERGE_PATCH,
    USER_AGENT,
    Call,
    Http,
    Throttled,
    cause,
    parsed,
    refused,
    retry_after_s,
    said,
)
from aiops.core.model import Action, Errand, Instant, Reason, Stamp, Step, StepResult, StepStatus, Verb
from aiops.errors import ClusterUnavailable, NoPermission

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

FIELD_MANAGER = "aiops"
EVICTION = "eviction"
LONGEST_S = 10.0
_CAUSE = "DisruptionBudget"


@dataclass(slots=True)
class Writer:
    """Writes to one API server, and leaves it alone for as long as it asks (429 with Retry-After)."""

    http: Http
    _quiet_until: float = 0.0

    def send(self, action: Action, step: Step, path: str, at: Instant) -> StepResult:
        """Send the step to `path`; what is not answered is unknown, and is not sent again."""
        left_s = action.expires_at - at
        if left_s <= 0:
            return _refused(action.id, at, Reason.EXPIRED, f"expired {-left_s:.0f} s ago")
        return self._sent(action.id, step, self._call(step, path, f"action/{action.id}", left_s), at)

    def perform(self, errand: Errand, step: Step, path: str, at: Instant) -> StepResult:
        """Send the step of a plan; `path` is that of the collection. What is not answered is unknown."""
        left_s = errand.expires_at - at
        if left_s <= 0:
            return _refused(errand.id, at, Reason.EXPIRED, f"expired {-left_s:.0f} s ago")
        origin = f"plan/{errand.plan_id} errand/{errand.id}"
        own = f"{path}/{step.target.name}"
        match step.verb:
            case Verb.PATCH:
                call = self._call(step, own, origin, left_s)
            case Verb.CREATE:
                where = f"{own}/{step.subresource}" if step.subresource else path
                call = _plain("POST", where, step.body, (origin, left_s))
            case Verb.DELETE:
                call = _plain("DELETE", own, {**step.body, "preconditions": {"uid": step.uid}}, (origin, left_s))
            case Verb.COMMIT:
                return _refused(errand.id, at, Reason.REFUSED, "a commit goes to a repository, and to no API server")
        return _harmless(step, self._sent(errand.id, step, call, at))

    def stamp(self, stamp: Stamp, path: str, at: Instant, until: Instant) -> StepResult:
        """Send a stamp to `path` before `until`."""
        origin = f"epoch/{stamp.epoch}"
        return self._sent(origin, stamp.step, self._call(stamp.step, path, origin, max(0.1, until - at)), at)

    def _call(self, step: Step, path: str, origin: str, left_s: float) -> Call:
        metadata = {
            **(step.body.get("metadata") or {}),
            "uid": step.uid,
            "resourceVersion": step.resource_version,
        }
        return Call(
            method="PATCH",
            path=f"{path}/{step.subresource}" if step.subresource else path,
            query={"fieldManager": step.apply_as or FIELD_MANAGER, **({"force": "true"} if step.force else {})},
            body={**step.body, "metadata": metadata},
            content_type=APPLY_PATCH if step.apply_as else MERGE_PATCH,
            user_agent=f"{USER_AGENT} {origin}",
            timeout_s=min(LONGEST_S, left_s),
        )

    def _sent(self, origin: str, step: Step, call: Call, at: Instant) -> StepResult:
        from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

        quiet_s = self._quiet_until - time.monotonic()
        if quiet_s > 0:
            return _refused(origin, at, Reason.REFUSED, f"the API server asked to be left alone, {quiet_s:.0f} s left")
        try:
            response = self.http.send(call)
        except (NewConnectionError, ConnectTimeoutError) as err:
            # no connection was made, so nothing was sent
            return _refused(origin, at, Reason.CLUSTER_UNAVAILABLE, cause(err))
        except NoPermission as err:
            return _refused(origin, at, Reason.NO_PERMISSION, str(err))
        except Throttled as err:
            return _refused(origin, at, Reason.CLUSTER_UNAVAILABLE, str(err))
        except HTTPError as err:
            return _unknown(origin, at, cause(err))
        return self._meaning(origin, step, response, at)

    def _meaning(self, action_id: str, step: Step, response: BaseHTTPResponse, at: Instant) -> StepResult:
        status, message = response.status, said(response.data)
        if status < 300:
            try:
                version = str((parsed(response.data, self.http.host).get("metadata") or {}).get("resourceVersion", ""))
            except ClusterUnavailable as err:
                return _unknown(action_id, at, str(err), status)
            return StepResult(action_id=action_id, status=StepStatus.DONE, at=at, code=status, resource_version=version)
        if step.subresource == EVICTION and status in (429, 500) and _of_budget(response.data):
            # a budget's no to one pod, and no more: the server is well
            return _refused(action_id, at, Reason.DISRUPTION_BUDGET, f"Pod {step.target}: {message}", 429)
        if status in (429, 503):
            self._quiet_until = time.monotonic() + retry_after_s(response)
        if status in (401, 403):
            ref, sub = step.target, f"/{step.subresource}" if step.subresource else ""
            what = f"{step.verb.value} {ref.kind}{sub} in namespace {ref.namespace}"
            return _refused(action_id, at, Reason.NO_PERMISSION, str(refused(status, message, what)), status)
        if status in (500, 502, 504):
            # the server, or something before it, failed while at work: the write may have happened
            return _unknown(action_id, at, message, status)
        return _refused(action_id, at, Reason.REFUSED, message, status)


def _of_budget(body: bytes) -> bool:
    """Return whether an eviction was refused for a PodDisruptionBudget: there is no room in it, or there are two."""
    try:
        document = json.loads(body)
    except ValueError:
        return False
    details = document.get("details") if isinstance(document, dict) else None
    causes = (details.get("causes") or ()) if isinstance(details, dict) else ()
    return b"more than one PodDisruptionBudget" in body or any(one.get("reason") == _CAUSE for one in causes)


def _harmless(step: Step, result: StepResult) -> StepResult:
    """Return that it is done where a repetition does nothing: an object of our own name is there, what goes is gone."""
    made = step.verb is Verb.CREATE and not step.subresource and result.code == 409
    gone = (step.verb is Verb.DELETE or step.subresource == EVICTION) and result.code == 404
    if not (made or gone):
        return result
    return StepResult(
        action_id=result.action_id, status=StepStatus.DONE, at=result.at, code=result.code, message=result.message
    )


def _plain(method: str, path: str, body: Mapping[str, Any], sent: tuple[str, float]) -> Call:
    """Return a request without a patch. sent: who sends it, and how many seconds it may take."""
    origin, left_s = sent
    return Call(
        method=method,
        path=path,
        query={"fieldManager": FIELD_MANAGER} if method == "POST" else {},
        body=body,
        user_agent=f"{USER_AGENT} {origin}",
        timeout_s=min(LONGEST_S, left_s),
    )


def _refused(action_id: str, at: Instant, reason: Reason, message: str, code: int = 0) -> StepResult:
    return StepResult(action_id=action_id, status=StepStatus.REFUSED, at=at, code=code, reason=reason, message=message)


def _unknown(action_id: str, at: Instant, message: str, code: int = 0) -> StepResult:
    return StepResult(action_id=action_id, status=StepStatus.UNKNOWN, at=at, code=code, message=message)
