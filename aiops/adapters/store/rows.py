"""Values of the loop as rows."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import Any

from aiops.core.model import Action, Decision, Finding, Incident, Outcome, Pass, Ruling, StepResult, VerdictWord
from aiops.core.record.codec import to_text

Row = dict[str, Any]

SERIES_KEPT = 500
"""Series of an incident that are kept by name; a storm has thousands."""


def packed(text: str) -> bytes:
    """Return a text as stored."""
    return zlib.compress(text.encode(), 1)


def unpacked(body: bytes) -> str:
    """Return a stored text."""
    return zlib.decompress(body).decode()


def decision_row(decision: Decision) -> Row:
    """Return the full record of a decision."""
    verdict = decision.verdict
    bound = None if verdict is None else verdict.binding
    ruling = None if bound is None else bound.ruling
    return {
        "id": decision.id,
        "tick_id": decision.tick_id,
        "at": decision.at,
        "until": decision.at,
        "ticks": 1,
        "policy": decision.policy,
        "target": str(decision.target),
        "verdict": word(decision),
        "reason": _reason(decision, ruling),
        "before": None if verdict is None else verdict.change.before,
        "after": None if verdict is None else verdict.change.after,
        "dry_run": verdict is not None and verdict.dry_run,
        "action_id": decision.action_id,
        "policy_digest": decision.policy_digest,
        "story": decision.story,
        "body": packed(to_text(decision)),
    }


def _reason(decision: Decision, ruling: Ruling | None) -> str:
    judged = None if decision.judgement is None else decision.judgement.reason
    if judged is not None:
        return judged.value
    return "" if ruling is None or isinstance(ruling, Pass) else ruling.reason.value


def word(decision: Decision) -> str:
    """Return the verdict as people filter by it: a wish of which limits leave nothing is a wait."""
    verdict = decision.verdict
    if verdict is None:
        return "bug" if decision.word is None else decision.word.value
    held = verdict.word is VerdictWord.STEADY and verdict.proposal.delta != 0
    return VerdictWord.WAIT.value if held else verdict.word.value


def outcome_row(outcome: Outcome) -> Row:
    """Return how an action ended."""
    return {"action_id": outcome.action_id, "at": outcome.at, "kind": outcome.kind.value, "detail": outcome.detail}


def sample_row(decision: Decision) -> tuple[Any, ...]:
    """Return what moves with every tick, in the order of `SAMPLES`' columns."""
    verdict, sample = decision.verdict, decision.sample
    if verdict is None or sample is None:
        return (decision.policy, decision.at, None, None, None, None, None, None, None, None, None)
    need, change = verdict.proposal.need, verdict.proposal.change
    ready = sample.ready
    # what one replica carries is 0 while that is not learnt: nobody knows what they carry together then
    carried = None if ready is None or need.capacity <= 0.0 else ready * need.capacity
    return (
        decision.policy,
        decision.at,
        _known(need.demand),
        _known(need.demand_ahead),
        _known(sample.ahead_p50),
        _known(sample.ahead_p95),
        _known(carried),
        change.before,
        ready,
        change.after,
        _known(sample.usd_per_hour),
    )


def _known(value: float | None) -> float | None:
    """Return the value, None for NaN: SQLite would keep it as NULL, PostgreSQL as NaN."""
    return None if value is None or math.isnan(value) else value


def action_row(action: Action) -> Row:
    """Return an intent, before anything is sent."""
    return {
        "id": action.id,
        "decision_id": action.decision_id,
        "policy": action.policy,
        "target": str(action.target),
        "at": action.issued_at,
        "before": action.change.before,
        "after": action.change.after,
        "dry_run": action.dry_run,
        "status": "begun",
        "message": "",
        "body": packed(to_text(action)),
    }


def result_row(result: StepResult) -> Row:
    """Return the API's answer as an update of the intent."""
    return {"b_id": result.action_id, "status": result.status.value, "message": result.message}


def finding_row(finding: Finding) -> Row:
    """Return one open finding as it is now."""
    return {
        "series": finding.series,
        "since": finding.since,
        "until": finding.at,
        "policy": finding.policy,
        "kind": finding.kind.value,
        "peak": finding.score,
        "reason": finding.reason,
        "body": packed(to_text(finding)),
    }


def incident_row(incident: Incident) -> Row:
    """Return one incident as it is now, with no more than so many of its series by name."""
    named = replace(incident, series=incident.series[:SERIES_KEPT])
    return {
        "id": incident.id,
        "since": incident.since,
        "until": incident.seen_at,
        "kind": incident.kind,
        "series": len(incident.series),
        "peak": incident.peak_score,
        "peak_at": incident.peak_at,
        "state": incident.state.value,
        "body": packed(to_text(named)),
    }
