"""The chart as one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from aiops.app.detecting.plot import HEIGHT, LEFT, RIGHT, WIDTH, Plot
from aiops.core.model import F64


def page(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], plots: Sequence[Plot]) -> str:
    """Return the HTML. head: what was looked at; rows: the table of findings with its header."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    loader = PackageLoader("simulators", "templates")
    template = Environment(loader=loader, autoescape=select_autoescape(default=True)).get_template("detect.html")
    charts = [{"title": one.title, "svg": svg(one)} for one in plots]
    return template.render(title=title, head=head, columns=rows[0], rows=rows[1:], charts=charts)


def svg(one: Plot) -> str:
    """Return one picture; only numbers go into it."""
    bottom = HEIGHT - 22
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    for at, value in one.ticks_y:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for number, (at, when) in enumerate(one.ticks_x):
        anchor = {0: "start", len(one.ticks_x) - 1: "end"}.get(number, "middle")
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{clock(when)}</text>')
    for begin, end, called in one.findings:
        kind = "called" if called else "seen"
        parts.append(f'<rect class="{kind}" x="{begin:.1f}" y="12" width="{end - begin:.1f}" height="{bottom - 12}"/>')
    parts += [f'<polygon class="band" points="{piece}"/>' for piece in _bands(one)]
    parts += [f'<polyline class="expected" points="{piece}"/>' for piece in _lines(one.x, one.expected, one.expected)]
    parts += [f'<polyline class="value" points="{piece}"/>' for piece in _lines(one.x, one.high, one.low)]
    return "".join((*parts, "</svg>"))


def _lines(x: F64, first: F64, second: F64) -> list[str]:
    """Return the points of each stretch without a gap, through both ends of each column."""
    pieces: list[list[str]] = [[]]
    for at, high, low in zip(x.tolist(), first.tolist(), second.tolist(), strict=True):
        if math.isnan(high):
            pieces.append([])
            continue
        pieces[-1].append(f"{at:.1f},{high:.1f}")
        if low - high >= 1.0:
            pieces[-1].append(f"{at:.1f},{low:.1f}")
    return [" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces if piece]


def _bands(one: Plot) -> list[str]:
    pieces: list[tuple[list[str], list[str]]] = [([], [])]
    for at, upper, lower in zip(one.x.tolist(), one.upper.tolist(), one.lower.tolist(), strict=True):
        if math.isnan(upper) or math.isnan(lower):
            pieces.append(([], []))
            continue
        pieces[-1][0].append(f"{at:.1f},{upper:.1f}")
        pieces[-1][1].append(f"{at:.1f},{lower:.1f}")
    return [" ".join([*above, *reversed(below)]) for above, below in pieces if len(above) > 1]


def clock(at: float) -> str:
    """Return an instant as an axis has it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
