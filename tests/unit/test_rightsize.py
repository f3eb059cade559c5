"""A CostPolicy that rightsizes: up at once, down slowly, some pods first, taken back on harm, and nobody is fought."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.decide.cost.rightsize.scene import amount
from aiops.core.model import PlanStatus, PriceBook, Priced, Reason, Stage, UnitPrices, Wanted
from aiops.core.money.chains import Sight, brought, layers
from aiops.core.money.ledger import SavingKind
from aiops.core.money.standing import standing
from aiops.core.pipeline.lane import wanted
from aiops.core.pipeline.planning import plan_turn
from aiops.core.plans.lifecycle import to_forget
from aiops.core.record.codec import to_text
from tests.plan_world import snapshot
from tests.unit.rightsized import HPA, MIB, TARGET, VPA, World, a_policy, sizes

HOUR_S = 3600.0


def after(hours: float, world: World | None = None) -> World:
    world = World() if world is None else world
    world.run(hours * HOUR_S)
    return world


def status(world: World) -> list[PlanStatus]:
    return [one.status for one in world.plans]


def test_nothing_is_lowered_before_there_is_enough_history():
    world = after(5.9)
    assert not world.plans
    assert world.said[0] == "steady"
    assert "too little is known of it" in world.said[2]
    assert any("app cpu 4: too little is known" in line for line in world.decision.judgement.evidence)


def test_what_is_too_large_is_lowered_on_some_pods_then_in_the_template_and_watched():
    world = after(5.9).until(lambda one: one.sent, HOUR_S)
    assert [said for _, said in world.sent] == ["Pod shop/checkout-001: resources of app"]
    small = world.has(world.pods[0])
    assert small["requests"]["cpu"] != "4"
    assert world.has() == sizes()  # the template is not touched while the canary is watched
    assert world.has(world.pods[1]) == sizes()
    begun = world.sent[0][0]
    world.until(lambda one: len(one.sent) == 2, HOUR_S)
    assert world.sent[1][1] == "Deployment shop/checkout: resources of app"
    assert world.sent[1][0] - begun >= 600.0
    assert all(world.has(pod) == world.has() for pod in world.pods)
    assert world.has()["requests"] == small["requests"]
    world.until(lambda one: PlanStatus.DONE in status(one), HOUR_S)
    assert len(world.sent) == 2


def test_the_first_step_down_is_wide_and_later_ones_come_closer_as_history_grows():
    world = after(8.0)
    first = amount(world.has()["requests"]["cpu"])
    assert 0.8 < first < 1.1  # 0.2 cores and 5 %, four and a half times that after a quarter of a day
    world.run(24 * HOUR_S)
    last = amount(world.has()["requests"]["cpu"])
    assert 0.22 < last < 0.44  # 1 + 3/4 of it after a day and a third
    assert world.has()["limits"] == {
        "memory": world.has()["requests"]["memory"]
    }  # a limit that was the request is it still


def test_a_kill_for_memory_raises_request_and_limit_at_once_whatever_the_history_s5():
    small = sizes("1", "1Gi", "1Gi")
    world = World(size=lambda _pod, _now: 900.0 * MIB, resources=small)
    world.run(HOUR_S)
    world.kill(world.pods[2])
    world.until(lambda one: one.has() != small, 2 * HOUR_S)
    assert world.has()["requests"]["memory"] == world.has()["limits"]["memory"] == "1232Mi"  # 1.2 times 1Gi
    assert "was killed for memory" in world.plans[0].reason
    assert world.has()["requests"]["cpu"] == "1"


def test_a_leak_is_told_and_not_fed_for_ever():
    world = World(size=lambda _pod, _now: 900.0 * MIB, resources=sizes("1", "1Gi", "1Gi"))
    world.run(HOUR_S)
    for _ in range(8):
        world.run(1.5 * HOUR_S)
        world.kill(world.pods[0])
    world.run(2 * HOUR_S)
    use = world.memory.uses["Deployment/checkout/app"]
    assert use.kills > 3
    assert use.floor_bytes < 4 * 2**30
    assert any("it leaks" in line for line in world.decision.judgement.evidence)


def test_use_that_grows_is_followed_up_without_waiting():
    world = World(cores=lambda _pod, now: 0.8, resources=sizes("1"))
    world.run(2 * HOUR_S)
    assert not world.sent
    world.cores = lambda _pod, now: 1.6
    world.until(lambda one: one.sent, 8 * HOUR_S)
    assert "too small for what is used" in world.plans[-1].reason


def test_a_kill_during_the_canary_takes_everything_back_and_backs_off_s7():
    world = after(5.9).until(lambda one: one.sent, HOUR_S)
    assert world.plans[0].steps[0].undo
    world.turn()
    world.kill(world.pods[0])
    world.until(lambda one: PlanStatus.ROLLED_BACK in status(one), HOUR_S)
    assert world.has(world.pods[0]) == sizes()
    assert world.has() == sizes()
    world.turn()
    assert world.memory.sized[TARGET.key].harms == 1
    assert world.said[1] is Reason.BACK_OFF
    sent = len(world.sent)
    world.run(1.8 * HOUR_S)
    assert len(world.sent) == sent
    world.until(lambda one: len(one.sent) > sent, HOUR_S)
    # what was killed needs more than it had: the next try leaves memory alone, or gives more
    assert amount(world.has(world.pods[0])["requests"]["memory"]) >= 4 * 2**30


def test_throttling_that_was_not_there_before_is_harm_s7():
    world = after(5.9).until(lambda one: one.sent, HOUR_S)
    world.throttled = lambda pod, _now: 0.4 if pod == "checkout-001" else 0.0
    world.until(lambda one: PlanStatus.ROLLED_BACK in status(one), HOUR_S)
    assert "settled" in next(note.text for note in world.plans[0].notes if "settled" in note.text)
    assert world.has(world.pods[0]) == sizes()


def test_throttling_that_was_there_before_is_no_harm():
    world = World(throttled=lambda _pod, _now: 0.2)
    after(6.0, world).until(lambda one: PlanStatus.DONE in status(one), 3 * HOUR_S)


def test_a_bad_slo_holds_and_takes_back_s7():
    spec = ("    watch: {watchFor: 20m", "    watch: {slo: [{signal: errors, atMost: 1%}], watchFor: 20m")
    signal = ("  rightsize:", "  signals:\n    errors: {query: 'sum(rate(e[1m]))', unit: \"1\"}\n  rightsize:")
    world = World(policy=a_policy(spec, signal), signals={"errors": 0.02})
    after(8.0, world)
    assert not world.sent
    assert world.said == ("wait", Reason.NOT_WELL_LONG_ENOUGH, "errors is 0.02")
    world.signals = {"errors": 0.0}
    world.until(lambda one: one.sent, HOUR_S)
    world.signals = {"errors": 0.05}
    world.until(lambda one: PlanStatus.ROLLED_BACK in status(one), HOUR_S)
    assert world.has(world.pods[0]) == sizes()


def test_a_resource_that_an_hpa_scales_on_is_recommended_and_left_alone_s4():
    world = World()
    aim = {"kind": "Deployment", "name": "checkout"}
    world.api.put(HPA, {"spec": {"scaleTargetRef": aim, "minReplicas": 2, "maxReplicas": 9}})
    after(10.0, world)
    assert world.has()["requests"]["cpu"] == "4"
    assert world.has()["requests"]["memory"] != "4Gi"
    assert any("HPA shop/checkout scales on the use of cpu" in line for line in world.decision.judgement.evidence)


@pytest.mark.parametrize(("mode", "acts"), [("Auto", False), ("Off", True)])
def test_a_vpa_that_acts_is_not_fought_s4(mode, acts):
    world = World()
    aim = {"kind": "Deployment", "name": "checkout"}
    world.api.put(VPA, {"spec": {"targetRef": aim, "updatePolicy": {"updateMode": mode}}})
    after(10.0, world)
    assert bool(world.sent) is acts


def test_a_proposal_that_waits_for_a_person_stays_the_same_while_the_wish_moves_little():
    world = World(policy=a_policy(("mode: enforce", "mode: approve")))
    after(6.6, world)
    (plan,) = world.plans
    world.run(0.4 * HOUR_S)
    assert [one.id for one in world.plans if one.status == PlanStatus.PROPOSED] == [plan.id]
    assert not world.sent
    world.approve()
    world.until(lambda one: one.sent, HOUR_S)


@pytest.mark.parametrize("mode", ["observe", "dry-run"])
def test_a_mode_that_does_not_act_recommends_all_the_same(mode):
    world = World(policy=a_policy(("mode: enforce", f"mode: {mode}")))
    after(8.0, world)
    assert not world.sent
    assert any("app cpu 4 -> " in line for line in world.decision.judgement.evidence)


def test_while_use_cannot_be_read_nothing_is_forgotten_and_nothing_begins_s2():
    world = after(3.0)
    before = world.memory.uses
    world.error = "time-out"
    world.run(4 * HOUR_S)
    assert world.memory.uses == before
    assert world.said[0] == "wait"
    assert "use is not known: cpu: time-out" in world.said[2]
    assert not world.sent


def test_pods_that_cannot_be_listed_teach_nothing_s1():
    world = after(1.0)
    before = world.memory.uses
    world.api.unknown["default/shop/v1/Pod?&"] = (Reason.NO_PERMISSION, "pods is forbidden")
    key = next(one.key for one in world.policy.wanted.selections if one.kind == "Pod")
    world.api.unknown[key] = (Reason.NO_PERMISSION, "pods is forbidden")
    world.run(HOUR_S)
    assert world.memory.uses == before
    assert "pods is forbidden" in world.said[2]


def test_in_place_alone_leaves_the_template_and_resizes_pods_that_come_later():
    world = World(policy=a_policy(("    canary:", "    how: InPlace\n    canary:")))
    after(10.0, world)
    assert world.has() == sizes()
    assert all(world.has(pod)["requests"]["cpu"] != "4" for pod in world.pods)
    assert all(said.startswith("Pod ") for _, said in world.sent)
    late = world.new_pod()
    assert world.has(late) == sizes()
    world.run(2 * HOUR_S)
    assert world.has(late)["requests"]["cpu"] != "4"


def test_what_is_remembered_of_a_container_stays_small():
    world = World(
        cores=lambda pod, now: 0.05 + (hash((pod, now // 60)) % 1000) / 1000.0,
    )
    world.run(12 * HOUR_S)
    text = to_text(world.memory.uses)
    assert len(text) < 3000


def test_money_that_is_not_known_counts_as_nothing():
    world = World(priced=False)
    after(6.6, world)
    assert "for want of a price" in world.plans[0].reason
    paid = World()
    after(6.6, paid)
    assert "frees what costs" in paid.plans[0].reason


def test_what_is_remembered_is_the_same_object_until_something_is_learnt():
    world = World()
    world.run(HOUR_S)
    lane = world.lane()
    made = plan_turn(world.state, replace(lane, snapshot=replace(lane.snapshot, tables={})))
    assert made.state.savings[world.policy.key] is world.state.savings[world.policy.key]


def test_a_mode_that_acts_no_more_gives_back_what_was_there_s9():
    world = after(6.0).until(lambda one: PlanStatus.DONE in status(one), 3 * HOUR_S)
    assert world.has() != sizes()
    world.policy = a_policy(("mode: enforce", "mode: dry-run"))
    world.until(lambda one: one.has() == sizes(), HOUR_S)
    world.until(lambda one: PlanStatus.ROLLED_BACK in status(one), HOUR_S)


def test_what_is_unwell_just_then_is_given_back_all_the_same_s7_s9():
    world = after(6.0).until(lambda one: PlanStatus.DONE in status(one), 3 * HOUR_S)
    world.api.objects[TARGET]["status"]["availableReplicas"] = 3
    world.policy = a_policy(("mode: enforce", "mode: dry-run"))
    world.until(lambda one: one.has() == sizes(), HOUR_S)


def test_what_is_unwell_just_then_is_not_forgotten_s9():
    alone = World(policy=a_policy(("canary: {share: 25%", "canary: {share: 0%")))
    world = after(6.0, alone).until(lambda one: PlanStatus.DONE in status(one), 3 * HOUR_S)
    done = next(one for one in world.plans if one.status is PlanStatus.DONE)
    world.api.objects[TARGET]["status"]["availableReplicas"] = 3
    world.now += 2 * HOUR_S
    looked = world.api.look(wanted((world.policy,), world.state), world.now)
    assert not to_forget(done, snapshot(looked, at=world.now))


def test_what_another_owns_by_now_is_left_to_it_and_not_tried_for_ever_s4():
    world = after(6.0).until(lambda one: PlanStatus.DONE in status(one), 3 * HOUR_S)
    was = world.has()
    aim = {"kind": "Deployment", "name": "checkout"}
    world.api.put(VPA, {"spec": {"targetRef": aim, "updatePolicy": {"updateMode": "Auto"}}})
    world.policy = a_policy(("mode: enforce", "mode: dry-run"))
    world.until(lambda one: PlanStatus.ROLLED_BACK in status(one), HOUR_S)
    assert world.has() == was != sizes()


def test_what_is_resized_in_place_alone_is_in_the_ledger_by_the_pods_that_were():
    world = World(policy=a_policy(("    canary:", "    how: InPlace\n    canary:")))
    after(10.0, world)
    done = [one for one in world.state.plans.values() if one.status is PlanStatus.DONE]
    units = UnitPrices(core_usd=0.04, gib_usd=0.005)
    book = PriceBook(replicas={TARGET.key: Priced(usd_per_hour=0.2, source="list", as_of=world.now, units=units)})
    seen = world.api.look(Wanted(objects=(TARGET,)))
    found = standing(done, snapshot(seen, prices=book))
    assert {one.kind for one in found} == {SavingKind.RIGHTSIZE}
    for one in found:
        made, before = one.plan.steps[-1], one.plan.steps[-1].undo[0]
        extra = sum(
            (amount(before.requests[name]) - amount(value)) * (0.04 if name == "cpu" else 0.005 / 2.0**30)
            for name, value in made.operation.requests.items()
        )
        assert taken_off(one, seen, book) == pytest.approx(1e9 * extra, rel=1e-6)
        # a canary alone is a part of the pods
        canary = replace(one.plan, steps=(one.plan.steps[0], replace(made, stage=Stage.BEGUN)))
        (part,) = standing([canary], snapshot(seen, prices=book))
        assert taken_off(part, seen, book) == pytest.approx(1e9 * extra / 4.0, rel=1e-6)


def taken_off(one, seen, book):
    """Return nano-USD per hour that a plan takes off the price of each of four replicas."""
    links = one.rested[TARGET.key].links
    found = brought([("P", links)], Sight.of(snapshot(seen, prices=book)).now(TARGET.key, links))
    (layer,) = layers(found, book.units(TARGET.key), 4)
    return layer.extra
