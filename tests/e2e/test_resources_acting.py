"""A daemon that takes policies from the API: it acts, says so in their status, and lets nothing go by mistake."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from tests.e2e.emulated import Emulated, hpa, is_active
from tests.e2e.resources import Authored, a_watch, authored, install, kubectl, served
from tests.e2e.rig import Rig, scaling_policy

__all__ = ["authored", "served"]
BROKEN = {"signals": {"demand": {"query": "sum(demand", "unit": "req/s", "maxAge": "5s"}}}
"""What only the loader refuses: the API server reads no PromQL."""


def objective(rig: Rig, per_replica: float) -> dict:
    return scaling_policy(rig.namespace, objective={"demand": "demand", "perReplica": per_replica})


# -- one resource, its life -------------------------------------------------------------------------------------------


def test_a_resource_is_acted_on_and_its_status_follows_its_edits_s10(rig: Rig, authored: Authored, deploy):
    path = deploy(replicas=4)
    rig.demand(330.0)
    daemon = authored.daemon()
    rig.until(lambda: daemon.events("standing"), "the daemon")
    authored.apply(scaling_policy(rig.namespace))
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    authored.until("Acting", "True", "Enforce")
    assert authored.condition("Valid")["reason"] == "Accepted"
    status = rig.until(lambda: (s := authored.status()).get("currentReplicas") == 7 and s, "a status of 7 replicas")
    assert (status["mode"], status["observedGeneration"], status["acceptedGeneration"]) == ("enforce", 1, 1)
    assert {one["type"] for one in status["conditions"]} == {"Valid", "AbleToAct", "Acting", "ScalingLimited"}
    with rig.store() as store:
        assert (
            store.reader.decision(status["lastDecision"]).decision.policy == f"ScalingPolicy/{rig.namespace}/checkout"
        )
        assert store.reader.policy_document(status["digest"])
    shown = kubectl(rig.plane, "get", "scpol", "-n", rig.namespace)[1].splitlines()
    assert shown[0].split() == ["NAME", "MODE", "TARGET", "VALID", "VERDICT", "REPLICAS", "WANTED", "AGE"]
    assert shown[1].split()[:4] == ["checkout", "enforce", "checkout", "True"]
    # an edit of the spec is a generation, and is taken
    authored.apply(objective(rig, 110.0))
    rig.until(lambda: authored.status().get("observedGeneration") == 2, "the second generation to be seen")
    rig.until(lambda: rig.replicas(path) == 3, "3 replicas for 110 req/s each")
    assert authored.status()["acceptedGeneration"] == 2
    assert authored.status()["specHash"] != status["specHash"]
    rig.check()


def test_an_invalid_update_is_said_with_its_field_and_the_last_good_goes_on_s10(rig: Rig, authored: Authored, deploy):
    path = deploy(replicas=4)
    rig.demand(330.0)
    daemon = authored.daemon()
    authored.apply(scaling_policy(rig.namespace))
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    authored.apply(scaling_policy(rig.namespace, **BROKEN), grant=False)
    said = authored.until("Valid", "False", "Invalid")
    assert said.startswith("spec.signals.demand.query: ")
    assert said.endswith("generation 1 goes on")
    status = authored.status()
    assert (status["observedGeneration"], status["acceptedGeneration"]) == (2, 1)
    problem = f"crd:{rig.namespace}/checkout:0:0: spec.signals.demand.query"
    assert any(str(one["problem"]).startswith(problem) for one in daemon.events("policy_refused"))
    rig.demand(480.0)
    rig.until(lambda: rig.replicas(path) == 10, "10 replicas, by the last good version")
    # a new daemon has never seen the last good version: its store has
    assert daemon.process.term() == 0
    authored.daemon("again")
    rig.demand(180.0)
    rig.until(lambda: rig.replicas(path) == 4, "4 replicas, by the last good version of another process")
    authored.apply(scaling_policy(rig.namespace))
    authored.until("Valid", "True", "Accepted")
    rig.check()


def test_a_resource_acts_once_it_is_promoted_and_an_edit_of_it_runs_in_its_shadow_s6(
    rig: Rig, authored: Authored, deploy
):
    path = deploy(replicas=4)
    rig.demand(330.0)
    authored.apply(scaling_policy(rig.namespace))
    daemon = authored.daemon(promotion={"by": "evidence"})
    said = authored.until("Acting", "False", "Unpromoted")
    assert "promote with: aiops policy promote" in said
    assert (authored.status()["mode"], rig.replicas(path)) == ("dry-run", 4)
    words = ("policy", "promote", f"{rig.namespace}/checkout", "--to", "enforce", "--force", "--reason", "a test")
    rig.aiops("--config", daemon.process.command[-1], *words)
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    authored.until("Acting", "True", "Enforce")
    authored.apply(objective(rig, 110.0))
    rig.until(lambda: authored.status().get("observedGeneration") == 2, "the second generation to be seen")
    rig.demand(480.0)
    rig.until(lambda: rig.replicas(path) == 10, "10 replicas, by what was promoted")
    assert authored.condition("Valid")["reason"] == "Accepted"
    rig.check()


def test_a_resource_that_was_never_valid_does_nothing_and_holds_nobody(rig: Rig, authored: Authored, deploy):
    deploy("cart", replicas=4)
    path = deploy(replicas=4)
    rig.demand(330.0)
    broken = scaling_policy(rig.namespace, "cart", **BROKEN)
    authored.apply(broken, grant=False)
    authored.daemon()
    authored.apply(scaling_policy(rig.namespace))
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    assert authored.until("Valid", "False", "Invalid", "cart").endswith("nothing is in force of it")
    assert authored.condition("Acting", "cart")["status"] == "False"
    assert "mode" not in authored.status("cart")


def test_a_watch_policy_is_a_resource_too(rig: Rig, authored: Authored):
    rig.demand(330.0)
    authored.apply(a_watch(rig))
    daemon = authored.daemon()
    status = rig.until(lambda: authored.status("demand", "watchpolicies"), "a status")
    assert (status["findings"], [one["reason"] for one in status["conditions"]]) == (0, ["Accepted"])
    rig.until(daemon.sentences, "a turn")


# -- what stands in the cluster ---------------------------------------------------------------------------------------


@pytest.fixture
def floor(rig: Rig, deploy, emulated: Emulated, aggregated: Callable[[Emulated], None]) -> str:
    """A Deployment with a real HPA that is active, whose floor is 2. Returns the HPA's path."""
    deploy(replicas=3)
    emulated.start("checkout")
    aggregated(emulated)
    emulated.load(100.0)
    rig.plane.apply(hpa(rig.namespace, 80))
    path = f"/apis/autoscaling/v2/namespaces/{rig.namespace}/horizontalpodautoscalers/checkout"
    rig.until(lambda: is_active(rig.plane, path), "the HPA to be active", 60)
    return path


def least(rig: Rig, path: str) -> int:
    return int(rig.plane.api("GET", path)["spec"]["minReplicas"])


@pytest.mark.timeout(400)
def test_a_floor_outlives_a_restart_and_is_handed_back_when_its_resource_is_deleted_s9(
    rig: Rig, authored: Authored, floor: str
):
    rig.demand(440.0)
    authored.apply(scaling_policy(rig.namespace, lever="hpa-floor"))
    daemon = authored.daemon()
    rig.until(lambda: least(rig, floor) == 9, "a floor of 9")
    rig.until(rig.effects, "the effect in the record")
    assert daemon.process.term() == 0
    again = authored.daemon("again")
    rig.until(lambda: len(again.sentences()) >= 8, "eight turns")
    assert least(rig, floor) == 9
    assert rig.effects() != []
    rig.plane.delete(authored.path())
    rig.until(lambda: least(rig, floor) == 2, "the floor of before", 90)
    rig.until(lambda: not rig.effects(), "the effect to be forgotten", 90)
    rig.check()


@pytest.mark.timeout(400)
def test_what_may_not_be_read_is_never_taken_for_deleted_s9_s10(rig: Rig, authored: Authored, floor: str, deploy):
    rig.demand(440.0)
    document = scaling_policy(rig.namespace, lever="hpa-floor")
    authored.apply(document)
    daemon = authored.daemon()
    rig.until(lambda: least(rig, floor) == 9, "a floor of 9")
    rig.until(rig.effects, "the effect in the record")
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{rig.namespace}/roles/{rig.instance}:policies"
    assert daemon.process.term() == 0
    rig.plane.delete(role)
    # beside it a file, which goes on
    path = deploy("cart", replicas=4)
    rig.policy(scaling_policy(rig.namespace, "cart"), grant=False)
    authored.grant(document, scaling_policy(rig.namespace, "cart"), resources=False)
    again = authored.daemon("again")
    rig.until(lambda: rig.replicas(path) == 9, "9 replicas, by a file", 150)
    _, said = rig.until(lambda: (r := again.ready())[0] == 503 and "cannot list" in r[1] and r, "not ready", 150)
    assert f"scalingpolicies.policy.aiops in namespace {rig.namespace}: " in said
    assert "`aiops rbac POLICIES` prints the roles" in said
    turns = len(again.sentences())
    rig.until(lambda: len(again.sentences()) > turns + 12, "a dozen more turns", 150)
    assert least(rig, floor) == 9
    rig.demand(700.0)
    held = rig.until(lambda: [row for row in rig.decisions(reason="paused") if "checkout" in row["policy"]], "a hold")
    assert "scalingpolicies.policy.aiops" in held[0]["story"]
    # with the right to read it goes on from where it stood
    authored.grant(document, scaling_policy(rig.namespace, "cart"))
    rig.until(lambda: least(rig, floor) == 14, "a floor of 14", 90)
    rig.until(lambda: again.ready()[0] == 200, "ready", 60)


# -- two claims, and namespaces ---------------------------------------------------------------------------------------


def test_two_that_act_on_one_target_hold_both_and_say_so_s4(rig: Rig, authored: Authored, deploy):
    path = deploy(replicas=4)
    rig.demand(330.0)
    daemon = authored.daemon()
    authored.apply(scaling_policy(rig.namespace))
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    second = scaling_policy(rig.namespace, "second", target={"kind": "Deployment", "name": "checkout"})
    authored.apply(second, grant=False)
    said = authored.until("Valid", "False", "Conflict", "second")
    assert f"ScalingPolicy/{rig.namespace}/checkout in crd:{rig.namespace}/checkout" in said
    assert "ScalingPolicy" in authored.until("Valid", "False", "Conflict", "checkout")
    rig.demand(600.0)
    rig.until(lambda: rig.decisions(reason="paused"), "the hold")
    turns = len(daemon.sentences())
    rig.until(lambda: len(daemon.sentences()) > turns + 5, "five more turns")
    assert rig.replicas(path) == 7
    # whoever steps back lets the other go on
    authored.apply({**second, "spec": {**second["spec"], "mode": "observe"}}, grant=False)
    rig.until(lambda: rig.replicas(path) == 12, "12 replicas")
    authored.until("Valid", "True", "Accepted", "checkout")
    authored.until("Valid", "True", "Accepted", "second")
    rig.check()


def test_a_file_and_a_resource_of_one_name_are_an_error_on_both_and_a_move_loses_nothing(
    rig: Rig, authored: Authored, deploy
):
    path = deploy(replicas=4)
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace), grant=False)
    authored.grant(scaling_policy(rig.namespace))
    daemon = authored.daemon()
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas, by the file")
    authored.apply(scaling_policy(rig.namespace))
    said = authored.until("Valid", "False", "Conflict")
    assert "policies.yaml" in said
    conflicts = [str(one["problem"]) for one in daemon.events("policies_in_conflict")]
    assert any(one.startswith(f"crd:{rig.namespace}/checkout") for one in conflicts)
    assert any("policies.yaml" in one.partition(" ")[0] for one in conflicts)
    rig.demand(480.0)
    (rig.policies / "policies.yaml").write_text("# it is a resource now\n")
    rig.until(lambda: rig.replicas(path) == 10, "10 replicas, by the resource", 90)
    authored.until("Valid", "True", "Accepted")
    rig.check()


def test_a_resource_reaches_its_own_namespace_and_no_other_s3(rig: Rig, authored: Authored, deploy):
    deploy(replicas=4)
    rig.demand(330.0)
    other = f"{rig.namespace}-other"
    metadata = {"name": other, "labels": {"policy.aiops/managed": "true"}}
    rig.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    daemon = authored.daemon()
    target = {"kind": "Deployment", "name": "checkout", "namespace": other}
    authored.apply(scaling_policy(rig.namespace, "reaching", target=target), grant=False)
    said = authored.until("Valid", "False", "Invalid", "reaching")
    assert said.startswith(f"spec.target.namespace: a policy targets only its own namespace '{rig.namespace}'")
    # one in another namespace than those that are read is not read at all
    outside = scaling_policy(other)
    rig.plane.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(outside))
    turns = len(daemon.sentences())
    rig.until(lambda: len(daemon.sentences()) > turns + 5, "five more turns")
    assert "status" not in rig.plane.api("GET", authored.path(namespace=other))
    assert rig.writes("deployments") == []
    rig.plane.delete(f"/api/v1/namespaces/{other}", wait=False)


# -- a kind that is taken away (last here: it takes the other tests' objects along) ------------------------------


@pytest.mark.timeout(400)
def test_a_kind_that_is_taken_away_hands_nothing_back_until_it_is_there_again_s9(
    rig: Rig, authored: Authored, floor: str
):
    rig.demand(440.0)
    authored.apply(scaling_policy(rig.namespace, lever="hpa-floor"))
    daemon = authored.daemon()
    rig.until(lambda: least(rig, floor) == 9, "a floor of 9")
    rig.plane.kubectl("delete", "crd", "scalingpolicies.policy.aiops", "--wait=true")
    rig.until(lambda: "serves no such kind" in daemon.ready()[1], "it to be said", 60)
    turns = len(daemon.sentences())
    rig.until(lambda: len(daemon.sentences()) > turns + 20, "twenty more turns", 60)
    assert least(rig, floor) == 9
    # what was in force still is
    rig.demand(700.0)
    rig.until(lambda: least(rig, floor) == 14, "a floor of 14", 60)
    # there again without its objects, they are deleted
    install(rig.plane)
    rig.until(lambda: least(rig, floor) == 2, "the floor of before", 90)
    rig.check()
