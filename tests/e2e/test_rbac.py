"""What `aiops rbac` prints is enough and no more: nothing is denied, every grant is used or has a reason (S3, S10)."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from aiops.core.act.set_floor import RESTORE
from tests.e2e.audit import WRITES, AuditEvent
from tests.e2e.conftest import deployment
from tests.e2e.emulated import hpa
from tests.e2e.grants import asked_for, denied, granted, unused
from tests.e2e.rig import SERVICE_NAMESPACE, Daemon, Rig, scaling_policy

GROUP = "fleet.example.com"
CUSTOM = {"apiVersion": f"{GROUP}/v1", "kind": "Policy", "name": "checkout"}


# -- the levers and modes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One lever in one mode. spec: of the policy. ceiling: the daemon's mode. given_back: at a release."""

    spec: dict[str, Any]
    make: Callable[[Rig], None]
    path: Callable[[str], str]
    attribute: str = "replicas"
    ceiling: str = "enforce"
    scales_in: bool = True
    given_back: int | None = None
    writes: frozenset[tuple[str, str]] = frozenset()


def deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/checkout"


def custom(namespace: str) -> str:
    return f"/apis/{GROUP}/v1/namespaces/{namespace}/policies/checkout"


def a_deployment(rig: Rig) -> None:
    rig.plane.apply(workload(rig.namespace))


def an_hpa(rig: Rig) -> None:
    rig.plane.apply(workload(rig.namespace), hpa(rig.namespace, 80))


def hpas(namespace: str) -> str:
    return f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/checkout"


def a_stateful_set(rig: Rig) -> None:
    made = workload(rig.namespace, "StatefulSet")
    made["spec"]["serviceName"] = "checkout"
    rig.plane.apply(made)


def a_custom_kind(rig: Rig) -> None:
    install(rig)
    rig.plane.apply({**CUSTOM_OBJECT, "metadata": {"name": "checkout", "namespace": rig.namespace}})


def workload(namespace: str, kind: str = "Deployment") -> dict[str, Any]:
    return {**deployment(namespace, "checkout", 4), "kind": kind}


CUSTOM_OBJECT = {"apiVersion": f"{GROUP}/v1", "kind": "Policy", "spec": {"replicas": 4}}


def install(rig: Rig) -> None:
    """Let the cluster know a kind whose plural is not made by an `s`."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"scale": scale},
    }
    names = {"kind": "Policy", "plural": "policies", "singular": "policy", "listKind": "PolicyList"}
    rig.plane.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"policies.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    rig.plane.eventually(lambda: rig.plane.find(f"/apis/{GROUP}/v1/policies"), "the kind to be served")


def scales(resource: str) -> frozenset[tuple[str, str]]:
    return frozenset({("patch", f"{resource}/scale"), ("create", "/events")})


FLOORS = frozenset({("patch", "autoscaling/horizontalpodautoscalers"), ("create", "/events")})
CASES = {
    **{
        f"{mode} x replicas": Case(
            spec={"mode": mode}, make=a_deployment, path=deployments, writes=scales("apps/deployments")
        )
        for mode in ("approve", "enforce")
    },
    **{
        f"{mode} x hpa-floor": Case(
            spec={"mode": mode, "lever": "hpa-floor"},
            make=an_hpa,
            path=hpas,
            attribute="minReplicas",
            given_back=2,
            writes=FLOORS,
        )
        for mode in ("approve", "enforce")
    },
    "enforce x a StatefulSet": Case(
        spec={
            "target": {"kind": "StatefulSet", "name": "checkout"},
            "scaleIn": "allowed",
        },
        make=a_stateful_set,
        path=lambda namespace: f"/apis/apps/v1/namespaces/{namespace}/statefulsets/checkout",
        writes=scales("apps/statefulsets"),
    ),
    "enforce x a custom kind": Case(
        spec={"target": CUSTOM}, make=a_custom_kind, path=custom, scales_in=False, writes=scales(f"{GROUP}/policies")
    ),
}


def answered(rig: Rig, daemon: Daemon, case: Case) -> None:
    """Say yes to what a policy in approve asks."""
    if case.spec.get("mode") != "approve":
        return
    config = str(next(rig.folder.glob("a-*.yaml")))

    rig.until(daemon.sentences, "the first turn")

    def asked() -> list[dict[str, Any]]:
        return list(json.loads(rig.aiops("--config", config, "-o", "json", "approvals")))

    for question in rig.until(asked, "a question"):
        rig.aiops("--config", config, "approvals", "approve", question["id"], "--reason", "a test")


def level(rig: Rig, case: Case) -> int:
    return int(rig.plane.api("GET", case.path(rig.namespace))["spec"][case.attribute])


@pytest.mark.parametrize("name", CASES)
def test_an_acting_daemon_is_denied_nothing_and_uses_all_that_it_is_granted_s10(
    rig: Rig, name: str, request: pytest.FixtureRequest
):
    case = CASES[name]
    case.make(rig)
    if case.given_back is not None:
        # a floor goes down only where the HPA beneath can scale
        emulated = request.getfixturevalue("emulated")
        emulated.start("checkout")
        request.getfixturevalue("aggregated")(emulated)
        emulated.load(100.0)
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace, **case.spec), grant=False)
    printed = rig.grant(case.ceiling)
    first = rig.daemon("a")
    answered(rig, first, case)
    rig.until(lambda: level(rig, case) == 7, "7")
    rig.until(lambda: any(row["outcome"] for row in rig.actions()) or not case.scales_in, "the outcome", 60)
    rig.until(lambda: written_events(rig), "an Event")
    first.process.kill9()
    second = rig.daemon("a")
    rig.until(lambda: second.events("took_over"), "a takeover", 60)
    if case.scales_in:
        rig.demand(110.0)
        answered(rig, second, case)
        rig.until(lambda: level(rig, case) == 3, "3", 60)
    config = str(next(rig.folder.glob("a-*.yaml")))
    rig.aiops("--config", config, "release", "--all", "--reason", "a test")
    if case.given_back is not None:
        rig.until(lambda: level(rig, case) == case.given_back, "what was there before", 60)
        assert RESTORE not in (rig.plane.api("GET", case.path(rig.namespace))["metadata"].get("annotations") or {})
    second.process.term()

    events = asked(rig)
    assert denied(events) == []
    assert unused(printed, events) == []
    assert {(e.verb, asked_for(e)) for e in events if e.writes and e.namespace == rig.namespace} == case.writes
    assert first.events("tick_failed") == second.events("tick_failed") == []


@pytest.mark.parametrize("lever", ["replicas", "hpa-floor"])
@pytest.mark.parametrize(("own", "ceiling"), [("observe", "enforce"), ("dry-run", "enforce"), ("enforce", "dry-run")])
def test_a_daemon_that_only_looks_is_granted_no_write_and_asks_for_none_s10(
    rig: Rig, own: str, ceiling: str, lever: str
):
    an_hpa(rig) if lever == "hpa-floor" else a_deployment(rig)
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace, mode=own, lever=lever), grant=False)
    printed = rig.grant(ceiling)
    competes = ceiling == "enforce"
    writes = {one for one in granted(printed) if one.verb in WRITES}
    # a daemon whose ceiling is enforce may be given an acting policy at any time, so it competes; with it alone
    assert {one.resource for one in writes} == ({"coordination.k8s.io/leases"} if competes else set())
    for _ in range(2):
        daemon = rig.daemon("a", mode=ceiling)
        rig.until(lambda: len(decided(daemon)) >= 4, "four turns", 60)  # noqa: B023  # looked at before the next
        daemon.process.kill9()

    events = asked(rig)
    assert denied(events) == []
    assert {asked_for(e) for e in events if e.writes} == ({"coordination.k8s.io/leases"} if competes else set())
    assert unused(printed, events) == []
    assert written_events(rig) == []


def decided(daemon: Daemon) -> list[str]:
    return [one for one in daemon.sentences() if "held:" not in one and "standing by" not in one]


def asked(rig: Rig) -> list[AuditEvent]:
    """Return every request of the daemon since the rig began, wherever it went."""
    return rig.audit()


def written_events(rig: Rig) -> list[dict[str, Any]]:
    items = rig.plane.api("GET", f"/api/v1/namespaces/{rig.namespace}/events")["items"]
    return [one for one in items if (one.get("source") or {}).get("component") == "aiops"]


# -- what is printed ---------------------------------------------------------------------------------------------


def test_what_is_printed_is_taken_as_it_is_and_binds_one_account_s10(rig: Rig):
    specs = [case.spec for case in CASES.values()]
    documents = [scaling_policy(rig.namespace, **spec) for spec in specs]
    for number, one in enumerate(documents):
        one["metadata"]["name"] = f"policy-{number}"
        one["spec"]["target"] = {**one["spec"]["target"], "name": f"target-{number}"}
    rig.policy(*documents, grant=False)
    config = rig.folder / "rbac.yaml"
    config.write_text(json.dumps({"lease": rig.lease, "mode": "enforce"}))
    words = ("--config", str(config))
    printed = rig.aiops(*words, "rbac", str(rig.policies))
    for more in (("--dry-run=server",), ("--server-side", "--force-conflicts", "--dry-run=server"), ()):
        rig.plane.kubectl("apply", "-f", "-", "--validate=strict", *more, stdin=printed)
    # the other forms, too
    for form in ("json", "yaml"):
        said = rig.aiops(*words, "-o", form, "rbac", str(rig.policies))
        rig.plane.kubectl("apply", "-f", "-", "--validate=strict", "--dry-run=server", stdin=said)

    objects = list(yaml.safe_load_all(printed))
    account = {"kind": "ServiceAccount", "name": "aiops", "namespace": SERVICE_NAMESPACE}
    bindings = [one for one in objects if one["kind"].endswith("Binding")]
    assert [one["subjects"] for one in bindings] == [[account]] * len(bindings)
    roles = {(one["kind"], one["metadata"]["name"]) for one in objects if one["kind"].endswith("Role")}
    assert {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bindings} == roles
    assert "*" not in printed.replace("\n#", "")
    everywhere = {grant for grant in granted(objects) if not grant.namespace}
    assert {(one.resource, one.name) for one in everywhere} == {("/nodes", ""), ("/namespaces", rig.namespace)}
    assert {one.verb for one in everywhere} == {"list", "watch"}
    assert {one.name for one in granted(objects) if one.resource.endswith("/leases") and one.verb != "create"} == {
        rig.lease["name"]
    }


def test_a_role_lets_its_account_do_nothing_else_s10(rig: Rig, deploy):
    deploy()
    rig.policy(scaling_policy(rig.namespace))
    mine = rig.kubeconfig()

    def may(*words: str, namespace: str = rig.namespace) -> bool:
        command = ("auth", "can-i", *words, "-n", namespace)
        try:
            return rig.plane.kubectl(*command, kubeconfig=mine).strip() == "yes"
        except AssertionError:  # it ends with 1 for a no
            return False

    assert may("patch", "deployments.apps/checkout", "--subresource=scale")
    assert may("list", "pods")
    for words in (
        ("patch", "deployments.apps/checkout"),
        ("patch", "deployments.apps/another", "--subresource=scale"),
        ("update", "deployments.apps/checkout", "--subresource=scale"),
        ("patch", "horizontalpodautoscalers.autoscaling"),
        ("delete", "pods"),
        ("create", "pods", "--subresource=eviction"),
        ("list", "secrets"),
        ("list", "configmaps"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("patch", "roles.rbac.authorization.k8s.io"),
        ("create", "serviceaccounts/aiops", "--subresource=token"),
        ("impersonate", "users"),
    ):
        assert not may(*words), words
    assert not may("list", "pods", namespace="kube-system")
    assert not may("patch", "leases.coordination.k8s.io/another", namespace=SERVICE_NAMESPACE)
    assert not may("list", "namespaces")


# -- the namespace opts in ---------------------------------------------------------------------------------------


def test_a_target_in_a_namespace_that_did_not_opt_in_is_never_written_not_even_stamped_s3(rig: Rig, deploy):
    path = deploy(replicas=4)
    rig.plane.patch(f"/api/v1/namespaces/{rig.namespace}", {"metadata": {"labels": {"policy.aiops/managed": None}}})
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace))
    daemon = rig.daemon()
    rig.until(daemon.sentences, "the first turn")
    found = rig.until(lambda: [one for one in rig.decisions() if one["verdict"] == "deny"], "a denial")
    assert {one["reason"] for one in found} == {"not_opted_in"}
    turns = len(daemon.sentences())
    rig.until(lambda: len(daemon.sentences()) > turns + 5, "five more turns")
    assert rig.writes() == []
    assert rig.replicas(path) == 4
    assert any(f"namespace {rig.namespace} has no label policy.aiops/managed" in one for one in daemon.sentences())
    # once it opts in, the daemon acts without being told
    rig.plane.patch(f"/api/v1/namespaces/{rig.namespace}", {"metadata": {"labels": {"policy.aiops/managed": "true"}}})
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")


# -- a quiet minute ----------------------------------------------------------------------------------------------


def test_a_quiet_minute_asks_for_no_more_than_leading_and_watching_need_s10(
    rig: Rig, capsys: pytest.CaptureFixture[str]
):
    """With the defaults: a tick each 15 s, a renewal each 2 s, a watch each 45 s. One target, and one of a custom
    kind, whose scale is read each tick.
    """
    a_deployment(rig)
    a_custom_kind(rig)
    rig.demand(190.0)
    policies = [scaling_policy(rig.namespace), scaling_policy(rig.namespace, target=CUSTOM)]
    policies[1]["metadata"]["name"] = "custom"
    rig.policy(*policies)
    lease = {"name": rig.lease["name"]}
    daemon = rig.daemon(lease=lease, step="15s")
    rig.until(lambda: len(decided(daemon)) >= 2, "two turns", 90)
    begun = time.time()
    time.sleep(60.0)
    # by their end: a watch counts when it is over, and another one follows it
    events = [event for event in rig.audit() if begun <= event.ended_at < begun + 60.0]
    asked_by = Counter((event.verb, asked_for(event) if event.resource else event.uri) for event in events)
    with capsys.disabled():
        lines = (f"  {times:3d}  {verb:6s} {what}" for (verb, what), times in sorted(asked_by.items()))
        print("\nrequests in a quiet minute", *lines, sep="\n")
    expected = {
        ("get", "coordination.k8s.io/leases"): 31,
        ("patch", "coordination.k8s.io/leases"): 31,
        ("get", f"{GROUP}/policies/scale"): 5,
        **{
            ("watch", what): 2
            for what in (
                *("/nodes", "/namespaces", "/pods", "apps/deployments", f"{GROUP}/policies"),
                *("autoscaling/horizontalpodautoscalers", "policy/poddisruptionbudgets"),
            )
        },
    }
    assert {what: times for what, times in asked_by.items() if times > expected.get(what, 0)} == {}
    daemon.process.term()
