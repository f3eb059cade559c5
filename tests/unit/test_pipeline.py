"""The turn of one policy and what the API's answers make of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core import act
from aiops.core.model import (
    Direction,
    Effect,
    Failed,
    LoopState,
    Mode,
    NoSeries,
    OutcomeKind,
    Pause,
    Percepts,
    Reason,
    Scope,
    StepResult,
    StepStatus,
    TargetState,
    VerdictWord,
)
from aiops.core.pipeline import Turn, decide, settled
from aiops.core.policies import Fallback, ForecastSpec, Lever, PolicySet
from aiops.core.verify.judge import ABSENT_S
from tests.builders import KEY, NOW, TARGET, answer, forecast, hpa, policy, rules, snapshot, with_workload, workload

AHEAD = ForecastSpec(model="seasonal-naive", history_s=1e6, quantile=0.95, lead_s=60.0, season_s=86400.0)


def turn(shot=None, percepts=None, **changes) -> Turn:
    policies = PolicySet(digest="p", scaling=(policy(**changes),))
    return Turn(snapshot=shot or snapshot(), percepts=percepts or Percepts(), policies=policies, code="c", platform="p")


def later(shot, seconds, **workload_changes):
    moved = workload(as_of=NOW + seconds, **workload_changes)
    answers = {KEY: {name: replace(one, newest_at=NOW + seconds) for name, one in shot.answers[KEY].items()}}
    return replace(shot, at=NOW + seconds, workloads={TARGET.key: moved}, answers=answers)


def answered(made, status, shot, **changes):
    action = made.tick.actions[0]
    result = StepResult(action_id=action.id, status=status, at=NOW, **changes)
    return settled(made.state, made.tick, {action.id: result}, shot)


def test_demand_above_what_runs_scales_out_by_the_reactive_need():
    made = decide(LoopState(), turn(snapshot(demand=answer(590.0))))
    assert made.tick.actions[0].change.after == 12
    assert made.tick.decisions[0].verdict.proposal.need.reactive == 12


def test_a_bug_in_what_a_policy_foresees_holds_that_policy_alone_s10():
    other = policy(key="ScalingPolicy/shop/other")
    shot = snapshot(demand=answer(590.0))
    shot = replace(shot, answers={**shot.answers, other.key: shot.answers[KEY]})
    policies = PolicySet(digest="p", scaling=(policy(), other))
    percepts = Percepts(bugs={other.key: "Traceback\nRuntimeError: a bug"})
    made = decide(LoopState(), Turn(snapshot=shot, percepts=percepts, policies=policies, code="c", platform="p"))
    assert [one.policy for one in made.tick.actions] == [KEY]
    held = made.tick.decisions[1]
    assert (held.policy, held.verdict, held.bug) == (other.key, None, "Traceback\nRuntimeError: a bug")
    assert "RuntimeError: a bug" in held.story


def test_the_forecast_raises_the_need_over_the_lead_time_and_never_lowers_it():
    high = Percepts(forecasts={KEY: forecast(700.0)})
    low = Percepts(forecasts={KEY: forecast(100.0)})
    up = decide(LoopState(), turn(percepts=high, forecast=AHEAD)).tick.decisions[0].verdict
    same = decide(LoopState(), turn(percepts=low, forecast=AHEAD)).tick.decisions[0].verdict
    assert up.proposal.change.after == 14
    assert same.proposal.change.after == 8


def test_an_unlearned_forecast_says_nothing():
    unlearned = Percepts(forecasts={KEY: forecast(700.0, learned=False)})
    verdict = decide(LoopState(), turn(percepts=unlearned, forecast=AHEAD)).tick.decisions[0].verdict
    assert verdict.proposal.need.forecast is None
    assert verdict.word is VerdictWord.STEADY


def test_a_refused_write_starts_no_cooldown_s5():
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), turn(shot))
    after = answered(made, StepStatus.REFUSED, shot, code=409, message="conflict")
    state = after.state.targets[KEY]
    assert (state.pending, state.events) == (None, ())
    assert after.outcomes[0].kind is OutcomeKind.FAILED


def test_an_accepted_write_counts_once_and_is_verified_when_its_pods_are_ready_s6():
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), turn(shot))
    state = answered(made, StepStatus.DONE, shot).state
    assert [event.delta for event in state.targets[KEY].events] == [4]
    waiting = decide(state, turn(later(shot, 30, replicas=12, ready=9)))
    assert waiting.tick.outcomes == ()
    done = decide(waiting.state, turn(later(shot, 60, replicas=12, ready=12)))
    assert [one.kind for one in done.tick.outcomes] == [OutcomeKind.TOOK_EFFECT]
    assert [event.delta for event in done.state.targets[KEY].events] == [4]


def test_after_an_unknown_answer_the_world_is_looked_at_before_anything_is_sent_again_s6():
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), turn(shot))
    state = answered(made, StepStatus.UNKNOWN, shot).state
    assert state.targets[KEY].pending is not None
    held = decide(state, turn(later(shot, 15)))
    assert held.tick.actions == ()
    assert held.tick.decisions[0].verdict.binding.ruling.reason is Reason.IN_FLIGHT
    lost = decide(held.state, turn(later(shot, 45)))
    assert lost.tick.outcomes[0].kind is OutcomeKind.FAILED
    assert len(lost.tick.actions) == 1
    arrived = decide(held.state, turn(later(shot, 45, replicas=12, ready=8)))
    assert arrived.tick.actions == ()
    assert arrived.state.targets[KEY].last_out_at == NOW


def test_a_dry_run_counts_at_the_decision_and_is_not_decided_again_s5():
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), turn(shot, mode=Mode.DRY_RUN))
    assert made.tick.actions[0].dry_run
    assert made.state.targets[KEY].last_out_at == NOW
    again = decide(made.state, turn(later(shot, 15), mode=Mode.DRY_RUN))
    assert again.tick.actions == ()


def test_blind_the_loop_keeps_what_runs_and_still_rises_to_the_minimum_s2():
    blind = snapshot(demand=NoSeries(), latency=Failed(error="time-out"))
    kept = decide(LoopState(), turn(blind)).tick.decisions[0].verdict
    assert (kept.word, kept.change.after) == (VerdictWord.WAIT, 8)
    below = replace(blind, workloads={TARGET.key: workload(replicas=1, ready=1)})
    assert decide(LoopState(), turn(below)).tick.actions[0].change.after == 2


def test_all_blind_for_long_falls_back_and_never_below_what_runs_s2():
    blind = snapshot(demand=NoSeries(), latency=NoSeries())
    for replicas, since_s, acts in ((12, 300.0, True), (12, 299.0, False), (4, 300.0, False)):
        back = Fallback(after_s=300.0, replicas=replicas)
        state = LoopState(targets={KEY: TargetState(uid="u", since=NOW - since_s)})
        assert bool(decide(state, turn(blind, fallback=back)).tick.actions) is acts


def test_nobody_has_been_blind_before_the_first_look_s2():
    blind = snapshot(demand=NoSeries(), latency=NoSeries())
    back = Fallback(after_s=300.0, replicas=12)
    first = decide(LoopState(), turn(blind, fallback=back))
    assert (first.tick.actions, first.state.targets[KEY].since) == ((), NOW)
    state = first.state
    for seconds in (150, 285):
        shot = replace(blind, at=NOW + seconds, workloads={TARGET.key: workload(as_of=NOW + seconds)})
        made = decide(state, turn(shot, fallback=back))
        assert made.tick.actions == ()
        state = made.state
    afterwards = replace(blind, at=NOW + 300, workloads={TARGET.key: workload(as_of=NOW + 300)})
    assert decide(state, turn(afterwards, fallback=back)).tick.actions[0].change.after == 12


def test_a_broken_slo_with_saturated_replicas_asks_for_more_than_is_served_s1():
    shot = snapshot(demand=answer(390.0), latency=answer(2.0))
    assert decide(LoopState(), turn(shot)).tick.actions[0].change.after == 10


def test_an_object_made_anew_under_the_same_name_inherits_nothing():
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), turn(shot))
    state = answered(made, StepStatus.DONE, shot).state
    other = decide(state, turn(later(shot, 15, uid="other")))
    assert other.state.targets[KEY].events == ()


def test_what_was_pending_on_an_object_that_was_made_anew_has_an_end_s6():
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), turn(shot))
    state = answered(made, StepStatus.DONE, shot).state
    other = decide(state, turn(later(shot, 15, uid="other")))
    ends = [(one.action_id, one.kind) for one in other.tick.outcomes]
    assert ends == [(made.tick.actions[0].id, OutcomeKind.UNKNOWN)]
    # and only one
    again = decide(other.state, turn(later(shot, 30, uid="other")))
    assert made.tick.actions[0].id not in [one.action_id for one in again.tick.outcomes]


def pending_then_away(**changes):
    """Return the action that is pending, its state, and a function: the snapshot of a time at which nothing is seen."""
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), turn(shot))
    action = made.tick.actions[0]
    state = answered(made, StepStatus.DONE, shot).state
    return action, state, lambda at: replace(later(shot, at - NOW), workloads={}, **changes)


def test_what_was_pending_on_an_object_that_was_deleted_and_stays_away_has_one_end_s6():
    action, state, away = pending_then_away()
    end_at = action.verify_by + ABSENT_S
    ends = []
    for at in (NOW + 15, action.verify_by, end_at - 1, end_at, end_at + 15, end_at + 3600):
        made = decide(state, turn(away(at)))
        state = made.state
        ends += [(one.at, one.action_id, one.kind) for one in made.tick.outcomes]
    assert ends == [(end_at, action.id, OutcomeKind.UNKNOWN)]


def test_what_was_pending_on_an_object_that_comes_back_in_time_is_judged_by_it_s6():
    action, state, away = pending_then_away()
    gone = decide(state, turn(away(action.verify_by)))
    assert gone.tick.outcomes == ()
    back = later(snapshot(demand=answer(590.0)), action.verify_by + 15 - NOW, replicas=12, ready=12)
    made = decide(gone.state, turn(back))
    assert [(one.action_id, one.kind) for one in made.tick.outcomes] == [(action.id, OutcomeKind.TOOK_EFFECT)]


@pytest.mark.parametrize(
    "unread",
    [
        {"cluster_errors": {TARGET.cluster: "does not answer"}},
        {"target_errors": {TARGET.key: (Reason.NO_PERMISSION, "may not be read")}},
    ],
)
def test_what_cannot_be_read_is_not_taken_for_deleted_s6(unread):
    action, state, away = pending_then_away(**unread)
    made = decide(state, turn(away(action.verify_by + 3600)))
    assert made.tick.outcomes == ()
    assert made.state.targets[KEY].pending == action


def test_a_decision_that_stays_the_same_keeps_its_record():
    first = decide(LoopState(), turn())
    second = decide(first.state, turn(later(snapshot(), 15)))
    assert second.tick.decisions[0].id == first.tick.decisions[0].id
    assert not second.tick.decisions[0].changed


def test_a_bug_in_one_policy_holds_that_policy_alone_s10():
    broken = replace(policy(), key="ScalingPolicy/shop/broken", signals={})
    policies = PolicySet(digest="p", scaling=(broken, policy()))
    shot = snapshot(demand=answer(590.0))
    made = decide(LoopState(), Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p"))
    bug, well = made.tick.decisions
    assert "KeyError" in bug.bug
    assert well.verdict.word is VerdictWord.ALLOW


# -- what stands in the cluster is handed back (S9) ----------------------------------------------------


def floored():
    """A floor raised from 4 to 12, with its effect."""
    shot = snapshot(demand=answer(590.0), workloads={TARGET.key: workload(hpas=(hpa(),))})
    made = decide(LoopState(), turn(shot, lever=Lever.HPA_FLOOR, up=rules(rates=())))
    return answered(made, StepStatus.DONE, shot).state


def raised(**changes):
    return with_workload(hpas=(hpa(min_replicas=12, **changes),))


def test_a_moved_floor_leaves_a_restore_record_that_keeps_the_original_s9():
    (effect,) = floored().effects.values()
    assert (effect.original, effect.written, effect.attribute) == (4, 12, "minReplicas")


@pytest.mark.parametrize(
    "how",
    [
        lambda shot: (shot, PolicySet(digest="none")),
        lambda shot: (shot, PolicySet(digest="p", scaling=(policy(lever=Lever.HPA_FLOOR, mode=Mode.DRY_RUN),))),
        lambda shot: (replace(shot, scope=Scope(ceiling=Mode.OBSERVE)), PolicySet(digest="p", scaling=(policy(),))),
        lambda shot: (
            replace(
                shot,
                pauses=(
                    Pause(
                        id="r",
                        scope="shop",
                        direction=Direction.ALL,
                        reason="released",
                        by="s",
                        since=NOW,
                        release=True,
                    ),
                ),
            ),
            PolicySet(digest="p", scaling=(policy(lever=Lever.HPA_FLOOR),)),
        ),
    ],
    ids=["policy deleted", "mode lowered", "ceiling lowered", "released by a person"],
)
def test_what_stands_is_handed_back_s9(how):
    state = floored()
    shot, policies = how(raised())
    made = decide(state, Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p"))
    (returned,) = (action for action in made.tick.actions if not action.dry_run)
    assert returned.steps[0].body["spec"] == {"minReplicas": 4}
    result = StepResult(action_id=returned.id, status=StepStatus.DONE, at=NOW)
    assert settled(made.state, made.tick, {returned.id: result}, shot).state.effects == {}


def test_a_field_that_somebody_else_wrote_is_not_handed_back_s7():
    shot = with_workload(hpas=(hpa(min_replicas=9),))
    made = decide(
        floored(), Turn(snapshot=shot, percepts=Percepts(), policies=PolicySet(digest="n"), code="", platform="")
    )
    assert made.tick.actions == ()


def test_release_steps_take_our_notes_away_with_the_floor_s9():
    effect: Effect = next(iter(floored().effects.values()))
    (step,) = act.release_steps(effect, workload(hpas=(hpa(min_replicas=12),)))
    assert set(step.body["metadata"]["annotations"].values()) == {None}
