"""What stands in Git, as decisions see it: a commit in place of a request, whose it is, and when nothing is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core import act
from aiops.core.guard import verdict
from aiops.core.guard.ownership import watched
from aiops.core.model import (
    FLOOR,
    REPLICAS,
    Declared,
    FieldOwner,
    Inscription,
    Leadership,
    LoopState,
    Mode,
    OutcomeKind,
    OwnerKind,
    Percepts,
    Reason,
    StepResult,
    StepStatus,
    TargetState,
    Verb,
    VerdictWord,
)
from aiops.core.pipeline import Turn, decide, settled
from aiops.core.pipeline.effects import stamps
from aiops.core.policies import Lever, PolicySet
from aiops.core.record.codec import from_text, to_text
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    answer,
    context,
    hpa,
    owner,
    policy,
    proposal,
    snapshot,
    with_workload,
    workload,
)
from tests.unit.rulings import bound


def inscription(after: int = 8, before: int = 6, original: int = 6, **changes) -> Inscription:
    made = Inscription(
        action_id="A0", policy=KEY, before=before, after=after, original=original, commit="c" * 40, at=NOW - 900.0
    )
    return replace(made, **changes)


def declared(value: int | None = 8, **changes) -> Declared:
    made = Declared(
        field=REPLICAS,
        repository="deploy",
        branch="main",
        file="values.yaml",
        path="replicaCount",
        as_of=NOW,
        settle_s=600.0,
        commit="t" * 40,
        value=value,
        owners=(FieldOwner(field=REPLICAS, kind=OwnerKind.AIOPS, manager="aiops", at=NOW - 900.0),),
        ours=inscription(),
    )
    return replace(made, **changes)


def by_a_person(at: float, value: int = 8, **changes) -> Declared:
    who = FieldOwner(field=REPLICAS, kind=OwnerKind.OTHER, manager="Alice (abc)", at=at)
    return declared(value, owners=(who,), ours=None, **changes)


def shot(found: Declared, **changes):
    return with_workload(declared=(found,), owners=(owner(OwnerKind.ARGO_CD),), **changes)


def ruled(before: int, after: int, found: Declared, **changes):
    return bound(verdict(proposal(before, after), context(snapshot=shot(found, replicas=before), **changes)))


# -- may it be written ---------------------------------------------------------------------------------------


def test_argo_cd_owns_a_field_only_where_nobody_says_that_it_stands_in_git():
    argo = with_workload(owners=(owner(OwnerKind.ARGO_CD),))
    assert bound(verdict(proposal(8, 10), context(snapshot=argo))) == (VerdictWord.DENY, Reason.OWNED, 8)
    assert ruled(8, 10, declared()) == (VerdictWord.ALLOW, None, 10)


@pytest.mark.parametrize("kind", [OwnerKind.KEDA, OwnerKind.HPA, OwnerKind.FLAGGER, OwnerKind.VPA])
def test_who_does_not_follow_git_is_not_fought_through_git_s4(kind):
    seen = with_workload(declared=(declared(),), owners=(owner(kind),))
    assert bound(verdict(proposal(8, 10), context(snapshot=seen))) == (VerdictWord.DENY, Reason.OWNED, 8)


@pytest.mark.parametrize(
    ("low", "high", "after", "expected"),
    [
        (2, 12, 11, (VerdictWord.ALLOW, None, 11)),
        (2, 12, 14, (VerdictWord.ALLOW, Reason.OUT_OF_RANGE, 12)),
        (6, None, 3, (VerdictWord.ALLOW, Reason.OUT_OF_RANGE, 6)),
        (None, 8, 12, (VerdictWord.WAIT, Reason.OUT_OF_RANGE, 8)),
        (10, 12, 4, (VerdictWord.WAIT, Reason.OUT_OF_RANGE, 8)),
    ],
)
def test_nothing_is_written_outside_of_the_range_that_git_declares(low, high, after, expected):
    assert ruled(8, after, declared(low=low, high=high)) == expected


@pytest.mark.parametrize(
    ("found", "after", "reason"),
    [
        (declared(None, held=(Reason.UNDECLARED, "there is no replicaCount")), 12, Reason.UNDECLARED),
        (declared(None), 12, Reason.UNDECLARED),
        (declared(held=(Reason.REPOSITORY_UNAVAILABLE, "gone")), 12, Reason.REPOSITORY_UNAVAILABLE),
        (declared(held=(Reason.PUSH_REFUSED, "protected"), held_until=NOW + 60), 12, Reason.PUSH_REFUSED),
        (declared(propose=True, offered=inscription(12, 8), offered_on="aiops/x"), 12, Reason.PROPOSED),
        (declared(12), 12, Reason.NOT_SYNCED),
        (declared(12), 10, Reason.NOT_SYNCED),
        (declared(12), 4, Reason.NOT_SYNCED),
        (declared(6), 4, Reason.NOT_SYNCED),
    ],
)
def test_what_cannot_be_written_or_is_not_followed_waits_and_says_so(found, after, reason):
    assert ruled(8, after, found) == (VerdictWord.WAIT, reason, 8)


@pytest.mark.parametrize(
    ("found", "after"),
    [(declared(12), 14), (declared(6), 12), (declared(propose=True, offered=inscription(12, 8)), 14)],
)
def test_more_need_than_git_says_goes_on(found, after):
    assert ruled(8, after, found) == (VerdictWord.ALLOW, None, after)


def test_a_wish_to_stay_asks_nothing_of_git():
    assert ruled(8, 8, declared(held=(Reason.REPOSITORY_UNAVAILABLE, "gone"))) == (VerdictWord.STEADY, None, 8)


# -- whose it is (S4) ----------------------------------------------------------------------------------------


def test_a_person_who_commits_after_us_is_yielded_to_since_then():
    owned = TargetState(uid="u", owned=True)
    ctx = context(snapshot=shot(by_a_person(NOW - 600.0)), state=owned)
    said = verdict(proposal(8, 10), ctx)
    assert bound(said) == (VerdictWord.WAIT, Reason.MANUAL_OVERRIDE, 8)
    assert said.binding.ruling.until == NOW + 3000.0
    assert said.binding.ruling.detail == (
        "Alice (abc), in deploy main values.yaml replicaCount, wrote replicas after us; we yield for 3600 s"
    )
    state = watched(owned, ctx)
    later = context(now=NOW + 3001.0, snapshot=shot(by_a_person(NOW - 600.0)), state=state)
    assert bound(verdict(proposal(8, 10), later)) == (VerdictWord.ALLOW, None, 10)


def test_a_first_adoption_yields_to_nobody():
    assert ruled(8, 10, by_a_person(NOW - 5.0)) == (VerdictWord.ALLOW, None, 10)


def test_a_commit_that_was_taken_back_is_the_owner_s_will_even_of_a_daemon_that_forgot():
    found = by_a_person(NOW - 60.0, undone="Alice (abc) took back our commit def (8 -> 11)")
    said = verdict(proposal(8, 10), context(snapshot=shot(found)))
    assert bound(said) == (VerdictWord.WAIT, Reason.MANUAL_OVERRIDE, 8)
    assert said.binding.ruling.detail == "Alice (abc) took back our commit def (8 -> 11); we yield for 3600 s"
    old = by_a_person(NOW - 9_000.0, undone=found.undone)
    assert ruled(8, 10, old) == (VerdictWord.ALLOW, None, 10)


# -- what is sent, and what becomes of it ----------------------------------------------------------------------


def turn(seen, **changes) -> Turn:
    policies = PolicySet(digest="p", scaling=(policy(**changes),))
    return Turn(snapshot=seen, percepts=Percepts(), policies=policies, code="c", platform="p")


def busy(found: Declared, **changes):
    return replace(shot(found, **changes), answers=snapshot(demand=answer(590.0)).answers)


def at(seen, seconds: float, found: Declared | None, replicas: int):
    """Return what is seen later."""
    moved = workload(as_of=NOW + seconds, replicas=replicas, ready=replicas, declared=() if found is None else (found,))
    answers = {KEY: {name: replace(one, newest_at=NOW + seconds) for name, one in seen.answers[KEY].items()}}
    return replace(seen, at=NOW + seconds, workloads={TARGET.key: moved}, answers=answers)


def sent(made, status: StepStatus, seen, **more):
    (action,) = made.tick.actions
    result = StepResult(action_id=action.id, status=status, at=NOW, **more)
    return settled(made.state, made.tick, {action.id: result}, seen)


def test_a_decision_is_one_commit_from_what_git_says_with_its_undo():
    (action,) = decide(LoopState(), turn(busy(declared(7)))).tick.actions
    (step,) = action.steps
    assert (step.verb, step.target, step.resource_version, action.by_commit) == (Verb.COMMIT, TARGET, "t" * 40, True)
    wanted = {"repository": "deploy", "file": "values.yaml", "field": "replicas", "from": 7, "to": 12, "original": 6}
    assert {key: step.body[key] for key in wanted} == wanted
    assert step.body["origin"]["action"] == action.id
    assert step.summary == "deploy main values.yaml replicaCount: 7 -> 12"
    (back,) = action.undo
    assert (back.body["from"], back.body["to"]) == (12, 7)
    assert action.verify_by == NOW + 600.0 + 300.0


def test_a_dry_run_says_which_file_it_would_write():
    made = decide(LoopState(), turn(busy(declared()), mode=Mode.DRY_RUN))
    assert made.tick.actions[0].dry_run
    assert made.tick.actions[0].steps[0].summary == "deploy main values.yaml replicaCount: 8 -> 12"


def test_a_record_of_what_stands_in_git_reads_back_the_same():
    inputs = next(iter(decide(LoopState(), turn(busy(declared(low=2, offered=inscription())))).seen.values()))
    assert from_text(to_text(inputs), type(inputs)) == inputs


def test_no_epoch_is_stamped_on_an_object_that_others_write_from_git():
    leads = replace(busy(declared()), leadership=Leadership(leader=True, epoch=3, elected=True))
    policies = PolicySet(digest="p", scaling=(policy(),))
    assert stamps(policies, LoopState(), leads) == ()
    other = replace(leads, workloads={TARGET.key: workload()})
    assert len(stamps(policies, LoopState(), other)) == 1


@pytest.mark.parametrize(
    ("seconds", "found", "replicas", "kind"),
    [
        (45.0, declared(12), 8, None),  # Git says it, and nobody has followed yet
        (45.0, declared(12), 12, OutcomeKind.TOOK_EFFECT),
        (901.0, declared(12), 8, OutcomeKind.NO_EFFECT),
        (45.0, by_a_person(NOW + 40.0, 8, as_of=NOW + 45.0, undone="Alice took it back"), 8, OutcomeKind.FAILED),
        (45.0, declared(8, as_of=NOW + 45.0), 8, OutcomeKind.FAILED),
        (20.0, declared(8, as_of=NOW + 15.0), 8, None),  # it may still be pushed
        (45.0, declared(None, held=(Reason.REPOSITORY_UNAVAILABLE, "gone")), 8, None),
        (901.0, declared(None, held=(Reason.REPOSITORY_UNAVAILABLE, "gone")), 8, OutcomeKind.UNKNOWN),
    ],
)
@pytest.mark.parametrize("status", [StepStatus.DONE, StepStatus.UNKNOWN])
def test_a_commit_is_judged_by_the_cluster_and_explained_by_git(seconds, found, replicas, kind, status):
    seen = busy(declared())
    made = decide(LoopState(), turn(seen))
    after = sent(made, status, seen)
    then = decide(after.state, turn(at(seen, seconds, found, replicas)))
    assert [one.kind for one in then.tick.outcomes] == ([] if kind is None else [kind])


def test_a_proposal_that_nobody_merges_had_no_effect_and_is_not_made_again():
    seen = busy(declared(propose=True))
    made = decide(LoopState(), turn(seen))
    (action,) = made.tick.actions
    after = sent(made, StepStatus.DONE, seen)
    waits = declared(propose=True, offered=inscription(12, 8, action_id=action.id), offered_on="aiops/shop/checkout")
    assert decide(after.state, turn(at(seen, 60.0, waits, 8))).tick.outcomes == ()
    late = decide(after.state, turn(at(seen, 901.0, waits, 8)))
    assert [(one.kind, one.detail) for one in late.tick.outcomes] == [
        (
            OutcomeKind.NO_EFFECT,
            "12 is proposed on branch aiops/shop/checkout, and nobody has merged it in its time",
        )
    ]
    assert late.tick.actions == ()
    assert late.tick.decisions[0].verdict.binding.ruling.reason is Reason.PROPOSED


def test_an_answer_that_was_lost_starts_the_cooldown_once_the_branch_shows_the_commit():
    seen = busy(declared())
    made = decide(LoopState(), turn(seen))
    (action,) = made.tick.actions
    after = sent(made, StepStatus.UNKNOWN, seen)
    shows = declared(12, ours=inscription(12, 8, action_id=action.id))
    then = decide(after.state, turn(at(seen, 15.0, shows, 8)))
    assert then.state.targets[KEY].last_out_at == NOW
    assert then.tick.actions == ()


def test_a_push_that_was_refused_starts_no_cooldown_and_is_told_s5():
    seen = busy(declared())
    made = decide(LoopState(), turn(seen))
    after = sent(made, StepStatus.REFUSED, seen, reason=Reason.PUSH_REFUSED, message="deploy did not take main")
    assert after.state.targets[KEY].pending is None
    assert after.state.targets[KEY].last_out_at == float("-inf")
    assert [(one.kind, one.detail) for one in after.outcomes] == [
        (OutcomeKind.FAILED, "refused: deploy did not take main")
    ]


# -- floors, which are handed back (S9) --------------------------------------------------------------------------


def floor(value: int, **changes) -> Declared:
    changes = {"ours": None, "owners": (), **changes}
    return declared(value, field=FLOOR, path="minReplicas", **changes)


def with_floor(found: Declared, least: int, **changes):
    return workload(
        hpas=(hpa(min_replicas=least, owners=(owner(OwnerKind.FLUX, field=FLOOR),)),), declared=(found,), **changes
    )


def test_a_floor_in_git_is_moved_remembered_and_handed_back_by_commits():
    seen = replace(busy(declared()), workloads={TARGET.key: with_floor(floor(4), 4)})
    made = decide(LoopState(), turn(seen, lever=Lever.HPA_FLOOR))
    (action,) = made.tick.actions
    assert (action.steps[0].body["field"], action.steps[0].body["from"], action.steps[0].body["to"]) == (FLOOR, 4, 8)
    after = sent(made, StepStatus.DONE, seen)
    (effect,) = after.state.effects.values()
    assert (effect.original, effect.written, effect.attribute) == (4, 8, FLOOR)

    ours = inscription(8, 4, original=4, action_id=action.id)
    stands = at(seen, 120.0, None, 8)
    there = with_floor(floor(8, ours=ours), 4, as_of=NOW + 120.0)  # Flux has not followed yet: nothing is void
    stands = replace(stands, workloads={TARGET.key: there})
    gone = Turn(snapshot=stands, percepts=Percepts(), policies=PolicySet(digest="p"), code="c", platform="p")
    back = decide(after.state, gone)
    (release,) = back.tick.actions
    assert (release.steps[0].verb, release.steps[0].body["from"], release.steps[0].body["to"]) == (Verb.COMMIT, 8, 4)
    result = StepResult(action_id=release.id, status=StepStatus.DONE, at=NOW)
    assert settled(back.state, back.tick, {release.id: result}, stands).state.effects == {}


def test_the_history_of_the_branch_is_the_restore_record_s9():
    ours = inscription(12, 9, original=4)
    seen = replace(busy(declared()), workloads={TARGET.key: with_floor(floor(12, ours=ours), 12)})
    made = decide(LoopState(), turn(seen, lever=Lever.HPA_FLOOR))
    (effect,) = made.state.effects.values()
    assert (effect.policy, effect.original, effect.written) == (KEY, 4, 12)


def test_a_floor_that_a_person_wrote_in_git_is_not_handed_back_s7():
    ours = inscription(12, 9, original=4)
    held = replace(busy(declared()), workloads={TARGET.key: with_floor(floor(12, ours=ours), 12)})
    known = decide(LoopState(), turn(held, lever=Lever.HPA_FLOOR)).state
    theirs = at(held, 120.0, None, 8)
    theirs = replace(theirs, workloads={TARGET.key: with_floor(floor(6), 12, as_of=NOW + 120.0)})
    gone = Turn(snapshot=theirs, percepts=Percepts(), policies=PolicySet(digest="p"), code="c", platform="p")
    made = decide(known, gone)
    assert made.tick.actions == ()
    assert [(one.kind, one.detail) for one in made.tick.outcomes] == [
        (OutcomeKind.UNDONE, "nothing to hand back: deploy main values.yaml minReplicas says 6")
    ]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (floor(12, ours=inscription(12, 4, original=4), held=(Reason.PUSH_REFUSED, "protected")), "protected"),
        (
            floor(12, ours=inscription(12, 4, original=4), propose=True, offered=inscription(4, 12), offered_on="b"),
            "that is proposed on branch b, and not merged yet",
        ),
    ],
)
def test_what_cannot_be_handed_back_now_says_what_it_waits_for(found, why):
    stands = with_floor(found, 12)
    (effect,) = act.recorded_effects(stands, NOW)
    assert act.release_held(effect, stands) == why
