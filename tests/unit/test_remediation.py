"""A RemediationPolicy turn by turn: judged, guarded, sent, carried as text, judged again from what is stored."""

from __future__ import annotations

from aiops.core.decide.remediation.objects import pods
from aiops.core.model import BlastRadius, Coverage, PlanStatus, Reason
from tests.unit.remedied import CRASHES, NODES_SPEC, START, TARGET, TICK_S, World, a_policy, at, firing, node, of_kind


def test_a_bad_release_is_restarted_then_rolled_back_past_its_own_restart_and_nobody_is_called():
    world = World(crashing=lambda revision, _: revision != "r1")
    world.run(900.0)
    assert world.sent == [
        (90.0, "Deployment shop/checkout: restart"),
        (300.0, "Deployment shop/checkout: the pod template of r1"),
    ]
    assert world.body(TARGET)["spec"]["template"]["spec"]["containers"][0]["image"] == "1"
    assert world.told == []
    assert [plan.status for plan in world.plans] == [PlanStatus.DONE, PlanStatus.DONE]
    assert world.said[:2] == ("steady", None)


def test_what_the_ladder_does_not_cure_is_told_to_people_once_and_nothing_more_is_done():
    world = World(crashing=lambda *_: True)
    world.run(3600.0)
    assert len(world.did()) == 2
    assert world.told == ["checkout: Deployment shop/checkout is in trouble"]
    assert world.said[:2] == ("wait", Reason.EXHAUSTED)


def test_trouble_that_passes_within_for_at_least_moves_nothing():
    world = World(crashing=lambda *_: world.now - START < 75.0)
    world.run(600.0)
    assert world.did() == []
    assert world.plans == []


def test_s1_what_cannot_be_seen_is_neither_trouble_nor_calm():
    world = World(crashing=lambda *_: True)
    world.run(75.0)
    world.errors = {TARGET.key: (Reason.CLUSTER_UNAVAILABLE, "timed out")}
    world.run(300.0)
    assert world.did() == []
    assert world.said[:2] == ("wait", Reason.INCONCLUSIVE)
    assert world.state.ladders[world.policy.key].subjects[TARGET.key].since == START + 30.0
    world.errors = {}
    world.run(30.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_s2_a_remedy_waits_while_what_it_must_better_cannot_be_read_and_people_are_told_nonetheless():
    verified = CRASHES.replace("  forAtLeast", "  signals: {errors: {query: sum(errors)}}\n  forAtLeast")
    policy = a_policy(verified + "  verify: {signal: errors, atMost: 1%}\n")
    world = World(policy=policy, crashing=lambda *_: True, values={"errors": "the source timed out"})
    world.run(300.0)
    assert world.did() == []
    assert world.said[:2] == ("wait", Reason.FAILED_SIGNAL)
    world.values = {"errors": 0.5}
    world.run(30.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


VERIFIED = CRASHES.replace("  forAtLeast", "  signals: {errors: {query: sum(errors)}}\n  forAtLeast") + (
    "  verify: {signal: errors, atMost: 1%}\n"
)


def test_s2_a_remedy_that_stays_blind_asks_a_person_who_is_told():
    world = World(policy=a_policy(VERIFIED), crashing=lambda *_: True, values={"errors": "the source timed out"})
    world.run(450.0)
    assert world.said[:2] == ("ask", Reason.FAILED_SIGNAL)
    assert world.told == ["checkout asks: failed_signal"]
    assert world.did() == []


def test_s1_pods_that_crash_explain_that_a_part_of_the_signal_is_missing_and_are_remedied():
    world = World(policy=a_policy(VERIFIED), values={"errors": 0.001})
    world.coverage["errors"] = Coverage(series=3, targets=3, up=3)
    world.run(60.0)
    world.crashing, world.values["errors"] = lambda _, where: where == "n1", 0.3
    world.coverage["errors"] = Coverage(series=2, targets=3, up=2)
    world.run(120.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_s1_a_signal_of_which_a_part_is_missing_while_every_pod_is_ready_is_waited_for():
    policy = a_policy(VERIFIED, ("[{condition: CrashLoop}]", "[{alert: CheckoutErrors}]"))
    world = World(policy=policy, values={"errors": 0.3}, coverage={"errors": Coverage(series=2, targets=3, up=2)})
    world.alerts.append(firing())
    world.run(120.0)
    assert world.did() == []
    assert world.said[:2] == ("wait", Reason.PARTIAL_SIGNAL)


def test_s1_when_every_pod_crashes_nobody_is_left_to_be_measured_and_they_are_remedied():
    world = World(policy=a_policy(VERIFIED), values={"errors": 0.001})
    world.run(60.0)
    world.crashing, world.values["errors"] = lambda *_: True, None
    world.run(120.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_s1_series_that_a_surge_brought_and_took_are_no_part_that_is_missing():
    policy = a_policy(VERIFIED, ("[{condition: CrashLoop}]", "[{alert: CheckoutErrors}]"))
    world = World(policy=policy, values={"errors": 0.3}, coverage={"errors": Coverage(series=5)})
    world.body(TARGET)["status"]["replicas"] = 5
    world.run(60.0)
    world.body(TARGET)["status"]["replicas"], world.coverage["errors"] = 3, Coverage(series=3)
    world.alerts.append(firing())
    world.run(120.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_a_page_that_reaches_nobody_is_not_the_end_of_it():
    world = World(crashing=lambda *_: True, deaf=True)
    world.run(1200.0)
    assert world.said[:2] == ("ask", Reason.EXHAUSTED)
    assert "nobody could be told" in world.said[2]


def test_s6_in_mode_approve_each_rung_is_a_plan_that_waits_for_a_yes():
    world = World(policy=a_policy(CRASHES, ("enforce", "approve")), crashing=lambda *_: True)
    world.run(300.0)
    assert world.did() == []
    assert world.said[:2] == ("ask", Reason.APPROVAL_NEEDED)
    assert len(world.plans) == 1
    world.approve()
    world.run(30.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_s6_a_dry_run_tells_what_it_would_do_once_and_climbs_no_further():
    world = World(policy=a_policy(CRASHES, ("enforce", "dry-run")), crashing=lambda *_: True)
    world.run(3600.0)
    assert world.did() == []
    assert [plan.status for plan in world.plans] == [PlanStatus.REHEARSED]
    assert world.said[:2] == ("wait", Reason.DRY_RUN_SETTLED)


def test_s6_in_mode_observe_nothing_is_planned():
    world = World(policy=a_policy(CRASHES, ("enforce", "observe")), crashing=lambda *_: True)
    world.run(600.0)
    assert (world.did(), world.plans) == ([], [])
    assert world.said[:2] == ("wait", Reason.MODE_OBSERVE)


def test_s7_trouble_that_comes_back_waits_twice_as_long_each_time_and_opens_the_breaker_which_calls_people():
    """A restart helps for ten minutes each time."""
    world = World(policy=a_policy(CRASHES, ("    - {do: rollback, within: 3m}\n", "")))
    helped = [START]
    world.crashing = lambda *_: world.now - helped[-1] > 600.0
    seen: list[str] = []
    for _ in range(int(4 * 3600 / TICK_S)):
        world.turn()
        if len(world.did()) + len(helped) > 2 * len(helped) - 1:
            helped.append(world.now)
        if world.said[1] is not None and (not seen or seen[-1] != world.said[1].value):
            seen.append(world.said[1].value)
    begun = [moment for moment, _ in world.sent]
    assert begun[1] - begun[0] >= 600.0 + 60.0
    assert begun[2] - begun[1] >= 600.0 + 60.0
    assert "breaker_open" in seen
    assert "checkout asks: breaker_open" in world.told
    opened = START + 3600.0
    assert all(moment + START < opened or plan.asks for moment, plan in zip(begun[3:], world.plans[3:], strict=False))


def test_after_the_breaker_a_person_is_asked_in_mode_enforce_too():
    policy = a_policy(CRASHES + "  breaker: {after: 1, for: 20m}\n  backoff: {first: 0s}\n")
    world = World(policy=policy)
    world.crashing = lambda *_: not 105.0 < world.now - START < 600.0
    world.run(1300.0)
    assert world.did() == ["Deployment shop/checkout: restart"]
    world.run(900.0)
    assert world.said[:2] == ("ask", Reason.APPROVAL_NEEDED)
    assert world.plans[-1].asks == "it came back after every try"


# -- what objects say ----------------------------------------------------------------------------------


def test_a_container_that_crashed_just_now_after_many_restarts_crashes_and_one_that_runs_for_ten_minutes_does_not():
    world = World()
    pod = world.pods()[0]
    ended = {"exitCode": 1, "finishedAt": at(START)}
    status = {"name": "c", "restartCount": 3, "state": {"running": {}}, "lastState": {"terminated": ended}}
    world.crashing = lambda *_: bool(pod["status"].update(containerStatuses=[status]))
    world.run(15.0)
    pod["status"]["containerStatuses"] = [status]
    seen = [world._seen(ref, body) for ref, body in world.objects.values() if body is pod]
    assert [bool(one.crashing) for one in pods(seen, 3, START + 300.0)] == [True]
    assert [bool(one.crashing) for one in pods(seen, 3, START + 900.0)] == [False]
    assert [bool(one.crashing) for one in pods(seen, 4, START + 300.0)] == [False]


def test_a_stuck_rollout_is_rolled_back():
    spec = CRASHES.replace("CrashLoop", "StuckRollout").replace("    - {do: restart, within: 3m}\n", "")
    world = World(policy=a_policy(spec))
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    world.body(TARGET)["status"]["conditions"] = [stuck]
    world.run(105.0)
    assert world.did() == ["Deployment shop/checkout: the pod template of r1"]


def test_sick_pods_on_one_node_are_moved_and_the_node_is_given_back_when_it_was_not_the_node():
    spec = CRASHES.replace("    - {do: restart, within: 3m}\n", "    - {do: move, within: 2m}\n")
    world = World(policy=a_policy(spec), crashing=lambda _, where: where == "n1")
    world.run(300.0)
    assert world.did() == ["Node n1: cordon", "Pod shop/checkout-r2-6: evict"]
    assert world.plans[0].status is PlanStatus.DONE
    bad = World(policy=a_policy(spec), crashing=lambda _, where: where in ("n1", "n2", "n3"))
    bad.run(200.0)
    assert bad.did() == ["Deployment shop/checkout: the pod template of r1"]


def test_a_rung_that_means_nothing_now_is_passed_over_and_that_is_said():
    spec = CRASHES.replace("    - {do: restart, within: 3m}\n", "    - {do: move, within: 2m}\n")
    world = World(policy=a_policy(spec, ("enforce", "approve")), crashing=lambda *_: True)
    world.run(120.0)
    (plan,) = world.plans
    assert plan.steps[0].name == "rollback"


# -- nodes ---------------------------------------------------------------------------------------------


def nodes(spec: str = NODES_SPEC, **more: object) -> World:
    more.setdefault("blast", BlastRadius(nodes_ratio=1.0))
    return World(policy=a_policy(spec), nodes=("n1", "n2", "n3", "n4", "n5"), **more)  # type: ignore[arg-type]


def test_a_node_that_is_not_ready_is_cordoned_and_drained_and_takes_pods_again_when_it_has_been_well():
    world = nodes()
    world.not_ready("n2")
    world.run(300.0)
    assert world.did()[0] == "Node n2: cordon"
    assert all("evict" in one for one in world.did()[1:])
    assert world.body(node("n2"))["spec"]["unschedulable"] is True
    world.not_ready()
    world.run(240.0)
    assert world.body(node("n2"))["spec"]["unschedulable"] is True
    world.run(120.0)
    assert world.did()[-1] == "Node n2: uncordon"
    assert "unschedulable" not in world.body(node("n2"))["spec"]


def test_in_a_storm_nothing_is_done_people_are_called_and_it_ends_after_its_delay():
    world = nodes()
    world.not_ready("n1", "n2", "n3")
    world.run(600.0)
    assert world.did() == []
    assert world.said[:2] == ("ask", Reason.STORM)
    assert world.told == ["checkout asks: storm"]
    world.not_ready("n1")
    world.run(270.0)
    assert world.did() == []
    assert world.said[:2] == ("ask", Reason.STORM)
    world.run(120.0)
    assert world.did()[0] == "Node n1: cordon"


def test_a_node_that_a_person_cordoned_is_theirs_and_counts_as_one_that_is_not_well():
    world = nodes()
    world.body(node("n2"))["spec"]["unschedulable"] = True
    world.not_ready("n2")
    world.run(300.0)
    assert world.did() == []
    assert world.said[:2] == ("wait", Reason.MANUAL_OVERRIDE)
    world.not_ready("n2", "n3", "n4")
    world.run(30.0)
    assert world.said[:2] == ("ask", Reason.STORM)


def test_s2_while_nodes_cannot_be_listed_nothing_is_done_and_nothing_is_forgotten():
    world = nodes()
    world.not_ready("n2")
    world.run(45.0)
    assert world.policy.nodes is not None
    world.errors = {world.policy.nodes.selection.key: (Reason.CLUSTER_UNAVAILABLE, "timed out")}
    world.run(600.0)
    assert world.did() == []
    assert world.said[:2] == ("wait", Reason.CLUSTER_UNAVAILABLE)
    assert node("n2").key in world.state.ladders[world.policy.key].subjects


def test_one_node_after_the_other():
    world = nodes(NODES_SPEC.replace("51%", "2"))
    world.not_ready("n1", "n2", "n3")
    world.run(90.0)
    cordoned = [one for one in world.did() if one.endswith("cordon")]
    assert len(cordoned) == 1
    world.run(600.0)
    assert [one for one in world.did() if one.endswith("cordon")] == [f"Node n{number}: cordon" for number in (1, 2, 3)]


def test_s3_a_node_that_nobody_opted_in_is_not_touched():
    world = nodes()
    world.body(node("n2"))["metadata"]["labels"] = {}
    world.not_ready("n2")
    world.run(300.0)
    assert world.did() == []
    assert world.said[:2] == ("deny", Reason.NOT_OPTED_IN)


def test_a_job_is_told_the_node_asks_a_person_and_is_made_once():
    job = "    - {do: job, template: reprovision, arguments: {NODE: $(node.name)}, within: 5m, asks: true}\n"
    world = nodes(NODES_SPEC.replace("    - {do: page}\n", job))
    template = {"containers": [{"name": "c", "env": [{"name": "NODE", "value": ""}]}]}
    body = {
        "metadata": {"labels": {"policy.aiops/runbook": "true"}},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": template}}}},
    }
    world.put(of_kind("batch/v1", "CronJob", "reprovision"), body)
    world.not_ready("n2")
    world.run(600.0)
    assert world.said[:2] == ("ask", Reason.APPROVAL_NEEDED)
    world.approve()
    world.run(600.0)
    made = [body for ref, body in world.objects.values() if ref.kind == "Job"]
    assert [one["spec"]["template"]["spec"]["containers"][0]["env"] for one in made] == [
        [{"name": "NODE", "value": "n2"}]
    ]
