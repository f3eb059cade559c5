"""The status of a resource: conditions as an HPA has them, told by the leader, on a change, and not too often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiops.app.merging import in_force
from aiops.app.promotion import Gate, resolved
from aiops.app.status_of import SAID_BY, Standing, camel, significant, status_of
from aiops.app.statuses import AT_ONCE, EVERY_S, FAILED_S, REFUSED_S, Statuses, Telling
from aiops.core.model import (
    BudgetPeriod,
    BudgetStanding,
    Clamp,
    Decision,
    Expectation,
    Mode,
    Need,
    Pass,
    Proposal,
    Reason,
    Ruled,
    Ruling,
    Scale,
    TargetRef,
    Tick,
    Verdict,
    Wait,
)
from aiops.core.versions import Promotion, spec_hash
from aiops.errors import ClusterUnavailable, NoPermission, StoreUnavailable
from aiops.policy.crd import crds
from aiops.policy.expansion import Seen, expanded
from aiops.ports import PolicyResource
from tests.builders import NOW, loaded
from tests.unit.resourced import BROKEN, KEY, Hand, World, bounded

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
