"""The status of a resource: conditions as an HPA has them, told by the leader, on a change, and not too often."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from aiops.app.promotion import Gate, resolved
from aiops.app.status_of import SAID_BY, camel, status_of
from aiops.core.model import (
    BudgetPeriod,
    BudgetStanding,
    Clamp,
    Mode,
    Reason,
    Wait,
)
from aiops.core.versions import Promotion, spec_hash
from aiops.policy.crd import crds
from aiops.policy.expansion import Seen, expanded
from tests.builders import NOW, loaded
from tests.unit.resourced import BROKEN, KEY, World, bounded
from tests.unit.status_world import (
    TARGET,
    decision,
    of,
    said,
    standing,
    world,
)

__all__ = ["world"]

# -- what it says ----------------------------------------------------------------------------------------------


def test_a_budget_says_how_it_burns(world: World):
    spec = {"amount": 1000, "scope": {"team": "payments"}}
    metadata = {"name": "payments", "namespace": "shop"}
    kind = {"apiVersion": "policy.aiops/v1alpha1", "kind": "CostBudget"}
    world.resources.put({**kind, "metadata": metadata, "spec": spec})
    world.source.reload()
    key = "CostBudget/shop/payments"
    burns = BudgetStanding(
        budget=key, period=BudgetPeriod.MONTH, at=NOW, start=NOW, until=NOW, amount=1000.0, spent=412.344,
        projected=1100.006,
    )  # fmt: skip
    stood = replace(standing(world), budgets={key: burns})
    status = status_of(world.source.book.entries[key], world.source.made, stood, NOW)
    assert (status["spent"], status["projected"], status["ratio"]) == (412.34, 1100.01, "110%")
    unknown = replace(stood, budgets={key: replace(burns, projected=None)})
    assert "ratio" not in status_of(world.source.book.entries[key], world.source.made, unknown, NOW)


def test_a_policy_that_acts_says_where_it_stands(world: World):
    status = of(world, decision())
    (policy,) = world.source.current().scaling
    assert {key: value for key, value in status.items() if key != "conditions"} == {
        "observedGeneration": 1,
        "acceptedGeneration": 1,
        "digest": policy.digest,
        "specHash": spec_hash(policy.document),
        "mode": "enforce",
        "verdict": "allow",
        "currentReplicas": 4,
        "wantedReplicas": 7,
        "lastDecision": "01DECISION7",
        "lastDecisionTime": "2026-03-02T11:13:20Z",
    }
    assert said(status) == {
        "Valid": ("True", "Accepted"),
        "AbleToAct": ("True", "ReadyToAct"),
        "Acting": ("True", "Enforce"),
        "ScalingLimited": ("False", "NotLimited"),
    }


RULINGS = {
    Wait(reason=Reason.NO_PERMISSION, detail="patch is forbidden"): ("AbleToAct", "False", "NoPermission"),
    Wait(reason=Reason.NOT_LEADER, detail="the lease has run out"): ("AbleToAct", "False", "NotLeader"),
    Wait(reason=Reason.ABSENT_SIGNAL, detail="demand is absent"): ("Acting", "False", "AbsentSignal"),
    Wait(reason=Reason.PAUSED, detail="paused by on-call"): ("Acting", "False", "Paused"),
    Wait(reason=Reason.COOLDOWN, detail="30 s left"): ("ScalingLimited", "True", "Cooldown"),
    Clamp(after=6, reason=Reason.BOUNDS, detail="at most 6"): ("ScalingLimited", "True", "Bounds"),
}


@pytest.mark.parametrize("ruling", RULINGS, ids=lambda one: one.reason.value)
def test_what_bound_a_decision_turns_one_condition(world: World, ruling):
    kind, word, reason = RULINGS[ruling]
    usual, found = said(of(world, decision())), said(of(world, decision(ruling)))
    assert found[kind] == (word, reason)
    assert {k: v for k, v in found.items() if k != kind} == {k: v for k, v in usual.items() if k != kind}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_turns_a_condition_and_is_written_as_conditions_write(reason):
    assert SAID_BY[reason] in ("AbleToAct", "Acting", "ScalingLimited")
    (pattern,) = {
        one["properties"]["reason"]["pattern"]
        for crd in crds()
        for one in [
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"][
                "items"
            ]
        ]
    }
    assert re.fullmatch(pattern, camel(reason.value))


def test_the_mode_in_force_is_the_stricter_one(world: World):
    status = of(world, decision(), ceiling=Mode.DRY_RUN)
    assert (status["mode"], said(status)["Acting"]) == ("dry-run", ("False", "DryRun"))


def test_a_generation_that_waits_for_its_promotion_is_not_said_to_be_in_force_s6(world: World):
    word = Promotion(
        policy=KEY, spec_hash=loaded().spec_hash, mode=Mode.ENFORCE, by="ann", at=NOW, reason="a good week",
        forced=False, evidence="{}", document=loaded().document,
    )  # fmt: skip
    promoted = resolved(world.source.current(), [word], Gate.EVIDENCE).standings
    status = status_of(
        world.source.book.entries[KEY], world.source.made, replace(standing(world, decision()), promoted=promoted), NOW
    )
    conditions = {one["type"]: one for one in status["conditions"]}
    assert conditions["Valid"]["message"] == f"generation 1 runs in the shadow of {word.spec_hash[:8]}"
    assert (conditions["Acting"]["status"], conditions["Acting"]["reason"]) == ("True", "Enforce")
    assert "promote with" in conditions["Acting"]["message"]


def test_before_the_first_turn_nothing_is_claimed(world: World):
    status = of(world)
    assert {reason for _, (_, reason) in said(status).items()} == {"Accepted", "NotYetDecided"}
    assert "verdict" not in status


def test_an_invalid_resource_names_its_fields_and_what_goes_on(world: World):
    world.resources.put(bounded(20, **BROKEN))
    world.reload()
    status = of(world, decision())
    assert (status["observedGeneration"], status["acceptedGeneration"]) == (2, 1)
    valid = status["conditions"][0]
    assert valid["message"].startswith("spec.signals.demand.query: PromQL: ")
    assert valid["message"].endswith("generation 1 goes on")
    assert said(status)["Acting"] == ("True", "Enforce")


def test_many_problems_are_not_all_said(world: World):
    problems = {"spec": {"bounds": {"minReplicas": -1}}, "others": {f"x{number}": 1 for number in range(30)}}
    world.resources.put(bounded(20, **problems["others"]))
    world.reload()
    message = of(world)["conditions"][0]["message"]
    assert "; and 20 more; " in message
    assert len(message) <= 4000


def test_two_claims_hold_both(world: World):
    world.resources.put(bounded(20, "second", target={"kind": "Deployment", "name": "checkout"}))
    world.reload()
    first = of(world, decision(Wait(reason=Reason.PAUSED, detail="paused by aiops")))
    assert said(first)["Valid"] == ("False", "Conflict")
    assert said(first)["Acting"] == ("False", "Held")
    second = of(world, key="ScalingPolicy/shop/second")
    assert {word for word, _ in said(second).values()} == {"False"}
    assert "mode" not in second


def test_a_condition_keeps_the_time_of_its_last_turn(world: World):
    old = {"conditions": [{"type": "Valid", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    world.resources.found[KEY] = replace(world.resources.found[KEY], status=old)
    world.reload()
    times = {one["type"]: one["lastTransitionTime"] for one in of(world, decision())["conditions"]}
    assert (times["Valid"], times["Acting"]) == ("2026-01-01T00:00:00Z", "2026-03-02T11:13:20Z")


def test_the_spec_hash_is_that_of_everything_but_mode_and_labels(world: World):
    def hashed(**more: Any) -> str:
        labels = more.pop("labels", {})
        document = bounded(20, **more)
        document["metadata"]["labels"] = labels
        world.resources.put(document)
        world.reload()
        return str(of(world)["specHash"])

    first = hashed()
    assert hashed(mode="dry-run") == hashed(labels={"team": "payments"}) == first
    assert hashed(lever="hpa-floor") != first


def test_what_is_written_is_what_the_schema_knows(world: World):
    """What the API server does not know it drops, and what it does not take it refuses."""
    (schema,) = (one for one in crds() if one["spec"]["names"]["kind"] == "ScalingPolicy")
    known = schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    status = of(world, decision())
    chosen = {"selector": {"matchLabels": {"tier": "web"}}, "maxTargets": 3}
    world.resources.put(bounded(20, target=chosen, signals={"demand": {"query": 'sum(demand{app="$(target.name)"})'}}))
    world.reload()
    assert set(status) | set(of(world, decision())) == set(known)
    for condition in status["conditions"]:
        assert set(condition) == set(known["conditions"]["items"]["properties"])


def test_a_template_says_where_its_members_stand_together(world: World):
    chosen = {"selector": {"matchLabels": {"tier": "web"}}, "maxTargets": 2}
    world.resources.put(bounded(20, target=chosen, signals={"demand": {"query": 'sum(demand{app="$(target.name)"})'}}))
    world.reload()
    (template,) = world.source.current().templates
    listed = {"cart": {"tier": "web"}, "checkout": {"tier": "web"}}
    made = expanded(world.source.current(), {}, Seen(lists={KEY: listed}, now=NOW))
    calm = decision(policy=f"{KEY}_cart", target=replace(TARGET, name="cart"))
    waits = decision(Wait(reason=Reason.COOLDOWN, detail="30 s left"), policy=f"{KEY}_checkout")
    held = replace(standing(world, calm, waits), expanded=made)
    status = status_of(world.source.book.entries[KEY], world.source.made, held, NOW)
    assert (status["targets"], status["currentReplicas"], status["wantedReplicas"]) == (2, 8, 14)
    assert said(status)["ScalingLimited"] == ("True", "Cooldown")
    (limited,) = [one for one in status["conditions"] if one["type"] == "ScalingLimited"]
    assert limited["message"] == "shop/checkout: 30 s left"
    listed["a"] = {"tier": "web"}
    more = expanded(world.source.current(), made.memberships, Seen(lists={KEY: listed}, now=NOW))
    stopped = status_of(world.source.book.entries[KEY], world.source.made, replace(held, expanded=more), NOW)
    (acting,) = [one for one in stopped["conditions"] if one["type"] == "Acting"]
    assert (acting["status"], acting["reason"]) == ("False", "Held")
    assert acting["message"].startswith(f"3 {template.target.kind}s match tier=web, maxTargets is 2")
