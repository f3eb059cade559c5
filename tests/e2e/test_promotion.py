"""Promotion on a real control plane: nothing acts before its word, an edit runs beside, a demotion hands back (S6)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.emulated import Emulated, hpa, is_active
from tests.e2e.rig import Rig, scaling_policy

FLOORS = "horizontalpodautoscalers"


def floored(rig: Rig, per_replica: float) -> dict[str, Any]:
    """Return a policy that moves the floor of the HPA."""
    return scaling_policy(rig.namespace, lever="hpa-floor", objective={"demand": "demand", "perReplica": per_replica})


def least(rig: Rig, path: str) -> int:
    return int(rig.plane.api("GET", path)["spec"]["minReplicas"])


@pytest.mark.timeout(300)
def test_a_spec_acts_by_its_word_an_edit_beside_it_and_a_demotion_hands_back_s6_s9(
    rig: Rig, deploy, emulated: Emulated, aggregated
):
    deploy(replicas=3)
    emulated.start("checkout")
    aggregated(emulated)
    emulated.load(100.0)
    rig.plane.apply(hpa(rig.namespace, 80))
    path = f"/apis/autoscaling/v2/namespaces/{rig.namespace}/{FLOORS}/checkout"
    rig.until(lambda: is_active(rig.plane, path), "the HPA to be active", 60)
    rig.policy(floored(rig, 50.0))
    rig.demand(440.0)
    daemon = rig.daemon(promotion={"by": "evidence", "evidence_for": "6s"})
    name, key = f"{rig.namespace}/checkout", f"ScalingPolicy/{rig.namespace}/checkout"

    def said(*words: str, code: int = 0) -> Any:
        answer = rig.aiops("-o", "json", "--config", daemon.process.command[-1], *words, code=code)
        return json.loads(answer) if code == 0 else answer

    # in dry-run it is refused until it has run for six seconds; nothing was written until then
    rig.until(lambda: rig.decisions(policy=key, verdict="allow"), "a decision, in dry-run")
    said("policy", "promote", name, "--to", "enforce", "--reason", "at once", code=1)
    assert (least(rig, path), rig.writes(FLOORS)) == (2, [])
    word = rig.until(lambda: promoted(rig, daemon, name), "evidence enough", 60)
    rig.until(lambda: least(rig, path) == 9, "a floor of 9")
    # the edited version decides beside it: the floor stays where the promoted one has put it
    rig.policy(floored(rig, 40.0), grant=False)
    beside = rig.until(lambda: [one for one in rig.decisions() if "@" in one["policy"]], "a shadow's decision", 60)
    assert {one["after"] for one in beside if one["verdict"] == "allow"} <= {11}
    made = said("policy", "diff", name, code=1)
    assert made == ""
    assert (least(rig, path), len(rig.effects())) == (9, 1)
    again = rig.until(lambda: promoted(rig, daemon, name), "evidence of the edited version", 60)
    assert again["spec_hash"] != word["spec_hash"]
    rig.until(lambda: least(rig, path) == 11, "a floor of 11 by the edited version")
    # whoever takes the word back gets the floor back
    said("policy", "demote", name, "--reason", "the test is over")
    rig.until(lambda: least(rig, path) == 2, "the floor of before", 60)
    rig.until(lambda: not rig.effects(), "the effect to be forgotten", 60)
    rig.check()


def promoted(rig: Rig, daemon: Any, name: str) -> Any:
    """Return the word once the evidence is enough, None before."""
    words = ("policy", "promote", name, "--to", "enforce", "--by", "ann", "--reason", "it was well")
    try:
        return json.loads(rig.aiops("-o", "json", "--config", daemon.process.command[-1], *words))
    except AssertionError:
        return None
