"""Taking the lead: what is stamped, what a predecessor left, what its effects became (S6, S9)."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from aiops.core.act import effect_key
from aiops.core.act.set_floor import RESTORE, hpa_ref
from aiops.core.model import (
    Direction,
    Effect,
    Leadership,
    LoopState,
    Mode,
    OutcomeKind,
    OwnerKind,
    PackState,
    Pause,
    Percepts,
    Reason,
    Scope,
    SetFloor,
    TargetState,
    VerdictWord,
)
from aiops.core.pipeline import Turn, decide, orphans, recovered, resumed, stamps, taken_over
from aiops.core.policies import Lever, PolicySet
from aiops.loop.sentence import spoken
from tests.builders import KEY, NOW, TARGET, action, answer, hpa, owner, policy, snapshot, with_workload, workload

LEADS = Leadership(leader=True, epoch=7, elected=True)
FLOOR = policy(lever=Lever.HPA_FLOOR)


def policies(*given):
    return PolicySet(digest="p", scaling=given or (policy(),))


def stamped(shot, *given, state=None):
    found = stamps(policies(*given), state or LoopState(), replace(shot, leadership=LEADS))
    return [(one.step.target.kind, one.step.subresource, one.step.apply_as) for one in found]


def test_a_leader_stamps_what_its_policies_may_move_s6():
    assert stamped(snapshot()) == [("Deployment", "scale", "aiops-epoch-7")]
    assert stamped(with_workload(hpas=(hpa(),)), FLOOR) == [("HorizontalPodAutoscaler", "", "")]


def test_a_stamp_moves_nothing_and_fits_only_the_object_that_was_seen_s6():
    (one,) = stamps(policies(), LoopState(), replace(snapshot(), leadership=LEADS))
    assert one.step.body["spec"] == {"replicas": 8}
    assert (one.step.uid, one.step.resource_version) == ("u", "1")


@pytest.mark.parametrize(
    ("shot", "given"),
    [
        (with_workload(opted_in=False), policy()),
        (with_workload(owners=(owner(OwnerKind.KEDA),)), policy()),
        (with_workload(replicas=0), policy()),
        (with_workload(hpas=(hpa(),)), policy()),
        (snapshot(scope=Scope(ceiling=Mode.DRY_RUN)), policy()),
        (snapshot(), policy(mode=Mode.DRY_RUN)),
        (snapshot(scope=Scope(protected_namespaces=frozenset({"shop"}))), policy()),
        (snapshot(store_ok=False), policy()),
        (
            snapshot(pauses=(Pause(id="p", scope="*", direction=Direction.ALL, reason="stop", by="x", since=NOW),)),
            policy(),
        ),
    ],
)
def test_what_may_not_be_written_is_not_stamped_either_s3_s4_s9(shot, given):
    assert stamped(shot, given) == []


def test_an_object_without_the_epoch_is_not_written_s6():
    unfenced = replace(LEADS, unfenced={TARGET.key: (Reason.UNFENCED, "conflict")})
    made = turned(snapshot(demand=answer(590.0), leadership=unfenced))
    assert made.tick.actions == ()
    verdict = made.tick.decisions[0].verdict
    assert (verdict.word, verdict.binding.ruling.reason) == (VerdictWord.WAIT, Reason.UNFENCED)


def turned(shot, *given, state=None):
    turn = Turn(snapshot=shot, percepts=Percepts(), policies=policies(*given), code="c", platform="p")
    return decide(state or LoopState(), turn)


def test_a_new_leader_scales_nothing_in_before_it_saw_a_whole_window_s5():
    carried = TargetState(uid="u", recommendations=((NOW - 400, 8), (NOW - 10, 3)), last_in_at=NOW - 900)
    made = taken_over(LoopState(targets={KEY: carried}))
    assert made.targets[KEY].recommendations == ()
    assert made.targets[KEY].last_in_at == NOW - 900


def test_a_process_that_begins_does_not_know_how_calm_a_cluster_was_s2():
    key = "CostPolicy/shop/nodes"
    made = resumed(LoopState(savings={key: PackState(calm_since=NOW - 900, rests_until=NOW + 60)}), NOW)
    assert made.savings[key] == PackState(calm_since=math.inf, rests_until=NOW + 60)


# -- what a predecessor left ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "as_of", "kind"),
    [
        (10, NOW, OutcomeKind.TOOK_EFFECT),
        (8, NOW, None),  # a request may still be on its way
        (8, NOW + 60, OutcomeKind.FAILED),
        (9, NOW + 60, OutcomeKind.FAILED),
    ],
)
def test_an_action_without_an_answer_is_judged_by_the_world_s6(replicas, as_of, kind):
    shot = with_workload(replicas=replicas, ready=replicas, as_of=as_of)
    made = recovered(LoopState(), [action()], shot, policies())
    assert [one.kind for one in made.outcomes] == ([] if kind is None else [kind])
    assert len(made.left) == (kind is None)


def test_a_target_that_stays_out_of_sight_ends_as_unknown_s6():
    empty = snapshot(workloads={})
    assert recovered(LoopState(), [action()], empty, policies()).left
    made = recovered(LoopState(), [action()], replace(empty, at=NOW + 1000), policies())
    assert [one.kind for one in made.outcomes] == [OutcomeKind.UNKNOWN]


def test_what_a_policy_has_pending_is_left_to_its_decisions():
    state = LoopState(targets={KEY: TargetState(uid="u", pending=action())})
    made = recovered(state, [action()], with_workload(replicas=10, ready=10), policies())
    assert (made.outcomes, made.left) == ((), ())
    assert orphans(state, policies()) == ()


def test_the_pending_action_of_a_policy_that_is_gone_is_judged_all_the_same():
    state = LoopState(targets={KEY: TargetState(uid="u", pending=action())})
    none = PolicySet(digest="p", scaling=())
    made = recovered(state, orphans(state, none), with_workload(replicas=10, ready=10), none)
    assert [one.kind for one in made.outcomes] == [OutcomeKind.TOOK_EFFECT]
    assert made.state.targets[KEY].pending is None


# -- effects ------------------------------------------------------------------------------------------------


def recording(written: int = 6, least: int = 6, key: str = KEY):
    text = json.dumps({"minReplicas": 2, "written": written, "policy": key, "action": "A9"})
    return hpa(min_replicas=least, annotations={RESTORE: text})


def standing(written: int = 6, **changes):
    made = Effect(
        policy=KEY,
        target=TARGET,
        object=hpa_ref(workload(), hpa()),
        attribute="minReplicas",
        original=2,
        written=written,
        action_id="A9",
        since=NOW - 900,
        written_at=NOW - 900,
    )
    return replace(made, **changes)


def test_a_floor_that_was_written_and_not_noted_is_known_from_the_object_s9():
    made = turned(with_workload(hpas=(recording(),)), FLOOR)
    (effect,) = made.state.effects.values()
    assert (effect.original, effect.written, effect.action_id) == (2, 6, "A9")


@pytest.mark.parametrize(
    ("record", "given"),
    [
        (recording(least=9), FLOOR),  # somebody wrote the floor since
        (recording(key="ScalingPolicy/shop/other"), FLOOR),  # another daemon's
        (recording(), policy(lever=Lever.HPA_FLOOR, mode=Mode.DRY_RUN)),
        (hpa(annotations={RESTORE: "no JSON"}), FLOOR),
    ],
)
def test_a_record_that_is_not_ours_to_give_back_is_not_adopted_s9(record, given):
    assert turned(with_workload(hpas=(record,)), given).state.effects == {}


def test_an_effect_of_which_nothing_is_left_is_said_and_forgotten_s9():
    effect = standing()
    state = LoopState(effects={effect_key(effect): effect})
    made = turned(with_workload(hpas=(hpa(min_replicas=3),)), FLOOR, state=state)
    assert made.state.effects == {}
    assert [(one.kind, one.action_id) for one in made.tick.outcomes] == [(OutcomeKind.UNDONE, "A9")]
    young = standing(written_at=NOW - 5)
    state = LoopState(effects={effect_key(young): young})
    assert turned(with_workload(hpas=(hpa(min_replicas=3),)), FLOOR, state=state).state.effects == state.effects


def test_what_is_left_by_a_policy_that_is_gone_is_stamped_before_it_is_handed_back_s6_s9():
    effect = standing()
    state = LoopState(effects={effect_key(effect): effect})
    shot = replace(with_workload(hpas=(recording(),)), leadership=LEADS)
    none = PolicySet(digest="p", scaling=())
    assert [one.step.target.kind for one in stamps(none, state, shot)] == ["HorizontalPodAutoscaler"]
    turn = Turn(snapshot=shot, percepts=Percepts(), policies=none, code="c", platform="p")
    assert [one.change for one in decide(state, turn).tick.actions] == [SetFloor(hpa="checkout", before=6, after=2)]
    unfenced = replace(LEADS, unfenced={TARGET.key: (Reason.UNFENCED, "conflict")})
    turn = replace(turn, snapshot=replace(shot, leadership=unfenced))
    assert decide(state, turn).tick.actions == ()


def test_a_floor_that_is_all_there_is_stays_and_that_is_said_s4_s9():
    effect = standing()
    state = LoopState(effects={effect_key(effect): effect})
    shot = with_workload(hpas=(replace(recording(), scaling_active=False),))
    turn = Turn(snapshot=shot, percepts=Percepts(), policies=PolicySet(digest="p", scaling=()), code="c", platform="p")
    tick = decide(state, turn).tick
    assert tick.actions == ()
    assert "shop/checkout is not handed back yet: HPA checkout cannot scale now" in spoken(tick)
