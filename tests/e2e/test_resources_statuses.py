"""What statuses of resources cost, who writes them, and since when what they say holds."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise

import pytest
import yaml

from tests.e2e.grants import denied, unused
from tests.e2e.resources import Authored, a_watch, authored, served
from tests.e2e.rig import ROOT, Rig, scaling_policy

__all__ = ["authored", "served"]


@pytest.mark.timeout(300)
def test_a_status_is_written_when_something_changes_and_never_because_it_was_written_s10(
    rig: Rig, authored: Authored, deploy, capsys: pytest.CaptureFixture[str]
):
    deploy(replicas=7)
    rig.demand(330.0)
    authored.apply(scaling_policy(rig.namespace))
    daemon = authored.daemon()
    authored.until("Acting", "True", "Enforce")
    time.sleep(16.0)  # what the beginning left to say is said
    began, version = time.time(), authored.get()["metadata"]["resourceVersion"]
    time.sleep(40.0)
    assert authored.get()["metadata"]["resourceVersion"] == version
    assert [e for e in rig.audit(began) if e.subresource == "status"] == []
    # and under a load that never rests, at most one in 15 s
    began = time.time()
    for step in range(45):
        rig.demand(200.0 if step % 4 < 2 else 700.0)
        time.sleep(1.0)
    writes = [e for e in rig.audit(began) if e.subresource == "status"]
    times = sorted(event.at for event in writes)
    with capsys.disabled():
        print(f"\nstatus writes: none in 40 s of rest, {len(times)} in 45 s of unrest, {len(daemon.sentences())} turns")
    assert 1 <= len(times) <= 4
    assert all(later - earlier >= 14.0 for earlier, later in pairwise(times))
    assert {event.user_agent.partition(" ")[2] for event in writes} == {"status"}


def broken_policies(rig: Rig) -> list[dict]:
    """Return a policy of each other kind that only the loader refuses: all that it gets is a status."""
    found = []
    for file in ("failover.yaml", "remediation.yaml", "nights.yaml", "budget.yaml"):
        one = next(yaml.safe_load_all((ROOT / "policies" / file).read_text()))
        one["metadata"] = {"name": one["metadata"]["name"], "namespace": rig.namespace}
        one["spec"]["mode"] = "observe"
        found.append(one)
    found[0]["spec"]["health"]["users"]["query"] = "sum(failing"
    found[1]["spec"]["signals"]["errors"]["query"] = "sum(failing"
    found[2]["spec"]["sleep"]["awake"][0]["timeZone"] = "Nowhere/Town"
    found[3]["spec"]["timeZone"] = "Nowhere/Town"
    return found


def test_only_who_leads_writes_statuses_and_all_that_is_granted_is_used_s2_s10(rig: Rig, authored: Authored, deploy):
    deploy(replicas=4)
    rig.demand(330.0)
    printed = authored.grant(scaling_policy(rig.namespace))
    authored.apply(scaling_policy(rig.namespace), grant=False)
    authored.apply(a_watch(rig), grant=False)
    for one in broken_policies(rig):
        authored.apply(one, grant=False)
    rig.shared_store = f"sqlite:///{rig.folder / 'first.db'}"
    first = authored.daemon("first")
    authored.until("Acting", "True", "Enforce")
    rig.until(lambda: authored.status("demand", "watchpolicies"), "another kind's status")
    rig.until(lambda: authored.status("storefront", "failoverpolicies"), "a third kind's status")
    rig.until(lambda: authored.status("checkout", "remediationpolicies"), "a fourth kind's status")
    rig.until(lambda: authored.status("nights", "costpolicies"), "a fifth kind's status")
    rig.until(lambda: authored.status("messaging", "costbudgets"), "a sixth kind's status")
    began = time.time()
    rig.shared_store = f"sqlite:///{rig.folder / 'second.db'}"
    second = authored.daemon("second")
    rig.until(lambda: any("standing by" in one for one in second.sentences()), "the second to stand by", 60)
    rig.demand(480.0)
    rig.until(lambda: authored.status().get("wantedReplicas") == 10, "the first to say 10", 60)
    # a watch is in the audit log once it has ended
    second.process.kill9()
    first.process.kill9()
    rig.until(lambda: unused(printed, rig.audit()) == [], "all grants to be used")
    assert denied(rig.audit()) == []
    statuses = [event for event in rig.audit(began) if event.subresource == "status"]
    assert len({event.at // 10 for event in statuses}) == len(statuses), "two of them write"


def test_a_condition_keeps_the_time_since_which_it_holds(rig: Rig, authored: Authored, deploy):
    deploy(replicas=4)
    rig.demand(330.0)
    authored.apply(scaling_policy(rig.namespace))
    authored.daemon()
    authored.until("Acting", "True", "Enforce")
    first = authored.condition("Valid")["lastTransitionTime"]
    rig.demand(480.0)
    rig.until(lambda: authored.status().get("wantedReplicas") == 10, "another status", 60)
    assert authored.condition("Valid")["lastTransitionTime"] == first
    assert abs(datetime.fromisoformat(first).timestamp() - time.time()) < 120
