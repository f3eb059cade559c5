"""Trade-off curves as one SVG: what safety costs under each autoscaler."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 360, 60, 40, 30
LEAST_RATIO, MOST_RATIO = 1e-4, 0.1
LEAST_COST, MOST_COST = 1.0, 2.0
COLOURS = ("#d62728", "#000000", "#1f77b4", "#17becf", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")


@dataclass(frozen=True)
class Curve:
    """points: (violating ratio, cost over the optimum, knob)."""

    name: str
    points: tuple[tuple[float, float, float], ...]


def draw(found: Mapping[float, Sequence[Curve]]) -> str:
    """Return a panel for each start-up time, side by side; lower and further left is better."""
    panels = [_panel(place, startup_s, curves) for place, (startup_s, curves) in enumerate(found.items())]
    width = WIDTH * max(1, len(panels))
    style = "font: 12px sans-serif; background: #fff"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" style="{style}">'
    return f"{head}{''.join(panels)}</svg>\n"


def _panel(place: int, startup_s: float, curves: Sequence[Curve]) -> str:
    parts = [f'<g transform="translate({place * WIDTH},0)">']
    parts.append(f'<text x="{LEFT}" y="18">start-up {startup_s:.0f} s: pod hours over the optimum</text>')
    for tick in range(5):
        cost = LEAST_COST + (MOST_COST - LEAST_COST) * tick / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 110}" y1="{_y(cost):.1f}" y2="{_y(cost):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{_y(cost) + 4:.1f}" text-anchor="end">{cost:.2f}</text>')
    for ratio in (1e-4, 1e-3, 5e-3, 1e-2, 1e-1):
        parts.append(f'<text x="{_x(ratio):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{ratio:.2%}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 4}">violating requests on the worst trace</text>')
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        points = [(_x(ratio), _y(cost)) for ratio, cost, _ in sorted(curve.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<text x="{WIDTH - 104}" y="{TOP + 16 * number + 10}" fill="{colour}">{curve.name}</text>')
    return "".join((*parts, "</g>"))


def _x(ratio: float) -> float:
    share = math.log(max(ratio, LEAST_RATIO) / LEAST_RATIO) / math.log(MOST_RATIO / LEAST_RATIO)
    return LEFT + min(share, 1.0) * (WIDTH - LEFT - 120)


def _y(cost: float) -> float:
    share = (min(cost, MOST_COST) - LEAST_COST) / (MOST_COST - LEAST_COST)
    return TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)
