"""Unit tests of policies: how many run in a second, each of about 50 decisions.

Reading and compiling are the start-up and are counted apart. The aim is 100 tests in under a second after it.
Processor time is told beside the clock's: other load on the machine does not count in it.

Run `python benchmarks/bench_policy_tests.py [TESTS]` (default 100).
"""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from simulators.policy_tests import run_case
from simulators.policy_tests.files import suite
from simulators.policy_tests.jobs import run_cases

POLICY = Path(__file__).parents[1] / "policies" / "checkout.yaml"
TEST = """\
  - name: a step in load is met before the SLO is broken, {number}
    replicas: 6
    given: {{perReplica: 50, leadTime: 90s, mode: enforce}}
    series: {{demand: '200x40 200+20x30', latency: '0.08x70'}}
    expect: [{{by: 13m, action: Scale, replicas: '>= 8'}}]
"""


def main(tests: int) -> None:
    """Print tests and decisions per second."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "many.test.yaml"
        cases = "".join(TEST.format(number=number) for number in range(tests))
        file.write_text(f"policies: [{POLICY.resolve()}]\nstart: 2026-03-02T12:00:00+01:00\ntests:\n{cases}")
        begun = time.perf_counter()
        found = suite([file])
        read_s = time.perf_counter() - begun
    if found.problems:
        sys.exit("\n".join(map(str, found.problems)))
    run_case(found.cases[0])
    gc.collect()
    begun = time.perf_counter()
    results = run_cases(found.cases, time.perf_counter)
    together_s = time.perf_counter() - begun
    begun, worked = time.perf_counter(), time.process_time()
    results = [run_case(case) for case in found.cases]
    wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - worked
    ticks = sum(one.decisions for one in results)
    failed = sum(not one.passed for one in results)
    print(f"{tests} tests, {ticks} decisions, {failed} failed; read and compiled in {read_s:.2f} s")
    print(f"all cores {together_s:.2f} s  {tests / together_s:.0f} tests/s by the clock: aiops policy test")
    print(f"clock     {wall_s:.2f} s  {tests / wall_s:.0f} tests/s  {1e3 * wall_s / ticks:.3f} ms a decision")
    print(f"processor {cpu_s:.2f} s  {tests / cpu_s:.0f} tests/s  {1e3 * cpu_s / ticks:.3f} ms a decision")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
