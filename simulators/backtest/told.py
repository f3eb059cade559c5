"""A backtest as a terminal tells it: what is measured, what is modelled, the table, the worst moments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from simulators.backtest.calibration import Basis
from simulators.backtest.run import Result
from simulators.backtest.scoring import Score

COLUMNS = (
    "contender",
    "violating",
    "SLO missed",
    "short",
    "replica-hours",
    "cost USD",
    "changes (out/in, reversed)",
    "replica-hours less policy",
)
UNKNOWN = "?"


def clock(at: float) -> str:
    """Return an instant as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def head(result: Result) -> str:
    """Return one line of what was replayed."""
    days = (result.end - result.start + result.step_s) / 86_400.0
    return (
        f"{result.name} on {result.target}: {clock(result.start)} to {clock(result.end)} UTC, {days:.3g} days in steps"
        f" of {result.step_s:g} s, learnt from {clock(result.learnt_from)} on"
    )


def basis(result: Result) -> list[str]:
    """Return what is measured, what is modelled, and how well."""
    model = result.calibration
    low, high = model.per_replica_range
    if result.drain_s is not None:
        return _basis_of_queue(result)
    lines = [
        "measured: load, and where recorded the replicas that ran and their latency",
        "modelled: latency and SLO misses of every contender, by an M/M/c queue, load taken as independent of replicas",
        f"model: a replica carries {model.per_replica:.4g} (as well explained by {low:.4g} to {high:.4g}),"
        f" serves a request in {model.service_s * 1000:.3g} ms, {model.on_top_s * 1000:.3g} ms on top;"
        f" starts in {model.startup_s:.3g} s ({model.startup_from})",
    ]
    if model.basis is Basis.LATENCY and model.log_error is not None:
        right = "" if model.right_ratio is None else f", {model.right_ratio:.1%} of steps on the right side of the SLO"
        lines.append(
            f"error of the model, on {model.judged} steps that the fit did not see: {model.log_error:.1%}"
            f" (median absolute log error of the latency){right}"
        )
    return lines


def _basis_of_queue(result: Result) -> list[str]:
    model = result.calibration
    low, high = model.per_replica_range
    lines = [
        "measured: what arrived, and where recorded the replicas that ran and what waited",
        "modelled: the backlog of every contender, as a queue that nobody leaves, arrivals taken as independent of it;"
        f" SLO missed: who comes then waits longer than drainWithin, {result.drain_s:g} s",
        f"model: a replica works off {model.per_replica:.4g} a second (half of the steps between {low:.4g} and"
        f" {high:.4g}); starts in {model.startup_s:.3g} s ({model.startup_from})",
    ]
    if model.log_error is not None and model.right_ratio is not None:
        lines.append(
            f"error of the model, on {model.judged} busy steps that the fit did not see: {model.log_error:.1%}"
            " (median absolute log error of what was worked off); moved on from the first of them by the model alone,"
            f" a backlog stands when one was recorded, and none when none was, in {model.right_ratio:.1%} of the steps"
        )
    return lines


def rows(result: Result) -> list[tuple[str, ...]]:
    """Return the table's rows, in the order of `COLUMNS`; what is not to be trusted is not shown."""
    trusted = result.calibration.trusted and result.slo_s is not None
    return [_row(one, trusted=trusted) for one in result.scores]


def _row(one: Score, *, trusted: bool) -> tuple[str, ...]:
    missed = f"{one.miss_minutes:,.1f} min" if trusted else UNKNOWN
    if one.measured_miss_minutes is not None:
        missed += f" (measured {one.measured_miss_minutes:,.1f})"
    less = one.less_policy.get("replica_hours")
    return (
        one.name,
        f"{one.violating_ratio:.3%}" if trusted else UNKNOWN,
        missed,
        "-" if one.short_ratio is None else f"{one.short_ratio:.2%}",
        f"{one.replica_hours:,.1f}",
        "-" if one.cost_usd is None else f"{one.cost_usd:,.2f}",
        f"{one.changes} ({one.scale_outs}/{one.scale_ins}, {one.reversed})",
        "" if less is None else f"{less[0]:+,.1f} to {less[1]:+,.1f}",
    )


def worst(result: Result) -> list[tuple[str, str]]:
    """Return the worst moments: when, and what was seen and decided."""
    out = []
    for one in result.worst:
        seen = f"load {one.load:.4g} on {one.ready} ready"
        if result.drain_s is not None:
            seen += f", a wait of {one.latency_s:.3g} s"
        elif result.calibration.trusted:
            seen += f", modelled p95 {one.latency_s * 1000:.3g} ms"
        out.append((clock(one.at), f"{seen}: {one.story}"))
    return out


LEGEND = (
    "violating: requests slower than the SLO, or failed, or work that waits longer than drainWithin. SLO missed: time"
    " with a 95th percentile above it, or with such a wait. short: load"
    " met by fewer ready replicas than perReplica asks for. reversed: changes taken back within ten minutes. The last"
    " column is a 95 % interval (moving-block bootstrap of hours, paired)."
)


def compared(results: Sequence[Result]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of several policies beside each other: the first contender of each."""
    return ("policy", *COLUMNS[1:7]), [(one.name, *rows(one)[0][1:7]) for one in results]
