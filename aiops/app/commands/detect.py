"""Detecting: `aiops detect FILE.csv`, or `aiops detect --query PROMQL --from 14d`."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops.app.commands.look import when
from aiops.app.output import SESSION, console, printable, table
from aiops.errors import InvalidContent, InvalidInput

if TYPE_CHECKING:
    from aiops.app.detecting.run import Detected, Found
    from aiops.app.detecting.table import Table
    from aiops.core.policies import PolicySet

_COLUMNS = ("START", "END", "KIND", "SCORE", "VALUE", "EXPECTED", "CALLS", "SERIES")
_ANSWER_NO = 1
_SUSPECTS = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(detect)


def detect(
    file: Annotated[
        Path | None, typer.Argument(help="A CSV file `timestamp,value`, or with a column a series.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="PromQL, in place of a file: each series of it is watched.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="Its URL; that of --config when left out.")] = None,
    since: Annotated[str, typer.Option("--from", help="With --query: a time (ISO 8601), or so long ago: 14d.")] = "14d",
    to: Annotated[str, typer.Option(help="With --query: a time.")] = "now",
    step: Annotated[str, typer.Option(help="With --query: between samples.")] = "1m",
    tier: Annotated[str, typer.Option(help="signal: the few that matter most; fleet: many, and fast.")] = "signal",
    detector: Annotated[str | None, typer.Option(help="In place of that of the tier.")] = None,
    budget: Annotated[float | None, typer.Option(min=1e-6, help="False alarms a week and series.")] = None,
    season: Annotated[str, typer.Option(help="The length of the season.")] = "1d",
    time_zone: Annotated[str, typer.Option(help="Whose wall clocks the season follows: Europe/Berlin.")] = "UTC",
    side: Annotated[str, typer.Option(help="both, above or below: which deviations count.")] = "both",
    min_deviation: Annotated[float, typer.Option(min=0, help="What deviates less is not worth an alarm.")] = 0.0,
    counter: Annotated[bool, typer.Option(help="A file of counters: their rates a second are watched.")] = False,
    chart: Annotated[Path | None, typer.Option(help="Write a chart: out.html or out.png.")] = None,
    exit_zero: Annotated[bool, typer.Option(help="Exit with 0 whatever is found.")] = False,
) -> None:
    """Say what the daemon would have found in a file or in the past. Exits with 1 when something was, as diff does."""
    if (file is None) == (query is None):
        raise InvalidInput("give either a file or --query")
    if chart is not None and chart.suffix not in (".html", ".png"):
        raise InvalidInput(f"--chart {chart}: its name ends in .html or .png")
    from aiops.app.detecting.table import rates, read

    asked: dict[str, Any] = {"tier": tier, "season": season, "side": side, "minDeviation": min_deviation}
    asked |= {} if time_zone == "UTC" else {"timeZone": time_zone}
    asked |= {} if detector is None else {"detector": detector}
    asked |= {} if budget is None else {"falseAlarmsPerWeek": budget}
    if file is not None:
        data = rates(read(file)) if counter else read(file)
    else:
        data = _asked(str(query), prometheus, (since, to, step))
    watch, made = _judged(data, asked)
    for note in made.notes:
        sys.stderr.write(f"note: {note}\n")
    if chart is not None:
        _draw(chart, data, watch, made)
    SESSION.show(_answer(data, watch, made), "\n".join(_lines(data, made)))
    if made.found and not exit_zero:
        sys.exit(_ANSWER_NO)


def _asked(query: str, url: str | None, span: tuple[str, str, str]) -> Table:
    """Return the series that a Prometheus remembers of a query."""
    from aiops.app.commands.record import duration, instant, metrics_source
    from aiops.app.detecting.table import MOST_SERIES, Table
    from aiops.core.policies import WatchQuery
    from aiops.policy import promql

    try:
        promql.checked(query)
    except ValueError as err:
        raise InvalidInput(f"--query: {err}") from err
    since, to, step = span
    now = time.time()
    start, end, step_s = instant("--from", since, now), instant("--to", to, now), duration("--step", step)
    if not start < end:
        raise InvalidInput(f"--from {since} is not before --to {to}")
    source = metrics_source(url)
    try:
        asked = WatchQuery(policy="detect", expr=query, identity=(), max_series=MOST_SERIES)
        matrix = source.range(asked, start, end, step_s)
    finally:
        source.close()
    if not len(matrix.values):
        raise InvalidContent(f"{query}: no series between {when(start)} and {when(end)}")
    labels = tuple(dict(one) for one in matrix.index.labels)
    return Table(name=query, times=matrix.times, values=matrix.values, columns=labels)


def _judged(data: Table, asked: dict[str, Any]) -> tuple[PolicySet, Detected]:
    from rich.progress import Progress

    from aiops.app.detecting.run import detected, policies, usual_step_s

    watch = policies(asked, usual_step_s(data.times))
    screen = console(errors=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("detecting", total=len(data.times))

        def done(column: int) -> None:
            if column >= 0:
                bar.update(task, completed=column + 1)

        return watch, detected(data, watch, done)


def _draw(path: Path, data: Table, watch: PolicySet, made: Detected) -> None:
    """Write a chart of the series with findings, the worst first, or of the first series."""
    from aiops.app.detecting.page import page
    from aiops.app.detecting.plot import plot
    from aiops.app.detecting.png import png
    from aiops.app.detecting.run import MOST_CHARTED, curves, index_of

    worst = sorted(made.found, key=lambda one: -one.worst.score)
    index = index_of(data)
    chosen = list(dict.fromkeys([*(one.worst.series for one in worst), *index.keys]))[:MOST_CHARTED]
    shown = curves(data, watch, chosen)
    names = {key: _named(labels) for key, labels in zip(index.keys, index.labels, strict=True)}
    plots = [plot(names[key], shown, key, made.found) for key in chosen]
    try:
        if path.suffix == ".png":
            path.write_bytes(png(plots))
        else:
            rows = [_COLUMNS, *map(_row, made.found)]
            path.write_text(page(data.name, _head(data, made), rows, plots), encoding="utf-8")
    except OSError as err:
        raise InvalidInput(f"--chart {path}: cannot be written: {err.strerror or err}") from err


def _answer(data: Table, watch: PolicySet, made: Detected) -> dict[str, Any]:
    """Return everything that is said, for programs; null is unknown."""
    (policy,) = watch.watches
    return {
        "source": data.name,
        "detector": policy.detector,
        "false_alarms_per_week": policy.false_alarms_per_week,
        "series": len(data.columns),
        "samples": made.samples,
        "scored": made.scored,
        "step_s": made.step_s,
        "from": float(data.times[0]),
        "to": float(data.times[-1]),
        "scored_from": made.scored_from,
        "notes": list(made.notes),
        "findings": [_plain(one) for one in made.found],
        "incidents": [
            {
                "since": one.since,
                "until": one.seen_at,
                "state": one.state.value,
                "series": len(one.series),
                "peak": _number(one.peak_score),
                "suspects": [suspect.name for suspect in one.suspects],
            }
            for one in made.incidents
        ],
    }


def _plain(one: Found) -> dict[str, Any]:
    worst = one.worst
    return {
        "series": _named(worst.labels),
        "labels": dict(worst.labels),
        "start": one.start,
        "end": one.end,
        "open": one.still,
        "kind": one.kind.value,
        "peak_at": worst.at,
        "alarms": list(one.alarms),
        **{name: _number(getattr(worst, name)) for name in ("score", "p_value", "value", "expected", "lower", "upper")},
        "reason": worst.reason,
    }


def _lines(data: Table, made: Detected) -> list[str]:
    rows = table(_COLUMNS, [_row(one) for one in made.found]) if made.found else "nothing is out of the ordinary"
    several = [one for one in made.incidents if len(one.series) > 1]
    together = [
        f"{len(one.series)} series together from {when(one.since)} to {when(one.seen_at)}, suspected first: "
        + ", ".join(printable(suspect.name) for suspect in one.suspects[:_SUSPECTS])
        for one in several
    ]
    return [*_head(data, made), "", rows, *([""] if together else []), *together]


def _head(data: Table, made: Detected) -> list[str]:
    count = len(data.columns)
    samples = f"{made.samples} sample{'' if made.samples == 1 else 's'}"
    what = f"{count} series, {samples}" if count > 1 else samples
    span = f"{when(float(data.times[0]))} to {when(float(data.times[-1]))}, {made.step_s:g} s apart"
    if made.scored_from is None:
        scored = "nothing could be judged: a detector learns from an hour and sixty samples first"
    else:
        scored = f"judged from {when(made.scored_from)} on: {made.scored} samples; before that was learnt from"
    return [f"{data.name}: {what}, {span}", scored]


def _row(one: Found) -> tuple[str, ...]:
    worst = one.worst
    return (
        when(one.start),
        "still" if one.still else when(one.end),
        one.kind.value,
        f"{worst.score:.3g}",
        f"{worst.value:.4g}",
        f"{worst.expected:.4g}",
        str(len(one.alarms)),
        _named(worst.labels),
    )


def _named(labels: Any) -> str:
    from aiops.core.detect.wording import named

    return printable(named(labels))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
