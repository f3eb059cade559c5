"""What a CostPolicy that rightsizes refuses, with its place, and what it is made to."""

from __future__ import annotations

import pytest

from aiops.core.planning.cost_rightsize import How, Limits
from aiops.core.planning.doing import operations_of
from aiops.errors import InvalidPolicy
from aiops.policy.lint.cost import bill
from aiops.policy.lint.rule import Terms
from tests.unit.rightsized import a_policy

RIGHTSIZE = "    every: 300s\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (RIGHTSIZE, "    cpu: {min: 2, max: 1}\n", "spec.rightsize.cpu.max: is less than min"),
        (RIGHTSIZE, "    memory: {min: 2Gi, max: 1Gi}\n", "spec.rightsize.memory.max: is less than min"),
        ("history: 2d", "history: 2d\n    resources: []", "spec.rightsize.resources"),
        ("minHistory: 6h", "minHistory: 3d", "spec.rightsize.minHistory: is longer than history"),
        ("halfLife: 6h", "halfLife: 4d", "spec.rightsize.halfLife: is longer than history"),
        (RIGHTSIZE, "    cpu: {query: 'sum by (pod'}\n", "spec.rightsize.cpu.query: PromQL"),
        ("every: true", "kinds: [CronJob], every: true", "spec.target.kinds[0]: CronJobs are not rightsized"),
        ("  target: {every: true, maxTargets: 5}\n", "", "spec.target: rightsize needs a target"),
        ("throttled: 5%", "slo: [{signal: errors, atMost: 1%}]", "spec.rightsize.watch.slo[0].signal"),
        (RIGHTSIZE, "    how: Sideways\n", "spec.rightsize.how"),
    ],
)
def test_mistakes_are_told_with_their_place(old, new, said):
    with pytest.raises(InvalidPolicy, match=r"fleet\.yaml:\d+:\d+: ") as caught:
        a_policy((old, new))
    assert said in str(caught.value)


def test_queries_are_of_the_policys_namespace_and_may_be_given():
    queries = a_policy().queries
    assert all('namespace="shop"' in one.expr for one in queries.values())
    assert all(one.identity == ("pod", "container") for one in queries.values())
    mine = a_policy((RIGHTSIZE, "    memory: {query: 'max by (pod, container) (mem)', limits: Scale}\n"))
    assert mine.queries["memory"].expr == "max by (pod, container) (mem)"
    assert mine.sizing.memory is not None
    assert mine.sizing.memory.limits is Limits.SCALE


def test_what_it_may_do_follows_from_how_it_does_it_s10():
    def does(*changes):
        return [type(one).__name__ for one in operations_of(a_policy(*changes))]

    assert does() == ["SetResources", "ResizePods"]
    assert does(("share: 25%", "share: 0%")) == ["SetResources"]
    assert does((RIGHTSIZE, "    how: InPlace\n")) == ["ResizePods"]
    assert a_policy((RIGHTSIZE, "    how: InPlace\n")).how is How.IN_PLACE


def test_a_resource_that_is_not_named_is_left_alone():
    sizing = a_policy((RIGHTSIZE, "    resources: [memory]\n")).sizing
    assert sizing.cpu is None
    assert sizing.memory is not None


def test_what_it_costs_prometheus_is_told_beforehand_s10():
    terms = Terms(step_s=15.0, scrape_s=15.0)
    policy = a_policy()
    found = bill([policy], terms)
    assert len(found.by_policy[policy.key]) == 3
    assert found.queries_per_minute(policy.key) == pytest.approx(3 * 60.0 / 300.0)
    assert found.samples_per_minute(policy.key) > 0.0
