"""What sleeps and its record: edited, torn, taken away or of another; and whose it is, and what guards it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from aiops.core.model import Reason
from aiops.core.objects.resting import MARK, RECORD
from tests.unit.rested import (
    API,
    CRON,
    DB,
    NIGHTS,
    PDB,
    WEB,
    Daemon,
    nights,
    workload,
)
from tests.unit.sleeping import EVENING, MORNING, NIGHT, slept, why

# -- records that people changed -----------------------------------------------------------------------


SINCE_EVER = (
    '{"policy":"CostPolicy/dev/nights","plan":"P","uid":"U","lever":"replicas","original":"3","to":"0","since":1'
    + "0" * 400
    + "}"
)
"""A number of JSON that no float can hold."""


@pytest.mark.parametrize("text", ["{", "[]", '{"original": "9"}', "x" * 5000, SINCE_EVER, None])
def test_a_record_that_was_broken_or_taken_away_is_told_and_the_store_knows_what_it_was(text):
    daemon = slept()
    daemon.cluster.annotate(WEB, record=text)
    daemon.run(EVENING + 300.0)
    assert any("knows that it was 3" in line for line in daemon.said.evidence)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3
    assert not {RECORD, MARK} & set(daemon.cluster.notes(WEB))


def test_of_a_record_that_says_something_else_the_stores_copy_counts():
    daemon = slept()
    text = daemon.cluster.notes(WEB)[RECORD].replace('"original":"3"', '"original":"50"')
    daemon.cluster.annotate(WEB, record=text)
    daemon.run(EVENING + 300.0)
    assert any("its record says 50, and was changed by hand" in line for line in daemon.said.evidence)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_where_every_trace_was_taken_away_the_record_is_written_anew():
    daemon = slept()
    daemon.cluster.annotate(WEB, record=None, mark=None)
    daemon.run(EVENING + 600.0)
    record = daemon.cluster.record(WEB)
    assert record is not None
    assert record["original"] == "3"
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_without_a_store_the_record_on_the_object_is_enough():
    daemon = slept()
    daemon.restart(without_store=True)
    daemon.run(NIGHT)
    assert daemon.cluster.value(WEB) == 0
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]


def test_without_a_store_and_with_a_broken_record_it_is_held_and_nothing_is_lost():
    daemon = slept()
    daemon.cluster.annotate(WEB, record="{", mark=None)
    daemon.restart(without_store=True)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 0
    assert daemon.cluster.notes(WEB)[RECORD] == "{"
    assert why(daemon)[0] is Reason.INCONCLUSIVE
    assert "set replicas by hand and take the record away" in why(daemon)[1]


def test_an_object_that_came_back_from_a_backup_is_not_the_one_that_was_put_to_rest():
    daemon = slept()
    body = copy.deepcopy(daemon.cluster.objects[WEB])
    body["metadata"].pop("uid")
    daemon.cluster.delete(WEB)
    daemon.run(EVENING + 120.0)
    assert "web" not in daemon.standing()
    daemon.cluster.make(WEB, body)
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 0
    assert why(daemon)[0] is Reason.OWNED
    assert "of another object" in why(daemon)[1]
    assert "that one had 3" in why(daemon)[1]


def test_what_rests_by_another_policy_is_its():
    daemon = slept()
    other = Daemon(cluster=daemon.cluster, policy=replace(nights().policy, key="CostPolicy/dev/other"))
    other.run(EVENING + 600.0)
    assert other.did() == []
    assert why(other)[0] is Reason.OWNED
    assert "it rests by CostPolicy/dev/nights" in why(other)[1]


# -- whose it is, and what guards it -------------------------------------------------------------------


def test_what_git_keeps_is_left_to_it_unless_it_says_that_the_lever_is_ignored_s4():
    daemon = slept(nights(objects={WEB: workload(3, labels={"argocd.argoproj.io/instance": "shop"})}))
    assert daemon.cluster.value(WEB) == 3
    assert why(daemon)[0] is Reason.OWNED
    assert "Argo CD" in why(daemon)[1]
    daemon.cluster.annotate(WEB, gitops_ignores="suspend, replicas")
    daemon.run(NIGHT)
    assert daemon.cluster.value(WEB) == 0
    daemon.run(MORNING)
    assert daemon.cluster.value(WEB) == 3


def test_a_budget_that_wants_pods_keeps_them_unless_the_policy_says_otherwise_s5():
    budget = {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    daemon = slept(nights(objects={WEB: workload(3), PDB: budget}))
    assert (daemon.cluster.value(WEB), why(daemon)[0]) == (3, Reason.DISRUPTION_BUDGET)
    bold = slept(
        nights(NIGHTS, ("sleep:", "sleep:\n    disruptionBudgets: ignore"), objects={WEB: workload(3), PDB: budget})
    )
    assert bold.cluster.value(WEB) == 0


def test_a_stateful_set_rests_only_once_all_of_it_is_ready_s3():
    spec = NIGHTS.replace("[Deployment, CronJob]", "[StatefulSet]") + "    scaleIn: allowed\n"
    body = workload(3)
    body["status"]["readyReplicas"] = body["status"]["availableReplicas"] = 2
    daemon = nights(spec, objects={DB: body})
    daemon.cluster.slow = 10**9
    daemon.cluster.objects[DB]["status"] = body["status"]
    daemon.run(EVENING)
    assert (daemon.cluster.value(DB), why(daemon)[0]) == (3, Reason.ROLLOUT)
    daemon.cluster.slow = 0.0
    daemon.run(NIGHT)
    assert daemon.cluster.value(DB) == 0


def test_more_workloads_than_it_may_have_hold_all_of_it_and_those_that_sleep_are_woken_s3():
    daemon = slept(nights(NIGHTS, ("maxTargets: 20", "maxTargets: 3")))
    daemon.cluster.make(replace(WEB, name="more"), workload(2))
    daemon.run(NIGHT)
    assert daemon.cluster.value(replace(WEB, name="more")) == 2
    assert why(daemon)[0] is Reason.BOUNDS
    daemon.run(MORNING)
    assert [daemon.cluster.value(one) for one in (WEB, API, CRON)] == [3, 4, False]
