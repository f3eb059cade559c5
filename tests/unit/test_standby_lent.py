"""What a standby was lent is given back when its policy goes, and never over what a person wrote (S4, S9)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from aiops.core.model import Direction as Way
from aiops.core.model import GroupState, Mode, Pause, Plan, PlanKind, PlanStatus, Reason, ScaleTo, Scope, Stage
from aiops.core.plans.changes import answered, begun, rolling_back
from aiops.core.plans.guards import Bounds, ruling
from aiops.core.plans.handing_back import handed_back, leaned_on
from aiops.core.plans.lifecycle import kept_still
from aiops.core.plans.machine import advance
from aiops.core.plans.operations import verbs
from aiops.core.plans.world import World
from tests.plan_world import NOW, TICK_S, ObjectCluster, plan, snapshot
from tests.unit.failing import a_group

GROUP = a_group(("mode: approve", "mode: enforce"))
NORTH = GROUP.sites[1]
ROUTE = GROUP.traffic.object
SCOPE = Scope(namespaces=frozenset({ROUTE.namespace, NORTH.target.namespace}))
ALL_WEST = (("storefront-west", 100), ("storefront-north", 0))


def lent(replicas: int = 4, policy: str = GROUP.key, name: str = "01LENT") -> Plan:
    """Return a preparation that makes the standby so large."""
    idle = GROUP.traffic.shift(ALL_WEST)
    operation = ScaleTo(target=NORTH.target, replicas=replicas, only_up=True, lent=True, idle=idle)
    step = replace(plan().steps[0], name="ready north", operation=operation)
    return plan(step, id=name, kind=PlanKind.PREPARE, policy=policy, by=policy, subject=f"{policy}#north")


@dataclass
class Standby:
    """A standby of one replica with its route, turn by turn. policy: None once it was deleted."""

    policy: object = GROUP
    now: float = NOW
    cluster: ObjectCluster = field(default_factory=ObjectCluster)
    plans: dict[str, Plan] = field(default_factory=dict)
    leaning: frozenset[str] = frozenset()
    pauses: tuple[Pause, ...] = ()

    def __post_init__(self) -> None:
        self.write(1)
        self.route(100, 0)

    def write(self, replicas: int) -> None:
        self.cluster.put(NORTH.target, {"metadata": {"name": "storefront"}, "spec": {"replicas": replicas}})

    def route(self, west: int, north: int) -> None:
        refs = [{"name": f"storefront-{name}", "weight": share} for name, share in (("west", west), ("north", north))]
        self.cluster.put(ROUTE, {"metadata": {"name": "storefront"}, "spec": {"rules": [{"backendRefs": refs}]}})

    @property
    def replicas(self) -> int:
        return self.cluster.body(NORTH.target)["spec"]["replicas"]

    @property
    def seen(self):
        (asked,) = verbs(lent().steps[0].operation).wanted(lent().steps[0].operation).selections
        looked = replace(self.cluster.look(None, self.now), selections={asked.key: ()})
        return snapshot(looked, self.now, scope=SCOPE, pauses=self.pauses)

    def bounds(self) -> Bounds:
        return Bounds(policy=self.policy, snapshot=self.seen, plans=tuple(self.plans.values()), leaning=self.leaning)

    def begin(self, one: Plan) -> None:
        self.plans[one.id] = begun(one, self.now, "test")

    def turn(self, turns: int = 1) -> None:
        for _ in range(turns):
            for name in sorted(self.plans):
                bounds = self.bounds()
                still = kept_still(handed_back(self.plans[name], bounds), bounds)
                made = advance(still, World(now=self.now, snapshot=bounds.snapshot), TICK_S)
                self.plans[name] = made.plan
                if made.errand is not None:
                    results = [self.cluster.perform(made.errand, step, self.now) for step in made.errand.steps]
                    self.plans[name] = answered(made.plan, made.errand, results)
            self.now += TICK_S


def raised(**more: object) -> Standby:
    """Return a standby that was made ready, and is lent its replicas."""
    one = Standby(**more)
    one.begin(lent())
    one.turn(2)
    assert (one.replicas, one.plans["01LENT"].status) == (4, PlanStatus.DONE)
    return one


def released() -> tuple[Pause, ...]:
    return (Pause(id="p", scope="*", direction=Way.ALL, reason="r", by="ada", since=NOW, release=True),)


LEFT = {
    "deleted": {"policy": None},
    "observe": {"policy": replace(GROUP, mode=Mode.OBSERVE)},
    "another standby": {"policy": replace(GROUP, sites=GROUP.sites[:1])},
    "released": {"pauses": released()},
}


@pytest.mark.parametrize("change", LEFT.values(), ids=LEFT)
def test_what_a_standby_was_lent_is_given_back_when_its_policy_lets_go_of_it_s9(change):
    one = raised()
    one.turn(5)
    assert one.replicas == 4
    for name, value in change.items():
        setattr(one, name, value)
    one.turn(2)
    assert (one.replicas, one.plans["01LENT"].status) == (1, PlanStatus.ROLLED_BACK)


def test_a_deleted_policy_takes_nothing_from_where_users_are_sent_and_gives_back_once_nobody_is_s7():
    one = raised()
    one.policy = None
    one.route(60, 40)
    one.turn(20)
    assert (one.replicas, one.plans["01LENT"].status) == (4, PlanStatus.DONE)
    one.route(100, 0)
    one.turn(3)
    assert one.replicas == 1


def test_what_cannot_be_seen_is_not_taken_away_s1():
    one = raised()
    one.policy = None
    del one.cluster.objects[ROUTE.key]
    one.turn(20)
    assert one.replicas == 4


def test_users_who_are_sent_there_while_it_is_given_back_keep_what_they_have_s7():
    one = raised()
    one.plans["01LENT"] = rolling_back(one.plans["01LENT"], one.now, "not needed")
    one.route(0, 100)
    one.turn(3)
    assert (one.replicas, one.plans["01LENT"].status) == (4, PlanStatus.ROLLING_BACK)
    assert "it is not seen that nobody is sent to" in one.plans["01LENT"].steps[0].detail


def test_a_standby_on_which_another_group_leans_is_kept_s7():
    one = raised(policy=GROUP)
    one.policy, one.leaning = None, frozenset({NORTH.target.key})
    one.turn(5)
    assert (one.replicas, one.plans["01LENT"].status) == (4, PlanStatus.DONE)
    one.leaning = frozenset()
    one.turn(2)
    assert one.replicas == 1


CALM = GroupState(weights=ALL_WEST)


@pytest.mark.parametrize(
    ("group", "sites"),
    [
        (CALM, ("west",)),
        (replace(CALM, weights=(("storefront-west", 80), ("storefront-north", 20))), ("west", "north")),
        (replace(CALM, trouble_since=NOW), ("west", "north")),
        (GroupState(), ("west", "north")),
    ],
    ids=["nobody is sent there", "some are", "users may be failing", "nothing is known"],
)
def test_a_group_leans_on_every_site_that_gets_traffic_or_may_have_to(group, sites):
    assert math.isinf(CALM.trouble_since)
    expected = {site.target.key for site in GROUP.sites if site.name in sites}
    assert leaned_on((GROUP,), {GROUP.key: group}) == expected


def test_of_two_policies_one_lends_at_a_time_so_that_a_person_s_number_is_never_taken_for_ours_s4():
    one = raised()
    other = lent(6, "FailoverPolicy/shop/other", "02LENT")
    bounds = replace(one.bounds(), policy=replace(GROUP, key=other.policy))
    said = ruling(other, bounds)
    assert said is not None
    assert (said.reason, "01LENT" in said.detail) == (Reason.IN_FLIGHT, True)
    one.policy = None
    one.turn(2)
    assert ruling(other, replace(one.bounds(), policy=bounds.policy)) is None


def test_a_number_that_a_person_wrote_is_theirs_though_it_is_the_one_that_was_lent_s4():
    one = raised()
    one.write(6)
    one.turn()
    one.write(4)
    one.policy = None
    one.turn(5)
    assert one.replicas == 4
    assert (one.plans["01LENT"].steps[0].stage, one.plans["01LENT"].touches_back) == (Stage.UNDONE, False)
    assert "somebody changed it after us" in one.plans["01LENT"].notes[-1].text


def test_a_pause_of_scaling_in_keeps_a_standby_as_large_as_it_is_and_does_not_keep_it_small_s9():
    pause = Pause(id="p", scope="*", direction=Way.IN, reason="sale", by="ada", since=NOW)
    one = raised(pauses=(pause,))
    one.policy = None
    one.turn(3)
    assert one.replicas == 4
    assert one.plans["01LENT"].held == "paused by ada: sale"
    one.pauses = ()
    one.turn(2)
    assert one.replicas == 1
