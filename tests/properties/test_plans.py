"""Whatever answers come and whatever is seen, a plan keeps what it promises (S2, S6, S7, S9)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiops.core.model import (
    Errand,
    GroupState,
    Health,
    Otherwise,
    Plan,
    PlanStatus,
    PlanStep,
    SiteServes,
    SiteState,
    StepResult,
    StepStatus,
)
from aiops.core.plans.changes import answered, begun, held, resumed, rolling_back
from aiops.core.plans.machine import advance
from aiops.core.plans.operations import Origin, verbs
from aiops.core.plans.world import World
from aiops.core.record.codec import from_text, to_text
from tests.plan_world import GROUP, NOW, ROUTE, TICK_S, ObjectCluster, plan, route, shift, snapshot

ANSWERS = st.sampled_from(["done", "lost", "never", "conflict", "forbidden", "busy"])
CODES = {"conflict": 409, "forbidden": 403, "busy": 503}
NORTH = SiteServes(group=GROUP, site="north")
ERRAND = Errand(
    id="e", plan_id="p", step=0, back=False, policy=GROUP, dry_run=False, issued_at=NOW, expires_at=NOW + 9, epoch=1
)


class PlansMachine(RuleBasedStateMachine):
    """One plan of three shifts on a route, with answers that are lost, refused or late, and people in between."""

    @initialize(
        otherwise=st.sampled_from(list(Otherwise)),
        keeps=st.booleans(),
        holds=st.lists(st.sampled_from([0.0, 5.0, 15.0]), min_size=3, max_size=3),
    )
    def begin(self, otherwise: Otherwise, keeps: bool, holds: list[float]) -> None:
        shifts = (shift(80, 20), shift(50, 50), shift(0, 100))
        steps = tuple(
            PlanStep(
                name=f"step {number}",
                operation=one,
                requires=(NORTH,),
                hold_s=hold_s,
                within_s=60.0,
                otherwise=otherwise,
            )
            for number, (one, hold_s) in enumerate(zip(shifts, holds, strict=True))
        )
        self.cluster = ObjectCluster()
        self.cluster.put(ROUTE, route())
        self.plan: Plan = begun(plan(*steps, keeps=(NORTH,) if keeps else ()), NOW, "test")
        self.health = Health.WELL
        self.now = NOW
        self.looked = self.cluster.look(None, NOW)
        self.foreign = False
        self.written: set[tuple[int, ...]] = {(100, 0)}

    @rule(answer=ANSWERS, died=st.booleans(), fresh=st.booleans())
    def turn(self, answer: str, died: bool, fresh: bool) -> None:
        before = self.plan
        if fresh:  # a cache may show what was there some turns ago
            self.looked = self.cluster.look(None, self.now)
        world = World(
            now=self.now,
            snapshot=snapshot(self.looked, self.now),
            groups={GROUP: GroupState(sites={"north": SiteState(health=self.health, well_since=NOW)})},
        )
        made = advance(self.plan, world, TICK_S)
        # what is journalled is what a successor goes on with (S6)
        self.plan = from_text(to_text(made.plan), Plan)
        assert self.plan == made.plan
        if made.errand is not None:
            assert before.status in (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK)
            assert not before.held
            assert len(made.errand.steps) == 1
            assert made.errand.expires_at > self.now
            result = self._answer(made.errand.id, answer)
            if (result is None or result.status is StepStatus.UNKNOWN) and answer != "never":
                done = self.cluster.perform(made.errand, made.errand.steps[0], self.now)
                result = done if result is None else result
            if not died and result is not None:
                self.plan = answered(self.plan, made.errand, [result])
        self.now += TICK_S
        self.written.add(self._weights())

    def _answer(self, errand: str, answer: str) -> StepResult | None:
        if answer == "done":
            return None
        status = StepStatus.UNKNOWN if answer in ("lost", "never") else StepStatus.REFUSED
        return StepResult(action_id=errand, status=status, at=self.now, code=CODES.get(answer, 0), message=answer)

    @rule(health=st.sampled_from(list(Health)))
    def see(self, health: Health) -> None:
        self.health = health

    @rule()
    def stop(self) -> None:
        if self.plan.status in (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK):
            self.plan = held(self.plan, "paused", self.now)

    @rule()
    def go_on(self) -> None:
        self.plan = held(self.plan, "", self.now) if self.plan.held else self.plan

    @rule()
    def say_resume(self) -> None:
        if self.plan.status in (PlanStatus.PAUSED, PlanStatus.ASKING):
            self.plan = resumed(self.plan, self.now, "person")

    @rule()
    def say_rollback(self) -> None:
        if not self.plan.status.ended:
            self.plan = rolling_back(self.plan, self.now, "person")

    @rule(west=st.integers(0, 100))
    def write_by_hand(self, west: int) -> None:
        self.foreign = True
        self.cluster.put(ROUTE, route(west, 100 - west))

    def _weights(self) -> tuple[int, ...]:
        return tuple(one["weight"] for one in self.cluster.body(ROUTE)["spec"]["rules"][0]["backendRefs"])

    @invariant()
    def only_weights_of_the_plan_are_written_s7(self) -> None:
        if not self.foreign:
            assert self._weights() in {(100, 0), (80, 20), (50, 50), (0, 100)}

    @invariant()
    def what_was_taken_back_is_as_it_was_unless_somebody_else_wrote_s7(self) -> None:
        if self.plan.status is PlanStatus.ROLLED_BACK and not self.foreign:
            assert self._weights() == (100, 0)

    @invariant()
    def what_is_done_is_so_unless_somebody_else_wrote(self) -> None:
        skipped = any(step.stage.value == "skipped" for step in self.plan.steps)
        if self.plan.status is PlanStatus.DONE and not self.foreign and not skipped:
            assert self._weights() == (0, 100)

    @invariant()
    def notes_are_bounded(self) -> None:
        assert len(self.plan.notes) <= 200

    def teardown(self) -> None:
        """With everything well, and people who answer, a plan ends."""
        self.health = Health.WELL
        if self.plan.held:
            self.plan = held(self.plan, "", self.now)
        for _ in range(200):
            if self.plan.status.ended:
                return
            if self.plan.status in (PlanStatus.PAUSED, PlanStatus.ASKING):
                self.plan = rolling_back(self.plan, self.now, "person")
            self.turn("done", False, True)
        raise AssertionError(f"the plan does not end: {self.plan}")


PlansMachine.TestCase.settings = settings(max_examples=400, stateful_step_count=30, deadline=None)
TestPlans = PlansMachine.TestCase


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_an_undo_gives_back_what_was_seen_s7(west, north, aim):
    cluster = ObjectCluster()
    cluster.put(ROUTE, route(west, north))
    before = cluster.body(ROUTE)
    wish = shift(100 - aim, aim)
    origin = Origin(plan_id="p", policy=GROUP, key="k", epoch=1, now=NOW)
    for operation in (wish, *(verbs(wish).undo(wish, cluster.look(None, NOW)) or ())):
        requests = verbs(operation).requests(operation, cluster.look(None, NOW), origin)
        for step in requests.steps:
            errand = replace(ERRAND, steps=(step,))
            assert cluster.perform(errand, step, NOW).status is StepStatus.DONE
    assert cluster.body(ROUTE)["spec"] == before["spec"]
