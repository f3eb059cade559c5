"""A policy with a selector on a real API server: labels come and go, too many hold, who left is handed back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import ControlPlane
from tests.e2e.emulated import Emulated, hpa, is_active
from tests.e2e.grants import denied
from tests.e2e.resources import Authored, install, kubectl
from tests.e2e.rig import Rig, scaling_policy

LABEL = "tier"


def chosen(namespace: str, most: int = 4, growth: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a template over the Deployments with the label, each by a demand of its own name."""
    query = 'sum(demand{ns="$(target.namespace)-$(target.name)"})'
    return scaling_policy(
        namespace,
        "web",
        target={"selector": {"matchLabels": {LABEL: "web"}}, "maxTargets": most, "maxGrowth": growth},
        signals={"demand": {"query": query, "unit": "req/s", "maxAge": "5s"}},
        **changes,
    )


def demand(rig: Rig, name: str, value: float) -> None:
    rig.gauges.set("demand", f"{rig.namespace}-{name}", value)


def mark(rig: Rig, path: str, value: str | None = "web") -> None:
    rig.plane.patch(path, {"metadata": {"labels": {LABEL: value}}})


def members(rig: Rig) -> set[str]:
    """Return whose policies decided in the newest second of the record."""
    rows = [row for row in rig.decisions() if "/web_" in row["policy"]]
    last = max((row["until"] for row in rows), default=0.0)
    return {row["policy"].partition("_")[2] for row in rows if row["until"] >= last - 1.0}


@pytest.fixture
def shop(rig: Rig, deploy: Callable[..., str]) -> dict[str, str]:
    """Three Deployments of 3, two of which have the label; paths by name."""
    paths = {name: deploy(name, replicas=3) for name in ("cart", "checkout", "ledger")}
    for name in ("cart", "checkout"):
        mark(rig, paths[name])
    for name in paths:
        demand(rig, name, 140.0)
    return paths


@pytest.mark.timeout(240)
def test_whoever_has_the_label_is_scaled_by_its_own_load_and_nobody_else_s3(rig: Rig, shop: dict[str, str]):
    rig.policy(chosen(rig.namespace))
    demand(rig, "cart", 330.0)
    demand(rig, "checkout", 440.0)
    demand(rig, "ledger", 900.0)
    rig.daemon()
    rig.until(lambda: (rig.replicas(shop["cart"]), rig.replicas(shop["checkout"])) == (7, 9), "7 and 9 replicas")
    assert members(rig) == {"cart", "checkout"}
    # a label that is put on is seen
    mark(rig, shop["ledger"])
    rig.until(lambda: rig.replicas(shop["ledger"]) == 18, "18 replicas of who joined")
    # and one that is taken off: what it was is nobody's any more, after half a minute
    mark(rig, shop["cart"], None)
    rig.until(lambda: members(rig) == {"checkout", "ledger"}, "cart to leave", 90)
    demand(rig, "cart", 700.0)
    demand(rig, "checkout", 490.0)
    rig.until(lambda: rig.replicas(shop["checkout"]) == 10, "10 replicas")
    assert rig.replicas(shop["cart"]) == 7
    written = {event.name for event in rig.writes("deployments")}
    assert written == {"cart", "checkout", "ledger"}
    assert denied(rig.audit()) == []
    rig.check()


@pytest.mark.timeout(240)
def test_more_than_may_join_hold_all_of_it_until_fewer_match_s3(rig: Rig, shop: dict[str, str], deploy):
    rig.policy(chosen(rig.namespace, growth=1))
    daemon = rig.daemon()
    rig.until(lambda: members(rig) == {"cart", "checkout"}, "two members")
    other = deploy("other", replicas=3)
    demand(rig, "other", 900.0)
    for path in (other, shop["ledger"]):
        mark(rig, path)
    rig.until(lambda: daemon.events("template_held"), "the template to be held")
    demand(rig, "cart", 700.0)
    (row, *_) = rig.until(lambda: rig.decisions(reason="paused"), "a hold")
    assert "2 Deployments joined tier=web within an hour, maxGrowth is 1 (not joined: ledger, other)" in row["story"]
    turns = len(daemon.sentences())
    rig.until(lambda: len(daemon.sentences()) > turns + 6, "six more turns")
    assert {name: rig.replicas(path) for name, path in {**shop, "other": other}.items()} == {
        "cart": 3, "checkout": 3, "ledger": 3, "other": 3,
    }  # fmt: skip
    # one of them is what may join; the other was a mistake
    mark(rig, other, None)
    rig.until(lambda: rig.replicas(shop["cart"]) == 14, "14 replicas, held no more", 60)
    rig.until(lambda: members(rig) == {"cart", "checkout", "ledger"}, "the one that may join")
    assert rig.replicas(other) == 3
    rig.check()


@pytest.fixture
def floor(rig: Rig, deploy: Callable[..., str], emulated: Emulated, aggregated: Callable[[Emulated], None]) -> str:
    """A Deployment with the label and a real HPA that is active, whose floor is 2. Returns the HPA's path."""
    mark(rig, deploy(replicas=3))
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
def test_a_members_floor_outlives_a_restart_without_the_right_to_list_and_goes_back_when_it_leaves_s9(
    rig: Rig, floor: str
):
    rig.policy(chosen(rig.namespace, lever="hpa-floor"))
    demand(rig, "checkout", 440.0)
    daemon = rig.daemon()
    rig.until(lambda: least(rig, floor) == 9, "a floor of 9")
    rig.until(rig.effects, "the effect in the record")
    assert daemon.process.term() == 0
    # who comes up and may not look takes nobody for gone
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{rig.namespace}/roles/{rig.instance}"
    rig.plane.delete(role)
    again = rig.daemon("again")
    rig.until(lambda: len(again.sentences()) >= 40, "forty turns", 120)
    assert least(rig, floor) == 9
    assert [effect.policy for effect in rig.effects()] == [f"ScalingPolicy/{rig.namespace}/web_checkout"]
    rig.grant()
    demand(rig, "checkout", 490.0)
    rig.until(lambda: least(rig, floor) == 10, "a floor of 10, once it may look again", 90)
    mark(rig, f"/apis/apps/v1/namespaces/{rig.namespace}/deployments/checkout", None)
    rig.until(lambda: least(rig, floor) == 2, "the floor of before", 120)
    rig.until(lambda: not rig.effects(), "the effect to be forgotten", 60)


@pytest.mark.timeout(300)
def test_a_template_is_a_resource_that_is_promoted_for_all_and_says_how_many_s6(
    plane: ControlPlane, rig: Rig, shop: dict[str, str]
):
    install(plane)
    authored = Authored(rig)
    authored.apply(chosen(rig.namespace))
    demand(rig, "cart", 330.0)
    daemon = authored.daemon(promotion={"by": "evidence", "evidence_for": "6s"})
    rig.until(lambda: authored.status("web").get("targets") == 2, "a status of two targets", 60)
    assert rig.replicas(shop["cart"]) == 3
    config = daemon.folder / "cli.yaml"
    config.write_text(f'{{"store": {{"url": "{rig.store_url}"}}, "step": "1s", "promotion": {{"evidence_for": "6s"}}}}')
    words = ("--config", str(config), "policy", "promote", f"{rig.namespace}/web", "--to", "enforce", "--reason", "e2e")
    rig.until(lambda: len(daemon.sentences()) >= 9, "nine turns")
    assert "may act up to enforce" in rig.aiops(*words)
    rig.until(lambda: rig.replicas(shop["cart"]) == 7, "7 replicas once promoted", 60)
    rig.until(lambda: authored.status("web").get("mode") == "enforce", "the mode in the status", 60)
    status = rig.until(lambda: (s := authored.status("web")).get("currentReplicas") == 10 and s, "10 replicas in all")
    assert (status["targets"], status["wantedReplicas"]) == (2, 10)
    shown = kubectl(plane, "get", "scpol", "-n", rig.namespace, "-o", "wide")[1].splitlines()
    assert "TARGETS" in shown[0]
    # what is in the API now is granted for, without a file
    config.write_text(json.dumps({"clusters": {"default": {"kubeconfig": str(plane.kubeconfig())}}, "mode": "enforce"}))
    printed = rig.aiops("--config", str(config), "rbac", "--from-cluster")
    roles = [one for one in yaml.safe_load_all(printed) if one["metadata"].get("namespace") == rig.namespace]
    assert any("deployments/scale" in rule["resources"] for one in roles for rule in one.get("rules", ()))
    # the API server refuses what the loader refuses
    both = chosen(rig.namespace)
    both["spec"]["target"]["name"] = "checkout"
    code, _, said = kubectl(plane, "apply", "--server-side", "-f", "-", document=both)
    assert (code, "a target has a name, or a selector" in said) == (1, True)
    rig.check()
