"""One rehearsal in a process of its own: `python -m aiops.app.rehearsing JOB.json`, told line by line on its output.

Lines are JSON: {"done": n, "total": n} while it goes on, then one with `columns`, `rows` and `data`, or with `error`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from aiops.errors import AiopsError

EVERY = 100
"""Steps between two lines."""

BATCH = 200
SEEDS = 5
KINDER = 10
"""How much less a rehearsal counts than the daemon to who hands out processors."""


def main(argv: list[str]) -> int:
    """Do what the job says, and return the exit code."""
    os.nice(KINDER)
    job = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    try:
        _say(_backtested(job) if job["kind"] == "backtest" else _simulated(job))
    except AiopsError as err:
        _say({"error": str(err)})
        return err.exit_code
    return 0


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class _Steps:
    """Counts steps, and tells of them now and then."""

    def __init__(self, total: int, every: int = EVERY) -> None:
        self._total, self._every, self._done = total, every, 0
        _say({"done": 0, "total": total})

    def __call__(self) -> None:
        self._done += 1
        if self._done % self._every == 0:
            _say({"done": min(self._done, self._total), "total": self._total})


def _simulated(job: dict[str, Any]) -> dict[str, Any]:
    from simulators.batch.scenario import is_batch
    from simulators.failover.scenario import is_sites
    from simulators.remediation.scenario import is_remediation

    if is_batch(job["scenario"]):
        return _batch(job)
    if is_remediation(job["scenario"]):
        return _remediation(job)
    return _sites(job) if is_sites(job["scenario"]) else _world(job)


def _world(job: dict[str, Any]) -> dict[str, Any]:
    """Rehearse the policies of a scenario, or others, beside a fleet for the peak and an HPA in the same world."""
    from aiops.adapters.store import Store
    from aiops.app.replay import code_version, platform_version
    from aiops.loop import Setup
    from aiops.policy import load
    from simulators.report import write
    from simulators.run import Rehearsal, simulate
    from simulators.scenario import load as load_scenario
    from simulators.scenario import policies_for
    from simulators.scorecard import sheet
    from simulators.selected import expanded_in

    world = load_scenario(job["scenario"])
    paths = [Path(one) for one in job["policies"]] or [policies_for(job["scenario"])]
    rehearsed = expanded_in(world, load(paths, world.spec.step))
    store = Store.open("sqlite://", batch=BATCH)
    store.journal.note_policies(rehearsed)
    setup = Setup(code=code_version(), platform=platform_version(), keep_inputs=False)
    steps = _Steps(round(world.spec.duration / world.spec.step) * 3)
    how = Rehearsal(seed=job["seed"], baselines=True, setup=setup, progress=steps)
    result = simulate(world, rehearsed, store.journal, how)
    store.close()
    write(Path(job["report"]), world, rehearsed, result)
    columns, rows = sheet(result.scorecard)
    card = result.scorecard
    about = f"{card.hours:g} h of virtual time, {card.ticks} turns, seed {card.seed}"
    return {"columns": list(columns), "rows": [list(row) for row in rows], "data": card.as_json(), "about": about}


def _sites(job: dict[str, Any]) -> dict[str, Any]:
    """Rehearse a failover of two sites, beside other rules, nothing done, and one that knows the fault."""
    from simulators.failover.episodes import group
    from simulators.failover.rehearse import COLUMNS, fared, rows, rules
    from simulators.failover.scenario import POLICY, load

    spec = load(job["scenario"])
    first = spec.seed if job["seed"] is None else int(job["seed"])
    seeds = range(first, first + SEEDS)
    contenders = rules(group(POLICY), baselines=True)
    steps = _Steps(len(contenders) * SEEDS, every=1)
    found = [one for who in contenders.items() for one in fared(spec, who, seeds, steps)]
    return {
        "columns": list(COLUMNS),
        "rows": [list(row) for row in rows(found)],
        "data": {"scenario": spec.name, "right": spec.right.value, "episodes": [one.as_json() for one in found]},
        "about": f"{spec.about}; right: {spec.right.value}; seeds {first} to {first + SEEDS - 1}",
    }


def _remediation(job: dict[str, Any]) -> dict[str, Any]:
    """Rehearse remediation, beside Kubernetes alone, thresholds, nothing done, and one that knows the fault."""
    from simulators.remediation.rehearse import COLUMNS, contenders, fared, policies, rows
    from simulators.remediation.scenario import POLICIES, load

    spec = load(job["scenario"])
    first = spec.seed if job["seed"] is None else int(job["seed"])
    every = contenders(policies([POLICIES]), baselines=True)
    steps = _Steps(len(every) * SEEDS, every=1)
    found = []
    for who in every.items():
        for seed in range(first, first + SEEDS):
            found.append(fared(spec, who, seed))
            steps()
    return {
        "columns": list(COLUMNS),
        "rows": [list(row) for row in rows(found)],
        "data": {"scenario": spec.name, "right": spec.right.value, "episodes": [one.as_json() for one in found]},
        "about": f"{spec.about}; right: {spec.right.value}; seeds {first} to {first + SEEDS - 1}",
    }


def _batch(job: dict[str, Any]) -> dict[str, Any]:
    """Rehearse batch work that can wait, beside work at once, at a fixed hour, and by who knows it all."""
    from simulators.batch.rehearse import COLUMNS, contenders, fared_once, policy, rows, seeded
    from simulators.batch.scenario import load

    spec = load(job["scenario"])
    first = spec.seed if job["seed"] is None else int(job["seed"])
    tasks = seeded(spec, contenders(policy(spec, []), baselines=True), range(first, first + SEEDS))
    steps = _Steps(len(tasks), every=1)
    found = []
    for task in tasks:
        found.append(fared_once(task))
        steps()
    return {
        "columns": list(COLUMNS),
        "rows": [list(row) for row in rows(found)],
        "data": {"scenario": spec.name, "episodes": [one.as_json() for one in found]},
        "about": f"{spec.about}; seeds {first} to {first + SEEDS - 1}",
    }


def _backtested(job: dict[str, Any]) -> dict[str, Any]:
    """Replay what Prometheus has recorded of a policy's signals: what it would have done beside what ran."""
    from aiops.app.commands.record import asked, span
    from aiops.app.rehearsals import HISTORY
    from aiops.app.settings import PrometheusSettings
    from aiops.policy import parse
    from simulators.backtest import run as runs
    from simulators.backtest import told
    from simulators.backtest.grid import variants
    from simulators.backtest.report import write
    from simulators.backtest.work import Job, all_done

    loaded = parse(job["document"], job["policy"])
    history = PrometheusSettings.model_validate_json(os.environ[HISTORY])
    recording = asked(loaded, history, span(f"{job['days']}d", "now", "15s"))
    order = runs.Order(baselines=runs.baselines("hpa,keda,static"), warmup_s=None, curves=True)
    (variant,) = variants(loaded.scaling[0].document, ())
    steps = _Steps(len(recording.times) * (2 + len(order.baselines)))
    (result,) = all_done([Job(variant=variant, watches=(), recording=recording, order=order)], None, steps)
    write(Path(job["report"]), [result])
    return {
        "columns": list(told.COLUMNS),
        "rows": [list(row) for row in told.rows(result)],
        "data": result.as_json(),
        "about": told.head(result),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
