"""A failover and the way home through the turns of the loop: judged, guarded, planned, sent, and carried as text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from aiops.core.model import (
    Answered,
    Decision,
    Failed,
    Looked,
    LoopState,
    Notify,
    OrderKind,
    PlanKind,
    PlanStatus,
    Reason,
    SeenObject,
    StepResult,
    StepStatus,
    TargetRef,
    VerdictWord,
)
from aiops.core.pipeline.lane import Lane
from aiops.core.pipeline.planning import plan_turn, plans_answered
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.record.codec import from_text, to_text
from tests.unit.failing import START, TICK_S, Driven, a_group

OUTSIDE = ("edge", "north")
ENFORCED = a_group(("mode: approve", "mode: enforce"))
EDGE = TargetRef(cluster="edge", namespace="", api_version="v1", kind="Namespace", name="edge")


@dataclass
class Turned:
    """A group in a world whose route does what it is told. moves: (second, weight of north); told: titles."""

    policy: FailoverPolicy = ENFORCED
    group: Driven = field(init=False)
    state: LoopState = field(default_factory=LoopState)
    moves: list[tuple[float, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.group = Driven(policy=self.policy)

    def turn(self) -> Decision:
        group = self.group
        group.now += TICK_S
        for site in self.policy.sites:
            for point in group.points:
                key = f"{site.name}@{point}"
                group.counted.setdefault(key, []).append(group.failing.get(key, 0.0))
        made = plan_turn(self.state, self._lane())
        results = {}
        for errand in made.errands:
            for step in errand.steps:
                refs = step.body["spec"]["rules"][0]["backendRefs"]
                group.weights = {one["name"]: one["weight"] for one in refs}
                self.moves.append((group.now - START, group.weights["storefront-north"]))
            for message in errand.messages:
                assert isinstance(message.operation, Notify)
                self.told.append(message.operation.title)
            done = StepResult(action_id=errand.id, status=StepStatus.DONE, at=group.now)
            results[errand.id] = (done,) * len((*errand.steps, *errand.messages))
        state = plans_answered(made.state, made.errands, results)
        # every turn could be the last of one process and the next the first of another
        self.state = from_text(to_text(state), LoopState)
        (decision,) = made.decisions
        assert not decision.bug, decision.bug
        return decision

    def run(self, seconds: float) -> Decision:
        for _ in range(int(seconds / TICK_S)):
            decision = self.turn()
        return decision

    def _lane(self) -> Lane:
        group = self.group
        answers = {
            name: Answered(value=one.value, newest_at=group.now) if one.usable else Failed(error="no answer")
            for name, one in group.signals.items()
        }
        edge = SeenObject(
            ref=EDGE,
            uid="n",
            resource_version="1",
            as_of=group.now,
            body={"metadata": {"labels": {"policy.aiops/managed": "true"}}},
        )
        seen = {**group.snapshot.looked.objects, EDGE.key: edge}
        snapshot = replace(
            group.snapshot, answers={self.policy.key: answers}, looked=Looked(objects=seen), orders=group.orders
        )
        return Lane(
            policies=(self.policy,), elsewhere=frozenset(), snapshot=snapshot, tick_id=str(group.now), tick_s=TICK_S
        )

    def statuses(self) -> list[tuple[PlanKind, PlanStatus]]:
        return [(one.kind, one.status) for _, one in sorted(self.state.plans.items())]


def test_users_go_to_the_other_site_at_once_and_home_by_steps_and_every_turn_survives_a_restart():
    world = Turned()
    world.run(100.0)
    world.group.fail("west", 1.0, OUTSIDE)
    world.run(60.0)
    assert world.moves == [(120.0, 100)]
    world.group.fail("west", 0.0)
    world.run(1200.0)
    assert [weight for _, weight in world.moves] == [100, 95, 75, 50, 0]
    assert world.moves[1][0] >= 720.0
    assert world.statuses() == [(PlanKind.FAILOVER, PlanStatus.DONE), (PlanKind.FAILBACK, PlanStatus.DONE)]
    assert world.told == ["failover of storefront: west to north", "failback of storefront: north to west"]


def test_a_standby_that_cannot_carry_half_of_a_failure_gives_it_back():
    world = Turned()
    world.run(100.0)
    world.group.fail("west", 0.5)
    while not world.moves:
        world.turn()
    world.group.fail("north", 1.0, ("edge", "west"))
    world.run(300.0)
    assert [weight for _, weight in world.moves] in ([50, 0], [50, 100, 0])
    assert world.statuses() == [(PlanKind.FAILOVER, PlanStatus.ROLLED_BACK)]


def test_home_turning_sick_on_the_way_home_takes_all_of_it_back():
    world = Turned()
    world.run(100.0)
    world.group.fail("west", 1.0, OUTSIDE)
    world.run(60.0)
    world.group.fail("west", 0.0)
    while world.group.weights["storefront-north"] != 75:
        world.turn()
    world.group.fail("west", 1.0, OUTSIDE)
    world.run(120.0)
    assert world.group.weights == {"storefront-west": 0, "storefront-north": 100}
    assert world.statuses()[-1] == (PlanKind.FAILBACK, PlanStatus.ROLLED_BACK)


def test_in_mode_approve_a_plan_is_proposed_people_are_told_once_and_it_is_withdrawn_when_users_are_served_again():
    world = Turned(policy=a_group())
    world.run(100.0)
    world.group.fail("west", 1.0, OUTSIDE)
    decision = world.run(60.0)
    assert decision.judgement.word is VerdictWord.ASK
    assert decision.judgement.reason is Reason.APPROVAL_NEEDED
    assert world.statuses() == [(PlanKind.FAILOVER, PlanStatus.PROPOSED)]
    assert world.told == ["storefront asks: approval_needed"]
    world.group.fail("west", 0.0)
    world.run(120.0)
    assert world.statuses() == [(PlanKind.FAILOVER, PlanStatus.REFUSED)]
    assert world.moves == []


def test_an_api_that_is_down_is_told_once_and_moves_nothing():
    world = Turned()
    world.run(100.0)
    world.group.cluster_errors = {"west": "timed out"}
    decision = world.run(300.0)
    assert (decision.judgement.word, decision.judgement.reason) == (VerdictWord.WAIT, Reason.API_DOWN)
    assert (world.told, world.moves, world.state.plans) == (["storefront holds: api_down"], [], {})


def test_hearing_nobody_is_told_after_a_minute_and_moves_nothing():
    world = Turned()
    world.run(100.0)
    world.group.silent = {"edge", "west", "north"}
    world.run(50.0)
    assert world.told == []
    world.run(300.0)
    assert (world.told, world.moves) == (["storefront asks: partitioned"], [])


def test_a_drill_goes_there_and_back():
    world = Turned()
    world.run(100.0)
    world.group.order(OrderKind.DRILL)
    world.run(200.0)
    assert [weight for _, weight in world.moves] == [5, 0]
    assert world.statuses() == [(PlanKind.DRILL, PlanStatus.DONE)]
