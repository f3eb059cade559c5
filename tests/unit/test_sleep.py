"""Workloads that sleep by the clock: who is put to rest, who is woken, whose hand is respected, what is never lost."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from aiops.core.model import Direction, Freeze, Mode, Order, OrderKind, Pause, PlanStatus, Reason, VerdictWord
from aiops.core.objects.resting import MARK, RECORD
from tests.unit.rested import (
    API,
    CRON,
    DB,
    HPA,
    NIGHTS,
    PDB,
    SCALED,
    TICK_S,
    WEB,
    Daemon,
    at,
    cron,
    hpa,
    nights,
    scaled,
    workload,
)

EVENING, NIGHT, MORNING = at("2026-03-03 20:10"), at("2026-03-03 23:00"), at("2026-03-04 08:20")
BY_NAME = NIGHTS.replace("{kinds: [Deployment, CronJob], every: true, maxTargets: 20}", "{name: web}")


def slept(daemon: Daemon | None = None) -> Daemon:
    """Return a daemon whose workloads sleep."""
    daemon = nights() if daemon is None else daemon
    daemon.run(EVENING)
    return daemon


def why(daemon: Daemon) -> tuple[Reason | None, str]:
    return daemon.said.reason, daemon.said.detail


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


# -- people --------------------------------------------------------------------------------------------


def test_what_is_switched_off_is_never_woken_s4():
    daemon = nights(objects={WEB: workload(0), CRON: cron(suspend=True)})
    daemon.run(MORNING)
    assert daemon.did() == []
    assert (daemon.cluster.value(WEB), daemon.cluster.value(CRON)) == (0, True)


def test_who_wakes_it_by_night_is_respected_for_a_while_and_what_comes_back_is_what_it_was_s4():
    daemon = slept()
    daemon.cluster.scale(WEB, 1)
    daemon.run(EVENING + 1800.0)
    assert daemon.cluster.value(WEB) == 1
    assert why(daemon)[0] is Reason.MANUAL_OVERRIDE
    assert "somebody woke it (replicas 1)" in why(daemon)[1]
    daemon.run(EVENING + 2 * 3600.0)
    assert daemon.cluster.value(WEB) == 0
    record = daemon.cluster.record(WEB)
    assert record is not None
    assert record["original"] == "3"
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_what_somebody_has_awake_in_the_morning_stays_as_they_have_it_s7():
    daemon = slept()
    daemon.run(at("2026-03-04 07:30"))
    daemon.cluster.scale(WEB, 7)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 7
    assert RECORD not in daemon.cluster.notes(WEB)


def test_a_rollback_by_a_person_wakes_it_until_the_next_night_s9():
    daemon = slept()
    plan = daemon.standing()["web"]
    now = daemon.now
    order = Order(
        id="o", kind=OrderKind.ROLL_BACK, subject=plan.id, by="ann", at=now, reason="demo", expires_at=now + 600
    )
    daemon.orders.append(order)
    daemon.run(now + 120.0, step_s=60.0)
    daemon.run(at("2026-03-04 06:00"))
    assert (daemon.cluster.value(WEB), daemon.cluster.value(API)) == (3, 0)
    daemon.run(at("2026-03-04 23:00"))
    assert daemon.cluster.value(WEB) == 0


@pytest.mark.parametrize(
    "notes", [{"sleep": "never"}, {"awake_until": "2026-03-04T12:00:00+01:00"}, {"awake_until": "2026-03-03"}]
)
def test_an_annotation_keeps_it_awake_and_wakes_what_sleeps(notes):
    daemon = nights()
    daemon.cluster.annotate(WEB, **notes)
    daemon.run(at("2026-03-03 21:00"))
    assert (daemon.cluster.value(WEB), daemon.cluster.value(API)) == (3, 0)
    other = slept()
    other.cluster.annotate(WEB, **notes)
    other.run(EVENING + 600.0)
    assert (other.cluster.value(WEB), other.cluster.value(API)) == (3, 0)


def test_an_annotation_that_is_not_understood_keeps_it_awake_and_is_told():
    daemon = nights()
    daemon.cluster.annotate(WEB, awake_until="tomorrow")
    daemon.run(EVENING)
    assert daemon.cluster.value(WEB) == 3
    assert "policy.aiops/awake-until: 'tomorrow' is no time with a zone" in daemon.said.detail


def test_what_was_made_just_now_is_wanted_now_s4():
    daemon = nights()
    daemon.run(at("2026-03-03 19:50"))
    daemon.cluster.make(DB, {})
    daemon.cluster.objects.pop(DB)
    body = workload(2, creationTimestamp="2026-03-03T19:55:00Z")
    daemon.cluster.make(replace(WEB, name="young"), body)
    daemon.run(at("2026-03-03 20:40"))
    assert daemon.cluster.value(replace(WEB, name="young")) == 2
    daemon.run(at("2026-03-03 21:30"))
    assert daemon.cluster.value(replace(WEB, name="young")) == 0


# -- records that people changed -----------------------------------------------------------------------


SINCE_EVER = (
    '{"policy":"CostPolicy/dev/nights","plan":"P","uid":"U","lever":"replicas","original":"3","to":"0","since":1'
    + "0" * 400
    + "}"
)
"""A number of JSON that no float can hold."""


@pytest.mark.parametrize("text", ["{", "[]", '{"original": "9"}', "x" * 5000, SINCE_EVER, None])
def test_a_record_that_was_broken_or_taken_away_is_told_and_the_store_knows_what_it_was(text):
    daemon = slept()
    daemon.cluster.annotate(WEB, record=text)
    daemon.run(EVENING + 300.0)
    assert any("knows that it was 3" in line for line in daemon.said.evidence)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3
    assert not {RECORD, MARK} & set(daemon.cluster.notes(WEB))


def test_of_a_record_that_says_something_else_the_stores_copy_counts():
    daemon = slept()
    text = daemon.cluster.notes(WEB)[RECORD].replace('"original":"3"', '"original":"50"')
    daemon.cluster.annotate(WEB, record=text)
    daemon.run(EVENING + 300.0)
    assert any("its record says 50, and was changed by hand" in line for line in daemon.said.evidence)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_where_every_trace_was_taken_away_the_record_is_written_anew():
    daemon = slept()
    daemon.cluster.annotate(WEB, record=None, mark=None)
    daemon.run(EVENING + 600.0)
    record = daemon.cluster.record(WEB)
    assert record is not None
    assert record["original"] == "3"
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_without_a_store_the_record_on_the_object_is_enough():
    daemon = slept()
    daemon.restart(without_store=True)
    daemon.run(NIGHT)
    assert daemon.cluster.value(WEB) == 0
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]


def test_without_a_store_and_with_a_broken_record_it_is_held_and_nothing_is_lost():
    daemon = slept()
    daemon.cluster.annotate(WEB, record="{", mark=None)
    daemon.restart(without_store=True)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 0
    assert daemon.cluster.notes(WEB)[RECORD] == "{"
    assert why(daemon)[0] is Reason.INCONCLUSIVE
    assert "set replicas by hand and take the record away" in why(daemon)[1]


def test_an_object_that_came_back_from_a_backup_is_not_the_one_that_was_put_to_rest():
    daemon = slept()
    body = copy.deepcopy(daemon.cluster.objects[WEB])
    body["metadata"].pop("uid")
    daemon.cluster.delete(WEB)
    daemon.run(EVENING + 120.0)
    assert "web" not in daemon.standing()
    daemon.cluster.make(WEB, body)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 0
    assert why(daemon)[0] is Reason.OWNED
    assert "of another object" in why(daemon)[1]
    assert "that one had 3" in why(daemon)[1]


def test_what_rests_by_another_policy_is_its():
    daemon = slept()
    other = Daemon(cluster=daemon.cluster, policy=replace(nights().policy, key="CostPolicy/dev/other"))
    other.run(EVENING + 600.0)
    assert other.did() == []
    assert why(other)[0] is Reason.OWNED
    assert "it rests by CostPolicy/dev/nights" in why(other)[1]


# -- whose it is, and what guards it -------------------------------------------------------------------


def test_what_git_keeps_is_left_to_it_unless_it_says_that_the_lever_is_ignored_s4():
    daemon = slept(nights(objects={WEB: workload(3, labels={"argocd.argoproj.io/instance": "shop"})}))
    assert daemon.cluster.value(WEB) == 3
    assert why(daemon)[0] is Reason.OWNED
    assert "Argo CD" in why(daemon)[1]
    daemon.cluster.annotate(WEB, gitops_ignores="suspend, replicas")
    daemon.run(NIGHT)
    assert daemon.cluster.value(WEB) == 0
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_a_budget_that_wants_pods_keeps_them_unless_the_policy_says_otherwise_s5():
    budget = {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    daemon = slept(nights(objects={WEB: workload(3), PDB: budget}))
    assert (daemon.cluster.value(WEB), why(daemon)[0]) == (3, Reason.DISRUPTION_BUDGET)
    bold = slept(
        nights(NIGHTS, ("sleep:", "sleep:\n    disruptionBudgets: ignore"), objects={WEB: workload(3), PDB: budget})
    )
    assert bold.cluster.value(WEB) == 0


def test_a_stateful_set_rests_only_once_all_of_it_is_ready_s3():
    spec = NIGHTS.replace("[Deployment, CronJob]", "[StatefulSet]") + "    scaleIn: allowed\n"
    body = workload(3)
    body["status"]["readyReplicas"] = body["status"]["availableReplicas"] = 2
    daemon = nights(spec, objects={DB: body})
    daemon.cluster.slow = 10**9
    daemon.cluster.objects[DB]["status"] = body["status"]
    daemon.run(EVENING)
    assert (daemon.cluster.value(DB), why(daemon)[0]) == (3, Reason.ROLLOUT)
    daemon.cluster.slow = 0.0
    daemon.run(NIGHT)
    assert daemon.cluster.value(DB) == 0


def test_more_workloads_than_it_may_have_hold_all_of_it_and_those_that_sleep_are_woken_s3():
    daemon = slept(nights(NIGHTS, ("maxTargets: 20", "maxTargets: 3")))
    daemon.cluster.make(replace(WEB, name="more"), workload(2))
    daemon.run(NIGHT)
    assert daemon.cluster.value(replace(WEB, name="more")) == 2
    assert why(daemon)[0] is Reason.BOUNDS
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]


# -- modes, pauses, freezes, blindness -----------------------------------------------------------------


@pytest.mark.parametrize(("mode", "said"), [("dry-run", VerdictWord.WAIT), ("observe", VerdictWord.WAIT)])
def test_a_mode_that_does_not_act_writes_nothing(mode, said):
    daemon = slept(nights(NIGHTS, ("mode: enforce", f"mode: {mode}")))
    assert daemon.did() == []
    assert daemon.said.word is said
    rehearsed = [one for one in daemon.plans if one.status is PlanStatus.REHEARSED]
    assert len(rehearsed) == (3 if mode == "dry-run" else 0)


def test_lowering_the_mode_deleting_the_policy_and_releasing_hand_back_first_s9():
    lowered, gone, released = slept(), slept(), slept()
    lowered.policy = nights(NIGHTS, ("mode: enforce", "mode: observe")).policy
    gone.policy = None
    pause = Pause(id="p", scope="dev", direction=Direction.ALL, reason="x", by="ann", since=0.0, release=True)
    released.pauses.append(pause)
    for daemon in (lowered, gone, released):
        daemon.run(EVENING + 300.0)
        assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]
        assert daemon.standing() == {}
    notes = [note.text for plan in gone.plans for note in plan.notes]
    assert "rolled back: CostPolicy/dev/nights is not in force any more" in notes


def test_a_pause_blocks_a_wake_until_it_ends_and_says_so_s9():
    daemon = slept()
    pause = Pause(id="p", scope="dev/web", direction=Direction.ALL, reason="audit", by="ann", since=0.0)
    daemon.pauses.append(pause)
    daemon.run(MORNING)
    assert (daemon.cluster.value(WEB), daemon.cluster.value(API)) == (0, 4)
    assert any("paused by ann: audit" in line for line in daemon.said.evidence)
    daemon.pauses.clear()
    daemon.run(MORNING + 300.0)
    assert daemon.cluster.value(WEB) == 3


def test_scale_in_that_is_paused_is_no_rest_and_wakes_go_on_s9():
    daemon = nights()
    daemon.pauses.append(Pause(id="p", scope="*", direction=Direction.IN, reason="x", by="ann", since=0.0))
    daemon.run(EVENING)
    assert daemon.did() == []
    other = slept()
    other.pauses.append(Pause(id="p", scope="*", direction=Direction.IN, reason="x", by="ann", since=0.0))
    other.run(MORNING)
    assert other.cluster.value(WEB) == 3


def test_neither_a_freeze_nor_a_store_that_is_full_nor_a_lost_opt_in_keeps_anything_asleep_s2():
    daemon = slept()
    daemon.freezes.append(Freeze(name="year-end", until=MORNING + 86_400.0))
    daemon.store_ok, daemon.namespaces = False, frozenset()
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]
    evening = nights()
    evening.freezes.append(Freeze(name="year-end", until=MORNING))
    evening.run(EVENING)
    assert evening.did() == []
    assert evening.said.reason is Reason.FROZEN


def test_what_rests_by_our_record_alone_is_woken_though_the_store_is_lost_and_full_and_the_opt_in_gone_s2():
    daemon = slept()
    daemon.restart(without_store=True)
    daemon.freezes.append(Freeze(name="year-end", until=MORNING + 86_400.0))
    daemon.store_ok, daemon.namespaces = False, frozenset()
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]


def test_what_cannot_be_seen_is_neither_put_to_rest_nor_forgotten_s2():
    daemon = nights()
    key = daemon.policy.wanted.selections[0].key
    daemon.cluster.unknown = {key: (Reason.CLUSTER_UNAVAILABLE, "timed out")}
    daemon.run(EVENING)
    assert daemon.did() == []
    daemon.cluster.unknown = {}
    daemon.run(NIGHT)
    daemon.cluster.unknown = {key: (Reason.CLUSTER_UNAVAILABLE, "timed out")}
    daemon.run(NIGHT + 3 * 3600.0)
    daemon.cluster.unknown = {}
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]


def test_a_namespace_that_did_not_opt_in_sleeps_not_s3():
    daemon = nights()
    daemon.namespaces = frozenset()
    daemon.run(EVENING)
    assert daemon.did() == []


def test_a_clock_that_was_a_day_ahead_and_is_set_back_keeps_nothing_asleep():
    daemon = nights()
    daemon.ahead = 86_400.0
    daemon.run(EVENING)
    assert daemon.cluster.value(WEB) == 0
    daemon.ahead = 0.0
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_a_look_that_is_older_than_the_last_request_tells_nothing():
    daemon = slept()
    daemon.run(at("2026-03-04 07:54"))
    daemon.cluster.now = at("2026-03-04 07:56")
    daemon.turn()
    daemon.lags = True
    for _ in range(4):
        daemon.cluster.now += TICK_S
        daemon.turn()
    daemon.lags = False
    daemon.run(MORNING)
    assert [said for said in daemon.did() if "web: wakes" in said] == ["Deployment dev/web: wakes, replicas 0 -> 3"]


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
