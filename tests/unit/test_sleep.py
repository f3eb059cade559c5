"""Workloads that sleep by the clock: who is put to rest and how, and when each is woken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import Mode, Reason
from aiops.core.objects.resting import MARK, RECORD
from tests.unit.rested import (
    API,
    CRON,
    DB,
    HPA,
    NIGHTS,
    SCALED,
    TICK_S,
    WEB,
    Daemon,
    at,
    hpa,
    nights,
    scaled,
    workload,
)
from tests.unit.sleeping import BY_NAME, EVENING, MORNING, NIGHT, slept, why

# -- by the clock --------------------------------------------------------------------------------------


def test_in_the_evening_all_of_it_rests_and_in_the_morning_it_is_as_it_was():
    daemon = slept()
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [0, 0, True]
    assert daemon.said.detail == "hours of sleep until Wed 08:00 UTC: 3 asleep"
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]
    assert not {RECORD, MARK} & {key for one in (WEB, API, CRON) for key in daemon.cluster.notes(one)}
    assert daemon.standing() == {}
    assert len(daemon.sent) == 6


def test_what_it_was_is_written_by_the_very_request_that_lets_it_rest():
    record = slept().cluster.record(WEB)
    assert record is not None
    assert (record["policy"], record["original"], record["to"]) == ("CostPolicy/dev/nights", "3", "0")
    assert record["uid"].startswith("uid-web")


def test_an_hpa_stands_still_while_its_target_has_no_replicas_and_goes_on_afterwards_s4():
    daemon = slept()
    assert daemon.cluster.objects[HPA]["spec"] == hpa()["spec"]
    daemon.cluster.edit(HPA, lambda body: body["spec"].update(minReplicas=5))
    assert daemon.cluster.value(API) == 0
    daemon.run(MORNING)
    assert daemon.cluster.value(API) == 5


@pytest.mark.parametrize(
    ("changes", "autoscaler", "said"),
    [
        ([("sleep:", "sleep:\n    to: 1")], hpa(), "it can rest at 0 alone, not at 1"),
        ([], hpa(0), "goes to 0 by itself"),
    ],
)
def test_what_an_hpa_would_correct_is_left_to_it_s4(changes, autoscaler, said):
    daemon = slept(nights(NIGHTS, *changes, objects={API: workload(4), HPA: autoscaler}))
    assert daemon.cluster.value(API) == 4
    assert daemon.said.reason is Reason.OWNED
    assert said in daemon.said.detail


def test_what_keda_steers_rests_by_its_scaled_object_whose_annotation_comes_back_s4():
    for before in ("", "3"):
        notes = {"autoscaling.keda.sh/paused-replicas": before} if before else {}
        daemon = slept(nights(objects={WEB: workload(3), SCALED: scaled(**notes)}))
        assert (daemon.cluster.value(SCALED), daemon.cluster.value(WEB)) == ("0", 0)
        assert daemon.cluster.record(WEB) is None
        daemon.run(MORNING)
        assert (daemon.cluster.value(SCALED), daemon.cluster.value(WEB)) == (before, 3 if before else 1)


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 100, "three and a half, as it were"])
def test_what_keda_was_told_and_no_record_could_give_back_is_left_as_it_is(text):
    notes = {"autoscaling.keda.sh/paused-replicas": text}
    aim = {"kind": "StatefulSet", "name": "db"}
    held = scaled(**notes)
    held["spec"]["scaleTargetRef"] = aim
    kinds = (
        NIGHTS,
        ("kinds: [Deployment, CronJob]", "kinds: [StatefulSet]"),
        ("  sleep:", "  sleep:\n    scaleIn: allowed"),
    )
    daemon = slept(nights(*kinds, objects={DB: workload(3), SCALED: held}))
    assert daemon.cluster.notes(SCALED) == notes
    assert why(daemon)[0] is Reason.INCONCLUSIVE


def test_what_somebody_paused_by_keda_is_theirs_s4():
    daemon = slept(nights(objects={WEB: workload(3), SCALED: scaled(**{"autoscaling.keda.sh/paused": "true"})}))
    assert daemon.cluster.value(WEB) == 3
    assert why(daemon)[0] is Reason.MANUAL_OVERRIDE


def test_a_scaled_object_that_comes_while_it_sleeps_does_not_take_away_what_it_was():
    daemon = slept()
    daemon.cluster.make(SCALED, scaled())
    daemon.cluster.control()
    daemon.run(MORNING)
    assert not {RECORD, MARK} & set(daemon.cluster.notes(WEB))
    assert daemon.standing() == {}
    assert daemon.cluster.value(WEB) == 1


# -- waking ahead --------------------------------------------------------------------------------------


def woken_at(daemon: Daemon) -> float:
    return next(when for when, said in reversed(daemon.sent) if "web: wakes" in said) - at("2026-03-04 08:00")


def test_it_is_woken_as_long_before_as_it_took_to_be_ready_lately():
    daemon = slept(nights(NIGHTS, ("wakeAhead: 5m", "wakeAhead: auto")))
    daemon.cluster.slow = 700.0
    mornings = [at(f"2026-03-0{day} 07:00") for day in (4, 5, 6)]
    daemon.run(mornings[0], step_s=7200.0)
    daemon.run(MORNING, step_s=60.0)
    assert -360.0 < woken_at(daemon) < -240.0
    daemon.run(mornings[1], step_s=7200.0)
    daemon.run(mornings[1] + 4800.0, step_s=60.0)
    assert -1100.0 < woken_at(daemon) - 86_400.0 < -850.0
    daemon.run(mornings[2], step_s=7200.0)
    daemon.run(mornings[2] + 3540.0, step_s=60.0)
    ready = daemon.cluster.objects[WEB]["status"]["readyReplicas"]
    assert ready == 3


def test_a_rest_that_is_not_worth_a_start_is_none():
    daemon = nights(NIGHTS, ("12h", "23h50m"), ('"0 8 * * 1-5"', '"0 20 * * *"'))
    daemon.cluster.now = at("2026-03-04 19:40")
    daemon.run(at("2026-03-04 20:30"), step_s=60.0)
    assert daemon.did() == []


# -- one workload, exceptions, holidays ----------------------------------------------------------------


def test_one_workload_by_its_name():
    daemon = nights(BY_NAME)
    daemon.run(EVENING)
    assert (daemon.cluster.value(WEB), daemon.cluster.value(API)) == (0, 4)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_what_is_left_out_from_now_on_is_woken():
    daemon = slept()
    daemon.policy = nights(NIGHTS, ("every: true", "every: true, exclude: [web]")).policy
    daemon.run(EVENING + 600.0)
    assert (daemon.cluster.value(WEB), daemon.cluster.value(API)) == (3, 0)


def test_in_an_exception_nothing_sleeps():
    spec = NIGHTS + "    exceptions: [{from: 2026-03-03T19:00:00Z, to: 2026-03-03T22:00:00Z}]\n"
    daemon = nights(spec)
    daemon.run(at("2026-03-03 21:59"))
    assert daemon.did() == []
    daemon.run(NIGHT)
    assert daemon.cluster.value(WEB) == 0


def test_a_floor_for_the_weekend_is_a_number_of_its_own():
    spec = BY_NAME.replace('awake: [{schedule: "0 8 * * 1-5", duration: 12h, timeZone: UTC}]', "to: 1\n    WINDOW")
    spec = spec.replace("WINDOW", 'windows: [{schedule: "0 20 * * 5", duration: 60h, timeZone: UTC}]')
    daemon = nights(spec)
    daemon.cluster.now = at("2026-03-06 19:00")
    daemon.run(at("2026-03-07 12:00"), step_s=1800.0)
    assert daemon.cluster.value(WEB) == 1
    daemon.run(at("2026-03-09 08:10"), step_s=1800.0)
    assert daemon.cluster.value(WEB) == 3


def test_a_small_workload_is_not_raised_by_a_floor():
    spec = BY_NAME.replace("sleep:", "sleep:\n    to: 5")
    daemon = nights(spec)
    daemon.run(MORNING)
    assert daemon.did() == []


def test_a_ceiling_of_the_settings_binds_too_s6():
    daemon = nights()
    daemon.ceiling = Mode.DRY_RUN
    daemon.run(EVENING)
    assert daemon.did() == []


def test_two_hundred_workloads_fall_asleep_in_a_few_turns_and_wake_at_once():
    spec = NIGHTS.replace("maxTargets: 20", "maxTargets: 300")
    daemon = nights(spec, objects={replace(WEB, name=f"w{number}"): workload(2) for number in range(200)})
    daemon.replayed = False
    daemon.cluster.now = at("2026-03-03 19:59")
    turns = 0
    while len(daemon.sent) < 200:
        daemon.cluster.now += TICK_S
        daemon.turn()
        turns += 1
    assert turns <= 14
    daemon.cluster.now = at("2026-03-04 07:55")
    for _ in range(3):
        daemon.cluster.now += TICK_S
        daemon.turn()
    assert len(daemon.sent) == 400
