"""When the status of a policy is written, and when it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiops.app.status_of import significant
from aiops.app.statuses import AT_ONCE, EVERY_S, FAILED_S, REFUSED_S, Statuses, Telling
from aiops.core.model import (
    Decision,
    Mode,
    Reason,
    Wait,
)
from aiops.errors import ClusterUnavailable, NoPermission, StoreUnavailable
from aiops.ports import PolicyResource
from tests.builders import NOW
from tests.unit.resourced import BROKEN, KEY, Hand, World, bounded
from tests.unit.status_world import (
    decision,
    said,
    tick,
    world,
)

__all__ = ["world"]

# -- when it is told -------------------------------------------------------------------------------------------


class Desk:
    """Statuses with a clock, a leader and an API server that are moved by hand."""

    def __init__(self, world: World) -> None:
        self.world, self.clock, self.leads = world, Hand(), True
        self.failure: Exception | None = None
        self.refused = ""
        self.statuses = Statuses(
            world.source,
            self,  # type: ignore[arg-type]  # only `tell` is asked of it
            Telling(leads=lambda: self.leads, ceiling=Mode.ENFORCE, wall=lambda: NOW, elapsed_s=self.clock),
        )

    def tell(self, resource: PolicyResource, status: Mapping[str, Any]) -> bool:
        if self.failure is not None:
            raise self.failure
        if resource.name == self.refused:
            raise ClusterUnavailable(f"patch ScalingPolicy/status: 422 {resource.name} is refused")
        return self.world.resources.tell(resource, status)

    def turn(self, *decisions: Decision, after_s: float = 2.0) -> int:
        """Let a turn and a pass go by, and return how many statuses were written."""
        self.clock.at_s += after_s
        before = len(self.world.resources.told)
        self.statuses.note(tick(*decisions))
        self.statuses.tell()
        return len(self.world.resources.told) - before


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def test_a_status_is_written_once_and_not_again_while_nothing_changes(desk: Desk):
    assert desk.turn(decision()) == 1
    assert [desk.turn(replace(decision(), id="01ANOTHER"), after_s=EVERY_S) for _ in range(20)] == [0] * 20


def test_its_own_write_is_no_reason_to_write(desk: Desk):
    desk.turn(decision())
    # the watch brings back what was written, with what the API server made of it
    written = dict(desk.world.resources.told[-1][1])
    desk.world.resources.found[KEY] = replace(desk.world.resources.found[KEY], status=written)
    desk.world.reload()
    assert [desk.turn(decision(), after_s=EVERY_S) for _ in range(5)] == [0] * 5


def test_a_process_that_finds_its_status_as_it_should_be_writes_nothing(desk: Desk, world: World):
    desk.turn(decision())
    world.resources.found[KEY] = replace(world.resources.found[KEY], status=dict(world.resources.told[-1][1]))
    world.reload()
    assert Desk(world).turn(decision()) == 0


def test_numbers_that_change_each_turn_are_written_once_in_a_while(desk: Desk):
    desk.turn(decision())
    writes = sum(desk.turn(decision(wanted=5 + turn % 9)) for turn in range(300))
    assert writes == pytest.approx(600 / (EVERY_S + 1), abs=3)


def test_sentences_that_change_are_no_reason_to_write(desk: Desk):
    waits = [Wait(reason=Reason.COOLDOWN, detail=f"{left} s left") for left in range(60, 0, -2)]
    assert sum(desk.turn(decision(wait), after_s=EVERY_S) for wait in waits) == 1


def test_whoever_edits_is_answered_at_once(desk: Desk, world: World):
    desk.turn(decision())
    world.resources.put(bounded(20, **BROKEN))
    world.reload()
    assert desk.turn(decision()) == 1
    world.resources.put(bounded(21))
    world.reload()
    assert desk.turn(decision()) == 1
    assert said(world.resources.told[-1][1])["Valid"] == ("True", "Accepted")


def test_a_generation_is_not_said_to_be_in_force_before_it_is(tmp_path: Path):
    away = False

    def adopted(_: object) -> None:
        if away:
            raise StoreUnavailable("the policies cannot be written")

    world = World(tmp_path, adopted=adopted)
    world.resources.put(bounded(20))
    world.start()
    desk = Desk(world)
    desk.turn(decision())
    away = True
    world.resources.put(bounded(21))
    with pytest.raises(StoreUnavailable):
        world.reload()
    assert desk.turn(decision(), after_s=EVERY_S) == 0
    away = False
    world.reload()
    assert desk.turn(decision()) == 1
    status = world.resources.told[-1][1]
    (policy,) = world.source.current().scaling
    assert (status["acceptedGeneration"], status["specHash"]) == (2, policy.spec_hash)
    assert policy.bounds.max_replicas == 21


def test_who_does_not_lead_writes_nothing_s2(desk: Desk):
    desk.leads = False
    assert desk.turn(decision()) == 0
    desk.leads = True
    assert desk.turn(decision()) == 1


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (NoPermission("patch is forbidden"), REFUSED_S),
        (ClusterUnavailable("no answer"), FAILED_S),
        (ClusterUnavailable("left alone", 40.0), 40.0),
    ],
    ids=["forbidden", "no answer", "asked to be left alone"],
)
def test_a_write_that_fails_is_tried_again_later_and_said_s10(desk: Desk, failure, seconds):
    desk.failure = failure
    desk.turn(decision())
    assert desk.statuses.problem == str(failure)
    desk.failure = None
    assert desk.turn(decision(), after_s=seconds - 0.1) == 0
    assert desk.turn(decision(), after_s=0.2) == 1
    assert desk.statuses.problem == ""


def test_a_thousand_resources_are_told_a_few_at_a_time_and_all_of_them(tmp_path: Path):
    world = World(tmp_path)
    for number in range(50):
        target = {"kind": "Deployment", "name": f"n{number}"}
        world.resources.put(bounded(20, f"p{number}", target=target))
    world.start()
    desk = Desk(world)
    assert [desk.turn() for _ in range(4)] == [AT_ONCE, AT_ONCE, 50 - 2 * AT_ONCE, 0]
    assert len({key for key, _ in world.resources.told}) == 50


def many(folder: Path, number: int) -> Desk:
    world = World(folder)
    for one in range(number):
        world.resources.put(bounded(20, f"p{one:02}", target={"kind": "Deployment", "name": f"n{one}"}))
    world.start()
    return Desk(world)


def test_many_whose_numbers_change_all_the_time_keep_nobody_untold(tmp_path: Path):
    desk = many(tmp_path, 3 * AT_ONCE)
    keys = [f"ScalingPolicy/shop/p{one:02}" for one in range(3 * AT_ONCE)]
    for turn in range(6):
        wanted = [replace(decision(wanted=5 + turn), policy=key, id=f"{turn}{key}") for key in keys]
        desk.turn(*wanted, after_s=EVERY_S)
    told = Counter(key for key, _ in desk.world.resources.told)
    assert [told[key] for key in keys] == [2] * len(keys)


def test_one_that_cannot_be_written_keeps_nobody_untold_s10(tmp_path: Path):
    desk = many(tmp_path, 3)
    desk.refused = "p00"
    for _ in range(6):
        desk.turn(after_s=FAILED_S)
    assert {key for key, _ in desk.world.resources.told} == {"ScalingPolicy/shop/p01", "ScalingPolicy/shop/p02"}
    assert "is refused" in desk.statuses.problem


def test_the_last_decision_is_the_one_since_which_nothing_changed(desk: Desk, world: World):
    desk.turn(decision(wanted=7))
    desk.statuses.note(tick(replace(decision(wanted=7, changed=False), id="01LATER")))
    world.resources.put(bounded(21))
    world.reload()
    desk.turn(replace(decision(wanted=7, changed=False), id="01LATEST"))
    assert world.resources.told[-1][1]["lastDecision"] == "01DECISION7"


def test_what_is_significant_leaves_out_what_is_not():
    status = {
        "verdict": "wait",
        "lastDecision": "01A",
        "lastDecisionTime": "then",
        "conditions": [
            {"type": "Valid", "status": "True", "reason": "Accepted", "message": "said"},
            {"type": "Acting", "status": "True", "reason": "Enforce", "message": "31 s left"},
        ],
    }
    assert significant(status) == {
        "verdict": "wait",
        "conditions": {"Valid": ("True", "Accepted", "said"), "Acting": ("True", "Enforce", "")},
    }
