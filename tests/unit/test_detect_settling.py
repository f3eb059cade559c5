"""What is changed on purpose: findings are excused for a stated time, with the reason, and no longer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.detect.elsewhere import Elsewhere
from aiops.core.detect.settling import Settling
from aiops.core.model import Finding, FindingKind
from aiops.core.policies import Rollouts
from tests.unit.fleet import WATCH, Days, a_set, a_watch, services

WAITS = {WATCH: 1800.0}
ROLLOUT = {("shop", "web"): "a rollout of Deployment shop/web"}


def a_finding(since: float, *, alarm: bool = False, **labels: str) -> Finding:
    return Finding(
        policy=WATCH, series=f"{WATCH}#a", labels=labels or {"service": "web"}, kind=FindingKind.POINT, at=since,
        since=since, score=3.0, p_value=1e-6, value=9.0, expected=1.0, lower=0.0, upper=2.0, reason="odd", alarm=alarm,
    )  # fmt: skip


@pytest.mark.parametrize(
    "labels",
    [{"service": "web"}, {"deployment": "web"}, {"pod": "web-6c9f7-x2x4z"}, {"pod": "web-0"}],
    ids=lambda one: next(iter(one.items()))[1] if isinstance(one, dict) else "",
)
def test_what_began_with_a_rollout_is_excused_with_the_reason(labels: dict[str, str]) -> None:
    settling = Settling()
    settling.note(1000.0, ROLLOUT, 1800.0)
    count, excused = settling.parted([a_finding(1060.0, alarm=True, **labels)], WAITS, 1060.0)
    assert count == []
    assert not excused[0].alarm
    assert excused[0].reason == "odd; expected for 29 min yet: a rollout of Deployment shop/web"


@pytest.mark.parametrize(
    ("since", "labels", "waits"),
    [
        (900.0, {"service": "web"}, WAITS),
        (1060.0, {"service": "db"}, WAITS),
        (1060.0, {"service": "web", "namespace": "other"}, WAITS),
        (1060.0, {"service": "web"}, {}),
    ],
    ids=["it began before", "another service", "another namespace", "its policy does not wait"],
)
def test_what_has_nothing_to_do_with_a_rollout_counts(
    since: float, labels: dict[str, str], waits: dict[str, float]
) -> None:
    settling = Settling()
    settling.note(1000.0, ROLLOUT, 1800.0)
    assert settling.parted([a_finding(since, **labels)], waits, 1060.0)[1] == []


def test_what_is_still_odd_when_the_rollout_has_settled_calls_people_then_and_once() -> None:
    settling, one = Settling(), a_finding(1060.0, alarm=True)
    settling.note(1000.0, ROLLOUT, 1800.0)
    settling.parted([one], WAITS, 1060.0)
    later = replace(one, alarm=False)
    assert settling.parted([later], WAITS, 2700.0)[0] == []
    assert [found.alarm for found in settling.parted([later], WAITS, 2900.0)[0]] == [True]
    assert [found.alarm for found in settling.parted([later], WAITS, 2960.0)[0]] == [False]


def test_drift_that_stands_calls_people_though_errors_are_no_larger_than_they_were() -> None:
    settling, one = Settling(), replace(a_finding(1060.0, alarm=True), kind=FindingKind.DRIFT, score=1.0)
    settling.note(1000.0, ROLLOUT, 1800.0)
    settling.parted([one], WAITS, 1060.0)
    assert [found.alarm for found in settling.parted([replace(one, alarm=False)], WAITS, 2900.0)[0]] == [True]


def test_one_change_after_another_excuses_nothing_for_ever() -> None:
    settling, one = Settling(), a_finding(1060.0)
    counted = []
    for minute in range(120):
        at = 1000.0 + 60.0 * minute
        settling.note(at, ROLLOUT, 1800.0)
        counted += [at] if settling.parted([one], WAITS, at)[0] else []
    assert counted[0] - one.since == pytest.approx(3600.0, abs=61.0)


def test_a_restart_forgets_neither_changes_nor_whom_people_were_not_told_of() -> None:
    before, after, one = Settling(), Settling(), a_finding(1060.0, alarm=True)
    before.note(1000.0, ROLLOUT, 1800.0)
    before.parted([one], WAITS, 1060.0)
    after.restore(before.about())
    later = replace(one, alarm=False)
    assert after.parted([later], WAITS, 2000.0)[1] != []
    assert after.parted([later], WAITS, 2900.0)[0][0].alarm


def test_what_people_were_not_told_of_is_remembered_beside_another_finding_of_the_same_series() -> None:
    settling, one = Settling(), a_finding(1060.0, alarm=True)
    later, other = replace(one, alarm=False), replace(a_finding(1090.0), kind=FindingKind.TREND)
    settling.note(1000.0, ROLLOUT, 1800.0)
    for at, findings in ((1060.0, [one]), (1090.0, [later, other]), (1100.0, [later, other])):
        assert settling.parted(findings, WAITS, at)[0] == []
    restarted = Settling()
    restarted.restore(settling.about())
    told = [(found.kind, found.alarm) for found in restarted.parted([later, other], WAITS, 2900.0)[0]]
    assert told == [(FindingKind.POINT, True), (FindingKind.TREND, False)]


def test_a_new_level_after_a_rollout_is_excused_while_it_settles_and_then_calls_people_once() -> None:
    policy = replace(a_watch(), rollouts=Rollouts(settle_s=5400.0))
    days = Days(a_set(policy), services("web"), step_s=300.0)
    days.ticks(3 * 288)
    seen = []
    for look in range(6 * 12):
        beside = Elsewhere(changed=ROLLOUT if look < 2 else {})
        seen.append(days.tick(list(200.0 + days.usual()), beside=beside))
    assert [bool(one.excused) for one in seen[:20]] == [True] * 20
    assert not any(one.findings or one.incidents for one in seen[:20])
    assert [one.alarm for each in seen for one in each.findings].count(True) == 1
