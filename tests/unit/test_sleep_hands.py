"""Workloads that sleep and who says otherwise: people, modes, pauses, freezes, and what cannot be seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import Direction, Freeze, Order, OrderKind, Pause, PlanStatus, Reason, VerdictWord
from aiops.core.objects.resting import RECORD
from aiops.policy import parse
from tests.unit.rested import (
    API,
    CRON,
    DB,
    HEADER,
    NIGHTS,
    TICK_S,
    WEB,
    at,
    cron,
    nights,
    workload,
)
from tests.unit.sleeping import EVENING, MORNING, NIGHT, slept, why

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


# -- two policies over one workload ----------------------------------------------------------------------

LATER = """
  mode: enforce
  target: {kinds: [Deployment], every: true, maxTargets: 20}
  sleep: {windows: [{schedule: "0 22 * * *", duration: %s, timeZone: UTC}], wakeAhead: 1m, to: 0}
"""


@pytest.mark.parametrize(
    ("to", "duration", "values", "back"),
    [
        (0, "6h", [3, 0, 3], "08:00"),
        (1, "6h", [3, 1, 3], "08:00"),
        (0, "14h", [3, 0, 3], "12:00"),
        (1, "14h", [3, 1, 0, 3], "12:00"),
    ],
)
def test_of_rests_that_overlap_the_first_has_it_then_the_next_and_what_it_was_is_known(to, duration, values, back):
    first = NIGHTS.replace("wakeAhead: 5m", f"wakeAhead: 1m\n    to: {to}")
    (policy,) = parse(HEADER + first, "first.yaml").plans
    (other,) = parse(HEADER.replace("nights", "later") + LATER % duration, "later.yaml").plans
    daemon = nights()
    daemon.policy, daemon.beside = policy, (other,)
    seen = []
    while daemon.now < at("2026-03-04 19:00"):
        daemon.run(daemon.now + 900.0)
        value = daemon.cluster.value(WEB)
        if not seen or seen[-1][1] != value:
            seen.append((daemon.now, value))
    assert [value for _, value in seen] == values
    assert 0.0 <= seen[-1][0] - at(f"2026-03-04 {back}") < 900.0
    assert daemon.cluster.record(WEB) is None
