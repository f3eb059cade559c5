"""Start-ups are kept beyond the lives of pods and of the process, the newest of them, each once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.capacity.startups import AHEAD_S, KEPT, Startups
from aiops.core.decide.scaling.propose import lead_time
from aiops.core.model import Inputs, Startup, StartupTime
from aiops.core.policies import PolicySet
from aiops.core.record.codec import from_text, to_text
from aiops.core.record.story import Told, explanation
from tests.builders import KEY, NOW, TARGET, policy, workload
from tests.unit.steered import carries, made, seen, soon
from tests.unit.test_answers import Journal, World, loop_over

WHERE = TARGET.key


def one(number: int, total_s: float = 40.0, **phases: float) -> Startup:
    return Startup(pod=f"p{number}", ready_at=NOW + number, total_s=total_s, **phases)


def learnt(*startups: Startup) -> Startups:
    known = Startups()
    known.follow([WHERE])
    known.learn({WHERE: startups}, NOW)
    return known


def time(known: Startups) -> StartupTime | None:
    return known.told({WHERE: workload(startup_s=())})[WHERE].startup


def test_what_was_learnt_outlives_the_pods():
    known = learnt(one(1, 40.0), one(2, 60.0), one(3, 90.0))
    known.learn({WHERE: ()}, NOW + 60.0)
    known.learn({}, NOW + 120.0)
    shown = known.told({WHERE: workload(startup_s=())})[WHERE]
    assert shown.startup == StartupTime(count=3, p50_s=60.0, p95_s=90.0)
    assert lead_time(policy(), shown) == (90.0, True)


def test_the_newest_count_each_once():
    known = learnt(*(one(n, float(n)) for n in range(KEPT)))
    known.learn({WHERE: [one(n, float(n)) for n in range(5, KEPT + 3)]}, NOW)
    assert time(known) == StartupTime(count=KEPT, p50_s=12.0, p95_s=21.0)
    known.learn({WHERE: [one(0, 999.0), *(one(n, 999.0) for n in range(KEPT, KEPT + 3))]}, NOW)
    assert time(known) == StartupTime(count=KEPT, p50_s=12.0, p95_s=21.0)


def test_pods_that_are_ready_in_the_same_second_all_count():
    known = learnt(one(1, 40.0))
    known.learn({WHERE: [one(1, 40.0), replace(one(1, 50.0), pod="beside")]}, NOW)
    assert time(known) == StartupTime(count=2, p50_s=40.0, p95_s=50.0)


def test_what_a_clock_told_that_was_far_ahead_is_forgotten():
    known = learnt(one(1, 40.0))
    known.learn({WHERE: [one(2, 10.0)]}, NOW - AHEAD_S)
    assert time(known) == StartupTime(count=1, p50_s=10.0, p95_s=10.0)


def test_phases_are_medians_of_those_that_say():
    known = learnt(one(1, pull_s=10.0, ready_s=1.0), one(2, pull_s=30.0), one(3))
    assert time(known) == StartupTime(count=3, p50_s=40.0, p95_s=40.0, pull_s=10.0, ready_s=1.0)


def bank() -> Bank:
    return Bank(PolicySet(digest="p", scaling=(policy(),)))


def test_a_restart_goes_on_with_them():
    before = bank()
    before.startups.learn({WHERE: [one(1, 40.0, pull_s=7.0), one(2, 70.0)], "other": [one(3)]}, NOW)
    after = bank()
    assert after.restore(before.arrays()) == ()
    assert time(after.startups) == time(before.startups) == StartupTime(count=2, p50_s=40.0, p95_s=70.0, pull_s=7.0)
    after.startups.learn({WHERE: [one(1, 40.0), one(2, 70.0), one(4, 90.0)]}, NOW)
    assert time(after.startups) == StartupTime(count=3, p50_s=70.0, p95_s=90.0, pull_s=7.0)
    assert after.startups.told({"other": workload()})["other"].startup is None


def test_checkpoints_of_before_have_none_and_broken_ones_say_so():
    known = bank()
    old = {name: array for name, array in known.arrays().items() if not name.startswith("soon/startups/")}
    assert bank().restore(old) == ()
    about = np.frombuffer(json.dumps({"version": 1, "pods": {WHERE: ["a"]}}).encode(), np.uint8)
    (said,) = bank().restore({**old, "soon/startups/about": about, "soon/startups/numbers": np.zeros((0, 6))})
    assert said.startswith("how long pods take to start: ")


def test_targets_of_no_policy_are_forgotten():
    known = learnt(one(1))
    known.follow(["other"])
    assert time(known) is None


class Living(World):
    """A world whose pods are shown with how they started, while there are any."""

    shown: tuple[Startup, ...] = (one(1, 200.0), one(2, 300.0))

    def inventory(self, targets, at):
        return replace(super().inventory(targets, at), startups={WHERE: self.shown})


def test_the_loop_goes_by_them_when_the_pods_are_gone():
    store, world = Store.open("sqlite://"), Living()
    loop = loop_over(store, world, Journal(store.journal))
    leads = []
    for turn in range(2):
        loop.run_once(NOW + 15.0 * turn)
        leads.append(loop.last.decisions[0].verdict.proposal.need.lead_s)
        world.shown = ()
    store.close()
    assert leads == [300.0, 300.0]
    assert loop.seen[KEY].snapshot.workloads[WHERE].startup == StartupTime(count=2, p50_s=200.0, p95_s=300.0)


# -- the record -----------------------------------------------------------------------------------------------------


def test_what_was_learnt_is_recorded_and_told():
    startup = StartupTime(count=4, p50_s=42.0, p95_s=70.0, pending_s=1.0, pull_s=12.0, init_s=0.0, ready_s=28.0)
    shot = seen()
    shown = replace(shot.workloads[WHERE], startup=startup, startup_s=())
    turn = made(replace(shot, workloads={WHERE: shown}), soon(400.0, 600.0), carries())
    (inputs,) = turn.inputs.values()
    assert from_text(to_text(inputs), Inputs).snapshot.workloads[WHERE].startup == startup
    told = Told(decision=turn.tick.decisions[0], workload=shown, capacity=carries(), unit="req/s")
    starts = "p50 42 s, p95 70 s of 4 start-ups; medians: pending 1 s, pull 12 s, init 0 s, ready 28 s"
    assert f"starts     {starts}\n" in explanation(told)
    bare = replace(shown, startup=StartupTime(count=1, p50_s=42.0, p95_s=42.0))
    assert "starts     p50 42 s, p95 42 s of 1 start-up\n" in explanation(replace(told, workload=bare))


def test_a_record_of_before_is_read_as_it_was():
    (inputs,) = made(seen(), soon(400.0, 600.0), carries()).inputs.values()
    stored = json.loads(to_text(inputs))
    del stored["snapshot"]["workloads"][WHERE]["startup"]
    again = from_text(json.dumps(stored), Inputs).snapshot.workloads[WHERE]
    assert lead_time(policy(), again) == (70.0, True)
