"""How fast the loop turns in virtual time, journal included, and where the time goes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from aiops.adapters.store import Store
from aiops.policy import parse
from simulators.run import Rehearsal, Rig
from simulators.scenario import load

TICKS = 10_000
WEEK = 40_320
POLICY = (Path(__file__).parents[1] / "simulators/demo/policies/shop.yaml").read_text().split("---")[0]


def main() -> None:
    scenario = load("flash-crowd")
    policies = parse(POLICY, "bench")
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/bench.db", batch=200)
        rig = Rig(scenario, policies, store.journal, Rehearsal(seed=1))
        world_s = loop_s = 0.0
        for _ in range(TICKS):
            started = time.perf_counter()
            rig.world.advance(rig.world.now + rig.world.step_s)
            moved = time.perf_counter()
            rig.loop.run_once(rig.world.now)
            world_s, loop_s = world_s + moved - started, loop_s + time.perf_counter() - moved
        store.close()
        size = Path(folder, "bench.db").stat().st_size
    per_tick = (world_s + loop_s) / TICKS
    print(f"one service, one policy with forecast, two signals, journal in SQLite; {TICKS:,} ticks")
    print(f"{'part':<28}{'us a tick':>12}{'share':>10}")
    for name, seconds in (("world", world_s), ("loop and journal", loop_s)):
        print(f"{name:<28}{seconds / TICKS * 1e6:>12.0f}{seconds / (world_s + loop_s):>10.0%}")
    print(f"{'ticks a second':<28}{1 / per_tick:>12,.0f}")
    print(f"{'seven days at 15 s':<28}{per_tick * WEEK:>10.1f} s")
    print(f"{'store, bytes a tick':<28}{size / TICKS:>12.0f}")


if __name__ == "__main__":
    main()
