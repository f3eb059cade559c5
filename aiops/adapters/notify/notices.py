"""What people are told of: records of the audit chain that somebody may want to know, in words.

A notice either happens once, or begins and ends: a question stands until it is answered, a pause until it is lifted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, TypeAlias

from aiops.core.model import Instant
from aiops.core.record.audit import AuditKind

Record: TypeAlias = Mapping[str, Any]
"""A record as plain values: seq, at (seconds), kind, by, subject, ref, did, before, after, said, detail."""


class NoticeKind(StrEnum):
    """What a notice is about; routes choose by it."""

    APPROVAL = "approval"
    FAILED = "failed"
    INCIDENT = "incident"
    PLAN = "plan"
    BUDGET = "budget"
    PAUSE = "pause"
    PROMOTION = "promotion"
    POLICY = "policy"
    ACCESS = "access"
    STORE = "store"


class Severity(IntEnum):
    """How much it matters; `critical` passes quiet hours."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class State(StrEnum):
    """Where a notice stands."""

    ONCE = "once"
    BEGUN = "begun"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell. key: the same for the beginning and the end of one thing. todo: what to do about it.

    until: when what began ends of itself, infinite where it does not.
    """

    key: str
    kind: NoticeKind
    severity: Severity
    state: State
    seq: int
    at: Instant
    subject: str
    title: str
    said: str
    by: str = ""
    ref: str = ""
    todo: str = ""
    until: Instant = math.inf
    labels: Mapping[str, str] = field(default_factory=dict)


def notices_of(record: Record) -> list[Notice]:
    """Return what people may want to know of a record; ends are told only to who was told the beginning."""
    make = _OF.get(AuditKind(record["kind"]))
    return [] if make is None else make(record)


def _notice(record: Record, kind: NoticeKind, severity: Severity, **fields: Any) -> Notice:
    """Return a notice of a record. what: before its id in the key; the rest are fields."""
    what = fields.pop("what", kind.value)
    name = fields.pop("name", record["ref"] or str(record["seq"]))
    plain = {"state": State.ONCE, "said": record["said"], "title": f"{kind.value} {record['did']}", **fields}
    return Notice(
        key=f"{what}/{name}"[:300],
        kind=kind,
        severity=severity,
        seq=record["seq"],
        at=record["at"],
        subject=record["subject"],
        by=record["by"],
        ref=record["ref"],
        **plain,
    )


def _decision(record: Record) -> list[Notice]:
    asks, bug = record["did"] == "ask", record["did"] == "bug"
    found = _notice(
        record,
        NoticeKind.APPROVAL,
        Severity.WARNING,
        name=record["subject"],
        state=State.BEGUN if asks else State.ENDED,
        title="a person's yes is wanted" if asks else "nothing is asked any more",
        todo="aiops approvals, then aiops approvals approve ID or reject ID" if asks else "",
    )
    broken = _notice(
        record,
        NoticeKind.FAILED,
        Severity.CRITICAL,
        what="bug",
        name=record["subject"],
        state=State.BEGUN if bug else State.ENDED,
        title="a policy is held by a fault of its own" if bug else "the policy decides again",
        todo=f"aiops explain {record['ref']}" if bug else "",
    )
    return [found, broken]


def _result(record: Record) -> list[Notice]:
    if record["did"] == "done":
        return []
    unknown = record["did"] == "unknown"
    title = "nobody knows whether a change was taken" if unknown else "a change was refused"
    todo = f"aiops why {record['detail'].get('target') or record['subject']}"
    return [_notice(record, NoticeKind.FAILED, Severity.WARNING, what="result", title=title, todo=todo)]


_ENDS: Mapping[str, tuple[Severity, str]] = {
    "failed": (Severity.WARNING, "an action failed"),
    "unknown": (Severity.WARNING, "what became of an action is not known"),
    "undone": (Severity.WARNING, "an action did harm and was undone"),
    "no-effect": (Severity.INFO, "an action had no effect"),
}


def _outcome(record: Record) -> list[Notice]:
    if record["did"] not in _ENDS:
        return []
    severity, title = _ENDS[record["did"]]
    todo = f"aiops why {record['detail'].get('target') or record['subject']}"
    return [_notice(record, NoticeKind.FAILED, severity, what="outcome", title=title, todo=todo)]


_PLANS: Mapping[str, tuple[Severity, str]] = {
    "running": (Severity.INFO, "a plan runs"),
    "done": (Severity.INFO, "a plan is done"),
    "rolling-back": (Severity.WARNING, "a plan is taken back"),
    "rolled-back": (Severity.WARNING, "a plan was taken back"),
    "failed": (Severity.CRITICAL, "a plan failed"),
    "refused": (Severity.INFO, "a plan was refused"),
    "paused": (Severity.WARNING, "a plan is paused"),
}


def _plan(record: Record) -> list[Notice]:
    asks = record["did"] in ("proposed", "asking")
    about = record["detail"].get("about", "")
    said = f"{about}: {record['detail'].get('reason', '')}; {record['said']}"
    question = _notice(
        record,
        NoticeKind.APPROVAL,
        Severity.CRITICAL if record["did"] == "asking" else Severity.WARNING,
        what="plan-question",
        state=State.BEGUN if asks else State.ENDED,
        title="a plan waits for a person" if asks else "the plan waits for nobody any more",
        said=said,
        todo=f"aiops plans show {record['ref']}, aiops approvals" if asks else "",
    )
    told = _PLANS.get(record["did"])
    if told is None or record["before"] == record["after"]:
        return [question]
    name = f"{record['ref']}/{record['did']}"
    todo = f"aiops plans show {record['ref']}"
    return [question, _notice(record, NoticeKind.PLAN, told[0], name=name, title=told[1], said=said, todo=todo)]


def _incident(record: Record) -> list[Notice]:
    opened = record["did"] == "open"
    title = "an incident began" if opened else f"an incident {record['did']}"
    state = State.BEGUN if opened else State.ENDED
    todo = f"aiops incidents show {record['ref']}" if opened else ""
    return [_notice(record, NoticeKind.INCIDENT, Severity.WARNING, state=state, title=title, todo=todo)]


def _pause(record: Record) -> list[Notice]:
    stops = record["did"] == "stopped"
    title = "everything is stopped" if stops else f"{record['subject']} is {record['did']}"
    severity = Severity.CRITICAL if stops else Severity.INFO
    todo, until = f"aiops resume {record['ref']}", record["detail"].get("until")
    ends = {"until": math.inf if until is None else float(until)}
    return [_notice(record, NoticeKind.PAUSE, severity, state=State.BEGUN, title=title, todo=todo, **ends)]


def _resume(record: Record) -> list[Notice]:
    title = f"{record['subject']} goes on"
    return [_notice(record, NoticeKind.PAUSE, Severity.INFO, state=State.ENDED, title=title)]


def _budget(record: Record) -> list[Notice]:
    within = record["did"] == "within"
    state = State.ENDED if within else State.BEGUN
    severity = Severity.CRITICAL if record["did"] == "exceeded" else Severity.WARNING
    title = "a budget is kept again" if within else f"a budget is {record['did']}"
    todo = "" if within else "aiops report cost"
    return [_notice(record, NoticeKind.BUDGET, severity, name=record["subject"], state=state, title=title, todo=todo)]


def _promotion(record: Record) -> list[Notice]:
    forced = record["did"] == "forced"
    severity = Severity.WARNING if forced else Severity.INFO
    title = "a policy was promoted" + (" in spite of its evidence" if forced else "")
    said = f"to {record['after']}: {record['said']}"
    return [_notice(record, NoticeKind.PROMOTION, severity, title=title, said=said)]


def _policy(record: Record) -> list[Notice]:
    title = f"a policy was {record['did']}"
    return [_notice(record, NoticeKind.POLICY, Severity.INFO, title=title)]


def _access(record: Record) -> list[Notice]:
    refused = record["did"] in ("refused", "denied", "failed", "locked")
    if record["kind"] == AuditKind.LOGIN and not refused:
        return []
    severity = Severity.WARNING if refused or record["kind"] == AuditKind.TOKEN else Severity.INFO
    return [_notice(record, NoticeKind.ACCESS, severity, what=record["kind"])]


def _store(record: Record) -> list[Notice]:
    if record["did"] == "pruned":
        return []  # it is every day's, and what was decided stays in the chain
    severity = Severity.CRITICAL if record["did"] == "restored" else Severity.INFO
    return [_notice(record, NoticeKind.STORE, severity, title=f"the store: {record['did']}")]


_OF: Mapping[AuditKind, Callable[[Record], list[Notice]]] = {
    AuditKind.DECISION: _decision,
    AuditKind.RESULT: _result,
    AuditKind.OUTCOME: _outcome,
    AuditKind.PLAN: _plan,
    AuditKind.INCIDENT: _incident,
    AuditKind.PAUSE: _pause,
    AuditKind.RESUME: _resume,
    AuditKind.BUDGET: _budget,
    AuditKind.PROMOTION: _promotion,
    AuditKind.POLICY: _policy,
    AuditKind.LOGIN: _access,
    AuditKind.TOKEN: _access,
    AuditKind.ACCESS: _access,
    AuditKind.STORE: _store,
}
"""Approvals and orders are what the people who are told did themselves; a plan's steps come as results."""
