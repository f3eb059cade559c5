"""Worlds with money: nodes that are spread, cordoned, taken back and priced by the hour; who could have paid least."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiops.core.model import (
    Cordon,
    Drain,
    Errand,
    Operation,
    Reason,
    Selection,
    Sleep,
    StepStatus,
    TargetRef,
    Wanted,
)
from aiops.core.model.operations import RestLever
from aiops.core.plans.operations import Origin, verbs
from aiops.errors import InvalidInput
from simulators.money import ALLOWED, open_at, oracle, run_schedule
from simulators.nodes import NodePool, NodePoolSpec, Spot, SpotStorm
from simulators.pods import Fleet, Pods, Startup
from simulators.ports import SimCluster, SimPrices
from simulators.run import Rehearsal, simulate
from simulators.scenario import load as load_scenario
from simulators.scenario import policies_for
from simulators.schema import OfficeSpec
from simulators.scorecard import sheet
from simulators.selected import expanded_in

QUICK = Startup(median_s=30.0, p95_s=30.000001)
ORIGIN = Origin(plan_id="P1", policy="CostPolicy/shop/x", key="k", epoch=1, now=0.0)


def dice() -> np.random.Generator:
    return np.random.default_rng(1)


def a_pool(**more: object) -> NodePool:
    made = {
        "name": "general",
        "pods_per_node": 4,
        "most": 10,
        "least": 0,
        "provisioning": QUICK,
        "usd_per_hour": 0.2,
        "empty_for_s": 600.0,
        "first": 3,
    }
    return NodePool(NodePoolSpec(**{**made, **more}), dice())  # type: ignore[arg-type]


def pods_in(pool: NodePool, count: int) -> Pods:
    return Pods(Fleet(startup=QUICK), dice(), count, pool)


def by_node(pods: Pods) -> dict[int, int]:
    found: dict[int, int] = {}
    for pod, _ in pods.placed_pods:
        found[pod.node] = found.get(pod.node, 0) + 1
    return found


# -- nodes ---------------------------------------------------------------------------------------------


def test_pods_fill_nodes_or_are_spread_over_them() -> None:
    assert by_node(pods_in(a_pool(), 6)) == {1: 4, 2: 2}
    assert by_node(pods_in(a_pool(spread=True), 6)) == {1: 2, 2: 2, 3: 2}


def test_a_cordoned_node_takes_no_pods_and_an_evicted_pod_comes_back_elsewhere() -> None:
    pool = a_pool(spread=True)
    pods = pods_in(pool, 6)
    pool.nodes[3].cordoned = True
    leaving = [pod.number for pod, _ in pods.placed_pods if pod.node == 3]
    assert all(pods.evict(number, 0.0) for number in leaving)
    assert (by_node(pods), pods.count, pods.ready) == ({1: 3, 2: 3}, 6, 4)
    assert not pods.evict(leaving[0], 0.0)
    assert pods.resized == []
    pods.settle(60.0)
    assert pods.ready == 6
    assert pool.nodes[3].empty_since == 0.0


def test_a_node_that_is_taken_back_takes_its_pods_with_it_and_they_come_back_where_there_is_room() -> None:
    pool = a_pool(spread=True, storms=(SpotStorm(start=100.0, end=700.0, share_ratio=1.0),))
    pods = pods_in(pool, 6)
    pool.advance(0.0, 15.0)
    assert (pool.reclaimed, pods.ready) == (0, 6)
    pool.advance(90.0, 105.0)
    assert (pool.reclaimed, pods.ready, pods.pending, pods.count) == (3, 0, 6, 6)
    for at in range(105, 700, 15):
        pool.advance(float(at), at + 15.0)
        pods.settle(at + 15.0)
    assert pods.ready == 0  # while the storm lasts there are no nodes to be had
    for at in range(705, 900, 15):
        pool.advance(float(at), at + 15.0)
        pods.settle(at + 15.0)
    assert (pods.ready, len(pool.nodes)) == (6, 2)


def test_reclaims_come_in_waves_as_often_as_is_said_and_together() -> None:
    pool = a_pool(first=10, spot=Spot(waves_per_hour=2.0, together_ratio=0.3))
    hits = []
    for step in range(4000):
        before = pool.reclaimed
        pool.advance(step * 15.0, step * 15.0 + 15.0)
        hits.append(pool.reclaimed - before)
        while len(pool.nodes) < 10:
            pool._add(step * 15.0, step * 15.0)
    hours = 4000 * 15.0 / 3600.0
    assert pool.reclaimed / hours == pytest.approx(2.0 * 0.3 * 10, rel=0.25)
    # three of ten together, far from one by one
    waves = [one for one in hits if one]
    assert np.mean(waves) == pytest.approx(3.0, abs=0.8)


def test_a_node_costs_what_the_hour_says() -> None:
    spec = a_pool(price=((0.0, 0.5), (28_800.0, 2.0))).spec
    day = 86_400.0 * 20_000
    assert [spec.usd_at(day + at) for at in (0.0, 28_799.0, 28_800.0, 86_399.0)] == [0.1, 0.1, 0.4, 0.4]
    assert a_pool(price=((28_800.0, 2.0),)).spec.usd_at(day) == 0.4  # the evening's price lasts until morning


# -- the objects that plans look at ----------------------------------------------------------------------


def a_cluster() -> tuple[SimCluster, float]:
    world, hpas = load_scenario("oversized-pool").world(1)
    return SimCluster(world, hpas), world.now


def test_a_node_is_cordoned_and_drained_through_the_objects_of_the_world() -> None:
    cluster, at = a_cluster()
    node = TargetRef(namespace="", api_version="v1", kind="Node", name="general-1")
    errand = Errand(
        id="e", plan_id="P1", step=0, back=False, policy="p", dry_run=False, issued_at=at, expires_at=at, epoch=1
    )

    def do(operation: Operation) -> list[StepStatus]:
        looked = cluster.look(verbs(operation).wanted(operation), at)
        assert verbs(operation).refusal(operation, looked) is None
        steps = verbs(operation).requests(operation, looked, ORIGIN).steps
        return [cluster.perform(errand, step, at).status for step in steps]

    def reached(operation: Operation) -> bool | None:
        return verbs(operation).reached(operation, cluster.look(verbs(operation).wanted(operation), at))

    assert do(Cordon(node=node)) == [StepStatus.DONE]
    assert (reached(Cordon(node=node)), reached(Drain(node=node))) == (True, False)
    assert do(Drain(node=node)) == [StepStatus.DONE] * 2
    assert reached(Drain(node=node)) is True
    assert do(Cordon(node=node, unschedulable=False)) == [StepStatus.DONE]
    assert reached(Cordon(node=node)) is False


def test_a_deployment_sleeps_and_wakes_through_the_objects_of_the_world() -> None:
    cluster, at = a_cluster()
    target = TargetRef(namespace="shop", name="shop")
    looked = cluster.look(Wanted(objects=(target,)), at)
    uid = looked.objects[target.key].uid
    operation = Sleep(
        target=target, object=target, uid=uid, lever=RestLever.REPLICAS, seen="16", original="16", to="0", mark="P1"
    )
    looked = cluster.look(verbs(operation).wanted(operation), at)
    (step,) = verbs(operation).requests(operation, looked, ORIGIN).steps
    errand = Errand(
        id="e", plan_id="P1", step=0, back=False, policy="p", dry_run=False, issued_at=at, expires_at=at, epoch=1
    )
    assert cluster.perform(errand, step, at).status is StepStatus.DONE
    # the same request again is of an older version
    again = cluster.perform(errand, step, at)
    assert (again.status, again.code, again.reason) == (StepStatus.REFUSED, 409, Reason.REFUSED)
    looked = cluster.look(verbs(operation).wanted(operation), at)
    assert verbs(operation).reached(operation, looked) is True
    assert looked.objects[target.key].body["spec"]["replicas"] == 0


def test_what_is_not_there_is_not_shown_and_cannot_be_changed() -> None:
    cluster, at = a_cluster()
    ghosts = (
        TargetRef(namespace="", api_version="v1", kind="Node", name="general-99"),
        TargetRef(namespace="", api_version="v1", kind="Node", name="other-1"),
        TargetRef(namespace="shop", name="ghost"),
    )
    pods = Selection(cluster="default", namespace="nowhere", api_version="v1", kind="Pod")
    looked = cluster.look(Wanted(objects=ghosts, selections=(pods,)), at)
    assert (looked.objects, looked.selections) == ({}, {pods.key: ()})


def test_nodes_have_their_prices_of_the_hour() -> None:
    world, hpas = load_scenario("spot-storm").world(1)
    cluster = SimCluster(world, hpas)
    book = SimPrices(world).book((), cluster.inventory((), world.now), world.now)
    assert book.node_usd_per_hour("default/spot-1") == pytest.approx(0.056 * 0.8)


# -- baselines -----------------------------------------------------------------------------------------


def test_people_work_by_the_clock() -> None:
    office = OfficeSpec()
    thursday = 1_772_697_600.0  # 2026-03-05 08:00 UTC
    assert [open_at(office, thursday + hours * 3600.0) for hours in (-2, -1, 10.9, 11, 48)] == [
        False,
        True,
        True,
        False,
        False,
    ]


SHORT = """
name: short
start: 2026-03-05T18:00:00Z
duration: 2h
step: 30s
violationPrice: 0.5
office: {from: '07:00', to: '19:00'}
pools: [{name: dev, podsPerNode: 2, maxNodes: 4, minNodes: 0, price: 0.2, emptyFor: 5m}]
services:
  - {name: api, namespace: dev, pool: dev, capacity: 40, serviceTime: 60ms, slo: 600ms, replicas: 4,
     load: {base: 60, day: {'00:00': 0, '06:55': 0, '07:05': 1, '18:59': 1, '19:00': 0}}}
"""


def test_a_schedule_lets_go_of_nodes_and_the_oracle_pays_no_more_than_anybody(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT)
    scenario = load_scenario(str(path))
    asleep = run_schedule(scenario, expanded_in(scenario, _policies("office-hours")), None, lambda: None)
    awake, _ = scenario.world(None)
    while awake.now < asleep.now:
        awake.advance(awake.now + awake.step_s)
    account, full = asleep.services["dev/api"].account, awake.services["dev/api"].account
    assert full.usd == pytest.approx(2 * 2 * 0.2)  # two nodes for two hours
    assert full.usd / 2 < account.usd < full.usd * 0.6  # half of it, and what empty nodes wait for
    best = oracle(scenario, None, ("dev/api",))
    assert best.cost_usd < account.usd
    assert best.violating_ratio <= ALLOWED


def _policies(name: str):  # type: ignore[no-untyped-def]
    from aiops.policy import load

    return load([policies_for(name)], 30.0)


def test_a_scorecard_of_money_says_what_was_paid_and_what_violations_cost(tmp_path: Path) -> None:
    from aiops.adapters.store import Store

    path = tmp_path / "short.yaml"
    path.write_text(SHORT)
    scenario = load_scenario(str(path))
    policies = expanded_in(scenario, _policies("office-hours"))
    store = Store.open("sqlite://", batch=200)
    result = simulate(scenario, policies, store.journal, Rehearsal())
    store.close()
    card = result.scorecard
    assert [one.name for one in card.scores] == ["aiops", "static-peak", "hpa", "schedule", "oracle"]
    ours, static = card.scores[0], card.scores[1]
    assert ours.cost_usd < 0.65 * static.cost_usd
    assert ours.total_usd == ours.cost_usd + ours.violating / 1000.0 * 0.5
    heads, rows = sheet(card)
    assert heads[-2:] == ("SLO price USD", "in all USD")
    assert rows[0][-1] == f"{ours.total_usd:,.2f}"
    assert card.as_json()["scores"][0]["total_usd"] == ours.total_usd
    assert any("it is time to sleep" in story for _, story in result.stories)


WRONG = {
    "more nodes at first than may be": (
        "minNodes: 0",
        "firstNodes: 9",
        "pools[0].firstNodes: more than maxNodes",
    ),
    "a price for no time of day": ("minNodes: 0", "priceDay: {noon: 2}", "'noon' is no time of day"),
    "waves that never come": ("minNodes: 0", "spot: {wavesPerHour: 0}", "pools[0].spot.wavesPerHour"),
}


@pytest.mark.parametrize(("old", "new", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_in_a_scenario_of_money_is_said_with_its_place(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(SHORT.replace(old, new))
    with pytest.raises(InvalidInput) as caught:
        load_scenario(str(path)).world(None)
    assert said in str(caught.value)
