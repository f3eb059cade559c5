"""What is looked for beside odd samples: false alarms of quiet series, and how soon changes are found.

The first table: three weeks of quiet series after one of learning, a whole budget of one false alarm a week for each
kind. The second: changes of trend and movement, at a quarter of that. The third: one of five signals follows another
load than the others, so that none is odd alone; beside it river's half-space trees at a threshold with as many false
alarms. Run `python -m benchmarks.bench_kinds [--rows N] [--no-rival]`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aiops.core.detect.changes import TESTS as LOOKS_FOR_CHANGES
from aiops.core.detect.changes import ChangeWatch
from aiops.core.detect.drifts import TESTS as LOOKS_FOR_DRIFT
from aiops.core.detect.drifts import DriftWatch
from aiops.core.detect.joint import JointWatch
from aiops.core.detect.kinds import NEIGHBOURS
from aiops.core.detect.rest import REST_S
from aiops.core.detect.rules import DAY_S, WEEK_S
from aiops.core.model import F64, Bools
from aiops.core.protocols import Scores
from benchmarks.calm_series import CALM, JUDGED_WEEKS, LEARNING_WEEKS, START, STEP_S, Noise, poisson_interval

GROUPS, SIGNALS, JOINT_STEP_S, PARTS_AFTER_DAYS, JOINT_DAYS = 10, 5, 120.0, 9, 10


class Called:
    """Alarms of rows, eight hours apart at least."""

    def __init__(self, rows: int) -> None:
        self.last, self.count = np.full(rows, -np.inf), 0

    def note(self, at: float, odd: Bools) -> None:
        """Count what is odd now in rows that rest no more."""
        new = odd & (at - self.last > REST_S)
        self.last[new], self.count = at, self.count + int(new.sum())


def quiet(noise: Noise, rows: int) -> Mapping[str, tuple[int, float]]:
    """Return the alarms that came and that were expected, by kind."""
    chance, count = np.random.default_rng(5), round((LEARNING_WEEKS + JUDGED_WEEKS) * WEEK_S / STEP_S)
    values = np.stack([noise(chance, count) for _ in range(rows)])
    changes, drifts, every = ChangeWatch(rows, DAY_S), DriftWatch(rows, DAY_S), np.ones(rows, np.bool_)
    middle, edges = np.median(values, axis=1), np.quantile(values, [0.001, 0.999], axis=1)
    said = Scores(score=np.zeros(rows), expected=middle, lower=edges[0], upper=edges[1], learned=every)
    limit = np.log10(LOOKS_FOR_CHANGES * WEEK_S / DAY_S)
    delta = np.full(rows, DAY_S / WEEK_S / LOOKS_FOR_DRIFT)
    called, judged = (
        {name: Called(rows) for name in ("trend", "variance", "drift")},
        dict.fromkeys(("trend", "variance"), 0),
    )
    for step in range(count):
        at, now = START + step * STEP_S, values[:, step]
        counts = step * STEP_S >= LEARNING_WEEKS * WEEK_S
        seen, drifted = changes.look(at, now, every), drifts.look(at, now, every, said, delta)
        if not counts:
            continue
        called["drift"].note(at, drifted.since == at)
        for name in judged if seen is not None else ():
            odd = getattr(seen, name).surprise
            judged[name] += int(np.isfinite(odd).sum())
            called[name].note(at, odd > limit)
    expected = {name: looks / (WEEK_S / changes.blocks.block_s) for name, looks in judged.items()}
    return {name: (one.count, expected.get(name, float(rows * JUDGED_WEEKS))) for name, one in called.items()}


def calibration(rows: int) -> None:
    """Print the first table."""
    print(f"{'noise':30s} {'kind':9s} {'expected':>9s} {'came':>5s} {'ratio':>6s}  95 %")
    for name, noise in CALM.items():
        for kind, (came, expected) in quiet(noise, rows).items():
            if expected < 1.0:
                print(f"{name:30s} {kind:9s} not judged")
                continue
            low, high = poisson_interval(came)
            told = f"{low / expected:.2f} to {high / expected:.2f}"
            print(f"{name:30s} {kind:9s} {expected:9.0f} {came:5d} {came / expected:6.2f}  {told}", flush=True)


# -- how soon ----------------------------------------------------------------------------------------------


def changed(values: F64, onset_s: float) -> Mapping[str, F64]:
    """Return the hours after which each row is found, inf for not within thirty, by kind."""
    rows = len(values)
    watch, limit = ChangeWatch(rows, DAY_S), np.log10(LOOKS_FOR_CHANGES * WEEK_S / DAY_S / 0.25)
    first = {name: np.full(rows, np.inf) for name in ("trend", "variance")}
    for step in range(values.shape[1]):
        seen = watch.look(START + step * STEP_S, values[:, step], np.ones(rows, np.bool_))
        after = (step * STEP_S - onset_s) / 3600.0
        for name in first if seen is not None and 0 <= after <= 30 else ():
            found = getattr(seen, name).surprise > limit
            first[name] = np.where(found, np.fmin(first[name], after), first[name])
    return first


def delays(rows: int) -> None:
    """Print the second table."""
    chance, times = np.random.default_rng(2), np.arange(round(14 * DAY_S / STEP_S)) * STEP_S
    onset = 10 * DAY_S
    after, hours = times >= onset, np.maximum(times - onset, 0.0) / 3600.0
    season = 100.0 + 40.0 * np.sin(2 * np.pi * times / DAY_S)

    def noise(times_as_much: float = 1.0) -> F64:
        return season + 5.0 * chance.normal(size=(rows, len(times))) * np.where(after, times_as_much, 1.0)

    made: Mapping[str, Callable[[], F64]] = {
        "nothing": noise,
        "a rise of half a deviation an hour": lambda: noise() + 2.5 * hours,
        "a rise of one deviation an hour": lambda: noise() + 5.0 * hours,
        "a step of twenty deviations": lambda: noise() + 100.0 * after,
        "twice the noise": lambda: noise(2.0),
        "three times the noise": lambda: noise(3.0),
        "half the noise": lambda: noise(0.5),
    }
    print(f"\n{'change':36s} {'trend':>20s} {'variance':>20s}")
    for name, one in made.items():
        cells = []
        for first in changed(one(), onset).values():
            found = first[np.isfinite(first)]
            cells.append(f"{len(found)}/{rows}" + (f", {np.median(found):.1f} h" if len(found) else ""))
        print(f"{name:36s} {cells[0]:>20s} {cells[1]:>20s}", flush=True)


# -- signals together ----------------------------------------------------------------------------------------


def parting() -> tuple[F64, int]:
    """Return float64[groups, signals, samples], and from which sample on the first signal follows another load."""
    chance, count = np.random.default_rng(0), round(JOINT_DAYS * DAY_S / JOINT_STEP_S)
    times = np.arange(count) * JOINT_STEP_S

    def load() -> F64:
        out, news = np.zeros((GROUPS, count)), chance.normal(size=(GROUPS, count)) * 15.0 * np.sqrt(1 - 0.96**2)
        for step in range(1, count):
            out[:, step] = 0.96 * out[:, step - 1] + news[:, step]
        return 100.0 + 40.0 * np.sin(2 * np.pi * times / DAY_S) + out

    own, other, parts = load(), load(), round(PARTS_AFTER_DAYS * DAY_S / JOINT_STEP_S)
    gain = chance.uniform(0.5, 3.0, (GROUPS, SIGNALS, 1))
    noise = 4.0 * chance.normal(size=(GROUPS, SIGNALS, count))
    followed = np.repeat(own[:, None, :], SIGNALS, axis=1)
    followed[:, 0, parts:] = other[:, parts:]
    return np.asarray(gain * (followed + noise)), parts


def ours(values: F64) -> F64:
    """Return the surprise of each group and sample."""
    watch, every = JointWatch(GROUPS * SIGNALS, DAY_S), np.ones(GROUPS * SIGNALS, np.bool_)
    watch.group([np.arange(SIGNALS) + SIGNALS * one for one in range(GROUPS)])
    steps = range(values.shape[2])
    seen = [watch.look(START + n * JOINT_STEP_S, values[:, :, n].reshape(-1), every).surprise for n in steps]
    return np.stack(seen, axis=1)


def half_space_trees(values: F64) -> F64:
    """Return river's scores of the same, scaled to [0, 1] by what was seen until then."""
    from river.anomaly import HalfSpaceTrees
    from river.preprocessing import MinMaxScaler

    out = np.zeros((len(values), values.shape[2]))
    for group, signals in enumerate(values):
        scaler, trees = MinMaxScaler(), HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=1)
        for step in range(signals.shape[1]):
            sample = dict(enumerate(signals[:, step].tolist()))
            scaler.learn_one(sample)
            scaled = scaler.transform_one(sample)
            out[group, step] = trees.score_one(scaled)
            trees.learn_one(scaled)
    return out


def found(scores: F64, limit: float, parts: int) -> tuple[int, int, Sequence[float]]:
    """Return false alarms before the fault, groups found within a day of it, and after how many minutes."""
    false, last, minutes = 0, np.full(len(scores), -np.inf), []
    for step in range(round(3 * DAY_S / JOINT_STEP_S), parts):
        new = (scores[:, step] > limit) & (step * JOINT_STEP_S - last > REST_S)
        last[new], false = step * JOINT_STEP_S, false + int(new.sum())
    for one in scores[:, parts:] > limit:
        if one.any():
            minutes.append(float(np.argmax(one)) * JOINT_STEP_S / 60.0)
    return false, len(minutes), minutes


def together(*, rival: bool) -> None:
    """Print the third table."""
    values, parts = parting()
    print(f"\n{'signals that part':26s} {'false alarms':>12s} {'found':>7s} {'after (median)':>15s} {'a sample':>10s}")
    detectors: dict[str, Callable[[F64], F64]] = {"joint": ours}
    if rival:
        detectors["river HalfSpaceTrees"] = half_space_trees
    allowed = 0
    for name, run in detectors.items():
        began = time.process_time()
        scores = run(values)
        spent = (time.process_time() - began) / values.shape[0] / values.shape[2] * 1e6
        limit = float(np.log10(WEEK_S / JOINT_STEP_S / NEIGHBOURS))
        if name != "joint":  # the least threshold that alarms no more often before the fault
            tried = np.unique(np.quantile(scores[:, :parts], 1.0 - np.geomspace(1e-1, 1e-6, 60)))
            limit = next((one for one in tried.tolist() if found(scores, one, parts)[0] <= allowed), np.inf)
        false, hits, minutes = found(scores, limit, parts)
        allowed = max(allowed, false)
        after = f"{np.median(minutes):.0f} min" if minutes else "-"
        print(f"{name:26s} {false:12d} {hits:4d}/{GROUPS} {after:>15s} {spent:7.0f} us", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--no-rival", action="store_true")
    asked = parser.parse_args()
    calibration(asked.rows)
    delays(40)
    together(rival=not asked.no_rival)


if __name__ == "__main__":
    main()
