"""What people are told of a failover group, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from aiops.core.model import (
    GroupState,
    Instant,
    Judgement,
    Leadership,
    LoopState,
    Mode,
    Reason,
    Scope,
    StepResult,
    StepStatus,
    VerdictWord,
)
from aiops.core.pipeline.paging import AGAIN_S, APART_S, WITHIN_S, acknowledged, noted, page
from aiops.core.plans.guards import Bounds
from tests.unit.failing import Driven, a_group

ASKS = Judgement(
    word=VerdictWord.ASK,
    reason=Reason.STANDBY_SICK,
    detail="users of west fail; nowhere to go",
    evidence=("west: sick",),
)


def bounds(mode: str = "approve", **changes: object) -> Bounds:
    policy = a_group(("mode: approve", f"mode: {mode}"))
    return Bounds(policy=policy, snapshot=replace(Driven(policy=policy).snapshot, **changes), plans=())


def test_what_is_asked_is_told_with_what_was_seen():
    told = page(ASKS, {}, bounds())
    (message,) = told.messages
    assert message.operation.title == "storefront asks: standby_sick"
    assert message.operation.text == "users of west fail; nowhere to go\nwest: sick"
    assert (told.plan_id, told.steps, told.dry_run) == ("", (), False)


def test_a_plan_that_waits_for_a_yes_is_named():
    told = page(replace(ASKS, reason=Reason.APPROVAL_NEEDED, plan_id="01H"), {}, bounds())
    assert "`aiops plans show 01H`" in told.messages[0].operation.text


@pytest.mark.parametrize(
    ("word", "reason", "told"),
    [
        (VerdictWord.WAIT, Reason.API_DOWN, True),
        (VerdictWord.WAIT, Reason.INCONCLUSIVE, False),
        (VerdictWord.STEADY, None, False),
        (VerdictWord.ALLOW, None, False),
    ],
)
def test_of_holds_only_an_api_that_is_down_is_told(word, reason, told):
    assert (page(replace(ASKS, word=word, reason=reason), {}, bounds()) is not None) is told


def told(
    paged: Mapping[str, Instant], judgement: Judgement, where: Bounds, status: str = "done"
) -> Mapping[str, Instant]:
    """Return what is remembered once a message was sent, and answered so."""
    errand = page(judgement, paged, where)
    assert errand is not None
    state = LoopState(groups={errand.policy: GroupState(paged=noted(paged, judgement, where.now))})
    answer = StepResult(action_id=errand.id, status=StepStatus(status), at=where.now)
    return acknowledged(state, errand, () if status == "unknown" else (answer,)).groups[errand.policy].paged


def later(seconds: float) -> Bounds:
    where = bounds()
    return replace(where, snapshot=replace(where.snapshot, at=where.now + seconds))


@pytest.mark.parametrize("status", ["done", "refused"])
def test_the_same_is_told_once_an_hour(status):
    now = bounds().now
    paged = told({}, ASKS, bounds(), status)
    assert paged == {"standby_sick/": now, "standby_sick": now}
    assert page(ASKS, paged, later(AGAIN_S - 1.0)) is None
    assert page(ASKS, paged, later(AGAIN_S)) is not None
    assert page(replace(ASKS, reason=Reason.PARTITIONED), paged, later(1.0)) is not None
    assert "old/" not in noted({"old/": now - AGAIN_S}, ASKS, now)


def test_what_nobody_knows_to_have_come_is_told_again_after_a_minute_s6():
    paged = told({}, ASKS, bounds(), "unknown")
    assert page(ASKS, paged, later(WITHIN_S - 1.0)) is None
    assert page(ASKS, paged, later(WITHIN_S)) is not None
    again = told(paged, ASKS, later(WITHIN_S))
    assert page(ASKS, again, later(2.0 * WITHIN_S)) is None


def test_plans_that_come_and_go_for_one_reason_are_told_every_ten_minutes_at_most():
    paged = told({}, replace(ASKS, plan_id="01A"), bounds())
    other = replace(ASKS, plan_id="01B")
    assert page(other, paged, later(300.0)) is None
    assert page(other, paged, later(APART_S)) is not None


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("observe", {}),
        ("dry-run", {}),
        ("approve", {"scope": Scope(ceiling=Mode.DRY_RUN)}),
        ("enforce", {"leadership": Leadership(leader=False, epoch=1)}),
    ],
)
def test_whoever_may_not_act_tells_nobody(mode, changes):
    assert page(ASKS, {}, bounds(mode, **changes)) is None
