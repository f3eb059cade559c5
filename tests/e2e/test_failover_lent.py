"""A standby that was made larger for nothing is given back, by a daemon beside three real API servers (S7, S9)."""

from __future__ import annotations

import pytest
import yaml

from aiops.core.model import Plan, PlanKind, PlanStatus
from tests.e2e.places import DEPLOYMENT, KEY, Places, policy

PATIENT = {**policy()["spec"]["health"], "failFor": "40s"}
"""Users that fail are suspected at once, and known to fail after so long only: a standby is made larger meanwhile."""

WATCH = {
    "apiVersion": "policy.aiops/v1alpha1",
    "kind": "WatchPolicy",
    "metadata": {"name": "asked", "namespace": "shop"},
    "spec": {"query": "asked"},
}
"""What is there in its stead: a daemon without any policy does not begin."""


def lent(places: Places) -> Plan:
    """Let the standby be made larger as users may be failing, and let them be well again; return the plan."""
    places.begin(north=2, health=PATIENT)
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


def returned(places: Places, plan: Plan, within_s: float = 150.0) -> str:
    """Wait until the standby is what it was, and return what is told of the plan."""
    back = PlanStatus.ROLLED_BACK
    places.until(lambda: places.replicas("north") == 2, "the standby to be given back", within_s)
    places.until(lambda: [p.status for p in places.plans()] == [back], "the plan's end")
    assert places.weights == (100, 0)
    assert plan.id not in places.aiops("effects")
    return places.aiops("plans", "show", plan.id)


@pytest.mark.timeout(600)
def test_a_standby_made_larger_is_given_back_by_a_successor_when_its_policy_is_deleted_s6_s9(places: Places):
    plan = lent(places)
    places.daemons[-1].kill9()
    assert places.replicas("north") == 3
    places.policy_file.write_text(yaml.safe_dump(WATCH))
    places.daemon()
    assert f"{KEY} is not in force any more" in returned(places, plan)


@pytest.mark.timeout(600)
def test_what_somebody_made_of_a_standby_since_is_theirs_when_its_policy_is_deleted_s4_s9(places: Places):
    plan = lent(places)
    places.planes["north"].patch(DEPLOYMENT, {"spec": {"replicas": 5}})
    places.until(lambda: "it is left as it is" in places.aiops("plans", "show", plan.id), "the change to be seen")
    places.policy_file.write_text(yaml.safe_dump(WATCH))
    places.until(lambda: "storefront" not in places.sentences()[-1], "a turn without the policy")
    assert places.replicas("north") == 5
    assert [p.status for p in places.plans()] == [PlanStatus.DONE]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_standby_made_larger_is_given_back_once_users_have_been_well_for_five_minutes_s7(places: Places):
    plan = lent(places)
    assert "users of west have been well for 300 s" in returned(places, plan, within_s=480.0)
