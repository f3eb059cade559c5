"""What would have to change for a policy to act, and what it would decide if something were otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.store import Store
from aiops.app.asking import Known, whatif, why
from aiops.app.service import Service
from aiops.core.inquiry import Supposed, later, obstacles, scales_in, scales_out, steering, supposed
from aiops.core.model import (
    Approval,
    Direction,
    Freeze,
    Inputs,
    LoopState,
    Mode,
    Pause,
    Percepts,
    ScaleEvent,
    Scope,
    TargetState,
)
from aiops.core.pipeline import Turn, decide, decide_one
from aiops.core.policies import Bounds, Limits, Objective, PolicySet
from aiops.core.record.codec import to_text
from aiops.errors import InvalidInput, NotFound
from tests.builders import KEY, NOW, TARGET, answer, loaded, policy, rules, snapshot, workload

SEEN = TargetState(uid="u", recommendations=((NOW - 15.0, 8),))


def inputs(shot=None, state=SEEN, chosen=None) -> Inputs:
    """Return what one decision is made from: 390 req/s on 8 replicas of 50 req/s each."""
    turn = Turn(
        snapshot=shot or snapshot(),
        percepts=Percepts(),
        policies=PolicySet(digest="p", scaling=(chosen or policy(),)),
        code="c",
        platform="p",
    )
    return decide(LoopState(targets={KEY: state}), turn).seen[KEY]


# -- the demand -----------------------------------------------------------------------------------------------


def test_the_demand_at_which_it_scales_is_found_by_the_function_itself():
    chosen, seen = policy(), inputs()
    # 8 replicas carry 400: more than that needs a ninth, 350 or less can be carried by seven
    assert scales_out(chosen, seen, acts=True).at == pytest.approx(400.0, rel=1e-6)
    assert scales_in(chosen, seen, acts=True).at == pytest.approx(350.0, rel=1e-6)


def test_a_threshold_is_where_the_decision_turns():
    chosen, seen = policy(down=rules(tolerance=0.1)), inputs()
    for threshold, sign in ((scales_out(chosen, seen, acts=True), 1), (scales_in(chosen, seen, acts=True), -1)):
        assert threshold.at is not None
        for share, wanted in ((1 + sign * 1e-4, sign), (1 - sign * 1e-4, 0)):
            demand = Supposed(signals={"demand": threshold.at * share})
            change = decide_one(chosen, supposed(chosen, seen, demand)).decision.verdict.change
            assert (change.after > change.before) - (change.after < change.before) == wanted


def test_where_no_demand_scales_it_says_what_binds():
    held = policy(down=rules(window_s=300.0))
    threshold = scales_in(held, inputs(), acts=True)
    assert threshold.at is None
    assert threshold.why == "stabilisation: 8 is the most wished within 300 s"
    assert scales_in(held, inputs(), acts=False).at == pytest.approx(350.0, rel=1e-6)
    full = policy(bounds=Bounds(min_replicas=2, max_replicas=8))
    assert scales_out(full, inputs(), acts=True).at is None
    assert "bounds" in scales_out(full, inputs(), acts=True).why


def test_while_it_is_not_known_what_one_carries_the_use_is_what_steers():
    objective = Objective(demand="demand", per_replica=None, utilisation="latency")
    chosen = policy(objective=objective)
    seen = inputs(snapshot(latency=answer(0.55)), chosen=chosen)
    assert steering(chosen, seen) == "latency"
    # as an HPA does it, in whole per cent: of 8 ready to be used to 60 %, what is above its tolerance needs a ninth
    assert scales_out(chosen, seen, acts=True).at == pytest.approx(0.67, rel=1e-6)
    assert scales_in(chosen, seen, acts=True).at == pytest.approx(0.53, rel=1e-6)


@pytest.mark.parametrize("mode", Mode)
def test_the_demand_is_that_of_its_rules_whatever_its_mode_and_who_pauses_it(mode):
    pause = Pause(id="P", scope="*", direction=Direction.ALL, reason="", by="ann", since=NOW)
    shot = snapshot(
        pauses=(pause,), scope=Scope(ceiling=Mode.OBSERVE), workloads={TARGET.key: workload(opted_in=False)}
    )
    assert scales_out(policy(mode=mode), inputs(shot), acts=True).at == pytest.approx(400.0, rel=1e-6)


# -- what is in the way ---------------------------------------------------------------------------------------------


def in_the_way(chosen, seen):
    return [(one.reason, None if one.until is None else one.until - NOW) for one in obstacles(chosen, seen)]


def test_nothing_is_in_the_way_of_what_acts_or_wishes_for_nothing():
    assert in_the_way(policy(), inputs()) == []
    assert in_the_way(policy(), inputs(snapshot(demand=answer(590.0)))) == []


def test_when_a_window_ends_is_found_by_time_itself():
    chosen = policy(down=rules(window_s=300.0))
    seen = inputs(snapshot(demand=answer(90.0)), replace(SEEN, recommendations=((NOW - 100.0, 8), (NOW - 15.0, 2))))
    # the wish of 100 s ago leaves the window of 300 s after 200 s; the tick after that is in 210 s
    assert in_the_way(chosen, seen) == [("stabilisation", 210.0)]


def test_when_a_cooldown_ends_is_found_by_time_itself():
    chosen = policy(limits=Limits(cooldown_out_s=0.0, cooldown_in_s=120.0, changes_per_hour=60))
    state = replace(SEEN, last_in_at=NOW - 50.0, events=(ScaleEvent(at=NOW - 50.0, delta=-1),))
    assert in_the_way(chosen, inputs(snapshot(demand=answer(90.0)), state)) == [("cooldown", 75.0)]


def test_one_obstacle_behind_the_other_is_told():
    chosen = policy(limits=Limits(cooldown_out_s=0.0, cooldown_in_s=120.0, changes_per_hour=60))
    state = replace(SEEN, last_in_at=NOW - 50.0, events=(ScaleEvent(at=NOW - 50.0, delta=-1),))
    pause = Pause(id="P", scope="shop", direction=Direction.ALL, reason="sale", by="ann", since=NOW, until=NOW + 600)
    freeze = Freeze(name="friday", until=NOW + 900)
    shot = snapshot(demand=answer(90.0), pauses=(pause,), freezes=(freeze,))
    assert in_the_way(chosen, inputs(shot, state)) == [("paused", 600.0), ("frozen", 900.0), ("cooldown", 75.0)]


def test_a_question_a_mode_and_a_right_are_told():
    out = snapshot(demand=answer(590.0))
    assert in_the_way(policy(mode=Mode.APPROVE), inputs(out, chosen=policy(mode=Mode.APPROVE))) == [
        ("approval_needed", None)
    ]
    assert in_the_way(policy(mode=Mode.DRY_RUN), inputs(out)) == [("dry-run", None)]
    assert in_the_way(policy(mode=Mode.OBSERVE), inputs(out)) == [("mode_observe", None)]
    closed = snapshot(demand=answer(590.0), workloads={TARGET.key: workload(opted_in=False)})
    assert in_the_way(policy(), inputs(closed)) == [("not_opted_in", None)]


def test_a_question_that_was_answered_is_in_nobodys_way():
    chosen = policy(mode=Mode.APPROVE)
    asked = decide_one(chosen, inputs(snapshot(demand=answer(590.0)), chosen=chosen))
    question = asked.state.question
    shot = snapshot(demand=answer(590.0), approvals=(Approval(ask_id=question.id, approved=True, by="ann", at=NOW),))
    assert in_the_way(chosen, inputs(shot, replace(SEEN, question=question), chosen)) == []


# -- another time, another world ------------------------------------------------------------------------------------


def test_later_the_world_looks_as_fresh_and_the_wish_has_stayed():
    chosen = policy(down=rules(window_s=300.0))
    seen = inputs(snapshot(demand=answer(90.0)))
    soon, then = (decide_one(chosen, later(chosen, seen, by_s)).decision.verdict for by_s in (240.0, 300.0))
    assert (soon.change.after, then.change.after) == (8, 2)


def test_a_window_of_a_schedule_is_met_at_its_time():
    office = {"minReplicas": 2, "maxReplicas": 40}
    office["windows"] = [{"schedule": "0 8 * * *", "duration": "1h", "minReplicas": 20}]
    chosen = loaded(bounds=office)
    seen = inputs(snapshot(), chosen=chosen)
    hour = 3600.0 * ((8 - NOW // 3600 % 24) % 24)
    at_eight = decide_one(chosen, supposed(chosen, seen, Supposed(after_s=hour))).decision.verdict
    assert at_eight.change.after > 8


def test_asking_changes_nothing():
    chosen, seen = policy(), inputs()
    before = to_text(seen)
    supposed(chosen, seen, Supposed(signals={"demand": 900.0}, replicas=3, after_s=600.0))
    scales_out(chosen, seen, acts=True)
    obstacles(chosen, seen)
    assert to_text(seen) == before


# -- as data --------------------------------------------------------------------------------------------------------


def test_why_says_what_each_wants_and_whatif_sets_two_decisions_side_by_side():
    known = [
        Known(policy=policy(mode=Mode.DRY_RUN), inputs=inputs(chosen=policy(mode=Mode.DRY_RUN)), notice="not promoted")
    ]
    told = why(known, "shop/checkout", NOW + 5.0)
    (one,) = told["policies"]
    assert (told["age_s"], one["current"], one["wants"], one["verdict"]) == (5.0, 8, 8, "steady")
    assert one["steered_by"]["scales_out_from"]["at"] == pytest.approx(400.0, rel=1e-6)
    asked = whatif(known, {"target": "shop/checkout", "signals": {"demand": 900}}, NOW)
    (one,) = asked["policies"]
    assert [one[side]["wants"] for side in ("before", "after")] == [8, 18]
    assert (one["after"]["verdict"], one["after"]["dry_run"]) == ("allow", True)
    fewer = whatif(known, {"target": "shop/checkout", "replicas": 4}, NOW)["policies"][0]["after"]
    assert (fewer["current"], fewer["wants"]) == (4, 8)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"signals": {"demnad": 1}}, "no policy of shop/checkout reads demnad; there are demand, latency"),
        ({"signals": {"demand": "many"}}, "signals: numbers"),
        ({"signals": {"demand": float("nan")}}, "signals: numbers"),
        ({"signals": [1]}, "signals: numbers"),
        ({"replicas": -1}, "replicas: -1"),
        ({"replicas": True}, "replicas: True"),
        ({"after_s": -5}, "after_s: -5"),
        ({}, "say what would be otherwise"),
    ],
)
def test_what_cannot_be_supposed_is_refused(wish, said):
    known = [Known(policy=policy(), inputs=inputs())]
    with pytest.raises(InvalidInput, match=said):
        whatif(known, {"target": "shop/checkout", **wish}, NOW)


def test_the_record_answers_by_its_newest_inputs_and_says_how_old_they_are():
    store = Store.open("sqlite://")
    chosen = loaded()
    policies = PolicySet(digest="p", scaling=(chosen,))
    store.journal.note_policies(policies)
    turn = Turn(snapshot=snapshot(), percepts=Percepts(), policies=policies, code="c", platform="p")
    made = decide(LoopState(), turn)
    store.journal.note_inputs(made.tick, {key: to_text(one) for key, one in made.inputs.items()})
    store.journal.begin(made.tick, made.state)
    service = Service(store)
    assert service.why("shop/checkout")["policies"][0]["steered_by"]["scales_out_from"]["at"] == pytest.approx(400.0)
    assert service.whatif({"target": "checkout", "signals": {"demand": 900}})["policies"][0]["after"]["wants"] == 18
    with pytest.raises(NotFound, match="shop/till"):
        service.why("shop/till")


def test_what_would_be_in_the_way_of_a_wish_is_told_before_there_is_one():
    pause = Pause(id="P1", scope="shop", direction=Direction.IN, reason="sale", by="ann", since=NOW)
    known = [Known(policy=policy(mode=Mode.DRY_RUN), inputs=inputs(snapshot(pauses=(pause,))), notice="not promoted")]
    (one,) = why(known, "checkout", NOW)["policies"]
    assert one["in_the_way"] == []
    assert [(step["reason"], step["undo"]) for step in one["in_the_way_of_less"]] == [
        ("paused", "aiops resume P1"),
        ("dry-run", "not promoted"),
    ]
    assert [step["reason"] for step in one["in_the_way_of_more"]] == ["dry-run"]
