"""A share on spot nodes goes back at once when it must, and is left to whoever else has a hand in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import OrderKind, PlanKind, PlanStatus, Reason
from aiops.core.objects.spot import FLOOR_S
from tests.unit.packed import ref
from tests.unit.spotting import BASE, CAPACITY, HPA, SPEC, SPOT, World, a_deployment, a_policy

# -- back at once --------------------------------------------------------------------------------------


def test_in_a_storm_everything_is_asked_for_on_demand_in_the_same_turn_and_comes_back_slowly() -> None:
    world = World()
    world.until(5)
    world.take("a", "b", "c")
    world.dry = True
    world.turn()
    assert world.said[:2] == ("allow", Reason.STORM)
    assert world.split[0] == 12
    world.run(120)
    assert (world.split, world.serving) == ((12, 0), 12)
    world.dry = False
    world.run(420)
    assert world.said[:2] == ("wait", Reason.BACK_OFF)
    world.until(3)
    again = world.now
    world.take("a", "b", "c")
    world.run(150)
    assert world.split == (12, 0)
    world.until(3)
    # twice as long after the second one
    assert world.now - again >= 1200.0


def test_what_serves_on_spot_nodes_stays_until_the_base_is_ready() -> None:
    world = World()
    world.until(5)
    world.order(OrderKind.ROLL_BACK)
    world.slow = True
    world.run(300)
    assert (world.split, world.serving) == ((12, 5), 12)
    world.slow = False
    world.run(120)
    assert (world.split, world.serving) == ((12, 0), 12)


def test_pods_that_lack_a_node_for_too_long_go_back_on_demand() -> None:
    world = World()
    world.until(5)
    world.slow = True
    world.take("a")
    world.run(180)
    assert world.split == (7, 5)  # one pool of three is no storm, and pods take a while to start
    world.run(60)
    # what serves on spot nodes stays until what was asked for is there
    assert (world.split, world.serving) == ((12, 5), 10)
    world.slow = False
    world.run(120)
    assert (world.split, world.serving) == ((12, 0), 12)
    assert "are not ready for" in " ".join(note.text for plan in world.plans for note in plan.notes)


def test_a_release_of_the_companion_that_takes_its_time_is_no_lack_of_spot_nodes() -> None:
    world = World()
    world.until(5)
    world.rolling = 3  # so many of its pods are of the new template
    world.slow = True
    world.take("a")
    world.run(600)
    assert world.split == (7, 5)
    # pods without a node are a lack, release or not; an autoscaler took these nodes, so that it is no storm
    for zone in world.zones:
        world.change(ref("Node", f"sp-{zone}"), {"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}})
    world.run(30)
    world.slow, world.dry = False, True
    world.take(*world.zones)
    world.run(165)
    assert world.split == (7, 5)
    world.run(60)
    assert world.split[0] == 12
    assert "5 of 5 replicas of web-spot are not ready" in " ".join(n.text for one in world.plans for n in one.notes)


def test_nodes_that_an_autoscaler_removes_are_not_counted_as_taken_away() -> None:
    world = World()
    world.until(5)
    world.change(ref("Node", "sp-a"), {"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}})
    world.run(30)
    world.take("a")
    world.run(60)
    assert any(line.startswith("pool m6i.large a: 0.0 waves") for line in world.evidence)
    world.take("b")
    world.run(60)
    assert any(line.startswith("pool m6i.large b: 1.0 waves") for line in world.evidence)


def test_a_notice_counts_when_it_is_seen() -> None:
    world = World()
    world.until(5)
    world.change(ref("Node", "sp-a"), {"spec": {"taints": [{"key": "aws-node-termination-handler/spot-itn"}]}})
    world.run(30)
    assert any(line.startswith("pool m6i.large a: 1.0 waves") for line in world.evidence)
    world.take("a")
    world.run(30)
    assert any(line.startswith("pool m6i.large a: 1.0 waves") for line in world.evidence)


def test_with_an_hpa_its_floor_is_raised_for_a_fallback_and_given_back_later() -> None:
    world = World(hpa=(2, 40))
    world.until(5)
    world.take("a", "b", "c")
    world.dry = True
    world.run(30)
    floor = world.objects[HPA.key].body["spec"]["minReplicas"]
    assert floor == 12
    world.run(120)
    assert (world.split, world.serving) == ((12, 0), 12)
    world.run(FLOOR_S)
    assert world.objects[HPA.key].body["spec"]["minReplicas"] == 2
    assert "policy.aiops/spot-floor" not in world.notes(HPA)


def test_when_fewer_replicas_are_wanted_the_share_shrinks_so_that_the_floor_is_left() -> None:
    world = World()
    world.until(5)
    world.change(BASE, {"spec": {"replicas": 3}})  # somebody scales the base in: 8 in all, 4 must be left
    world.run(120)
    assert world.split == (4, 4)
    plan = next(one for one in world.plans if one.kind is PlanKind.RESTORE)
    assert "4 of 8 must be left" in plan.reason


def test_what_an_hpa_asks_for_in_the_place_of_lost_pods_makes_no_share_grow() -> None:
    world = World(hpa=(1, 40), zones=("a", "b"))
    world.until(5)
    world.run(900)
    world.slow = True
    world.take("a")
    for turn in range(120):
        world.slow = turn < 8
        world.turn()
        assert sum(world.split) <= 17
        assert world.replicas_of(SPOT) <= 5
        assert world.ready(BASE) >= 6


def test_what_shrinks_never_grows_when_all_of_it_was_given_back_meanwhile() -> None:
    world = World(hpa=(1, 40))
    world.until(5)
    world.needed = 7  # the HPA scales the base in: 7 in all, and fewer may be on spot nodes
    world.run(90)
    plan = next(one for one in world.plans if one.kind is PlanKind.RESTORE)
    assert plan.status is PlanStatus.RUNNING  # the floor that was raised for it stays for ten minutes
    assert 0 < world.replicas_of(SPOT) < 5
    world.in_force = False
    for _ in range(100):
        world.turn()
        assert world.replicas_of(SPOT) <= 3
    assert world.replicas_of(SPOT) == 0
    assert {one.status.ended for one in world.plans} == {True}


# -- hands, owners, records ----------------------------------------------------------------------------


def test_everything_is_given_back_when_the_policy_is_deleted_whatever_steps_there_were() -> None:
    world = World()
    world.until(5)
    world.in_force = False
    for _ in range(20):
        world.turn()
    assert (world.split, world.serving) == ((12, 0), 12)
    assert world.notes(SPOT) == {}


def test_with_the_store_lost_the_objects_say_what_was_there_before() -> None:
    world = World()
    world.until(5)
    world.state = type(world.state)()
    world.run(60)
    assert world.split == (7, 5)  # it stands, and goes on
    assert [(one.kind, one.touches_back) for one in world.plans] == [(PlanKind.SAVING, True)]
    world.take("a", "b", "c")
    world.dry = True
    world.run(300)
    assert (world.split, world.serving) == ((12, 0), 12)


@pytest.mark.parametrize("text", ["nonsense", '{"set":-1,"home":0}', '{"set":3}', "[]", '{"set":5,"home":1e400}'])
def test_a_record_that_was_edited_by_hand_is_told_and_the_way_back_is_known_all_the_same(text: str) -> None:
    world = World()
    world.until(5)
    world.change(SPOT, {"metadata": {"annotations": {"policy.aiops/spot": text}}})
    world.run(30)
    assert world.said[:2] == ("wait", Reason.INCONCLUSIVE)
    assert "policy.aiops/spot of Deployment shop/web-spot" in world.said[2]
    world.in_force = False
    for _ in range(20):
        world.turn()
    assert (world.split, world.serving) == ((12, 0), 12)


@pytest.mark.parametrize("text", [None, "many", "-3"])
def test_what_a_base_gave_up_is_known_without_its_note(text: str | None) -> None:
    world = World()
    world.until(5)
    world.change(BASE, {"metadata": {"annotations": {"policy.aiops/on-spot": text}}})
    world.in_force = False
    for _ in range(20):
        world.turn()
    assert (world.split, world.serving) == ((12, 0), 12)


def test_a_hand_at_the_companion_is_respected_for_an_hour() -> None:
    world = World()
    world.until(5)
    world.change(SPOT, {"spec": {"replicas": 4}})
    world.run(60)
    assert world.said[:2] == ("wait", Reason.MANUAL_OVERRIDE)
    world.run(3500)
    assert world.split == (7, 4)
    world.run(300)
    assert world.said[1] is not Reason.MANUAL_OVERRIDE


def test_what_others_steer_is_left_to_them() -> None:
    world = World()
    aim = {"kind": "Deployment", "name": "web-spot"}
    spec = {"spec": {"scaleTargetRef": aim, "minReplicas": 1, "maxReplicas": 9}}
    world.put(
        replace(a_deployment(SPOT, 0), ref=ref("HorizontalPodAutoscaler", "s", "shop", "autoscaling/v2"), body=spec)
    )
    world.run(30)
    assert world.said[:2] == ("wait", Reason.OWNED)
    other = World()
    other.change(BASE, {"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}})
    other.run(30)
    assert (other.said[:2], other.split) == (("wait", Reason.OWNED), (12, 0))
    other.change(BASE, {"metadata": {"annotations": {"policy.aiops/gitops-ignores": "replicas"}}})
    other.until(3)


def test_a_companion_whose_pods_may_run_anywhere_is_none() -> None:
    world = World()
    world.put(a_deployment(SPOT, 0))
    world.run(30)
    assert world.said[:2] == ("wait", Reason.INCONCLUSIVE)
    assert "must require spot nodes" in world.said[2]
    terms = [{"matchExpressions": [{"key": CAPACITY, "operator": "In", "values": ["spot"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    world.change(SPOT, {"spec": {"template": {"spec": {"affinity": {"nodeAffinity": required}}}}})
    world.until(3)


def test_without_prices_nothing_moves_and_what_is_there_stays() -> None:
    world = World(usd={False: 0.04})
    world.run(60)
    assert (world.said[1], world.split) == (Reason.INCONCLUSIVE, (12, 0))
    assert "the price of spot nodes is not known" in world.said[2]
    known = World()
    known.until(5)
    known.usd = {}
    known.now += 90_000
    known.run(300)
    assert known.split == (7, 5)


def test_what_cannot_be_seen_moves_nothing() -> None:
    world = World()
    world.until(5)
    world.errors["default//v1/Node?&"] = (Reason.NO_PERMISSION, "forbidden")
    world.run(60)
    assert (world.said[1], world.split) == (Reason.NO_PERMISSION, (7, 5))


def test_there_is_nothing_to_do_without_a_companion() -> None:
    world = World(a_policy(SPEC, ("every: 5m", "suffix: -cheap")))
    world.turn()
    assert world.said[:2] == ("wait", Reason.UNKNOWN_TARGET)
