"""Policies of an API server with decisions, as their statuses are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiops.app.merging import in_force
from aiops.app.status_of import Standing, status_of
from aiops.core.model import (
    Decision,
    Expectation,
    Mode,
    Need,
    Pass,
    Proposal,
    Ruled,
    Ruling,
    Scale,
    TargetRef,
    Tick,
    Verdict,
    Wait,
)
from tests.builders import NOW
from tests.unit.resourced import KEY, World, bounded

TARGET = TargetRef(namespace="shop", name="checkout")


NEED = Need(
    reactive=7, forecast=None, demand=330.0, demand_ahead=None, capacity=50.0, lead_s=60.0, lead_measured=False,
    usage_ratio=1.0,
)  # fmt: skip


NOTHING_AGAINST = Pass()


NOTHING_KNOWN = Expectation(risk_before=None, risk_after=None, cost_usd_per_hour=None)


def decision(ruling: Ruling = NOTHING_AGAINST, *, wanted: int = 7, changed: bool = True, **more: Any) -> Decision:
    """Return a decision of 4 replicas that wants more, as one ruling left it."""
    stopped = isinstance(ruling, Wait)
    proposal = Proposal(
        policy=KEY, target=TARGET, change=Scale(before=4, after=wanted), need=NEED, evidence=(), reason="need",
        expectation=NOTHING_KNOWN,
    )  # fmt: skip
    verdict = Verdict(
        proposal=proposal,
        rulings=(Ruled(guard="test", ruling=ruling, after=wanted),),
        change=Scale(before=4, after=4 if stopped else wanted),
        dry_run=False,
    )
    made = Decision(
        id=f"01DECISION{wanted}", tick_id="01TICK", at=NOW, policy=KEY, policy_digest="d", target=TARGET,
        verdict=verdict, signals=(), action_id=None, changed=changed, story="a story",
    )  # fmt: skip
    return replace(made, **more)


def tick(*decisions: Decision) -> Tick:
    return Tick(id="01TICK", at=NOW, decisions=decisions, actions=(), outcomes=(), findings=(), incidents=())


def standing(world: World, *decisions: Decision, ceiling: Mode = Mode.ENFORCE) -> Standing:
    force = in_force(world.source.current())
    decided = {one.policy: one for one in decisions}
    return Standing(ceiling=ceiling, in_force=force, decided=decided, since={}, findings={})


def of(world: World, *decisions: Decision, key: str = KEY, **more: Any) -> dict[str, Any]:
    return status_of(world.source.book.entries[key], world.source.made, standing(world, *decisions, **more), NOW)


def said(status: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.resources.put(bounded(20))
    made.start()
    return made
