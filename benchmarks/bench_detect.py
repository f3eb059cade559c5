"""Anomaly detection on labelled series: both tiers as shipped, beside river's detectors and a windowed Gaussian.

Corpora: the development halves of the Numenta Anomaly Benchmark and of the Microsoft Cloud Monitoring Dataset, under
one scoring rule (benchmarks/nab_score.py). Every detector sees each sample once, in order, and rests eight hours (eight
samples at least) after an alarm. `best`: at the threshold that suits the corpus best, as the benchmark does it; `as
shipped`: at the budget of false alarms that a policy has when it says none. The second table is how much of it is
chance: the threshold chosen on half of the files of both corpora, and scored on the other half. The third is the
calibration on series without anomalies.

Run `python benchmarks/bench_detect.py [--data DIR] [--only signal|fleet|rivals|calibration]`; the corpora are not part
of the repository: AIOPS_ANOMALIES or --data says where they are.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from aiops.core.detect import Tier
from aiops.core.detect.rest import REST_S, REST_SAMPLES
from aiops.core.model import F64
from benchmarks.calm_series import calibration
from benchmarks.external_detector import Detector
from benchmarks.nab_score import CORPORA, PROFILES, Labelled, Profile, false_alarms, gains, normalised, read, thresholds
from benchmarks.rival_detectors import RiverGaussian, WindowedGaussian, river_svm, river_trees

SHIPPED = 0.5
SPLITS = 200


class Scoring(Protocol):
    """What every detector is here."""

    def update(self, timestamp: float, value: float) -> float:
        """Return how anomalous a sample is, in [0, 1], and learn it."""
        ...


OURS: Mapping[str, Callable[[], Scoring]] = {
    "signal tier (novelty)": lambda: Detector("signal"),
    "fleet tier (familiar)": lambda: Detector("fleet"),
}
RIVALS: Mapping[str, Callable[[], Scoring]] = {
    "river GaussianScorer": RiverGaussian,
    "river HalfSpaceTrees": river_trees,
    "river OneClassSVM": river_svm,
    "windowed Gaussian": WindowedGaussian,
}


# -- the first and the second table ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A detector's scores on a corpus: by series, and its gains as float64[thresholds, series] by profile."""

    corpus: Sequence[Labelled]
    scores: Sequence[F64]
    tried: F64
    won: Mapping[str, F64]
    milliseconds: float


Kept = Mapping[str, Mapping[str, Judged]]


def led_through(make: Callable[[], Scoring], series: Labelled) -> F64:
    model = make()
    return np.array([model.update(t, v) for t, v in zip(series.times.tolist(), series.values.tolist(), strict=True)])


def rested(series: Labelled, scores: F64, threshold: float) -> F64:
    """Return the scores that a rest after each alarm at a threshold leaves: for detectors that know none."""
    step_s = float(np.median(np.diff(series.times)))
    rest_s, until, out = max(REST_S, REST_SAMPLES * step_s), -math.inf, np.zeros(len(scores))
    for row in np.flatnonzero(scores >= threshold).tolist():
        if series.times[row] > until:
            until, out[row] = series.times[row] + rest_s, scores[row]
    return out


def judge(make: Callable[[], Scoring], corpus: Sequence[Labelled], *, rests: bool) -> Judged:
    began = time.process_time()
    scores = [led_through(make, series) for series in corpus]
    spent = time.process_time() - began
    tried = thresholds(scores)
    won = {name: np.zeros((len(tried), len(corpus))) for name in PROFILES}
    for column, (series, mine) in enumerate(zip(corpus, scores, strict=True)):
        for place, threshold in enumerate(tried.tolist()):
            left = mine if rests else rested(series, mine, threshold)
            for name, profile in PROFILES.items():
                won[name][place, column] = gains(series, left, threshold, profile)
    samples = sum(len(series.times) for series in corpus)
    return Judged(corpus=corpus, scores=scores, tried=tried, won=won, milliseconds=spent / samples * 1e3)


def best(judged: Judged, name: str) -> tuple[float, float]:
    """Return the score at the threshold that suits a corpus best, and that threshold."""
    totals = judged.won[name].sum(axis=1)
    place = int(totals.argmax())
    return normalised(judged.corpus, float(totals[place]), PROFILES[name]), float(judged.tried[place])


def at(judged: Judged, threshold: float, profile: Profile) -> float:
    total = sum(gains(a, b, threshold, profile) for a, b in zip(judged.corpus, judged.scores, strict=True))
    return normalised(judged.corpus, total, profile)


def quality(corpora: Mapping[str, Sequence[Labelled]], only: str | None) -> Kept:
    """Print the first table; return what is ours, by detector and corpus."""
    kept: dict[str, dict[str, Judged]] = {}
    chosen = RIVALS if only == "rivals" else {**OURS, **RIVALS}
    made = {name: make for name, make in chosen.items() if only in (None, "rivals") or name.startswith(only)}
    head = f"{'best':>6s} {'low FP':>7s} {'low FN':>7s} {'threshold':>10s} {'as shipped':>11s} {'found':>8s}"
    for title, corpus in corpora.items():
        print(f"\n{title + ', ' + str(len(corpus)) + ' series':30s} {head} {'false a week':>13s} {'ms':>7s}")
        for name, make in made.items():
            judged = judge(make, corpus, rests=name in OURS)
            score, threshold = best(judged, "standard")
            cells = f"{score:6.1f} {best(judged, 'low FP')[0]:7.1f} {best(judged, 'low FN')[0]:7.1f} {threshold:10.3f}"
            print(
                f"{name:30s} {cells} {shipped(judged) if name in OURS else '':>34s} {judged.milliseconds:7.3f}",
                flush=True,
            )
            if name in OURS:
                kept.setdefault(name, {})[title] = judged
    return kept


def shipped(judged: Judged) -> str:
    """Return the score at the shipped budget, windows found, and false alarms by series and week."""
    every = list(zip(judged.corpus, judged.scores, strict=True))
    false = [false_alarms(series, scores, SHIPPED) for series, scores in every]
    rate = sum(count for count, _ in false) / sum(weeks for _, weeks in false)
    found = sum(len(np.unique(a.window[(b >= SHIPPED) & a.scored & (a.window >= 0)])) for a, b in every)
    windows = sum(series.windows for series in judged.corpus)
    return f"{at(judged, SHIPPED, PROFILES['standard']):11.1f} {found:>4d}/{windows:<3d} {rate:13.2f}"


def halves(kept: Kept) -> None:
    """Print how the score on files that the threshold was not chosen on spreads."""
    chance = np.random.default_rng(7)
    print(f"\nthreshold chosen on half of the files of both corpora, scored on the other half; {SPLITS} splits")
    for name, corpora in kept.items():
        parts = list(corpora.values())
        tried = np.unique(np.concatenate([one.tried for one in parts]))
        won = [_by_threshold(one, tried) for one in parts]
        windows = [np.array([series.windows for series in one.corpus]) for one in parts]
        out: list[list[float]] = [[] for _ in parts]
        for _ in range(SPLITS):
            chosen = [chance.permutation(len(one.corpus)) < len(one.corpus) // 2 for one in parts]
            mean = sum(
                w[:, half].sum(axis=1) / (2 * n[half].sum()) for w, n, half in zip(won, windows, chosen, strict=True)
            )
            place = int(np.asarray(mean).argmax())
            for told, w, n, half in zip(out, won, windows, chosen, strict=True):
                told.append(100.0 * float(w[place, ~half].sum()) / (2 * max(int(n[~half].sum()), 1)))
        told_all = ", ".join(f"{title} {_spread(one)}" for title, one in zip(corpora, out, strict=True))
        frozen = int(np.asarray(sum(w.sum(axis=1) / (2 * n.sum()) for w, n in zip(won, windows, strict=True))).argmax())
        both = ", ".join(
            f"{t} {50 * w[frozen].sum() / n.sum():.1f}" for t, w, n in zip(corpora, won, windows, strict=True)
        )
        print(f"  {name:30s} {told_all}; one threshold for both, {tried[frozen]:.3f}: {both}", flush=True)


def _spread(scores: Sequence[float]) -> str:
    low, high = np.quantile(scores, [0.05, 0.95])
    return f"{np.mean(scores):.1f} +- {np.std(scores):.1f} ({low:.1f} to {high:.1f})"


def _by_threshold(judged: Judged, tried: F64) -> F64:
    profile = PROFILES["standard"]
    every = zip(judged.corpus, judged.scores, strict=True)
    return np.array([[gains(a, b, x, profile) for x in tried.tolist()] for a, b in every]).T


def main() -> int:
    told = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    told.add_argument("--data", type=Path, default=os.environ.get("AIOPS_ANOMALIES", "../shared/data/anomaly"))
    told.add_argument("--only", choices=("signal", "fleet", "rivals", "calibration"), default=None)
    asked = told.parse_args()
    folder = Path(asked.data)
    if asked.only != "calibration":
        if not all((folder / name / "combined_windows.json").is_file() for name in CORPORA):
            print(f"no labelled series in {folder}: quality is not measured (--data DIR or AIOPS_ANOMALIES)")
        else:
            halves(quality({name: read(folder / name) for name in CORPORA}, asked.only))
    if asked.only in (None, "calibration"):
        calibration({Tier.SIGNAL: 36, Tier.FLEET: 180})
    return 0


if __name__ == "__main__":
    sys.exit(main())
