"""Each guard's ruling, one case a sentence: what may be written, inputs, people, owners."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aiops.core.guard import verdict
from aiops.core.guard.ownership import watched
from aiops.core.model import (
    Approval,
    Direction,
    Leadership,
    Mode,
    OwnerKind,
    Pause,
    Reason,
    Scope,
    SignalState,
    TargetState,
    VerdictWord,
)
from aiops.core.policies import (
    Lever,
    Reaction,
)
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    context,
    hpa,
    need,
    owner,
    policy,
    proposal,
    signal,
    snapshot,
    spec,
    with_workload,
)
from tests.unit.rulings import bound


def test_a_wish_that_nothing_is_against_is_allowed_whole():
    assert bound(verdict(proposal(8, 10), context())) == (VerdictWord.ALLOW, None, 10)


def test_a_wish_to_stay_is_steady():
    assert bound(verdict(proposal(8, 8), context())) == (VerdictWord.STEADY, None, 8)


# -- may anything be written (S2, S3, S6) --------------------------------------------------------------


@pytest.mark.parametrize(
    ("shot", "reason"),
    [
        (snapshot(leadership=Leadership(leader=False, epoch=1)), Reason.NOT_LEADER),
        (snapshot(leadership=Leadership(leader=True, epoch=1, until=NOW)), Reason.NOT_LEADER),
        (snapshot(store_ok=False), Reason.STORE_UNAVAILABLE),
        (snapshot(cluster_errors={"default": "no answer"}), Reason.CLUSTER_UNAVAILABLE),
        (snapshot(workloads={}), Reason.UNKNOWN_TARGET),
        (with_workload(deleting=True), Reason.UNKNOWN_TARGET),
    ],
)
def test_leaderless_unjournalled_or_unseen_nothing_is_written_s2(shot, reason):
    for after in (6, 12):
        assert bound(verdict(proposal(8, after), context(snapshot=shot))) == (VerdictWord.WAIT, reason, 8)


@pytest.mark.parametrize(
    ("shot", "reason"),
    [
        (snapshot(scope=Scope(protected_namespaces=frozenset({"shop"}))), Reason.PROTECTED),
        (snapshot(scope=Scope(protected_targets=frozenset({"shop/checkout"}))), Reason.PROTECTED),
        (with_workload(opted_in=False), Reason.NOT_OPTED_IN),
    ],
)
def test_what_is_protected_or_not_opted_in_is_denied_s3(shot, reason):
    assert bound(verdict(proposal(8, 12), context(snapshot=shot))) == (VerdictWord.DENY, reason, 8)


def test_a_namespace_in_the_settings_needs_no_label_s3():
    shot = with_workload(opted_in=False)
    allowed = context(snapshot=snapshot(workloads=shot.workloads, scope=Scope(namespaces=frozenset({"shop"}))))
    assert verdict(proposal(), allowed).word is VerdictWord.ALLOW


@pytest.mark.parametrize(
    ("kind", "said", "word"),
    [("StatefulSet", None, "deny"), ("StatefulSet", True, "allow"), ("Deployment", False, "deny")],
)
def test_scale_in_of_kinds_whose_members_differ_needs_permission_s3(kind, said, word):
    from dataclasses import replace

    chosen = policy(target=replace(TARGET, kind=kind), scale_in_allowed=said)
    assert verdict(proposal(8, 6), context(policy=chosen)).word.value == word
    assert verdict(proposal(8, 10), context(policy=chosen)).word is VerdictWord.ALLOW


# -- inputs (S1, S2) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [one for one in SignalState if one is not SignalState.VALUE])
def test_a_blind_signal_holds_scale_in_and_lets_scale_out_go_s1(state):
    for name in ("demand", "latency"):
        signals = {"demand": signal(), "latency": signal("latency", 0.1)} | {name: signal(name, state=state)}
        held = verdict(proposal(8, 6), context(signals=signals))
        assert held.word is VerdictWord.WAIT
        assert held.binding.ruling.reason.value == f"{state.value}_signal"
        assert verdict(proposal(8, 10), context(signals=signals)).word is VerdictWord.ALLOW


def test_missing_demand_is_a_hold_even_when_nothing_is_wished_s1():
    signals = {"demand": signal(state=SignalState.STALE), "latency": signal("latency", 0.1)}
    assert bound(verdict(proposal(8, 8), context(signals=signals))) == (VerdictWord.WAIT, Reason.STALE_SIGNAL, 8)


def test_a_signal_that_the_policy_ignores_holds_nothing():
    chosen = policy(signals={"demand": spec(), "latency": spec("latency", on_stale=Reaction.IGNORE)})
    signals = {"demand": signal(), "latency": signal("latency", state=SignalState.STALE)}
    assert verdict(proposal(8, 6), context(policy=chosen, signals=signals)).word is VerdictWord.ALLOW


def test_no_scale_in_while_the_slo_is_broken_since_demand_is_censored_s1():
    wish = proposal(8, 6, need=need(reactive=6, slo_broken=True))
    assert bound(verdict(wish, context()))[:2] == (VerdictWord.WAIT, Reason.CENSORED_DEMAND)


# -- people (S4, S6, S9) -------------------------------------------------------------------------------


def test_observe_holds_and_dry_run_decides_once_s6():
    observing = context(policy=policy(mode=Mode.OBSERVE))
    assert bound(verdict(proposal(), observing)) == (VerdictWord.WAIT, Reason.MODE_OBSERVE, 8)
    dry = context(policy=policy(mode=Mode.DRY_RUN))
    first = verdict(proposal(), dry)
    assert (first.word, first.dry_run) == (VerdictWord.ALLOW, True)
    again = context(policy=policy(mode=Mode.DRY_RUN), state=TargetState(uid="u", settled=10))
    assert bound(verdict(proposal(), again)) == (VerdictWord.WAIT, Reason.DRY_RUN_SETTLED, 8)


def test_the_stricter_of_the_two_modes_wins_s6():
    capped = context(snapshot=snapshot(scope=Scope(ceiling=Mode.DRY_RUN)))
    assert verdict(proposal(), capped).dry_run


def test_approve_asks_and_an_answer_is_taken_for_that_change_alone_s6():
    asking = policy(mode=Mode.APPROVE)
    asked = verdict(proposal(), context(policy=asking))
    assert bound(asked) == (VerdictWord.ASK, Reason.APPROVAL_NEEDED, 10)
    from aiops.core.guard import remembered

    state = remembered(TargetState(uid="u"), asked, context(policy=asking))
    yes = Approval(ask_id=state.question.id, approved=True, by="someone", at=NOW)
    no = Approval(ask_id=state.question.id, approved=False, by="someone", at=NOW, reason="not now")
    assert (
        verdict(proposal(), context(policy=asking, state=state, snapshot=snapshot(approvals=(yes,)))).word
        is VerdictWord.ALLOW
    )
    rejected = verdict(proposal(), context(policy=asking, state=state, snapshot=snapshot(approvals=(no,))))
    assert bound(rejected)[:2] == (VerdictWord.WAIT, Reason.APPROVAL_REJECTED)
    other = verdict(proposal(8, 12), context(policy=asking, state=state, snapshot=snapshot(approvals=(yes,))))
    assert other.word is VerdictWord.ASK


@pytest.mark.parametrize("scope", ["*", "shop", "shop/checkout", KEY])
@pytest.mark.parametrize(("direction", "held"), [("all", {6, 10}), ("in", {6}), ("out", {10})])
def test_a_pause_binds_its_scope_and_direction_s9(scope, direction, held):
    pause = Pause(id="p", scope=scope, direction=Direction(direction), reason="release", by="sam", since=NOW)
    for after in (6, 10):
        found = verdict(proposal(8, after), context(snapshot=snapshot(pauses=(pause,))))
        assert (found.word is VerdictWord.WAIT) == (after in held)


def test_a_pause_elsewhere_or_over_binds_nothing_s9():
    for scope, until in (("other", math.inf), ("*", NOW)):
        pause = Pause(id="p", scope=scope, direction=Direction.ALL, reason="", by="sam", since=NOW, until=until)
        assert verdict(proposal(), context(snapshot=snapshot(pauses=(pause,)))).word is VerdictWord.ALLOW


@pytest.mark.parametrize(
    ("text", "after", "word", "level"),
    [("all", 10, "wait", 8), ("out", 6, "allow", 6), ("hold=9", 12, "allow", 9), ("nonsense", 6, "wait", 8)],
)
def test_the_annotation_pauses_and_an_unreadable_one_pauses_everything_s9(text, after, word, level):
    shot = with_workload(annotations={"policy.aiops/paused": text})
    found = verdict(proposal(8, after), context(snapshot=shot))
    assert (found.word.value, found.change.after) == (word, level)


def test_what_somebody_scaled_to_zero_is_left_alone_s4():
    shot = with_workload(replicas=0, ready=0)
    assert bound(verdict(proposal(0, 4), context(snapshot=shot)))[1] is Reason.SWITCHED_OFF


# -- ownership (S4) ------------------------------------------------------------------------------------


def test_replicas_that_an_hpa_steers_are_not_fought_s4():
    found = verdict(proposal(), context(snapshot=with_workload(hpas=(hpa(),))))
    assert bound(found)[:2] == (VerdictWord.DENY, Reason.OWNED)
    assert "checkout" in found.binding.ruling.detail


@pytest.mark.parametrize("kind", [OwnerKind.ARGO_CD, OwnerKind.FLUX, OwnerKind.KEDA, OwnerKind.FLAGGER])
def test_a_field_that_another_controller_owns_is_left_to_it_by_name_s4(kind):
    found = verdict(proposal(), context(snapshot=with_workload(owners=(owner(kind, NOW),))))
    assert bound(found)[:2] == (VerdictWord.DENY, Reason.OWNED)
    assert kind.value in found.binding.ruling.detail


@pytest.mark.parametrize(
    ("at", "until"),
    [(NOW - 300, NOW - 300 + 3600), (None, NOW + 3600)],  # a write through /scale has no time
)
def test_a_field_that_was_ours_and_is_a_persons_now_makes_the_loop_yield_for_an_hour_s4(at, until):
    shot = with_workload(owners=(owner(OwnerKind.OTHER, at),))
    ours = TargetState(uid="u", owned=True)
    found = verdict(proposal(), context(snapshot=shot, state=ours))
    assert bound(found)[:2] == (VerdictWord.WAIT, Reason.MANUAL_OVERRIDE)
    assert found.binding.ruling.until == until


def test_the_hour_of_an_override_begins_once_and_again_with_another_write_s4():
    first = context(snapshot=with_workload(owners=(owner(OwnerKind.CREATOR),)), state=TargetState(uid="u", owned=True))
    held = watched(first.state, first)
    later = replace(first, now=NOW + 600, state=held)
    assert watched(held, later).override_until == NOW + 3600
    moved = with_workload(replicas=5, owners=(owner(OwnerKind.CREATOR),))
    again = replace(later, snapshot=moved, workload=moved.workloads[TARGET.key])
    assert watched(held, again).override_until == NOW + 600 + 3600


def test_the_field_is_ours_again_after_we_wrote_it_s4():
    ctx = context(snapshot=with_workload(owners=(owner(OwnerKind.AIOPS),)), state=TargetState(yielded="kubectl@=5"))
    assert (watched(ctx.state, ctx).owned, watched(ctx.state, ctx).yielded) == (True, "")


def test_whoever_made_the_object_does_not_steer_it_now_s4():
    for owners in (
        (owner(OwnerKind.CREATOR, NOW - 900),),
        (owner(OwnerKind.CREATOR, NOW - 900), owner(OwnerKind.AIOPS, NOW - 60)),
    ):
        assert verdict(proposal(), context(snapshot=with_workload(owners=owners))).word is VerdictWord.ALLOW


@pytest.mark.parametrize(
    ("hpas", "after", "reason"),
    [
        ((), 10, Reason.UNKNOWN_TARGET),
        ((hpa(), hpa(name="two")), 10, Reason.OWNED),
        ((hpa(reads_our_metric=True),), 10, Reason.OWNED),
        ((hpa(owners=(owner(OwnerKind.KEDA, None, "minReplicas"),)),), 10, Reason.OWNED),
        ((hpa(scaling_active=False),), 6, Reason.SCALING_INACTIVE),
    ],
)
def test_a_floor_is_moved_only_where_that_is_safe_s4(hpas, after, reason):
    floor = policy(lever=Lever.HPA_FLOOR)
    assert bound(verdict(proposal(8, after), context(policy=floor, snapshot=with_workload(hpas=hpas))))[1] is reason


def test_a_floor_never_goes_above_the_hpas_ceiling_s4():
    floor = policy(lever=Lever.HPA_FLOOR)
    found = verdict(proposal(8, 50), context(policy=floor, snapshot=with_workload(hpas=(hpa(max_replicas=12),))))
    assert bound(found)[1:] == (Reason.BOUNDS, 12)
