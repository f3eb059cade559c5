"""Foretelling: `aiops forecast FILE` or `--query PROMQL`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops.app.commands.look import when
from aiops.app.output import SESSION, table
from aiops.errors import InvalidContent, InvalidInput

if TYPE_CHECKING:
    from aiops.core.forecast.fleet import Fleet
    from aiops.core.forecast.members import Member
    from aiops.core.model import F64

AHEAD_S = (60.0, 300.0, 900.0, 3600.0, 86_400.0)
MOST_STEPS = 200_000
MOST_MISSING = 0.99
FIT_WITHIN_S = 120.0
_SHOWN_WEIGHT = 0.005
_WIDTH, _HEIGHT = 72, 12
_PAST, _BAND, _MIDDLE = "•", "░", "━"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(forecast)


def forecast(
    file: Annotated[Path | None, typer.Argument(help="A CSV file `timestamp,value`.")] = None,
    query: Annotated[
        str | None, typer.Option(help="PromQL of one series, asked of the Prometheus of --config.")
    ] = None,
    history_days: Annotated[float, typer.Option(min=0.01, max=400, help="How much is asked for, with --query.")] = 14.0,
    step_s: Annotated[
        float | None, typer.Option(min=1, max=86_400, help="The step; a file's own when left out.")
    ] = None,
    season_s: Annotated[float, typer.Option(min=60, help="The length of the season.")] = 86_400.0,
    model: Annotated[
        str, typer.Option(help="combined, or combined-all: with models of statsmodels and river (slow).")
    ] = "combined",
) -> None:
    """Foretell one series up to a day ahead, and say which models were heard and how far they can be trusted."""
    if (file is None) == (query is None):
        raise InvalidInput("give either a file or --query")
    from aiops.core.forecast import COMBINATIONS

    if model not in COMBINATIONS:
        raise InvalidInput(f"--model {model}: it is one of {', '.join(sorted(COMBINATIONS))}")
    if file is not None:
        from simulators.load import read_trace

        name, (times, values) = str(file), read_trace(file)
    else:
        name, (times, values) = str(query), _asked(str(query), history_days, step_s or 60.0)
    grid = _gridded(name, times, values, step_s)
    fleet = _learnt(grid, season_s, COMBINATIONS[model].all_members)
    answer = _answer(name, fleet)
    SESSION.show(answer, "\n".join(_lines(answer, fleet)))


class _Gridded:
    """A series on a grid of whole steps: values float64[t], NaN is a gap; `first` is the number of the first step."""

    def __init__(self, step_s: float, first: int, values: F64) -> None:
        self.step_s, self.first, self.values = step_s, first, values


def _asked(query: str, history_days: float, step_s: float) -> tuple[F64, F64]:
    """Return (times, values) of a query's history."""
    import numpy as np

    from aiops.app.surroundings import prometheus
    from aiops.core.policies import SignalQuery

    source = prometheus(SESSION.settings())
    try:
        asked = SignalQuery(policy="forecast", name="query", expr=query, age_exprs=(), coverage_exprs=())
        end = math.floor(time.time() / step_s) * step_s
        matrix = source.range(asked, end - history_days * 86_400.0, end, step_s)
    finally:
        source.close()
    if not len(matrix.values):
        raise InvalidContent(f"{query}: no series")
    values = matrix.values[0]
    there = np.isfinite(values)
    return matrix.times[there], values[there]


def _gridded(name: str, times: F64, values: F64, step_s: float | None) -> _Gridded:
    """Return the means of steps; raise InvalidInput when that is no series to foretell."""
    import numpy as np

    if len(times) < 2:
        raise InvalidContent(f"{name}: two samples at least are needed")
    step = float(np.quantile(np.diff(times), 0.5, method="lower")) if step_s is None else step_s
    step = max(step, 1.0)
    steps = np.floor(times / step).astype(np.int64)
    width = int(steps[-1] - steps[0]) + 1
    if width > MOST_STEPS:
        raise InvalidContent(
            f"{name}: {width} steps of {step:g} s from first to last, at most {MOST_STEPS}: use --step-s"
        )
    count = np.bincount(steps - steps[0], minlength=width)
    total = np.bincount(steps - steps[0], values, width)
    return _Gridded(step, int(steps[0]), np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _learnt(series: _Gridded, season_s: float, members: tuple[Member, ...]) -> Fleet:
    from aiops.core.forecast.fitting import fit
    from aiops.core.forecast.fleet import Fleet
    from aiops.core.forecast.grid import Grid
    from aiops.core.forecast.members import Limits, limited

    if season_s < 2 * series.step_s:
        raise InvalidInput(f"--season-s {season_s:g}: a season has two steps of {series.step_s:g} s at least")
    grid = Grid.of(series.step_s, season_s)
    fleet = Fleet(grid, 1, history_steps=min(len(series.values), 28 * grid.season), members=members)
    fleet.load(series.values[None, :], series.first + len(series.values))
    began = time.monotonic()
    limits = Limits(within_s=FIT_WITHIN_S, elapsed_s=lambda: time.monotonic() - began)
    fleet.adopt(fit(fleet.history(), limited(members, limits)))
    return fleet


def _answer(name: str, fleet: Fleet) -> dict[str, Any]:
    """Return everything that is said, for programs."""
    import numpy as np

    from aiops.core.forecast.standing import QUANTILES

    grid, issued_at = fleet.grid, fleet.step * fleet.grid.step_s
    wanted = sorted({round(ahead / grid.step_s) for ahead in AHEAD_S if ahead >= grid.step_s})
    path = fleet.predict(max(wanted))[0]
    known = fleet.values[0][np.isfinite(fleet.values[0])]
    nearest = [int(np.argmin(np.abs(grid.knots - steps))) for steps in wanted]
    weights, coverage = fleet.standing.weights(grid)[0], fleet.standing.coverage[0]
    skill = float(fleet.skill()[0])
    return {
        "series": name,
        "step_s": grid.step_s,
        "season_s": grid.season * grid.step_s,
        "steps_seen": len(known),
        "issued_at": issued_at,
        "forecast": [
            {
                "ahead_s": steps * grid.step_s,
                "at": issued_at + steps * grid.step_s,
                "quantiles": {f"{level:g}": float(path[row, steps - 1]) for row, level in enumerate(QUANTILES)},
                "coverage_80": None if math.isnan(coverage[knot]) else float(coverage[knot]),
                "weights": {voice: float(weight) for voice, weight in zip(fleet.voices, weights[:, knot], strict=True)},
            }
            for steps, knot in zip(wanted, nearest, strict=True)
        ],
        "skill": None if math.isnan(skill) else skill,
        "acts": bool(fleet.acts[0]),
        "why": fleet.why(0),
        "left_out": dict(fleet.fitted.left_out) if fleet.fitted is not None else {},
    }


def _lines(answer: dict[str, Any], fleet: Fleet) -> list[str]:
    rows = answer["forecast"]
    levels = list(rows[0]["quantiles"])
    head = (
        f"{answer['series']}: {answer['steps_seen']} steps of {answer['step_s']:g} s, until {when(answer['issued_at'])}"
    )
    numbers = [
        (
            _span(row["ahead_s"]),
            *(f"{row['quantiles'][level]:.6g}" for level in levels),
            "-" if row["coverage_80"] is None else f"{row['coverage_80']:.0%}",
        )
        for row in rows
    ]
    heard = [voice for voice in fleet.voices if max(row["weights"][voice] for row in rows) >= _SHOWN_WEIGHT]
    shares = [(voice, *(f"{row['weights'][voice]:.2f}" for row in rows)) for voice in heard]
    out = [
        head,
        "",
        table(("AHEAD", *(f"Q{level}" for level in levels), "IN 80 %"), numbers),
        "",
        table(("WEIGHT", *(_span(row["ahead_s"]) for row in rows)), shares),
        "",
        f"{'would act' if answer['acts'] else 'would not act'}: {answer['why']}",
        *(f"left out: {member}: {why}" for member, why in answer["left_out"].items()),
    ]
    return [*out, "", *_chart(fleet)]


def _span(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size and (unit == "h") <= (seconds % size == 0):
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _chart(fleet: Fleet) -> list[str]:
    """Return a picture of the last season and the next: dots came, the band is 80 % likely, the line is its median."""
    import numpy as np

    from aiops.core.forecast.standing import QUANTILES

    grid = fleet.grid
    half = _WIDTH // 2
    past = _means(fleet.values[0, -min(grid.season, fleet.values.shape[1]) :], half)
    ahead = fleet.predict(grid.season)[0]
    low, middle, high = (_means(ahead[QUANTILES.index(level)], half) for level in (0.1, 0.5, 0.9))
    drawn = np.concatenate([past, low, high])
    if not np.isfinite(drawn).any():
        return ["nothing is known to draw"]
    bottom, top = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    scale = (_HEIGHT - 1) / (top - bottom) if top > bottom else 0.0
    canvas = [[" "] * (2 * half) for _ in range(_HEIGHT)]

    def row(value: float) -> int:
        return _HEIGHT - 1 - round((value - bottom) * scale)

    for column in range(half):
        if math.isfinite(past[column]):
            canvas[row(float(past[column]))][column] = _PAST
        if math.isfinite(middle[column]):
            for place in range(row(float(high[column])), row(float(low[column])) + 1):
                canvas[place][half + column] = _BAND
            canvas[row(float(middle[column]))][half + column] = _MIDDLE
    marks = {0: f"{top:.5g}", _HEIGHT - 1: f"{bottom:.5g}"}
    lines = [f"{marks.get(number, ''):>10s} ┤{''.join(cells).rstrip()}" for number, cells in enumerate(canvas)]
    span = _span(grid.season * grid.step_s)
    return [*lines, " " * 12 + f"-{span}".ljust(half) + "now".ljust(half - len(span) - 1) + f"+{span}"]


def _means(values: F64, columns: int) -> F64:
    """Return the means of equal parts, NaN of those in which nothing came."""
    import numpy as np

    parts = np.array_split(values, columns)
    return np.array([part[np.isfinite(part)].mean() if np.isfinite(part).any() else math.nan for part in parts])
