"""From the store's rows to plain data: sums by team, namespace, policy, target, day and week; the ledger; budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from aiops.core.model import Instant
from aiops.core.money.ledger import Entry
from aiops.core.money.spend import DAY_S, HOUR_MS, HOUR_S, LOOP, NODES, Row, Subject, per_hour, usd
from aiops.errors import InvalidInput

if TYPE_CHECKING:
    from aiops.adapters.store import Store
    from aiops.adapters.store.costs import Spent

DEFAULT_DAYS, MOST_DAYS = 30.0, 800.0
LONGEST_LISTS = 20
IDLE_RATIO, SLACK_RATIO = 0.5, 0.5
"""Idle: without any demand for more than half of the time it was looked at. Oversized: less than half in use."""

MOST_ENTRIES = 500


def answered(store: Store, asked: dict[str, Any], now: Instant) -> dict[str, Any]:
    """Return everything about money of the last days; `asked`: days, and team, namespace and policy as filters.

    Raises InvalidInput.
    """
    since = now - _days(asked) * DAY_S
    since -= since % HOUR_S
    spent = store.costs.spent(since, now)
    wanted = _filter(asked)
    loop = store.costs.hours(since, now, LOOP)
    mine = [one for one in spent if one.subject.is_target and wanted(one.subject)]
    whole = _whole(mine)
    entries = [one for one in store.costs.entries(since, now, MOST_ENTRIES) if wanted(one.subject)]
    return {
        "since": since,
        "until": now,
        "currency": "USD",
        "total": {**_sums(whole), "promised": _promised(entries), **_watched(loop)},
        "by": {name: _grouped(whole, entries, key) for name, key in _KEYS.items()},
        "days": _dated(mine, "date", "%Y-%m-%d"),
        "weeks": _dated(mine, "week", "%G-W%V"),
        "nodes": _nodes(spent),
        "budgets": [one for one in store.costs.budgets() if _shown(one, asked)],
        "ledger": [entry(one) for one in entries],
        "idle": _idle(whole),
        "oversized": _oversized(whole),
    }


_KEYS: dict[str, Callable[[Subject], str]] = {
    "team": lambda one: one.team,
    "namespace": lambda one: one.namespace,
    "policy": lambda one: one.policy,
    "target": lambda one: one.target,
}


def _days(asked: dict[str, Any]) -> float:
    days = asked.get("days")
    if days is None:
        return DEFAULT_DAYS
    if not isinstance(days, int | float) or isinstance(days, bool) or not 0 < days <= MOST_DAYS:
        raise InvalidInput(f"days: {days!r} is no number of days up to {MOST_DAYS:.0f}")
    return float(days)


def _filter(asked: dict[str, Any]) -> Callable[[Subject], bool]:
    wished = {name: str(asked[name]) for name in ("team", "namespace", "policy") if asked.get(name)}

    def wanted(one: Subject) -> bool:
        names = (one.policy, one.policy.partition("/")[2], one.policy.rpartition("/")[2])
        return all(value in names if name == "policy" else _KEYS[name](one) == value for name, value in wished.items())

    return wanted


def _shown(budget: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Return whether a budget is of what is asked for."""
    team, namespace = asked.get("team"), asked.get("namespace")
    return (not team or budget["team"] in ("", team)) and (not namespace or budget["namespace"] == namespace)


# -- sums -------------------------------------------------------------------------------------------------


def _whole(spent: Sequence[Spent]) -> list[Spent]:
    """Return one sum for each subject over all of the time: a year of days is added up once, and not for each table."""
    by_subject: dict[Subject, list[Spent]] = {}
    for one in spent:
        by_subject.setdefault(one.subject, []).append(one)
    return [
        replace(some[0], span_s=sum(one.span_s for one in some), row=together(one.row for one in some))
        for some in by_subject.values()
    ]


def together(rows: Iterable[Row]) -> Row:
    """Return rows added up; of peaks the greatest."""
    every = list(rows)
    if len(every) == 1:
        return every[0]
    values = [_VALUES(row) for row in every]
    if not values:
        return Row()
    *sums, peaks = zip(*values, strict=True)
    made = dict(zip(_ADDED, map(sum, sums), strict=True))
    return Row(**made, peak=max(peaks))


_ADDED = tuple(one.name for one in fields(Row) if one.name != "peak")
_VALUES = attrgetter(*_ADDED, "peak")


def plain(row: Row) -> dict[str, Any]:
    """Return the sums as people read them. saved, realised, freed are unknown where nothing was compared."""
    compared = row.compared_ms > 0 or row.reference_ms > 0
    saved = usd(per_hour(row.saved)) if compared else None
    realised = usd(per_hour(row.realised)) if compared else None
    return {
        "spent": usd(per_hour(row.money)) if row.replica_ms > row.unpriced_ms or not row.replica_ms else None,
        "replica_hours": row.replica_ms / HOUR_MS,
        "unpriced_replica_hours": row.unpriced_ms / HOUR_MS,
        "gap_hours": row.gap_ms / HOUR_MS,
        "reference_replica_hours": row.reference_ms / HOUR_MS if compared else None,
        "compared_replica_hours": row.compared_ms / HOUR_MS if compared else None,
        "saved": saved,
        "saved_low": usd(per_hour(row.saved_low)) if compared else None,
        "saved_high": usd(per_hour(row.saved_high)) if compared else None,
        "realised": realised,
        "freed": None if saved is None or realised is None else saved - realised,
        "slo_minutes": row.slo_ms / 60_000,
        "late_requests": row.late,
    }


def _sums(spent: Sequence[Spent]) -> dict[str, Any]:
    return {**plain(together(one.row for one in spent)), "static_usd": _static(spent)}


def _static(spent: Sequence[Spent]) -> float | None:
    """Return what the smallest constant fleets would have cost that carry the peak of the time, None while unknown.

    It knows the peak beforehand, which nobody does: a fleet that people size costs more than that.
    """
    by_target: dict[str, list[Row]] = {}
    for one in spent:
        by_target.setdefault(one.subject.target, []).append(one.row)
    cost, known = 0.0, False
    for rows in by_target.values():
        row = together(rows)
        if not row.peak or row.replica_ms <= row.unpriced_ms:
            continue
        known = True
        price = row.money / (row.replica_ms - row.unpriced_ms)
        cost += row.peak * row.seen_ms * price / HOUR_MS
    return cost / 1e9 if known else None


def _watched(loop: Sequence[Spent]) -> dict[str, Any]:
    """Return for how long the loop watched of the time that there are rows of, and for how long nobody did."""
    if not loop:
        return {"watched_hours": 0.0, "unwatched_hours": 0.0}
    watched = sum(one.row.seen_ms for one in loop) / HOUR_MS
    first, last = min(one.at for one in loop), max(one.at + one.span_s for one in loop)
    # the ends are hours that are not whole
    edges = sum(one.span_s / HOUR_S - one.row.seen_ms / HOUR_MS for one in (loop[0], loop[-1]))
    span = (last - first) / HOUR_S
    return {"watched_hours": watched, "unwatched_hours": max(0.0, span - watched - (edges if len(loop) > 1 else 0.0))}


def _grouped(spent: Sequence[Spent], entries: Sequence[Entry], key: Callable[[Subject], str]) -> list[dict[str, Any]]:
    """Return the sums of each group, the dearest first; '' is what names none."""
    groups: dict[str, list[Spent]] = {}
    for one in spent:
        groups.setdefault(key(one.subject), []).append(one)
    made = [
        {"name": name, **_sums(some), "promised": _promised([e for e in entries if key(e.subject) == name])}
        for name, some in groups.items()
    ]
    return sorted(made, key=lambda one: (-(one["spent"] or 0.0), one["name"]))


def _dated(spent: Sequence[Spent], name: str, pattern: str) -> list[dict[str, Any]]:
    groups: dict[str, list[Spent]] = {}
    labels = {at: datetime.fromtimestamp(at, UTC).strftime(pattern) for at in {one.at for one in spent}}
    for one in spent:
        groups.setdefault(labels[one.at], []).append(one)
    return [{name: day, **_sums(groups[day])} for day in sorted(groups)]


def _nodes(spent: Sequence[Spent]) -> list[dict[str, Any]]:
    """Return the node-hours of each cluster, and those that were released while something was saved."""
    clusters: dict[str, list[Row]] = {}
    for one in spent:
        name = one.subject.target.removeprefix(NODES)
        if one.subject.target.startswith(NODES) and "/" not in name:
            clusters.setdefault(name, []).append(one.row)
    return [
        {
            "cluster": name,
            "node_hours": row.replica_ms / HOUR_MS,
            "released_node_hours": (row.reference_ms - row.compared_ms) / HOUR_MS,
            "spent": None if row.unpriced_ms else usd(per_hour(row.money)),
        }
        for name, row in ((name, together(rows)) for name, rows in sorted(clusters.items()))
    ]


# -- the ledger -------------------------------------------------------------------------------------------


def entry(one: Entry) -> dict[str, Any]:
    """Return one entry as people read it."""
    known = one.seen_ms > 0
    saved = usd(per_hour(one.saved)) if known else None
    realised = usd(per_hour(one.realised)) if known else None
    promise = one.promise
    return {
        "id": one.id,
        "kind": one.kind.value,
        "policy": one.policy,
        "target": one.subject.target,
        "team": one.subject.team,
        "opened_at": one.opened_at,
        "closed_at": one.closed_at,
        "dry_run": one.dry_run,
        "stood_hours": one.seen_ms / HOUR_MS,
        "promised_usd_per_hour": None if promise is None else usd(promise.middle),
        "promised_low": None if promise is None else usd(promise.low),
        "promised_high": None if promise is None else usd(promise.high),
        "promised": None if one.promised is None or one.dry_run else usd(one.promised),
        "saved": saved,
        "saved_low": usd(per_hour(one.saved_low)) if known else None,
        "saved_high": usd(per_hour(one.saved_high)) if known else None,
        "realised": realised,
        "freed": None if saved is None or realised is None else saved - realised,
        "replica_hours": one.replica_ms / HOUR_MS,
        "unpriced_replica_hours": one.unpriced_ms / HOUR_MS,
        "slo_minutes": one.slo_ms / 60_000,
        "late_requests": one.late,
        "note": one.note,
    }


def _promised(entries: Sequence[Entry]) -> float | None:
    known = [one.promised for one in entries if one.promised is not None and not one.dry_run]
    return usd(sum(known)) if known else None


# -- what could be smaller --------------------------------------------------------------------------------


def _by_target(spent: Sequence[Spent]) -> list[tuple[Subject, Row]]:
    groups: dict[Subject, list[Row]] = {}
    for one in spent:
        groups.setdefault(one.subject, []).append(one.row)
    return [(subject, together(rows)) for subject, rows in groups.items()]


def _idle(spent: Sequence[Spent]) -> list[dict[str, Any]]:
    """Return targets without any demand for most of the time, those first whose idle hours are dearest."""
    found = [
        _listed(subject, row, idle_ratio=row.idle_ms / row.use_known_ms)
        for subject, row in _by_target(spent)
        if row.use_known_ms and row.idle_ms / row.use_known_ms >= IDLE_RATIO
    ]
    return sorted(found, key=lambda one: (-(one["spent"] or 0.0) * one["idle_ratio"], one["target"]))[:LONGEST_LISTS]


def _oversized(spent: Sequence[Spent]) -> list[dict[str, Any]]:
    """Return targets that use least of what they have, those first whose slack is dearest."""
    found = [
        _listed(subject, row, use_ratio=row.used_ms / row.use_known_ms)
        for subject, row in _by_target(spent)
        if row.use_known_ms and row.used_ms / row.use_known_ms < SLACK_RATIO
    ]
    return sorted(found, key=lambda one: (-(one["spent"] or 0.0) * (1 - one["use_ratio"]), one["target"]))[
        :LONGEST_LISTS
    ]


def _listed(subject: Subject, row: Row, **more: float) -> dict[str, Any]:
    sums = plain(row)
    names = ("replica_hours", "unpriced_replica_hours", "spent")
    return {"policy": subject.policy, "target": subject.target, **more, **{name: sums[name] for name in names}}
