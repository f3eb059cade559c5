"""One arbiter: never two actors on one field of an object in one tick, safety before the SLO before cost (S4, S5)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import (
    Action,
    Cordon,
    Looked,
    LoopState,
    Operation,
    Percepts,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    RestartWorkload,
    ScaleTo,
    Scaling,
    Scope,
    SeenObject,
    SetResources,
    Snapshot,
    Stage,
    TargetRef,
    VerdictWord,
)
from aiops.core.pipeline import Decisions, Turn, decide
from aiops.core.planning.arbiter import Part, Rank, claim, crossed, rank, scaled
from aiops.core.plans.guards import Bounds, ruling
from aiops.core.policies import PolicySet
from tests.builders import KEY, NOW, TARGET, action, answer, policy, snapshot

OTHER = TargetRef(namespace="shop", name="cart")
NODE = TargetRef(namespace="", api_version="v1", kind="Node", name="n1")
SAFETY = (PlanKind.FAILOVER, PlanKind.FAILBACK, PlanKind.DRILL, PlanKind.REMEDIATION)
SEEDS = st.integers(0, 2**32)
AT_WORK = (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK, PlanStatus.PAUSED, PlanStatus.ASKING)


def an_operation(dice: Random) -> Operation:
    """Return what a plan does to one of two workloads, or to a node."""
    target = dice.choice((TARGET, TARGET, TARGET, OTHER))
    return dice.choice(
        (
            ScaleTo(target=target, replicas=dice.randint(1, 20)),
            ScaleTo(target=target, replicas=dice.randint(1, 20), only_up=True),
            RestartWorkload(target=target, mark="m"),
            SetResources(target=target, container="c", requests={"cpu": "1"}, limits={}),
            Cordon(node=NODE, unschedulable=dice.random() < 0.5),
        )
    )


def a_plan(dice: Random, number: int, statuses: tuple[PlanStatus, ...] = AT_WORK) -> Plan:
    """Return a plan of any kind, as far as it may be."""
    steps = []
    for n in range(dice.randint(1, 3)):
        one = an_operation(dice)
        step = PlanStep(
            name=f"s{n}",
            operation=one,
            stage=dice.choice((Stage.PENDING, Stage.BEGUN, Stage.DONE)),
            sent=dice.randint(0, 1),
            sent_at=NOW - 600.0,
            since=NOW - 600.0,
            undo=dice.choice(((), _back(one), _back(one))),
        )
        steps.append(step)
    return Plan(
        id=f"P{number}",
        kind=dice.choice(tuple(PlanKind)),
        policy=f"Some/shop/p{number}",
        subject=f"s{number}",
        reason="r",
        created_at=NOW - 600.0,
        steps=tuple(steps),
        status=dice.choice(statuses),
        by=f"Some/shop/p{number}",
    )


def plans(dice: Random, most: int = 5, statuses: tuple[PlanStatus, ...] = AT_WORK) -> list[Plan]:
    """Return several plans, each with an id of its own."""
    return [a_plan(dice, number, statuses) for number in range(dice.randint(1, most))]


def _back(operation: Operation) -> tuple[Operation, ...]:
    match operation:
        case ScaleTo():
            return (replace(operation, replicas=operation.replicas + 3),)
        case SetResources():
            return (replace(operation, requests={"cpu": "2"}),)
        case Cordon():
            return (replace(operation, unschedulable=not operation.unschedulable),)
        case _:
            return ()


def world(demand: float) -> Snapshot:
    """Return a snapshot in which the workloads and the node are seen, with a demand."""
    bodies = {
        ref: {
            "metadata": {"annotations": {}},
            "spec": {"replicas": 8, "template": {"spec": {"containers": [{"name": "c"}]}}},
        }
        for ref in (TARGET, OTHER)
    }
    bodies[NODE] = {"metadata": {"annotations": {"policy.aiops/cordoned": "x"}}, "spec": {"unschedulable": True}}
    seen = {
        ref.key: SeenObject(ref=ref, uid="u", resource_version="1", as_of=NOW, body=body)
        for ref, body in bodies.items()
    }
    selections = {
        f"default/shop/{version}/{kind}?&": ()
        for version, kind in (
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler"),
            ("policy/v1", "PodDisruptionBudget"),
        )
    }
    looked = Looked(objects=seen, selections=selections)
    return replace(snapshot(demand=answer(demand)), looked=looked, scope=Scope(namespaces=frozenset({"shop"})))


def turned(state: LoopState, shot: Snapshot) -> Decisions:
    """Return what is decided beside a ScalingPolicy of the target."""
    policies = PolicySet(digest="p", scaling=(policy(),))
    return decide(state, Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p"))


def changed(made: Decisions) -> list[tuple[str, Part]]:
    """Return every field that somebody changes at this tick, as often as somebody does."""
    by_id = made.state.plans | {one.id: one for one in made.tick.plans}
    found = [(one.target.key, Part.REPLICAS) for one in made.tick.actions if one.steps]
    for errand in made.tick.errands:
        wanted = claim(by_id[errand.plan_id].steps[errand.step].operation)
        if wanted is not None:
            found.append((wanted[0].key, wanted[1]))
    return found


@settings(deadline=None)
@given(SEEDS)
def test_of_several_plans_at_one_field_one_alone_goes_on_and_it_is_of_the_best_rank(seed: int) -> None:
    several = plans(Random(seed))
    moving = [one for one in several if one.status in (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK)]
    on: dict[tuple[str, Part], list[Plan]] = {}
    for one in moving:
        at = one.current
        wanted = None if at is None else claim(one.steps[at].operation)
        if wanted is not None:
            on.setdefault((wanted[0].key, wanted[1]), []).append(one)
    for together in on.values():
        going = [one for one in together if crossed(one, several) is None]
        assert len(going) == 1
        assert rank(going[0]) == min(rank(one) for one in together)


@settings(max_examples=400, deadline=None)
@given(SEEDS, st.sampled_from((100.0, 390.0, 590.0, 900.0)))
def test_no_field_of_an_object_has_two_actors_in_one_tick(seed: int, demand: float) -> None:
    several = plans(Random(seed), statuses=(PlanStatus.ROLLING_BACK,))
    made = turned(LoopState(plans={one.id: one for one in several}), world(demand))
    twice = [field for field, times in Counter(changed(made)).items() if times > 1]
    assert twice == []


@settings(max_examples=400, deadline=None)
@given(SEEDS)
def test_what_gives_capacity_back_goes_before_a_scaling_policy_on_the_same_field(seed: int) -> None:
    several = plans(Random(seed), statuses=(PlanStatus.ROLLING_BACK,))
    made = turned(LoopState(plans={one.id: one for one in several}), world(900.0))
    by_id = made.state.plans | {one.id: one for one in made.tick.plans}
    sends = [
        by_id[one.plan_id]
        for one in made.tick.errands
        if claim(by_id[one.plan_id].steps[one.step].operation) == (TARGET, Part.REPLICAS)
    ]
    (decision,) = made.tick.decisions
    assert decision.verdict is not None
    if sends:
        assert made.tick.actions == ()
        assert decision.verdict.word is VerdictWord.WAIT
        binding = decision.verdict.binding
        assert binding is not None
        assert binding.ruling.reason is Reason.IN_FLIGHT
    else:
        held = [
            p
            for p in several
            for s in p.steps
            if s.stage is Stage.BEGUN and claim(s.operation) == (TARGET, Part.REPLICAS)
        ]
        assert bool(made.tick.actions) or held


@settings(deadline=None)
@given(SEEDS)
def test_a_saving_never_begins_beside_safety_or_what_a_scaling_policy_has_under_way(seed: int) -> None:
    dice = Random(seed)
    wish, others = a_plan(dice, 9, (PlanStatus.PROPOSED,)), plans(dice, 2)
    moves = [
        (dice.choice((TARGET, OTHER)), dice.random() < 0.5, dice.uniform(0.0, 2000.0))
        for _ in range(dice.randint(0, 2))
    ]
    wish = replace(wish, id="W", kind=PlanKind.SAVING, subject="w", policy="CostPolicy/shop/w")
    scalings = tuple(
        Scaling(policy=f"ScalingPolicy/shop/{n}", target=target, pending=pending, out_at=NOW - ago_s)
        for n, (target, pending, ago_s) in enumerate(moves)
    )
    seen = Bounds(policy=None, snapshot=world(390.0), plans=tuple(others), scalings=scalings)
    touched = {ref.key for ref, _ in (claim(step.operation) for step in wish.steps)}  # type: ignore[misc]
    begins = ruling(replace(wish, dry_run=False), seen) is None
    if not begins:
        return
    for one in others:
        if one.kind in SAFETY:
            assert not touched & {claim(step.operation)[0].key for step in one.steps}  # type: ignore[index]
            assert one.kind is PlanKind.REMEDIATION or touched == {NODE.key}
    assert not any(one.pending and one.target.key in touched for one in scalings)
    assert scaled(wish, scalings, NOW) is None


@settings(deadline=None)
@given(SEEDS)
def test_cost_never_displaces_what_safety_wants(seed: int) -> None:
    dice = Random(seed)
    wish, others = a_plan(dice, 9, (PlanStatus.PROPOSED,)), plans(dice, 4)
    moves = [dice.choice((TARGET, OTHER)) for _ in range(dice.randint(0, 2))]
    wish = replace(wish, id="W", kind=PlanKind.FAILOVER, subject="w")
    savings = [replace(one, kind=PlanKind.SAVING) for one in others]
    stuck = [one for one in savings if one.status in (PlanStatus.PAUSED, PlanStatus.ASKING)]
    scalings = tuple(Scaling(policy="ScalingPolicy/shop/x", target=one, pending=True) for one in moves)
    bounds = Bounds(policy=None, snapshot=world(390.0), plans=tuple(stuck), scalings=scalings)
    alone = Bounds(policy=None, snapshot=world(390.0), plans=())
    assert ruling(wish, bounds) == ruling(wish, alone)


def test_the_ranks_are_safety_then_the_slo_then_cost() -> None:
    assert sorted(Rank) == [Rank.SAFETY, Rank.SLO, Rank.COST]


def test_a_pending_action_holds_a_saving_on_its_target_until_it_is_seen_to_be_done() -> None:
    state = LoopState()
    made = turned(state, world(590.0))
    (sent,) = made.tick.actions
    assert isinstance(sent, Action)
    assert sent.change.after == action(8, 12).change.after
    assert made.state.targets[KEY].pending is not None
