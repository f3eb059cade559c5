"""Rehearsing on recorded history: `aiops backtest POLICY... --data FILE.parquet`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops.app.commands.record import asked, span
from aiops.app.output import SESSION, console, table
from aiops.app.spreading import parted, spreading
from aiops.errors import InvalidContent, InvalidInput, NotFound

if TYPE_CHECKING:
    from aiops.core.policies import PolicySet, ScalingPolicy
    from simulators.backtest.recording import Recording
    from simulators.backtest.run import Order, Result
    from simulators.backtest.work import Job

_STRIDE = 500


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)


def backtest(
    policies: Annotated[list[Path], typer.Argument(help="Policy files and folders.")],
    data: Annotated[Path | None, typer.Option(help="A Parquet file, as `aiops record` makes it.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="Ask the Prometheus at this URL in place of a file.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="A time (ISO 8601), or so long ago: 14d.")] = None,
    to: Annotated[str | None, typer.Option(help="A time, so long ago, or now.")] = None,
    step: Annotated[str, typer.Option(help="How fine Prometheus is asked.")] = "15s",
    warmup: Annotated[
        str | None, typer.Option(help="What is learnt from first and never scored; the first half, 14d at most.")
    ] = None,
    policy: Annotated[list[str] | None, typer.Option(help="Only the policies of this name.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Of a policy with a selector: NAME, or NAME:LABEL=VALUE,..."),
    ] = None,
    grid: Annotated[
        list[str] | None, typer.Option(help="objective.perReplica=40,50,60: try each; several are multiplied.")
    ] = None,
    baselines: Annotated[
        str, typer.Option(help="Comma between, `hpa:0.6` sets the knob; optimum; or none.")
    ] = "hpa,keda,static",
    replica_usd_per_hour: Annotated[float | None, typer.Option(min=0.0, help="What a replica costs.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes for several policies or a grid.")] = 1,
    engine: Annotated[str | None, typer.Option(help="local, or ray: on the Ray cluster of the settings.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="HOST:PORT, ray://HOST:PORT, auto or local.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
) -> None:
    """Replay recorded load under policies: what they would have done beside what ran, an HPA, KEDA, a fixed fleet."""
    from aiops.policy import load
    from aiops.policy.members import of_targets
    from simulators.backtest import run as runs
    from simulators.backtest.report import write
    from simulators.backtest.work import all_done

    order = runs.Order(
        baselines=runs.baselines(baselines),
        warmup_s=None if warmup is None else _seconds(warmup),
        replica_usd_per_hour=replica_usd_per_hour,
        curves=report is not None,
    )
    loaded = of_targets(load(policies, rivals=True), target or ())
    chosen = _chosen(loaded, policy)
    recording = _recording(loaded, (data, prometheus), (since, to, step))
    work = _jobs(loaded, chosen, (recording, order), grid or ())
    spread = spreading(engine, ray_address, min(jobs, len(work)))
    with _bar(work, spread is None) as progress:
        made = all_done(work, spread, progress)
    results, lost = parted(made, [one.variant.label or "as it is" for one in work])
    written = None if report is None else write(report, results)
    SESSION.show(
        {
            "results": [one.as_json() for one in results],
            "report": None if written is None else str(written),
            "lost": lost,
        },
        "\n".join([_text(results, written), *(f"LOST: {label}: {why}" for label, why in lost.items())]),
    )
    if lost:
        raise typer.Exit(1)


def _seconds(text: str) -> float:
    from aiops.core.decide.quantities import duration_s

    try:
        return duration_s(text)
    except ValueError as err:
        raise InvalidInput(f"--warmup {text}: {err}") from err


def _chosen(loaded: PolicySet, names: Sequence[str] | None) -> tuple[ScalingPolicy, ...]:
    chosen = [one for one in loaded.scaling if not names or one.key in names or one.key.rpartition("/")[2] in names]
    if not loaded.scaling:
        raise NotFound("there is no ScalingPolicy in these files; nothing else can be backtested")
    if not chosen:
        there = ", ".join(one.key.rpartition("/")[2] for one in loaded.scaling)
        raise NotFound(f"--policy {', '.join(names or ())}: there is no such policy; there are {there}")
    return tuple(chosen)


def _recording(
    loaded: PolicySet, where: tuple[Path | None, str | None], times: tuple[str | None, str | None, str]
) -> Recording:
    from simulators.backtest.recording import read

    data, prometheus = where
    since, to, step = times
    if data is not None and prometheus is not None:
        raise InvalidInput("give either --data or --prometheus")
    if data is None:
        return asked(loaded, prometheus, span(since or "14d", to or "now", step))
    recording = read(data)
    if since is None and to is None:
        return recording
    wanted = span(since or "1970-01-02", to or "now", step)
    part = recording.between(wanted.start, wanted.end)
    if len(part.times) < 2:
        raise InvalidContent(f"{data}: nothing was recorded between --from and --to")
    return part


def _jobs(
    loaded: PolicySet, chosen: Sequence[ScalingPolicy], given: tuple[Recording, Order], grid: Sequence[str]
) -> list[Job]:
    from simulators.backtest.grid import axes, variants
    from simulators.backtest.work import Job

    tried = axes(grid)
    watches = tuple(watch.document for watch in loaded.watches)
    return [
        Job(variant=variant, watches=watches, recording=given[0], order=given[1])
        for one in chosen
        for variant in variants(one.document, tried)
    ]


@contextmanager
def _bar(work: Sequence[Job], alone: bool) -> Iterator[Callable[[], None]]:
    """Yield what is called after each step of each contender, or after each job where others work."""
    from rich.progress import Progress

    order = work[0].order
    steps = len(work[0].recording.times) * (2 + len(order.baselines)) if alone else 1
    stride = _STRIDE if alone else 1
    screen = console(errors=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("backtest", total=steps * len(work))
        waiting = 0

        def progress() -> None:
            nonlocal waiting
            waiting += 1
            if waiting == stride:
                bar.advance(task, waiting)
                waiting = 0

        yield progress


def _text(results: Sequence[Result], written: Path | None) -> str:
    from simulators.backtest import told

    lines: list[str] = []
    for one in results:
        lines += [told.head(one), *told.basis(one), *(f"WARNING: {warning}" for warning in one.warnings), ""]
        lines += [table(told.COLUMNS, told.rows(one)), ""]
        lines += ["the worst moments, and what was decided then:", *(f"  {at}  {s}" for at, s in told.worst(one)), ""]
    if len(results) > 1:
        lines += ["side by side:", table(*told.compared(results)), ""]
    lines.append(told.LEGEND)
    if written is not None:
        lines.append(f"report: {written}")
    return "\n".join(lines)
