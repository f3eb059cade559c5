"""A decision of a policy of plans is stored with what can sway it, and with nothing else; the rest is carried on."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.model import Plan, PlanKind, PlanStatus, PlanStep, Priced, Reason, Sleep, Stage, TargetRef
from aiops.core.model.operations import RestLever
from aiops.core.pipeline.planning import plan_turn
from aiops.core.record.codec import to_text
from tests.unit.spotting import START, World


def rested(number: int, since: float, status: PlanStatus = PlanStatus.DONE) -> Plan:
    """Return a plan of another policy, by which a workload rests."""
    ref = TargetRef(namespace="dev", name=f"w{number}")
    operation = Sleep(
        target=ref,
        object=ref,
        uid="u",
        lever=RestLever.REPLICAS,
        seen="3",
        original="3",
        to="0",
        mark=f"p{number}",
    )
    step = PlanStep(
        name="rest", operation=operation, undo=(operation,), stage=Stage.DONE, sent=1, sent_at=since, since=since
    )
    return Plan(
        id=f"p{number:04d}",
        kind=PlanKind.SAVING,
        policy="CostPolicy/dev/nights",
        subject=ref.key,
        reason="night",
        created_at=since,
        steps=(step,),
        status=status,
        ended_at=since if status.ended else float("inf"),
    )


def test_a_thousand_workloads_that_rest_since_yesterday_are_not_stored_with_what_another_policy_decides() -> None:
    world = World()
    old = {one.id: one for one in (rested(number, START - 86_400.0) for number in range(1000))}
    fresh = {one.id: one for one in (rested(2000, START - 60.0), rested(2001, START - 60.0, PlanStatus.RUNNING))}
    world.state = replace(world.state, plans={**old, **fresh})
    # where it cannot be seen whether they stand, none is forgotten
    world.errors = {one.subject: (Reason.NO_PERMISSION, "forbidden") for one in old.values()}
    made = plan_turn(world.state, world.lane())
    inputs = made.seen[world.policy.key]
    assert {one.id for one in inputs.plans} == set(fresh)
    assert len(to_text(inputs)) < 60_000
    assert set(old) | set(fresh) <= set(made.state.plans), "what was not shown to it is carried on"


def test_of_a_thousand_prices_those_of_what_is_looked_at_are_stored() -> None:
    world = World()
    lane, other = world.lane(), Priced(usd_per_hour=1.0, source="list", as_of=START)
    book = lane.snapshot.prices
    many = {f"default/n{number}": other for number in range(1000)}
    wide = replace(book, nodes={**book.nodes, **many}, replicas={**book.replicas, **many})
    lane = replace(lane, snapshot=replace(lane.snapshot, prices=wide))
    stored = plan_turn(world.state, lane).seen[world.policy.key].snapshot.prices
    assert (set(stored.nodes), set(stored.replicas)) == (set(book.nodes), set(book.replicas))
