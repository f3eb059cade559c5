"""Each guard's ruling, one case a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest

from aiops.core.guard import verdict
from aiops.core.guard.ownership import watched
from aiops.core.model import (
    Approval,
    Direction,
    Freeze,
    Leadership,
    Mode,
    OwnerKind,
    Pause,
    Reason,
    ScaleEvent,
    Scope,
    SignalState,
    TargetState,
    VerdictWord,
)
from aiops.core.policies import (
    Guardrail,
    Lever,
    Limits,
    RatePolicy,
    RateUnit,
    Reaction,
    Select,
    Then,
)
from aiops.core.protocols import ConditionError, Env
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    action,
    context,
    hpa,
    need,
    owner,
    policy,
    proposal,
    rules,
    signal,
    snapshot,
    spec,
    with_workload,
    workload,
)


def bound(found) -> tuple[VerdictWord, Reason | None, int]:
    ruled = found.binding
    reason = None if ruled is None else ruled.ruling.reason
    return found.word, reason, found.change.after


@dataclass(frozen=True)
class Says:
    """A condition with a fixed answer, or none."""

    answer: bool | None = True
    text: str = "a condition"

    def holds(self, env: Env) -> bool:
        if self.answer is None:
            raise ConditionError("signals.x is not known")
        return self.answer


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


# -- guardrails ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "after", "left"),
    [
        (Then.HOLD, 10, 8),
        (Then.HOLD, 6, 8),
        (Then.HOLD_SCALE_IN, 6, 8),
        (Then.HOLD_SCALE_IN, 10, 10),
        (Then.HOLD_SCALE_OUT, 10, 8),
        (Then.HOLD_SCALE_OUT, 6, 6),
    ],
)
def test_a_guardrail_binds_its_direction(then, after, left):
    railed = policy(guardrails=(Guardrail(when=Says(), then=then),))
    assert verdict(proposal(8, after), context(policy=railed)).change.after == left


def test_a_cap_stops_growth_and_never_cuts_what_runs_s5():
    for cap, after, left in ((9, 12, 9), (4, 12, 8), (4, 6, 6)):
        railed = policy(guardrails=(Guardrail(when=Says(), then=Then.CAP, max_replicas=cap),))
        assert verdict(proposal(8, after), context(policy=railed)).change.after == left


def test_a_guardrail_that_cannot_be_told_holds_scale_in_s2():
    railed = policy(guardrails=(Guardrail(when=Says(None), then=Then.HOLD_SCALE_OUT),))
    assert bound(verdict(proposal(8, 6), context(policy=railed)))[1] is Reason.GUARDRAIL_UNDECIDED
    assert verdict(proposal(8, 10), context(policy=railed)).word is VerdictWord.ALLOW


# -- limits of change (S5) -----------------------------------------------------------------------------


def test_use_within_the_tolerance_changes_nothing_s5():
    tolerant = policy(down=rules(tolerance=0.1))
    near = proposal(8, 7, need=need(reactive=7, usage_ratio=0.92))
    far = proposal(8, 7, need=need(reactive=7, usage_ratio=0.88))
    assert bound(verdict(near, context(policy=tolerant)))[1:] == (Reason.TOLERANCE, 8)
    assert verdict(far, context(policy=tolerant)).change.after == 7


def test_scale_in_goes_to_the_most_that_was_wished_in_the_window_s5():
    steady = policy(down=rules(window_s=300.0))
    state = TargetState(uid="u", recommendations=((NOW - 400, 20), (NOW - 200, 7), (NOW - 15, 5)))
    assert bound(verdict(proposal(8, 5), context(policy=steady, state=state)))[1:] == (Reason.STABILISATION, 7)


def test_a_loop_that_has_just_begun_drops_no_replicas_s5():
    steady = policy(down=rules(window_s=300.0))
    assert bound(verdict(proposal(8, 3), context(policy=steady)))[1:] == (Reason.STABILISATION, 8)


def test_scale_out_goes_to_the_least_that_was_wished_in_its_window_s5():
    slow = policy(up=rules(window_s=60.0))
    state = TargetState(uid="u", recommendations=((NOW - 30, 9), (NOW - 15, 12)))
    assert bound(verdict(proposal(8, 12), context(policy=slow, state=state)))[1:] == (Reason.STABILISATION, 9)


@pytest.mark.parametrize(
    ("select", "allowed"),
    [(Select.MAX, 12), (Select.MIN, 10), (Select.DISABLED, 8)],
)
def test_the_rate_is_counted_from_the_level_at_the_periods_start_s5(select, allowed):
    rates = (
        RatePolicy(unit=RateUnit.PERCENT, value=100, period_s=60.0),
        RatePolicy(unit=RateUnit.PODS, value=4, period_s=60.0),
    )
    limited = policy(up=rules(rates=rates, select=select))
    state = TargetState(uid="u", events=(ScaleEvent(at=NOW - 30, delta=2),))
    assert verdict(proposal(8, 40), context(policy=limited, state=state)).change.after == allowed


def test_a_disruption_budget_is_a_floor_for_scale_in_s5():
    found = verdict(proposal(8, 2), context(snapshot=with_workload(pdb_min_available=6)))
    assert bound(found)[1:] == (Reason.DISRUPTION_BUDGET, 6)


@pytest.mark.parametrize(
    ("before", "after", "left"), [(8, 1, 2), (30, 50, 40), (45, 50, 45), (45, 42, 42), (45, 30, 30)]
)
def test_bounds_stop_growth_and_never_cut_what_is_needed_s5(before, after, left):
    assert verdict(proposal(before, after), context()).change.after == left


def test_cooldown_and_budget_never_block_reactive_need_s5():
    state = TargetState(uid="u", last_out_at=NOW - 10, last_in_at=NOW - 10, events=(ScaleEvent(at=NOW - 10, delta=1),))
    strict = policy(limits=Limits(cooldown_out_s=300.0, cooldown_in_s=300.0, changes_per_hour=1))
    reactive = proposal(8, 12, need=need(reactive=12))
    foreseen = proposal(8, 12, need=need(reactive=8, forecast=12))
    part = proposal(8, 12, need=need(reactive=10, forecast=12))
    inward = proposal(8, 6, need=need(reactive=6))
    ruled = [bound(verdict(one, context(policy=strict, state=state))) for one in (reactive, foreseen, part, inward)]
    assert ruled[0] == (VerdictWord.ALLOW, None, 12)
    assert ruled[1] == (VerdictWord.WAIT, Reason.COOLDOWN, 8)
    assert ruled[2][2] == 10
    assert ruled[3] == (VerdictWord.WAIT, Reason.COOLDOWN, 8)


def test_a_freeze_holds_what_is_not_needed_now_s9():
    frozen = context(snapshot=snapshot(freezes=(Freeze(name="friday", until=NOW + 60),)))
    assert bound(verdict(proposal(8, 6), frozen))[1] is Reason.FROZEN
    assert verdict(proposal(8, 12), frozen).word is VerdictWord.ALLOW


def test_a_write_that_was_not_seen_yet_holds_the_next_but_not_more_reactive_need_s6():
    state = TargetState(uid="u", pending=action(8, 10))
    assert bound(verdict(proposal(8, 10), context(state=state)))[1] is Reason.IN_FLIGHT
    assert verdict(proposal(8, 14), context(state=state)).change.after == 14
    seen = context(snapshot=snapshot(workloads={TARGET.key: workload(replicas=10)}), state=state)
    assert verdict(proposal(10, 12), seen).word is VerdictWord.ALLOW


def test_a_rollout_holds_scale_in():
    assert bound(verdict(proposal(8, 6), context(snapshot=with_workload(rollout=True))))[1] is Reason.ROLLOUT
