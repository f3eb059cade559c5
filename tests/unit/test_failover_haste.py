"""While users may be failing, or are being moved, groups are looked at more often, and that costs no evidence."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from aiops.app.wiring import Built
from aiops.core.decide.failover.evidence import Common, Reading, heard, judged
from aiops.core.model import GroupState, Leadership, LoopState, PlanKind, PlanStatus, View
from aiops.core.pipeline import hastened, pressing
from aiops.loop import ControlLoop
from simulators.failover.daemon import Turns
from tests.plan_world import NOW, plan
from tests.unit.failing import a_group

GROUP = a_group()
WATCHING = replace(GROUP.watching, window_s=30.0)
CALM = LoopState(groups={GROUP.key: GroupState()})
MOVING = plan(policy=GROUP.key, kind=PlanKind.PREPARE, status=PlanStatus.RUNNING)


def troubled(since: float) -> LoopState:
    return LoopState(groups={GROUP.key: GroupState(trouble_since=since)})


@pytest.mark.parametrize(
    ("state", "presses"),
    [
        (LoopState(), False),
        (CALM, False),
        (troubled(NOW - 10.0), True),
        (troubled(NOW - 601.0), False),
        (replace(CALM, plans={"p": MOVING}), True),
        (replace(CALM, plans={"p": replace(MOVING, held="paused by ada")}), False),
        (replace(CALM, plans={"p": replace(MOVING, status=PlanStatus.DONE)}), False),
        (replace(CALM, plans={"p": replace(MOVING, kind=PlanKind.FAILBACK)}), False),
    ],
    ids=["new", "calm", "users may fail", "for long", "being moved", "held", "done", "home by steps"],
)
def test_looks_are_worth_more_while_users_may_be_failing_lately_or_are_being_moved(state, presses):
    assert pressing((GROUP,), state, NOW) is presses
    assert not pressing((), state, NOW)


@pytest.mark.parametrize("leads", [False, True])
def test_whoever_stands_by_goes_by_what_it_sees_itself(leads):
    loop = object.__new__(ControlLoop)
    loop.ports = SimpleNamespace(policies=SimpleNamespace(current=lambda: SimpleNamespace(plans=(GROUP,))))
    loop.leadership = Leadership(leader=leads, epoch=1, elected=True)
    loop.state, loop._reign = CALM, SimpleNamespace(followed=troubled(NOW - 10.0))
    assert loop.pressing(NOW) is not leads


def test_a_turn_between_two_is_taken_while_something_presses_and_not_else():
    turned = []
    for presses in (False, True):
        built = SimpleNamespace(
            loop=SimpleNamespace(pressing=lambda _, presses=presses: presses),
            world=SimpleNamespace(present=lambda: NOW),
            turn_plans=lambda presses=presses: turned.append(presses),
        )
        Built.turn_pressing(built)
    assert turned == [True]


def test_daemons_turn_more_often_by_two_fifths_and_every_second_at_most():
    assert [hastened(lane_s) for lane_s in (10.0, 5.0, 2.0, 1.0)] == [4.0, 2.0, 1.0, 1.0]
    turns = Turns(3, 5.0)
    assert [second for second in range(12) if turns.due(second, pressing=False)] == [3, 8]
    assert [second for second in range(12) if turns.due(second, pressing=True)] == [1, 3, 5, 7, 8, 9, 11]


@pytest.mark.parametrize("every_s", [1, 2, 5])
def test_three_tenths_that_fail_are_found_as_soon_however_often_is_looked(every_s):
    seconds = [1.0 if second % 10 in (0, 3, 6) else 0.0 for second in range(-30, 200)]
    seconds[:30] = [0.0] * 30
    view, found = View(), 0
    for now in range(0, 200, every_s):
        window = seconds[now : now + 30]
        view, news = heard(view, Reading(at=float(now), share=sum(window) / 30.0, rate_rps=1.0), WATCHING)
        if news is not None:
            view = judged(view, news, Common(share=0.0, at_most=0.03), WATCHING)
        found = found or (now if view.bad else 0)
    assert 25 <= found <= 45


def test_one_who_looks_often_calls_no_blip_of_fifteen_seconds_a_failure():
    seconds = [0.0] * 40 + [1.0] * 15 + [0.0] * 100
    view, bad = View(), False
    for now in range(0, 120, 2):
        window = seconds[now : now + 30]
        view, news = heard(view, Reading(at=float(now), share=sum(window) / 30.0, rate_rps=1.0), WATCHING)
        if news is not None:
            view = judged(view, news, Common(share=0.0, at_most=0.03), WATCHING)
        bad = bad or view.bad
    assert not bad
