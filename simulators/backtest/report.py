"""The report of a backtest: one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from aiops.errors import InvalidInput
from simulators.backtest import told
from simulators.backtest.run import Result

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1100, 240, 56, 22, 10


def write(path: Path, results: Sequence[Result]) -> Path:
    """Write the report and return its path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(results), encoding="utf-8")
    except OSError as err:
        raise InvalidInput(f"{path}: cannot be written: {err.strerror or err}") from err
    return path


def page(results: Sequence[Result]) -> str:
    """Return the HTML."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    loader = PackageLoader("simulators", "templates")
    template = Environment(loader=loader, autoescape=select_autoescape(default=True)).get_template("backtest.html")
    shown = [
        {
            "name": one.name,
            "head": told.head(one),
            "basis": told.basis(one),
            "warnings": one.warnings,
            "rows": told.rows(one),
            "worst": told.worst(one),
            "charts": _charts(one),
        }
        for one in results
    ]
    columns, rows = told.compared(results)
    return template.render(
        results=shown,
        columns=told.COLUMNS,
        legend=told.LEGEND,
        compared=rows if len(results) > 1 else (),
        heads=columns,
    )


def _charts(one: Result) -> list[dict[str, object]]:
    curves = one.curves
    if not curves:
        return []
    at = curves["at"]
    names = [name.partition(" ")[2] for name in curves if name.startswith("replicas ")]
    marks = [when for when, _, _ in one.changes]
    load = {name: curves[name] for name in ("load", "forecast")}
    charts = [_chart("Load and forecast", at, load, marks)]
    charts.append(_chart("Replicas", at, {name: curves[f"replicas {name}"] for name in names}))
    if one.calibration.trusted:
        lines = {name: curves[f"latency {name}"] for name in names}
        lines |= {"measured": curves["measured"]} if "measured" in curves else {}
        lines |= {"SLO": [one.slo_s] * len(at)} if one.slo_s is not None else {}
        cap = None if one.slo_s is None else one.slo_s * 4.0
        charts.append(_chart("95th percentile in s, modelled but for what is measured", at, lines, most=cap))
    return charts


def _chart(
    title: str,
    at: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    marks: Sequence[float] = (),
    most: float | None = None,
) -> dict[str, object]:
    """Return a title, a key and an SVG of curves on one axis, which ends at `most` at the latest."""
    known = [v for values in lines.values() for v in values if math.isfinite(v)]
    top = max(known, default=1.0) or 1.0
    top = _rounded_up(top if most is None else min(top, most))
    start, span = at[0], max(at[-1] - at[0], 1.0)

    def x(t: float) -> float:
        return LEFT + (t - start) / span * (WIDTH - LEFT - 10)

    def y(v: float) -> float:
        return TOP + (1.0 - min(v, top) / top) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">', *_axes(start, span, top, x, y)]
    for number, values in enumerate(lines.values()):
        parts += [f'<polyline class="c{number}" points="{piece}"/>' for piece in _pieces(at, values, x, y)]
    for t in marks:
        parts.append(f'<line class="mark" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{y(0) - 7:.1f}" y2="{y(0):.1f}"/>')
    return {"title": title, "key": list(enumerate(lines)), "svg": "".join((*parts, "</svg>"))}


def _rounded_up(value: float) -> float:
    """Return the least number not below `value` whose quarters people read at a glance.

    >>> _rounded_up(1461.0), _rounded_up(30.2), _rounded_up(0.26)
    (1600.0, 32.0, 0.28)
    """
    size = 10.0 ** math.floor(math.log10(value))
    steps = (1.0, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2, 4.0, 4.8, 6.0, 8.0, 10.0)
    return next((round(step * size, 12) for step in steps if step * size >= value * (1 - 1e-9)), 10.0 * size)


def _axes(
    start: float, span: float, top: float, x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    for quarter in range(5):
        v, t = top * quarter / 4, start + span * quarter / 4
        anchor = {0: "start", 4: "end"}.get(quarter, "middle")
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:,.6g}</text>'
        yield f'<text x="{x(t):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{told.clock(t)[5:16]}</text>'


def _pieces(
    at: Sequence[float], values: Sequence[float], x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    """Yield the points of each stretch without a gap."""
    points: list[str] = []
    for t, v in zip(at, values, strict=True):
        if math.isfinite(v):
            points.append(f"{x(t):.1f},{y(v):.1f}")
        elif points:
            yield " ".join(points)
            points = []
    if points:
        yield " ".join(points)
