"""Orders of people to the judge of a failover, and several sites to go to."""

from __future__ import annotations

import pytest

from aiops.core.model import (
    OrderKind,
    PlanKind,
    Reason,
    VerdictWord,
)
from tests.unit.failing import Driven, a_group, failed_over
from tests.unit.test_failover_judge import LAGS, OUTSIDE, weights


def test_a_person_may_move_users_from_a_site_that_is_well_to_one_that_is_well():
    group = Driven().settled()
    group.order(OrderKind.START, to="north", reason="maintenance")
    found = group.tick()
    assert (found.plan.kind, found.plan.by, found.plan.approvals) == (PlanKind.FAILOVER, "ada", ("ada",))
    assert found.plan.reason == "ada: maintenance"
    assert [one["storefront-north"] for one in weights(found.plan)] == [50, 100]
    assert found.followed == ("o0",)
    assert group.tick().plan is None


def test_an_order_says_what_is_not_known_of_where_users_go():
    group = Driven(policy=a_group(LAGS), lags={"north": float("nan")}).settled()
    group.order(OrderKind.START, to="north")
    plan = group.tick().plan
    assert plan.asks == "how far north lags behind is not known (the query has no series)"
    assert plan.approvals == ("ada",)


@pytest.mark.parametrize(
    ("kind", "to", "reason", "said"),
    [
        (OrderKind.START, "north", Reason.STANDBY_SICK, "north is not known to be well"),
        (OrderKind.START, "south", Reason.UNKNOWN_TARGET, "there is no site 'south'; there are west, north"),
        (OrderKind.START, "west", Reason.IN_FLIGHT, "west serves already"),
        (OrderKind.BACK, "", Reason.IN_FLIGHT, "west serves already"),
        (OrderKind.DRILL, "", Reason.STANDBY_SICK, "north is not known to be well"),
    ],
)
def test_an_order_that_would_hurt_is_refused_with_its_reason(kind, to, reason, said):
    group = Driven().settled()
    group.fail("north", 1.0, ("edge",))
    group.tick()
    group.order(kind, to=to)
    found = group.tick()
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.DENY, reason)
    assert found.judgement.detail.endswith(said)
    assert found.followed == ("o0",)


def test_an_order_while_nobody_is_heard_is_refused():
    group = Driven().settled()
    group.silent = {"west", "north"}
    group.order(OrderKind.START)
    assert group.tick().judgement.reason is Reason.PARTITIONED


def test_a_drill_sends_a_canary_there_and_back():
    group = Driven().settled()
    group.order(OrderKind.DRILL)
    plan = group.tick().plan
    assert plan.kind is PlanKind.DRILL
    assert [one["storefront-north"] for one in weights(plan)] == [5, 0]
    assert group.memory.moved_at == float("-inf")


def test_an_order_home_need_not_wait_but_for_the_ten_minutes():
    group = failed_over()
    group.fail("west", 0.0)
    group.run(590.0)
    group.order(OrderKind.BACK)
    found = group.tick()
    assert (found.plan and found.plan.kind, found.judgement.word) in {
        (PlanKind.FAILBACK, VerdictWord.ALLOW),
        (None, VerdictWord.DENY),
    }


# -- three sites, and memory ---------------------------------------------------------------------------

SOUTH = """    - name: south
      cluster: south
      region: eu-south
      backend: storefront-south
      target: {kind: Deployment, name: storefront}
      standby: {replicas: 4}
  traffic:"""


def three(regions: str) -> Driven:
    changes = [("  traffic:", SOUTH), ("allowedRegions: [eu-west, eu-north]", f"allowedRegions: [{regions}]")]
    return Driven(policy=a_group(*changes)).settled()


def test_of_several_sites_the_first_that_is_well_and_allowed_is_taken():
    group = three("eu-west, eu-north, eu-south")
    group.fail("west", 1.0, OUTSIDE)
    assert "storefront-north" in max(weights(group.run(60.0).plan)[-1].items(), key=lambda one: one[1])
    group = three("eu-west, eu-south")
    group.fail("west", 1.0, OUTSIDE)
    assert weights(group.run(60.0).plan)[-1]["storefront-south"] == 100


def test_of_several_sites_one_that_is_large_enough_comes_before_one_that_must_grow():
    group = three("eu-west, eu-north, eu-south")
    group.ready["north"] = 1
    group.fail("west", 1.0, OUTSIDE)
    assert weights(group.run(60.0).plan)[-1]["storefront-south"] == 100
