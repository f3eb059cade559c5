"""The report as one HTML file that needs nothing else and prints: charts as inline SVG, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from aiops.app.costing.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, by_day, nice
from aiops.app.weekly.tables import number_of, parts

_ROW, _MOST = 22, 12


def page(found: dict[str, Any]) -> str:
    """Return the HTML; every text of others is escaped."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    loader = PackageLoader("simulators", "templates")
    template = Environment(loader=loader, autoescape=select_autoescape(default=True)).get_template("weekly.html")
    head, *rest = parts(found)
    charts = [
        {"title": "SLO minutes lost by day", "svg": lost(found["days"])} if found["days"] else None,
        {"title": "Spent by day, USD", "svg": by_day(found["days"])} if found["money"]["known"] else None,
        {"title": "How long each verdict stood, policy-minutes", "svg": bars(_reasons(found))}
        if found["reasons"]
        else None,
    ]
    return template.render(head=head, charts=[one for one in charts if one is not None], tables=rest)


def _reasons(found: dict[str, Any]) -> list[tuple[str, float, str]]:
    """Return verdicts with their minutes; `steady` is left out, for beside it nothing else would be seen."""
    return [
        (f"{one['verdict']} {one['reason']}".strip(), one["minutes"], one["verdict"])
        for one in found["reasons"]
        if one["verdict"] != "steady"
    ][:_MOST]


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Return lying bars: a label, a length, and the kind by which they are coloured."""
    if not rows:
        return "<p>Nothing but steady.</p>"
    left, top = 240, nice(max(length for _, length, _ in rows))
    high = len(rows) * _ROW + BOTTOM
    out = [f'<svg viewBox="0 0 {WIDTH} {high}" role="img" aria-label="how long each verdict stood">']
    for number, (label, length, kind) in enumerate(rows):
        y, wide = number * _ROW, length / top * (WIDTH - left - 90)
        out.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>')
        out.append(f'<rect class="bar {escape(kind)}" x="{left}" y="{y + 3}" width="{wide:.1f}" height="{_ROW - 6}"/>')
        out.append(f'<text x="{left + wide + 6:.1f}" y="{y + 15}">{number_of(length)}</text>')
    return "".join((*out, "</svg>"))


def lost(days: Sequence[dict[str, Any]]) -> str:
    """Return bars of the minutes of SLO that were lost by day."""
    top = nice(max((one["slo_minutes"] for one in days), default=0.0))
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="SLO minutes lost by day">']
    for share in (0.0, 0.5, 1.0):
        at = _y(top * share, top)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{top * share:,.4g}</text>')
    every = max(1, -(-len(days) // 8))
    for number, one in enumerate(days):
        x, at = LEFT + number * wide, _y(one["slo_minutes"], top)
        title = f"<title>{escape(one['date'])}: {one['slo_minutes']:,.1f} min</title>"
        place = f'x="{x + wide * 0.1:.1f}" y="{at:.1f}" width="{wide * 0.8:.1f}" height="{HEIGHT - BOTTOM - at:.1f}"'
        out.append(f'<rect class="lost" {place}>{title}</rect>')
        if number % every == 0:
            middle = LEFT + (number + 0.5) * wide
            out.append(f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(one["date"][5:])}</text>')
    return "".join((*out, "</svg>"))


def _y(value: float, top: float) -> float:
    return TOP + (1.0 - min(max(value / top, 0.0), 1.0)) * (HEIGHT - TOP - BOTTOM)
