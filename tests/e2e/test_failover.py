"""Users that fail at a site are sent to another one, and home again, by a daemon beside three real API servers (S8).

A standby that was made larger for nothing is given back (S7, S9).
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from aiops.core.model import Plan, PlanKind, PlanStatus, ShiftTraffic
from tests.e2e.places import DEPLOYMENT, KEY, PLACES, SITES, Places, policy
from tests.loopback import pager


@pytest.mark.timeout(600)
def test_users_that_fail_are_sent_to_a_standby_and_home_again_though_the_daemon_dies_on_the_way_s6_s8(places: Places):
    home = {"automatic": True, "after": "300s", "steps": [50, 100], "pause": "6s"}
    places.begin(north=2, health=places.aging(), failback=home)
    first = places.daemon()
    places.steady()
    assert places.weights == (100, 0)
    # users of west may be failing: the standby is raised on suspicion, and nobody is sent there before it is ready
    places.users("west", 1.0, ("edge", "north"))
    places.until(lambda: places.replicas("north") == 3, "the standby to be raised")
    assert places.weights == (100, 0)
    places.ready("north", 3)
    places.until(lambda: places.weights == (0, 100), "all traffic to go to north")
    done = (PlanKind.FAILOVER, PlanStatus.DONE)
    places.until(lambda: done in [(p.kind, p.status) for p in places.plans()], "the plan's end")
    (raised,) = [p for p in places.plans() if p.kind is PlanKind.PREPARE]
    assert (raised.status, raised.steps[0].name, raised.steps[0].operation.replicas) == (
        PlanStatus.DONE,
        "ready north",
        3,
    )
    assert raised.steps[0].undo[0].replicas == 2  # so many are there again, once nobody needs more
    assert "aiops failover back shop/storefront" in places.aiops("effects")
    # what was moved is not moved again within ten minutes, whoever asks
    places.users("west", 0.0)
    # it is well for 0 of 300 s while it is not known to be well
    places.until(lambda: re.search("home west well for [1-9]", places.sentences()[-1]), "west to be seen well")
    places.aiops("failover", "back", "shop/storefront", "--reason", "west is repaired", "--by", "ann")
    places.until(lambda: "moved_lately" in places.reasons(), "the order to be refused")
    assert places.weights == (0, 100)
    assert [p.kind.value for p in places.plans()] == ["failover", "prepare"]
    # ten minutes later users go home by steps, and whoever follows a daemon that dies then goes on where it was
    places.age(lambda: places.plans()[0].kind is PlanKind.FAILBACK)
    places.until(lambda: places.weights == (50, 50), "half to be home")
    first.kill9()
    assert places.weights == (50, 50)
    places.daemon()
    places.until(lambda: places.weights == (100, 0), "all to be home, by the successor")
    places.until(lambda: places.plans()[0].status is PlanStatus.DONE, "the plan's end")
    assert [p.kind.value for p in places.plans()] == ["failback", "failover", "prepare"]
    back = places.plans()[0]
    assert [step.sent for step in back.steps if isinstance(step.operation, ShiftTraffic)] == [1, 1]
    assert places.moves == 3


@pytest.mark.timeout(600)
def test_people_send_users_home_stop_on_the_way_and_go_on_s9(places: Places):
    # the second step is far enough away for the command to come in between, however slowly it starts
    slowly = {"automatic": False, "after": "300s", "steps": [50, 100], "pause": "20s"}
    places.begin(north=3, serves="north", failback=slowly)
    places.daemon()
    places.steady()
    said = ("shop/storefront", "--reason", "west is repaired", "--by", "ann")
    places.aiops("failover", "back", *said)
    places.until(lambda: places.weights == (50, 50), "half to be home")
    places.aiops("plans", "pause", *said)
    places.until(lambda: places.plans()[0].status is PlanStatus.PAUSED, "the plan to stand still")
    assert places.weights == (50, 50)
    places.aiops("plans", "resume", *said)
    places.until(lambda: places.weights == (100, 0), "all to be home")
    (plan,) = places.plans()
    shown = places.aiops("plans", "show", plan.id)
    assert "west is repaired" in shown
    assert "paused: ann" in shown


@pytest.mark.timeout(600)
def test_a_daemon_that_dies_in_the_middle_is_followed_by_one_that_goes_on_where_it_was_s6(places: Places):
    places.begin(north=3, shift={"steps": [20, 50, 100], "pause": "6s"})
    first = places.daemon()
    places.steady()
    places.users("west", 0.5, ("edge", "north"))  # half of them: they are sent away in steps
    places.until(lambda: places.weights == (80, 20), "the first step")
    first.kill9()
    assert places.weights == (80, 20)
    places.daemon()
    places.until(lambda: places.weights == (50, 50), "the second step, by the successor")
    places.until(lambda: places.weights == (0, 100), "the last step")
    done = places.until(
        lambda: next((p for p in places.plans() if p.status is PlanStatus.DONE), None), "the plan's end"
    )
    assert [one.kind.value for one in places.plans()] == ["failover"]
    assert all(step.sent <= 1 for step in done.steps)


@pytest.mark.timeout(600)
def test_an_api_outage_alone_is_a_hold_that_people_are_told_of_though_the_daemon_dies_in_it_s8(places: Places):
    places.begin(north=3)
    with pager() as (url, told):
        channel = {"notify": {"channels": {"oncall": {"urls": [url]}}}}
        first = places.daemon(**channel)
        places.steady()
        with places.api_away("west"):
            places.until(lambda: "api_down" in places.reasons(), "a hold")
            first.kill9()
            places.daemon(**channel)
            places.until(lambda: "storefront holds: api_down" in told, "people to be told")
            assert places.weights == (100, 0)
        assert places.plans() == ()


@pytest.mark.timeout(600)
def test_what_only_one_place_sees_and_what_nobody_sees_moves_nobody_s1_s8(places: Places):
    places.begin(north=3)
    places.daemon()
    places.steady()
    places.users("west", 1.0, ("edge",))
    places.until(lambda: "inconclusive" in places.reasons(), "an inconclusive verdict")
    assert places.weights == (100, 0)
    for point in PLACES:
        for site in SITES:
            places.gauges[point].set("failing", site, None)
    places.until(lambda: "partitioned" in places.reasons(), "to know that nothing is heard")
    assert places.weights == (100, 0)
    assert places.plans() == ()


# -- a standby that was made larger for nothing is given back -------------------------------------------------

PATIENT = {"failFor": "40s"}
"""Users that fail are suspected at once, and known to fail after so long only: a standby is made larger meanwhile."""

WATCH = {
    "apiVersion": "policy.aiops/v1alpha1",
    "kind": "WatchPolicy",
    "metadata": {"name": "asked", "namespace": "shop"},
    "spec": {"query": "asked"},
}
"""What is there in its stead: a daemon without any policy does not begin."""


def lent(places: Places, health: dict[str, Any]) -> Plan:
    """Let the standby be made larger as users may be failing, and let them be well again; return the plan."""
    places.begin(north=2, health={**health, **PATIENT})
    places.daemon()
    places.steady()
    places.users("west", 1.0, ("edge", "north"))
    places.until(lambda: places.replicas("north") == 3, "the standby to be raised")
    places.ready("north", 3)
    places.users("west", 0.0)
    done = PlanStatus.DONE
    (plan,) = places.until(lambda: [p for p in places.plans() if p.status is done], "the standby to be ready")
    assert plan.kind is PlanKind.PREPARE
    return plan


def returned(places: Places, plan: Plan) -> str:
    """Wait until the standby is what it was, and return what is told of the plan."""
    back = PlanStatus.ROLLED_BACK
    places.until(lambda: places.replicas("north") == 2, "the standby to be given back", 150.0)
    places.until(lambda: [p.status for p in places.plans()] == [back], "the plan's end")
    assert places.weights == (100, 0)
    assert plan.id not in places.aiops("effects")
    return places.aiops("plans", "show", plan.id)


@pytest.mark.timeout(600)
def test_a_standby_made_larger_is_given_back_by_a_successor_when_its_policy_is_deleted_s6_s9(places: Places):
    plan = lent(places, policy()["spec"]["health"])
    places.daemons[-1].kill9()
    assert places.replicas("north") == 3
    places.policy_file.write_text(yaml.safe_dump(WATCH))
    places.daemon()
    assert f"{KEY} is not in force any more" in returned(places, plan)


@pytest.mark.timeout(600)
def test_what_somebody_made_of_a_standby_since_is_theirs_when_its_policy_is_deleted_s4_s9(places: Places):
    lent(places, policy()["spec"]["health"])
    places.planes["north"].patch(DEPLOYMENT, {"spec": {"replicas": 5}})

    def seen() -> bool:
        return any("it is left as it is" in note.text for one in places.plans() for note in one.notes)

    places.until(seen, "the change to be seen")
    places.policy_file.write_text(yaml.safe_dump(WATCH))
    places.until(lambda: "storefront" not in places.sentences()[-1], "a turn without the policy")
    assert places.replicas("north") == 5
    assert [p.status for p in places.plans()] == [PlanStatus.DONE]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_standby_made_larger_is_given_back_once_users_have_been_well_for_five_minutes_s7(places: Places):
    plan = lent(places, places.aging())
    places.age(lambda: places.replicas("north") == 2)
    assert "users of west have been well for 300 s" in returned(places, plan)
