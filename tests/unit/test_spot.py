"""A CostPolicy with `spot` runs part of a Deployment on spot nodes as far as that pays, and gives it back at once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aiops.core.decide.cost.spot.risk import Stakes, best, expected_loss, gamma_cdf, limit, lost_at_once, rate_bound
from aiops.core.model import Errand, PlanStatus, Reason, SplitReplicas
from aiops.core.money.ledger import SavingKind
from aiops.core.money.spend import nano
from aiops.core.money.standing import Rested, standing
from aiops.core.pipeline.planning import plan_turn
from aiops.core.planning.doing import operations_of, reads_of
from aiops.core.plans.lifecycle import wakes
from aiops.core.policies import PolicySet
from aiops.errors import InvalidInput
from aiops.loop.costed import costed
from aiops.policy import parse
from tests.unit.packed import ref
from tests.unit.spotting import BASE, HEADER, HPA, SPEC, SPOT, World, a_policy

# -- how much is worth it ------------------------------------------------------------------------------


def stakes(**more: object) -> Stakes:
    """Return twelve replicas of which six must be left, evenly in three pools."""
    shares = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    made = Stakes(
        total=12,
        floor=6,
        saves_usd=0.03,
        lost_usd=2.0,
        replace_s=300.0,
        rates=dict.fromkeys(shares, 0.1),
        shares=shares,
        most=12,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def test_the_bound_of_a_rate_falls_with_quiet_hours_and_rises_with_waves() -> None:
    # no wave in 100 hours, after one in 20 was assumed: 3 / 120
    assert rate_bound(0, 100, 0.05, 0.95) == pytest.approx(2.9957 / 120, rel=1e-4)
    assert rate_bound(3, 100, 0.05, 0.95) == pytest.approx(7.7537 / 120, rel=1e-4)
    assert gamma_cdf(7.7537, 4.0) == pytest.approx(0.95, abs=1e-5)


def test_what_goes_at_once_costs_more_than_what_goes_bit_by_bit() -> None:
    one_pool = stakes(shares={"a": 1.0}, rates={"a": 0.1})
    # six at once: 0.1 waves an hour, 1/12 h, 6 * 7 / 2 / 6 replicas at their price; and three times two
    assert expected_loss(one_pool, 6) == pytest.approx(0.1 / 12 * 2.0 * 3.5)
    assert expected_loss(stakes(), 6) == pytest.approx(3 * 0.1 / 12 * 2.0 * 0.5)
    often = {"rates": dict.fromkeys("abc", 0.6)}
    assert best(replace(one_pool, rates={"a": 0.6})) < best(stakes(**often)) <= 6


def test_the_share_falls_with_the_rate_and_is_none_where_nothing_is_saved() -> None:
    shares = [best(stakes(rates=dict.fromkeys("abc", rate))) for rate in (0.1, 1.0, 4.0, 40.0)]
    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[-1]) == (6, 0)
    assert best(stakes(saves_usd=0.0)) == best(stakes(saves_usd=-1.0)) == 0


def test_the_floor_is_left_when_all_of_it_goes_or_in_the_share_of_cases_that_is_asked_for() -> None:
    assert limit(stakes()) == 6
    assert limit(stakes(risky=2)) == 4
    # of pools that go 0.8 % of the time each, two are at once in 2 of 10,000 cases
    assert lost_at_once(stakes(survive=0.999), 9) == 3
    assert limit(stakes(survive=0.999, most=12)) == 12
    assert limit(stakes(survive=0.99999)) == 9


# -- more, step by step --------------------------------------------------------------------------------


def test_a_share_moves_step_by_step_and_nothing_stops_serving_on_the_way() -> None:
    world, least = World(), 12
    for _ in range(80):
        world.turn()
        least = min(least, world.serving)
    assert (world.split, least) == ((7, 5), 12)
    assert [one.split(":")[1].strip() for one in world.sent] == [
        "replicas 12 -> 12, 0 of it on spot nodes",
        "replicas 0 -> 3",
        "replicas 12 -> 9, 3 of it on spot nodes",
        "replicas 3 -> 5",
        "replicas 9 -> 7, 5 of it on spot nodes",
    ]
    word, _, detail = world.said
    assert word == "steady"
    assert "saves 0.14 USD an hour" in detail
    assert "7 are left when 5 are taken away at once, 6 are needed" in detail
    assert any(line.startswith("pool m6i.large a: 0.0 waves in 0.3 h") for line in world.evidence)
    assert world.notes(BASE) == {"policy.aiops/on-spot": "5"}
    assert json.loads(world.notes(SPOT)["policy.aiops/spot"]) == {"set": 5, "home": 0}


def test_the_base_gives_nothing_up_before_its_pods_run_on_spot_nodes() -> None:
    world = World()
    world.slow = True
    world.run(600)
    assert world.split == (12, 3)
    world.run(150)
    # what was asked for is taken back, and nothing is tried for a while
    assert (world.split, world.said[1]) == ((12, 0), Reason.BACK_OFF)
    assert world.plans[0].status is PlanStatus.ROLLED_BACK


def test_an_hpa_of_the_base_scales_it_in_by_itself_and_its_floor_is_left_alone() -> None:
    world = World(hpa=(2, 40))
    world.until(5)
    assert world.split == (7, 5)
    assert not any(one.startswith("Deployment shop/web:") for one in world.sent)
    assert world.objects[HPA.key].body["spec"]["minReplicas"] == 2


def test_a_share_that_breaks_what_must_hold_is_taken_back() -> None:
    signals = "  signals: {errors: {query: 'sum(rate(errors_total[1m]))', unit: '1'}}\n"
    world = World(a_policy(signals + SPEC + "    slo: [{signal: errors, atMost: 1%}]\n"))
    world.run(60)
    assert (world.split, world.said[1]) == ((12, 0), Reason.INCONCLUSIVE)
    world.values["errors"] = 0.001
    world.run(90)
    assert world.split == (9, 3)
    world.values["errors"] = 0.2
    world.run(300)
    assert (world.split, world.serving) == ((12, 0), 12)


def test_in_mode_approve_a_person_is_asked_for_more_and_nobody_for_less() -> None:
    world = World(a_policy(SPEC, ("enforce", "approve")))
    world.run(60)
    assert (world.said[0], world.split) == ("ask", (12, 0))
    world.approve()
    world.until(3)
    world.take("a", "b", "c")
    world.dry = True
    world.run(120)
    assert world.split == (12, 0)


def test_in_dry_run_it_is_told_and_nothing_is_sent() -> None:
    world = World(a_policy(SPEC, ("enforce", "dry-run")))
    world.run(600)
    assert (world.sent, world.plans[0].status) == ([], PlanStatus.REHEARSED)
    assert "would 1. run 3 replicas of Deployment shop/web" in " ".join(note.text for note in world.plans[0].notes)


# -- what is written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("{name: web}", "{name: web-spot}", "spec.target.name"),
        ("{name: web}", "{name: web, kinds: [StatefulSet]}", "spec.target.kinds[0]"),
        ("lostReplicaHour: 2", "lostReplicaHour: -2", "spec.spot.lostReplicaHour"),
        ("lostReplicaHour: 2", "floor: 2", "spec.spot.lostReplicaHour"),
        ("floorShare: 50%", "floorShare: 120%", "spec.spot.floorShare"),
        ("{comeBack: 10m}", "{comeBack: 10m, storm: 0%}", "spec.spot.fallback.storm"),
        ("every: 5m", "slo: [{signal: latency, atMost: 1}]", "spec.spot.slo[0].signal"),
    ],
)
def test_mistakes_are_told_with_their_place(old: str, new: str, where: str) -> None:
    with pytest.raises(InvalidInput, match=where.replace("[", r"\[").replace("]", r"\]")):
        parse(HEADER + SPEC.replace(old, new), "one.yaml")


def test_it_may_change_two_deployments_by_name_and_look_at_nodes() -> None:
    policy = a_policy()
    (operation,) = operations_of(policy)
    assert isinstance(operation, SplitReplicas)
    assert (operation.base.name, operation.spot.name) == ("web", "web-spot")
    kinds = {one.kind for one in reads_of(policy).selections}
    assert kinds == {"Deployment", "Pod", "Node", "HorizontalPodAutoscaler", "ScaledObject"}


def test_a_share_is_in_the_ledger_by_what_its_replicas_would_cost_on_demand() -> None:
    world = World()
    world.until(5)
    found = standing(world.plans, world.lane().snapshot)
    assert [(one.kind, dict(one.rested)) for one in found] == [
        (SavingKind.SPOT, {SPOT.key: Rested(extra=nano(0.04 - 0.012), moved=moved)}) for moved in [(0, 3), (3, 5)]
    ]
    world.usd = {False: 0.04}
    unknown = standing(world.plans, world.lane().snapshot)
    assert {one.rested[SPOT.key].extra for one in unknown} == {None}
    dry = World(a_policy(SPEC, ("enforce", "dry-run")))
    dry.run(60)
    (told,) = standing(dry.plans, dry.lane().snapshot)
    assert (told.kind, told.stands) == (SavingKind.SPOT, False)


def test_what_cost_policies_see_of_it_is_the_workload_and_its_companion() -> None:
    world = World()
    seen = costed(PolicySet(digest="", plans=(world.policy,)), world.lane().snapshot.looked)
    assert {key: one.replicas for key, one in seen.items()} == {BASE.key: 12, SPOT.key: 0}


def test_less_on_spot_nodes_waits_for_no_store_and_no_opt_in_s2() -> None:
    world = World()
    world.until(5)
    world.change(BASE, {"spec": {"replicas": 3}})
    world.change(ref("Namespace", "shop"), {"metadata": {"labels": {"policy.aiops/managed": None}}})
    world.store_ok = False
    world.run(120)
    assert world.split == (4, 4)


def test_of_a_share_what_gives_back_is_sent_though_it_cannot_be_written_down_and_nothing_else_s2() -> None:
    world = World()
    world.turn()
    made = plan_turn(world.state, world.lane())
    plan = next(iter(made.state.plans.values()))
    assert plan.status is PlanStatus.RUNNING
    errand = Errand(
        id="e",
        plan_id=plan.id,
        step=0,
        back=False,
        policy=plan.policy,
        dry_run=False,
        issued_at=world.now,
        expires_at=world.now + 30.0,
        epoch=1,
    )
    assert wakes(plan, errand) is False
    assert wakes(plan, replace(errand, back=True)) is True
    operation = plan.steps[0].operation
    assert isinstance(operation, SplitReplicas)
    fewer = replace(plan, steps=(replace(plan.steps[0], operation=replace(operation, seen=5, replicas=2)),))
    assert wakes(fewer, errand) is True
