"""What a RemediationPolicy takes for trouble: alerts, findings, conditions in CEL; and what explains a finding away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import Finding, FindingKind, Reason, Scaling
from tests.unit.remedied import CRASHES, START, TARGET, World, a_policy, firing

ON_ALERT = CRASHES.replace("when: [{condition: CrashLoop}]", "when: [{alert: CheckoutErrors}]")
SHIFTS = CRASHES.replace("[{condition: CrashLoop}]", "[{finding: {kind: level-shift}}]")
SCALER = "ScalingPolicy/shop/checkout"


def shifted(policy: str) -> Finding:
    return Finding(
        policy=policy,
        series=f"{policy}#x",
        labels={},
        kind=FindingKind.LEVEL_SHIFT,
        at=START,
        since=START,
        score=3.0,
        p_value=1e-6,
        value=9.0,
        expected=1.0,
        lower=0.5,
        upper=1.5,
        reason="x",
    )


# -- alerts ------------------------------------------------------------------------------------------


def test_an_alert_that_is_told_again_is_the_same_one_and_makes_no_second_plan():
    world = World(policy=a_policy(ON_ALERT))
    world.alerts = [firing()]
    world.run(105.0)
    world.alerts = []
    world.run(600.0)
    world.alerts = [firing()]  # a late message of the one that is over
    world.run(600.0)
    assert world.did() == ["Deployment shop/checkout: restart"]
    assert world.said[0] == "steady"
    assert "was answered before" in world.said[2]


def test_an_alert_that_fires_anew_is_another_one():
    world = World(policy=a_policy(ON_ALERT))
    world.alerts = [firing()]
    world.run(105.0)
    world.alerts = []
    world.run(600.0)
    world.alerts = [firing(since=world.now)]
    world.run(600.0)
    assert world.did()[:2] == ["Deployment shop/checkout: restart"] * 2


@pytest.mark.parametrize("labels", [{}, {"severity": "warning"}, {"severity": "critical\n"}, {"Severity": "critical"}])
def test_an_alert_with_other_labels_is_no_trouble(labels):
    spec = ON_ALERT.replace("{alert: CheckoutErrors}", "{alert: CheckoutErrors, labels: {severity: critical}}")
    world = World(policy=a_policy(spec))
    world.alerts = [firing(**labels), firing("Another", severity="critical")]
    world.run(300.0)
    assert world.said == ("steady", None, "no trouble is seen")


def test_s10_what_an_alert_says_becomes_no_part_of_what_is_done():
    world = World(policy=a_policy(ON_ALERT))
    evil = '"; rm -rf / #$(target.name)'
    world.alerts = [firing(summary=evil, pod=evil, namespace=evil)]
    world.run(1200.0)
    said = [*world.did(), *world.told, *(plan.reason for plan in world.plans), *world.said[2:]]
    assert not [one for one in said if "rm -rf" in one]


# -- findings and conditions --------------------------------------------------------------------------


def test_a_finding_of_a_watch_and_a_condition_in_cel_are_triggers_too():
    spec = CRASHES.replace("[{condition: CrashLoop}]", "[{finding: {kind: level-shift, watch: latency}}]")
    world = World(policy=a_policy(spec))
    world.findings = [shifted("WatchPolicy/shop/other")]
    world.run(300.0)
    assert world.did() == []
    world.findings = [shifted("WatchPolicy/shop/latency")]
    world.run(105.0)
    assert world.did() == ["Deployment shop/checkout: restart"]
    cel = CRASHES.replace("[{condition: CrashLoop}]", "[{cel: 'signals.errors > 0.1'}]")
    policy = a_policy(cel.replace("  forAtLeast", "  signals: {errors: {query: sum(errors)}}\n  forAtLeast"))
    other = World(policy=policy, values={"errors": 0.05})
    other.run(300.0)
    assert other.did() == []
    other.values = {"errors": "no answer"}
    other.run(300.0)
    assert other.said[:2] == ("wait", Reason.INCONCLUSIVE)
    other.values = {"errors": 0.5}
    other.run(105.0)
    assert other.did() == ["Deployment shop/checkout: restart"]


def test_s1_what_is_found_after_our_own_scaling_is_no_trouble_for_a_while_and_what_stays_is():
    world = World(policy=a_policy(SHIFTS))
    world.scalings = [Scaling(policy=SCALER, target=TARGET, out_at=START)]
    world.findings = [replace(shifted("WatchPolicy/shop/latency"), since=START + 30.0)]
    world.run(240.0)
    assert world.did() == []
    assert world.said[:2] == ("wait", Reason.KNOWN_CAUSE)
    assert "ScalingPolicy/shop/checkout changed its replicas a moment ago" in world.said[2]
    world.run(180.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_s1_what_was_there_before_is_explained_by_nothing_that_came_after_it():
    world = World(policy=a_policy(SHIFTS))
    world.scalings = [Scaling(policy=SCALER, target=TARGET, in_at=START)]
    world.findings = [replace(shifted("WatchPolicy/shop/latency"), since=START - 60.0)]
    world.run(105.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_s1_while_replicas_are_changing_or_a_rollout_makes_progress_findings_wait_and_crashes_do_not():
    progress = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
    for spec, did in ((SHIFTS, []), (CRASHES, ["Deployment shop/checkout: restart"])):
        world = World(policy=a_policy(spec))
        world.body(TARGET)["status"]["conditions"] = [progress]
        world.findings = [shifted("WatchPolicy/shop/latency")]
        world.crashing = lambda revision, _node: revision == "r2"
        world.run(105.0)
        assert world.did() == did
    pending = World(policy=a_policy(SHIFTS))
    pending.scalings = [Scaling(policy=SCALER, target=TARGET, pending=True)]
    pending.findings = [shifted("WatchPolicy/shop/latency")]
    pending.run(105.0)
    assert pending.did() == []


def test_s1_an_action_on_another_workload_explains_nothing():
    world = World(policy=a_policy(SHIFTS))
    world.scalings = [Scaling(policy=SCALER, target=replace(TARGET, name="cart"), out_at=START)]
    world.findings = [shifted("WatchPolicy/shop/latency")]
    world.run(105.0)
    assert world.did() == ["Deployment shop/checkout: restart"]
