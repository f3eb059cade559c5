"""The report of a rehearsal: one HTML file that needs nothing else, and the same as JSON beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiops.core.policies import PolicySet
from simulators.run import Result
from simulators.scenario import Scenario
from simulators.scorecard import sheet

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1100, 240, 56, 22, 10
MOST_POINTS = 1200
MOST_STORIES = 400


def write(path: Path, scenario: Scenario, policies: PolicySet, result: Result) -> Path:
    """Write the report and its data, and return the report's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(data(scenario, result), indent=1), encoding="utf-8")
    path.write_text(page(scenario, policies, result), encoding="utf-8")
    return path


def data(scenario: Scenario, result: Result) -> dict[str, Any]:
    """Return the report as plain data: scorecard, curves by target (null is unknown), changes and stories."""
    curves = {
        target: {name: [None if math.isnan(v) else round(v, 6) for v in values] for name, values in curve.items()}
        for target, curve in result.curves.items()
    }
    changes = [{"at": at, "target": t, "before": before, "after": after} for at, t, before, after in result.changes]
    stories = [{"at": at, "story": story} for at, story in result.stories]
    card = result.scorecard.as_json()
    return {"about": scenario.spec.about, "scorecard": card, "curves": curves, "changes": changes, "stories": stories}


def page(scenario: Scenario, policies: PolicySet, result: Result) -> str:
    """Return the HTML."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    loader = PackageLoader("simulators", "templates")
    template = Environment(loader=loader, autoescape=select_autoescape(default=True)).get_template("report.html")
    per_replica = {str(policy.target): policy for policy in policies.scaling}
    targets = [
        {
            "name": target,
            "load": _load_chart(curve, [at for at, name, _, _ in result.changes if name == target]),
            "latency": _latency_chart(curve, _slo(per_replica, target)),
            "cost": _chart(curve["at"], {"cost": curve["usd"]}, "USD"),
            "nodes": _nodes_chart(curve),
            "retries": "arriving" in curve,
        }
        for target, curve in result.curves.items()
    ]
    columns, rows = sheet(result.scorecard)
    return template.render(
        card=result.scorecard,
        about=scenario.spec.about,
        columns=columns,
        rows=rows,
        extras={
            "retried": any(one.retried for one in result.scorecard.scores),
            "nodes": any(one.node_hours for one in result.scorecard.scores),
            "money": any(one.slo_usd for one in result.scorecard.scores),
            "schedule": any(one.name == "schedule" for one in result.scorecard.scores),
        },
        targets=targets,
        stories=[(_clock(at), story) for at, story in result.stories[:MOST_STORIES]],
        more=max(0, len(result.stories) - MOST_STORIES),
    )


def _slo(policies: Mapping[str, Any], target: str) -> float | None:
    policy = policies.get(target)
    return None if policy is None or policy.objective.slo is None else policy.objective.slo.at_most


def _load_chart(curve: Mapping[str, list[float]], changes: Sequence[float]) -> str:
    lines = {"offered": curve["offered"], "forecast": curve["ahead"], "capacity": curve["capacity"]}
    if "arriving" in curve:
        lines["arriving"] = curve["arriving"]
    return _chart(curve["at"], lines, "req/s", marks=changes)


def _latency_chart(curve: Mapping[str, list[float]], slo: float | None) -> str:
    lines = {"latency": curve["latency"]}
    if slo is not None:
        lines["slo"] = [slo] * len(curve["at"])
    return _chart(curve["at"], lines, "p95 in s")


def _nodes_chart(curve: Mapping[str, list[float]]) -> str:
    """Return the pods and the nodes under them, nothing where there is no pool."""
    if "nodes" not in curve:
        return ""
    return _chart(curve["at"], {name: curve[name] for name in ("replicas", "pending", "nodes")}, "pods, nodes")


def _chart(at: Sequence[float], lines: Mapping[str, Sequence[float]], unit: str, marks: Sequence[float] = ()) -> str:
    """Return an SVG of curves on one axis; long ones are thinned to what a screen shows, keeping their peaks."""
    known = [v for values in lines.values() for v in values if not math.isnan(v)]
    most = max(known, default=1.0) * 1.08 or 1.0
    start, span = at[0], max(at[-1] - at[0], 1.0)

    def x(t: float) -> float:
        return LEFT + (t - start) / span * (WIDTH - LEFT - 10)

    def y(v: float) -> float:
        return TOP + (1.0 - v / most) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{", ".join(lines)}">']
    for quarter in range(5):
        v, t = most * quarter / 4, start + span * quarter / 4
        anchor = {0: "start", 4: "end"}.get(quarter, "middle")
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.3g}</text>')
        parts.append(f'<text x="{x(t):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{_clock(t)}</text>')
    parts.append(f'<text x="{LEFT + 6}" y="{TOP + 10}">{unit}</text>')
    for name, values in lines.items():
        points = [(x(t), y(v)) for t, v in _thinned(at, values) if not math.isnan(v)]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline class="{name}" points="{path}"/>')
    parts += [
        f'<line class="mark" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{y(0) - 7:.1f}" y2="{y(0):.1f}"/>' for t in marks
    ]
    return "".join((*parts, "</svg>"))


def _thinned(at: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    size = max(1, math.ceil(len(at) / MOST_POINTS))
    if size == 1:
        return list(zip(at, values, strict=True))
    out = []
    for first in range(0, len(at), size):
        piece = [v for v in values[first : first + size] if not math.isnan(v)]
        out.append((at[first], max(piece) if piece else math.nan))
    return out


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M:%S")
