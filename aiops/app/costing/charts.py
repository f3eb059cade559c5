"""Charts of money as self-contained SVG: spend by day beside what would have been spent, and how a budget burns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 880, 220, 64, 12, 14, 26


def nice(top: float) -> float:
    """Return the least of 1, 2, 2.5, 5 and 10 times a power of ten that is not below.

    >>> nice(0.0), nice(3.1), nice(23.0), nice(0.7)
    (1.0, 5.0, 25.0, 1.0)
    """
    if top <= 0.0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(top))
    return next(size * step for step in (1.0, 2.0, 2.5, 5.0, 10.0) if size * step >= top - 1e-12)


def by_day(days: Sequence[dict[str, Any]], currency: str = "USD") -> str:
    """Return bars of what was spent, with a mark at what it would have been without what was done."""
    tops = [max(one["spent"] or 0.0, (one["spent"] or 0.0) + (one["saved"] or 0.0)) for one in days]
    top = nice(max(tops, default=0.0))
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    parts = [_open("what was spent by day, with what it would have been"), *_grid(top)]
    for number, one in enumerate(days):
        left, spent = LEFT + number * wide, one["spent"]
        if spent is not None:
            high = _y(spent, top)
            label = f"{one['date']}: {spent:,.2f} {currency}"
            parts.append(
                f'<rect class="spent" x="{left + wide * 0.1:.1f}" y="{high:.1f}" width="{wide * 0.8:.1f}" '
                f'height="{HEIGHT - BOTTOM - high:.1f}"><title>{label}</title></rect>'
            )
        if one["unpriced_replica_hours"]:
            place = f'x="{left + wide * 0.1:.1f}" y="{HEIGHT - BOTTOM - 4}" width="{wide * 0.8:.1f}"'
            parts.append(f'<rect class="unknown" {place} height="4"/>')
        if spent is not None and one["saved"] is not None:
            mark = _y(spent + one["saved"], top)
            ends = f'x1="{left:.1f}" x2="{left + wide:.1f}"'
            parts.append(f'<line class="without" {ends} y1="{mark:.1f}" y2="{mark:.1f}"/>')
    parts += _dates([one["date"] for one in days], wide)
    return "".join((*parts, "</svg>"))


def burning(budget: dict[str, Any]) -> str:
    """Return what was spent of a budget so far, day by day, and where it will end, with the interval."""
    curve, amount = budget["curve"], budget["amount"]
    tops = [amount, budget["spent"], budget["high"] or 0.0, budget["projected"] or 0.0]
    start, until = float(budget["from"]), float(budget["until"])
    top, span = nice(max(tops)), until - start

    def x(at: float) -> float:
        return LEFT + (at - start) / span * (WIDTH - LEFT - RIGHT)

    total, points = 0.0, [(x(budget["from"]), _y(0.0, top))]
    for number, one in enumerate(curve):
        total += one["spent"]
        end = min(budget["at"], budget["from"] + (number + 1) * span / max(len(curve), span / 86_400.0))
        points.append((x(end), _y(total, top)))
    now, end = points[-1][0], WIDTH - RIGHT
    parts = [_open(f"how {budget['name']} burns"), *_grid(top)]
    parts.append(f'<line class="limit" x1="{LEFT}" x2="{end}" y1="{_y(amount, top):.1f}" y2="{_y(amount, top):.1f}"/>')
    if budget["low"] is not None:
        most, least = _y(budget["high"], top), _y(budget["low"], top)
        corners = f"{now:.1f},{points[-1][1]:.1f} {end},{most:.1f} {end},{least:.1f}"
        parts.append(f'<polygon class="band" points="{corners}"/>')
    if budget["projected"] is not None:
        here, there = f'x1="{now:.1f}" y1="{points[-1][1]:.1f}"', _y(budget["projected"], top)
        parts.append(f'<line class="without" {here} x2="{end}" y2="{there:.1f}"/>')
    parts.append(f'<polyline class="burnt" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>')
    for at, anchor in ((budget["from"], "start"), (budget["until"], "end")):
        day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
        parts.append(f'<text x="{x(at):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{day}</text>')
    return "".join((*parts, "</svg>"))


def _open(title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'


def _y(value: float, top: float) -> float:
    return TOP + (1.0 - min(max(value / top, 0.0), 1.0)) * (HEIGHT - TOP - BOTTOM)


def _grid(top: float) -> list[str]:
    lines = []
    for share in (0.0, 0.5, 1.0):
        at = _y(top * share, top)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{top * share:,.4g}</text>')
    return lines


def _dates(dates: Sequence[str], wide: float) -> list[str]:
    every = max(1, -(-len(dates) // 8))
    return [
        f'<text x="{LEFT + (number + 0.5) * wide:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{day[5:]}</text>'
        for number, day in enumerate(dates)
        if number % every == 0
    ]
