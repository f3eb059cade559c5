"""The score of the Numenta Anomaly Benchmark: early detections in labelled windows against false ones.

Written after S. Ahmad, A. Lavin, S. Purdy, Z. Agha, "Unsupervised real-time anomaly detection for streaming data",
Neurocomputing 262, 2017: the best detection in a window of W rows counts sigma(-k / W) / sigma(-1), k rows before its
end; a missed window costs A_FN; a detection outside counts A_FP sigma((rows since the last window) / (W - 1)); the
first 15 % of a file (750 rows at most) are not scored. 0 is to detect nothing, 100 all of it and at once.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from aiops.core.model import F64, Bools

Profile = tuple[float, float, float]
PROFILES: Mapping[str, Profile] = {
    "standard": (1.0, 1.0, 0.11),
    "low FP": (1.0, 1.0, 0.22),
    "low FN": (1.0, 2.0, 0.11),
}
"""What a window that was found, one that was missed, and a false alarm count."""

CORPORA = ("nab", "mcmd")
"""Folders of labelled series, beside each other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """One series. times, values: float64[n]. window: the window that a row is in, -1 for none. worth: of a detection.

    scored: rows beyond the probation. windows: how many windows there are.
    """

    name: str
    times: F64
    values: F64
    window: np.ndarray
    worth: F64
    scored: Bools
    windows: int


def read(folder: Path) -> tuple[Labelled, ...]:
    """Return the series of a corpus: `data/CATEGORY/NAME.csv`, and their windows in `combined_windows.json`."""
    windows = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))
    return tuple(_series(folder / "data" / name, name, windows[name]) for name in sorted(windows))


def gains(series: Labelled, scores: F64, threshold: float, profile: Profile) -> float:
    """Return what the detections of one series are worth more than none: rows whose score reaches the threshold."""
    found, missed, false = profile
    hit = (scores >= threshold) & series.scored
    total = false * float(series.worth[hit & (series.window < 0)].sum())
    for number in range(series.windows):
        within = series.worth[hit & (series.window == number)]
        total += max(found * float(within.max(initial=-np.inf)), -missed) + missed
    return total


def thresholds(scores: Sequence[F64], most: int = 500) -> F64:
    """Return thresholds that are worth trying, high to low: ranks of all scores, more of them at the upper end."""
    every = np.unique(np.concatenate([one[one > 0] for one in scores]))[::-1]
    if len(every) <= most:
        return every
    places = np.unique(np.round(np.geomspace(1, len(every), most)).astype(np.intp) - 1)
    return every[places]


def normalised(corpus: Sequence[Labelled], total: float, profile: Profile) -> float:
    """Return gains in per cent of what a perfect detector would have."""
    return 100.0 * total / ((profile[0] + profile[1]) * sum(one.windows for one in corpus))


def false_alarms(series: Labelled, scores: F64, threshold: float) -> tuple[int, float]:
    """Return detections outside of windows, and the weeks in which they came."""
    outside = series.scored & (series.window < 0)
    step_s = float(np.median(np.diff(series.times)))
    return int(((scores >= threshold) & outside).sum()), float(outside.sum()) * step_s / 604_800.0


def _series(path: Path, name: str, windows: Sequence[tuple[str, str]]) -> Labelled:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    times = np.array([_time(row[0]) for row in rows])
    values = np.array([float(row[1]) if row[1].strip() else np.nan for row in rows])
    count, window, worth = len(rows), np.full(len(rows), -1), np.full(len(rows), -1.0)
    spans = sorted(
        (int(np.flatnonzero(times == _time(a))[0]), int(np.flatnonzero(times == _time(b))[0])) for a, b in windows
    )
    for number, (first, last) in enumerate(spans):
        length = last - first + 1
        inside = np.arange(first, last + 1)
        window[inside] = number
        worth[inside] = _sigma(-(last - inside + 1.0) / length) / _sigma(np.array(-1.0))
        after = np.arange(last + 1, spans[number + 1][0] if number + 1 < len(spans) else count)
        far = (after - last) / max(length - 1, 1)
        worth[after] = np.where(far > 3.0, -1.0, _sigma(np.minimum(far, 3.0)))
    probation = int(min(0.15 * count, 750))
    scored = np.arange(count) >= probation
    return Labelled(
        name=name, times=times, values=values, window=window, worth=worth, scored=scored, windows=len(spans)
    )


def _time(text: str) -> float:
    return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp()


def _sigma(y: F64) -> F64:
    return np.asarray(2.0 / (1.0 + np.exp(5.0 * y)) - 1.0)
