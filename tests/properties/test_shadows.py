"""A shadow never acts, never asks, and changes nothing for the policy beside which it runs (S4, S6)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import (
    Approval,
    Effect,
    Inputs,
    LoopState,
    Mode,
    Percepts,
    Scope,
    StepResult,
    StepStatus,
    VerdictWord,
)
from aiops.core.pipeline import Turn, decide, decide_one, settled, stamps
from aiops.core.policies import Guardrail, PolicySet, Then
from aiops.core.record.codec import from_text, to_text
from aiops.core.versions import beside, under_key
from tests.builders import KEY, NOW, TARGET, answer, policy, snapshot, workload
from tests.properties.test_safety import policies, states, turns

BESIDE = f"{KEY}@01234567"
modes = st.sampled_from(Mode)


@st.composite
def watched(draw):
    """A state and a turn with a policy and a shadow of it, each in any mode and with any memory."""
    state, turn = draw(turns())
    live = replace(turn.policies.scaling[0], mode=draw(modes))
    shadow = under_key(replace(draw(policies), mode=draw(modes)), BESIDE)
    shot = replace(
        turn.snapshot,
        answers={**turn.snapshot.answers, BESIDE: turn.snapshot.answers[KEY]},
        scope=Scope(ceiling=draw(modes)),
        approvals=(Approval(ask_id="A", approved=True, by="ann", at=NOW),),
    )
    targets = {KEY: state.targets[KEY], BESIDE: draw(states)}
    alone = replace(turn, snapshot=shot, policies=PolicySet(digest="p", scaling=(live,)))
    both = replace(alone, policies=PolicySet(digest="q", scaling=(live, shadow)))
    return LoopState(targets=targets), alone, both


@given(watched())
def test_a_shadow_never_acts_and_never_asks_s4_s6(made):
    state, _, turn = made
    found = decide(state, turn)
    for action in found.tick.actions:
        assert action.policy == KEY or action.dry_run
    shadow = next(one for one in found.tick.decisions if one.policy == BESIDE)
    assert (shadow.candidate_for, shadow.bug) == (KEY, "")
    assert shadow.verdict.word is not VerdictWord.ASK
    assert found.state.targets[BESIDE].question is None
    assert found.state.targets[BESIDE].pending is None


@given(watched())
def test_what_acts_is_decided_as_if_there_were_no_shadow_s4(made):
    state, alone, both = made
    one, other = decide(state, alone), decide(state, both)
    assert to_text(one.tick.decisions[0]) == to_text(other.tick.decisions[0])
    assert to_text(one.state.targets[KEY]) == to_text(other.state.targets[KEY])
    mine = [to_text(action) for action in other.tick.actions if action.policy == KEY]
    assert mine == [to_text(action) for action in one.tick.actions]


@given(watched(), st.sampled_from(StepStatus))
def test_no_answer_of_the_dry_port_makes_an_effect_or_a_cooldown_of_a_shadow_s5_s9(made, status):
    state, _, both = made
    found = decide(state, both)
    said = {KEY: status, BESIDE: StepStatus.DRY_RUN}
    results = {one.id: StepResult(action_id=one.id, status=said[one.policy], at=NOW) for one in found.tick.actions}
    after = settled(found.state, found.tick, results, both.snapshot).state
    assert all(effect.policy != BESIDE for effect in after.effects.values())
    # at the next turn its memory of the world is that of the policy that acts
    carried = beside(after.targets[BESIDE], after.targets[KEY])
    assert (carried.events, carried.last_out_at, carried.last_in_at) == (
        after.targets[KEY].events,
        after.targets[KEY].last_out_at,
        after.targets[KEY].last_in_at,
    )


@given(watched())
def test_no_object_is_stamped_for_a_shadow_and_nothing_of_it_is_adopted_s6_s9(made):
    state, alone, both = made
    left = Effect(
        policy=BESIDE,
        target=TARGET,
        object=TARGET,
        attribute="minReplicas",
        original=2,
        written=4,
        action_id="A",
        since=NOW,
        written_at=NOW,
    )
    assert stamps(both.policies, state, both.snapshot) == stamps(alone.policies, state, alone.snapshot)
    holding = replace(state, effects={"x": left})
    returned = decide(holding, both).tick
    assert {one.policy for one in returned.actions if not one.dry_run} <= {KEY, BESIDE}
    assert all(one.change.after == 2 for one in returned.actions if one.policy == BESIDE and not one.dry_run)


@settings(max_examples=50)
@given(watched())
def test_a_shadows_decision_is_made_again_from_its_stored_inputs(made):
    state, _, turn = made
    found = decide(state, turn)
    decision = next(one for one in found.tick.decisions if one.policy == BESIDE)
    text = to_text(found.seen[BESIDE])
    # as a document is compiled again: under the name of the policy
    named = replace(under_key(turn.policies.scaling[1], KEY), candidate_for="")
    again = decide_one(under_key(named, decision.policy), from_text(text, Inputs))
    assert to_text(again.decision) == to_text(decision)


@settings(max_examples=40)
@given(watched(), st.lists(st.integers(1, 40), min_size=2, max_size=8))
def test_a_shadow_starts_each_turn_from_what_runs_and_does_not_drift_s4(made, levels):
    """However long its wishes are not followed, it counts the changes that really happened, from what really runs."""
    state, _, turn = made
    for number, level in enumerate(levels):
        at = NOW + 15.0 * number
        shot = snapshot(at=at, workloads={TARGET.key: workload(replicas=level, ready=level, as_of=at)})
        answers = {KEY: shot.answers[KEY], BESIDE: shot.answers[KEY]}
        now = Turn(
            snapshot=replace(shot, answers=answers),
            percepts=turn.percepts,
            policies=turn.policies,
            code="c",
            platform="p",
        )
        found = decide(state, now)
        shadow = next(one for one in found.tick.decisions if one.policy == BESIDE)
        assert shadow.verdict.change.before == level
        real = state.targets[KEY].events
        assert found.seen[BESIDE].state.events == real
        state = found.state


def test_a_bug_in_a_shadow_holds_the_shadow_alone_s10():
    class Broken:
        """A condition with a bug."""

        text, used = "1 / 0", ()

        def holds(self, _):
            raise ZeroDivisionError("in the shadow")

    broken = replace(under_key(policy(), BESIDE), guardrails=(Guardrail(when=Broken(), then=Then.HOLD),))
    shot = snapshot(demand=answer(590.0))
    turn = Turn(
        snapshot=replace(shot, answers={KEY: shot.answers[KEY], BESIDE: shot.answers[KEY]}),
        percepts=Percepts(),
        policies=PolicySet(digest="p", scaling=(policy(), broken)),
        code="c",
        platform="p",
    )
    live, shadow = decide(LoopState(), turn).tick.decisions
    assert (live.verdict.word, shadow.verdict) == (VerdictWord.ALLOW, None)
    assert "in the shadow" in shadow.bug
