"""Jobs that were made suspended: begun when it is cheap, and in any case in time for their deadline."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from aiops.core.decide.cost.defer.costs import Late, cached, cheapest
from aiops.core.decide.cost.defer.lengths import Length, seen
from aiops.core.model import Reason, TargetRef
from tests.unit.rested import Daemon, at, nights, ref

NIGHT = """
  mode: enforce
  target: {kinds: [Job], selector: {matchLabels: {policy.aiops/deferrable: "true"}}, maxTargets: 100}
  defer:
    prices: {base: 0.30, hours: [{schedule: "0 1 * * *", duration: 4h, timeZone: UTC, price: 0.10}]}
    duration: 30m
    within: 12h
    atOnce: 2
"""
CARBON = """
  mode: enforce
  target: {kinds: [Job], selector: {matchLabels: {policy.aiops/deferrable: "true"}}, maxTargets: 100}
  signals: {carbon: {query: 'grid_carbon_grams{zone="DE"}', unit: "1"}}
  defer: {signal: carbon, duration: 30m, within: 20h}
"""
LATE = ("0 1 * * *", "20 21 * * *")
EVENING = at("2026-03-03 20:00")


def job(made: str = "2026-03-03T19:00:00Z", suspend: bool = True, **notes: str) -> dict[str, Any]:
    metadata = {
        "creationTimestamp": made,
        "labels": {"policy.aiops/deferrable": "true", "policy.aiops/batch": "report"},
        "annotations": {f"policy.aiops/{name}": text for name, text in notes.items()},
    }
    return {"metadata": metadata, "spec": {"suspend": suspend}}


def done(start: str, end: str) -> dict[str, Any]:
    body = job(suspend=False)
    body["status"] = {
        "startTime": start,
        "completionTime": end,
        "conditions": [{"type": "Complete", "status": "True"}],
    }
    return body


def named(name: str) -> TargetRef:
    return ref("Job", name, "batch/v1")


def waiting(spec: str = NIGHT, *changes: tuple[str, str], **jobs: dict[str, Any]) -> Daemon:
    daemon = nights(spec, *changes, objects={named(name): copy.deepcopy(body) for name, body in jobs.items()})
    daemon.cluster.now = EVENING
    return daemon


def began(daemon: Daemon, until: float, step_s: float = 300.0) -> dict[str, str]:
    """Return when each Job was begun, by its name."""
    daemon.run(until, step_s)
    starts = {}
    for when, said in daemon.sent:
        hours, minutes = divmod(int((when - at("2026-03-03 00:00")) // 60), 60)
        starts[said.split("/")[1].split(":")[0]] = f"{hours:02d}:{minutes:02d}"
    return starts


def test_it_begins_when_it_is_cheap():
    daemon = waiting(a=job())
    assert began(daemon, at("2026-03-03 23:00")) == {}
    assert any("67% cheaper" in line for line in daemon.said.evidence)
    assert "24:55" <= began(daemon, at("2026-03-04 02:00"))["a"] <= "25:05"


def test_it_begins_in_any_case_in_time_for_its_deadline_with_what_such_work_takes():
    jobs = {"a": job(deadline="2026-03-03T21:45:00Z"), "b": job(within="2h30m")}
    daemon = waiting(NIGHT, LATE, **jobs)
    starts = began(daemon, at("2026-03-04 02:00"), step_s=60.0)
    # half an hour is what it takes at most, 19 times of 20; a little sooner it is late less often, and costs the same
    assert "20:55" <= starts["a"] <= "21:17"
    # ten minutes of it would be cheap, which is not worth being late once in twenty times
    assert starts["b"] <= "20:10"


def test_how_long_such_work_takes_is_learnt_from_its_runs():
    past = {f"p{n}": done(f"2026-03-0{n}T01:00:00Z", f"2026-03-0{n}T03:00:00Z") for n in (1, 2)}
    daemon = waiting(NIGHT, LATE, a=job(deadline="2026-03-03T23:00:00Z"), **past)
    # two hours are half of the time, not at most: what is cheaper at 21:00 is not worth being late each second time
    assert began(daemon, at("2026-03-04 02:00"), step_s=60.0)["a"] <= "20:10"


@pytest.mark.parametrize(("spread", "count", "seed"), [(0.05, 20, 1), (0.3, 20, 2), (0.8, 20, 3), (0.4, 6, 4)])
def test_what_it_takes_at_most_holds_19_times_of_20(spread, count, seed):
    dice = np.random.default_rng(seed)
    runs = np.exp(dice.normal(8.0, spread, (2000, count + 1)))
    kept = np.mean([past[-1] <= seen(past[:-1].tolist()).most_s for past in runs])
    assert 0.935 <= kept <= 0.975


def test_the_chance_of_being_late_is_that_with_which_runs_are():
    dice = np.random.default_rng(5)
    runs = np.exp(dice.normal(8.0, 0.4, (2000, 21)))
    for asked_s in (2000.0, 4000.0, 6000.0, 9000.0):
        foretold = np.mean([seen(past[:-1].tolist()).beyond(np.array([asked_s]))[0] for past in runs])
        assert foretold == pytest.approx(np.mean(runs[:, -1] > asked_s), abs=0.03)


def test_what_may_take_long_begins_sooner_where_waiting_saves_little():
    sure, unsure = seen([1750.0, 1800.0, 1850.0] * 5), seen([600.0, 1800.0, 5400.0] * 5)
    falls = lambda when: 1.0 - 0.1 * when / 36_000.0  # noqa: E731 - it falls by a tenth in ten hours

    def begins(length: Length) -> float:
        best = cheapest(falls, 0.0, 36_000.0 - length.most_s, length.usual_s, Late(deadline=36_000.0, length=length))
        assert best is not None
        return best.at

    assert begins(sure) > 32_000.0
    assert begins(unsure) < 15_000.0
    # where being late costs nothing, only the last moment counts
    free = Late(deadline=36_000.0, length=unsure, runs=0.0)
    last = cheapest(falls, 0.0, 36_000.0 - unsure.most_s, unsure.usual_s, free)
    assert last is not None
    assert last.at == pytest.approx(36_000.0 - unsure.most_s, abs=300.0)


def test_a_run_that_is_longer_than_the_cheap_hours_does_not_begin_at_their_end():
    long = done("2026-03-01T00:00:00Z", "2026-03-01T04:00:00Z")
    daemon = waiting(a=job(deadline="2026-03-04T12:00:00Z"), p=long)
    assert "24:55" <= began(daemon, at("2026-03-04 09:00"))["a"] <= "25:05"


def test_no_more_than_so_many_run_at_a_time_but_a_deadline_does_not_wait():
    daemon = waiting(a=job(), b=job(), c=job(), d=job(deadline="2026-03-04T01:45:00Z"))
    daemon.cluster.now = at("2026-03-04 01:00")
    starts = began(daemon, at("2026-03-04 01:10"))
    assert len(starts) == 2
    assert any("waits for room" in line for line in daemon.said.evidence)
    assert "d" in starts
    assert len(began(daemon, at("2026-03-04 06:50"))) >= 3


def test_what_says_nothing_that_can_be_understood_is_told_and_left_to_people():
    daemon = waiting(a=job(deadline="tonight"), b=job(within="soon"))
    assert began(daemon, at("2026-03-04 12:00")) == {}
    assert daemon.said.reason is Reason.INCONCLUSIVE
    assert any("'tonight' is no time with a zone" in line for line in daemon.said.evidence)
    assert any("'soon' is no duration such as 8h" in line for line in daemon.said.evidence)


@pytest.mark.parametrize("far", [{"deadline": "9999-12-31T23:59:59-23:59"}, {"within": "99y"}])
def test_a_deadline_that_lies_years_away_is_looked_for_within_a_week(far):
    asked: list[float] = []
    daemon = waiting(a=job(**far))
    assert "24:55" <= began(daemon, at("2026-03-04 02:00"))["a"] <= "25:05"
    cheapest(lambda when: asked.append(when) or 1.0, EVENING, at("2026-03-03 20:00") + 3e9, 3e9)
    assert len(asked) <= 8 * 288 + 1


def test_an_hour_that_many_jobs_ask_for_is_reckoned_once():
    asked: list[float] = []
    cost = cached(lambda when: asked.append(when) or 1.0)
    for _ in range(100):
        cheapest(cost, EVENING, EVENING + 43_200.0, 1_800.0)
    assert len(asked) == 145 + 6


def test_what_does_not_say_that_it_may_wait_and_what_another_program_starts_are_left_alone_s4():
    other, queued = job(), job()
    other["metadata"]["labels"]["policy.aiops/deferrable"] = "false"
    queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "batch"
    daemon = waiting(a=other, b=queued)
    assert began(daemon, at("2026-03-04 12:00")) == {}


def test_in_mode_approve_a_start_that_is_only_cheap_asks_and_one_that_is_due_does_not():
    daemon = waiting(NIGHT, ("mode: enforce", "mode: approve"), a=job())
    assert began(daemon, at("2026-03-04 02:00")) == {}
    assert daemon.said.word == "ask"
    assert "06:00" <= began(daemon, at("2026-03-04 07:00"))["a"][-5:].replace("30:", "06:") <= "06:30"


@pytest.mark.parametrize("mode", ["dry-run", "observe"])
def test_a_mode_that_does_not_act_begins_nothing(mode):
    daemon = waiting(NIGHT, ("mode: enforce", f"mode: {mode}"), a=job())
    assert began(daemon, at("2026-03-04 12:00")) == {}


def carbon(now: float) -> float:
    """Return grams by the hour: little from 11 to 15."""
    return 100.0 if 11 <= now % 86_400.0 / 3600.0 < 15 else 400.0


def learnt(days: int = 2) -> Daemon:
    daemon = waiting(CARBON)
    daemon.replayed = False
    while daemon.cluster.now < EVENING + days * 86_400.0:
        daemon.cluster.now += 1_200.0
        daemon.values["carbon"] = carbon(daemon.now)
        daemon.turn()
    return daemon


def test_the_days_of_a_signal_are_learnt_and_work_waits_for_the_best_hour():
    daemon = learnt()
    daemon.cluster.make(named("a"), job("2026-03-05T19:00:00Z"))
    while "a" not in str(daemon.did()) and daemon.cluster.now < at("2026-03-06 16:00"):
        daemon.cluster.now += 300.0
        daemon.values["carbon"] = carbon(daemon.now)
        daemon.turn()
    assert at("2026-03-06 10:55") <= daemon.cluster.now <= at("2026-03-06 11:15")


def test_what_is_not_known_keeps_nobody_waiting_for_long_s1():
    daemon = waiting(CARBON, a=job())
    daemon.values["carbon"] = "timed out"
    daemon.run(EVENING + 300.0, step_s=60.0)
    assert daemon.did() == []
    daemon.run(EVENING + 900.0, step_s=60.0)
    assert daemon.did() == ["Job dev/a: starts"]


def test_what_was_learnt_serves_while_the_signal_is_away():
    daemon = learnt()
    daemon.values["carbon"] = "timed out"
    daemon.cluster.make(named("a"), job("2026-03-05T19:00:00Z"))
    daemon.run(at("2026-03-06 10:00"), step_s=1200.0)
    assert daemon.did() == []
    daemon.run(at("2026-03-06 11:30"), step_s=300.0)
    assert daemon.did() == ["Job dev/a: starts"]


def test_of_hours_that_cost_the_same_the_first_is_taken():
    best = cheapest(lambda _: 1.0, 0.0, 36_000.0, 1800.0)
    assert best is not None
    assert best.at == 0.0
