"""A backtest of 30 days at 15 s, 172,800 decisions, on one core; a week before them is learnt from.

Run `python benchmarks/bench_backtest.py [DAYS]` (default 30). The aim is under 60 s with fit and calibration.
"""

from __future__ import annotations

import sys
import time

from simulators.backtest.run import Order, past_of, run
from tests.unit.recorded import lived, policy, wave

WARMUP_DAYS = 7.0


def main(days: float) -> None:
    recording = lived(wave((days + WARMUP_DAYS) * 24.0))
    print(f"{'contenders':<28s} {'ticks':>8s} {'calibrate s':>12s} {'run s':>8s} {'cpu s':>8s} {'us/tick':>8s}")
    for name, baselines in (("policy and recorded", ()), ("and hpa, keda, static", Order().baselines)):
        order = Order(baselines=baselines, warmup_s=WARMUP_DAYS * 86_400.0)
        began, cpu = time.perf_counter(), time.process_time()
        past = past_of(recording, policy(), (), order)
        middle = time.perf_counter()
        run(past, order)
        end, used = time.perf_counter(), time.process_time() - cpu
        ticks = len(past.steps)
        print(
            f"{name:<28s} {ticks:>8d} {middle - began:>12.1f} {end - middle:>8.1f} {used:>8.1f}"
            f" {(end - middle) / ticks * 1e6:>8.0f}"
        )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
