"""Whether the fleet tier looks ahead: scores of a prefix must be those of the whole, to the bit, of labelled series.

Series that are sampled at the same times are rows of one detector, as in a daemon: each whole, and without what comes
after 40 and 75 % of it. So both corpora are checked in one pass and not in three, and 59 series in 27 detectors. What a
row scores does not depend on its neighbours (tests/conformance/test_detectors.py).

Run `python -m benchmarks.causal [--data DIR] [--most SAMPLES]`; the corpora are not part of the repository.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aiops.core.detect import DETECTORS, TIERS, Tier
from aiops.core.detect.rules import usual
from aiops.core.model import F64
from benchmarks.nab_score import CORPORA, Labelled, read

CUTS = (0.4, 0.75)


def scores(times: F64, columns: Sequence[F64]) -> F64:
    """Return float64[samples, columns], the score of each before it is learnt."""
    defaults, rows = TIERS[Tier.FLEET], len(columns)
    rules = replace(usual(rows), false_alarms_per_week=np.full(rows, defaults.false_alarms_per_week))
    detector, values, learn = DETECTORS[defaults.detector](rules), np.stack(columns, axis=1), np.ones(rows, np.bool_)
    out = np.zeros(values.shape)
    for number, at in enumerate(times.tolist()):
        out[number] = detector.score(at, values[number]).score
        detector.learn(at, values[number], learn)
    return out


def looks_ahead(together: Sequence[Labelled]) -> int:
    """Return of how many series, all of the same times, scores change when later samples are taken away."""
    count = len(together[0].times)
    cuts = [count, *(int(share * count) for share in CUTS)]
    columns = [np.where(np.arange(count) < cut, one.values, np.nan) for one in together for cut in cuts]
    found = scores(together[0].times, columns)
    every = range(0, len(columns), len(cuts))
    same = (
        all(np.array_equal(found[:cut, row], found[:cut, row + k], equal_nan=True) for k, cut in enumerate(cuts))
        for row in every
    )
    return sum(not one for one in same)


def main() -> int:
    told = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    told.add_argument("--data", type=Path, default=os.environ.get("AIOPS_ANOMALIES", "../shared/data/anomaly"))
    told.add_argument("--most", type=int, default=None, help="leave out series of more samples")
    asked = told.parse_args()
    if not all((Path(asked.data) / corpus / "combined_windows.json").is_file() for corpus in CORPORA):
        told.error(f"no labelled series in {asked.data} (--data DIR or AIOPS_ANOMALIES)")
    alike: dict[bytes, list[Labelled]] = defaultdict(list)
    for corpus in CORPORA:
        for one in read(Path(asked.data) / corpus):
            if asked.most is None or len(one.times) <= asked.most:
                alike[one.times.tobytes()].append(one)
    ahead = sum(looks_ahead(together) for together in alike.values())
    series = sum(len(together) for together in alike.values())
    if not series:
        told.error(f"no series of {asked.most} samples or fewer")
    print(f"{series} series, cut at 40 and 75 %: scores of {ahead} change")
    return int(ahead > 0)


if __name__ == "__main__":
    sys.exit(main())
