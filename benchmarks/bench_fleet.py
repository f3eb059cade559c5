"""Fleet models: how long a tick takes by the number of series, what a series costs, and what alarms of noise cost.

Run `python benchmarks/bench_fleet.py [ROWS ...]` (default 3, 1000, 10000 and 100000).
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np

from aiops.core.bank import Bank
from aiops.core.detect import DETECTORS
from aiops.core.detect.rules import DAY_S, usual
from aiops.core.forecast import FORECASTERS
from aiops.core.model import Frame, SeriesIndex
from aiops.core.policies import ForecastSpec, PolicySet, Side, WatchPolicy, WatchQuery

START = 1_772_409_600.0
TICK_S = 15.0
KEY = "WatchPolicy/bench/all"
ANOMALOUS_SHARE = 0.002


def policies() -> PolicySet:
    query = WatchQuery(policy=KEY, expr="bench", identity=(), max_series=1_000_000)
    watch = WatchPolicy(
        key=KEY,
        digest="",
        document="",
        origin="bench",
        query=query,
        detector="familiar",
        side=Side.BOTH,
        false_alarms_per_week=1.0,
        min_deviation=0.0,
        min_deviation_ratio=0.0,
        history_s=14 * DAY_S,
        season_s=DAY_S,
    )
    return PolicySet(digest="bench", watches=(watch,))


def tick(rows: int) -> tuple[float, float, float, float, float, float]:
    """Return milliseconds of processor time a tick: calm, the worst of those, in trouble, young, first; bytes a series.

    The calm ticks are more than a stretch of a season, in which all limits are found anew once.
    """
    chance = np.random.default_rng(1)
    policy_set = policies()
    bank = Bank(policy_set)
    names = [{"pod": f"pod-{row}"} for row in range(rows)]
    index = SeriesIndex(keys=tuple(f"{KEY}#pod={row['pod']}" for row in names), labels=tuple(names))
    learn = np.ones(rows, np.bool_)
    frames = [100.0 + chance.normal(0, 3, rows) for _ in range(16)]
    now = START

    def lead(count: int, step_s: float, *, trouble: bool = False) -> np.ndarray:
        nonlocal now
        spent = np.zeros(count)
        for number in range(count):
            now += step_s
            values = frames[number % 16] + chance.uniform(0, 1)
            if trouble:
                values[: max(1, int(rows * ANOMALOUS_SHARE))] += 300.0
            frame = Frame(at=now, index=index, values=values, learn=learn)
            started = time.process_time()
            bank.perceive(frame, {}, policy_set)
            spent[number] = (time.process_time() - started) * 1e3
        return spent

    first = float(lead(1, TICK_S)[0])
    young = float(lead(20, 60.0).mean())
    lead(70, 60.0)
    calm = lead(160 if rows > 1000 else 2000, TICK_S)
    trouble = float(lead(20 if rows > 1000 else 200, TICK_S, trouble=True).mean())
    size = sum(array.nbytes for key, array in bank.arrays().items() if key != "about") / rows
    return float(np.median(calm)), float(calm.max()), trouble, young, first, size


def demand() -> tuple[float, float, float]:
    """Return milliseconds to learn two weeks, and microseconds to learn a sample and to foretell half an hour."""
    chance = np.random.default_rng(2)
    spec = ForecastSpec(model="seasonal-naive", history_s=14 * DAY_S, quantile=0.95, lead_s=60.0, season_s=DAY_S)
    times = START + np.arange(14 * 1440) * 60.0
    values = 500.0 + 300.0 * np.sin(2 * np.pi * times / DAY_S) + chance.normal(0, 20, len(times))
    model = FORECASTERS["seasonal-naive"](spec)
    started = time.perf_counter()
    model.backfill(times, values)
    backfill_ms = (time.perf_counter() - started) * 1e3
    now, count = float(times[-1]), 4000
    started = time.perf_counter()
    for number in range(1, count):
        model.learn(now + TICK_S * number, 500.0)
    learn_us = (time.perf_counter() - started) / count * 1e6
    started = time.perf_counter()
    for _ in range(1000):
        model.paths(now + TICK_S * count, 30)
    return backfill_ms, learn_us, (time.perf_counter() - started) / 1000 * 1e6


def alarms(budget: float) -> float:
    """Return how many alarms begin in a row's week of noise, after a week of learning, at one-minute steps."""
    rows, step_s, days = 100, 60.0, 14
    chance = np.random.default_rng(3)
    detector = DETECTORS["familiar"](replace(usual(rows), false_alarms_per_week=np.full(rows, budget)))
    learn, before, began = np.ones(rows, np.bool_), np.zeros(rows, np.bool_), 0
    size = np.linspace(0, 60, rows)
    for step in range(round(days * DAY_S / step_s)):
        at = START + step * step_s
        values = 200.0 + size * np.sin(2 * np.pi * at / DAY_S) + 5.0 * chance.normal(0, 1, rows)
        over = detector.score(at, values).score > 1
        began += int((over & ~before).sum()) if step * step_s >= 7 * DAY_S else 0
        before = over
        detector.learn(at, values, learn)
    return began / rows


def grown(taught: int = 10_000, most: int = 1_000_000) -> None:
    """Print how the detector's tick and its state grow to a million series: rows that were taught, taken many times."""
    chance = np.random.default_rng(5)
    values = 100.0 + chance.normal(0, 3, (16, taught))
    first, now = DETECTORS["familiar"](usual(taught)), START
    for step in range(110):
        now, row = START + step * 60.0, values[step % 16] + chance.uniform(0, 1)
        first.score(now, row)
        first.learn(now, row, np.ones(taught, np.bool_))
    print(f"\n{'series':>8} {'median ms':>10} {'worst ms':>9} {'copy ms':>8} {'MiB':>6}  (calm, the detector alone)")
    for times in [t for t in (1, 10, 100) if t * taught <= most]:
        fleet = DETECTORS["familiar"](usual(taught))
        fleet.restore({name: np.array(array) for name, array in first.arrays().items()})
        fleet.take(np.tile(np.arange(taught), times))
        learn, spent = np.ones(taught * times, np.bool_), np.zeros(24)
        for step in range(len(spent)):
            at, row = now + (step + 1) * TICK_S, np.tile(values[step % 16] + chance.uniform(0, 1), times)
            began = time.process_time()
            fleet.score(at, row)
            fleet.learn(at, row, learn)
            spent[step] = (time.process_time() - began) * 1e3
        began, kept = time.process_time(), np.empty_like(row)
        for _ in range(20):
            np.copyto(kept, row)
        copy_ms, size = (time.process_time() - began) / 20 * 1e3, sum(one.nbytes for one in fleet.arrays().values())
        told = f"{np.median(spent):>10.1f} {spent.max():>9.1f} {copy_ms:>8.2f} {size / 2**20:>6.0f}"
        print(f"{taught * times:>8} {told}", flush=True)


def beside(rows: int = 100_000, few: int = 200) -> None:
    """Print what a tick of the fleet tier costs a series, beside loops over series and beside copying the values."""
    from river.anomaly import GaussianScorer

    chance = np.random.default_rng(5)
    values = 100.0 + chance.normal(0, 3, (40, rows))
    names = ("familiar", "novelty")
    alone = {name: [DETECTORS[name](usual(1)) for _ in range(few)] for name in names}
    scorers = [GaussianScorer(window_size=100) for _ in range(few)]
    fleet, kept, one = DETECTORS["familiar"](usual(rows)), np.empty(rows), np.ones(1, np.bool_)

    def whole(step: int) -> None:
        at, now = START + step * 60.0, values[step % len(values)]
        fleet.score(at, now)
        fleet.learn(at, now, np.ones(rows, np.bool_))

    def by_series(name: str, step: int) -> None:
        for place, model in enumerate(alone[name]):
            model.score(START + step * TICK_S, values[step, place : place + 1])
            model.learn(START + step * TICK_S, values[step, place : place + 1], one)

    def of_river(step: int) -> None:
        for place, model in enumerate(scorers):
            model.score_one(None, float(values[step, place]))
            model.learn_one(None, float(values[step, place]))

    table = (
        ("copy of the values", rows, lambda step: np.copyto(kept, values[step])),
        ("fleet tier, arrays", rows, whole),
        ("fleet tier, series by series", few, lambda step: by_series("familiar", step)),
        ("signal tier (it is meant for few)", few, lambda step: by_series("novelty", step)),
        ("river GaussianScorer in a loop", few, of_river),
    )
    print(f"\n{'a tick, processor time':34s} {'us a series':>12s} {'ms at ' + str(rows):>14s}")
    for title, count, turn in table:
        first = 100 if turn is whole else 20  # while they are young, all rows are looked at
        for step in range(first):
            turn(step)
        began = time.process_time()
        for step in range(first, first + 20):
            turn(step)
        each = (time.process_time() - began) / 20 / count * 1e6
        print(f"{title:34s} {each:12.4f} {each * rows / 1e3:14.1f}", flush=True)


def main() -> None:
    sizes = [int(arg) for arg in sys.argv[1:]] or [3, 1000, 10_000, 100_000]
    heads = ("calm ms", "worst ms", "trouble ms", "young ms", "first ms")
    print(f"{'series':>8} {' '.join(f'{head:>10}' for head in heads)} {'us a series':>12} {'bytes':>6}")
    for rows in sizes:
        *spent, size = tick(rows)
        told = " ".join(f"{one:>10.3f}" for one in spent)
        print(f"{rows:>8} {told} {spent[0] * 1e3 / rows:>12.3f} {size:>6.0f}", flush=True)
    grown()
    beside()
    backfill_ms, learn_us, paths_us = demand()
    print(
        f"\ndemand: two weeks learnt in {backfill_ms:.0f} ms, a sample in {learn_us:.1f} us, paths in {paths_us:.0f} us"
    )
    print(f"\n{'budget a week':>13} {'alarms of noise a week':>23} {'ratio':>6}")
    for budget in (0.5, 1.0, 5.0):
        came = alarms(budget)
        print(f"{budget:>13} {came:>23.2f} {came / budget:>6.2f}")


if __name__ == "__main__":
    main()
