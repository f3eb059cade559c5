"""Forecasts of real load an hour ahead: ours, seasonal naive, statsmodels, river; statsforecast when it is installed.

Steps of five minutes, or a trace's own when they are longer; rolling origins over the last 40 %; MASE and pinball loss
in units of the in-sample daily seasonal naive error. Rivals are fitted anew at each of their origins, which are fewer,
as they are slow; ours is fitted once a day. Intervals of point models are quantiles of their past errors.
The second table is coverage over at least a thousand origins. The third is what a fleet costs, beside a plain ridge on
the same machine in the same minute.

Run `python benchmarks/bench_forecast.py [--data DIR] [--origins N] [--only ours]`; the traces are not part of the
repository: AIOPS_TRACES or --data says where they are.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aiops.core.forecast.fitting import fit
from aiops.core.forecast.fleet import Fleet
from aiops.core.forecast.grid import DAY_S, Grid
from aiops.core.forecast.members import Limits, signal_members
from aiops.core.model import F64
from benchmarks.external_forecaster import Forecaster
from simulators.load import read_trace

STEP_S = 300.0
AHEAD_S = 3600.0
START = 0.6
LEVELS = (0.1, 0.5, 0.9)
HEADLINE = (
    "mongo_app01_query_rate",
    "azure_vm_cpu_2019_5min",
    "alibaba_cluster_cpu_2018_30s",
    "jumpstarter_d2_service0_m11_5min",
    "donut_server_eth1out_6_5min",
)
OTHERS = (
    "mongo_app03_query_rate",
    "ingress_04_rate",
    "worldcup98_jun98",
    "nab_elb_requests",
    "nab_nyc_taxi",
    "wikipedia_limbo_hourly",
)
SLOW_ORIGINS = 24
COVERED_ORIGINS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """values: float64[t], NaN is a gap; the test begins at `start`."""

    name: str
    values: F64
    step_s: float
    start: int

    @property
    def season(self) -> int:
        """Return the steps of a day."""
        return round(DAY_S / self.step_s)

    @property
    def ahead(self) -> int:
        """Return the steps of an hour, one at least."""
        return max(1, round(AHEAD_S / self.step_s))

    @property
    def unit(self) -> float:
        """Return the in-sample error of the daily seasonal naive."""
        known = self.values[: self.start]
        return float(np.nanmean(np.abs(known[self.season :] - known[: -self.season])))


@dataclass(slots=True, kw_only=True)
class Score:
    """Sums over origins."""

    mase: float
    pinball: float
    inside: float
    below: float
    milliseconds: float
    origins: int


Foretell = Callable[[F64, int, int], F64]
"""(history, season, ahead) -> float64[3, ahead], the quantiles LEVELS."""


def load(folder: Path, name: str, start: float = START, step_s: float = STEP_S) -> Trace:
    times, values = read_trace(folder / f"{name}.csv")
    own = float(np.median(np.diff(times)))
    step = max(own, step_s) if step_s else own
    places = ((times - times[0]) // step).astype(np.intp)
    count = np.bincount(places)
    binned = np.where(count > 0, np.bincount(places, values) / np.maximum(count, 1), np.nan)
    return Trace(name=name, values=binned, step_s=step, start=int(len(binned) * start))


def ours(trace: Trace, origins: Iterable[int]) -> Score:
    """Score the shipped forecaster: fitted at the start and once a day, updated each step."""
    model, wanted, paths, spent, asked = Forecaster(), set(origins), {}, 0.0, 0.0
    began = time.perf_counter()
    model.fit(trace.values[: trace.start], trace.step_s)
    spent += time.perf_counter() - began
    for column in range(trace.start, max(wanted) + 1):
        if column in wanted:
            began = time.perf_counter()
            path = model.predict(trace.ahead)
            asked += time.perf_counter() - began
            paths[column] = np.stack([path[level] for level in LEVELS])
        model.update(float(trace.values[column]))
    return scored(trace, paths, (spent + asked / len(paths)) * 1e3)


def refitted(foretell: Foretell, trace: Trace, origins: Iterable[int]) -> Score:
    """Score a model that is fitted anew at each origin."""
    paths, began = {}, time.perf_counter()
    for column in origins:
        known = trace.values[:column]
        there = np.flatnonzero(np.isfinite(known))
        whole = np.interp(np.arange(column), there, known[there])
        paths[column] = foretell(whole, trace.season, trace.ahead)
    return scored(trace, paths, (time.perf_counter() - began) / len(paths) * 1e3)


def scored(trace: Trace, paths: dict[int, F64], milliseconds: float) -> Score:
    made = np.stack(list(paths.values()))
    actual = np.stack([trace.values[column : column + trace.ahead] for column in paths])
    over = actual[:, None] - made
    levels = np.array(LEVELS)[None, :, None]
    lost = np.maximum(levels * over, (levels - 1.0) * over)
    known = np.isfinite(actual)
    return Score(
        mase=float(np.nanmean(np.abs(over[:, 1])) / trace.unit),
        pinball=float(np.nanmean(lost) / trace.unit),
        inside=float(((actual >= made[:, 0]) & (actual <= made[:, 2]))[known].mean()),
        below=float((actual <= made[:, 2])[known].mean()),
        milliseconds=milliseconds,
        origins=len(paths),
    )


def with_errors(point: F64, errors: F64) -> F64:
    """Return quantile paths of a point path by quantiles of past errors [origins, ahead]."""
    return point + np.quantile(errors, LEVELS, axis=0)


def seasonal_naive(known: F64, season: int, ahead: int) -> F64:
    past = known[season:] - known[:-season]
    return with_errors(
        known[-season : len(known) - season + ahead], np.repeat(past[-7 * season :, None], ahead, axis=1)
    )


def last_value(known: F64, season: int, ahead: int) -> F64:
    rows = np.arange(max(0, len(known) - 7 * season), len(known) - ahead)
    errors = known[rows[:, None] + np.arange(1, ahead + 1)] - known[rows][:, None]
    return with_errors(np.full(ahead, known[-1]), errors)


def holt_winters(known: F64, season: int, ahead: int) -> F64:
    """Foretell by statsmodels' additive ETS with the daily season; intervals are its errors, grown by the level."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model = ExponentialSmoothing(known[-7 * season :], trend=None, seasonal="add", seasonal_periods=season)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it often does not converge; what it foretells is judged all the same
        result = model.fit(optimized=True, use_brute=False)
    level = float(result.params["smoothing_level"])
    grown = np.sqrt(1.0 + level**2 * np.arange(ahead))
    return with_errors(result.forecast(ahead), result.resid[-2 * season :, None] * grown)


def river_holt_winters(known: F64, season: int, ahead: int) -> F64:
    """Foretell by river's HoltWinters, additive, with 0.3, 0.01 and 0.3.

    Its season begins as a ratio to the level, about one: in large units that is next to the nought it should be.
    """
    from river.time_series import HoltWinters

    unit = float(np.abs(known).mean()) / 1e6
    model = HoltWinters(alpha=0.3, beta=0.01, gamma=0.3, seasonality=season, multiplicative=False)
    recent, errors = known[-7 * season :] / unit, []
    for place, value in enumerate(recent):
        if place > 3 * season and place % 24 == 0 and place + ahead <= len(recent):
            errors.append(recent[place : place + ahead] - np.array(model.forecast(horizon=ahead)))
        model.learn_one(float(value))
    point = np.array(model.forecast(horizon=ahead))
    return with_errors(point, np.array(errors) if errors else np.zeros((1, ahead))) * unit


def plain_ridge(known: F64, season: int, ahead: int) -> F64:
    """Foretell by one ridge regression on 24 lags and yesterday's window: a measure of what a machine is worth, too."""
    lags, windows = 24, np.lib.stride_tricks.sliding_window_view
    rows = np.arange(season + lags, len(known) - ahead)
    lagged, yesterday = windows(known, lags)[rows - lags + 1], windows(known, ahead)[rows - season + 1]
    design = np.concatenate([np.ones((len(rows), 1)), lagged, yesterday], axis=1)
    targets = windows(known, ahead)[rows + 1]
    weights = np.linalg.solve(design.T @ design + np.eye(design.shape[1]), design.T @ targets)
    latest = np.concatenate([[1.0], known[-lags:], known[-season : len(known) - season + ahead]])
    return with_errors(latest @ weights, targets - design @ weights)


def mstl_ets(known: F64, season: int, ahead: int) -> F64:
    """Foretell by statsforecast's MSTL with AutoETS; for the benchmark only."""
    from statsforecast.models import MSTL, AutoETS

    model = MSTL(season_length=season, trend_forecaster=AutoETS(model="ZZN"))
    told = model.forecast(y=known, h=ahead, level=[80])
    return np.stack([told["lo-80"], told["mean"], told["hi-80"]])


RIVALS: dict[str, Foretell] = {
    "last value": last_value,
    "seasonal naive": seasonal_naive,
    "statsmodels Holt-Winters": holt_winters,
    "river HoltWinters": river_holt_winters,
    "plain ridge": plain_ridge,
}


def rivals() -> dict[str, Foretell]:
    try:
        import statsforecast  # noqa: F401
    except ImportError:
        return RIVALS
    return {**RIVALS, "statsforecast MSTL + AutoETS": mstl_ets}


def spread_over(trace: Trace, count: int) -> list[int]:
    last = len(trace.values) - trace.ahead
    return sorted(set(np.linspace(trace.start, last, count).astype(int).tolist()))


def accuracy(folder: Path, names: Sequence[str], *, only_ours: bool, count: int) -> None:
    traces = [load(folder, name) for name in names]
    print(f"{'method':30s}" + "".join(f"{trace.name[:15]:>17s}" for trace in traces) + "   geometric mean")
    every: list[tuple[str, Callable[[Trace], Score]]] = [
        ("ours, every origin", lambda trace: ours(trace, range(trace.start, len(trace.values) - trace.ahead))),
        (f"ours, {count} origins", lambda trace: ours(trace, spread_over(trace, count))),
    ]
    if not only_ours:
        for name, foretell in rivals().items():
            every.append((name, lambda trace, one=foretell: refitted(one, trace, spread_over(trace, count))))
    for name, judge in every:
        scores = [judge(trace) for trace in traces]
        cells = "".join(f"  {s.mase:6.3f} {s.pinball:.3f} {s.inside:.0%}" for s in scores)
        mase = float(np.exp(np.mean([np.log(s.mase) for s in scores])))
        pinball = float(np.exp(np.mean([np.log(s.pinball) for s in scores])))
        slow = float(np.mean([s.milliseconds for s in scores]))
        print(f"{name:30s}{cells}   {mase:.3f} {pinball:.4f}  {slow:7.1f} ms", flush=True)


def coverage(folder: Path) -> None:
    head = f"{'step':>6s} {'origins':>8s} {'80 % interval':>14s} {'90 % quantile':>14s} {'MASE':>6s} {'pinball':>8s}"
    print(f"\n{'coverage':26s} {head}")
    for name in (*HEADLINE, *OTHERS):
        trace = load(folder, name)
        if len(trace.values) - trace.start - trace.ahead < COVERED_ORIGINS:
            least = 1.0 - (COVERED_ORIGINS + trace.ahead) / len(trace.values)
            trace = load(folder, name, start=min(START, max(least, 0.2)))
        score = ours(trace, range(trace.start, len(trace.values) - trace.ahead))
        print(
            f"{name[:26]:26s} {trace.step_s:5.0f}s {score.origins:8d} {score.inside:14.3f} {score.below:14.3f}"
            f" {score.mase:6.3f} {score.pinball:8.4f}",
            flush=True,
        )


def cost(series: int = 128, days: int = 14, rounds: int = 5) -> None:
    chance = np.random.default_rng(1)
    grid = Grid.of(STEP_S)
    steps = np.arange(days * grid.season)
    values = 500.0 + 300.0 * np.sin(2 * np.pi * steps / grid.season) + chance.normal(0, 20, (series, len(steps)))
    fleet = Fleet(grid, series, history_steps=len(steps))
    fleet.load(values, len(steps))
    tasks: tuple[Callable[[], object], ...] = (
        lambda: fleet.adopt(fit(fleet.history())),
        lambda: fleet.update(values[:, 0]),
        lambda: fleet.predict(grid.ahead),
        lambda: [plain_ridge(row, grid.season, grid.ahead // 24) for row in values],
    )
    spent = np.array([[processor_ms(task) / series for task in tasks] for _ in range(rounds + 1)])[1:]
    fitted, updated, predicted, plain = np.median(spent, axis=0)
    ratio = np.median((spent[:, 0] + spent[:, 2]) / spent[:, 3])
    print(f"\na fleet of {series} series, {days} days of five minutes, milliseconds of processor time a series:")
    print(f"  fit with backtest {fitted:.2f}, update {updated:.3f}, predict 24 h {predicted:.3f}")
    print(f"  a plain ridge on 37 features, an hour ahead: {plain:.2f}; fit and predict are {ratio:.2f} of it")
    print(
        f"  10,000 series: refreshed in {10 * (updated + predicted):.1f} s, fitted in {10 * fitted:.0f} s of one core"
    )


def processor_ms(task: Callable[[], object]) -> float:
    began = time.process_time()
    task()
    return (time.process_time() - began) * 1e3


def since(began: float) -> Callable[[], float]:
    return lambda: time.perf_counter() - began


def signal_tier(folder: Path) -> None:
    """Print what the members of other libraries add, fitted once."""
    print("\nwith the members of statsmodels and river (signal tier), one fit:")
    for name in HEADLINE[:3]:
        trace = load(folder, name)
        grid = Grid.of(trace.step_s)
        limits = Limits(within_s=120.0, elapsed_s=since(time.perf_counter()))
        for title, members in (("default", None), ("signal tier", signal_members(limits))):
            fleet = Fleet(grid, 1, history_steps=14 * grid.season, **({} if members is None else {"members": members}))
            fleet.load(trace.values[None, : trace.start], trace.start)
            began = time.perf_counter()
            fleet.adopt(fit(fleet.history(), fleet.members))
            took = time.perf_counter() - began
            paths = {}
            for column in range(trace.start, min(trace.start + 2 * grid.season, len(trace.values) - trace.ahead)):
                paths[column] = fleet.predict(trace.ahead)[0][[1, 2, 3]]
                fleet.update(trace.values[column : column + 1])
            score = scored(trace, paths, took * 1e3)
            left_out = "" if fleet.fitted is None else ", ".join(fleet.fitted.left_out)
            told = f"MASE {score.mase:.3f} pinball {score.pinball:.4f} fit {took * 1e3:6.0f} ms"
            print(f"  {name[:24]:24s} {title:12s} {told} {left_out and 'without ' + left_out}", flush=True)


def main() -> int:
    told = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    told.add_argument("--data", type=Path, default=os.environ.get("AIOPS_TRACES", "../shared/data/load"))
    told.add_argument("--origins", type=int, default=SLOW_ORIGINS)
    told.add_argument("--only", choices=("ours", "accuracy", "coverage", "cost"), default=None)
    asked = told.parse_args()
    folder = Path(asked.data)
    warnings.simplefilter("ignore")
    if asked.only != "cost" and not folder.is_dir():
        print(f"no traces in {folder}: only the cost is measured (--data DIR or AIOPS_TRACES)")
        asked.only = "cost"
    if asked.only in (None, "ours", "accuracy"):
        print("MASE, pinball, 80 % coverage; an hour ahead\n")
        accuracy(folder, HEADLINE, only_ours=asked.only == "ours", count=asked.origins)
    if asked.only in (None, "coverage"):
        coverage(folder)
    if asked.only in (None, "accuracy"):
        signal_tier(folder)
    if asked.only in (None, "cost"):
        cost()
    return 0


if __name__ == "__main__":
    sys.exit(main())
