"""Recording history: `aiops record POLICY... --prometheus URL --from 14d -o FILE.parquet`."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops import __version__
from aiops.app.commands.look import when
from aiops.app.output import SESSION, console
from aiops.core.addresses import without_user
from aiops.errors import InvalidInput

if TYPE_CHECKING:
    from aiops.adapters.prometheus import PrometheusSource
    from aiops.app.settings import PrometheusSettings
    from aiops.core.policies import PolicySet
    from simulators.backtest.recorder import ReplicaMetrics, Span
    from simulators.backtest.recording import Recording

OLDEST_S = 400 * 86_400.0
STEP = 15.0
PATIENT_S = 60.0
"""For an answer over a long time, which somebody waits for."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(record)


def record(
    policies: Annotated[list[Path], typer.Argument(help="Policy files and folders.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The Parquet file to write.")],
    prometheus: Annotated[str | None, typer.Option(help="Its URL; that of --config when left out.")] = None,
    since: Annotated[str, typer.Option("--from", help="A time (ISO 8601), or so long ago: 14d.")] = "14d",
    to: Annotated[str, typer.Option(help="A time, so long ago, or now.")] = "now",
    step: Annotated[str, typer.Option(help="How fine.")] = "15s",
    replicas_metric: Annotated[
        str, typer.Option(help="Pods of the target; {kind} is `deployment`.")
    ] = "kube_{kind}_status_replicas",
    ready_metric: Annotated[str, typer.Option(help="Ready ones.")] = "kube_{kind}_status_replicas_ready",
    target: Annotated[
        list[str] | None,
        typer.Option(help="Of a policy with a selector: NAME, or NAME:LABEL=VALUE,..."),
    ] = None,
    spec_metric: Annotated[str, typer.Option(help="What was asked for.")] = "kube_{kind}_spec_replicas",
) -> None:
    """Write what Prometheus remembers of the policies' signals, and of the replicas that ran, to a Parquet file."""
    from aiops.policy import load
    from aiops.policy.members import of_targets
    from simulators.backtest.recorder import ReplicaMetrics, without_data
    from simulators.backtest.recording import write

    loaded = of_targets(load(policies), target or ())
    metrics = ReplicaMetrics(replicas=replicas_metric, ready=ready_metric, wanted=spec_metric)
    made = asked(loaded, prometheus, span(since, to, step), metrics)
    written = write(made, output)
    silent = without_data(made)
    answer = {
        "file": str(written),
        "start": float(made.times[0]),
        "end": float(made.times[-1]),
        "step_s": made.step_s,
        "steps": len(made.times),
        "columns": sorted(made.columns),
        "without_data": dict(silent),
    }
    lines = [
        f"{written}: {len(made.times)} steps of {made.step_s:g} s, {when(made.times[0])} to {when(made.times[-1])},"
        f" {len(made.columns)} columns",
        *(f"no data: {column}: {expr}" for column, expr in silent.items()),
    ]
    SESSION.show(answer, "\n".join(lines))


def span(since: str, to: str, step: str) -> Span:
    """Return the time that is meant, now being now; raise InvalidInput."""
    from simulators.backtest.recorder import Span

    now = time.time()
    fine = duration("--step", step)
    if not 1.0 <= fine <= 300.0:
        raise InvalidInput(f"--step {step}: is not between 1s and 5m")
    return Span(start=instant("--from", since, now), end=instant("--to", to, now), step_s=fine)


def asked(
    policies: PolicySet, prometheus: str | PrometheusSettings | None, times: Span, metrics: ReplicaMetrics
) -> Recording:
    """Return what the metrics source remembers; a progress bar on a terminal.

    prometheus: its URL, or how it is reached; that of the configuration when None.
    """
    from rich.progress import Progress

    from simulators.backtest.recorder import record as recorded

    screen = console(errors=True)
    source = metrics_source(prometheus)
    url = prometheus if prometheus is None or isinstance(prometheus, str) else prometheus.url
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("recording", total=None)
        try:
            made = recorded(
                source, policies, times, metrics, lambda done, whole: bar.update(task, completed=done, total=whole)
            )
        finally:
            source.close()
    about: dict[str, Any] = {
        **made.about,
        "policies": {one.key: one.digest for one in policies.every},
        "source": without_user(url)[0] if url else "the configuration's",
        "aiops": __version__,
        "recorded_at": time.time(),
    }
    return replace(made, about=about)


def metrics_source(prometheus: str | PrometheusSettings | None) -> PrometheusSource:
    """Return the Prometheus of a URL, of settings, or of the configuration; raise InvalidInput, ConfigurationError."""
    from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
    from aiops.app import surroundings

    if prometheus is None:
        return surroundings.prometheus(SESSION.settings())
    if not isinstance(prometheus, str):
        return PrometheusSource(replace(surroundings.prometheus_options(prometheus), timeout_s=PATIENT_S))
    if not prometheus.startswith(("http://", "https://")):
        raise InvalidInput(f"--prometheus {prometheus}: is no URL of http or https")
    return PrometheusSource(PrometheusOptions(url=prometheus, timeout_s=PATIENT_S))


def duration(option: str, text: str) -> float:
    """Return the seconds of `90s` or `14d`; raise InvalidInput that names the option."""
    from aiops.core.decide.quantities import duration_s

    try:
        return duration_s(text)
    except ValueError as err:
        raise InvalidInput(f"{option} {text}: {err}") from err


def instant(option: str, text: str, now: float) -> float:
    """Return an instant: `now`, ISO 8601 (UTC when no zone is given), seconds since the epoch, or so long ago."""
    if text == "now":
        return now
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if number > 1e8 and math.isfinite(number):
        return number
    ago = duration(option, text)
    if ago > OLDEST_S:
        raise InvalidInput(f"{option} {text}: more than {OLDEST_S / 86_400:g} days ago")
    return now - ago
