"""Why a watched series was flagged, or was not: the numbers behind its score, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiops.core.detect.rest import REST_S, REST_SAMPLES, WORSE
from aiops.core.detect.wording import named, span
from aiops.core.model import Finding, Instant
from aiops.core.record.codec import to_jsonable
from aiops.errors import NotFound

if TYPE_CHECKING:
    from aiops.adapters.store import Store
    from aiops.core.bank import Bank
    from aiops.core.detect.sight import Look, Rebased

_LISTED = 10
_FINDINGS = 5
_VIEWS = {
    "value": "from the nearest of all earlier values",
    "shape": "from the nearest of all earlier stretches of four samples",
    "context": "from the nearest value at this time of earlier seasons",
}
_TOLD = frozenset(
    {"budget_per_week", "step_s", "alarm_at", "alarm_score", "surprise", "allowed", "level"}
    | {f"{what}_{view}" for what in ("distance", "surprise") for view in _VIEWS}
)


def moment(at: Instant) -> str:
    """Return an instant as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_record(store: Store, series: str, at: Instant | None) -> dict[str, Any]:
    """Return why a series was flagged, as the record has it: at `at`, or the last time that it was.

    series: its key or any part of it. Raises NotFound when there is no such finding, or the part names several series.
    """
    found = store.reader.findings_of(series, at)
    if not found and at is not None:
        return _calm_then(store, series, at)
    if not found:
        raise NotFound(
            f"the record has no finding of a series with {series!r} in its name; of a calm one a running daemon knows "
            "(--server URL)"
        )
    key = _only(series, [finding.series for finding, _ in found])
    finding, until = next((one, until) for one, until in found if one.series == key)
    return _answer(finding, until, found)


def now(bank: Bank, series: str, opened: Iterable[Finding]) -> dict[str, Any] | None:
    """Return what is said of a series now, flagged or not, None when no series that is watched has that in its name."""
    opened = tuple(opened)
    keys = [sight.index.keys[place] for sight in bank.sights for place in sight.places.tolist()]
    matching = [key for key in keys if series in key]
    if not matching:  # what is found of several series together is watched under no key of a row
        together = [one.series for one in opened if series in one.series]
        return _told(None, _only(series, together), opened) if together else None
    key = series if series in matching else _only(series, matching)
    excused = next((one for one in bank.excused if one.series == key), None)
    return _told(bank.look(key), key, opened, excused)


def elsewhere(look: Callable[[str], Look | None], series: str, opened: Iterable[Finding]) -> dict[str, Any] | None:
    """Return the same of a series that a shard watches: by its whole key, or by a part of the key of a finding."""
    found = tuple(opened)
    matching = [one.series for one in found if series in one.series]
    if not matching and "#" not in series:
        return None
    key = series if series in matching or not matching else _only(series, matching)
    return _told(look(key), key, found)


def _told(
    look: Look | None, key: str, opened: Iterable[Finding], excused: Finding | None = None
) -> dict[str, Any] | None:
    every = [one for one in opened if one.series == key]
    if look is None:
        return _answer(every[0], every[0].at, ()) if every else None
    finding = max(every, key=lambda one: one.score, default=None)
    lines = [*_head(look, finding), *(_numbers(look, look.evidence) if look.learned else ())]
    if excused is not None and finding is None:
        lines.insert(1, f"excused    {excused.kind.value}: {excused.reason}")
    if look.rebased is not None:
        lines.append(level_said(look.rebased))
    for one in every:
        if one is not finding:
            lines += ["", f"also       {one.kind.value} since {moment(one.since)}: {one.reason}"]
    return {
        "series": key,
        "labels": dict(look.labels),
        "at": look.at,
        "flagged": finding is not None,
        "finding": None if finding is None else to_jsonable(finding),
        "look": to_jsonable(look),
        "text": "\n".join(lines),
    }


def level_said(one: Rebased) -> str:
    """Return what became of a level that came with an announced change."""
    new = f"{one.level + one.by:.4g} instead of {one.level:.4g}"
    if not one.refused:
        return f"rebased    {moment(one.at)}: {new} ({one.by:+.4g}) is usual since then: {one.why}"
    settled = f", though it settled at {new}" if math.isfinite(one.by) else ""
    return f"rebased    {moment(one.at)}: not{settled}: {one.refused} ({one.why})"


def _only(part: str, keys: Iterable[str]) -> str:
    several = list(dict.fromkeys(keys))
    if part in several:
        return part
    if len(several) > 1:
        more = f" and {len(several) - _LISTED} more" if len(several) > _LISTED else ""
        raise NotFound(f"{part} could be {', '.join(several[:_LISTED])}{more}: give more of its name")
    return several[0]


def _calm_then(store: Store, series: str, at: Instant) -> dict[str, Any]:
    others = store.reader.findings_of(series, None)
    if not others:
        raise NotFound(f"the record has no finding of a series with {series!r} in its name")
    key = _only(series, [finding.series for finding, _ in others])
    lines = [f"{key} was not flagged at {moment(at)}; it was", *_past(others[:_FINDINGS])]
    return {"series": key, "at": at, "flagged": False, "finding": None, "text": "\n".join(lines)}


def _answer(finding: Finding, until: Instant, found: Sequence[tuple[Finding, Instant]]) -> dict[str, Any]:
    since = moment(finding.since)
    head = [
        f"{finding.policy}  {named(finding.labels)}  FLAGGED as {finding.kind.value}",
        f"when       {since} to {moment(until)} ({span(until - finding.since)}), at its worst {moment(finding.at)}",
        f"said       {finding.reason}",
        _sample(finding.value, (finding.lower, finding.expected, finding.upper)),
    ]
    if math.isfinite(finding.value):
        head.append(f"rarity     a sample of it deviates so far with probability {finding.p_value:.2g}")
    before = [one for one in found if one[0].series == finding.series and one[0].since != finding.since]
    lines = [*head, *_numbers(finding, finding.evidence)]
    if before:
        lines += ["", "before     it was flagged", *_past(before[:_FINDINGS])]
    return {
        "series": finding.series,
        "labels": dict(finding.labels),
        "at": finding.at,
        "flagged": True,
        "until": until,
        "finding": to_jsonable(finding),
        "text": "\n".join(lines),
    }


def _past(found: Sequence[tuple[Finding, Instant]]) -> list[str]:
    return [
        f"  {moment(one.since)} to {moment(until)}  {one.kind.value}, score {one.score:.3g}" for one, until in found
    ]


def _head(look: Look, finding: Finding | None) -> list[str]:
    policy = look.series.partition("#")[0]
    if not look.learned:
        state = "NOT JUDGED YET: not enough was seen of it"
    elif finding is None:
        state = "not flagged"
    else:
        state = f"FLAGGED as {finding.kind.value} since {moment(finding.since)}"
    lines = [f"{policy}  {named(look.labels)}  {state}"]
    if finding is not None:
        lines.append(f"said       {finding.reason}")
    expected = look.expected if look.learned else math.nan
    return [*lines, _sample(look.value, (look.lower, expected, look.upper)) + f" (at {moment(look.at)})"]


def _sample(value: float, band: tuple[float, float, float]) -> str:
    lower, expected, upper = band
    if math.isnan(value):
        return f"sample     none; expected {expected:.4g}"
    if math.isnan(expected):
        return f"sample     {value:.4g}; nothing is expected yet"
    return f"sample     {value:.4g}; expected {expected:.4g}, usual {_usual(lower, upper)}"


def _usual(lower: float, upper: float) -> str:
    if math.isinf(lower) and math.isinf(upper):
        return "anything"
    if math.isinf(lower):
        return f"at most {upper:.4g}"
    return f"at least {lower:.4g}" if math.isinf(upper) else f"{lower:.4g} to {upper:.4g}"


def _numbers(one: Finding | Look, evidence: Mapping[str, float]) -> list[str]:
    if "surprise" in evidence:
        lines = _neighbours(evidence)
    else:
        lines = (
            [f"calm       familiar; a surprise of {evidence['allowed']:.2f} is allowed"]
            if "allowed" in evidence
            else []
        )
    rest = {name: value for name, value in evidence.items() if name not in _TOLD}
    lines += [f"{name:<10} {value:.4g}" for name, value in sorted(rest.items())]
    return [*lines, *_budget(evidence), *_alarm(one, evidence)]


def _neighbours(evidence: Mapping[str, float]) -> list[str]:
    lines = [
        f"{view:<10} {evidence[f'distance_{view}']:.4g} {far}: surprise {max(0.0, evidence[f'surprise_{view}']):.2f}"
        for view, far in _VIEWS.items()
        if f"distance_{view}" in evidence and f"surprise_{view}" in evidence
    ]
    joined, allowed = evidence["surprise"], evidence.get("allowed", math.nan)
    score = f"2^({joined:.2f} - {allowed:.2f}) = {2.0 ** min(joined - allowed, 1000.0):.3g}"
    return [
        *lines,
        f"joined     surprise {joined:.2f} (root mean square of -log10 p), {allowed:.2f} are allowed: {score}",
    ]


def _budget(evidence: Mapping[str, float]) -> list[str]:
    budget, step_s = evidence.get("budget_per_week"), evidence.get("step_s")
    if budget is None or step_s is None:
        return []
    return [f"budget     {budget:g} false alarms a week, at a sample every {span(step_s)}"]


def _alarm(one: Finding | Look, evidence: Mapping[str, float]) -> list[str]:
    called, score = evidence.get("alarm_at"), evidence.get("alarm_score")
    lines = ["alarm      people were called by this sample"] if isinstance(one, Finding) and one.alarm else []
    if called is None or score is None:
        return lines or ["alarm      people have not been called for this series"]
    until = called + max(REST_S, REST_SAMPLES * evidence.get("step_s", 0.0))
    rests = f"rests until {moment(until)}, unless the score exceeds {WORSE * score:.3g}"
    return [*lines, f"rest       last called {moment(called)} at score {score:.3g}; {rests}"]
